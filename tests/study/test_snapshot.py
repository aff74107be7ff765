"""Snapshots: all files of one moment, second copies included, and nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import gc
import grp
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ratui.errors import DamagedError, StoreError, StudyError
from ratui.reading import set_note
from ratui.results.released import collect_released_readings
from ratui.study import InProcessConverter, Region, Study, import_films
from ratui.study.check import check_study
from ratui.study.copies import snapshot as snapshot_module
from ratui.study.copies.snapshot import list_study_files
from ratui.study.layout import PRIVATE
from ratui.study.store import StudyLock, frozen_folder, open_folder, study_lock
from ratui.study.store.frozen_folder import FrozenFolder
from tests.films import confirm_template, hospital, make_study

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to act as other accounts")
RATER = 20_001
GROUP = "daemon"
SITE = "L.MCP2"


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return make_study(tmp_path)


def enter_note(study: Study, text: str, rater: str = "anna") -> None:
    with study.open_reading(rater, study.cases()[0]) as session:
        session.save(set_note(session.reading, SITE, text))


def note(study: Study, rater: str = "anna") -> str:
    reading = study.reading(rater, study.cases()[0])
    return reading.notes.get(SITE, "") if reading else ""


def open_files() -> int:
    gc.collect()  # objects of earlier tests may hold files
    with os.scandir("/proc/self/fd") as entries:
        return sum(1 for _ in entries)


@pytest.mark.parametrize("how", ["held open", "copied", "on a network"])
def test_it_shows_one_moment_however_it_is_kept(study: Study, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "copied":
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        monkeypatch.setattr("ratui.study.store.frozen_folder._RESERVE", hard)
    elif how == "on a network":
        monkeypatch.setattr(open_folder, "is_network_type", lambda type: True)
        study = Study.open(study.path)
    enter_note(study, "before")
    files = {path.relative_to(study.path).as_posix(): path.read_bytes() for path in study.path.rglob("*.*")}
    before, limit = open_files(), resource.getrlimit(resource.RLIMIT_NOFILE)
    with study.snapshot() as frozen:
        enter_note(study, "after")
        study.save_regions(study.cases()[0], ())
        assert note(frozen) == "before"
        assert note(study) == "after"
        assert frozen.regions(study.cases()[0])
        names = list_study_files(frozen)
        assert {name: frozen.folder.read(name) for name in names} == {name: files[name] for name in names}
        kept = [frozen.folder.digest(name) for name in names]
        assert kept == [frozen.folder.digest(name) for name in names], "each file can be read again"
        assert any(name.endswith(".dcm") for name in names)
        assert not any(name.endswith((".bak", ".lock")) for name in names)
    del frozen
    assert open_files() == before
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == limit


def test_no_room_for_temporary_files_is_an_error_that_says_what_to_do(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(open_folder, "is_network_type", lambda type: True)  # so that all files are copied
    study = Study.open(study.path)
    enter_note(study, "before")
    with study.snapshot() as frozen, monkeypatch.context() as disk:
        disk.setattr("tempfile.TemporaryFile", no_space)
        with pytest.raises(StudyError, match=r"no room for temporary files.*TMPDIR"), study.snapshot():
            pass
        with pytest.raises(StudyError, match=r"no room for temporary files.*TMPDIR"):
            note(frozen)
        disk.setattr("tempfile.gettempdir", no_space)
        with pytest.raises(StudyError, match="no folder for temporary files"), study.snapshot():
            pass
        with pytest.raises(StudyError, match="no folder for temporary files"):
            note(frozen)


def test_it_has_second_copies(study: Study) -> None:
    """Damage that the second copy makes good must not stop results."""
    enter_note(study, "kept")
    path = study.reading_path("anna", study.cases()[0])
    data = path.read_bytes()
    path.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
    with study.snapshot() as frozen:
        assert note(frozen) == "kept"
    assert any("second copy" in notice for notice in study.notices)
    assert collect_released_readings(Study.open(study.path), interim=True)


def test_a_second_copy_of_a_later_save_is_not_used(study: Study) -> None:
    enter_note(study, "before")
    path = study.reading_path("anna", study.cases()[0])
    damaged = bytes(len(path.read_bytes()))
    path.write_bytes(damaged)
    with study.snapshot() as frozen:
        enter_note(study, "after")
        with pytest.raises(DamagedError):
            note(frozen)
    assert note(study) == "after"


def test_it_cannot_be_changed(study: Study) -> None:
    (case,) = study.cases()
    before = sorted(study.path.rglob("*"))
    with study.snapshot() as frozen:
        for change in (
            lambda: frozen.save_regions(case, ()),
            lambda: enter_note(frozen, "x"),
            lambda: frozen.folder.write("study.toml", b""),
            lambda: frozen.folder.remove("study.toml"),
            lambda: frozen.folder.set_aside("study.toml"),
        ):
            with pytest.raises(StoreError, match="can't be changed"):
                change()
    assert sorted(study.path.rglob("*")) == before


def test_a_killed_snapshot_leaves_nothing(study: Study, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    before = sorted(study.path.rglob("*"))
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom ratui.study import Study\n"
        "from ratui.study.store import frozen_folder\nfrozen_folder._RESERVE = 10**9\n"  # so that all is copied
        "with Study.open(Path(sys.argv[1])).snapshot():\n    print('made', flush=True)\n    time.sleep(60)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    command = [sys.executable, "-c", code, str(study.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "made\n"
        process.send_signal(signal.SIGKILL)
    assert sorted(study.path.rglob("*")) == before
    assert not list((tmp_path / "temporary").iterdir())


def test_a_rater_who_keeps_the_lock_does_not_prevent_it(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_lock, "_TIMEOUT", 0.05)
    enter_note(study, "kept")
    with StudyLock(study.folder).shared(), study.snapshot() as frozen:
        assert note(frozen) == "kept"


def test_a_rater_who_keeps_the_lock_does_not_prevent_a_check(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_lock, "_TIMEOUT", 0.05)
    enter_note(study, "kept")
    path = study.reading_path("anna", study.cases()[0])
    path.with_name(f"{path.name}.bak").write_bytes(b"broken")
    with StudyLock(study.folder).shared():
        (fault,) = check_study(study.path).faults
    assert "second copy" in fault.problem


def test_saves_that_never_pause_end_it_if_they_cannot_be_prevented(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_lock, "_TIMEOUT", 0.05)
    monkeypatch.setattr(snapshot_module, "_TIMEOUT", 0.2)
    monkeypatch.setattr(FrozenFolder, "update", lambda self: True)
    with StudyLock(study.folder).shared(), pytest.raises(StoreError, match="do not pause"), study.snapshot():
        pass


def test_an_update_without_changes_says_so(study: Study) -> None:
    enter_note(study, "one")
    frozen = FrozenFolder(study.folder, PRIVATE)
    assert frozen.update()
    assert not frozen.update()
    enter_note(study, "two")
    assert frozen.update()
    assert not frozen.update()
    for folder in study.path.rglob("*"):
        os.utime(folder, (0, 0))  # anybody may set this time of an own folder
    study.reading_path("anna", study.cases()[0]).unlink()
    assert frozen.update()
    assert not frozen.exists(f"readings/anna/{study.cases()[0]}.json")
    frozen.close()


@contextlib.contextmanager
def saving(study: Study) -> Iterator[None]:
    """Save readings of two raters in turn, with pauses as short as a fast person's, during the block."""
    stop = threading.Event()

    def work() -> None:
        writer = Study.open(study.path)
        case = writer.cases()[0]
        with writer.open_reading("anna", case) as anna, writer.open_reading("bert", case) as bert:
            number = 0
            while not stop.is_set():
                number += 1
                for session in (anna, bert):
                    session.save(set_note(session.reading, SITE, str(number)))
                time.sleep(0.1)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_without_a_lock_it_is_repeated_until_nothing_changes(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_folder, "is_network_type", lambda type: True)
    seen = set()
    with saving(study):
        for _ in range(8):
            with Study.open(study.path).snapshot() as frozen:
                anna, bert = (int(note(frozen, rater) or 0) for rater in ("anna", "bert"))
                assert anna - bert in (0, 1), "anna always saves first"
                seen.add(anna)
            time.sleep(0.1)
    assert len(seen) > 2


@needs_root
def test_another_account_makes_one_without_copies_of_films(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folder is closed to other accounts
        Path(folder).chmod(0o755)
        temporary = Path(folder) / "temporary"
        temporary.mkdir()
        temporary.chmod(0o777)
        study = Study.create(Path(folder) / "study", "fingers", ["anna", "bert"], group=GROUP)
        import_films(study, [hospital(tmp_path / "h")], key=tmp_path / "key.json", converter=InProcessConverter())
        confirm_template(study, study.cases()[0], "anna")
        code = (
            "import os, sys, tempfile\nfrom pathlib import Path\nfrom ratui.study import Study\n"
            "from ratui.study.copies.snapshot import list_study_files\n"
            f"gid = {grp.getgrnam(GROUP).gr_gid}\nos.setgroups([gid]); os.setgid(gid); os.setuid({RATER})\n"
            "with Study.open(Path(sys.argv[1])).as_rater('anna').snapshot() as frozen:\n"
            "    case = frozen.case(frozen.cases()[0])\n"
            "    films = [name for name in list_study_files(frozen) if name.endswith('.dcm')]\n"
            "    print(len(films), len(frozen.regions(case.id)) > 0, os.listdir(tempfile.gettempdir()))\n"
        )
        command = [sys.executable, "-c", code, str(study.path)]
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(temporary)}, timeout=60
        )
        films = len(list(study.path.rglob("*.dcm")))
        assert done.stdout.strip() == f"{films} True []", done.stderr


@pytest.mark.parametrize("what", ["file", "folder"])
def test_folders_without_changes_are_not_listed_again(study: Study, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """Check that the short look finds a change in a folder that was settled before."""
    monkeypatch.setattr(frozen_folder, "_TIMESTAMP_STEP", -(10**12))
    frozen = FrozenFolder(study.folder, PRIVATE)
    frozen.update()
    listed = []
    list_folder = frozen_folder._list_folder
    monkeypatch.setattr(frozen_folder, "_list_folder", lambda folder: listed.append(folder) or list_folder(folder))
    assert not frozen.update()
    assert len(listed) <= 2, "only the folders of the journals"
    (case,) = study.cases()
    if what == "file":
        study.save_regions(case, ())
    else:
        shutil.rmtree(study.path / "films" / case)
    assert frozen.update()
    assert not frozen.update()
    assert frozen.exists(f"films/{case}/films.json") is (what == "file")
    frozen.close()


def test_two_saves_within_a_second_are_told_apart_on_a_network(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that a change is found although neither time nor size differs, nor inode numbers count, as with sshfs."""
    monkeypatch.setattr(open_folder, "is_network_type", lambda type: True)
    study = Study.open(study.path)
    (case,) = study.cases()
    file, regions = study.path / "regions" / f"{case}.json", study.regions(case)
    now = time.time_ns()
    first, second = ([replace(each, confirmed_by=rater) for each in regions] for rater in ("anna", "bert"))

    def save(boxes: list[Region]) -> int:
        study.save_regions(case, boxes)
        os.utime(file, ns=(now, now))
        return file.stat().st_size

    size = save(first)
    frozen = FrozenFolder(study.folder, PRIVATE)
    frozen.update()
    assert not frozen.update()
    assert save(second) == size
    assert frozen.update()
    assert not frozen.update()
    frozen.close()
