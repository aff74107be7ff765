"""Display settings: effects of the rater's keys, presets of the file, and no grey that is absent from the film."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset

from ratui.imaging import (
    DEFAULT_DISPLAY,
    Box,
    DisplaySettings,
    Film,
    LookupTable,
    Window,
    choose_contrast,
    compute_automatic_window,
    crop,
    film_to_grey,
    list_presets,
    read_film,
    render,
)
from ratui.imaging.display_settings import adjust_contrast, equalize_local_contrast
from tests.imaging.odd_films import film_with, ramp, table


def film(values: np.ndarray, **more: object) -> Film:
    return Film(values, 12, **more)  # type: ignore[arg-type]


def noise(seed: int = 0, size: tuple[int, int] = (90, 120)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4096, size).astype(np.uint16)


class TestLooks:
    def test_brighter_makes_every_grey_brighter_or_equal(self) -> None:
        plain, bright = (
            np.asarray(render(film(noise()), Box(10, 10, 60, 60), (50, 50), look), int)
            for look in (DEFAULT_DISPLAY, DEFAULT_DISPLAY.change_brightness(3))
        )
        assert (bright >= plain).all()
        assert bright.mean() > plain.mean() + 20

    def test_harder_spreads_the_greys_and_softer_takes_it_back(self) -> None:
        values = film(noise())
        hard = np.asarray(render(values, Box(10, 10, 60, 60), (50, 50), DEFAULT_DISPLAY.change_contrast(4)))
        plain = np.asarray(render(values, Box(10, 10, 60, 60), (50, 50), DEFAULT_DISPLAY))
        assert hard.std() > plain.std()
        assert DEFAULT_DISPLAY.change_contrast(4).change_contrast(-4).stretch == pytest.approx(1.0, abs=1e-3)

    def test_invert_is_the_exact_negative(self) -> None:
        values = film(noise())
        plain = np.asarray(render(values, Box(0, 0, 50, 50), (50, 50), DEFAULT_DISPLAY), int)
        negative = np.asarray(render(values, Box(0, 0, 50, 50), (50, 50), DisplaySettings(invert=True)), int)
        assert np.array_equal(plain + negative, np.full((50, 50), 255))

    def test_zooming_in_keeps_the_greys_of_the_joint(self) -> None:
        values = film(noise())
        joint = Box(10.0, 10.0, 70.0, 70.0)
        wide = np.asarray(render(values, joint, (60, 60), DEFAULT_DISPLAY, joint=joint))
        close = np.asarray(render(values, Box(20.0, 20.0, 40.0, 40.0), (20, 20), DEFAULT_DISPLAY, joint=joint))
        assert np.array_equal(wide[10:30, 10:30], close)

    def test_a_table_can_be_made_brighter_too(self) -> None:
        curve = LookupTable(0, np.arange(0, 4096, dtype=np.uint16), 12)
        moved = adjust_contrast(curve, -0.25, 1.0)
        assert isinstance(moved, LookupTable)
        levels = (film_to_grey(film(noise()), each).astype(int) for each in (curve, moved))
        assert (np.subtract(*levels) <= 0).all()
        assert np.array_equal(adjust_contrast(curve, 0.0, 1.0).values, curve.values)  # type: ignore[union-attr]

    def test_steps_have_limits(self) -> None:
        look = DEFAULT_DISPLAY
        for _ in range(200):
            look = look.change_brightness(-1).change_contrast(-1)
        assert (look.shift, look.stretch) == (1.0, 8.0)

    def test_local_contrast_shows_both_a_dark_and_a_bright_place(self) -> None:
        texture = np.random.default_rng(0).normal(0, 90, (200, 200))
        values = (np.where(np.arange(200) < 100, 500, 3500) + texture).astype(np.uint16)
        flat, local = (
            np.asarray(render(film(values), Box(0, 0, 200, 200), (200, 200), look), float)
            for look in (DEFAULT_DISPLAY, DisplaySettings(local=True))
        )
        for half in (slice(10, 90), slice(110, 190)):
            assert local[:, half].std() > 1.3 * flat[:, half].std()

    def test_local_contrast_hardly_depends_on_the_window_s_width(self) -> None:
        soft, plain = (
            np.asarray(
                render(film(noise()), Box(0, 0, 120, 90), (120, 90), DisplaySettings(stretch=width, local=True)), float
            )
            for width in (6.0, 1.0)
        )
        assert soft.min() < 20
        assert soft.max() > 235
        assert np.abs(soft - plain).mean() < 10

    def test_local_contrast_makes_faint_grain_only_a_little_stronger(self) -> None:
        grain = np.random.default_rng(0).normal(1000, 20, (200, 200))
        grain[:, 100:] += 2500  # so that the window is wide, and the grain of both halves faint
        flat, local = (
            np.asarray(render(film(grain.astype(np.uint16)), Box(0, 0, 200, 200), (200, 200), look), float)
            for look in (DEFAULT_DISPLAY, DisplaySettings(local=True))
        )
        assert local[:, 10:90].std() < 6 * flat[:, 10:90].std()

    def test_tiles_of_local_contrast_are_six_millimetres_wide(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made: list[tuple[int, ...]] = []
        create = cv2.createCLAHE
        monkeypatch.setattr(cv2, "createCLAHE", lambda clip, tiles: made.append(tuple(tiles)) or create(clip, tiles))
        # 10 mm across, 60 mm down.
        values = film(noise(size=(200, 200)), spacing=(0.3, 0.05))
        render(values, Box(0, 0, 200, 200), (100, 300), DisplaySettings(local=True))
        assert made == [(2, 10)]

    @pytest.mark.parametrize("size", [(1, 1), (3, 2), (2, 400), (400, 2), (17, 23)])
    def test_local_contrast_keeps_the_size(self, size: tuple[int, int]) -> None:
        assert render(film(noise()), Box(0, 0, 50, 50), size, DisplaySettings(local=True)).size == size

    def test_local_contrast_of_one_grey_is_that_grey(self) -> None:
        image = Image.fromarray(np.full((40, 40), 200, np.uint8))
        assert np.array_equal(
            np.asarray(equalize_local_contrast(image, film(noise()), Box(0, 0, 40, 40))), np.asarray(image)
        )


class TestPresets:
    def test_the_file_s_own_come_after_the_automatic_ones(self, tmp_path: Path) -> None:
        path = film_with(
            tmp_path / "a.dcm", ramp(12), bits=12, grey_tables=(table(0, list(range(4096)), 12),),
            WindowCenter=[700, 2000], WindowWidth=[900, 4000], WindowCenterWidthExplanation=["SOFT", "BONE"],
        )  # fmt: skip
        taken = read_film(path)
        assert list_presets(taken) == ("joint", "film", "file1", "file2", "file3")
        assert choose_contrast(taken, DisplaySettings("file3")) == Window(2000.0, 4000.0, "LINEAR", "BONE")
        assert isinstance(choose_contrast(taken, DisplaySettings("file1")), LookupTable)

    def test_a_film_without_the_preset_shows_its_first_or_the_automatic_one(self) -> None:
        bare = film(noise())
        assert choose_contrast(bare, DisplaySettings("file2")) == compute_automatic_window(bare)
        own = film(noise(), contrasts=(Window(100, 50),))
        assert choose_contrast(own, DisplaySettings("file2")) == Window(100, 50)

    def test_padding_doesn_t_count_for_the_automatic_window(self, tmp_path: Path) -> None:
        values = np.full((64, 80), 4000, np.uint16)
        values[20:40, 20:60] = ramp(8)[20:40, 20:60] * 4
        path = film_with(tmp_path / "a.dcm", values, bits=12, PixelPaddingValue=4000)
        window = compute_automatic_window(read_film(path))
        assert window.centre + window.width / 2 < 1100


class TestDamage:
    def notes(self, tmp_path: Path, **elements: object) -> tuple[str, ...]:
        taken = read_film(film_with(tmp_path / "a.dcm", ramp(12), bits=12, **elements))  # type: ignore[arg-type]
        film_to_grey(taken)
        return taken.notes

    def test_a_shape_that_contradicts_the_polarity_is_noted(self, tmp_path: Path) -> None:
        (note,) = self.notes(tmp_path, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="IDENTITY")
        assert "MONOCHROME1 and IDENTITY" in note
        assert self.notes(tmp_path, PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE") == ()

    @pytest.mark.parametrize("width", [0, -5, "NaN"])
    def test_an_impossible_window_is_left_out(self, tmp_path: Path, width: object) -> None:
        (note,) = self.notes(tmp_path, WindowCenter=[100, 200], WindowWidth=[width, 300])
        assert "window 1 is damaged" in note

    def test_an_unknown_function_is_taken_as_linear(self, tmp_path: Path) -> None:
        (note,) = self.notes(tmp_path, VOILUTFunction="CUBIC", WindowCenter=100, WindowWidth=300)
        assert note == "its window function is unknown; LINEAR was used"  # it repeats no text of the file

    @pytest.mark.parametrize(
        "item",
        [
            Dataset(),
            table(0, [1, 2, 3], 44),
            table(0, [], 12),
        ],
    )
    def test_a_damaged_table_is_left_out(self, tmp_path: Path, item: Dataset) -> None:
        (note,) = self.notes(tmp_path, grey_tables=(item,))
        assert "grey table is damaged" in note

    def test_a_table_of_bytes_packed_in_words_is_unpacked(self, tmp_path: Path) -> None:
        item = table(0, [0x0201, 0x0403], 8)
        item.LUTDescriptor = [4, 0, 8]
        taken = read_film(film_with(tmp_path / "a.dcm", ramp(12), bits=12, grey_tables=(item,)))
        (found,) = taken.contrasts
        assert isinstance(found, LookupTable)
        assert found.values.tolist() == [1, 2, 3, 4]

    def test_the_shape_of_a_pixel_comes_from_the_spacing_or_the_ratio(self, tmp_path: Path) -> None:
        path = film_with(tmp_path / "a.dcm", ramp(12), bits=12, PixelAspectRatio=["3", "2"])
        assert (read_film(path).spacing, read_film(path).aspect) == (None, 1.5)
        path = film_with(tmp_path / "a.dcm", ramp(12), bits=12, PixelSpacing=[0.2, 0.1])
        assert read_film(path).aspect == 2.0


@settings(max_examples=40)
@given(
    x=st.floats(-5, 50), y=st.floats(-5, 50), side=st.floats(3, 60), size=st.integers(5, 200), seed=st.integers(0, 9)
)
def test_a_crop_shows_only_greys_of_its_part_of_the_film(x: float, y: float, side: float, size: int, seed: int) -> None:
    values = film(noise(seed, (64, 64)) // 3 + 1000)
    window = Window(1600, 2400)
    part = film_to_grey(values, window)[max(int(y) - 1, 0) : int(y + side) + 2, max(int(x) - 1, 0) : int(x + side) + 2]
    levels = np.asarray(crop(values, Box(x, y, x + side, y + side), (size, size), window))
    leaves = x < 0 or y < 0 or x + side > 64 or y + side > 64
    assert levels.max() <= part.max(initial=0), "black where there is no film"
    assert leaves or levels.min() >= part.min()
