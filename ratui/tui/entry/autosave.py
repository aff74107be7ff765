"""A reading kept on the disk while it is read, and the time that it took.

Where the disk refuses, the reading stays in memory and the refusal stays to be seen; nothing counts as saved before it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from ratui.errors import StoreError
from ratui.reading import Field, Reading, find_next_open_field
from ratui.study import DisplayUse, ReadingSession
from ratui.terminal import Fit

__all__ = ["IDLE", "Keeper", "now", "resumed"]

IDLE = 60.0
"""Seconds. Whoever presses no key for longer isn't reading: of a longer pause only this much counts."""


class Keeper:
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
        self.seen: tuple[str, Fit] | None = None
        """How films are shown now, and how sharp the joint was at best; None before one is shown."""
        self.refusal = ""
        """Why the disk has refused the latest reading, empty where it is saved."""
        last = self.reading.log[-1].timestamp if self.reading.log else None
        self.saved_at: datetime | None = last.astimezone() if last else None
        """When the disk took it last, in local time; None before the first time."""

    def touched(self) -> None:
        """Counts the time since the last key."""
        now = self._clock()
        self.seconds += min(now - self._last, IDLE)
        self._last = now

    def keep(self, reading: Reading) -> bool:
        """Makes `reading` the one that counts, and saves it; whether the disk took it."""
        made = len(reading.log) - len(self.reading.log)
        if made > 0 and self.seen is not None:
            self.displays = _noted(self.displays, *self.seen, made)
        self.reading = reading
        try:
            self._session.save(reading, seconds=self.seconds, displays=self.displays)
        except StoreError as error:
            self.refusal = error.problem
            return False
        self.refusal, self.saved_at = "", now().astimezone()
        return True


def _noted(displays: tuple[DisplayUse, ...], protocol: str, fit: Fit, made: int) -> tuple[DisplayUse, ...]:
    """`displays` after `made` entries with films as sharp as `fit`."""
    use = next((each for each in displays if each.protocol == protocol), DisplayUse(protocol, 0, 0, 0.0))
    others = tuple(each for each in displays if each.protocol != protocol)
    return (*others, use.with_entries(made, fit.pixels, enough=fit.enough))


def now() -> datetime:
    """The time for a log."""
    return datetime.now(UTC)


def resumed(reading: Reading) -> Field:
    """The field to ask for when `reading` is opened again: where its log stopped, or the first open one."""
    for entry in reversed(reading.log):
        if not entry.changes or entry.kind in ("regions", "adopt"):
            continue
        field = entry.changes[0].field
        if entry.kind in ("undo", "clear") and field not in reading.values:
            return field
        return find_next_open_field(reading, after=field) or field
    return find_next_open_field(reading) or reading.fields[0]
