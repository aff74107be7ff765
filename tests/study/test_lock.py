"""One writer for each reading: a second one learns who holds the lock and where, and may take over from a dead holder."""

import errno
import json
import os
import pwd
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ratui.errors import StoreError
from ratui.reading import Field, GradeEntry, enter
from ratui.study import LockedByOther, LockHolder, Study, TakenOver
from ratui.study.store import FileLock
from ratui.study.store.locking import read_holder
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
    with pytest.raises(LockedByOther) as caught, FileLock(tmp_path / "a.lock"):
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


def test_a_living_holder_of_another_account_keeps_the_lock(tmp_path: Path) -> None:
    child = hold(tmp_path / "a.lock")
    pretend(tmp_path / "a.lock", user="somebody else")
    holder = read_holder(tmp_path / "a.lock")
    with pytest.raises(LockedByOther), FileLock(tmp_path / "a.lock", take_over=holder):
        pass
    child.kill()
    child.communicate()


def test_a_living_holder_of_this_account_can_be_replaced(tmp_path: Path) -> None:
    child = hold(tmp_path / "a.lock")
    holder = read_holder(tmp_path / "a.lock")
    assert holder
    assert holder.is_dead is False
    with FileLock(tmp_path / "a.lock", take_over=holder) as lock:
        lock.check()
        with pytest.raises(LockedByOther) as caught, FileLock(tmp_path / "a.lock"):
            pass
    assert caught.value.holder
    assert caught.value.holder.process == os.getpid()
    child.kill()
    child.communicate()


def test_a_name_in_the_environment_is_not_the_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody else")
    assert LockHolder.current().user == pwd.getpwuid(os.geteuid()).pw_name


def test_only_the_holder_that_was_shown_is_replaced(tmp_path: Path) -> None:
    """Let two sessions decide to replace the same holder: the second finds the first."""
    path = tmp_path / "a.lock"
    with FileLock(path) as old:
        holder = read_holder(path)
        with FileLock(path, take_over=holder) as first:
            with pytest.raises(LockedByOther) as caught, FileLock(path, take_over=holder):
                pass
            first.check()
            assert caught.value.holder == read_holder(path)
            with pytest.raises(TakenOver) as lost:
                old.check()
            assert lost.value.by == caught.value.holder


def test_a_take_over_waits_for_the_end_of_a_save(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with FileLock(path) as first:
        holder = read_holder(path)
        with first.writing(), pytest.raises(StoreError, match="middle of a save"), FileLock(path, take_over=holder):
            pass
        with first.writing():
            pass  # the failed take-over has changed nothing
        begun, saved = threading.Event(), threading.Event()

        def save() -> None:
            with first.writing():
                begun.set()
                time.sleep(0.3)
                saved.set()

        saving = threading.Thread(target=save)
        saving.start()
        assert begun.wait(5)
        with FileLock(path, take_over=holder):
            assert saved.is_set()
            with pytest.raises(TakenOver), first.writing():
                pass
        saving.join()


@pytest.mark.parametrize("call", ["pwrite", "truncate"])
def test_a_full_disk_leaves_the_lock_to_its_holder(tmp_path: Path, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.lock"
    with FileLock(path) as first:
        holder, before = read_holder(path), descriptors()

        def fail(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            with pytest.raises(StoreError, match=r"No space left on device\. Free some disk space"):
                FileLock(path, take_over=holder).__enter__()
            with pytest.raises(StoreError, match="No space left on device"):
                FileLock(tmp_path / "b.lock").__enter__()
        first.check()
        assert descriptors() == before
        assert not list(tmp_path.glob(".*"))
    with FileLock(path), FileLock(tmp_path / "b.lock"):
        pass


def test_a_record_that_is_written_in_part_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, offset: write(file, data[:10], offset))
    with pytest.raises(StoreError, match="No space left on device"):
        FileLock(tmp_path / "a.lock").__enter__()


def test_a_lock_that_a_server_gave_to_another_client_is_lost(tmp_path: Path) -> None:
    """Let another process write its record into the same lock file, as it can after the lease of a client has expired."""
    path = tmp_path / "a.lock"
    with FileLock(path) as first:
        pretend(path, token="another", host="elsewhere")
        with pytest.raises(TakenOver, match="elsewhere"):
            first.check()


def descriptors() -> list[Path]:
    """Return the open descriptors of this process."""
    return sorted(Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("gone", [{"process": 2**22 - 1}, {"host": "elsewhere"}, {"started": "1"}])
def test_a_dead_or_remote_holder_can_be_replaced(tmp_path: Path, gone: dict[str, object]) -> None:
    """Let another open file hold the lock for a dead process, as can happen on a network file system."""
    path = tmp_path / "a.lock"
    with FileLock(path) as first:
        pretend(path, user="somebody else", **gone)
        with pytest.raises(LockedByOther, match="ended"), FileLock(path):
            pass
        with FileLock(path, take_over=read_holder(path)) as second:
            second.check()
            with pytest.raises(StoreError, match=f"taken over by .*process {os.getpid()}"):
                first.check()


def test_the_description_of_a_holder_is_printed_safely(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with FileLock(path):
        pretend(path, user="\x1b[31manna", process="7", more="x")
        with pytest.raises(LockedByOther) as caught, FileLock(path):
            pass
    assert "\x1b" not in str(caught.value)


def test_a_lock_waits_if_asked(tmp_path: Path) -> None:
    with FileLock(tmp_path / "a.lock"), pytest.raises(LockedByOther), FileLock(tmp_path / "a.lock", wait=0.05):
        pass


def test_a_lock_is_not_kept_from_a_waiting_process_by_one_that_takes_it_again_at_once(tmp_path: Path) -> None:
    path, stop, failed = tmp_path / "a.lock", threading.Event(), []

    def save_without_a_pause() -> None:
        try:
            while not stop.is_set():
                with FileLock(path, wait=5.0):
                    time.sleep(0.1)  # on a slow disk
        except StoreError as error:
            failed.append(error)

    with FileLock(path):
        pass
    other = threading.Thread(target=save_without_a_pause)
    other.start()
    try:
        for _ in range(5):
            time.sleep(0.02)
            with FileLock(path, wait=0.5):
                pass
    finally:
        stop.set()
        other.join()
    assert not failed


def test_a_process_that_holds_its_lock_for_long_does_not_let_others_wait_longer(tmp_path: Path) -> None:
    path, refused = tmp_path / "a.lock", []

    def wait() -> None:
        try:
            with FileLock(path, wait=0.2):
                pass
        except LockedByOther as error:
            refused.append(error.holder)

    with FileLock(path):
        holder = read_holder(path)
        others = [threading.Thread(target=wait) for _ in range(3)]
        begun = time.monotonic()
        for other in others:
            other.start()
        for other in others:
            other.join()
        assert time.monotonic() - begun < 1.0
    assert refused == [holder] * 3


class TestReadings:
    def test_a_session_that_was_taken_over_can_not_save_any_more(self, tmp_path: Path) -> None:
        study = make_study(tmp_path)
        (case,) = study.cases()
        with study.open_reading("anna", case) as first:
            first.save(enter(first.reading, FIELD, GradeEntry(1)))
            holder = read_holder(study.reading_path("anna", case).with_suffix(".lock"))
            with study.open_reading("anna", case, take_over=holder) as second:
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
    from ratui.study.store import StudyFolder, StudyLock

    stop, failed = threading.Event(), []

    def save() -> None:
        changes = StudyLock(StudyFolder(tmp_path))
        try:
            while not stop.is_set():
                with changes.shared():
                    stop.wait(0.003)
                    with changes.shared():
                        pass
        except StoreError as error:
            failed.append(error)

    StudyLock(StudyFolder(tmp_path)).create_files()
    savers = [threading.Thread(target=save) for _ in range(4)]
    for saver in savers:
        saver.start()
    try:
        for _ in range(5):
            with StudyLock(StudyFolder(tmp_path)).exclusive():
                pass
    finally:
        stop.set()
        for saver in savers:
            saver.join()
    assert not failed
