"""The file of display tests: what is stored, who may store it, which contents are refused, and what takes it along."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ratui.errors import RatuiError, StoreError, StudyError
from ratui.study import Study
from ratui.study.campaign import display_tests
from ratui.study.campaign.charter_changes import has_reading_begun
from ratui.study.campaign.display_tests import (
    DISPLAY_TESTS,
    DisplayFacts,
    DisplayTest,
    PartResult,
    TrialResult,
    add_display_tests,
    load_all_display_tests,
    load_display_tests,
    parse_display_tests,
)
from ratui.study.check import check_study
from ratui.study.copies.backup import back_up
from ratui.study.copies.merge import merge
from ratui.study.copies.restore import restore
from ratui.study.store import FileLock, LockedByOther, write_tables

DISPLAY = DisplayFacts("xterm(390)", "sixel", 120, 40, (10, 20), (430, 640), 13.4, True, 256, (), 1.7, "terminal")
EROSION = PartResult(
    "erosion",
    0.8,
    0.5,
    1.3,
    0.25,
    6.0,
    0.6,
    None,
    (TrialResult(0, 1.7, "L.MCP2", 0, 0, 1.5), TrialResult(1, 0.9, "R.PIP3", 1, 0, 2.5)),
)
NARROWING = PartResult("narrowing", 0.2, 0.1, 0.4, 0.04, 0.8, None, 1.3, (TrialResult(2, 0.3, "L.MCP2", 0, 0, 1.5),))
TEST = DisplayTest("a1", "2026-01-02T03:04:05+00:00", "1.0", "12345", DISPLAY, (EROSION, NARROWING))
FILE = f"readings/anna/{DISPLAY_TESTS}"

pytestmark = pytest.mark.usefixtures("read_films_here")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study.create(tmp_path / "study", "fingers", ("anna", "ben"))


def test_tests_are_stored_beside_the_readings_and_are_no_reading(study: Study) -> None:
    assert add_display_tests(study, "anna", [TEST]) == 1
    second = replace(TEST, id="b2", parts=(EROSION,))
    assert add_display_tests(study, "anna", [TEST, second]) == 1
    assert load_display_tests(study.folder, "anna") == (TEST, second)
    assert load_all_display_tests(Study.open(study.path)) == {"anna": (TEST, second)}
    assert (study.path / FILE).stat().st_mode & 0o077 == 0
    assert not has_reading_begun(study.folder)
    report = check_study(study.path)
    assert not report.faults
    assert not report.notes


def test_a_test_survives_a_backup_and_the_loss_of_one_copy(study: Study, tmp_path: Path) -> None:
    add_display_tests(study, "anna", [TEST])
    back_up(study, tmp_path / "backup.zip")
    restored = restore(tmp_path / "backup.zip", tmp_path / "restored").study
    assert load_display_tests(restored.folder, "anna") == (TEST,)
    (restored.path / FILE).write_text("{")
    assert load_display_tests(restored.folder, "anna") == (TEST,)
    assert [fault.file for fault in check_study(restored.path, repair=True).faults] == [FILE]
    assert not check_study(restored.path).faults


def test_a_merge_adds_the_tests_of_the_named_raters_once(study: Study, tmp_path: Path) -> None:
    shutil.copytree(study.path, tmp_path / "copy")
    there = Study.open(tmp_path / "copy")
    add_display_tests(there, "anna", [TEST])
    add_display_tests(there, "ben", [replace(TEST, id="c3")])
    assert [str(result.outcome) for result in merge(study, there.path, ["anna"], dry_run=True)] == ["added", "skipped"]
    assert not load_all_display_tests(study)
    merge(study, there.path, ["anna"])
    assert load_all_display_tests(study) == {"anna": (TEST,)}
    assert [result.outcome for result in merge(study, there.path, ["anna"])] == ["skipped"]


def test_only_known_raters_of_an_unlocked_study_can_store_and_one_process_at_a_time(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display_tests, "_PATIENCE", 0.0)
    with pytest.raises(StudyError):
        add_display_tests(study, "carl", [TEST])
    study.folder.make_folder("readings/anna")
    with FileLock(study.folder.file(FILE).with_suffix(".lock")), pytest.raises(LockedByOther):
        add_display_tests(study, "anna", [TEST])
    assert not load_display_tests(study.folder, "anna")


def test_another_process_that_adds_a_test_is_waited_for(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    study.folder.make_folder("readings/anna")
    other = ExitStack()
    other.enter_context(FileLock(study.folder.file(FILE).with_suffix(".lock")))
    monkeypatch.setattr(display_tests.time, "sleep", lambda seconds: other.close())
    assert add_display_tests(study, "anna", [TEST]) == 1
    assert load_display_tests(study.folder, "anna") == (TEST,)


def test_a_link_in_the_place_of_the_file_is_refused(study: Study, tmp_path: Path) -> None:
    add_display_tests(study, "anna", [TEST])
    (tmp_path / "outside.json").write_bytes((study.path / FILE).read_bytes())
    (study.path / FILE).unlink()
    (study.path / FILE).symlink_to(tmp_path / "outside.json")
    with pytest.raises(StoreError, match="link"):
        load_display_tests(study.folder, "anna")


def _document() -> dict[str, list[dict[str, Any]]]:
    record = json.loads(json.dumps(TEST.to_document()))
    trials = [{"test": "a1", "part": part["part"], **trial} for part in record["parts"] for trial in part.pop("trials")]
    return {"tests": [record], "trials": trials}


ODD = (
    ("tests", lambda record: record.update(id=7)),
    ("tests", lambda record: record.update(at="yesterday")),
    ("tests", lambda record: record.update(seed="-1")),
    ("tests", lambda record: record["display"].update(columns=-3)),
    ("tests", lambda record: record["display"].update(cell=[10])),
    ("tests", lambda record: record["display"].update(terminal="x" * 201)),
    ("tests", lambda record: record["parts"][0].update(threshold=float("nan"))),
    ("tests", lambda record: record["parts"][0].update(threshold=1.4)),
    ("tests", lambda record: record["parts"][0].update(part="ankylosis")),
    ("tests", lambda record: record["parts"][0].update(contrast=None)),
    ("tests", lambda record: record["parts"].append(record["parts"][0])),
    ("trials", lambda record: record.update(answer=True)),
    ("trials", lambda record: record.update(answer=2)),
    ("trials", lambda record: record.update(seconds=float("inf"))),
)


@pytest.mark.parametrize(("table", "spoil"), ODD)
def test_odd_values_are_refused(study: Study, table: str, spoil: Any) -> None:
    document = _document()
    assert parse_display_tests(document, "file") == (TEST,)
    spoil(document[table][0])
    with pytest.raises(StoreError):
        parse_display_tests(document, "file")


def test_a_check_reports_an_impossible_content(study: Study) -> None:
    document = _document()
    document["tests"][0]["display"]["rows"] = 0
    write_tables(study.folder.file(FILE), document)
    with pytest.raises(RatuiError):
        add_display_tests(study, "anna", [TEST])
    assert [fault.file for fault in check_study(study.path).faults] == [FILE]
