"""Backup in an archive, and consistent snapshots."""

import threading
import time
import zipfile
from pathlib import Path

import pytest

from ratui import files as disk
from ratui.errors import DamagedError, StoreError, StudyError
from ratui.reading import GradeEntry, enter, find_next_open_field, set_note
from ratui.scheme import load_scheme
from ratui.study import Study
from ratui.study.check import CheckReport, check_study
from ratui.study.check.roots import check_backup
from ratui.study.copies.backup import back_up, open_archive
from ratui.study.copies.restore import restore
from ratui.study.layout import SNAPSHOT_PREFIX
from tests.films import make_study

pytestmark = pytest.mark.usefixtures("read_films_here")


def read_on(study: Study, rater: str, count: int = 3, grade: int = 0) -> None:
    with study.open_reading(rater, study.cases()[0]) as session:
        for _ in range(count):
            field = find_next_open_field(session.reading)
            assert field
            session.save(enter(session.reading, field, GradeEntry(grade)))


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return make_study(tmp_path, patients=2)


def differing_files(study: Study, archive: Path) -> set[str]:
    """Return the files and facts of `study` that contradict a backup."""
    return {fault.file for fault in check_backup(CheckReport((), (), 0), study, archive).faults}


class TestBackup:
    def test_a_backup_restores_the_study(self, study: Study, tmp_path: Path) -> None:
        read_on(study, "anna")
        archive = back_up(study, tmp_path / "b" / "one.zip")
        assert archive.path.stat().st_mode & 0o077 == 0
        back = restore(archive.path, tmp_path / "back").study
        case = study.cases()[0]
        assert back.reading("anna", case) == study.reading("anna", case)
        assert [back.case(c) for c in back.cases()] == [study.case(c) for c in study.cases()]
        assert check_study(back.path).is_intact

    def test_neither_key_nor_locks_are_in_it(self, study: Study, tmp_path: Path) -> None:
        read_on(study, "anna")
        study.states("anna")
        names = open_archive(back_up(study, tmp_path / "b.zip").path).checksums
        assert not [name for name in names if name.endswith((".lock", ".bak", ".tmp")) or "/." in name or "key" in name]

    def test_nothing_is_overwritten(self, study: Study, tmp_path: Path) -> None:
        back_up(study, tmp_path / "b.zip")
        with pytest.raises(StoreError, match="already"):
            back_up(study, tmp_path / "b.zip")
        with pytest.raises(StoreError, match="can't be inside the study"):
            back_up(study, study.path / "b.zip")
        with pytest.raises(StudyError, match="exists already"):
            restore(tmp_path / "b.zip", study.path)

    def test_every_flipped_byte_is_reported_before_anything_is_restored(self, study: Study, tmp_path: Path) -> None:
        data = back_up(study, tmp_path / "b.zip").path.read_bytes()
        step = max(len(data) // 150, 1)
        harmless = 0
        for at in range(0, len(data), step):
            (tmp_path / "c.zip").write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
            try:
                archive = open_archive(tmp_path / "c.zip")
            except (DamagedError, StoreError):
                continue
            # Bytes that a ZIP reader ignores may change, but no byte of a file of the study.
            assert archive.checksums == open_archive(tmp_path / "b.zip").checksums
            harmless += 1
        assert harmless < 15

    @pytest.mark.parametrize("name", ["../evil.json", "/etc/evil", "a/../../evil", "a\\evil", "..", "a//b"])
    def test_an_archive_can_not_reach_out_of_its_folder(self, study: Study, tmp_path: Path, name: str) -> None:
        import json

        back_up(study, tmp_path / "b.zip")
        with zipfile.ZipFile(tmp_path / "b.zip") as old, zipfile.ZipFile(tmp_path / "c.zip", "w") as new:
            head = json.loads(old.read("CONTENTS.json"))
            checksums = {**head["sums"], name: "0" * 64}
            for each in head["sums"]:
                new.writestr(each, old.read(each))
            new.writestr(name, b"")
            new.writestr("CONTENTS.json", json.dumps({**head, "sums": checksums}))
        with pytest.raises(StoreError):
            restore(tmp_path / "c.zip", tmp_path / "deep" / "back")
        assert not (tmp_path / "deep").exists()

    def test_a_log_changed_afterwards_is_reported(self, study: Study, tmp_path: Path) -> None:
        read_on(study, "anna", 4)
        read_on(study, "bert", 2)
        archive = back_up(study, tmp_path / "b.zip").path
        read_on(study, "anna", 1)
        assert differing_files(study, archive) == set()
        # Anna changes her first entry and seals everything again, without a trace in the study itself.
        case = study.cases()[0]
        for each in (study.reading_path("anna", case), disk.second_copy_path(study.reading_path("anna", case))):
            each.unlink()
        read_on(study, "anna", 5, grade=1)
        assert check_study(study.path).is_intact
        assert differing_files(study, archive) == {f"readings/anna/{case}.json"}


class TestSnapshot:
    def test_it_stays_while_raters_go_on(self, study: Study) -> None:
        read_on(study, "anna")
        case = study.cases()[0]
        with study.snapshot() as still:
            before = still.reading("anna", case)
            read_on(study, "anna", 2)
            assert still.reading("anna", case) == before
            assert len(still.cases()) == 2
            assert still.film(case, still.case(case).films[0].id).rows == 240
        assert not list(study.path.glob(f"{SNAPSHOT_PREFIX}*"))

    def test_a_snapshot_shows_a_single_moment(self, study: Study) -> None:
        """Let two raters' entries always match outside a change: no snapshot may show one ahead of the other."""
        case = study.cases()[0]
        stop = threading.Event()

        def write() -> None:
            writer = Study.open(study.path)
            with writer.open_reading("anna", case) as anna, writer.open_reading("bert", case) as bert:
                number = 0
                while not stop.is_set():
                    number += 1
                    # Both in one change: since a snapshot waits, it contains both or neither.
                    with writer._study_lock.shared():
                        for session in (anna, bert):
                            session.save(set_note(session.reading, "L.MCP2", f"note {number % 50}"))

        thread = threading.Thread(target=write)
        thread.start()
        seen = set()
        try:
            until = time.monotonic() + 30
            while len(seen) < 5 and time.monotonic() < until:
                with study.snapshot() as still:
                    notes = [
                        reading.notes.get("L.MCP2", "") if reading else ""
                        for reading in (still.reading("anna", case), still.reading("bert", case))
                    ]
                assert notes[0] == notes[1]
                seen.add(notes[0])
        finally:
            stop.set()
            thread.join()
        assert len(seen) > 2  # the writer never pauses, and the snapshots were still made


def test_faults_in_a_snapshot_are_reported_for_the_study(study: Study) -> None:
    with pytest.raises(StudyError) as caught, study.snapshot() as still:
        still.case("C-NOBODY")
    assert caught.value.location == str(study.path)


def test_a_study_without_films_has_a_snapshot_too(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "empty", load_scheme("fingers"), ["anna"])
    with study.snapshot() as still:
        assert still.cases() == ()
