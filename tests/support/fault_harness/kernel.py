"""Faults in the kernel: the real system calls of a save are made to fail, or to kill the process, by ``strace``.

Python itself is not patched. `Unavailable` is raised if strace is missing or lacks the permission.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.fault_harness.count import Count, Unavailable
from tests.support.fault_harness.stores import Ours, Stock, lost_of, text_of

__all__ = ["ERRORS", "failing_syscalls", "killed_in_each_call"]

ERRORS = ("ENOSPC", "EIO", "EDQUOT", "ESTALE")
"""Errors of system calls: a full disk, a broken one, a quota, a network file system that lost the file."""
_MEMORY = {"brk", "mmap", "munmap", "mremap", "madvise", "mprotect", "futex", "restart_syscall", "rt_sigaction"}
"""Calls without relation to the disk."""


class _Writer:
    """A process of `writer` on `place` that saves one entry at a time."""

    def __init__(self, store: Ours | Stock, place: Path) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fault_harness.writer", store.name, str(place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            bufsize=0,
        )
        if self.answer() != "ready":
            raise AssertionError("the writer didn't begin")

    def answer(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().decode().strip()

    def save(self, text: str) -> str:
        """Save `text` and return the outcome; empty if the process died."""
        assert self.process.stdin
        self.process.stdin.write(f"{text}\n".encode())
        return self.answer()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def _traced(writer: _Writer, log: Path, *inject: str) -> Iterator[None]:
    command = ["strace", "-p", str(writer.process.pid), "-o", str(log), "-e", "trace=all", *inject]
    log.unlink(missing_ok=True)
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, bufsize=0)
    assert tracer.stderr
    line = tracer.stderr.readline().decode()
    if "attached" not in line:
        tracer.kill()
        tracer.communicate()
        raise Unavailable(f"strace can't look at a process: {line.strip()}")
    until = time.monotonic() + 5
    while not (log.exists() and "read(0," in log.read_text()):  # before that, strace does not trace yet
        if time.monotonic() > until:
            raise AssertionError("strace doesn't see the writer wait")
        time.sleep(0.002)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            tracer.send_signal(signal.SIGINT)
        tracer.communicate()


def _calls(log: Path) -> list[tuple[str, int]]:
    """Return the calls of one save, each with its number among calls of its name: from the input line to the answer."""
    lines = log.read_text().splitlines()
    begin = next(place for place, line in enumerate(lines) if line.startswith("read(0,"))
    end = max(place for place, line in enumerate(lines) if line.startswith("write(1,"))
    counted: Counter[str] = Counter()
    calls = []
    for place, line in enumerate(lines[:end]):
        name = line.partition("(")[0]
        counted[name] += 1
        if place > begin and name.isidentifier() and name not in _MEMORY:
            calls.append((name, counted[name]))
    return calls


def _calls_of_a_save(store: Ours | Stock, place: Path, writer: _Writer, log: Path) -> list[tuple[str, int]]:
    if shutil.which("strace") is None:
        raise Unavailable("strace is not installed")
    for number in range(3):  # modules loaded at the first save are no part of later saves
        writer.save(text_of(9, number))
    with _traced(writer, log):
        writer.save(text_of(9, 3))
        time.sleep(0.05)
    calls = _calls(log)
    if not calls:
        raise AssertionError("no call of a save was seen")
    return calls


def failing_syscalls(store: Ours | Stock, folder: Path, *, errors: tuple[str, ...] = ERRORS) -> Iterator[Count]:
    """Let every system call of a save fail in turn with each error, then let the disk work; yield a count per error."""
    log = folder / "calls"
    for error in errors:
        place = store.make(folder / error)
        writer = _Writer(store, place)
        try:
            calls = _calls_of_a_save(store, place, writer, log)
            count = Count(f"{error} from each of the {len(calls)} system calls of a save", store.name)
            saved: list[str] = []
            for number, (name, at) in enumerate(calls):
                hit, after = text_of(0, 2 * number), text_of(0, 2 * number + 1)
                with _traced(writer, log, "-e", f"inject={name}:error={error}:when={at}"):
                    answer = writer.save(hit)
                    time.sleep(0.005)
                saved += [hit] * (answer == "saved")
                then = writer.save(after)
                saved += [after] * (then == "saved")
                count.trials += 1
                count.crashes += answer.startswith("fault") or not answer or then != "saved"
                if lost := lost_of(store, place, saved):
                    count.saved += len(saved)
                    count.lost += lost
                    writer.close()
                    place, saved = store.make(folder / f"{error}-{number}"), []
                    writer = _Writer(store, place)
        finally:
            writer.close()
        count.saved += len(saved)
        yield count


def killed_in_each_call(store: Ours | Stock, folder: Path) -> Count:
    """Kill the writer in each system call of a save in turn; the next writer continues with the remaining files."""
    log = folder / "calls"
    place = store.make(folder / "place")
    writer = _Writer(store, place)
    try:
        calls = _calls_of_a_save(store, place, writer, log)
    finally:
        writer.close()
    count = Count(f"SIGKILL in each of the {len(calls)} system calls of a save", store.name)
    saved: list[str] = []
    for number, (name, at) in enumerate(calls):
        writer = _Writer(store, place)
        try:
            for turn in range(4):
                text = text_of(number, turn)
                with contextlib.ExitStack() as stack:
                    if turn == 3:
                        stack.enter_context(_traced(writer, log, "-e", f"inject={name}:signal=KILL:when={at}"))
                    saved += [text] * (writer.save(text) == "saved")
        finally:
            writer.close()
        count.trials += 1
        if lost := lost_of(store, place, saved):
            count.saved += len(saved)
            count.lost += lost
            shutil.rmtree(folder / "place")
            place, saved = store.make(folder / "place"), []
    count.saved += len(saved)
    return count
