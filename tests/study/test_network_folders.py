"""Two machines that save the same reading on a network file system; see `tests.support.two_machines`.

An entry is acknowledged when `ReadingSession.save` returns.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ratui.errors import StoreError
from ratui.reading import set_note
from ratui.study import LockedByOther, Study, TakenOver
from ratui.study.check import check_study
from ratui.study.readings.reading_session import FileChanged
from ratui.study.store import FileLock, StudyFolder, exclusive_file, file_systems, locking
from ratui.study.store.lock_holder import read_holder
from tests.films import make_study
from tests.support.two_machines import SITE, Mount, network_without_locks, orders, stored


@pytest.fixture
def network() -> Iterator[None]:
    with network_without_locks():
        yield


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


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("each", [2, pytest.param(4, marks=pytest.mark.slow)])
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
def test_two_machines_of_one_account_continue_its_journal_in_turn(tmp_path: Path) -> None:
    path = make_study(tmp_path).path
    (case,) = Study.open(path).cases()
    regions = Study.open(path).regions(case)

    def save(model: str) -> None:
        study = Study.open(path)
        for number in range(25):
            study.save_proposals(model, case, regions[: number + 1])

    threads = [threading.Thread(target=save, args=(model,)) for model in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not check_study(path).faults


@pytest.mark.usefixtures("network")
class TestRecord:
    def test_an_unreleased_record_is_held_and_can_be_taken_over(self, tmp_path: Path) -> None:
        path = tmp_path / "a.lock"
        first = FileLock(path).__enter__()
        with pytest.raises(LockedByOther) as caught, FileLock(path):
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
        monkeypatch.setattr(exclusive_file, "STALE_SECONDS", -10.0)
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
