"""The pixels of an import are those of the source, whatever its header states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from openjpeg.utils import encode_array
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from ratui.imaging import read_stored_film
from ratui.study import Study, import_films
from ratui.study.importing import FilmRequest, InProcessConverter, ReaderProcess
from ratui.study.importing.film_maker import verify_stored_film
from tests.films import film_file
from tests.imaging.odd_films import film_with
from tests.imaging.test_pixels_against_header import shape

REQUEST = FilmRequest("C-X", "L", "00")


def jpeg_2000_film(path: Path, stated: int) -> Path:
    """Write a film with a JPEG 2000 image of 12 bits under a header that states other ones."""
    values = shape(12)
    dataset = pydicom.dcmread(film_file(path))
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.Rows, dataset.Columns = values.shape
    dataset.BitsStored, dataset.HighBit = stated, stated - 1
    dataset.PixelData = encapsulate([bytes(encode_array(values, bits_stored=12))])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    return path


def test_an_import_keeps_all_bits_and_says_so(tmp_path: Path) -> None:
    jpeg_2000_film(tmp_path / "hospital" / "a.dcm", 10)
    study = Study.create(tmp_path / "study", "fingers", ["anna"])
    report = import_films(study, [tmp_path / "hospital"], key=tmp_path / "key.json")
    (film,) = report.imported
    assert film.note == "its header states 10 bits a pixel, but its pixels have 12; the pixels were used"
    (record,) = study.case(film.case).films
    assert np.array_equal(study.film(film.case, record.id).pixels, shape(12))


@pytest.mark.parametrize(
    ("pixels", "bits"),
    [
        (shape(8).astype("<u2"), 8),
        (shape(10), 10),
        (shape(12).astype("<i2") - 700, 13),
        (shape(8).astype("<i2") - 100, 9),
        (shape(7).astype("<i2") - 50, 8),
        (shape(8).astype(np.uint8), 8),
    ],
    ids=["8 of 16", "10 of 16", "signed", "signed 9 of 16", "signed 8 of 16", "8"],
)
def test_each_depth_comes_back_and_is_verified(tmp_path: Path, pixels: np.ndarray[Any, Any], bits: int) -> None:
    path = film_with(tmp_path / "a.dcm", pixels, bits=bits)
    data = InProcessConverter().convert(path, REQUEST).data
    film = read_stored_film(data, path)
    assert np.array_equal(film.pixels, pixels)
    (tmp_path / "stored.dcm").write_bytes(data)
    assert verify_stored_film(tmp_path / "stored.dcm", "C-X", "L").rows == pixels.shape[0]


def test_a_note_repeats_no_text_of_the_file(tmp_path: Path) -> None:
    more = {"VOILUTFunction": "DOE JOHN", "WindowCenter": 5, "WindowWidth": 9, "PresentationLUTShape": "INVERSE"}
    with ReaderProcess() as reader:
        note = reader.convert(film_file(tmp_path / "a.dcm", **more), REQUEST).note
    assert "its window function is unknown" in note
    assert "MONOCHROME2 and INVERSE" in note
    assert "DOE" not in note
