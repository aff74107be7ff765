"""Other ways by which text could get from a film into a study: contradicting elements, tables, incomplete pictures."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

from ratui.errors import FilmError
from ratui.imaging import Film, LookupTable, Window, film_to_grey, read_stored_film
from ratui.study.importing import ConvertedFilm, FilmRequest, InProcessConverter
from ratui.study.importing.reader.film_maker import rewrite_tables
from tests.films import film_file
from tests.support.planted_text import bone, write

REQUEST = FilmRequest("C-X", "L", "00")


def convert(path: Path) -> ConvertedFilm:
    return InProcessConverter().convert(path, REQUEST)


def stored(path: Path) -> Dataset:
    return pydicom.dcmread(io.BytesIO(convert(path).data))


class TestBurnedInAnnotation:
    """A film with text in its pixels must not claim that the identity was removed (PS3.3 C.7.1.1)."""

    def test_of_the_header(self, tmp_path: Path) -> None:
        dataset = stored(film_file(tmp_path / "a.dcm", BurnedInAnnotation="YES"))
        assert (dataset.BurnedInAnnotation, dataset.PatientIdentityRemoved) == ("YES", "NO")

    def test_of_the_pixels(self, tmp_path: Path) -> None:
        for header in ({}, {"BurnedInAnnotation": "NO"}):
            path = film_file(tmp_path / "a.dcm", **header)  # type: ignore[arg-type]
            dataset = pydicom.dcmread(path)
            dataset.decompress()
            pixels = write(bone(), "MUSTERFRAU", 1.0)
            dataset.Rows, dataset.Columns = pixels.shape
            dataset.PixelData = pixels.tobytes()
            dataset.save_as(path)
            assert "seems to be burned" in convert(path).note
            new = stored(path)
            assert (new.BurnedInAnnotation, new.PatientIdentityRemoved) == ("YES", "NO")

    def test_a_film_without_text(self, tmp_path: Path) -> None:
        dataset = stored(film_file(tmp_path / "a.dcm", BurnedInAnnotation="NO"))
        assert (dataset.BurnedInAnnotation, dataset.PatientIdentityRemoved) == ("NO", "YES")


SECRET = b"MUSTERFRAU ERIKA 1956-03-12"


def letters(count: int) -> npt.NDArray[np.int64]:
    return np.resize(np.frombuffer(SECRET, np.uint8), count).astype(np.int64)


# Entries of a table with the text in them, by the form in which it could be hidden.
HIDDEN: dict[str, Callable[[int], npt.NDArray[np.int64]]] = {
    "as entries": letters,
    "in the high bytes": lambda count: letters(count) << 8,
    "as words of two letters": lambda count: letters(2 * count)[::2] | letters(2 * count)[1::2] << 8,
    "in the low bytes of a rising curve": lambda count: (np.arange(count) * 256 + letters(count)) % 65_536,
    "in the low bytes of a falling curve": lambda count: 65_535 - ((np.arange(count) * 256) + letters(count)),
    "in the low bytes of a slow curve": lambda count: (
        np.repeat(np.arange(count // 8 + 1) * 256, 8)[:count] + letters(count)
    ),
}


def traces(data: bytes) -> bool:
    """Return whether four letters of the text stand in `data`, or in every second byte, or in its bytes one by one."""
    views = [data, data[::2], data[1::2], bytes(255 - value for value in data)]
    views += [bytes(255 - value for value in data[start::2]) for start in (0, 1)]
    parts = [SECRET[start : start + 5] for start in range(len(SECRET) - 5)]
    return any(part in view or part[::-1] in view for view in views for part in parts)


class TestTables:
    def film(self, tmp_path: Path, keyword: str, values: npt.NDArray[np.int64]) -> Path:
        dataset = pydicom.dcmread(film_file(tmp_path / "a.dcm"))
        item = Dataset()
        item.LUTDescriptor = [len(values), 0, 16]
        item.add_new("LUTData", "OW", values.astype("<u2").tobytes())
        item.LUTExplanation = SECRET.decode()
        item.ModalityLUTType = "US"
        setattr(dataset, keyword, [item])
        dataset.save_as(tmp_path / "a.dcm")
        return tmp_path / "a.dcm"

    @pytest.mark.parametrize("keyword", ["ModalityLUTSequence", "VOILUTSequence"])
    @pytest.mark.parametrize("count", [27, 250, 256])
    @pytest.mark.parametrize("form", HIDDEN)
    def test_no_text_in_a_table_reaches_the_study(self, tmp_path: Path, form: str, count: int, keyword: str) -> None:
        path = self.film(tmp_path, keyword, HIDDEN[form](count))
        assert traces(path.read_bytes())  # the search finds the planted text
        data = convert(path).data
        assert b"MUSTER" not in data
        new = pydicom.dcmread(io.BytesIO(data))
        for item in [*new.get("ModalityLUTSequence", []), *new.get("VOILUTSequence", [])]:
            assert not traces(item.LUTData)

    def test_the_display_through_a_grey_table_does_not_change(self) -> None:
        rng = np.random.default_rng(0)
        for bits, count in ((8, 256), (10, 1024), (12, 4096), (16, 4096)):
            curve = np.sort(rng.integers(0, 1 << bits, count)).astype(np.uint16)
            table = LookupTable(0, curve[:: rng.choice([1, -1])], bits)
            film = Film(rng.integers(0, 4096, (50, 60)).astype(np.uint16), 12, contrasts=(table,))
            new = rewrite_tables(film)
            assert np.array_equal(film_to_grey(film, film.contrasts[0]), film_to_grey(new, new.contrasts[0]))
            assert np.unique(new.contrasts[0].values).size <= 256  # type: ignore[union-attr]

    def test_a_smooth_modality_table_changes_by_a_rounding_error_and_only_once(self) -> None:
        inputs = np.arange(4096)
        curves = {
            "linear": inputs * 15,
            "root": np.sqrt(inputs / 4095) * 65_535,
            "logarithm": np.log10(inputs + 100) / np.log10(4195) * 60_000,
            "small": inputs / 16,
        }
        for name, curve in curves.items():
            values = np.rint(curve).astype(np.uint16)
            film = Film(np.zeros((20, 20), np.uint16), 12, modality_table=LookupTable(0, values, 16))
            new = rewrite_tables(film)
            assert new.modality_table is not None
            error = np.abs(new.modality_table.values.astype(int) - values.astype(int))
            assert error.max() < 64, name
            assert error[100:].max() <= 8, name
            again = rewrite_tables(new).modality_table
            assert again is not None
            assert np.array_equal(again.values, new.modality_table.values)

    def test_a_table_that_rises_and_falls_is_left_out_with_a_note(self) -> None:
        wave = np.array([0, 200, 100, 4000], np.uint16)
        film = Film(
            np.zeros((20, 20), np.uint16),
            12,
            modality_table=LookupTable(0, wave, 12),
            contrasts=(LookupTable(0, wave, 12), Window(1, 2)),
        )
        new = rewrite_tables(film)
        assert new.modality_table is None
        assert new.contrasts == (Window(1, 2),)
        assert len(new.notes) == 2

    def test_the_stored_film_contains_the_rewritten_table(self, tmp_path: Path) -> None:
        values = np.rint(np.sqrt(np.arange(4096) / 4095) * 65_535).astype(np.int64)
        data = convert(self.film(tmp_path, "ModalityLUTSequence", values)).data
        table = read_stored_film(data, tmp_path).modality_table
        assert table is not None
        assert len(table.values) == 4096


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(pixels: npt.NDArray[np.uint8], rows: int, *, more: bytes = b"") -> bytes:
    """Return a PNG file of which the compressed data contain only the first `rows` rows."""
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 0, 0, 0, 0)
    data = b"".join(b"\0" + row.tobytes() for row in pixels[:rows])
    parts = chunk(b"IHDR", header) + more + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


class TestIncompletePng:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 40)).astype(np.uint8)

    def read(self, tmp_path: Path, data: bytes) -> Film:
        (tmp_path / "a.png").write_bytes(data)
        return read_stored_film(convert(tmp_path / "a.png").data, tmp_path)

    def test_a_complete_file_is_read(self, tmp_path: Path) -> None:
        assert np.array_equal(self.read(tmp_path, png(self.pixels, 64)).pixels, self.pixels)
        for mode, options in (("L", {}), ("I;16", {}), ("L", {"optimize": True})):
            file = io.BytesIO()
            Image.fromarray(self.pixels).convert(mode).save(file, "PNG", **options)
            assert np.array_equal(self.read(tmp_path, file.getvalue()).pixels, self.pixels)

    @pytest.mark.parametrize("rows", [0, 10, 63])
    def test_missing_rows_are_refused(self, tmp_path: Path, rows: int) -> None:
        with pytest.raises(FilmError, match="rows of it are missing"):
            self.read(tmp_path, png(self.pixels, rows))

    def test_a_cut_or_damaged_file_is_refused(self, tmp_path: Path) -> None:
        data = png(self.pixels, 64)
        at = data.index(b"IDAT")
        damaged = data[: at + 30] + bytes([data[at + 30] ^ 1]) + data[at + 31 :]
        for changed in (data[:-12], data[: len(data) // 2], data[:-4], damaged):
            with pytest.raises(FilmError):
                self.read(tmp_path, changed)

    def test_a_bomb_of_text_or_of_pixels_is_not_inflated(self, tmp_path: Path) -> None:
        bomb = zlib.compress(b"x" * 200_000_000, 9)
        text = chunk(b"zTXt", b"Comment\0\0" + bomb) * 3 + chunk(b"iCCP", b"p\0\0" + bomb)
        assert np.array_equal(self.read(tmp_path, png(self.pixels, 64, more=text)).pixels, self.pixels)
        header = struct.pack(">IIBBBBB", 40, 64, 8, 0, 0, 0, 0)
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", bomb) + chunk(b"IEND", b"")
        with pytest.raises(FilmError, match="too many"):
            self.read(tmp_path, data)


class TestIncompleteDicom:
    """Decoders fill what is missing with one grey; a film without its lower half must not look complete."""

    def cut(self, tmp_path: Path, syntax: str, part: float, end: bytes = b"") -> Path:
        """Write a film of which only a part of the compressed pixels exists, followed by `end`."""
        dataset = pydicom.dcmread(film_file(tmp_path / "a.dcm"))
        dataset.decompress()
        dataset.compress(syntax, generate_instance_uid=False)
        frame = pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1)
        frame = frame[: int(part * len(frame))] + end
        dataset.PixelData = pydicom.encaps.encapsulate([frame + b"\0" * (len(frame) % 2)])
        dataset["PixelData"].is_undefined_length = True
        dataset.save_as(tmp_path / "a.dcm")
        return tmp_path / "a.dcm"

    @pytest.mark.parametrize("end", [b"", b"\xff\xd9"], ids=["cut", "end written again"])
    @pytest.mark.parametrize("part", [0.1, 0.5, 0.95])
    @pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless])
    def test_missing_rows_are_refused(self, tmp_path: Path, syntax: str, part: float, end: bytes) -> None:
        with pytest.raises(FilmError, match=r"cut off|damaged|decoded"):
            convert(self.cut(tmp_path, syntax, part, end))

    @pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless])
    def test_complete_films_are_read(self, tmp_path: Path, syntax: str) -> None:
        assert convert(self.cut(tmp_path, syntax, 1.0, b"\0" * 20)).rows == 240

    def test_runs_that_are_longer_than_the_picture_are_refused(self, tmp_path: Path) -> None:
        """Write 4 MB of run-length codes (PS3.5 Annex G) that decode to 256 MB for a picture of 96 kB."""
        run = b"\x81\x00" * 1_000_000
        path = self.cut(tmp_path, RLELossless, 0.0, struct.pack("<16L", 2, 64, 64 + len(run), *[0] * 13) + run + run)
        with pytest.raises(FilmError, match="larger than the picture"):
            convert(path)

    @pytest.mark.parametrize("part", [0.3, 0.9])
    def test_a_cut_baseline_jpeg_is_refused(self, tmp_path: Path, part: float) -> None:
        file = io.BytesIO()
        Image.fromarray((bone(240, 200) >> 4).astype(np.uint8)).save(file, "JPEG")
        frame = file.getvalue()
        dataset = pydicom.dcmread(film_file(tmp_path / "a.dcm"))
        dataset.decompress()
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        for data in (frame, frame[: int(part * len(frame))]):
            dataset.PixelData = pydicom.encaps.encapsulate([data + b"\0" * (len(data) % 2)])
            dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
            dataset.save_as(tmp_path / "a.dcm")
            if data == frame:
                assert convert(tmp_path / "a.dcm").rows == 240
            else:
                with pytest.raises(FilmError, match="cut off"):
                    convert(tmp_path / "a.dcm")
