"""A reading held for writing: what is saved through it is on the disk when `save` returns, or the caller is told.

It never writes once somebody else has taken the reading over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from ratui.errors import StoreError
from ratui.reading import Reading, from_document, to_document
from ratui.scheme import Scheme
from ratui.study.case import DisplayUse
from ratui.study.store import Lock, Stored, write_tables

__all__ = ["ReadingSession", "Signature", "displays_in", "meta_in", "reading_in", "signature", "tables_of"]

Signature: TypeAlias = tuple[int, int, int] | None
"""(inode, modification time in ns, bytes) of a file, or None without one: each save makes another."""


class _Changing(Protocol):
    def __call__(self) -> AbstractContextManager[None]: ...


def signature(path: Path) -> Signature:
    """What tells one saved state of the file at `path` from the next. Raises StoreError where it can't be looked at."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"can't be looked at: {error.strerror}", path, "Check the disk, and try again") from error
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def tables_of(
    reading: Reading, seconds: float, displays: Sequence[DisplayUse] = ()
) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """`reading` as the tables of its file; `seconds` is the time spent on it, `displays` what it was read on."""
    document = to_document(reading)
    return {
        "meta": [{**document["meta"], "seconds": round(seconds, 1), "displays": [use.to_record() for use in displays]}],
        "fields": document["fields"],
        "log": document["log"],
    }


def meta_in(stored: Stored | None) -> Mapping[str, Any]:
    """What the file of a reading says of itself; empty where there is none."""
    records = stored.tables.get("meta", []) if stored else []
    return records[0] if records else {}


def reading_in(stored: Stored | None, scheme: Scheme, where: object) -> tuple[Reading | None, float]:
    """The reading that `tables_of` made the tables of, and the seconds spent on it; None where there is no file.

    Raises StoreError, naming `where`, for what is no reading of `scheme`.
    """
    if stored is None:
        return None, 0.0
    meta, tables = meta_in(stored), stored.tables
    document = {"meta": meta, "fields": tables.get("fields", []), "log": tables.get("log", [])}
    return from_document(scheme, document, where), float(meta.get("seconds", 0.0))


def displays_in(stored: Stored | None, where: object) -> tuple[DisplayUse, ...]:
    """What the reading in `stored` was read on. Raises StoreError, naming `where`."""
    return tuple(DisplayUse.from_record(record, where) for record in meta_in(stored).get("displays", []))


class ReadingSession:
    """A reading held for writing. `save` returns when it is on the disk.

    `displays` is what it was read on so far. `notice` is empty, or says what was found damaged when it was opened and how
    that was mended.
    """

    def __init__(
        self,
        path: Path,
        lock: Lock,
        changing: _Changing,
        reading: Reading,
        seconds: float,
        notice: str = "",
        displays: tuple[DisplayUse, ...] = (),
    ) -> None:
        self._path = path
        self._lock = lock
        self._changing = changing
        self._last: Signature | Literal["unseen"] = signature(path)
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
        with self._changing():
            self._lock.check()
            now = signature(self._path)
            if self._last not in ("unseen", now):
                raise StoreError("its file was changed meanwhile", self._path, "Open it again to see what it holds now")
            try:
                write_tables(self._path, tables_of(reading, spent, used))
            finally:
                self._last = self._seen()  # after a failure too: the file may have been replaced all the same
        self.reading, self.seconds, self.displays = reading, spent, used

    def _seen(self) -> Signature | Literal["unseen"]:
        """The file as it is after a save. What can't be looked at then is no reason to call the save a failure."""
        try:
            return signature(self._path)
        except StoreError:
            return "unseen"
