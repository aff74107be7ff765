"""Frames show the given grey levels: decoded by ratui and by other programs, and compared with the source."""

import base64
import io
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from textual_image._sixel import image_to_sixels

from ratui.errors import DisplayError
from ratui.terminal import (
    Display,
    Frame,
    HalfCellFrame,
    KittyFrame,
    SixelFrame,
    decode_sixel,
    encode,
    encode_coarse,
    encode_sixel,
)

GREYS = [2, 16, 64, 256]


def picture(seed: int = 0, size: tuple[int, int] = (61, 47)) -> Image.Image:
    rng = np.random.default_rng(seed)
    ramp = np.add.outer(np.arange(size[1]), np.arange(size[0])) * 255.0 / sum(size)
    return Image.fromarray(np.clip(ramp + rng.normal(0, 20, ramp.shape), 0, 255).astype(np.uint8))


def sixel_of(image: Image.Image, greys: int = 64) -> str:
    frame = encode(Display("sixel", levels=greys), image)
    assert isinstance(frame, SixelFrame)
    ((_, _, data),) = frame.tiles
    return data


def tiles(frame: Frame) -> tuple[tuple[int, int, str], ...]:
    assert isinstance(frame, SixelFrame)
    return frame.tiles


def assembled(frame: Frame, display: Display, size: tuple[int, int] = (61, 47)) -> np.ndarray:
    """Return the picture that all tiles paint together."""
    seen = np.full((size[1] + 20, size[0] + 20), 77, np.uint8)
    for left, top, data in tiles(frame):
        piece = decode_sixel(data)
        y, x = top * display.cell[1], left * display.cell[0]
        seen[y : y + piece.shape[0], x : x + piece.shape[1]] = piece
    return seen[: size[1], : size[0]]


def kitty_image(frame: Frame) -> np.ndarray:
    assert isinstance(frame, KittyFrame)
    payload = "".join(re.findall(r"\x1b_G[^;]*;([^\x1b]*)\x1b", "".join(frame.upload)))
    with Image.open(io.BytesIO(base64.b64decode(payload))) as sent:
        return np.asarray(sent)


def cells_image(lines: tuple[str, ...], columns: int) -> np.ndarray:
    """Return the picture that a terminal shows for half-cells: a colour is active until it is changed."""
    rows = []
    for line in lines:
        upper, lower, ink, paper = [], [], 0, 0
        for what, level, character in re.findall(r"\x1b\[([34])8;2;(\d+);\d+;\d+m|([▀ ])", line):
            if what == "3":
                ink = int(level)
            elif what == "4":
                paper = int(level)
            else:
                upper.append(ink if character == "▀" else paper)
                lower.append(paper)
        assert len(upper) == columns
        rows += [upper, lower]
    return np.array(rows)


class TestSixel:
    @pytest.mark.parametrize("greys", GREYS)
    def test_every_pixel_is_painted_within_half_a_step(self, greys: int) -> None:
        painted = decode_sixel(sixel_of(picture(), greys)).astype(int)
        assert painted.shape == (47, 61)
        # Half a step of the palette, and the rounding error of Sixel's colours in percent.
        assert np.abs(painted - np.asarray(picture())).max() <= 255 / (greys - 1) / 2 + 2

    @pytest.mark.skipif(shutil.which("sixel2png") is None, reason="libsixel's decoder is not installed here")
    @pytest.mark.parametrize("greys", GREYS)
    def test_libsixel_sees_the_same(self, greys: int, tmp_path: Path) -> None:
        (tmp_path / "a.six").write_text(sixel_of(picture(), greys))
        subprocess.run(["sixel2png", "-i", str(tmp_path / "a.six"), "-o", str(tmp_path / "a.png")], check=True)
        with Image.open(tmp_path / "a.png") as image:
            seen = np.asarray(image.convert("L")).astype(int)[:47, :61]
        assert np.abs(seen - np.asarray(picture())).max() <= 255 / (greys - 1) / 2 + 2

    @settings(max_examples=60)
    @given(
        st.integers(1, 30), st.integers(1, 50), st.integers(2, 256), st.integers(0, 99), st.sampled_from([1, 40, 256])
    )
    def test_any_image_in_any_number_of_greys(
        self, rows: int, columns: int, greys: int, seed: int, spread: int
    ) -> None:
        levels = np.random.default_rng(seed).integers(0, spread, (rows, columns)).astype(np.uint8)
        painted = decode_sixel(encode_sixel(levels, greys)).astype(int)
        assert np.abs(painted - levels).max() <= 255 / (greys - 1) / 2 + 2

    def test_colours_are_defined_first_and_selected_by_number(self) -> None:
        data = sixel_of(picture())
        first_band = re.search(r"#\d+[!?-~]", data)
        assert first_band
        assert ";2;" not in data[first_band.start() :]

    def test_an_encoder_that_selects_colours_by_definition_makes_specks(self) -> None:
        # textual-image's is exact for libsixel, but wrong in a terminal such as xterm where a colour first appears.
        coarse = picture(size=(120, 90)).point([value // 32 * 32 for value in range(256)])
        wrong = np.abs(decode_sixel(image_to_sixels(coarse)).astype(int) - np.asarray(coarse))
        assert wrong.max() > 30
        assert (wrong[6:] > 2).mean() < 0.05

    def test_slices_make_the_same_image(self) -> None:
        display = Display("sixel", cell=(10, 8), levels=64)
        whole, sliced = (encode(display, picture(), slices=slices) for slices in (False, True))
        assert len(tiles(sliced)) > 3
        assert np.array_equal(assembled(sliced, display), assembled(whole, display))

    def test_an_image_larger_than_the_terminal_takes_is_sent_in_tiles(self) -> None:
        display = Display("sixel", cell=(10, 8), levels=64, max_sixel_size=(34, 20))
        whole = encode(Display("sixel", cell=(10, 8), levels=64), picture())
        frame = encode(display, picture())
        assert len(tiles(frame)) == 3 * 3
        assert all(decode_sixel(data).shape <= (20, 34) for _, _, data in tiles(frame))
        assert np.array_equal(assembled(frame, display), assembled(whole, display))


class TestKitty:
    def test_the_exact_image_is_sent_once_then_placed_by_id(self) -> None:
        frame = encode(Display("kitty"), picture())
        assert isinstance(frame, KittyFrame)
        assert np.array_equal(kitty_image(frame), np.asarray(picture()))
        first = frame.parts(3, 4, 30, 10, 1)
        frame.mark_shown()
        (second,) = frame.parts(3, 4, 30, 10, 1)
        assert first == [*frame.upload, second]
        assert len(second) < 80
        assert second.startswith("\x1b[5;4H")
        assert f"i={frame.id}," in second
        assert all(len(piece) <= 4096 for piece in re.findall(r";([^\x1b]*)\x1b", "".join(first)))

    def test_what_the_terminal_lost_is_sent_again(self) -> None:
        frame = encode(Display("kitty"), picture())
        assert isinstance(frame, KittyFrame)
        frame.mark_shown()
        frame.mark_lost()
        assert len(frame.parts(0, 0, 1, 1, 1)) == len(frame.upload) + 1
        assert frame.forget() == ""


class TestHalfCells:
    @given(st.integers(1, 12), st.integers(1, 20), st.integers(0, 99), st.sampled_from([2, 256]))
    def test_the_characters_show_every_level(self, rows: int, columns: int, seed: int, spread: int) -> None:
        levels = np.random.default_rng(seed).integers(0, spread, (2 * rows, columns)).astype(np.uint8)
        frame = encode(Display("halfcell"), Image.fromarray(levels))
        assert isinstance(frame, HalfCellFrame)
        assert np.array_equal(cells_image(frame.lines, columns), levels)

    def test_parts_are_placed_correctly_and_reset_the_colour(self) -> None:
        frame = encode(Display("halfcell"), picture(size=(10, 12)))
        data = "".join(frame.parts(3, 4, 10, 6, 1))
        assert re.findall(r"\x1b\[(\d+);4H", data) == ["5", "6", "7", "8", "9", "10"]
        assert data.endswith("\x1b[m")


class TestCoarse:
    @pytest.mark.parametrize("protocol", ["kitty", "sixel", "halfcell"])
    def test_a_coarse_frame_fits_its_budget_and_shows_the_same_picture(self, protocol: str) -> None:
        display = Display(protocol, levels=64)  # type: ignore[arg-type]
        size = (60, 40) if protocol == "halfcell" else (400, 300)
        image = picture(size=size)
        fine, frame = encode(display, image), encode_coarse(display, image, 12_000)
        assert frame.byte_count <= 12_000 < fine.byte_count
        if isinstance(frame, KittyFrame):
            seen = np.asarray(Image.fromarray(kitty_image(frame)).resize(size))
        elif isinstance(frame, SixelFrame):
            seen = assembled(frame, display, size)
        else:
            seen = cells_image(frame.lines, size[0])
        assert seen.shape == (size[1], size[0])
        assert np.corrcoef(seen.ravel(), np.asarray(image).ravel())[0, 1] > 0.9

    def test_a_frame_within_the_budget_is_not_reduced(self) -> None:
        assert kitty_image(encode_coarse(Display("kitty"), picture(), 100_000)).shape == (47, 61)


def test_colour_is_refused() -> None:
    for make in (encode, lambda display, image: encode_coarse(display, image, 1000)):
        with pytest.raises(DisplayError):
            make(Display("kitty"), Image.new("RGB", (4, 4)))
