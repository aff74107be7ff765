"""Films that claim, or decompress to, more than a radiograph can contain."""

import os
import resource
import struct
import zlib
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
)

from ratui.errors import FilmError
from ratui.imaging import dicom_reader, read_film
from ratui.study import InProcessConverter
from ratui.study.importing import FilmRequest, ReaderProcess
from tests.films import film_file

pytestmark = pytest.mark.slow

WISH = FilmRequest("C-X", "L", "00")


def encapsulated(path: Path, frame: bytes, rows: int, columns: int) -> Path:
    dataset = pydicom.dcmread(film_file(path))
    dataset.decompress()
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.Rows, dataset.Columns = rows, columns
    dataset.PixelData = pydicom.encaps.encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    return path


def jpeg_2000(columns: int, rows: int, tile: int = 1024, components: int = 1) -> bytes:
    size = struct.pack(">HHIIIIIIIIH", 41, 0, columns, rows, 0, 0, tile, tile, 0, 0, components)
    return b"\xff\x4f\xff\x51" + size + b"\x0b\x01\x01" + b"\xff\x93" + b"\0" * 64 + b"\xff\xd9"


class TestBombs:
    @pytest.mark.parametrize(("rows", "columns"), [(60_000, 60_000), (11_000, 11_000), (1, 65_535)])
    def test_absurd_sizes_in_the_header(self, tmp_path: Path, rows: int, columns: int) -> None:
        dataset = pydicom.dcmread(film_file(tmp_path / "a.dcm"))
        dataset.Rows, dataset.Columns = rows, columns
        dataset.save_as(tmp_path / "a.dcm")
        with pytest.raises(FilmError, match="not that of a radiograph"):
            read_film(tmp_path / "a.dcm")

    @pytest.mark.parametrize(
        "frame",
        [
            jpeg_2000(200_000, 200_000),
            jpeg_2000(240, 240, tile=1),
            jpeg_2000(240, 240, components=16_384),
            b"\xff\xd8\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00\xff\xd9",
            b"\xff\xd8\xff\xf7\x00\x0b\x10\xff\xff\xff\xff\x01\x01\x11\x00\xff\xd9",
            b"\xff\xd8" + b"\xff" * 50,
            b"\xff\xd8\xff\xe0\x00\x00" * 20,
        ],
        ids=["size", "tiles", "components", "JPEG", "JPEG-LS", "fill", "no length"],
    )
    def test_a_codestream_that_claims_more_than_its_header(self, tmp_path: Path, frame: bytes) -> None:
        path = encapsulated(tmp_path / "a.dcm", frame, 240, 240)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(FilmError):
            read_film(path)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB

    def test_a_codestream_of_the_right_size_without_pixels_is_damaged(self, tmp_path: Path) -> None:
        with pytest.raises(FilmError, match="its compressed pixels are damaged"):
            read_film(encapsulated(tmp_path / "a.dcm", jpeg_2000(240, 240), 240, 240))

    def deflated(self, path: Path, length: int) -> Path:
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
        meta.MediaStorageSOPInstanceUID = "1.2.3"
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
        meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        dataset.PatientID = "P"
        dataset.save_as(path, enforce_file_format=True)
        squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        head = path.read_bytes()
        start = 132 + 12 + int(pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength)
        inflated = zlib.decompress(head[start:], -zlib.MAX_WBITS)
        element = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, length)
        with path.open("wb") as file:
            file.write(head[:start])
            file.write(squeeze.compress(inflated + element))
            for _ in range(length >> 20):
                file.write(squeeze.compress(b"\0" * (1 << 20)))
            file.write(squeeze.flush())
        return path

    def test_a_deflated_file_that_inflates_to_too_much(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dicom_reader, "MAX_FILE_BYTES", 50_000_000)
        path = self.deflated(tmp_path / "a.dcm", 64 << 20)
        assert path.stat().st_size < 1_000_000
        with pytest.raises(FilmError, match="decompressed content is larger"):
            read_film(path)

    @pytest.mark.parametrize("lie", [b"\0\0\0\0", b"\xff\xff\0\0"])
    def test_a_wrong_start_of_the_deflated_part(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: bytes
    ) -> None:
        monkeypatch.setattr(dicom_reader, "MAX_FILE_BYTES", 50_000_000)
        path = self.deflated(tmp_path / "a.dcm", 64 << 20)
        data = path.read_bytes()
        path.write_bytes(data[:140] + lie + data[144:])
        with pytest.raises(FilmError, match="decompressed content is larger"):
            read_film(path)

    def test_a_deflated_file_of_a_sane_size_is_read_on(self, tmp_path: Path) -> None:
        with pytest.raises(FilmError, match="contains no image"):
            read_film(self.deflated(tmp_path / "a.dcm", 1 << 20))

    def test_a_png_file_that_claims_too_much(self, tmp_path: Path) -> None:
        header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
        chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000))]
        data = b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in chunks
        )
        (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
        with pytest.raises(FilmError, match="not that of a radiograph"):
            InProcessConverter().convert(tmp_path / "a.png", WISH)

    def test_a_file_larger_than_any_film(self, tmp_path: Path) -> None:
        with (tmp_path / "a.dcm").open("wb") as file:
            file.truncate(dicom_reader.MAX_FILE_BYTES + 1)
        with pytest.raises(FilmError, match="too large to be a film"):
            read_film(tmp_path / "a.dcm")

    def test_a_special_file_is_rejected_without_waiting(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.dcm")
        with pytest.raises(FilmError, match="not a regular file"):
            read_film(tmp_path / "pipe.dcm")

    def test_an_endlessly_nested_sequence(self, tmp_path: Path) -> None:
        head = film_file(tmp_path / "a.dcm").read_bytes()[:132]
        meta = pydicom.dcmread(tmp_path / "a.dcm").file_meta
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        buffer = pydicom.filebase.DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        pydicom.filewriter.write_file_meta_info(buffer, meta)
        level = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
            "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
        )
        (tmp_path / "a.dcm").write_bytes(head + buffer.getvalue() + level * 30_000)
        with ReaderProcess(20.0) as converter, pytest.raises(FilmError):
            converter.convert(tmp_path / "a.dcm", WISH)
