"""Malicious or corrupt films: each is listed with its outcome, and nothing else happens."""

import contextlib
import os
import resource
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
)

from ratui.errors import FilmError, SchemeError, StudyError
from ratui.imaging import dicom_reader, read_film
from ratui.scheme import load_scheme
from ratui.study import InProcessConverter, Study, import_films
from ratui.study.importing import FilmRequest, ReaderProcess
from ratui.study.importing.identification import identify
from ratui.study.importing.manifest import read_manifest
from ratui.study.importing.reader_worker import LARGEST_MEMORY
from tests.films import film_file
from tests.study.conftest import RunRatui
from tests.support.fault_harness.fuzz import mutations, own_test_files

pytestmark = pytest.mark.slow

WISH = FilmRequest("C-X", "L", "00")


def read_outcomes(paths: list[Path], timeout: float = 20.0) -> dict[str, list[str]]:
    """Return the outcome of each file, by kind; each file must be finished within the time limit."""
    outcomes: dict[str, list[str]] = {}
    with ReaderProcess(timeout) as converter:
        for path in paths:
            begun = time.monotonic()
            try:
                identify(converter.read_header(path), load_scheme("mtss").views)
                made = converter.convert(path, WISH)
                outcome = f"taken, {made.rows} × {made.columns}"
            except FilmError as error:
                outcome = error.problem
            assert time.monotonic() - begun < 2 * timeout + 5
            outcomes.setdefault(outcome, []).append(path.name)
    return outcomes


def test_all_of_pydicoms_own_test_files_have_an_outcome() -> None:
    files = own_test_files()
    assert len(files) > 80
    outcomes = read_outcomes(files)
    assert sum(map(len, outcomes.values())) == len(files)
    assert any(outcome.startswith("taken") for outcome in outcomes)
    assert "the decoder crashed on it; it is damaged or malicious" not in outcomes
    assert "reading it took too long" not in outcomes


def mutants(folder: Path, count: int, seed: int) -> list[Path]:
    """Write `count` mutations of pydicom's own files and of a film of ours."""
    sources = [*own_test_files(), film_file(folder.with_suffix(".own") / "film.dcm")]
    made = []
    for number, (_, data) in enumerate(mutations(sources, count, seed)):
        made.append(folder / f"m{number}.dcm")
        made[-1].write_bytes(data)
    return made


def test_a_hundred_mutations_have_an_outcome(tmp_path: Path) -> None:
    outcomes = read_outcomes(mutants(tmp_path, 100, seed=20))
    assert sum(map(len, outcomes.values())) == 100
    assert len(outcomes) > 3


def test_an_import_lists_each_file_once_and_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "h"
    folder.mkdir()
    files = [path for path in own_test_files() if path.suffix == ".dcm"][:25]
    for path in files:
        (folder / path.name).write_bytes(path.read_bytes())
    film_file(folder / "good.dcm", patient="Good")
    mutants(folder, 10, seed=4)
    study = Study.create(tmp_path / "study", "fingers", ["anna"])
    report = import_films(study, [folder], key=tmp_path / "key.json")
    listed = [item.path.name for item in (*report.imported, *report.rejected)]
    assert sorted(listed) == sorted(path.name for path in folder.iterdir())
    assert "good.dcm" in {item.path.name for item in report.imported}


class TestTheReaderProcess:
    """A decoder that crashes, hangs or uses too much memory affects its file only."""

    def begin(self, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
        """Start the worker, with `code` run before it reads a file called bad.dcm."""
        from ratui.study.importing import reader_process as isolated

        text = (
            "import ratui.study.importing.reader_worker as w\nreal = w.read_film_header\n"
            "def read_film_header(path):\n    if path.name == 'bad.dcm':\n"
            f"        {code}\n    return real(path)\n"
            "w.read_film_header = read_film_header\nw.main()\n"
        )
        monkeypatch.setattr(isolated, "_WORKER_CODE", text)

    @pytest.mark.parametrize(
        ("code", "says"),
        [
            ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crash"),
            ("import os; os._exit(0)", "crash"),
            ("import time; time.sleep(60)", "too long"),
            ("bytearray(1 << 40)", "more memory"),
            ("raise RuntimeError('Doe')", "RuntimeError"),
            ("print('Doe' * 10**6)", ""),
        ],
        ids=["crash", "exit", "hang", "memory", "fault", "chatter"],
    )
    def test_only_that_file_is_lost(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, says: str
    ) -> None:
        self.begin(monkeypatch, code)
        good, bad = film_file(tmp_path / "good.dcm"), film_file(tmp_path / "bad.dcm")
        with ReaderProcess() as converter:
            assert (
                converter.read_header(good).elements["Laterality"] == "L"
            )  # the process has started, so a hang is detected at once
            converter._timeout = 0.5 if says == "too long" else 20.0
            if says:
                with pytest.raises(FilmError, match=says) as caught:
                    converter.read_header(bad)
                assert "Doe" not in str(caught.value)
            else:
                assert converter.read_header(bad).elements["Laterality"] == "L"
            converter._timeout = 20.0
            assert converter.read_header(good).elements["Laterality"] == "L"

    def test_it_can_write_no_file_and_leaves_no_memory_image(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        target = tmp_path / "out"
        self.begin(monkeypatch, f"open({str(target)!r}, 'w').write('x'); raise SystemExit")
        with ReaderProcess(5.0) as converter, pytest.raises(FilmError):
            converter.read_header(film_file(tmp_path / "bad.dcm"))
        assert not target.exists() or target.stat().st_size == 0
        assert list(tmp_path.glob("core*")) == []

    def test_it_gives_the_same_film_as_reading_in_this_process(self, tmp_path: Path) -> None:
        path = film_file(tmp_path / "a.dcm")
        with ReaderProcess() as converter:
            assert converter.read_header(path) == InProcessConverter().read_header(path)
            one, two = converter.convert(path, WISH), InProcessConverter().convert(path, WISH)
        assert (one.rows, one.columns, one.spacing, one.digest) == (two.rows, two.columns, two.spacing, two.digest)
        assert resource.getrlimit(resource.RLIMIT_AS)[0] != LARGEST_MEMORY  # only the worker has the limit

    def test_a_machine_of_many_cores_leaves_enough_memory_to_look_for_text(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("OPENCV_FOR_THREADS_NUM", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
            monkeypatch.setenv(name, "64")
        pixels = np.full((4000, 5000), 100, np.uint8)
        pixels[::7, ::7] = 255
        pixels[::11] = 180  # a picture of two levels is no film
        Image.fromarray(pixels).save(tmp_path / "large.png")
        with ReaderProcess() as converter:
            assert converter.convert(tmp_path / "large.png", WISH).rows == 4000

    @pytest.mark.parametrize(
        "answer",
        [
            "[" * 60_000,
            "[]",
            "7",
            '{"bytes": null}',
            '{"bytes": []}',
            '{"bytes": 0, "error": 7}',
            '{"bytes": 0, "error": ["a"]}',
            '{"bytes": 0, "error": ["a", "b"], "frames": 7}',
            '{"bytes": 0}',
        ],
    )
    def test_an_odd_answer_is_a_rejected_film(self, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A film that controls the process can make it answer anything."""
        code = f"import sys; sys.stdin.readline(); print({answer!r}, flush=True)"
        monkeypatch.setattr("ratui.study.importing.reader_process._WORKER_CODE", code)
        with ReaderProcess(20.0) as converter, pytest.raises(FilmError):
            converter.verify(Path("film.dcm"), "C-1", "L")


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


class TestText:
    def test_a_manifest_of_a_thousand_columns_or_a_long_field(self, tmp_path: Path) -> None:
        scheme = load_scheme("fingers")
        path = tmp_path / "m.csv"
        path.write_text("file,patient,time,side\n" + "a.png," + "x" * 200_000 + ",0,L\n")
        with pytest.raises(StudyError, match="can't be read"):
            read_manifest(path, scheme)
        path.write_text("file,patient,time,side\n" + "a.png,P,0,L" + "," * 100_000 + "\n")
        assert len(read_manifest(path, scheme)) == 1

    @pytest.mark.parametrize("name", ["../x.png", "/etc/passwd", "a/../../x.png", "link/x.png", "\0.png", "~root/x"])
    def test_a_manifest_can_not_reach_out_of_its_folder(self, tmp_path: Path, name: str) -> None:
        folder = tmp_path / "m"
        folder.mkdir()
        (folder / "link").symlink_to("/etc")
        (folder / "films.csv").write_text(f"file,patient,time,side\n{name},P,0,L\n")
        with contextlib.suppress(StudyError):
            rows = read_manifest(folder / "films.csv", load_scheme("fingers"))
            assert all(row.path.is_relative_to(folder) for row in rows)

    @pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "x" * 300_000, "a = 1\n" * 200_000])
    def test_oversized_settings_are_rejected(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "study.toml").write_text(text)
        with pytest.raises(StudyError):
            Study.open(tmp_path)

    def test_an_endlessly_nested_scheme_is_rejected(self, tmp_path: Path) -> None:
        (tmp_path / "deep.toml").write_text("a = " + "[" * 100_000)
        with pytest.raises(SchemeError, match="not valid TOML"):
            Study.create(tmp_path / "study", str(tmp_path / "deep.toml"), ["anna"])
        assert not (tmp_path / "study").exists()

    def test_numbers_of_a_million_digits_in_a_stored_file(self, tmp_path: Path) -> None:
        study = Study.create(tmp_path / "s", "fingers", ["anna"])
        (study.path / "regions" / "C-1.json").write_text('{"regions":{"1":{"box":' + "9" * 1_000_000 + "}}}")
        with pytest.raises(StudyError, match="damaged"):
            study.regions("C-1")


def test_pixels_of_any_kind_are_unchanged(tmp_path: Path) -> None:
    """Check signed pixels, odd sizes, few bits and any level: the stored film equals the source."""
    for number, (dtype, bits, shape) in enumerate(
        [("uint8", 8, (17, 31)), ("uint16", 10, (33, 17)), ("uint16", 16, (20, 20)), ("int16", 12, (21, 19))]
    ):
        rng = np.random.default_rng(number)
        low = -(1 << (bits - 1)) if dtype.startswith("i") else 0
        pixels = rng.integers(low, low + (1 << bits), shape).astype(dtype)
        dataset = pydicom.dcmread(film_file(tmp_path / "a.dcm"))
        dataset.decompress()
        dataset.Rows, dataset.Columns = shape
        dataset.BitsAllocated, dataset.BitsStored = 8 * pixels.dtype.itemsize, bits
        dataset.HighBit, dataset.PixelRepresentation = bits - 1, int(dtype.startswith("i"))
        data = pixels.tobytes()
        dataset.PixelData = data + b"\0" * (len(data) % 2)
        dataset["PixelData"].VR = "OW" if bits > 8 else "OB"
        dataset.save_as(tmp_path / "b.dcm")
        made = InProcessConverter().convert(tmp_path / "b.dcm", WISH)
        (tmp_path / "c.dcm").write_bytes(made.data)
        assert np.array_equal(read_film(tmp_path / "c.dcm").pixels, pixels)


def test_escape_sequences_are_never_printed(tmp_path: Path, run_ratui: RunRatui) -> None:
    """Put escape sequences into headers, file names, a manifest and the title of a study."""
    evil = "\x1b]0;x\x07\x1b[2J\x9b31m\r\u202e"
    hospital = tmp_path / f"h{evil}"
    names = ("PatientID", "PatientName", "StudyDescription", "SeriesDescription", "InstitutionName")
    more = {**dict.fromkeys(names, f"X{evil}"), "SpecificCharacterSet": "ISO_IR 192"}
    for number, day in enumerate(("20200302", "20210504")):
        film_file(hospital / f"{number}{evil}.dcm", day=day, seed=number, **more)
    film_file(hospital / f"side{evil}.dcm", side="", **{**more, "SeriesDescription": evil})
    film_file(hospital / f"view{evil}.dcm", **{**more, "ViewPosition": "\x1b[2J"})
    (hospital / f"letter{evil}").write_text(evil)
    (hospital / "films.csv").write_text(f"file,patient,time,side\n{evil},{evil},{evil},{evil}\n")
    study = tmp_path / f"study{evil}"
    printed = [
        run_ratui("new", study, "--rater", "anna", "--scheme", "fingers", "--title", f"T{evil}"),
        run_ratui("import", study, hospital, "--key", tmp_path / "k" / f"key{evil}"),
        run_ratui("import", study, "--manifest", hospital / "films.csv", "--key", tmp_path / "k", code=1),
        run_ratui("import", study, hospital / f"none{evil}", code=1),
        run_ratui("new", study, "--rater", evil, code=1),
        run_ratui("new", tmp_path / "s", "--rater", "a", "--scheme", f"{evil}.toml", code=1),
        run_ratui("status", study),
        run_ratui("read", study, "--rater", evil, code=1),
        run_ratui("read", study, "--rater", "anna", "--case", evil, code=1),
        run_ratui("check", study),
        run_ratui("backup", study, tmp_path / f"b{evil}.zip"),
        run_ratui("restore", tmp_path / f"b{evil}.zip", tmp_path / f"r{evil}"),
        run_ratui("merge", study, tmp_path / f"r{evil}", "--rater", "anna"),
    ]
    assert b"2 films of 1 case imported" in printed[1]
    for text in printed:
        assert not [character for character in text.decode() if character != "\n" and not character.isprintable()]
