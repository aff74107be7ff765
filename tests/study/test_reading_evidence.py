"""Evidence in a reading: its films, time spent and displays agree with its log, and tampering with them is noticed."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ratui.errors import StoreError
from ratui.files import second_copy_path
from ratui.reading import Field, GradeEntry, enter
from ratui.study import AutoSaver, DisplayUse, InProcessConverter, Study, import_films
from ratui.study.check import check_study
from ratui.study.readings.stored_reading import hash_film
from ratui.study.store import open_seal, seal
from ratui.study.store.seal import read_chains
from tests.films import confirm_template, hospital
from tests.support.tampering import AT, FIELDS, SHOWN, Clock, Tables, read_case, tamper


@pytest.fixture
def study(tmp_path: Path) -> Study:
    study = Study.create(tmp_path / "study", "fingers", ["anna", "bert"])
    import_films(study, [hospital(tmp_path / "h")], key=tmp_path / "key.json", converter=InProcessConverter())
    confirm_template(study, study.cases()[0], "anna")
    return study


def test_a_reading_states_its_films_and_times(study: Study) -> None:
    file = read_case(study)
    (case,) = study.cases()
    tables = open_seal(file.read_bytes()).tables
    films = {film.id: film for film in study.case(case).films}
    assert {record["film"] for record in tables["seen"].values()} == set(films)
    for record in tables["seen"].values():
        film = films[record["film"]]
        assert record["content"] == hash_film(study.config.id, film.file) != film.file
        assert film.id in tables["meta"]["1"]["positions"][record["position"]]
    assert [entry["seconds"] for entry in tables["log"].values()] == [7.5, 15.0, 22.5, 30.0, 37.5, 45.0]
    assert list(tables["times"].values()) == [{"entries": 6, "seconds": 55.0}]
    assert check_study(study.path).is_intact


def test_the_evidence_stays_when_the_reading_is_continued(study: Study) -> None:
    file = read_case(study)
    before = read_chains(open_seal(file.read_bytes()).tables)
    read_case(study, fields=[Field("L.MCP2", "ERO", time) for time in (0, 1)])
    after = read_chains(open_seal(file.read_bytes()).tables)
    assert after.continues(before)
    assert (len(after.log), len(after.times)) == (8, 2)
    assert check_study(study.path).is_intact


def test_the_hash_of_a_film_differs_between_studies() -> None:
    assert hash_film("a", "5f") != hash_film("b", "5f")
    assert hash_film("a", "") == ""


def test_entries_after_a_failed_save_get_the_time_of_the_next_save(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    (case,) = study.cases()
    clock = Clock()
    with study.open_reading("anna", case) as session:
        saver = AutoSaver(session, clock)
        for number, field in enumerate(FIELDS[:4]):
            clock.now += 10
            saver.count_time()
            entered = enter(saver.reading, field, GradeEntry(1), timestamp=AT, key="1", display=SHOWN)
            with monkeypatch.context() as patched:
                if number in (1, 2):
                    patched.setattr(os, "replace", lambda *a, **k: (_ for _ in ()).throw(OSError(28, "full")))
                assert saver.save(entered) == (number not in (1, 2))
    tables = open_seal(study.reading_path("anna", case).read_bytes()).tables
    assert [entry["seconds"] for entry in tables["log"].values()] == [10.0, 40.0, 40.0, 40.0]
    assert check_study(study.path).is_intact


def less_time(tables: Tables) -> None:
    tables["meta"]["1"]["seconds"] = 20.0


def more_time(tables: Tables) -> None:
    tables["meta"]["1"]["seconds"] = 500.0


def better_display(tables: Tables) -> None:
    for use in tables["meta"]["1"]["displays"]:
        use["below"], use["least"] = 0, 5.0


def no_display(tables: Tables) -> None:
    tables["meta"]["1"]["displays"] = []


def more_displays(tables: Tables) -> None:
    tables["meta"]["1"]["displays"].append(DisplayUse("iterm2", 3, 0, 9.0).to_record())


def decreasing(tables: Tables) -> None:
    tables["log"]["3"]["seconds"] = 1000.0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (less_time, "it states 20 s of reading, but its log 55 s"),
        (more_time, "it states 500 s of reading, but its log 55 s"),
        (better_display, "the displays that it states are not those of its log"),
        (no_display, "the displays that it states are not those of its log"),
        (more_displays, "the displays that it states are not those of its log"),
        (decreasing, "the time spent on it decreases in its log"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_changed_reading_times_and_displays_are_noticed(
    study: Study, change: Callable[[Tables], object], problem: str
) -> None:
    file = read_case(study)
    before = file.read_bytes()
    tamper(file, change)
    (fault,) = check_study(study.path).faults
    assert fault.problem == problem
    check_study(study.path, repair=True)
    assert (file.read_bytes() == before) == (change is not decreasing), "the log proves all other values"


def test_other_films_than_those_of_the_case_are_noticed(study: Study) -> None:
    """Replace a film together with its digest in the list of films."""
    file = read_case(study)
    (case,) = study.cases()
    known = study.case(case)
    film = known.films[0]
    other = known.films[1]
    data = study.film_path(case, other.id).read_bytes()
    study.film_path(case, film.id).write_bytes(data)
    study.save_case(replace(known, films=(replace(film, file=other.file, digest=other.digest), *known.films[1:])))
    problems = [fault.problem for fault in check_study(study.path).faults if fault.file.startswith("readings")]
    assert problems == [f"it was made on another version of the film {film.id}"]
    tamper(file, lambda tables: tables["seen"]["1"].update(film="zz"))
    problems = [fault.problem for fault in check_study(study.path).faults if fault.file.startswith("readings")]
    assert "it was made on the film zz, which the case does not have" in problems


@pytest.mark.parametrize("value", ["x", None, [], {}, -1e999])
@pytest.mark.parametrize("place", ["seconds", "times", "content", "display"])
def test_odd_values_are_reported(study: Study, place: str, value: Any) -> None:
    file = read_case(study)

    def change(tables: Tables) -> None:
        match place:
            case "seconds":
                tables["log"]["2"]["seconds"] = value
            case "times":
                tables["times"]["1"]["entries"] = value
            case "content":
                tables["seen"]["1"]["film"] = value
            case "display":
                tables["meta"]["1"]["displays"] = value

    if value == -1e999:
        value = -1e300
    tamper(file, change)
    assert not check_study(study.path).is_intact


def test_a_clock_that_was_set_back_is_noted(study: Study) -> None:
    read_case(study, step=timedelta(hours=-1))
    report = check_study(study.path)
    assert report.is_intact
    (case,) = study.cases()
    notes = [note for note in report.notes if "clock" in note]
    assert len(notes) == len(FIELDS) - 1
    assert notes[0] == f"readings/anna/{case}.json: the clock was set back by 1:00:00 before entry 2"


class TestSecondCopies:
    def flip(self, file: Path, table: str = "fields") -> None:
        data = bytearray(file.read_bytes())
        data[data.index(b'"%s"' % table.encode()) + 12] ^= 1
        file.write_bytes(data)

    def test_the_true_copy_is_read(self, study: Study) -> None:
        file = read_case(study)
        before = study.reading("anna", file.stem)
        self.flip(file)
        assert Study.open(study.path).reading("anna", file.stem) == before

    @pytest.mark.parametrize("table", ["meta", "fields", "seen", "log", "times", "seal"])
    def test_a_tampered_copy_is_never_read_or_restored(self, study: Study, table: str) -> None:
        """One bit of the file flips, and somebody has written another history into the second copy."""
        file = read_case(study)
        (case,) = study.cases()
        copy = second_copy_path(file)
        sealed = open_seal(copy.read_bytes())
        sealed.tables["log"]["3"]["changes"][0]["new"] = {"grade": 5}
        field = next(
            record
            for record in sealed.tables["fields"].values()
            if all(record[key] == sealed.tables["log"]["3"]["changes"][0][key] for key in ("site", "scale", "time"))
        )
        field["grade"] = 5
        copy.write_bytes(seal(sealed.tables, sealed.sealed_as))
        self.flip(file, table)
        with pytest.raises(StoreError, match="another history"):
            Study.open(study.path).reading("anna", case)
        with pytest.raises(StoreError), study.open_reading("anna", case):
            pass
        check_study(study.path, repair=True)
        reading = None
        if file.exists():
            reading = Study.open(study.path).reading("anna", case)
        assert reading is None or GradeEntry(5) not in reading.values.values()
        assert any(b'"grade":5' in path.read_bytes() for path in file.parent.iterdir()), "set aside, not deleted"

    def test_tampering_with_the_copy_alone_is_noticed(self, study: Study) -> None:
        file = read_case(study)
        sealed = open_seal(file.read_bytes())
        sealed.tables["meta"]["1"]["seconds"] = 5.0
        second_copy_path(file).write_bytes(seal(sealed.tables, sealed.sealed_as))
        assert "second copy" in check_study(study.path).faults[0].problem
        check_study(study.path, repair=True)
        assert second_copy_path(file).read_bytes() == file.read_bytes()


def test_readings_of_older_versions_stay_valid(study: Study) -> None:
    """A reading without films and times has no faults, and gets them when it is next saved."""
    file = read_case(study)

    def as_before(tables: Tables) -> None:
        del tables["seen"], tables["times"]
        for entry in tables["log"].values():
            del entry["seconds"]

    tamper(file, as_before)
    assert check_study(study.path).is_intact
    read_case(study, fields=[Field("L.MCP2", "ERO", 0)])
    assert check_study(study.path).is_intact
    tables = json.loads(file.read_bytes())
    assert "seen" in tables
    assert ["seconds" in entry for entry in tables["log"].values()] == [False] * 6 + [True]
    tamper(file, no_display)
    assert not check_study(study.path).is_intact
