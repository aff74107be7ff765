"""Malicious or corrupt films: each is listed with its outcome, and nothing else happens."""

import contextlib
import time
from pathlib import Path

import numpy as np
import pydicom
import pytest

from ratui.errors import FilmError, SchemeError, StudyError
from ratui.imaging import read_film
from ratui.scheme import load_scheme
from ratui.study import InProcessConverter, Study, import_films
from ratui.study.importing import FilmRequest, ReaderProcess
from ratui.study.importing.headers.identification import identify
from ratui.study.importing.planning.manifest import read_manifest
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
    named = dict.fromkeys(names, f"X{evil}")
    more = {**named, "SeriesDescription": "Hand PA", "SpecificCharacterSet": "ISO_IR 192"}
    for number, day in enumerate(("20200302", "20210504")):
        film_file(hospital / f"{number}{evil}.dcm", day=day, seed=number, **more)
    film_file(hospital / f"side{evil}.dcm", side="", **{**more, "SeriesDescription": evil})
    film_file(hospital / f"view{evil}.dcm", **{**more, "ViewPosition": "\x1b[2J"})
    (hospital / f"letter{evil}").write_text(evil)
    (hospital / "films.csv").write_text(f"file,patient,time,side\n{evil},{evil},{evil},{evil}\n")
    study = tmp_path / f"study{evil}"
    printed = [
        run_ratui("new", study, "--rater", "anna", "--scheme", "fingers", "--title", f"T{evil}"),
        run_ratui("import", study, hospital, "--no-propose", "--key", tmp_path / "k" / f"key{evil}"),
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
