"""Undocumented behaviour of pydicom that ratui relies on."""

from pathlib import Path

import pydicom
import pytest
from pydicom.errors import InvalidDicomError

from ratui.imaging import pydicom_internals
from ratui.imaging.pydicom_internals import read_meta_information
from tests.films import film_file
from tests.internals import relying_on


def test_the_reader_stops_at_the_first_byte_after_the_meta_information(tmp_path: Path) -> None:
    path = film_file(tmp_path / "a.dcm")
    with relying_on("the private reader of meta information reads it to its end and no further", pydicom_internals):
        with path.open("rb") as file:
            meta = read_meta_information(file)
            first = file.read(4)
        assert meta.TransferSyntaxUID == pydicom.dcmread(path).file_meta.TransferSyntaxUID
        assert first[:2] == b"\x08\x00", "the data set begins with group 0008"


def test_a_wrong_length_of_the_meta_information_doesn_t_matter(tmp_path: Path) -> None:
    data = bytearray(film_file(tmp_path / "a.dcm").read_bytes())
    assert data[132:136] == b"\x02\x00\x00\x00"
    data[140:144] = (4).to_bytes(4, "little")
    (tmp_path / "b.dcm").write_bytes(data)
    with (
        relying_on("the private reader takes no notice of the length", pydicom_internals),
        (tmp_path / "b.dcm").open("rb") as file,
    ):
        assert "TransferSyntaxUID" in read_meta_information(file)
        assert file.read(2) == b"\x08\x00"


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a letter" * 100)
    with (tmp_path / "a.txt").open("rb") as file, pytest.raises(InvalidDicomError):
        read_meta_information(file)
