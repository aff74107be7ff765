"""Locks of the kernel on an open file: shared with others, or for one alone.

On Linux they are locks of open file descriptions (``F_OFD_SETLK`` in fcntl(2)). Such a lock excludes other threads too, and
the exclusive one needs write access to the file: an account that may only read the file can't keep others from a shared
lock. Other systems lack them. There, ``flock`` is used, which any account that may read the file can hold.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

__all__ = ["BUSY", "HAS_FILE_LOCKS", "LockKind", "find_holders", "lock_file", "next_turn", "wait_for_lock"]

LockKind: TypeAlias = Literal["shared", "exclusive"]
BUSY = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)
"""Errors that say that another open file has the lock."""
HAS_FILE_LOCKS = hasattr(fcntl, "F_OFD_SETLK")
"""True if this system has locks of open file descriptions."""
_FLOCK = {"shared": fcntl.LOCK_SH, "exclusive": fcntl.LOCK_EX}
_RANGE = {"shared": fcntl.F_RDLCK, "exclusive": fcntl.F_WRLCK}
_PAUSE = 0.002  # seconds between two attempts
_LAYOUT = "hhqqi0q"  # struct flock of fcntl(2): l_type, l_whence, l_start, l_len, l_pid
_TURN = 1 << 62
"""Offset of the byte that the next process locks, see `next_turn`; a lock of the file covers all bytes before it."""


def lock_file(descriptor: int, kind: LockKind) -> None:
    """Lock an open file at once; closing it releases the lock. Raises OSError, one of `BUSY` if another has the lock."""
    if HAS_FILE_LOCKS:
        try:
            _set_lock(descriptor, _RANGE[kind], 0, _TURN)
            return
        except OSError as error:
            if error.errno != errno.EINVAL:  # a kernel before Linux 3.15
                raise
    fcntl.flock(descriptor, _FLOCK[kind] | fcntl.LOCK_NB)


def _set_lock(descriptor: int, kind: int, start: int, length: int) -> None:
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack(_LAYOUT, kind, os.SEEK_SET, start, length, 0))


@contextmanager
def next_turn(descriptor: int, deadline: float) -> Iterator[None]:
    """Be the next process to lock an open file, for the duration of the block, and wait for others in the block before.

    Without turns, a process that locks the file again at once can keep the others from it for as long as it goes on: they
    look at the lock from time to time only, and it is free for a small part of the time. The block begins without a turn
    at the time `deadline` of the monotonic clock, and at once on systems without locks of open file descriptions.

    Parameters
    ----------
    descriptor
        Descriptor of the file, open for writing.
    deadline
        Time of ``time.monotonic()`` at which to give up.
    """
    has_turn = HAS_FILE_LOCKS
    while has_turn:
        try:
            _set_lock(descriptor, fcntl.F_WRLCK, _TURN, 1)
            break
        except OSError as error:
            has_turn = error.errno in BUSY and time.monotonic() < deadline
            time.sleep(_PAUSE)
    try:
        yield
    finally:
        if has_turn:
            with contextlib.suppress(OSError):
                _set_lock(descriptor, fcntl.F_UNLCK, _TURN, 1)


def wait_for_lock(descriptor: int, kind: LockKind, timeout: float) -> bool:
    """Lock an open file as `lock_file` does, and wait for others.

    Parameters
    ----------
    descriptor
        Descriptor of the file. The exclusive lock needs one that is open for writing.
    kind
        ``shared`` or ``exclusive``.
    timeout
        Longest time to wait for others, in seconds.

    Returns
    -------
    bool
        False if others had the file locked for all this time.

    Raises
    ------
    OSError
        If the file system supports no locks.
    """
    deadline = time.monotonic() + timeout
    # The turn needs write access, which those who share a lock may not have.
    with next_turn(descriptor, deadline) if kind == "exclusive" else contextlib.nullcontext():
        while True:
            try:
                lock_file(descriptor, kind)
                return True
            except OSError as error:
                if error.errno not in BUSY:
                    raise
                if time.monotonic() >= deadline:
                    return False
                time.sleep(_PAUSE)


def find_holders(descriptor: int) -> list[int]:
    """Return the numbers of other processes that have the file open, as far as this account may look.

    The kernel does not say which process has a lock of an open file description. Root sees all processes, another account
    its own. The list is empty on systems without ``/proc``.
    """
    wanted, found = os.fstat(descriptor), []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for each in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    there = each.stat()
                    if (there.st_dev, there.st_ino) == (wanted.st_dev, wanted.st_ino):
                        found.append(int(process.name))
                        break
    return sorted(set(found) - {os.getpid()})
