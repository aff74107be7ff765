"""Brings frames to the terminal in the right order: at once on a fast line, coarse before fine on a slow one.

What a key overtook is dropped, unsent parts and all. It knows frames and places, not films.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from textual.app import App

from ratui.terminal import LOCAL_ROUND_TRIP, Bandwidth, Frame, KittyFrame
from ratui.tui.textual_internals import get_driver

__all__ = ["Painter", "Place"]

MAX_DIRECT_SECONDS = 0.06
"""Seconds that a frame may take on a long line to be sent whole; a slower one comes coarse first."""
MAX_DIRECT_SECONDS_LOCAL = 0.25
"""The same for a terminal on this machine: there it is the terminal that takes its time, and one image is calmer."""
COARSE = 0.11
"""Seconds that a coarse frame may take: two of them and the round trip of a long line still make 0.4."""
_SLICE = 0.1
_REST = 0.3
"""Seconds without a key after which the fine frame is sent."""
_MIN_MEASURED_BYTES = 6_000


@dataclass
class Place:
    """Where frames are shown, one at a time. `write` puts text on the terminal, `region` is (column, row, columns,
    rows) in cells or None while the place isn't on the screen."""

    number: int
    region: Callable[[], tuple[int, int, int, int] | None]
    shown: Frame | None = None
    _coarse: Frame | None = None
    _fine: Frame | None = None
    _left: list[str] = field(default_factory=list)


class Painter:
    """The painter of one app. Call it from the app's own thread only."""

    _all: ClassVar[WeakKeyDictionary[App[Any], Painter]] = WeakKeyDictionary()

    def __init__(self, app: App[Any], bandwidth: Bandwidth | None = None) -> None:
        self._app = app
        self.bandwidth = bandwidth or Bandwidth()
        self.uses_fences = False
        """Whether the driver reports answers to fences; without it the line counts as fast."""
        self._slow: list[Place] = []
        self._last_key = 0.0
        self._timer: asyncio.TimerHandle | None = None
        Painter._all[app] = self

    @classmethod
    def for_app(cls, app: App[Any]) -> Painter:
        """The painter of `app`, made where there is none yet."""
        return cls._all.get(app) or cls(app)

    def is_slow(self, size: int = 100_000) -> bool:
        """Whether a frame of `size` bytes, a usual one by default, takes too long to be sent whole."""
        near = self.bandwidth.round_trip is not None and self.bandwidth.round_trip < LOCAL_ROUND_TRIP
        return self.bandwidth.transfer_seconds(size) > (MAX_DIRECT_SECONDS_LOCAL if near else MAX_DIRECT_SECONDS)

    @property
    def max_coarse_bytes(self) -> int:
        """How many bytes a coarse frame may have."""
        return self.bandwidth.bytes_within(COARSE)

    def paint(self, place: Place, frame: Frame, coarse: Frame | None = None, freed: str = "") -> None:
        """Shows `frame` at `place` in one write, or `coarse` first where the line is slow; `freed` is sent along."""
        self.drop(place)
        where = place.region()
        if where is None:
            return
        if not self.is_slow(frame.byte_count):
            self._whole(place, frame, where, freed)
            return
        # Nothing of what was there before may stand under a new name while the new picture is on its way.
        self._write(self._erase_text(place, where) + freed)
        place._coarse, place._fine = coarse, frame
        self._slow.append(place)
        self._later(0.02)  # the screen's text first: it is short, and says which joint this is

    def clear(self, place: Place) -> None:
        """Takes what is shown at `place` off the screen."""
        self.drop(place)
        if isinstance(place.shown, KittyFrame):
            self._write(place.shown.remove(place.number))
        place.shown = None

    def drop(self, place: Place) -> None:
        """Forgets what has not been sent yet for `place`."""
        if place in self._slow:
            self._slow.remove(place)
            self._abort_upload(place)
        place._coarse = place._fine = None

    def note_key(self, now: float) -> None:
        """A key was pressed: fine frames wait."""
        self._last_key = now

    def record_answer(self, now: float) -> None:
        """The terminal has taken what was sent up to a fence."""
        self.bandwidth.record_answer(now)
        self.pump()

    def pump(self) -> None:
        """Sends what may be sent now."""
        now = time.monotonic()
        if not self._slow:
            return
        if self.uses_fences and self.bandwidth.is_busy(now):
            self._later(0.5)  # the answer comes before, or never
            return
        waiting = [place for place in self._slow if place._coarse is not None]
        for place in waiting:
            for other in self._slow:
                self._abort_upload(other)
            coarse, place._coarse = place._coarse, None
            where = place.region()
            if coarse is not None and where is not None:
                self._whole(place, coarse, where, "")
        if waiting:
            self._later(0.02)
            return
        rest = self._last_key + _REST - now
        if rest > 0:
            self._later(rest)
            return
        self._slice(self._slow[0])

    def _slice(self, place: Place) -> None:
        """Sends the next parts of the fine frame of `place`."""
        where, fine = place.region(), place._fine
        if where is None or fine is None:
            self.drop(place)
            return
        if not place._left:
            place._left = fine.parts(*where, place.number)
        parts: list[str] = []
        size = 0
        while place._left and (not parts or size < self.bandwidth.bytes_within(_SLICE)):
            parts.append(place._left.pop(0))
            size += len(parts[-1])
        data = "".join(parts)
        if not place._left:
            data += self._mark_shown(place, fine)
            self._slow.remove(place)
            place._fine = None
        self._send(data)
        self._later(0.02)

    def _whole(self, place: Place, frame: Frame, where: tuple[int, int, int, int], freed: str) -> None:
        self._send("".join(frame.parts(*where, place.number)) + self._mark_shown(place, frame) + freed)

    def _mark_shown(self, place: Place, frame: Frame) -> str:
        """Notes that `frame` is at `place` now; what takes the one before it away."""
        frame.mark_shown()
        before, place.shown = place.shown, frame
        if isinstance(before, KittyFrame) and before is not frame:
            return before.remove(place.number)
        return ""

    def _abort_upload(self, place: Place) -> None:
        """Ends an upload that was begun; it starts anew later."""
        if isinstance(place._fine, KittyFrame) and place._left and len(place._left) <= len(place._fine.upload):
            self._write(place._fine.abandon())
        place._left = []

    def _erase_text(self, place: Place, where: tuple[int, int, int, int]) -> str:
        before, place.shown = place.shown, None
        if isinstance(before, KittyFrame):
            return before.remove(place.number)
        column, row, columns, rows = where
        lines = (f"\x1b[{row + y + 1};{column + 1}H{' ' * columns}" for y in range(rows))
        return "\x1b[?2026h\x1b7\x1b[0;48;2;0;0;0m" + "".join(lines) + "\x1b[m\x1b8\x1b[?2026l"

    def _later(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # Not a timer of Textual's: those leave out a call whose time has passed before they get to run.
        self._timer = asyncio.get_running_loop().call_later(max(seconds, 0.0), self.pump)

    def _send(self, data: str) -> None:
        """One write, in one synchronized update where the terminal knows that: no half image is ever seen."""
        fence = ""
        if self.uses_fences and (self._slow or len(data) > _MIN_MEASURED_BYTES):
            fence = self.bandwidth.record_sent(len(data), time.monotonic())
        self._write(f"\x1b[?2026h\x1b7{data}\x1b8\x1b[?2026l{fence}")

    def _write(self, data: str) -> None:
        driver = get_driver(self._app)
        if driver is not None and data and self._app.is_running:
            driver.write(data)
            driver.flush()
