"""Tampering with a study by somebody who knows its format and seals each file again: ``ratui check`` reports it."""

import contextlib
import itertools
import json
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ratui.errors import StoreError
from ratui.files import second_copy_path
from ratui.study import Study
from ratui.study.check import check_study
from ratui.study.check.journals import check_journals
from ratui.study.config_files import reseal_settings
from ratui.study.copies.backup import back_up
from ratui.study.copies.restore import restore
from ratui.study.store.journal import JournalRecord
from ratui.study.store.journaling import begin_journals, content_digest, is_recorded, list_recorded_files
from ratui.study.store.seal import seal
from tests.films import confirm_template
from tests.support.tampering import (
    CHANGES,
    films,
    make_study_to_tamper_with,
    move_boxes,
    proposals,
    regions,
    settings,
    swap_times,
    tamper,
    write_both,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("read_films_here")]


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Return a study with films, regions, proposals, an order of reading and a reading."""
    study = make_study_to_tamper_with(tmp_path)
    assert check_study(study.path).is_intact
    return study


@pytest.mark.parametrize("attack", CHANGES)
def test_tampering_is_reported_without_a_backup(study: Study, attack: str) -> None:
    CHANGES[attack](study)
    found = check_study(study.path)
    problems = [fault for fault in found.faults if "without a record" in fault.problem]
    assert problems, found.faults
    assert not found.is_repairable
    check_study(study.path, repair=True)
    assert any("without a record" in fault.problem for fault in check_study(study.path).faults), "stays reported"


def test_a_forged_first_result_of_an_examination_is_reported(study: Study) -> None:
    """No journal knows the file: ratui has never written one."""
    file = study.path / "qualifications" / "results.json"
    file.parent.mkdir(mode=0o700)
    write_both(file, seal({"records": {}}, "qualifications/results"))
    for each in (file, second_copy_path(file)):
        each.chmod(0o600)
    (found,) = check_study(study.path).faults
    assert found.file == "qualifications/results.json"
    assert found.problem == "no journal records its content"


@pytest.mark.parametrize("attack", ["moved boxes", "changed days"])
def test_an_earlier_version_is_reported(study: Study, attack: str) -> None:
    """Replay a file that ratui itself has written before."""
    (case,) = study.cases()
    file = {"moved boxes": regions, "changed days": films}[attack](study)
    earlier = file.read_bytes()
    study.save_regions(case, study.regions(case)[:3])
    study.save_case(replace(study.case(case), films=tuple(replace(f, note="x") for f in study.case(case).films)))
    assert check_study(study.path).is_intact
    write_both(file, earlier)
    assert "earlier version" in check_study(study.path).faults[-1].problem


@pytest.mark.parametrize("name", ["films", "regions", "proposals", "settings"])
def test_a_tampered_second_copy_is_not_used(study: Study, name: str) -> None:
    """One bit of the file flips, and its second copy is a forgery with a right seal."""
    if name == "settings":
        file = study.path / "study.toml"
        whole = file.read_bytes()
        settings(study, "blinded = false", "blinded = true ")
    else:
        file = {"films": films, "regions": regions, "proposals": proposals}[name](study)
        whole = file.read_bytes()
        tamper(file, swap_times if name == "films" else move_boxes)
    file.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
    if name != "settings":
        (case,) = study.cases()
        look = {"films": Study.case, "regions": Study.regions, "proposals": Study.proposals}[name]
        with pytest.raises(StoreError, match="the journal records another content"):
            look(Study.open(study.path), case)
    else:
        with pytest.raises(StoreError, match="the journal records another content"):
            Study.open(study.path)
        return
    problems = [fault.problem for fault in check_study(study.path, repair=True).faults]
    assert any("another history" in problem for problem in problems), problems


def test_damage_that_the_second_copy_makes_good_is_no_tampering(study: Study) -> None:
    for file in (films(study), regions(study), study.path / "study.toml", study.path / "scheme.toml"):
        data = file.read_bytes()
        file.write_bytes(data[:30] + bytes([data[30] ^ 1]) + data[31:])
        found = check_study(study.path).faults
        assert [fault.remedy for fault in found] == ["restored from its second copy"], found
        check_study(study.path, repair=True)
        assert check_study(study.path).is_intact, file
        assert file.read_bytes() == data


def test_a_save_after_damage_is_no_tampering(study: Study) -> None:
    (case,) = study.cases()
    for damage in (regions(study), second_copy_path(regions(study))):
        data = damage.read_bytes()
        damage.write_bytes(data[:30] + bytes([data[30] ^ 1]) + data[31:])
        study.save_regions(case, study.regions(case)[: -1 if damage.suffix == ".bak" else None])
        check_study(study.path, repair=True)
        assert check_study(study.path).is_intact


def test_settings_edited_by_hand_are_accepted_by_sealing_them(study: Study) -> None:
    file = study.path / "study.toml"
    file.write_text(file.read_text().replace('title = "study"', 'title = "Another title"'))
    assert not check_study(study.path).is_intact
    reseal_settings(study.path)
    assert check_study(study.path).is_intact
    assert Study.open(study.path).config.title == "Another title"


def test_a_journal_without_a_record_of_a_file_is_no_explanation(study: Study) -> None:
    for journal in (study.path / "journal").glob("*.jsonl"):
        journal.write_bytes(b"")
    problems = {fault.problem for fault in check_study(study.path).faults}
    assert problems == {"no journal records its content"}


def test_a_deleted_journal_folder_is_reported_and_can_be_begun_anew(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ratui.study.check.journals.JOURNALS_SINCE", study.config.stored_format)
    shutil.rmtree(study.path / "journal")
    report = check_study(study.path)
    assert [(fault.file, fault.problem[:13]) for fault in report.faults] == [("journal", "it is missing")]
    tamper(regions(study), move_boxes)
    begun = check_study(study.path, repair=True)
    assert begun.faults[0].remedy.startswith("begun")
    after = check_study(study.path)
    assert after.is_intact
    assert any("first recorded" in note and "unknown" in note for note in after.notes), "stated plainly"
    tamper(regions(study), move_boxes)
    assert not check_study(study.path).is_intact


def test_forged_journals_stop_no_check(study: Study) -> None:
    folder = study.path / "journal"
    (folder / "a.jsonl").write_bytes(b'{"n":1,"at":"x","do":"write","path":"../../etc/passwd"}\n')
    os.mkfifo(folder / "b.jsonl")
    (folder / "c.jsonl").symlink_to("/etc/passwd")
    outside = [
        JournalRecord(1, "x", "first", path, "", "a" * 64) for path in ("../../etc/passwd", "readings/anna/C-1.json")
    ]
    for name, record in zip("de", outside, strict=True):
        (folder / f"{name}.jsonl").write_bytes(record.to_line("")[1])
    chain, lines = "", []
    for number in range(1, 500):
        chain, line = JournalRecord(number, "x", "first", "regions/C-9.json").to_line(chain)
        lines.append(line)
    (folder / "f.jsonl").write_bytes(b"".join(lines))
    report = check_study(study.path)
    assert len(report.notes) < 30
    problems = {fault.file: fault.problem for fault in report.faults}
    assert {f"journal/{name}.jsonl" for name in "abcde"} <= problems.keys()
    assert not any(name.startswith(("films", "regions", "study")) for name in problems)


def test_every_stored_file_that_is_no_reading_is_recorded(study: Study) -> None:
    """A file that a later version stores must be recorded, or be in this list of exceptions."""
    exceptions = ("readings/", "journal/", "private/journal/", "study.lock", "gate.lock")
    for path in study.path.rglob("*"):
        name = path.relative_to(study.path).as_posix()
        if path.is_dir() or name.startswith(exceptions) or name.endswith((".lock", ".takeover", ".dcm")):
            continue
        name = name.removesuffix(".bak")
        assert is_recorded(name), name
        assert name in list_recorded_files(study.folder)
        assert content_digest(study.folder, name)


@pytest.mark.parametrize(
    "name", ["readings/anna/C-1.json", "films/C-1/0a.dcm", "journal/anna.jsonl", "regions/../x.json", "/study.toml"]
)
def test_other_paths_are_not_recorded(name: str) -> None:
    assert not is_recorded(name)


def test_a_restored_study_keeps_its_journals(study: Study, tmp_path: Path) -> None:
    back_up(study, tmp_path / "backup.zip")
    restored = restore(tmp_path / "backup.zip", tmp_path / "restored").study
    assert check_study(restored.path).is_intact
    for journal in (study.path / "journal").glob("*.jsonl"):
        assert (restored.path / "journal" / journal.name).read_bytes() == journal.read_bytes()
    confirm_template(restored, restored.cases()[0], "bert")
    assert check_study(restored.path).is_intact
    tamper(regions(restored), move_boxes)
    assert not check_study(restored.path).is_intact


def test_a_snapshot_has_the_journals_of_its_moment(study: Study) -> None:
    (case,) = study.cases()
    journals = [f"journal/{name}" for name in study.folder.files("journal", ".jsonl")]
    before = {name: study.folder.read(name) for name in journals}
    with study.snapshot() as frozen:
        study.save_regions(case, study.regions(case)[:3])
        assert {name: frozen.folder.read(name) for name in journals} == before
    assert {name: study.folder.read(name) for name in journals} != before


def test_an_unrecorded_save_is_refused(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    (case,) = study.cases()
    before = regions(study).read_bytes()

    def fail(*arguments: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", fail)
        with pytest.raises(StoreError, match="No space left"):
            study.save_regions(case, study.regions(case)[:3])
    assert regions(study).read_bytes() == before
    assert check_study(study.path).is_intact


def test_a_study_without_journals_can_begin_them(study: Study) -> None:
    folders = [study.path / "journal", study.path / "private" / "journal"]
    for folder in folders:
        shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
    (case,) = study.cases()
    study.save_regions(case, study.regions(case)[:3])
    begin_journals(study.folder)
    journals = [journal for folder in folders for journal in folder.glob("*.jsonl")]
    lines = [json.loads(line) for journal in journals for line in journal.read_text().splitlines()]
    assert [line["do"] for line in lines[:2]] == ["write", "done"]
    assert {line["do"] for line in lines[2:]} == {"first"}
    assert {line["path"] for line in lines[2:]} == set(list_recorded_files(study.folder))
    begin_journals(study.folder)
    assert sum(len(journal.read_text().splitlines()) for journal in journals) == len(lines)
    assert check_study(study.path).is_intact


def test_a_restored_study_without_journals_begins_them_later(study: Study, tmp_path: Path) -> None:
    """A backup of an older version has none: its files must not count as changed without a record."""
    shutil.rmtree(study.path / "journal")
    back_up(study, tmp_path / "backup.zip")
    restored = restore(tmp_path / "backup.zip", tmp_path / "restored").study
    confirm_template(restored, restored.cases()[0], "bert")
    assert not (restored.path / "journal").exists()


@pytest.mark.parametrize("name", ["format1", "format2"])
def test_a_converted_study_begins_its_journals(name: str, tmp_path: Path) -> None:
    """The content at the conversion is recorded as the first one, and the check says so."""
    path = tmp_path / "study"
    shutil.copytree(Path(__file__).parent / name, path)
    assert any(fault.remedy.startswith("begun") for fault in check_study(path, repair=True).faults)
    report = check_study(path)
    assert {fault.problem for fault in report.faults} <= {"it is missing"}, "the films are not kept for tests"
    assert Study.open(path).config.stored_format >= 3
    assert any("their changes before are unknown" in note for note in report.notes), report.notes
    tamper(next((path / "regions").glob("*.json")), move_boxes)
    assert any("without a record" in fault.problem for fault in check_study(path).faults)


class Killed(BaseException):
    """A process that ends in the middle of a save."""


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), Killed()], ids=["EIO", "killed"])
def test_a_save_that_fails_at_any_system_call_is_no_tampering(
    study: Study, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """Let each call of a save of boxes fail in turn: the file is as before or as saved, and the journals explain it."""
    (case,) = study.cases()
    boxes = study.regions(case)
    calls = ("open", "write", "pwrite", "fsync", "replace", "fchmod", "ftruncate", "unlink")
    outcomes = set()
    for failing in range(1, 200):
        before = study.regions(case)
        after = boxes[: 1 + failing % 5]
        with monkeypatch.context() as patched:
            count = 0

            def counted(call: Callable[..., Any], failing: int = failing) -> Callable[..., Any]:
                def run(*arguments: Any, **options: Any) -> Any:
                    nonlocal count
                    count += 1
                    if count == failing:
                        raise error
                    return call(*arguments, **options)

                return run

            for name in calls:
                patched.setattr(os, name, counted(getattr(os, name)))
            saved = False
            with contextlib.suppress(StoreError, OSError, Killed):
                study.save_regions(case, after)
                saved = True
            total = count
        stored = Study.open(study.path).regions(case)
        outcomes.add((saved, stored == after))
        assert stored == after or (not saved and stored == before)
        faults, _ = check_journals(study.folder, contextlib.nullcontext(), required=True)
        assert faults == [], (failing, faults)
        if total < failing:
            break
    assert failing > 20
    assert {(True, True), (False, False)} <= outcomes
    assert check_study(study.path, repair=True) is not None
    assert check_study(study.path).is_intact


def test_saves_during_a_check_are_no_tampering(study: Study) -> None:
    (case,) = study.cases()
    boxes = study.regions(case)
    stop = threading.Event()

    def go_on() -> None:
        other = Study.open(study.path)
        for number in itertools.count():
            if stop.is_set():
                return
            other.save_regions(case, boxes[: 1 + number % 7])

    saving = threading.Thread(target=go_on)
    saving.start()
    try:
        for _ in range(5):
            found = [fault for fault in check_study(study.path).faults if "record" in fault.problem]
            assert found == []
    finally:
        stop.set()
        saving.join()
    assert check_study(study.path).is_intact
