"""Frames show the grey levels they were given, and what a terminal holds stays bounded."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from textual_image._sixel import image_to_sixels

from ratui.errors import DisplayError
from ratui.terminal import Display, FrameCache, HalfCells, KittyFrame, SixelFrame, decode_sixel, encode


def picture(seed: int = 0, size: tuple[int, int] = (61, 47)) -> Image.Image:
    rng = np.random.default_rng(seed)
    ramp = np.add.outer(np.arange(size[1]), np.arange(size[0])) * 255.0 / sum(size)
    return Image.fromarray(np.clip(ramp + rng.normal(0, 20, ramp.shape), 0, 255).astype(np.uint8))


@pytest.mark.parametrize("greys", [2, 16, 64, 256])
def test_sixel_paints_every_pixel_within_half_a_step(greys: int) -> None:
    frame = encode(Display("sixel", levels=greys), picture())
    assert isinstance(frame, SixelFrame)
    painted = decode_sixel(frame.data).astype(int)
    assert painted.shape == (47, 61)
    # Half a step of the palette, and what a percent of Sixel's colours can be off.
    assert np.abs(painted - np.asarray(picture())).max() <= 255 / (greys - 1) / 2 + 2


def test_sixel_defines_its_colours_before_the_first_band() -> None:
    frame = encode(Display("sixel", levels=64), picture())
    assert isinstance(frame, SixelFrame)
    first_band = re.search(r"#\d+[!?-~]", frame.data)
    assert first_band
    assert ";2;" not in frame.data[first_band.start() :]


def test_the_decoder_agrees_with_another_encoder() -> None:
    coarse = picture().point([value // 32 * 32 for value in range(256)])
    assert np.abs(decode_sixel(image_to_sixels(coarse)).astype(int) - np.asarray(coarse)).max() <= 2


def test_kitty_sends_the_exact_image_once_then_places_it_by_id() -> None:
    frame = encode(Display("kitty"), picture())
    assert isinstance(frame, KittyFrame)
    first, second = frame.place(30, 10, 1), frame.place(30, 10, 1)
    payload = "".join(re.findall(r"\x1b_G[^;]*;([^\x1b]*)\x1b", first))
    with Image.open(io.BytesIO(base64.b64decode(payload))) as sent:
        assert np.array_equal(np.asarray(sent), np.asarray(picture()))
    assert len(second) < 80
    assert f"i={frame.id}," in second
    assert all(len(piece) <= 4096 for piece in re.findall(r";([^\x1b]*)\x1b", first))


def test_half_cells_hold_two_rows_each() -> None:
    frame = encode(Display("halfcell"), picture())
    assert isinstance(frame, HalfCells)
    assert np.array_equal(frame.levels, np.asarray(picture()))


def test_colour_is_refused() -> None:
    with pytest.raises(DisplayError):
        encode(Display("kitty"), Image.new("RGB", (4, 4)))


def test_the_cache_keeps_what_was_used_last_and_frees_the_rest() -> None:
    frames = [encode(Display("kitty"), picture(seed)) for seed in range(4)]
    cache = FrameCache(limit=int(sum(frame.weight for frame in frames[:3]) * 1.05))
    for number, frame in enumerate(frames[:3]):
        assert isinstance(frame, KittyFrame)
        frame.place(1, 1, 1)
        cache.put(number, frame)
    assert cache.get(0) is frames[0]
    cache.put(3, frames[3])
    assert cache.get(1) is None
    assert cache.get(0) is frames[0]
    dropped = frames[1]
    assert isinstance(dropped, KittyFrame)
    assert cache.dropped() == dropped.forget() != ""
    assert cache.dropped() == ""
