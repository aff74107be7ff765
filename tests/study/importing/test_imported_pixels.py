"""The pixels of an import are those of the source, whatever its header states."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from openjpeg.utils import encode_array
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from ratui.errors import FilmError
from ratui.imaging import read_stored_film
from ratui.study import Study, import_films
from ratui.study.importing import FilmRequest, InProcessConverter, ReaderProcess
from ratui.study.importing.reader.own_films import verify_stored_film
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


def test_a_film_without_a_picture_is_refused(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(film_file(tmp_path / "a.dcm"))
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for value in (b"\0\0", b"\xff\x0f"):
        dataset.PixelData = value * (dataset.Rows * dataset.Columns)
        dataset["PixelData"].is_undefined_length = False
        dataset.save_as(tmp_path / "a.dcm")
        with pytest.raises(FilmError, match="all its pixels are equal"):
            InProcessConverter().convert(tmp_path / "a.dcm", REQUEST)


def test_a_dataset_without_the_header_of_a_file_is_named(tmp_path: Path) -> None:
    path = film_file(tmp_path / "a.dcm")
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    bare = [path.read_bytes()[132:]]
    for implicit in (True, False):
        written = io.BytesIO()
        pydicom.dcmwrite(written, pydicom.Dataset(dataset), implicit_vr=implicit, little_endian=True)
        bare.append(written.getvalue())
    for data in bare:
        path.write_bytes(data)
        with pytest.raises(FilmError, match="does not state the pixel format"):
            InProcessConverter().read_header(path)
    path.write_bytes(b"\x08\x00 text")
    with pytest.raises(FilmError, match="not a DICOM file"):
        InProcessConverter().read_header(path)


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
