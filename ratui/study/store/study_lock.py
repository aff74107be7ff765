"""The lock of a whole study: many may save at the same time, and a snapshot excludes every save.

It consists of locks of the kernel on open files, which journals use too. On Linux they are locks of open file descriptions
(``F_OFD_SETLK`` in fcntl(2)). Such a lock excludes other threads too, and the exclusive one needs write access to the file:
an account that may only read the file can't keep others from a shared lock. Other systems lack them. There, ``flock`` is
used, which any account that may read the file can hold.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from ratui.errors import StoreError
from ratui.files import file_mode

if TYPE_CHECKING:
    from ratui.study.store.folder import FileSignature, StudyFolder

__all__ = [
    "BUSY",
    "HAS_FILE_LOCKS",
    "LOCK_FILES",
    "LockKind",
    "StudyLock",
    "StudyLocked",
    "find_holders",
    "lock_file",
    "next_turn",
    "wait_for_lock",
]

LOCK_FILES = ("study.lock", "gate.lock")
"""Files in a study's folder that `StudyLock` locks. Members of the group may only read them: a shared lock needs no more."""
_TIMEOUT = 10.0  # seconds that a save or a snapshot waits for the study
_PATIENCE = 3.0  # seconds that a snapshot waits for saves which have begun, while no other can begin
_NO_ACCESS = (errno.EACCES, errno.EPERM)
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

_SETTINGS, _LARGEST_SETTINGS = "study.toml", 256_000
_CLOSING = re.compile(rb'\{ action = "(locked|unlocked)", at = "([0-9]{4}-[0-9]{2}-[0-9]{2})')
"""The records in ``study.toml`` that a manager locked or unlocked the study, as `StudyEvent` writes them."""


class StudyLocked(StoreError):
    """A manager has locked the study: nothing in it may change."""


class StudyLock:
    """A readers–writer lock on a study: `shared` for a save, `exclusive` for a consistent snapshot.

    Any number of processes may have `shared` at once; a process that has `exclusive` is alone. Hold it for a moment, never
    while a person thinks. Every `shared` passes a gate that a waiting `exclusive` closes, so that a stream of saves can't
    delay a snapshot for long.

    Only accounts that may write the lock files, which are the study's owner and root, can have `exclusive`: no other member
    of the group can block saves. On a file system that is mounted read-only nothing can be saved, so `exclusive` locks
    nothing there.

    A study that a manager has locked with ``ratui lock`` refuses `shared`, also to sessions that are open already.
    """

    def __init__(self, study: StudyFolder) -> None:
        self._folder = study
        self.settings: object = None
        """Signatures of both copies of the settings when they last did not lock the study."""
        self._main, self._gate = LOCK_FILES
        self._thread = threading.local()

    def create_files(self) -> None:
        """Create the lock files, so that every member of the group can open them for reading. Raises OSError."""
        with self._folder.opened() as top:
            mode = file_mode(top)
        for name in LOCK_FILES:
            os.close(self._folder.open_lock(name, mode=mode))

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Lock for one save, or for saves that belong together; a nested call does nothing.

        Raises StudyLocked if a manager has locked the study, and StoreError if another process has it exclusively for 10
        seconds.
        """
        if getattr(self._thread, "is_shared", False):
            yield
            return
        with self._lock(self._gate, "shared"):
            passed = ExitStack()
            passed.enter_context(self._lock(self._main, "shared"))
        with passed:  # the gate is open again, the lock is held
            self.check_unlocked()
            self._thread.is_shared = True
            try:
                yield
            finally:
                self._thread.is_shared = False

    def check_unlocked(self) -> None:
        """Raise StudyLocked if a manager has locked the study, and StoreError if its settings can't be read.

        Both copies of the settings are read: the lock counts also if one of them is damaged or missing.
        """
        signatures = self.settings_signatures()
        if signatures == self.settings:
            return
        for name, signature in signatures.items():
            found = _CLOSING.findall(self._folder.read(name, _LARGEST_SETTINGS)) if signature else []
            if found and found[-1][0] == b"locked":
                problem = f"the study was locked on {found[-1][1].decode()}; nothing in it can be changed"
                raise StudyLocked(problem, self._folder.path, "Ask a manager of the study")
        self.settings = signatures

    def settings_signatures(self) -> dict[str, FileSignature]:
        """Return the signatures of both copies of the settings. Raises StoreError if the disk refuses."""
        return {name: self._folder.signature(name) for name in (_SETTINGS, f"{_SETTINGS}.bak")}

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Lock for a look at all files while nothing is saved.

        Raises StoreError if saves do not end in 3 seconds, or if this account may not lock the study.
        """
        if self._folder.is_read_only:
            yield
            return
        with self._lock(self._gate, "exclusive"), self._lock(self._main, "exclusive", min(_PATIENCE, _TIMEOUT)):
            yield

    @contextmanager
    def _lock(self, name: str, kind: LockKind, timeout: float | None = None) -> Iterator[None]:
        path = self._folder.path / name
        try:
            descriptor = self._open(name, kind)
        except OSError as error:
            if kind == "exclusive" and error.errno in _NO_ACCESS:
                raise StoreError("only the study's owner can lock it", path, "Ask the owner") from error
            raise StoreError(f"can't be locked: {error.strerror}", path, "Check its permissions") from error
        try:
            self._wait(descriptor, kind, path, _TIMEOUT if timeout is None else timeout)
            yield
        finally:
            with contextlib.suppress(OSError):  # close() releases the lock even if it reports an error
                os.close(descriptor)

    def _open(self, name: str, kind: LockKind) -> int:
        access: Literal["read", "write"] = "read" if kind == "shared" else "write"
        try:
            return self._folder.open_lock(name, access=access)
        except FileNotFoundError:
            self.create_files()  # a study of format 1 has none
            return self._folder.open_lock(name, access=access)

    def _wait(self, descriptor: int, kind: LockKind, path: Path, timeout: float) -> None:
        try:
            is_locked = wait_for_lock(descriptor, kind, timeout)
        except OSError as error:
            remedy = "Use a file system that supports locks"
            raise StoreError(f"can't be locked: {error.strerror}", path, remedy) from error
        if is_locked:
            return
        problem = "the study is locked, perhaps for a backup"
        if kind == "exclusive":
            problem = "the study is locked by another process, or a save in it does not end"
        processes = ", ".join(map(str, find_holders(descriptor)))
        remedy = f"Try again in a moment. It is open in process {processes}" if processes else "Try again in a moment"
        raise StoreError(problem, self._folder.path, remedy)


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
