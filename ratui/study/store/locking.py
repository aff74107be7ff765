"""Locks of a study's files: `FileLock` gives a file one writer, `StudyLock` lets a snapshot exclude every save.

Both are locks of the kernel (``flock``) and end with their process, however it ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import getpass
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from ratui.errors import StoreError, clean_text
from ratui.files import file_mode, make_folder

__all__ = ["LOCK_FILES", "FileLock", "HeldByOther", "LockHolder", "StudyLock", "read_holder"]

LOCK_FILES = ("study.lock", "gate.lock")
"""Files in a study's folder that `StudyLock` locks; every member of the group may lock them."""

_BUSY = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)
_STUDY_TIMEOUT = 10.0  # seconds that a save or a snapshot waits for the study
_LARGEST_HOLDER = 2000  # bytes of a lock file that are read


@dataclass(frozen=True)
class LockHolder:
    """The process that has a lock, as recorded in the lock file.

    `token` is random and `started` is the kernel's start time: they distinguish a process from a later one that has the
    same number.
    """

    user: str
    host: str
    process: int
    terminal: str
    since: str
    token: str
    started: str = ""

    @classmethod
    def current(cls) -> LockHolder:
        """Return the record of this process."""
        terminal = ""
        with contextlib.suppress(OSError):
            terminal = os.ttyname(0).removeprefix("/dev/")
        pid = os.getpid()
        since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        return cls(
            _user_name(), socket.gethostname(), pid, terminal, since, secrets.token_hex(8), _process_start_time(pid)
        )

    @property
    def is_dead(self) -> bool | None:
        """True if the holder's process has ended; None if the process is on another machine."""
        if self.host != socket.gethostname():
            return None
        try:
            os.kill(self.process, 0)  # signal 0 only asks whether the process exists
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            return False  # it exists and belongs to another account
        return bool(self.started) and _process_start_time(self.process) != self.started

    def __str__(self) -> str:
        terminal = f", terminal {self.terminal}" if self.terminal else ""
        return clean_text(f"{self.user} on {self.host}, process {self.process}{terminal}, since {self.since}", 200)


class HeldByOther(StoreError):
    """Another process has the lock. `holder` is its record, or None if the lock file contains none."""

    def __init__(self, holder: LockHolder | None, where: object) -> None:
        self.holder = holder
        if holder is None:
            problem, remedy = "it is open already, in another session", "Close it there; nothing was changed"
        elif holder.is_dead is False:
            problem = f"it is open already: {holder}"
            remedy = f"Close it there, or end that process (kill {holder.process}); you can open it read-only meanwhile"
        else:
            state = "has ended" if holder.is_dead else "may have ended"
            problem = f"it is open already: {holder}, a process that {state}"
            remedy = "You can open it read-only, or take it over"
        super().__init__(problem, where, remedy)


class FileLock:
    """A lock that gives one file one writer, as a context manager.

    A lock can outlive its holder on a network file system that has not noticed the death yet. Such a lock can be taken
    over: the lock file is replaced, and the first holder's next `check` fails, so that it writes nothing more.

    Parameters
    ----------
    path
        The lock file; it contains the record of its holder.
    take_over
        Take the lock from a holder that is dead or on another machine.
    wait
        Seconds to retry, for locks that are held for moments only.
    folder
        Open descriptor of the lock's folder; the folders of `path` are then not resolved again. Such a lock can't be
        taken over.

    Raises
    ------
    HeldByOther
        On entry, while another process has the lock.
    StoreError
        On entry, if the file can't be locked.
    """

    def __init__(self, path: Path, *, take_over: bool = False, wait: float = 0.0, folder: int | None = None) -> None:
        assert folder is None or not take_over
        self._path = path
        self._folder = folder
        self._take_over = take_over
        self._wait = wait
        self._descriptor = -1

    def __enter__(self) -> FileLock:
        if self._folder is None:
            make_folder(self._path.parent)
        deadline = time.monotonic() + self._wait
        try:
            while self._descriptor < 0:
                try:
                    self._try()
                except HeldByOther:
                    if time.monotonic() >= deadline:
                        raise
                    time.sleep(0.01)
        except OSError as error:
            remedy = "Check its owner, and that the file system supports locks"
            raise StoreError(f"can't be locked: {error.strerror}", self._path, remedy) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):  # close() releases the lock even if it reports an error
                os.close(self._descriptor)
            self._descriptor = -1

    def check(self) -> None:
        """Raise StoreError if the lock was taken over, so that nothing more may be written."""
        try:
            ours = self._descriptor >= 0 and self._is_current(self._descriptor)
        except OSError as error:
            remedy = "Check the disk, and try again"
            raise StoreError(f"its lock can't be checked: {error.strerror}", self._path, remedy) from error
        if not ours:
            by = read_holder(self._path)
            raise StoreError(
                f"it was taken over{f' by {by}' if by else ''}", self._path.stem, "Open it again to continue"
            )

    def _try(self) -> None:
        """Take the lock if it is free; take nothing if the file was replaced between opening and locking."""
        descriptor = _open_lock_file(self._path, self._folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _holder_at(descriptor)
            os.close(descriptor)
            if error.errno not in _BUSY:
                raise
            if not self._take_over or holder is None or holder.is_dead is False:
                raise HeldByOther(holder, self._path.stem) from error
            self._replace(holder)
            return
        if self._is_current(descriptor):
            _write_holder(descriptor)
            self._descriptor = descriptor
        else:
            os.close(descriptor)

    def _replace(self, holder: LockHolder) -> None:
        """Replace the lock file of `holder` by one of this process."""
        guard = _open_lock_file(self._path.with_suffix(".takeover"))
        try:
            fcntl.flock(guard, fcntl.LOCK_EX)  # one process at a time takes over
            if read_holder(self._path) != holder:
                return  # another process took it over, or it was released
            fresh = self._path.with_name(f".{self._path.name}.{secrets.token_hex(6)}.tmp")
            descriptor = _open_lock_file(fresh)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # before the rename: nobody sees it unlocked
            _write_holder(descriptor)
            fresh.replace(self._path)
            self._descriptor = descriptor
        finally:
            os.close(guard)

    def _is_current(self, descriptor: int) -> bool:
        """Return whether the lock's path still names the open file."""
        try:
            name = self._path if self._folder is None else self._path.name
            there = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
            here = os.fstat(descriptor)
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def read_holder(path: Path) -> LockHolder | None:
    """Return the last holder of the lock at `path`, who may have released it; None if the file contains no record."""
    try:
        with path.open("rb") as file:
            return _parse_holder(file.read(_LARGEST_HOLDER))
    except OSError:
        return None


def _holder_at(descriptor: int) -> LockHolder | None:
    try:
        return _parse_holder(os.pread(descriptor, _LARGEST_HOLDER, 0))
    except OSError:
        return None


def _parse_holder(data: bytes) -> LockHolder | None:
    try:
        raw = json.loads(data)
        process = raw.pop("process")
        return LockHolder(process=int(process), **{str(key): str(value) for key, value in raw.items()})
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None


def _open_lock_file(path: Path, folder: int | None = None) -> int:
    # Without O_NONBLOCK, opening a FIFO at this name would wait for a writer.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path if folder is None else path.name, flags, 0o600, dir_fd=folder)
    mode = file_mode(path.parent if folder is None else folder)
    with contextlib.suppress(PermissionError):  # another account's file: that account has set its mode
        if os.fstat(descriptor).st_mode & 0o777 != mode:
            os.fchmod(descriptor, mode)
    return descriptor


def _write_holder(descriptor: int) -> None:
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(asdict(LockHolder.current())).encode(), 0)


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"


def _process_start_time(process: int) -> str:
    """Return the start time of a process in clock ticks since boot, or an empty text."""
    try:
        # Field 22 of proc(5) stat; the name in parentheses before may itself contain spaces and parentheses.
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


class StudyLock:
    """A readers–writer lock on a study: `shared` for a save, `exclusive` for a consistent snapshot.

    Any number of processes may have `shared` at once; a process that has `exclusive` is alone. Hold it for a moment, never
    while a person thinks. Every `shared` passes a gate that a waiting `exclusive` closes, so that a stream of saves can't
    delay a snapshot for long.
    """

    def __init__(self, study: Path) -> None:
        self._path, self._gate = (study / name for name in LOCK_FILES)
        self._thread = threading.local()

    def create_files(self) -> None:
        """Create the lock files, so that every member of the group can lock them later. Raises OSError."""
        for path in (self._path, self._gate):
            mode = file_mode(path.parent)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                # The study's folder gives its group no write access; locking a file needs it.
                os.fchmod(descriptor, mode | (0o060 if mode & 0o040 else 0))
            finally:
                os.close(descriptor)

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Lock for one save, or for saves that belong together; a nested call does nothing.

        Raises StoreError if the study stays locked exclusively for 10 seconds.
        """
        if getattr(self._thread, "is_shared", False):
            yield
            return
        with self._lock(self._gate, fcntl.LOCK_SH):
            passed = ExitStack()
            passed.enter_context(self._lock(self._path, fcntl.LOCK_SH))
        with passed:  # the gate is open again, the lock is held
            self._thread.is_shared = True
            try:
                yield
            finally:
                self._thread.is_shared = False

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Lock for a look at all files while nothing is saved. Raises StoreError if saves do not end in 10 seconds."""
        with self._lock(self._gate, fcntl.LOCK_EX), self._lock(self._path, fcntl.LOCK_EX):
            yield

    @contextmanager
    def _lock(self, path: Path, kind: int) -> Iterator[None]:
        try:
            descriptor = self._open(path)
        except OSError as error:
            raise StoreError(f"can't be locked: {error.strerror}", path, "Check its permissions") from error
        try:
            _wait_for_lock(descriptor, kind, path)
            yield
        finally:
            with contextlib.suppress(OSError):  # close() releases the lock even if it reports an error
                os.close(descriptor)

    def _open(self, path: Path) -> int:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(path, flags)
        except FileNotFoundError:
            self.create_files()  # a study of format 1 has none
            return os.open(path, flags)


def _wait_for_lock(descriptor: int, kind: int, path: Path) -> None:
    deadline = time.monotonic() + _STUDY_TIMEOUT
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in _BUSY:
                remedy = "Use a file system that supports locks"
                raise StoreError(f"can't be locked: {error.strerror}", path, remedy) from error
            if time.monotonic() >= deadline:
                problem = "the study is locked, perhaps for a backup"
                if kind == fcntl.LOCK_EX:
                    problem = "the study is locked by another process, or a save in it does not end"
                raise StoreError(problem, path.parent, "Try again in a moment") from error
            time.sleep(0.002)
