"""Writers killed by SIGKILL at random moments, and many writers at once: real processes on real files."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.support.fault_harness.count import Count
from tests.support.fault_harness.stores import Ours, Stock, lost_of, text_of

__all__ = ["acknowledged", "child", "kills", "many_writers"]

_LONGEST = 0.06
"""Longest time in seconds from a writer's first entry to its end; a save takes a few milliseconds."""


def child(work: Callable[[int], None], *, quiet: bool = False) -> tuple[int, int]:
    """Fork a process that runs `work` with a pipe for acknowledgements; return its id and the other end of the pipe.

    A `quiet` process prints nothing if `work` fails.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    code = 1
    try:
        os.close(reading)
        if quiet:
            with contextlib.suppress(Exception):
                work(writing)
        else:
            work(writing)
        code = 0
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def acknowledged(pipe: int) -> list[tuple[int, int]]:
    """Return the acknowledgements in `pipe`, each (writer, number), after it is closed."""
    data = b""
    while part := os.read(pipe, 65_536):
        data += part
    os.close(pipe)
    whole = len(data) // 8 * 8
    return [(writer, number) for writer, number in struct.iter_unpack("II", data[:whole])]


def kills(store: Ours | Stock, folder: Path, trials: int, seed: int = 0) -> Count:
    """Kill `trials` writers at random moments; each next one continues with the files that it finds."""
    rng = random.Random(seed)
    count = Count("kill -9 at a random moment", store.name)
    place = store.make(folder)
    expected: set[str] = set()
    for trial in range(trials):
        if trial % 40 == 0:  # start a new file sometimes: it grows, and so does the time of each save
            shutil.rmtree(folder)
            place, expected = store.make(folder), set()

        def work(pipe: int, writer: int = trial, place: Path = place) -> None:
            with store.session(place) as session:
                for number in range(1_000_000):
                    session.save(text_of(writer, number))
                    os.write(pipe, struct.pack("II", writer, number))

        pid, pipe = child(work)
        # Most die during a save, some before or during their first one.
        first = os.read(pipe, 8) if rng.random() < 0.8 else b""
        time.sleep(rng.uniform(0.0, _LONGEST))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        count.crashes += not os.WIFSIGNALED(status)
        new = [*struct.iter_unpack("II", first), *acknowledged(pipe)]
        count.trials += 1
        count.saved += len(new)
        expected |= {text_of(*each) for each in new}
        lost = lost_of(store, place, expected)
        count.lost += lost
        if lost:
            shutil.rmtree(folder)
            place, expected = store.make(folder), set()
    return count


def many_writers(store: Ours | Stock, folder: Path, writers: int, each: int) -> Count:
    """Run `writers` processes that each save `each` entries to the same file at the same time."""
    count = Count(f"{writers} writers at once", store.name, trials=writers)
    place = store.make(folder)
    with store.session(place) as session:
        session.save("begin")

    def work(pipe: int, writer: int) -> None:
        done = 0
        until = time.monotonic() + 60
        while done < each and time.monotonic() < until:
            try:
                with store.session(place) as session:
                    for _ in range(min(3, each - done)):
                        session.save(text_of(writer, done))
                        os.write(pipe, struct.pack("II", writer, done))
                        done += 1
            except Exception as error:
                if not store.is_locked(error):
                    raise
            time.sleep(0.001 * (1 + writer % 3))

    children = [child(lambda pipe, writer=writer: work(pipe, writer)) for writer in range(writers)]
    saved = [item for _, pipe in children for item in acknowledged(pipe)]
    for pid, _ in children:
        _, status = os.waitpid(pid, 0)
        count.crashes += status != 0
    count.saved = len(saved)
    count.lost = lost_of(store, place, [text_of(*item) for item in saved])
    return count
