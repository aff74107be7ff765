"""Two machines that share a study on a network file system whose locks bind one machine only, as with two sshfs mounts.

Locks are replaced by functions that do nothing. An entry is acknowledged when `ReadingSession.save` returns.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratui import files
from ratui.errors import StoreError
from ratui.reading import set_note
from ratui.study import HeldByOther, ReadingSession, Study, TakenOver
from ratui.study.reading_session import FileChanged
from ratui.study.store import FileLock, StudyFolder, exclusive_file, file_systems, kernel_locks, locking, open_folder
from ratui.study.store.lock_holder import read_holder
from tests.films import make_study

SITE = "L.MCP2"


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat all file systems as network file systems, and let locks do nothing."""
    monkeypatch.setattr(fcntl, "flock", lambda descriptor, kind: None)
    monkeypatch.setattr(kernel_locks, "lock_file", lambda descriptor, kind: None)
    monkeypatch.setattr(open_folder, "is_network_type", lambda type: True)
    monkeypatch.setattr(files.os, "fsync", lambda descriptor: None)  # only to be faster


class Mount:
    """A machine on which anna reads; each has its own view of the study.

    Attributes
    ----------
    acknowledged
        Entries that were saved according to `ReadingSession.save`.
    refused
        Number of entries that were not saved, of which a person is told.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._study = Study.open(path)
        (self._case,) = self._study.cases()
        self._name = name
        self._numbers = itertools.count()
        self._open = contextlib.ExitStack()
        self.session: ReadingSession | None = None
        self.acknowledged: list[str] = []
        self.refused = 0

    def open(self) -> ReadingSession:
        """Open the reading, and take it over from whoever has it."""
        holder = None
        for _ in range(20):
            try:
                return self._open.enter_context(self._study.open_reading("anna", self._case, take_over=holder))
            except HeldByOther as error:
                holder = error.holder
        raise AssertionError("the reading can't be opened")

    def save(self) -> None:
        """Save one more entry, in a new session if there is none."""
        self.session = self.session or self.open()
        text = f"{self._name}{next(self._numbers)}"
        try:
            self.session.save(set_note(self.session.reading, SITE, text))
            self.acknowledged.append(text)
        except (TakenOver, FileChanged):
            self.refused += 1
            self.close()

    def close(self) -> None:
        self._open.close()
        self.session = None


def stored(path: Path) -> list[str]:
    """Return all entries in the stored reading, in order."""
    study = Study.open(path)
    reading = study.reading("anna", study.cases()[0])
    return [entry.note for entry in reading.log if entry.kind == "note"] if reading else []


def interleave(path: Path, turns: str) -> None:
    """Let two machines save in the order `turns`, such as ``abba``, and check that no acknowledged entry is lost."""
    mounts = {name: Mount(path, name) for name in "ab"}
    before = len(stored(path))
    for name in turns:
        mounts[name].save()
    for mount in mounts.values():
        mount.close()
    acknowledged = [text for mount in mounts.values() for text in mount.acknowledged]
    found = stored(path)[before:]
    assert sorted(acknowledged) == sorted(found), turns
    assert len(acknowledged) + sum(mount.refused for mount in mounts.values()) == len(turns)


def orders(each: int) -> Iterator[str]:
    """Yield every order of `each` saves of machine a and as many of machine b."""
    for places in itertools.combinations(range(2 * each), each):
        yield "".join("a" if place in places else "b" for place in range(2 * each))


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("each", [2, pytest.param(6, marks=pytest.mark.slow)])
def test_no_entry_is_lost_in_any_order_of_saves(tmp_path: Path, each: int) -> None:
    study = make_study(tmp_path)
    file = study.reading_path("anna", study.cases()[0])
    for turns in orders(each):
        for path in file.parent.glob("*"):
            path.unlink()
        interleave(study.path, turns)


@pytest.mark.usefixtures("network")
@pytest.mark.slow
def test_no_entry_is_lost_at_any_moment_of_a_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two machines take over from each other, each of them delayed at random moments of its steps."""
    path = make_study(tmp_path).path
    rng, opened = random.Random(5), StudyFolder.opened

    def slowly(self: StudyFolder, inside: str = "") -> contextlib.AbstractContextManager[int]:
        if rng.random() < 0.3:
            time.sleep(rng.uniform(0.0, 0.004))
        return opened(self, inside)

    monkeypatch.setattr(StudyFolder, "opened", slowly)
    mounts, failed = [Mount(path, name) for name in "ab"], []

    def work(mount: Mount) -> None:
        until = time.monotonic() + 10
        try:
            while time.monotonic() < until:
                mount.save()
        except BaseException as error:
            failed.append(error)
        finally:
            mount.close()

    threads = [threading.Thread(target=work, args=(mount,)) for mount in mounts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    found = stored(path)
    assert all(len(mount.acknowledged) > 5 for mount in mounts)
    assert sum(mount.refused for mount in mounts) > 5
    assert {text for mount in mounts for text in mount.acknowledged} <= set(found)
    assert len(found) == len(set(found))


@pytest.mark.usefixtures("network")
def test_two_sessions_that_both_believe_to_have_the_lock(tmp_path: Path) -> None:
    """Check the last defence: a save compares the end of the stored file with what the session wrote last."""
    path = make_study(tmp_path).path
    one, two = Mount(path, "a"), Mount(path, "b")
    one.save()
    two.session = two.open()
    assert one.session is not None
    for lock in (one.session._lock, two.session._lock):
        lock.check = lambda: None  # type: ignore[method-assign]
    two.save()
    with pytest.raises(FileChanged):
        one.session.save(set_note(one.session.reading, SITE, "lost?"))
    assert stored(path) == ["a0", "b0"]


@pytest.mark.usefixtures("network")
class TestRecord:
    def test_an_unreleased_record_is_held_and_can_be_taken_over(self, tmp_path: Path) -> None:
        path = tmp_path / "a.lock"
        first = FileLock(path).__enter__()
        with pytest.raises(HeldByOther) as caught, FileLock(path):
            pass
        with FileLock(path, take_over=caught.value.holder) as second:
            second.check()
            with pytest.raises(TakenOver):
                first.check()
            first.__exit__(None, None, None)
            second.check()
        assert read_holder(path) is None
        with FileLock(path):
            pass

    def test_a_process_of_this_machine_that_has_ended_does_not_hold_it(self, tmp_path: Path) -> None:
        path = tmp_path / "a.lock"
        if not (child := os.fork()):
            FileLock(path).__enter__()
            os._exit(0)
        os.waitpid(child, 0)
        assert read_holder(path) is not None
        with FileLock(path):
            pass

    def test_a_lock_for_moments_is_taken_over_after_a_while(self, tmp_path: Path) -> None:
        path = tmp_path / "a.lock"
        first = FileLock(path).__enter__()
        with FileLock(path, wait=0.1), pytest.raises(TakenOver):
            first.check()

    def test_a_take_over_during_a_save_makes_the_save_fail(self, tmp_path: Path) -> None:
        path = tmp_path / "a.lock"
        with FileLock(path) as first:
            holder = read_holder(path)
            with pytest.raises(TakenOver), first.writing():  # noqa: PT012
                (tmp_path / "a.saving").unlink()
                FileLock(path, take_over=holder).__enter__()

    def test_the_file_of_a_killed_save_is_removed_after_a_while(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(locking, "_GUARD_TIMEOUT", 0.05)
        (tmp_path / "a.saving").write_bytes(b"killed")
        with pytest.raises(StoreError, match="in the middle of a save"), FileLock(tmp_path / "a.lock"):
            pass
        monkeypatch.setattr(exclusive_file, "_STALE", -10.0)
        with FileLock(tmp_path / "a.lock") as lock, lock.writing():
            assert (tmp_path / "a.saving").read_bytes() != b"killed"
        assert not [path for path in tmp_path.iterdir() if path.name not in ("a.lock",)]


def test_a_file_that_is_not_what_was_written_is_noticed_by_the_save(
    tmp_path: Path, network: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    with study.open_reading("anna", case) as session:
        session.save(set_note(session.reading, SITE, "one"))
        write = StudyFolder.write

        def lose(self: StudyFolder, inside: str, data: bytes, **options: bool) -> None:
            before = self.read(inside)
            write(self, inside, data, **options)
            (self.path / inside).write_bytes(before)

        monkeypatch.setattr(StudyFolder, "write", lose)
        with pytest.raises(FileChanged):
            session.save(set_note(session.reading, SITE, "two"))
        assert session.reading.log[-1].note == "one"


@pytest.mark.parametrize(
    ("type", "expected"),
    [("nfs4", True), ("cifs", True), ("fuse.sshfs", True), ("fuse.unknown", True), ("ext4", False), ("", False)],
)
def test_network_file_systems_are_recognized(
    type: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "36 35 98:0 / /other rw - xfs /dev/x rw\n"
        f"37 35 {os.major(device)}:{os.minor(device)} / /mnt rw,noatime shared:1 - {type} anna@host:/study rw\n"
    )
    monkeypatch.setattr(file_systems, "_MOUNTS", mounts)
    assert StudyFolder(tmp_path).is_on_network is expected
