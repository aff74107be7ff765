"""The lock that gives each file one writer, with the holder's name for whoever comes second.

It ends with its process, however that ends. A lock that outlives its holder (a network file system that has not noticed
yet) can be taken over; the first holder is then told at its next save and can't write any more.
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
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from ratui.errors import StoreError, clean_text
from ratui.study.store.access import file_mode, make_folder

__all__ = ["FileLock", "HeldByOther", "LockHolder"]

_BUSY = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)


@dataclass(frozen=True)
class LockHolder:
    """Who holds a lock, and where: `started` tells a process from a later one with the same number."""

    user: str
    host: str
    process: int
    terminal: str
    since: str
    token: str
    started: str = ""

    @classmethod
    def current(cls) -> LockHolder:
        """This process."""
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
        """Whether the holder's process is gone; None where that can't be known from this machine."""
        if self.host != socket.gethostname():
            return None
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            return False  # it exists and belongs to somebody else
        return bool(self.started) and _process_start_time(self.process) != self.started

    def __str__(self) -> str:
        terminal = f", terminal {self.terminal}" if self.terminal else ""
        return clean_text(f"{self.user} on {self.host}, process {self.process}{terminal}, since {self.since}", 200)


class HeldByOther(StoreError):
    """Somebody else holds the lock. `holder` is who, or None where the lock doesn't say."""

    def __init__(self, holder: LockHolder | None, where: object) -> None:
        self.holder = holder
        if holder is None:
            what, remedy = "it is open already, in another session", "Close it there; nothing was changed"
        elif holder.is_dead is False:
            what = f"it is open already: {holder}"
            remedy = f"Close it there, or end that process (kill {holder.process}); you can look at it meanwhile"
        else:
            gone = "is gone" if holder.is_dead else "may be gone"
            what = f"it is open already: {holder}, who {gone}"
            remedy = "You can look at it, or take it over"
        super().__init__(what, where, remedy)


class FileLock:
    """One writer for what `path` stands for. Raises Held at the entry while another holds it.

    With `take_over` a lock whose holder is dead, or on another machine, is taken from it. `wait` is how many seconds to
    go on trying, for locks that are held for moments only. `folder` is the descriptor of the lock's folder, where the
    path's own folders must not be looked up again; such a lock is not taken over.
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
            remedy = "Check who owns it and that the file system knows locks"
            raise StoreError(f"can't be locked: {error.strerror}", self._path, remedy) from error
        return self

    def _try(self) -> None:
        """Takes the lock if it is free; leaves it untaken where its file was replaced under the hand."""
        descriptor = _open(self._path, self._folder)
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
        if self._is_ours(descriptor):
            _write_holder(descriptor)
            self._descriptor = descriptor
        else:
            os.close(descriptor)

    def _replace(self, holder: LockHolder) -> None:
        """Puts a lock file of our own in the place of `holder`'s; one taker at a time."""
        guard = _open(self._path.with_suffix(".takeover"))
        try:
            fcntl.flock(guard, fcntl.LOCK_EX)
            if read_holder(self._path) != holder:
                return  # somebody else took it over, or it was freed
            fresh = self._path.with_name(f".{self._path.name}.{secrets.token_hex(6)}.tmp")
            descriptor = _open(fresh)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_holder(descriptor)
            fresh.replace(self._path)
            self._descriptor = descriptor
        finally:
            os.close(guard)

    def _is_ours(self, descriptor: int) -> bool:
        try:
            name = self._path if self._folder is None else self._path.name
            there = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
            here = os.fstat(descriptor)
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)

    def check(self) -> None:
        """Raises StoreError where the lock was taken over meanwhile, so that nothing more may be written."""
        try:
            ours = self._descriptor >= 0 and self._is_ours(self._descriptor)
        except OSError as error:
            remedy = "Check the disk, and try again"
            raise StoreError(f"its lock can't be looked at: {error.strerror}", self._path, remedy) from error
        if not ours:
            by = read_holder(self._path)
            raise StoreError(f"it was taken over{f' by {by}' if by else ''}", self._path.stem, "Open it again to go on")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):  # it is closed all the same, and so the lock is free
                os.close(self._descriptor)
            self._descriptor = -1


def read_holder(path: Path) -> LockHolder | None:
    """Who last took the lock at `path`, whether or not it is still held; None where that can't be read."""
    try:
        with path.open("rb") as file:
            return _holder_in(file.read(2000))
    except OSError:
        return None


def _holder_at(descriptor: int) -> LockHolder | None:
    try:
        return _holder_in(os.pread(descriptor, 2000, 0))
    except OSError:
        return None


def _holder_in(data: bytes) -> LockHolder | None:
    try:
        raw = json.loads(data)
        process = raw.pop("process")
        return LockHolder(process=int(process), **{str(key): str(value) for key, value in raw.items()})
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None


def _open(path: Path, folder: int | None = None) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path if folder is None else path.name, flags, 0o600, dir_fd=folder)
    mode = file_mode(path.parent if folder is None else folder)
    with contextlib.suppress(PermissionError):  # somebody else's, whose mode was set when it was made
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
    """When a process began, in the kernel's own count; empty where that can't be read."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
