"""The lock of a whole study: who can hold it, and what it does on a file system that is mounted read-only."""

import contextlib
import fcntl
import grp
import os
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratui.errors import StoreError
from ratui.study import InProcessConverter, Study, import_films
from ratui.study.check import check_study
from ratui.study.store import StudyFolder, StudyLock, study_lock
from tests.films import confirm_template, hospital

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as other accounts")
RATER, OTHER = 20_001, 20_002
GROUP = "daemon"

_HOLD = """
import fcntl, os, struct, sys
gid, uid, kind, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
os.setgroups([gid]); os.setgid(gid); os.setuid(uid)
flags = os.O_RDONLY if kind in ("shared", "flock") else os.O_RDWR
try:
    file = os.open(path, flags)
    if kind == "flock":
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        lock = fcntl.F_RDLCK if kind == "shared" else fcntl.F_WRLCK
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhqqi0q", lock, 0, 0, 0, 0))
    print("held", flush=True)
except OSError as error:
    print(error.strerror, flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def held_by(uid: int, kind: str, path: Path) -> Iterator[str]:
    """Let the account `uid` try to lock the file at `path` for the duration of the block; yield the outcome."""
    gid = grp.getgrnam(GROUP).gr_gid
    command = [sys.executable, "-c", _HOLD, str(gid), str(uid), kind, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate("")


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Study]:
    # pytest's own folder is closed to other accounts.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        study = Study.create(Path(folder) / "study", "fingers", ["anna", "bert"], group=GROUP)
        import_films(study, [hospital(tmp_path / "h")], key=tmp_path / "key.json", converter=InProcessConverter())
        confirm_template(study, study.cases()[0], "anna")
        yield study


@needs_root
class TestOtherAccounts:
    @pytest.mark.parametrize("name", study_lock.LOCK_FILES)
    @pytest.mark.parametrize("kind", ["exclusive", "flock", "shared"])
    def test_a_member_of_the_group_cannot_block_saves(self, shared: Study, name: str, kind: str) -> None:
        with held_by(RATER, kind, shared.path / name) as outcome:
            assert outcome == ("Permission denied" if kind == "exclusive" else "held")
            with StudyLock(shared.folder).shared():
                pass

    def test_a_lock_file_of_an_earlier_version_is_reported_and_restricted(self, shared: Study) -> None:
        path = shared.path / "gate.lock"
        path.chmod(0o660)
        (fault,) = check_study(shared.path).faults
        assert (fault.file, fault.problem) == ("gate.lock", "a member of the group could block all saves with it")
        assert [each.repaired for each in check_study(shared.path, repair=True).faults] == [True]
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert not check_study(shared.path).faults

    def test_no_other_account_can_open_the_locks_of_a_reading(self, shared: Study) -> None:
        (case,) = shared.cases()
        with shared.open_reading("anna", case) as session:
            session.save(session.reading)
        for suffix in (".lock", ".takeover"):
            path = shared.reading_path("anna", case).with_suffix(suffix)
            for kind in ("flock", "shared"):
                with held_by(OTHER, kind, path) as outcome:
                    assert outcome == "Permission denied", suffix

    def test_a_rater_cannot_lock_the_study_for_oneself(self, shared: Study, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(study_lock, "_TIMEOUT", 0.05)
        code = (
            "import os, sys\nfrom pathlib import Path\nfrom ratui.errors import StoreError\n"
            "from ratui.study.store import StudyFolder, StudyLock\n"
            f"gid = {grp.getgrnam(GROUP).gr_gid}\nos.setgroups([gid]); os.setgid(gid); os.setuid({RATER})\n"
            "try:\n    with StudyLock(StudyFolder(Path(sys.argv[1]))).exclusive(): print('locked')\n"
            "except StoreError as error: print(error.problem)\n"
        )
        done = subprocess.run([sys.executable, "-c", code, str(shared.path)], capture_output=True, text=True)
        assert done.stdout.strip() == "only the study's owner can lock it", done.stderr


def test_the_process_that_holds_the_lock_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_lock, "_TIMEOUT", 0.05)
    lock = StudyLock(StudyFolder(tmp_path))
    lock.create_files()
    code = (
        "import sys\nfrom pathlib import Path\nfrom ratui.study.store import StudyFolder, StudyLock\n"
        "with StudyLock(StudyFolder(Path(sys.argv[1]))).shared():\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with StudyLock(StudyFolder(tmp_path)).shared():
            pass
        with (
            pytest.raises(StoreError, match="a save in it does not end") as caught,
            StudyLock(StudyFolder(tmp_path)).exclusive(),
        ):
            pass
        assert f"process {process.pid}" in caught.value.remedy
        process.communicate("")
    with StudyLock(StudyFolder(tmp_path)).exclusive(), pytest.raises(StoreError, match="perhaps for a backup"):
        StudyLock(StudyFolder(tmp_path)).shared().__enter__()


def test_threads_of_one_process_exclude_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_lock, "_TIMEOUT", 0.05)
    lock, problems = StudyLock(StudyFolder(tmp_path)), []
    lock.create_files()

    def save() -> None:
        try:
            with lock.shared():
                problems.append("")
        except StoreError as error:
            problems.append(error.problem)

    with lock.exclusive():
        thread = threading.Thread(target=save)
        thread.start()
        thread.join()
    save()
    assert problems == ["the study is locked, perhaps for a backup", ""]


def test_the_next_process_gets_the_lock_before_the_one_that_had_it(tmp_path: Path) -> None:
    turns = list[str]()
    stop = threading.Event()

    def save_without_a_pause() -> None:
        while not stop.is_set():
            with (tmp_path / "a.lock").open("r+b") as file:
                assert study_lock.wait_for_lock(file.fileno(), "exclusive", 5.0)
                turns.append("other")
                time.sleep(0.1)  # on a slow disk

    (tmp_path / "a.lock").touch()
    other = threading.Thread(target=save_without_a_pause)
    other.start()
    try:
        for _ in range(5):
            time.sleep(0.02)
            with (tmp_path / "a.lock").open("r+b") as file:
                assert study_lock.wait_for_lock(file.fileno(), "exclusive", 5.0)
                turns.append("this")
    finally:
        stop.set()
        other.join()
    between = "".join(turn[0] for turn in turns).strip("o").split("t")
    assert max(map(len, between)) <= 2, turns


def test_systems_without_these_locks_use_flock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_lock, "HAS_FILE_LOCKS", False)
    monkeypatch.setattr(study_lock, "_TIMEOUT", 0.05)
    StudyLock(StudyFolder(tmp_path)).create_files()
    with StudyLock(StudyFolder(tmp_path)).shared(), (tmp_path / "study.lock").open() as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(StoreError, match="does not end"), StudyLock(StudyFolder(tmp_path)).exclusive():
            pass


@needs_root
def test_a_study_on_a_read_only_file_system_is_intact(shared: Study, tmp_path: Path) -> None:
    from ratui.results.released import collect_released_readings

    mount = tmp_path / "mount"
    mount.mkdir()
    options = "bind,ro"
    if subprocess.run(["mount", "-o", "bind", shared.path, mount], capture_output=True).returncode:
        pytest.skip("needs the permission to mount")
    try:
        subprocess.run(["mount", "-o", f"remount,{options}", mount], check=True)
        archived = Study.open(mount)
        report = check_study(mount)
        assert not report.faults
        assert archived.all_states().keys() == {"anna", "bert"}
        with archived.snapshot() as snapshot:
            assert snapshot.cases() == shared.cases()
        assert collect_released_readings(archived, interim=True).readings.keys() <= set(shared.cases())
        with pytest.raises(StoreError, match="Read-only"), archived.open_reading("anna", shared.cases()[0]):
            pass
    finally:
        subprocess.run(["umount", "-l", mount], check=True)
