"""One writer for each reading: a second one learns who holds the lock and where, and may take over from a dead holder."""

import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ratui.errors import StoreError
from ratui.reading import Field, GradeEntry, enter
from ratui.study import HeldByOther, Study
from ratui.study.store import FileLock
from tests.films import make_study

FIELD = Field("L.IP1", "ERO", 0)

_HOLD = (
    "import sys\nfrom pathlib import Path\nfrom ratui.study.store import FileLock\n"
    "with FileLock(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
)


def hold(path: Path) -> subprocess.Popen[bytes]:
    """Start a process that holds the lock until it is killed."""
    child = subprocess.Popen([sys.executable, "-c", _HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout
    assert child.stdout.readline() == b"held\n"
    return child


def pretend(path: Path, **changes: object) -> None:
    """Change the holder's description in the lock file."""
    raw = json.loads(path.read_bytes())
    path.write_text(json.dumps({**raw, **changes}))


def test_the_second_learns_who_where_and_since_when(tmp_path: Path) -> None:
    child = hold(tmp_path / "a.lock")
    with pytest.raises(HeldByOther) as caught, FileLock(tmp_path / "a.lock"):
        pass
    child.kill()
    child.communicate()
    text = str(caught.value)
    assert f"process {child.pid}" in text
    assert socket.gethostname() in text
    assert "since 20" in text
    assert f"kill {child.pid}" in text
    assert caught.value.holder
    assert caught.value.holder.process == child.pid


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    child = hold(tmp_path / "a.lock")
    child.kill()
    child.communicate()
    with FileLock(tmp_path / "a.lock"):
        pass


def test_a_living_holder_keeps_the_lock(tmp_path: Path) -> None:
    child = hold(tmp_path / "a.lock")
    with pytest.raises(HeldByOther), FileLock(tmp_path / "a.lock", take_over=True):
        pass
    child.kill()
    child.communicate()


@pytest.mark.parametrize("gone", [{"process": 2**22 - 1}, {"host": "elsewhere"}, {"started": "1"}])
def test_a_dead_or_remote_holder_can_be_replaced(tmp_path: Path, gone: dict[str, object]) -> None:
    """Let another open file hold the lock for a dead process, as can happen on a network file system."""
    path = tmp_path / "a.lock"
    with FileLock(path) as first:
        pretend(path, **gone)
        with pytest.raises(HeldByOther, match="ended"), FileLock(path):
            pass
        with FileLock(path, take_over=True) as second:
            second.check()
            with pytest.raises(StoreError, match=f"taken over by .*process {os.getpid()}"):
                first.check()


def test_the_description_of_a_holder_is_printed_safely(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with FileLock(path):
        pretend(path, user="\x1b[31manna", process="7", more="x")
        with pytest.raises(HeldByOther) as caught, FileLock(path):
            pass
    assert "\x1b" not in str(caught.value)


def test_a_lock_waits_if_asked(tmp_path: Path) -> None:
    with FileLock(tmp_path / "a.lock"), pytest.raises(HeldByOther), FileLock(tmp_path / "a.lock", wait=0.05):
        pass


class TestReadings:
    def test_a_session_that_was_taken_over_can_not_save_any_more(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        with study.open_reading("anna", case) as first:
            first.save(enter(first.reading, FIELD, GradeEntry(1)))
            pretend(study.reading_path("anna", case).with_suffix(".lock"), host="elsewhere")
            with study.open_reading("anna", case, take_over=True) as second:
                assert second.reading.score(FIELD) == 1
                second.save(enter(second.reading, FIELD, GradeEntry(2)))
                with pytest.raises(StoreError, match="taken over"):
                    first.save(enter(first.reading, FIELD, GradeEntry(0)))
        reading = study.reading("anna", case)
        assert reading
        assert reading.score(FIELD) == 2

    def test_a_file_that_changed_behind_a_session_is_not_overwritten(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        with study.open_reading("anna", case) as session:
            session.save(enter(session.reading, FIELD, GradeEntry(1)))
            path = study.reading_path("anna", case)
            old = path.read_bytes()
            session.save(enter(session.reading, FIELD, GradeEntry(2)))
            path.unlink()
            path.write_bytes(old)
            with pytest.raises(StoreError, match="has changed since it was opened"):
                session.save(enter(session.reading, FIELD, GradeEntry(0)))

    def test_everyone_can_read_meanwhile(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        with study.open_reading("anna", case) as session:
            session.save(enter(session.reading, FIELD, GradeEntry(1)))
            seen = Study.open(study.path).reading("anna", case)
            assert seen
            assert seen.score(FIELD) == 1

    def test_two_raters_confirm_regions_of_different_films_at_once(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        before = study.regions(case)
        one, two, *_ = sorted({region.film for region in before})
        mine = [r for r in before if r.film == one][:3]
        theirs = [r for r in before if r.film == two][:2]
        study.save_regions(case, mine, films={one})
        Study.open(study.path).save_regions(case, theirs, films={two})
        after = study.regions(case)
        assert [r for r in after if r.film == one] == mine
        assert [r for r in after if r.film == two] == theirs
        assert {r.film for r in after} == {r.film for r in before}


def test_a_stream_of_saves_does_not_block_an_exclusive_lock(tmp_path: Path) -> None:
    """Check also that two saves within one change do not wait for each other."""
    from ratui.study.store import StudyLock

    stop, failed = threading.Event(), []

    def save() -> None:
        changes = StudyLock(tmp_path)
        try:
            while not stop.is_set():
                with changes.shared():
                    stop.wait(0.003)
                    with changes.shared():
                        pass
        except StoreError as error:
            failed.append(error)

    StudyLock(tmp_path).create_files()
    savers = [threading.Thread(target=save) for _ in range(4)]
    for saver in savers:
        saver.start()
    try:
        for _ in range(5):
            with StudyLock(tmp_path).exclusive():
                pass
    finally:
        stop.set()
        for saver in savers:
            saver.join()
    assert not failed
