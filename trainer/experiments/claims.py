"""Claims: a process that computes a task holds the task's claim file, so that no other process computes it as well.

The file is locked with ``flock``. The system releases the lock when the process ends, also if it is killed. Some network
file systems keep such a lock on one machine only. So the holder also writes its machine into the file and renews the file's
time, and a process on another machine takes the claim over only when the file was not renewed for `LEASE` seconds.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ratui.bounded_parsing import parse_json
from ratui.errors import TrainError, clean_text

__all__ = ["LEASE", "Claim", "Holder", "hold_claim", "read_holder"]

LEASE = 120.0
"""Seconds after which a claim that was not renewed counts as given up, for processes on other machines."""
_LARGEST = 2_000  # bytes


@dataclass(frozen=True)
class Claim:
    """The answer to an attempt to claim a task.

    Attributes
    ----------
    is_own
        True if this process holds the claim.
    was_abandoned
        True if a process of the same start died while it held the claim.
    """

    is_own: bool
    was_abandoned: bool = False


@dataclass(frozen=True)
class Holder:
    """A process that holds a claim: its machine, its number, and the name of its start."""

    host: str
    process: str
    start: str


@contextmanager
def hold_claim(file: Path, start: str) -> Iterator[Claim]:
    """Hold the claim in `file`, if no other process does, until the end of the ``with`` block.

    Parameters
    ----------
    file
        The claim file. Its folder is created. The file stays and is empty after a regular end.
    start
        Name of the start of the program that this process belongs to: processes that were started together share it.

    Raises
    ------
    TrainError
        If the file can't be written or locked.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        opened = file.open("a+b")
    except OSError as error:
        raise _not_possible(file, error) from error
    with opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield Claim(is_own=False)
            return
        except OSError as error:
            raise _not_possible(file, error) from error
        before = _parse(opened)
        if before is not None and before.host != socket.gethostname() and _is_recent(opened, file.parent):
            yield Claim(is_own=False)
            return
        _write(opened, json.dumps({"host": socket.gethostname(), "process": os.getpid(), "start": start}).encode())
        ended = threading.Event()
        renewal = threading.Thread(target=_renew, args=(opened, ended), daemon=True)
        renewal.start()
        try:
            yield Claim(is_own=True, was_abandoned=before is not None and before.start == start)
        finally:
            ended.set()
            renewal.join()
            _write(opened, b"")


def read_holder(file: Path) -> Holder | None:
    """Return the process that holds the claim in `file`, or held it when it died; None if there is none."""
    try:
        with file.open("rb") as opened:
            return _parse(opened)
    except OSError:
        return None


def _parse(opened: BinaryIO) -> Holder | None:
    opened.seek(0)
    data = opened.read(_LARGEST)
    try:
        found = parse_json(data)
        return Holder(*(clean_text(found[name]) for name in ("host", "process", "start")))
    except (ValueError, KeyError, TypeError):  # empty, or a process died while it wrote
        return None


def _write(opened: BinaryIO, data: bytes) -> None:
    opened.truncate(0)
    opened.write(data)  # a file opened with "a" is written at its end
    opened.flush()


def _renew(opened: BinaryIO, ended: threading.Event) -> None:
    while not ended.wait(LEASE / 4):
        with suppress(OSError):  # the next attempt may succeed
            os.utime(opened.fileno())


def _is_recent(opened: BinaryIO, folder: Path) -> bool:
    # The file server's clock gives both times: clocks of machines differ.
    with tempfile.TemporaryFile(dir=folder) as probe:
        now = os.fstat(probe.fileno()).st_mtime
    return now - os.fstat(opened.fileno()).st_mtime < LEASE


def _not_possible(file: Path, error: OSError) -> TrainError:
    return TrainError(
        f"the task can't be claimed: {error.strerror}", file, "Give an --out on a file system that has locks (flock)"
    )
