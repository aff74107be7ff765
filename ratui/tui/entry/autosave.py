"""Automatic storage of a reading after each change, with the time spent and the displays used.

If a save fails, the reading stays in memory and `AutoSaver.save_error` has the reason until a save succeeds.
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
"""Seconds of a pause between two keys that count as time spent on the case. The rest of a longer pause does not count."""


class AutoSaver:
    """The present reading of a session, which is saved after each change.

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
        self.current_display: tuple[str, Resolution] | None = None
        """Graphics protocol and best resolution of the present joint; None before a film is shown."""
        self.save_error = ""
        """Reason why the last save failed; empty if it succeeded."""
        last = self.reading.log[-1].timestamp if self.reading.log else None
        self.saved_at: datetime | None = last.astimezone() if last else None
        """Local time of the last save; None if the reading was never saved."""

    def count_time(self) -> None:
        """Add the time since the last key to `seconds`."""
        now = self._clock()
        self.seconds += min(now - self._last, MAX_PAUSE)
        self._last = now

    def save(self, reading: Reading) -> bool:
        """Make `reading` the present one and save it. Return True if it is on the disk."""
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
    """Return `displays` with `entry_count` further entries, made at `resolution`."""
    use = next((each for each in displays if each.protocol == protocol), DisplayUse(protocol, 0, 0, 0.0))
    others = tuple(each for each in displays if each.protocol != protocol)
    return (*others, use.with_entries(entry_count, resolution.pixels_per_mm, enough=resolution.is_sufficient))


def now() -> datetime:
    """Return the present time for the log of a reading, in UTC."""
    return datetime.now(UTC)


def find_resume_field(reading: Reading) -> Field:
    """Return the field to continue with when a reading is opened again.

    This is the first open field after the last entry of the log; the field itself if it was undone or cleared; the first
    field if all are answered.
    """
    for entry in reversed(reading.log):
        # Changed regions and adopted answers are not the rater's last position.
        if not entry.changes or entry.kind in ("regions", "adopt"):
            continue
        field = entry.changes[0].field
        if entry.kind in ("undo", "clear") and field not in reading.values:
            return field
        return find_next_open_field(reading, after=field) or field
    return find_next_open_field(reading) or reading.fields[0]
