"""A reading held for writing: what is saved through it is on the disk when `save` returns, or the caller is told.

It never writes once somebody else has taken the reading over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from ratui.errors import StoreError
from ratui.reading import Reading, reading_from_document, reading_to_document
from ratui.scheme import Scheme
from ratui.study.case import DisplayUse
from ratui.study.store import FileLock, StoredTables, write_tables

__all__ = [
    "FileSignature",
    "ReadingSession",
    "file_signature",
    "reading_to_tables",
    "stored_displays",
    "stored_meta",
    "stored_reading",
]

FileSignature: TypeAlias = tuple[int, int, int] | None
"""(inode, modification time in ns, bytes) of a file, or None without one: each save makes another."""


class _SharedLock(Protocol):
    def __call__(self) -> AbstractContextManager[None]: ...


def file_signature(path: Path) -> FileSignature:
    """What tells one saved state of the file at `path` from the next. Raises StoreError where it can't be looked at."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"can't be looked at: {error.strerror}", path, "Check the disk, and try again") from error
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def reading_to_tables(
    reading: Reading, seconds: float, displays: Sequence[DisplayUse] = ()
) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """`reading` as the tables of its file; `seconds` is the time spent on it, `displays` what it was read on."""
    document = reading_to_document(reading)
    return {
        "meta": [{**document["meta"], "seconds": round(seconds, 1), "displays": [use.to_record() for use in displays]}],
        "fields": document["fields"],
        "log": document["log"],
    }


def stored_meta(stored: StoredTables | None) -> Mapping[str, Any]:
    """What the file of a reading says of itself; empty where there is none."""
    records = stored.tables.get("meta", []) if stored else []
    return records[0] if records else {}


def stored_reading(stored: StoredTables | None, scheme: Scheme, where: object) -> tuple[Reading | None, float]:
    """The reading that `reading_to_tables` made the tables of, and the seconds spent on it; None where there is no file.

    Raises StoreError, naming `where`, for what is no reading of `scheme`.
    """
    if stored is None:
        return None, 0.0
    meta, tables = stored_meta(stored), stored.tables
    document = {"meta": meta, "fields": tables.get("fields", []), "log": tables.get("log", [])}
    return reading_from_document(scheme, document, where), float(meta.get("seconds", 0.0))


def stored_displays(stored: StoredTables | None, where: object) -> tuple[DisplayUse, ...]:
    """What the reading in `stored` was read on. Raises StoreError, naming `where`."""
    return tuple(DisplayUse.from_record(record, where) for record in stored_meta(stored).get("displays", []))


class ReadingSession:
    """A reading held for writing. `save` returns when it is on the disk.

    `displays` is what it was read on so far. `notice` is empty, or says what was found damaged when it was opened and how
    that was mended.
    """

    def __init__(
        self,
        path: Path,
        lock: FileLock,
        shared_lock: _SharedLock,
        reading: Reading,
        seconds: float,
        notice: str = "",
        displays: tuple[DisplayUse, ...] = (),
    ) -> None:
        self._path = path
        self._lock = lock
        self._shared_lock = shared_lock
        self._last_signature: FileSignature | Literal["unseen"] = file_signature(path)
        self.reading = reading
        self.seconds = seconds
        self.notice = notice
        self.displays = displays

    def save(
        self, reading: Reading, *, seconds: float | None = None, displays: tuple[DisplayUse, ...] | None = None
    ) -> None:
        """Makes `reading` the stored one. Raises StoreError, with the old one still stored, where the disk refuses,
        where the reading was taken over by somebody else, or where its file was changed behind this session.
        """
        spent = self.seconds if seconds is None else seconds
        used = self.displays if displays is None else displays
        with self._shared_lock():
            self._lock.check()
            now = file_signature(self._path)
            if self._last_signature not in ("unseen", now):
                raise StoreError("its file was changed meanwhile", self._path, "Open it again to see what it holds now")
            try:
                write_tables(self._path, reading_to_tables(reading, spent, used))
            finally:
                # After a failure too: the file may have been replaced all the same.
                self._last_signature = self._signature_after_save()
        self.reading, self.seconds, self.displays = reading, spent, used

    def _signature_after_save(self) -> FileSignature | Literal["unseen"]:
        """The file as it is after a save. What can't be looked at then is no reason to call the save a failure."""
        try:
            return file_signature(self._path)
        except StoreError:
            return "unseen"
