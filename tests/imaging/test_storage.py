"""Lossless storage: films are restored exactly, and a film that cannot be decoded gives the reason."""

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pydicom
import pytest

from ratui.errors import FilmError
from ratui.imaging import read_film
from tests.imaging.odd_films import film_with, ramp

# dcmtk's encoders and their transfer syntaxes.
WAYS = {
    "RLE": ["dcmcrle"],
    "JPEG Lossless, first-order": ["dcmcjpeg", "+e1"],
    "JPEG Lossless": ["dcmcjpeg", "+el"],
    "JPEG-LS": ["dcmcjpls", "+el"],
}
FILES = Path(pydicom.__file__).parent / "data" / "test_files"


@pytest.mark.parametrize(("bits", "signed"), [(8, False), (12, False), (16, False), (12, True), (16, True)])
@pytest.mark.parametrize("way", WAYS)
def test_lossless_storage_changes_no_pixel(way: str, bits: int, signed: bool, tmp_path: Path) -> None:
    tool = shutil.which(WAYS[way][0])
    if tool is None:
        pytest.skip("dcmtk is not installed here")
    pixels = ramp(bits, signed=signed)
    plain = film_with(tmp_path / "plain.dcm", pixels, bits=bits)
    subprocess.run([tool, *WAYS[way][1:], str(plain), str(tmp_path / "stored.dcm")], check=True, capture_output=True)
    film = read_film(tmp_path / "stored.dcm")
    assert np.array_equal(film.pixels, pixels)
    assert film.pixels.dtype.isnative


@pytest.mark.parametrize("kind", ["JPEG2000Lossless", "RLELossless"])
def test_what_pydicom_compresses_comes_back(kind: str, tmp_path: Path) -> None:
    path = film_with(tmp_path / "a.dcm", ramp(12), bits=12)
    dataset = pydicom.dcmread(path)
    dataset.compress(getattr(pydicom.uid, kind))
    dataset.save_as(path)
    assert np.array_equal(read_film(path).pixels, ramp(12))


def test_a_jpeg_2000_whose_sign_is_misdeclared_is_read_as_pydicom_corrects_it() -> None:
    film = read_film(FILES / "J2K_pixelrep_mismatch.dcm")
    assert film.pixels.min() == -2000
    assert len(film.contrasts) == 3


@pytest.mark.skipif(find_spec("libjpeg") is not None, reason="the extra decoder is installed here")
def test_12_bit_lossy_jpeg_names_the_decoder_that_is_missing() -> None:
    with pytest.raises(FilmError, match="one more decoder") as caught:
        read_film(FILES / "JPEG-lossy.dcm")
    assert "pylibjpeg-libjpeg" in caught.value.remedy


def test_damaged_compressed_pixels_are_refused(tmp_path: Path) -> None:
    path = film_with(tmp_path / "a.dcm", ramp(12), bits=12)
    dataset = pydicom.dcmread(path)
    dataset.compress(pydicom.uid.JPEG2000Lossless)
    dataset.PixelData = dataset.PixelData[:60] + bytes(len(dataset.PixelData) - 60)
    dataset.save_as(path)
    with pytest.raises(FilmError, match="damaged"):
        read_film(path)


def test_a_video_syntax_says_that_nothing_decodes_it(tmp_path: Path) -> None:
    path = film_with(tmp_path / "a.dcm", ramp(12), bits=12)
    dataset = pydicom.dcmread(path)
    dataset.compress(pydicom.uid.RLELossless)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.MPEG2MPML
    dataset.save_as(path)
    with pytest.raises(FilmError, match="no installed decoder reads MPEG2"):
        read_film(path)
