"""The record of the process that has a lock, in the lock file, and the errors that name it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pwd
import secrets
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from ratui.bounded_parsing import parse_json
from ratui.errors import StoreError, clean_text
from ratui.study.store.folder import StudyFile, as_file

__all__ = [
    "LARGEST_HOLDER",
    "LockHolder",
    "LockedByOther",
    "TakenOver",
    "holder_at",
    "parse_holder",
    "read_holder",
    "read_record",
    "write_holder",
]

_TIME_FORMAT = "%Y-%m-%d %H:%M UTC"
LARGEST_HOLDER = 2000
"""Number of bytes of a lock file that are read."""


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


class LockedByOther(StoreError):
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


def read_holder(file: StudyFile | Path) -> LockHolder | None:
    """Return the last holder of the lock `file`, who may have released it; None if the file contains no record."""
    return parse_holder(read_record(as_file(file)))


def read_record(file: StudyFile) -> bytes:
    """Return the bytes of the lock `file`, found by its path; empty if it can't be read."""
    try:
        return file.folder.read(file.inside, LARGEST_HOLDER)
    except (FileNotFoundError, StoreError):
        return b""


def holder_at(descriptor: int) -> LockHolder | None:
    """Return the holder recorded in an open lock file, or None."""
    try:
        return parse_holder(os.pread(descriptor, LARGEST_HOLDER, 0))
    except OSError:
        return None


def parse_holder(data: bytes) -> LockHolder | None:
    """Return the holder in the bytes of a lock file, or None if they are no record."""
    try:
        raw = parse_json(data)
        process = raw.pop("process")
        return LockHolder(process=int(process), **{str(key): str(value) for key, value in raw.items()})
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None


def write_holder(descriptor: int) -> bytes:
    """Write a new record of this process into a lock file, and return its bytes. Raises OSError."""
    data = json.dumps(asdict(LockHolder.current())).encode()
    os.truncate(descriptor, 0)
    if os.pwrite(descriptor, data, 0) != len(data):
        raise OSError(errno.ENOSPC, "No space left on device")
    return data


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
