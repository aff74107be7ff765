"""Grey films that are stored in colours, and JPEG images of which a part is missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEGBaseline8Bit

from ratui.imaging import read_film
from tests.imaging.test_pixels_against_header import ROWS, Array, compressed, jpeg, native, problem, same, shape


class TestColours:
    """A grey film that is stored in colours is a grey film."""

    @staticmethod
    def secondary_capture(path: Path, pixels: Array, **elements: object) -> Path:
        path = native(path, np.ascontiguousarray(pixels[..., 0]), bits=8)
        dataset = pydicom.dcmread(path)
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
        dataset.PixelData = pixels.tobytes()
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        dataset.save_as(path)
        return path

    def grey(self) -> Array:
        return np.repeat(shape(8).astype(np.uint8)[..., None], 3, axis=2)

    def test_grey_in_three_channels(self, tmp_path: Path) -> None:
        film = read_film(self.secondary_capture(tmp_path / "a.dcm", self.grey(), WindowCenter=1, WindowWidth=2))
        same(film, shape(8), 8)
        assert (film.is_inverted, film.contrasts) == (False, ())

    def test_one_coloured_letter_is_a_colour(self, tmp_path: Path) -> None:
        pixels = self.grey()
        pixels[5:9, 5:9, 0] += 9
        assert problem(self.secondary_capture(tmp_path / "a.dcm", pixels)) == "it is a colour image, not a grey film"

    @pytest.mark.parametrize("kind", ["RGB", "YBR_FULL_422"])
    def test_a_jpeg_of_three_channels(self, tmp_path: Path, kind: str) -> None:
        frame = jpeg(shape(8).astype(np.uint8), "RGB")
        path = compressed(
            tmp_path / "a.dcm",
            frame,
            JPEGBaseline8Bit,
            bits=8,
            allocated=8,
            SamplesPerPixel=3,
            PlanarConfiguration=0,
            PhotometricInterpretation=kind,
        )
        film = read_film(path)
        assert film.bits_stored == 8
        assert np.abs(film.pixels.astype(int) - shape(8)).max() <= 3

    def test_a_palette_of_greys(self, tmp_path: Path) -> None:
        path = native(tmp_path / "a.dcm", shape(8).astype(np.uint8), bits=8, PhotometricInterpretation="PALETTE COLOR")
        dataset = pydicom.dcmread(path)
        curve = (np.linspace(0, 1, 256) ** 0.5 * 65_535).astype("<u2")
        for colour in ("Red", "Green", "Blue"):
            dataset.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", [256, 0, 16])
            dataset.add_new(f"{colour}PaletteColorLookupTableData", "OW", curve.tobytes())
        dataset.save_as(path)
        same(read_film(path), curve[shape(8)], 16)
        dataset.RedPaletteColorLookupTableData = curve[::-1].tobytes()
        dataset.save_as(path)
        assert problem(path) == "it is a colour image, not a grey film"


class TestDamagedJpeg:
    def test_missing_rows_are_not_filled_with_grey(self, tmp_path: Path) -> None:
        frame = jpeg(shape(8).astype(np.uint8))
        whole = compressed(tmp_path / "a.dcm", frame, JPEGBaseline8Bit, bits=8, allocated=8)
        assert read_film(whole).rows == ROWS
        cut = frame[: len(frame) // 2] + b"\xff\xd9"
        path = compressed(tmp_path / "b.dcm", cut, JPEGBaseline8Bit, bits=8, allocated=8)
        assert problem(path) == "its compressed pixels are damaged"
