"""A lock of a study's file, which gives the file one writer.

It is a lock of the kernel (``flock``) and ends with its process, however the process ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import pwd
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from ratui.bounded_parsing import parse_json
from ratui.errors import StoreError, clean_text
from ratui.files import make_folder
from ratui.study.store.folder import StudyFile, as_file

__all__ = ["FileLock", "HeldByOther", "LockHolder", "TakenOver", "read_holder"]

_BUSY = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)
_GUARD_TIMEOUT = 2.0  # seconds that a save waits for a take-over, or a take-over for a save
_TIME_FORMAT = "%Y-%m-%d %H:%M UTC"
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
        since = datetime.now(UTC).strftime(_TIME_FORMAT)
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

    @property
    def can_be_replaced(self) -> bool:
        """True if this account may take the lock over: from its own process, and from one that is not known to run."""
        return self.user == _user_name() or self.is_dead is not False

    @property
    def since_time(self) -> datetime | None:
        """Time at which the lock was taken, in UTC, to the minute; None if the record has no valid time."""
        try:
            return datetime.strptime(self.since, _TIME_FORMAT).replace(tzinfo=UTC)
        except ValueError:
            return None

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


class TakenOver(StoreError):
    """Another process has taken the lock over. `by` is its record, or None if the lock file contains none."""

    def __init__(self, by: LockHolder | None, where: object) -> None:
        self.by = by
        super().__init__(f"it was taken over{f' by {by}' if by else ''}", where, "Open it again to continue")


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
    HeldByOther
        On entry, while another process has the lock.
    StoreError
        On entry, if the file can't be locked, or a save of the holder does not end.
    """

    def __init__(self, file: StudyFile | Path, *, take_over: LockHolder | None = None, wait: float = 0.0) -> None:
        self._file = as_file(file)
        self._path = self._file.path
        self._is_inside = isinstance(file, StudyFile)
        self._take_over = take_over
        self._wait = wait
        self._descriptor = -1
        self._token = ""
        """Token of this lock's own record."""

    def __enter__(self) -> FileLock:
        if self._is_inside:
            self._file.folder.make_folder(self._file.parent)
        else:
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
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            remedy = "Free some disk space" if is_full else "Check its owner, and that the file system supports locks"
            raise StoreError(f"can't be locked: {error.strerror}", self._path, remedy) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor >= 0:
            _close(self._descriptor)
            self._descriptor = -1

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Exclude a take-over while the file is written.

        Raises TakenOver if the lock was taken over, and StoreError if that can't be checked; nothing may be written then.
        """
        try:
            guard = self._open_guard("a take-over of it does not end")
        except OSError as error:
            raise StoreError(
                f"can't be locked: {error.strerror}", self._path, "Check the disk, and try again"
            ) from error
        try:
            self.check()
            yield
        finally:
            _release(guard)

    def check(self) -> None:
        """Raise TakenOver if the lock was taken over, and StoreError if that can't be checked."""
        try:
            is_ours = self._descriptor >= 0 and self._is_current(self._descriptor)
            # A network file system may have given the lock of a lost client to another: then the record is the other's.
            record = _parse_holder(os.pread(self._descriptor, _LARGEST_HOLDER, 0)) if is_ours else None
        except OSError as error:
            remedy = "Check the disk, and try again"
            raise StoreError(f"its lock can't be checked: {error.strerror}", self._path, remedy) from error
        if record is None or record.token != self._token:
            raise TakenOver(read_holder(self._file), self._path.stem)

    def _try(self) -> None:
        """Take the lock if it is free; take nothing if the file was replaced between opening and locking."""
        descriptor = self._file.folder.open_lock(self._file.inside)
        try:
            if _lock_now(descriptor):
                if self._is_current(descriptor):
                    self._token = _write_holder(descriptor)
                    self._descriptor = descriptor
                return
            holder = _holder_at(descriptor)
        finally:
            if self._descriptor != descriptor:
                _close(descriptor)
        if holder is None or holder != self._take_over or not holder.can_be_replaced:
            raise HeldByOther(holder, self._path.stem)
        self._replace(holder)

    def _replace(self, holder: LockHolder) -> None:
        """Replace the lock file of `holder` by one of this process, unless another process has it meanwhile."""
        guard = self._open_guard("the other session is in the middle of a save", f"kill -9 {holder.process}")
        try:
            if read_holder(self._file) != holder:
                return  # another process took it over, or it was released
            folder, name = self._file.folder, self._file.name
            fresh = f"{self._file.parent}/.{name}.{secrets.token_hex(6)}.tmp".lstrip("/")
            descriptor = folder.open_lock(fresh)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # before the rename: nobody sees it unlocked
                self._token = _write_holder(descriptor)
                folder.rename(fresh, name)
            except OSError:
                _close(descriptor)
                with contextlib.suppress(StoreError):
                    folder.remove(fresh)
                raise
            self._descriptor = descriptor
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


def read_holder(file: StudyFile | Path) -> LockHolder | None:
    """Return the last holder of the lock `file`, who may have released it; None if the file contains no record."""
    file = as_file(file)
    try:
        return _parse_holder(file.folder.read(file.inside, _LARGEST_HOLDER))
    except (FileNotFoundError, StoreError):
        return None


def _holder_at(descriptor: int) -> LockHolder | None:
    try:
        return _parse_holder(os.pread(descriptor, _LARGEST_HOLDER, 0))
    except OSError:
        return None


def _parse_holder(data: bytes) -> LockHolder | None:
    try:
        raw = parse_json(data)
        process = raw.pop("process")
        return LockHolder(process=int(process), **{str(key): str(value) for key, value in raw.items()})
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None


def _write_holder(descriptor: int) -> str:
    """Write the record of this process into a lock file, and return its token. Raises OSError."""
    holder = LockHolder.current()
    data = json.dumps(asdict(holder)).encode()
    os.truncate(descriptor, 0)
    if os.pwrite(descriptor, data, 0) != len(data):
        raise OSError(errno.ENOSPC, "No space left on device")
    return holder.token


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


def _user_name() -> str:
    """Return the name of this account. Environment variables do not count, because they can name another."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"user {os.geteuid()}"


def _process_start_time(process: int) -> str:
    """Return the start time of a process in clock ticks since boot, or an empty text."""
    try:
        # Field 22 of proc(5) stat; the name in parentheses before may itself contain spaces and parentheses.
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
