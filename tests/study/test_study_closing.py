"""A locked study: nothing in it changes, its state is sealed and compared, and unlocking needs a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ratui.cli.main import commands
from ratui.errors import StudyError
from ratui.imaging import Orientation
from ratui.reading import Field, GradeEntry, enter
from ratui.study import InProcessConverter, Study, StudyLocked, import_films
from ratui.study.campaign.charter_changes import set_charter
from ratui.study.campaign.rater_changes import add_rater
from ratui.study.campaign.study_closing import compare_with_lock, lock_study, unlock_study
from ratui.study.check import check_study
from ratui.study.config_files import reseal_settings
from ratui.study.copies.merge import merge
from ratui.study.withdrawal import withdraw_films
from tests.films import confirm_template, make_study
from tests.support.attacks.merging import stored_files
from tests.tui.readings import store_reading


@pytest.fixture
def study(tmp_path: Path) -> Study:
    study = make_study(tmp_path)
    store_reading(study, study.cases()[0], signed=True)
    return study


def test_nothing_in_a_locked_study_changes(study: Study, tmp_path: Path) -> None:
    (case,) = study.cases()
    film = study.case(case).films[0].id
    with study.open_reading("bert", case) as session:
        lock_study(study, "data cleaned")
        reading = enter(session.reading, Field("L.MCP2", "ERO", 0), GradeEntry(1))
        with pytest.raises(StudyLocked, match="the study was locked on"):
            session.save(reading)  # also a session that was open before
    before = stored_files(study)
    again = Study.open(study.path)
    assert again.config.lock is not None
    assert again.config.lock.reason == "data cleaned"
    changes = [
        lambda: store_reading(again, case, rater="bert"),
        lambda: confirm_template(again, case, "anna"),
        lambda: again.set_orientation(case, film, Orientation.TURNED_90, by="anna", even_if_signed=True),
        lambda: again.save_case(again.case(case)),
        lambda: again.save_proposals("model", case, again.regions(case)),
        lambda: import_films(again, [tmp_path / "hospital"], key=tmp_path / "key.json", converter=InProcessConverter()),
        lambda: withdraw_films(again, case, [film], reason="wrong patient", confirmed=True),
        lambda: merge(again, tmp_path, ["anna"]),
        lambda: set_charter(again, {"missing": "observed"}, "late"),
        lambda: add_rater(again, "cleo"),
        lambda: reseal_settings(again.path),
    ]
    for change in changes:
        with pytest.raises(StudyLocked):
            change()
    assert stored_files(study) == before
    assert again.reading("anna", case) is not None


def test_a_study_with_one_damaged_copy_of_its_settings_stays_locked(study: Study) -> None:
    (case,) = study.cases()
    with study.open_reading("bert", case) as session:
        lock_study(study, "data cleaned")
        reading = enter(session.reading, Field("L.MCP2", "ERO", 0), GradeEntry(1))
        for name in ("study.toml", "study.toml.bak"):
            file = study.path / name
            data = file.read_bytes()
            for damaged in (data[: len(data) // 2], data.replace(b"locked", b"looked"), None):
                file.unlink() if damaged is None else file.write_bytes(damaged)
                with pytest.raises(StudyLocked):
                    session.save(reading)
            file.write_bytes(data)
    assert compare_with_lock(Study.open(study.path))[1] == []


def test_the_locked_state_is_compared_and_unlocking_is_recorded(study: Study) -> None:
    with pytest.raises(StudyError, match="a reason is needed to lock"):
        lock_study(study, "")
    root = lock_study(study, "data cleaned")
    with pytest.raises(StudyError, match="locked already"):
        lock_study(study, "again")
    found, differences = compare_with_lock(Study.open(study.path))
    assert (found.digest, differences) == (root.digest, [])
    report = check_study(study.path)
    assert report.is_intact
    assert any("the study is locked since" in note and "data cleaned" in note for note in report.notes)
    unlock_study(study, "a query of the sponsor")
    assert [event.action for event in Study.open(study.path).config.events] == ["locked", "unlocked"]
    store_reading(study, study.cases()[0], rater="bert")
    with pytest.raises(StudyError, match="not locked"):
        compare_with_lock(study)


def test_a_change_of_a_locked_study_by_another_program_is_a_difference(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    (case,) = study.cases()
    lock_study(study, "data cleaned")
    (study.path / f"regions/{case}.json").unlink()
    (study.path / f"regions/{case}.json.bak").unlink()
    _, differences = compare_with_lock(study)
    assert differences == [f"regions/{case}.json: the file is missing"]
    with monkeypatch.context() as patched:  # an account that can't open the private folder
        patched.setattr("ratui.study.evidence.roots._read_private", lambda *_: None)
        assert compare_with_lock(study)[1] == differences
    problems = [fault.problem for fault in check_study(study.path).faults]
    assert "since the study was locked: the file is missing" in problems


def test_the_command_locks_compares_and_unlocks(study: Study) -> None:
    def run(*options: str, code: int = 0) -> str:
        result = CliRunner().invoke(commands, ["lock", str(study.path), *options])
        assert result.exit_code == code, result.output
        return result.output

    run("--reason", "", code=1)
    digest = run("--reason", "data cleaned").split()[-1]
    assert "no difference" in run("--check", "--root", digest)
    assert "not the one that was given" in run("--check", "--root", "0" * 64, code=4)
    (study.path / "readings" / "anna" / f"{study.cases()[0]}.json").unlink()
    (study.path / "readings" / "anna" / f"{study.cases()[0]}.json.bak").unlink()
    assert "the reading is missing" in run("--check", code=4)
    assert run("--unlock", "--reason", "repair").startswith("unlocked")


def test_a_damaged_first_copy_is_a_difference_although_the_second_one_is_intact(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    store_reading(study, case, rater="anna", signed=True)
    lock_study(study, "end of the trial")
    file = study.path / "readings" / "anna" / f"{case}.json"
    file.write_bytes(file.read_bytes().replace(b'"grade":0', b'"grade":1', 1))
    _, differences = compare_with_lock(Study.open(study.path))
    assert differences == [f"readings/anna/{case}.json: the file is damaged; its second copy was compared"]
