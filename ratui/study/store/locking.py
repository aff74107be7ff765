"""A lock of a study's file, which gives the file one writer.

It is a lock of the kernel (``flock``) and ends with its process, however the process ends. On a network file system such a
lock may bind the processes of one machine only. There the record in the lock file counts too: a lock whose holder did not
release it is held, until it is taken over. All steps that must exclude each other are then made by creating or renaming a
file, which only one machine can succeed in.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from ratui.errors import StoreError
from ratui.study.store.exclusive_file import STALE_SECONDS, exclusive_file
from ratui.study.store.folder import StudyFile, as_file
from ratui.study.store.lock_holder import (
    LARGEST_HOLDER,
    LockedByOther,
    LockHolder,
    TakenOver,
    holder_at,
    parse_holder,
    read_holder,
    read_record,
    write_holder,
)
from ratui.study.store.study_lock import next_turn

__all__ = ["FileLock", "LockHolder", "LockedByOther", "TakenOver", "check_free", "read_holder"]

_BUSY = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)
_GUARD_TIMEOUT = 2.0  # seconds that a save waits for a take-over, or a take-over for a save


class FileLock:
    """A lock that gives one file one writer, as a context manager.

    A lock can be taken over: from a process of the same account, such as one behind a dead connection, and from a process
    that is dead or on another machine, because a lock can outlive its holder on a network file system. The lock file is
    replaced, and each `writing` of the first holder fails from then on, so that it writes nothing more.

    Parameters
    ----------
    file
        The lock file; it contains the record of its holder. The folder of a path is created if necessary.
    take_over
        The holder from which to take the lock. Another holder keeps it, also one that has just taken it over.
    wait
        Seconds to retry, for locks that are held for moments only.

    Raises
    ------
    LockedByOther
        On entry, while another process has the lock.
    StoreError
        On entry, if the file can't be locked, or a save of the holder does not end.
    """

    def __init__(self, file: StudyFile | Path, *, take_over: LockHolder | None = None, wait: float = 0.0) -> None:
        self._file = as_file(file)
        self._path = self._file.path
        self._given = file
        self._take_over = take_over
        self._wait = wait
        self._descriptor = -1
        self._record = b""
        """Bytes of this lock's own record, which contain a random token."""

    def __enter__(self) -> FileLock:
        as_file(self._given, make_folder=True)
        try:
            if self._wait:
                self._enter_in_turn(time.monotonic() + self._wait)
            while self._descriptor < 0:
                self._try()
        except OSError as error:
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            remedy = "Free some disk space" if is_full else "Check its owner, and that the file system supports locks"
            raise StoreError(f"can't be locked: {error.strerror}", self._path, remedy) from error
        return self

    def _enter_in_turn(self, deadline: float) -> None:
        """Take the lock after those who have waited longer. Raises LockedByOther after `deadline`, StoreError, OSError."""
        first = read_holder(self._file)
        with self._next_turn(deadline):
            while self._descriptor < 0:
                try:
                    self._try()
                except LockedByOther as error:
                    if time.monotonic() >= deadline:
                        # Nobody has a lock for moments that long: its holder ended without releasing the record.
                        if not (self.is_on_network and first is not None and error.holder == first != self._take_over):
                            raise
                        self._take_over = first
                    time.sleep(0.01)

    @contextmanager
    def _next_turn(self, deadline: float) -> Iterator[None]:
        """See `next_turn`. On a network file system, where it could exclude the lock itself, there are no turns."""
        if self.is_on_network:
            yield
            return
        descriptor = self._file.folder.open_lock(self._file.inside)
        try:
            with next_turn(descriptor, deadline):
                yield
        finally:
            _close(descriptor)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor >= 0:
            if self.is_on_network:
                self._remove_record()
            _close(self._descriptor)
            self._descriptor = -1

    def _remove_record(self) -> None:
        """Empty this lock's file. After a take-over the path names another file, which is not touched."""
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)

    @property
    def is_on_network(self) -> bool:
        """True if the lock is on a network file system."""
        return self._file.folder.is_on_network

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Exclude a take-over while the file is written.

        Raises
        ------
        TakenOver
            If the lock was taken over; nothing may be written then. On a network file system also at the end, after the
            block has written: the file may then be replaced by the new holder, and the caller must not report success.
        StoreError
            If that can't be checked; nothing may be written then.
        """
        with contextlib.ExitStack() as guarded:
            try:
                guarded.enter_context(self._guard("a take-over of it does not end"))
            except OSError as error:
                problem = f"can't be locked: {error.strerror}"
                raise StoreError(problem, self._path, "Check the disk, and try again") from error
            self.check()
            yield
            if self.is_on_network:
                self.check()

    def check(self) -> None:
        """Raise TakenOver if the lock was taken over, and StoreError if that can't be checked."""
        if self.is_on_network:
            # By its path, because the descriptor stays on a file that was replaced. Inode numbers may change here.
            there = read_record(self._file)
            if self._descriptor < 0 or there != self._record:
                raise TakenOver(parse_holder(there), self._path.stem)
            return
        try:
            is_ours = self._descriptor >= 0 and self._is_current(self._descriptor)
            is_ours = is_ours and os.pread(self._descriptor, LARGEST_HOLDER, 0) == self._record
        except OSError as error:
            remedy = "Check the disk, and try again"
            raise StoreError(f"its lock can't be checked: {error.strerror}", self._path, remedy) from error
        if not is_ours:
            raise TakenOver(read_holder(self._file), self._path.stem)

    def _try(self) -> None:
        """Take the lock if it is free; take nothing if the file was replaced between opening and locking."""
        descriptor = self._file.folder.open_lock(self._file.inside)
        try:
            is_free = _lock_now(descriptor)
            if is_free and self.is_on_network:
                holder = read_holder(self._file)
                # A holder on this machine that has ended can't save any more.
                is_free = holder is None or holder.is_dead is True
                if is_free:
                    self._replace(holder)
                    return
            elif is_free:
                if self._is_current(descriptor):
                    self._record = write_holder(descriptor)
                    self._descriptor = descriptor
                return
            else:
                holder = holder_at(descriptor)
        finally:
            if self._descriptor != descriptor:
                _close(descriptor)
        if holder is None or holder != self._take_over or not holder.can_be_replaced:
            raise LockedByOther(holder, self._path.stem)
        self._replace(holder)

    def _replace(self, holder: LockHolder | None) -> None:
        """Replace the lock file of `holder` by one of this process, unless another process has it meanwhile."""
        command = f"kill -9 {holder.process}" if holder else ""
        with self._guard("the other session is in the middle of a save", command):
            if read_holder(self._file) != holder:
                return  # another process took it over, or it was released
            folder, name = self._file.folder, self._file.name
            fresh = f"{self._file.parent}/.{name}.{secrets.token_hex(6)}.tmp".lstrip("/")
            descriptor = folder.open_lock(fresh)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # before the rename: nobody sees it unlocked
                self._record = write_holder(descriptor)
                if self.is_on_network:
                    os.fsync(descriptor)
                folder.rename(fresh, name)
            except OSError:
                _close(descriptor)
                with contextlib.suppress(StoreError):
                    folder.remove(fresh)
                raise
            self._descriptor = descriptor

    @contextmanager
    def _guard(self, problem: str, command: str = "") -> Iterator[None]:
        """Let saves and take-overs take turns. Raises StoreError with `problem` after two seconds, and OSError."""
        if self.is_on_network:
            error = StoreError(problem, self._path.stem, f"Try again in {STALE_SECONDS:.0f} seconds")
            with exclusive_file(self._file.with_suffix(".saving"), _GUARD_TIMEOUT, error):
                yield
            return
        guard = self._open_guard(problem, command)
        try:
            yield
        finally:
            _release(guard)

    def _open_guard(self, problem: str, command: str = "") -> int:
        """Return the locked descriptor of the file that lets saves and take-overs take turns.

        Raises StoreError with `problem` after two seconds. A stopped process that keeps it must not go on to save later, so
        that only `command` can help then.
        """
        guard = self._file.folder.open_lock(self._file.with_suffix(".takeover").inside)
        try:
            if _wait_for_guard(guard):
                return guard
        except OSError:
            _close(guard)
            raise
        _close(guard)
        remedy = f"Try again; if it is stopped, end that process ({command})" if command else "Try again in a moment"
        raise StoreError(problem, self._path.stem, remedy)

    def _is_current(self, descriptor: int) -> bool:
        """Return whether the lock's path still names the open file."""
        there, here = self._file.folder.find(self._file.inside), os.fstat(descriptor)
        return there is not None and (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def check_free(file: StudyFile) -> None:
    """Raise LockedByOther if another process has the lock in `file`, as `FileLock` would. Nothing is created or changed.

    Raises StoreError if that can't be found out.
    """
    holder: LockHolder | None = None
    try:
        if file.folder.find(file.inside) is None:
            return
        descriptor = file.folder.open_lock(file.inside)
        try:
            is_free = _lock_now(descriptor)
            if is_free and file.folder.is_on_network:
                holder = read_holder(file)
                is_free = holder is None or holder.is_dead is True
            elif not is_free:
                holder = holder_at(descriptor)
        finally:
            _release(descriptor)
    except OSError as error:
        remedy = "Check its owner, and that the file system supports locks"
        raise StoreError(f"can't be locked: {error.strerror}", file.path, remedy) from error
    if not is_free:
        raise LockedByOther(holder, file.path.stem)


def _lock_now(descriptor: int) -> bool:
    """Lock an open file exclusively; return False if another process has it locked. Raises OSError."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _BUSY:
            raise
        return False
    return True


def _wait_for_guard(descriptor: int) -> bool:
    """Lock an open file for this process; return False if others have it for `_GUARD_TIMEOUT`. Raises OSError."""
    deadline = time.monotonic() + _GUARD_TIMEOUT
    while not _lock_now(descriptor):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.002)
    return True


def _release(descriptor: int) -> None:
    """Unlock and close a file. A close that fails may keep the file open, and would keep a lock that was not released."""
    with contextlib.suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    _close(descriptor)


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # close() releases the lock even if it reports an error
        os.close(descriptor)
