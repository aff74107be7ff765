"""A reading that is open for writing, saved after each change with the time spent and the displays used.

When `ReadingSession.save` returns, the reading is on the disk. A save goes from there to `store.tables`, which seals the
records, and to `ratui.files`, which writes them. `stored_reading` reads the same tables.

Table ``seen`` has one record for each film that the case had when the reading was first saved: ``position`` on the screen,
``film`` (its ID) and ``content``, a keyed hash of the film's file. The chain of the log begins with it; films that came
later are named in the log. Each record of the log has ``seconds``, the time spent on the reading at that entry. Table
``times`` has a record for each save without an entry, such as at the end of a session. Both tables are chained, so that
neither can be changed later without a change of every checksum after it.

Readings of format 3 and older have neither; their entries stay without ``seconds``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias

from ratui.errors import StoreError, clean_text
from ratui.reading import LogEntry, Reading
from ratui.reading.document_writer import field_to_record, log_entry_to_record, meta_to_record, with_positions
from ratui.stored_values import ODD_VALUE_ERRORS, as_integer, as_number, as_text
from ratui.study.readings.reading_permission import ReadingClosed
from ratui.study.store import FileLock, StudyFile, StudyLocked, TakenOver
from ratui.study.store.tables import TableRows, TableWriter, read_tail

__all__ = [
    "MAX_PAUSE",
    "AutoSaver",
    "DisplayUse",
    "FileChanged",
    "ReadingEvidence",
    "ReadingSession",
    "Records",
    "add_entry",
    "now",
    "reading_rows",
    "reading_to_tables",
]

Records: TypeAlias = Sequence[Mapping[str, Any]]
_MOST_ENTRIES = 10_000_000
_LOGGER = logging.getLogger("ratui")
MAX_PAUSE = 60.0
"""Seconds of a pause between two keys that count as time spent on the case. The rest of a longer pause does not count."""


@dataclass(frozen=True)
class DisplayUse:
    """The image protocol and the resolution with which entries of a reading were made.

    Attributes
    ----------
    protocol
        How the terminal showed the films, such as ``kitty`` or ``sixel``.
    entries
        Number of entries made with it.
    below
        Number of these entries made with fewer pixels per millimetre than an erosion needs to be visible.
    least
        Smallest resolution of an entry, in pixels per millimetre.
    """

    protocol: str
    entries: int
    below: int
    least: float

    def with_entries(self, count: int, pixels: float, *, enough: bool) -> DisplayUse:
        """Return the numbers after `count` more entries, made at `pixels` per millimetre.

        `enough` states that an erosion is visible at this resolution; otherwise `below` grows by `count`.
        """
        return DisplayUse(
            self.protocol,
            self.entries + count,
            self.below + (0 if enough else count),
            round(min(self.least, pixels) if self.entries else pixels, 2),
        )

    def to_record(self) -> dict[str, Any]:
        """Return the values as stored in a file."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any], where: object = "") -> DisplayUse:
        """Return the values in a stored record. Raises StoreError, naming the file `where`, for anything else."""
        try:
            return cls(
                as_text(record["protocol"]),
                as_integer(record["entries"], 0, _MOST_ENTRIES),
                as_integer(record["below"], 0, _MOST_ENTRIES),
                as_number(record["least"]),
            )
        except ODD_VALUE_ERRORS as error:
            problem = f"not a display: {clean_text(error)}"
            raise StoreError(problem, where, "Restore the file from its backup copy") from error


def add_entry(
    displays: tuple[DisplayUse, ...], protocol: str, pixels_per_mm: float, *, enough: bool
) -> tuple[DisplayUse, ...]:
    """Return `displays` with one more entry.

    Parameters
    ----------
    displays
        The displays so far, the last used one last.
    protocol, pixels_per_mm
        Image protocol and resolution of the entry.
    enough
        True if erosions can be judged at this resolution.
    """
    use = next((each for each in displays if each.protocol == protocol), DisplayUse(protocol, 0, 0, 0.0))
    others = tuple(each for each in displays if each.protocol != protocol)
    return (*others, use.with_entries(1, pixels_per_mm, enough=enough))


@dataclass(frozen=True)
class ReadingEvidence:
    """The evidence in one reading's file.

    Attributes
    ----------
    films
        Records of the table ``seen``.
    seconds
        Time spent at each entry of the log, in seconds; None for entries of older versions.
    times
        Records of the table ``times``.
    """

    films: Records = ()
    seconds: tuple[float | None, ...] = ()
    times: Records = ()

    def after_save(self, entries: int, spent: float, before: float) -> ReadingEvidence:
        """Return the evidence after a save.

        Parameters
        ----------
        entries
            Number of log entries.
        spent
            Time spent on the reading, in seconds.
        before
            The same at the last save.
        """
        spent = round(spent, 1)
        if entries > len(self.seconds):
            return replace(self, seconds=(*self.seconds, *[spent] * (entries - len(self.seconds))))
        if spent == round(before, 1):
            return self
        return replace(self, times=(*self.times, {"entries": entries, "seconds": spent}))


class FileChanged(StoreError):
    """Another program has changed the file of an open reading: this session can save nothing more in it."""


class _SharedLock(Protocol):
    def __call__(self) -> AbstractContextManager[None]: ...


def reading_to_tables(
    reading: Reading, seconds: float, displays: Sequence[DisplayUse], evidence: ReadingEvidence
) -> dict[str, list[Mapping[str, Any]]]:
    """Return the tables of a reading's file: ``meta`` with one record, ``fields``, ``seen``, ``log`` and ``times``.

    `seconds` is the time spent on the reading, `displays` tells how its films were displayed, and `evidence` has the
    content of ``seen`` and ``times``.
    """
    return {name: rows.to_records() for name, rows in reading_rows(reading, seconds, displays, evidence).items()}


def reading_rows(
    reading: Reading, seconds: float, displays: Sequence[DisplayUse], evidence: ReadingEvidence
) -> dict[str, TableRows]:
    """Return the tables of `reading_to_tables` before their conversion, which is done once for each entry of the log."""
    reading = with_positions(reading)
    log = list(zip(reading.log, evidence.seconds, strict=True))
    return {
        "meta": TableRows([(reading, round(seconds, 1), displays)], _to_meta),
        "fields": TableRows(reading.filled_fields, field_to_record),
        "seen": TableRows([(film,) for film in evidence.films], dict),
        "log": TableRows(log, _to_log_record),
        "times": TableRows([(time,) for time in evidence.times], dict),
    }


def _to_meta(reading: Reading, seconds: float, displays: Sequence[DisplayUse]) -> dict[str, Any]:
    return {**meta_to_record(reading), "seconds": seconds, "displays": [use.to_record() for use in displays]}


def _to_log_record(entry: LogEntry, seconds: float | None) -> dict[str, Any]:
    record = log_entry_to_record(entry)
    return record if seconds is None else {**record, "seconds": seconds}


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
        check_permission: Callable[[], None],
        reading: Reading,
        seconds: float,
        notice: str = "",
        displays: tuple[DisplayUse, ...] = (),
        evidence: ReadingEvidence | None = None,
        tail: bytes = b"",
    ) -> None:
        self._file = file
        self._writer = TableWriter(file)
        self._lock = lock
        self._shared_lock = shared_lock
        self._check_permission = check_permission
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
            If the disk refuses, another process took the reading over, another program changed its file, or the rules of the
            study do not let the rater change it any more. The previous reading is then still stored.
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
                self._tail = self._writer.write(reading_rows(reading, spent, used, evidence))
            except BaseException:  # also a signal, after which the session goes on
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
        """Raise an error if this session can save nothing more.

        Raises
        ------
        TakenOver
            If another process has taken the reading over.
        StudyLocked, ReadingClosed
            If a manager has locked the study, or its rules do not let the rater change the reading any more.
        StoreError
            If that can't be checked now.
        """
        self._check_permission()
        self._lock.check()

    def writing(self) -> AbstractContextManager[None]:
        """Exclude a take-over while something else of the case is saved. Raises errors of `check_lock` on entry."""
        self._check_permission()
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
            self.can_retry = not isinstance(error, FileChanged | TakenOver | StudyLocked | ReadingClosed)
            return False
        self.save_error, self.can_retry, self.saved_at = "", True, now().astimezone()
        return True


def now() -> datetime:
    """Return the present time for the log of a reading, in UTC."""
    return datetime.now(UTC)
