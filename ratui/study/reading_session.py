"""A reading that is open for writing, saved after each change with the time spent and the displays used.

When `ReadingSession.save` returns, the reading is on the disk. A save goes from there to `store.tables`, which seals the
records, and to `ratui.files`, which writes them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Protocol

from ratui.errors import StoreError, clean_text
from ratui.reading import LogEntry, Reading, reading_from_document, reading_to_document
from ratui.scheme import Scheme
from ratui.stored_values import as_list, as_number
from ratui.study.display_use import DisplayUse, add_entry
from ratui.study.reading_evidence import ReadingEvidence
from ratui.study.store import FileLock, StoredTables, StudyFile, TakenOver, write_tables
from ratui.study.store.tables import read_tail

__all__ = [
    "MAX_PAUSE",
    "AutoSaver",
    "DisplayUse",
    "FileChanged",
    "ReadingSession",
    "now",
    "reading_to_tables",
    "stored_displays",
    "stored_meta",
    "stored_positions",
    "stored_reading",
    "stored_seconds",
]

_MOST_SECONDS = 1e9
_LOGGER = logging.getLogger("ratui")
MAX_PAUSE = 60.0
"""Seconds of a pause between two keys that count as time spent on the case. The rest of a longer pause does not count."""


class FileChanged(StoreError):
    """Another program has changed the file of an open reading: this session can save nothing more in it."""


class _SharedLock(Protocol):
    def __call__(self) -> AbstractContextManager[None]: ...


def reading_to_tables(
    reading: Reading, seconds: float, displays: Sequence[DisplayUse], evidence: ReadingEvidence
) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Return the tables of a reading's file: ``meta`` with one record, ``fields``, ``seen``, ``log`` and ``times``.

    `seconds` is the time spent on the reading, `displays` tells how its films were displayed, and `evidence` has the
    content of ``seen`` and ``times``.
    """
    document = reading_to_document(reading)
    tables = {
        "meta": [{**document["meta"], "seconds": round(seconds, 1), "displays": [use.to_record() for use in displays]}],
        "fields": document["fields"],
        "log": document["log"],
    }
    return evidence.add_to(tables)


def stored_meta(stored: StoredTables | None) -> Mapping[str, Any]:
    """Return the record ``meta`` of a reading's file; empty if there is no file."""
    records = stored.tables.get("meta", []) if stored else []
    return records[0] if records else {}


def stored_positions(stored: StoredTables | None) -> tuple[tuple[str, ...], ...]:
    """Return the IDs of the films at each position in a reading's file; empty if the file does not state them."""
    positions = stored_meta(stored).get("positions", ())
    if not isinstance(positions, list) or not all(isinstance(films, list) for films in positions):
        return ()
    found = tuple(tuple(str(film) for film in films) for films in positions)
    return found if any(found) else ()


def stored_reading(
    stored: StoredTables | None,
    scheme: Scheme,
    where: object,
    rater: str,
    case: str,
    order: Sequence[int] | None = None,
) -> tuple[Reading | None, float]:
    """Return the reading in the tables of `reading_to_tables` and the seconds spent on it; (None, 0) without a file.

    `order` is the time point at each position, as in `reading_from_document`. Raises StoreError, naming the file `where`,
    if the tables are not the reading of `case` by `rater` in `scheme`.
    """
    if stored is None:
        return None, 0.0
    meta, tables = stored_meta(stored), stored.tables
    document = {"meta": meta, "fields": tables.get("fields", []), "log": tables.get("log", [])}
    reading = reading_from_document(scheme, document, where, order)
    if (reading.rater, reading.case) != (rater, case):
        raise StoreError("it is the reading of another rater or case", where, "See: ratui check STUDY")
    return reading, stored_seconds(stored, where)


def stored_displays(stored: StoredTables | None, where: object) -> tuple[DisplayUse, ...]:
    """Return how the films of a stored reading were displayed. Raises StoreError, naming the file `where`."""
    try:
        records = as_list(stored_meta(stored).get("displays", []))
    except ValueError as error:
        raise StoreError(
            f"its displays are invalid: {clean_text(error)}", where, "Restore the file from its backup copy"
        ) from error
    return tuple(DisplayUse.from_record(record, where) for record in records)


def stored_seconds(stored: StoredTables | None, where: object) -> float:
    """Return the time spent on a stored reading, in seconds. Raises StoreError, naming the file `where`."""
    try:
        return as_number(stored_meta(stored).get("seconds", 0.0), 0.0, _MOST_SECONDS)
    except ValueError as error:
        raise StoreError(
            f"its time is invalid: {clean_text(error)}", where, "Restore the file from its backup copy"
        ) from error


class ReadingSession:
    """A reading that this process may write. Make one with `Study.open_reading`.

    Attributes
    ----------
    reading
        The reading as last saved.
    seconds
        Time spent on it, in seconds.
    notice
        Message about damage that was found and repaired at opening, or empty.
    displays
        Displays with which the entries so far were made.
    """

    def __init__(
        self,
        file: StudyFile,
        lock: FileLock,
        shared_lock: _SharedLock,
        reading: Reading,
        seconds: float,
        notice: str = "",
        displays: tuple[DisplayUse, ...] = (),
        evidence: ReadingEvidence | None = None,
        tail: bytes = b"",
    ) -> None:
        self._file = file
        self._lock = lock
        self._shared_lock = shared_lock
        self._tail: bytes | None = tail
        """Last bytes of the file as this session read or wrote it last; None if that is unknown."""
        self.reading = reading
        self.seconds = seconds
        self.notice = notice
        self.displays = displays
        self._evidence = evidence or ReadingEvidence()

    def save(
        self, reading: Reading, *, seconds: float | None = None, displays: tuple[DisplayUse, ...] | None = None
    ) -> None:
        """Store `reading` in place of the previous one; without `seconds` or `displays` these stay as they are.

        Raises
        ------
        StoreError
            If the disk refuses, another process took the reading over, or another program changed its file. The previous
            reading is then still stored.
        """
        spent = self.seconds if seconds is None else seconds
        used = self.displays if displays is None else displays
        evidence = self._evidence.after_save(len(reading.log), spent, self.seconds)
        with self._shared_lock(), self._lock.writing():
            if self._tail not in (None, read_tail(self._file)):
                raise FileChanged(
                    "its file has changed since it was opened",
                    self._file.path,
                    "Open it again to see its present content",
                )
            try:
                self._tail = write_tables(self._file, reading_to_tables(reading, spent, used, evidence))
            except StoreError:
                self._tail = self._tail_after_failure()
                raise
            if self._lock.is_on_network and read_tail(self._file) != self._tail:
                raise FileChanged(
                    "another session has replaced its file just now",
                    self._file.path,
                    "Open it again to see its present content",
                )
        self.reading, self.seconds, self.displays = reading, spent, used
        self._evidence = evidence

    def check_lock(self) -> None:
        """Raise TakenOver if another process has taken the reading over, and StoreError if that can't be checked."""
        self._lock.check()

    def writing(self) -> AbstractContextManager[None]:
        """Exclude a take-over while something else of the case is saved. Raises TakenOver or StoreError on entry."""
        return self._lock.writing()

    def _tail_after_failure(self) -> bytes | None:
        """Return the last bytes of the file, which may have been replaced before the step that failed."""
        try:
            return read_tail(self._file)
        except StoreError:
            return None


class AutoSaver:
    """The present reading of a session, which is saved after each change.

    If a save fails, the reading stays in memory, and `save_error` has the reason until a save succeeds.

    Parameters
    ----------
    session
        The reading on the disk, locked for this process.
    clock
        Function that returns a time in seconds.
    """

    def __init__(self, session: ReadingSession, clock: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._clock = clock
        self._last = clock()
        self.reading: Reading = session.reading
        self.seconds = session.seconds
        """Time spent on the case, in seconds, without long pauses."""
        self.displays = session.displays
        """Displays on which the case was read, with the numbers of entries."""
        self.save_error = ""
        """Reason why the last save failed; empty if it succeeded."""
        self.can_retry = True
        """False after an error that no later save of this session can overcome."""
        last = self.reading.log[-1].timestamp if self.reading.log else None
        self.saved_at: datetime | None = last.astimezone() if last else None
        """Local time of the last save; None if the reading was never saved."""

    def count_time(self) -> None:
        """Add the time since the last key to `seconds`."""
        now = self._clock()
        self.seconds += min(now - self._last, MAX_PAUSE)
        self._last = now

    @property
    def unsaved(self) -> tuple[LogEntry, ...]:
        """Entries at the end of the log that are in memory only."""
        return self.reading.log[len(self._session.reading.log) :]

    def retry(self) -> bool:
        """Save again if the last save failed and another attempt can succeed. Return True if all entries are on the disk."""
        if self.save_error and self.can_retry:
            self.save(self.reading)
        return not self.unsaved

    def save(self, reading: Reading) -> bool:
        """Make `reading` the present one and save it. Return True if it is on the disk."""
        for entry in reading.log[len(self.reading.log) :]:
            if entry.display is not None:
                shown = entry.display
                self.displays = add_entry(
                    self.displays, shown.protocol, shown.pixels_per_mm, enough=shown.is_sufficient
                )
        self.reading = reading
        try:
            self._session.save(reading, seconds=self.seconds, displays=self.displays)
        except StoreError as error:
            if not self.save_error:
                _LOGGER.warning("a reading was not saved", exc_info=error)
            self.save_error = error.problem.removeprefix("not saved: ")
            self.can_retry = not isinstance(error, FileChanged | TakenOver)
            return False
        self.save_error, self.can_retry, self.saved_at = "", True, now().astimezone()
        return True


def now() -> datetime:
    """Return the present time for the log of a reading, in UTC."""
    return datetime.now(UTC)
