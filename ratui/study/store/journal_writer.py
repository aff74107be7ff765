"""The writer of a journal: appends a record before each change of a file, and its outcome after it.

Every system call is made through this module's `os`, so that tests can make each call fail.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import re
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeAlias

from ratui.errors import StoreError
from ratui.files import file_mode
from ratui.study.store.journal import JOURNAL_SUFFIX, LARGEST_JOURNAL, JournalRecord
from ratui.study.store.study_lock import wait_for_lock

__all__ = ["JournalWriter", "StateOf"]

_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_LONGEST_LINE = 4000  # bytes; paths inside a study are far shorter
_FULL = LARGEST_JOURNAL // 2  # bytes after which a new journal is begun
_TIMEOUT = 10.0  # seconds that a save waits for another save by the same account

StateOf: TypeAlias = Callable[[str], str]
"""Function that returns the SHA-256 of the present content of a path inside the study, empty for no file."""


class JournalWriter:
    """The journal that this account writes in one folder.

    Parameters
    ----------
    folder
        Open descriptor of the folder with the journals.
    state_of
        Function that returns the digest of the present content of a path.
    account
        Name of the account; that of the process by default.
    """

    def __init__(self, folder: int, state_of: StateOf, account: str | None = None) -> None:
        self._folder = folder
        self._state_of = state_of
        self.account = account or _account_file_name()
        """Name of the account, which is that of its journal."""

    @contextmanager
    def recording(self, path: str, after: str) -> Iterator[None]:
        """Record that the block replaces the content of `path` by content with the SHA-256 `after`, empty to remove it.

        The record is on the disk when the block begins. Nothing is recorded if the content is the same already.

        Raises
        ------
        StoreError
            If the record can't be stored; the block does not run then.
        """
        with self._open() as journal:
            before = self._state_of(path)
            if before == after:
                yield
                return
            number = journal.append("write", path, before, after)
            yield
            with contextlib.suppress(StoreError):  # without it, the next record of this account states the outcome
                journal.append("done", of=number, durable=False)

    def begin(self, states: Mapping[str, str]) -> None:
        """Record files that were there before the journal: `states` are their digests by path. Raises StoreError."""
        with self._open() as journal:
            for path, after in states.items():
                journal.append("first", path, "", after, durable=False)
            journal.sync()

    def accept(self, path: str, expected: str) -> None:
        """Record that an unrecorded change of `path` is accepted, from the content `expected` to the present content.

        Raises StoreError.
        """
        with self._open() as journal:
            present = self._state_of(path)
            if present != expected:
                journal.append("accept", path, expected, present)

    def add_event(self, event: str, detail: str) -> None:
        """Record something that changes no file of the study, such as an export. Raises StoreError."""
        with self._open() as journal:
            journal.append("event", event=event, detail=detail)

    @contextmanager
    def _open(self) -> Iterator[_OpenJournal]:
        """Open and lock the first journal that is this account's and whose end is intact. Raises StoreError."""
        try:
            journal = next((found for name in self._names() if (found := self._try(name)) is not None), None)
        except OSError as error:
            where = f"journal/{self.account}{JOURNAL_SUFFIX}"
            remedy = "Free some disk space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Check its folder"
            raise StoreError(f"not saved: the journal can't be written: {error.strerror}", where, remedy) from error
        assert journal is not None, "a random name was taken"
        with journal:
            journal.settle(self._state_of)
            yield journal

    def _names(self) -> Iterator[str]:
        """Yield names of journals, one of which this account can continue: the last one is new and random.

        Other accounts may have taken any name that they could guess.
        """
        yield self.account
        own = re.compile(rf"{re.escape(self.account)}\.[0-9a-f]{{16}}")
        with os.scandir(self._folder) as entries:
            names = [entry.name.removesuffix(JOURNAL_SUFFIX) for entry in entries]
        yield from sorted(name for name in names if own.fullmatch(name))
        yield f"{self.account}.{secrets.token_hex(8)}"

    def _try(self, name: str) -> _OpenJournal | None:
        """Return the journal `name`, locked, or None if this account can't continue it. Raises OSError or StoreError."""
        # A reader of the journal could lock the journal itself; this file is open to its account only.
        lock = _open_own(f".{name}.lock", self._folder, 0o600)
        if lock is None:
            return None
        descriptor = None
        try:
            if not wait_for_lock(lock, "exclusive", _TIMEOUT):
                problem = "not saved: another save by this account does not end"
                where = f"journal/{name}{JOURNAL_SUFFIX}"
                raise StoreError(problem, where, "End the process that hangs, and try again")
            mode = file_mode(self._folder) & 0o640
            descriptor = _open_own(f"{name}{JOURNAL_SUFFIX}", self._folder, mode)
            journal = None if descriptor is None else _OpenJournal.at_end(descriptor, lock, self._folder)
        except BaseException:
            _close(descriptor, lock)
            raise
        if journal is None:
            _close(descriptor, lock)
        return journal


class _OpenJournal:
    """A locked journal, with the number and the chain of its last record."""

    def __init__(self, descriptor: int, lock: int, folder: int, last: JournalRecord | None, size: int) -> None:
        self._descriptor = descriptor
        self._lock = lock
        self._folder = folder
        self._last = last
        self._size = size

    @classmethod
    def at_end(cls, descriptor: int, lock: int, folder: int) -> _OpenJournal | None:
        """Return the journal after its last complete record, or None if that is damaged or it is full. Raises OSError."""
        size = os.fstat(descriptor).st_size
        if size > _FULL:
            return None
        begin = max(0, size - 3 * _LONGEST_LINE)
        tail = os.pread(descriptor, size - begin, begin)
        whole = tail.rfind(b"\n") + 1  # what follows was never acknowledged: its writer was interrupted
        if whole < len(tail):
            if len(tail) - whole > _LONGEST_LINE:
                return None
            os.ftruncate(descriptor, begin + whole)
        lines = tail[:whole].splitlines()[-2:]
        try:
            records = [JournalRecord.from_line(line) for line in lines]
        except ValueError:
            return None
        if records:
            before = records[-2].chain if len(records) > 1 else ""
            if records[-1].to_line(before)[1] != lines[-1] + b"\n" or records[-1].number < len(records):
                return None
        return cls(descriptor, lock, folder, records[-1] if records else None, begin + whole)

    def __enter__(self) -> _OpenJournal:
        return self

    def __exit__(self, *details: object) -> None:
        _close(self._descriptor, self._lock)

    def settle(self, state_of: StateOf) -> None:
        """Record whether the last write took place, if its process was interrupted. Raises StoreError."""
        last = self._last
        if last is None or last.kind != "write":
            return
        outcome = {last.after: "done", last.before: "undone"}.get(state_of(last.path))
        if outcome:
            self.append(outcome, of=last.number, durable=False)

    def append(
        self,
        kind: str,
        path: str = "",
        before: str = "",
        after: str = "",
        *,
        of: int = 0,
        event: str = "",
        detail: str = "",
        durable: bool = True,
    ) -> int:
        """Append a record and return its number. Raises StoreError if it is not on the disk."""
        number = (self._last.number if self._last else 0) + 1
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        record = JournalRecord(number, at, kind, path, before, after, of, event=event, detail=detail)
        chain, line = record.to_line(self._last.chain if self._last else "")
        assert len(line) <= _LONGEST_LINE
        try:
            view = memoryview(line)
            done = 0
            while done < len(line):
                count = os.pwrite(self._descriptor, view[done:], self._size + done)
                if count == 0:
                    raise OSError(errno.EIO, "nothing was written")
                done += count
            if durable:
                self.sync(created=self._last is None)
        except OSError as error:
            with contextlib.suppress(OSError):  # otherwise the next record removes the unfinished line
                os.ftruncate(self._descriptor, self._size)
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise StoreError(
                f"not saved: the journal can't be written: {error.strerror or error}",
                path or "journal",
                "Free some disk space" if is_full else "Check the disk, and try again",
            ) from error
        self._size += len(line)
        self._last = replace(record, chain=chain)
        return number

    def sync(self, *, created: bool = True) -> None:
        """Write the journal to the disk, and its name if it was `created`. Raises OSError."""
        os.fsync(self._descriptor)
        if created:
            os.fsync(self._folder)


def _open_own(name: str, folder: int, mode: int) -> int | None:
    """Open or create the file `name` for reading and writing; None if it belongs to another account or is no file.

    Raises OSError.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, 0o600, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM) and _exists(name, folder):
            return None
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):  # a link, a folder, a socket or FIFO
            return None
        raise
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            os.close(descriptor)
            return None
        if stat.S_IMODE(found.st_mode) != mode:
            os.fchmod(descriptor, mode)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return False
    return True


def _close(*descriptors: int | None) -> None:
    for descriptor in descriptors:
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def _account_file_name() -> str:
    """Return the name of this account if it can be a file name, else its number."""
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid-{uid}"
    return name if _ACCOUNT.fullmatch(name) else f"uid-{uid}"
