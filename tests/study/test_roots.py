"""Sealed roots and backups: tampering is reported although the attacker rewrites the journals, too."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ratui.errors import StudyError
from ratui.files import second_copy_path
from ratui.reading import Field
from ratui.study import Study
from ratui.study.check import CheckReport, check_study
from ratui.study.check.roots import check_backup
from ratui.study.copies.backup import back_up
from ratui.study.evidence import write_root
from ratui.study.evidence.roots import _dump
from ratui.study.store import open_seal
from tests.films import confirm_template
from tests.study.test_tampering import study
from tests.support.attacks.tampering import READING_CHANGES
from tests.support.tampering import CHANGES, Tables, read_case, rewrite_journals, tamper

__all__ = ["study"]

pytestmark = pytest.mark.slow


Compare = Callable[[Study], CheckReport]


@pytest.fixture(params=["root", "backup"])
def compare(request: pytest.FixtureRequest, study: Study, tmp_path: Path) -> Compare:
    """Seal the study, or make a backup of it, and return a function that compares the study with that."""
    if request.param == "root":
        write_root(study)
        return lambda study: check_study(study.path)
    back_up(study, tmp_path / "backup.zip")
    return lambda study: check_backup(check_study(study.path), study, tmp_path / "backup.zip")


def faults(report: CheckReport) -> dict[str, str]:
    return {fault.file: fault.problem for fault in report.faults}


def test_an_unchanged_study_agrees(study: Study, compare: Compare) -> None:
    report = compare(study)
    assert report.is_intact, report.faults


def test_a_study_that_goes_on_agrees(study: Study, compare: Compare) -> None:
    (case,) = study.cases()
    read_case(study, fields=[Field("L.MCP2", "ERO", time) for time in (0, 1)])
    confirm_template(study, case, "bert")
    study.save_proposals("another", case, study.regions(case))
    report = compare(study)
    assert report.is_intact, report.faults
    assert any(f"regions/{case}.json: changed since" in note for note in report.notes), report.notes


@pytest.mark.parametrize("attack", CHANGES)
def test_tampering_is_reported_although_the_journals_are_rewritten(study: Study, compare: Compare, attack: str) -> None:
    CHANGES[attack](study)
    rewrite_journals(study)
    found = compare(Study.open(study.path))
    assert any("not continue the journal" in problem for problem in faults(found).values())
    named = {
        "swapped time points": "visit of film",
        "swapped private visits": "visit of film",
        "changed private days": ": day",
        "swapped positions": "order of 2 visits",
        "changed days": ": day, in the list",
        "changed spacing": ": spacing",
        "blinding switched on": "setting blinded",
        "another scheme": "setting scheme",
        "a film replaced with its digest": ": content",
        "moved boxes": "regions/",
        "another rater confirmed": "regions/",
        "regions removed": "regions/",
        "changed proposals": "proposals/",
        "changed order of reading": "models/order.json",
        "a rater added": "study.toml",
    }
    assert any(named[attack] in item for item in faults(found)), faults(found)


def test_recorded_changes_of_films_are_reported(study: Study, compare: Compare) -> None:
    """The journals are right, but a film can't change."""
    (case,) = study.cases()
    known = study.case(case)
    study.save_case(replace(known, films=tuple(replace(film, spacing=(0.5, 0.5)) for film in known.films)))
    found = faults(compare(study))
    assert {item.rpartition(": ")[2] for item in found if item.startswith("film")} == {"spacing"}


@pytest.mark.parametrize("change", READING_CHANGES)
def test_a_rewritten_and_sealed_reading_is_reported(
    study: Study, compare: Compare, change: Callable[[Tables], object]
) -> None:
    (case,) = study.cases()
    name = f"readings/anna/{case}.json"
    tamper(study.path / name, change)
    found = faults(compare(study))
    assert name in found
    assert found.keys() == {name}, found


@pytest.mark.parametrize("name", ["format2", "format2_blinded"])
def test_a_study_that_was_converted_after_a_backup_agrees(name: str, tmp_path: Path) -> None:
    """The conversion moves visits and replaces time points in readings; it changes no fact and no log."""
    path = tmp_path / "study"
    shutil.copytree(Path(__file__).parent / name, path)
    back_up(Study.open(path), tmp_path / "backup.zip")
    check_study(path, repair=True)
    study = Study.open(path)
    assert study.config.stored_format >= 3
    report = check_backup(CheckReport((), (), 0), study, tmp_path / "backup.zip")
    assert report.is_intact, report.faults
    file = next(file for file in (path / "readings").rglob("*.json") if "log" in open_seal(file.read_bytes()).tables)
    tamper(file, lambda tables: tables["log"].popitem())
    assert not check_backup(CheckReport((), (), 0), study, tmp_path / "backup.zip").is_intact


def test_a_restored_reading_that_waits_for_its_rater_agrees(study: Study, compare: Compare) -> None:
    (study.path / "restored").mkdir(mode=0o700)
    (study.path / "readings" / "anna").rename(study.path / "restored" / "anna")
    assert not any(item.startswith("readings") for item in faults(compare(study)))
    (case,) = study.cases()
    tamper(study.path / "restored" / "anna" / f"{case}.json", READING_CHANGES[0])
    assert f"readings/anna/{case}.json" in faults(compare(study))


def test_a_backup_of_a_restored_study_agrees(study: Study, tmp_path: Path) -> None:
    (study.path / "restored").mkdir(mode=0o700)
    (study.path / "readings" / "anna").rename(study.path / "restored" / "anna")
    back_up(study, tmp_path / "backup.zip")
    (study.path / "restored" / "anna").rename(study.path / "readings" / "anna")
    empty = CheckReport((), (), 0)
    assert check_backup(empty, study, tmp_path / "backup.zip").is_intact
    (case,) = study.cases()
    tamper(study.reading_path("anna", case), READING_CHANGES[0])
    assert not check_backup(empty, study, tmp_path / "backup.zip").is_intact


@pytest.mark.parametrize("kept", [0, 1], ids=["all", "the last one"])
def test_roots_removed_since_a_backup_are_reported(study: Study, tmp_path: Path, kept: int) -> None:
    for _ in range(2):
        write_root(study)
    back_up(study, tmp_path / "backup.zip")
    assert check_backup(check_study(study.path), study, tmp_path / "backup.zip").is_intact
    removed = [
        file
        for above in ("seals", "private/seals")
        for file in (study.path / above).glob("0*")
        if int(file.name[:6]) > kept
    ]
    assert removed
    for file in removed:
        file.unlink()
    assert check_study(study.path).is_intact, "the study itself does not show it"
    found = faults(check_backup(check_study(study.path), study, tmp_path / "backup.zip"))
    names = {str(file.relative_to(study.path)) for file in removed if file.suffix == ".json"}
    assert found == dict.fromkeys(names, "it is missing, but was there in the backup")


def test_a_removed_reading_is_reported(study: Study, compare: Compare) -> None:
    (case,) = study.cases()
    for each in (study.reading_path("anna", case), second_copy_path(study.reading_path("anna", case))):
        each.unlink()
    assert "missing" in faults(compare(study))[f"readings/anna/{case}.json"]


def test_a_reading_of_an_older_format_that_is_converted_agrees(study: Study, compare: Compare, tmp_path: Path) -> None:
    """The log of a converted reading continues the one in the root, although every checksum of its file is another one."""
    (case,) = study.cases()

    def as_before(tables: Tables) -> None:
        del tables["seen"], tables["times"]
        for entry in tables["log"].values():
            del entry["seconds"]

    tamper(study.reading_path("anna", case), as_before)
    write_root(study)
    (tmp_path / "backup.zip").unlink(missing_ok=True)
    back_up(study, tmp_path / "backup.zip")
    read_case(study, fields=[Field("L.MCP2", "ERO", 0)])
    assert check_study(study.path).is_intact
    assert check_backup(check_study(study.path), study, tmp_path / "backup.zip").is_intact


class TestRoots:
    def test_each_root_states_the_one_before(self, study: Study) -> None:
        roots = [write_root(study) for _ in range(3)]
        assert [root.number for root in roots] == [1, 2, 3]
        assert [root.previous for root in roots] == ["", roots[0].digest, roots[1].digest]
        assert check_study(study.path).is_intact

    def test_it_can_be_read_by_the_group_and_contains_no_name_or_date(self, study: Study) -> None:
        root = write_root(study)
        record = json.loads(root.data)
        assert not {"visit", "day"} & {fact.split()[0] for fact in record["facts"] if study.config.blinded}

    def test_a_digest_that_was_written_down_shows_removed_and_replaced_roots(self, study: Study) -> None:
        digests = [write_root(study).digest for _ in range(2)]
        for digest in digests:
            assert check_study(study.path, root=digest.upper()).is_intact
        for name in ("000002.json", "000002.json.bak"):
            (study.path / "seals" / name).unlink()
        assert check_study(study.path).is_intact, "the root before it is intact"
        assert faults(check_study(study.path, root=digests[1])) == {
            "seals": "there is no root with the digest that was given"
        }
        shutil.rmtree(study.path / "seals")
        assert faults(check_study(study.path, root=digests[0])) == {"seals": "the study has no root"}

    @pytest.mark.parametrize("change", ["removed", "damaged", "another study", "out of order"])
    def test_a_tampered_root_is_reported(self, study: Study, change: str) -> None:
        for _ in range(3):
            write_root(study)
        file = study.path / "seals" / "000002.json"
        record: dict[str, Any] = json.loads(file.read_bytes())
        del record["sum"]
        match change:
            case "removed":
                file.unlink()
            case "damaged":
                file.write_bytes(file.read_bytes()[:-20])
            case "another study":
                file.write_bytes(_dump({**record, "study": "other"}))
            case "out of order":
                file.write_bytes(_dump({**record, "at": "2020-01-01T00:00:00+00:00"}))
        second_copy_path(file).unlink()
        assert [name for name in faults(check_study(study.path)) if name.startswith("seals")]

    @pytest.mark.parametrize("name", ["seals/000001.json", "private/seals/000001.json"])
    @pytest.mark.parametrize("end", ["", ".bak"])
    @pytest.mark.parametrize("damage", ["flipped", "cut", "missing"])
    def test_one_damaged_copy_is_reported_and_repaired(self, study: Study, name: str, end: str, damage: str) -> None:
        digest = write_root(study).digest
        file = study.path / f"{name}{end}"
        before = file.read_bytes()
        for place in (30, 31, 200, len(before) // 2, -2, -40, -70) if damage == "flipped" else (-20,):
            changed = bytearray(before)
            changed[place] ^= 1
            if damage == "missing":
                file.unlink()
            else:
                file.write_bytes(changed if damage == "flipped" else before[:place])
            found = check_study(study.path, root=digest)
            which, state = "its second copy" if end else "the file", "missing" if damage == "missing" else "damaged"
            assert faults(found) == {name: f"{which} is {state}"}, place
            assert found.is_repairable
            assert not check_study(study.path, repair=True).unrepaired
            assert file.read_bytes() == before
            assert check_study(study.path, root=digest).is_intact

    def test_a_root_after_one_with_a_damaged_copy_continues_the_intact_one(self, study: Study) -> None:
        first = write_root(study)
        file = study.path / "seals" / "000001.json"
        file.write_bytes(first.data[:-20])
        assert write_root(study).previous == first.digest

    def test_a_root_without_a_checksum_is_read(self, study: Study) -> None:
        """The first version wrote such roots."""
        record = json.loads(write_root(study).data)
        del record["sum"]
        shutil.rmtree(study.path / "private" / "seals")
        record = {**record, "format": 1, "private": ""}
        for name in ("000001.json", "000001.json.bak"):
            (study.path / "seals" / name).write_text(json.dumps(record))
        assert check_study(study.path).is_intact

    @pytest.mark.parametrize("key", ["facts", "journals", "readings", "files", "number", "format", "study"])
    def test_odd_values_are_reported(self, study: Study, key: str) -> None:
        write_root(study)
        file = study.path / "seals" / "000001.json"
        record = json.loads(file.read_bytes())
        del record["sum"]
        for value in (None, [], "x", -1, [[1, 2, 3]], {"a": 1}, {"a": [1]}, {"a": None}):
            for each in (file, second_copy_path(file)):
                each.write_bytes(_dump({**record, key: value}))
            assert not check_study(study.path).is_intact, value
        for each in (file, second_copy_path(file)):
            each.write_bytes(_dump(record))
        assert check_study(study.path).is_intact, "without an odd value"

    def test_a_missing_private_part_is_reported(self, study: Study) -> None:
        write_root(study)
        assert (study.path / "private" / "seals" / "000001.json").exists()
        for name in ("000001.json", "000001.json.bak"):
            (study.path / "private" / "seals" / name).unlink()
        assert "damaged" in faults(check_study(study.path))["seals/000001.json"]


def test_the_backup_of_another_study_is_refused(study: Study, tmp_path: Path) -> None:
    other = Study.create(tmp_path / "other", "fingers", ["anna"])
    back_up(other, tmp_path / "other.zip")
    with pytest.raises(StudyError, match="another study"):
        check_backup(check_study(study.path), study, tmp_path / "other.zip")


def test_sealing_shows_one_moment_while_raters_go_on(study: Study) -> None:
    """A root is made from a snapshot."""
    root = write_root(study)
    read_case(study, fields=[Field("L.MCP2", "ERO", 0)])
    (case,) = study.cases()
    assert root.state.readings[f"readings/anna/{case}.json"].entries[0] == 6
    assert len(open_seal(study.reading_path("anna", case).read_bytes()).tables["log"]) == 7
    assert check_study(study.path).is_intact
