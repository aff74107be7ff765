"""Taking over with real processes: sessions that take the same reading from each other lose no entry and never both save."""

import itertools
import os
import random
import signal
import struct
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ratui.errors import StoreError
from ratui.reading import set_note
from ratui.study import LockedByOther, Study, TakenOver
from ratui.study.store import FileLock
from tests.films import make_study
from tests.support.fault_harness.kills import acknowledged, child

SITE = "L.MCP2"


def read_notes(study: Study, case: str) -> list[str]:
    """Return all notes in the log of anna's reading of `case`, in the order in which they were entered."""
    reading = Study.open(study.path).reading("anna", case)
    return [entry.note for entry in reading.log if entry.kind == "note"] if reading else []


def take_turns(place: Path, who: int, until: float, pipe: int) -> None:
    """Save notes, and take the reading over from whoever has it, until the time `until`."""
    study = Study.open(place)
    (case,) = study.cases()
    numbers = itertools.count()
    holder = None
    while time.monotonic() < until:
        try:
            with study.open_reading("anna", case, take_over=holder) as session:
                holder = None
                for _ in range(random.randint(1, 30)):
                    number = next(numbers)
                    session.save(set_note(session.reading, SITE, f"{who} {number}"))
                    os.write(pipe, struct.pack("<II", who, number))
        except LockedByOther as error:
            holder = error.holder
        except TakenOver:
            holder = None


@pytest.mark.slow
def test_sessions_that_take_over_from_each_other_lose_no_entry(tmp_path: Path) -> None:
    """Let three processes take over in a race, and stop and continue each of them at random moments."""
    study = make_study(tmp_path)
    (case,) = study.cases()
    until = time.monotonic() + 6
    children = [
        child(lambda pipe, who=who: take_turns(study.path, who, until, pipe))  # type: ignore[misc]
        for who in range(3)
    ]
    rng = random.Random(1)
    while time.monotonic() < until - 1:
        pid, _ = rng.choice(children)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(rng.uniform(0.0, 0.3))
        os.kill(pid, signal.SIGCONT)
        time.sleep(rng.uniform(0.0, 0.05))
    saved = [item for _, pipe in children for item in acknowledged(pipe)]
    for pid, _ in children:
        assert os.waitpid(pid, 0)[1] == 0
    notes = read_notes(study, case)
    assert len({who for who, _ in saved}) == 3
    assert len(saved) > 30
    assert {f"{who} {number}" for who, number in saved} <= set(notes)
    assert len(notes) == len(set(notes))


_SESSION = """
import sys
from pathlib import Path
from ratui.errors import StoreError
from ratui.errors import StoreError
from ratui.reading import set_note
from ratui.study import Study
with Study.open(Path(sys.argv[1])).open_reading("anna", sys.argv[2]) as session:
    for line in sys.stdin:
        try:
            session.save(set_note(session.reading, "L.MCP2", line.strip()))
            print("saved", flush=True)
        except StoreError as error:
            print(error, flush=True)
"""


def test_a_stopped_process_that_goes_on_saves_nothing(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    command = [sys.executable, "-c", _SESSION, str(study.path), case]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin
        assert other.stdout
        print("before", file=other.stdin, flush=True)
        assert other.stdout.readline() == "saved\n"
        other.send_signal(signal.SIGSTOP)
        try:
            print("late", file=other.stdin, flush=True)
            with pytest.raises(LockedByOther) as held, study.open_reading("anna", case):
                pass
            with study.open_reading("anna", case, take_over=held.value.holder) as session:
                assert session.reading.notes[SITE] == "before"
                other.send_signal(signal.SIGCONT)
                assert f"it was taken over by {held.value.holder.user if held.value.holder else ''}" in (
                    other.stdout.readline()
                )
                session.save(set_note(session.reading, SITE, "after"))
        finally:
            with suppress(ProcessLookupError):
                other.send_signal(signal.SIGCONT)
            other.stdin.close()
    assert read_notes(study, case) == ["before", "after"]


_STOP_IN_SAVE = """
import os, signal, sys
from pathlib import Path
from ratui.study.store import FileLock
with FileLock(Path(sys.argv[1])) as lock, lock.writing():
    print("saving", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
"""


def test_a_process_that_is_stopped_in_the_middle_of_a_save_is_not_replaced(tmp_path: Path) -> None:
    """It would complete the save when it goes on. It can be killed."""
    path = tmp_path / "a.lock"
    command = [sys.executable, "-c", _STOP_IN_SAVE, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "saving\n"
        os.waitpid(other.pid, os.WUNTRACED)
        try:
            with pytest.raises(LockedByOther) as held, FileLock(path):
                pass
            with pytest.raises(StoreError, match=rf"middle of a save.*kill -9 {other.pid}"):
                FileLock(path, take_over=held.value.holder).__enter__()
        finally:
            other.kill()
        other.wait()
        with FileLock(path) as lock:
            lock.check()
