"""A reading kept on the disk while it is read, and the time that it took.

Where the disk refuses, the reading stays in memory and the refusal stays to be seen; nothing counts as saved before it is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from ratui.errors import StoreError
from ratui.reading import Field, Reading, find_next_open_field
from ratui.study import DisplayUse, ReadingSession
from ratui.terminal import Resolution

__all__ = ["MAX_PAUSE", "AutoSaver", "find_resume_field", "now"]

_LOGGER = logging.getLogger("ratui")
MAX_PAUSE = 60.0
"""Seconds. Whoever presses no key for longer isn't reading: of a longer pause only this much counts."""


class AutoSaver:
    """Holds the reading of `session` and saves every change of it. `clock` counts seconds."""

    def __init__(self, session: ReadingSession, clock: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._clock = clock
        self._last = clock()
        self.reading: Reading = session.reading
        self.seconds = session.seconds
        """The time spent on the case so far, long pauses left out."""
        self.displays = session.displays
        """What it was read on so far."""
        self.current_display: tuple[str, Resolution] | None = None
        """How films are shown now, and how sharp the joint was at best; None before one is shown."""
        self.save_error = ""
        """Why the disk has refused the latest reading, empty where it is saved."""
        last = self.reading.log[-1].timestamp if self.reading.log else None
        self.saved_at: datetime | None = last.astimezone() if last else None
        """When the disk took it last, in local time; None before the first time."""

    def count_time(self) -> None:
        """Counts the time since the last key."""
        now = self._clock()
        self.seconds += min(now - self._last, MAX_PAUSE)
        self._last = now

    def save(self, reading: Reading) -> bool:
        """Makes `reading` the one that counts, and saves it; whether the disk took it."""
        entry_count = len(reading.log) - len(self.reading.log)
        if entry_count > 0 and self.current_display is not None:
            self.displays = _add_entries(self.displays, *self.current_display, entry_count)
        self.reading = reading
        try:
            self._session.save(reading, seconds=self.seconds, displays=self.displays)
        except StoreError as error:
            if not self.save_error:
                _LOGGER.warning("a reading was not saved", exc_info=error)
            self.save_error = error.problem
            return False
        self.save_error, self.saved_at = "", now().astimezone()
        return True


def _add_entries(
    displays: tuple[DisplayUse, ...], protocol: str, resolution: Resolution, entry_count: int
) -> tuple[DisplayUse, ...]:
    """`displays` after `entry_count` entries with films as sharp as `resolution`."""
    use = next((each for each in displays if each.protocol == protocol), DisplayUse(protocol, 0, 0, 0.0))
    others = tuple(each for each in displays if each.protocol != protocol)
    return (*others, use.with_entries(entry_count, resolution.pixels_per_mm, enough=resolution.is_sufficient))


def now() -> datetime:
    """The time for a log."""
    return datetime.now(UTC)


def find_resume_field(reading: Reading) -> Field:
    """The field to ask for when `reading` is opened again: where its log stopped, or the first open one."""
    for entry in reversed(reading.log):
        if not entry.changes or entry.kind in ("regions", "adopt"):
            continue
        field = entry.changes[0].field
        if entry.kind in ("undo", "clear") and field not in reading.values:
            return field
        return find_next_open_field(reading, after=field) or field
    return find_next_open_field(reading) or reading.fields[0]
