"""The painter, which sends frames to the terminal: at once over a fast connection, coarse before fine over a slow one.

Kitty images that are likely to be needed next are sent ahead while no key is pressed, so that a key only has to place them.

A frame that is replaced before it is complete is dropped, with its parts that were not sent yet. A fence follows each frame.
Its answer shows that the terminal has processed the frame, and the painter then reports the frame as painted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol, TypeAlias, runtime_checkable
from weakref import WeakKeyDictionary

from textual.app import App

from ratui.terminal import LOCAL_ROUND_TRIP, Bandwidth, Display, Frame, FrameCache, KittyFrame, make_grey_palette
from ratui.tui.graphics.place import Place, end_upload
from ratui.tui.graphics.sent_ahead import SentAhead
from ratui.tui.textual_internals import get_driver

__all__ = ["Painter", "Place"]

MAX_DIRECT_SECONDS = 0.06
"""Seconds that a frame may take to be sent in one piece over a remote connection. A slower one is sent coarse first."""
MAX_DIRECT_SECONDS_LOCAL = 0.25
"""The same for a local terminal. There the terminal itself is slow, and one image is calmer than two in succession."""
COARSE = 0.11
"""Seconds that a coarse frame may take. Two of them and the round trip of a remote connection take less than 0.4 s."""
_SLICE = 0.1
"""Seconds that one slice of a fine frame may take. A key has to wait for at most one slice."""
_REST = 0.3
"""Seconds without a key after which fine frames are sent."""
_REST_AHEAD = 0.1
"""Seconds without a key after which images are sent ahead over a fast connection."""
_MIN_MEASURED_BYTES = 6_000
LONGEST_HOLD = 0.06
"""Seconds for which the end of an update is held back at most, so that films and texts of a joint change together."""
_MAX_LOSSES = 3
"""Number of losses of the images of a place after which they are not sent again."""
_ASK_AGAIN = 1.0
"""Seconds without an answer after which the painter asks again whether the terminal has processed the frames."""


@runtime_checkable
class HoldsOutput(Protocol):
    """A driver that can hold back the end of an update, so that the terminal shows nothing of it yet."""

    def hold_output(self, on_text: Callable[[], None]) -> None:
        """Join what is written from now on to one update, and call `on_text` when Textual has written its next one."""

    def release_output(self) -> None:
        """End the update, so that the terminal shows it."""


_Sent: TypeAlias = tuple[Place, Frame, int]
"""A place, the frame that was sent to it, and the number of frames sent to it until then."""


class Painter:
    """The painter of one app. Call its methods in the app's thread only.

    Parameters
    ----------
    app
        The app, through whose driver the painter writes.
    bandwidth
        The bandwidth of the connection; None for an unknown one, which counts as fast.
    """

    _all: ClassVar[WeakKeyDictionary[App[Any], Painter]] = WeakKeyDictionary()

    def __init__(self, app: App[Any], bandwidth: Bandwidth | None = None) -> None:
        self._app = app
        self.bandwidth = bandwidth or Bandwidth()
        self.clock: Callable[[], float] = time.monotonic
        """Function that returns the time in seconds, of the same clock as the times of the keys."""
        self.uses_fences = False
        """True if the driver reports answers to fences. Otherwise a frame counts as painted when it is written."""
        self._slow: list[Place] = []
        self._last_key = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._sent: dict[int, list[_Sent]] = {}
        """By fence: the places and frames sent before it, with the number of frames that the place had been sent."""
        self._sent_again: dict[int, int] = {}
        """By lost Kitty image: the last fence before it is sent again. Losses of what was sent until then are known."""
        self._ask_timer: asyncio.TimerHandle | None = None
        self._hold_timer: asyncio.TimerHandle | None = None
        self.ahead = SentAhead(self)
        """Images that are sent before they are shown."""
        Painter._all[app] = self

    @classmethod
    def for_app(cls, app: App[Any]) -> Painter:
        """Return the painter of `app`, and create it if there is none yet."""
        return cls._all.get(app) or cls(app)

    def is_slow(self, size: int = 100_000) -> bool:
        """Return True if a frame of `size` bytes takes too long to be sent in one piece. The default is a usual size."""
        is_local = self.bandwidth.round_trip is not None and self.bandwidth.round_trip < LOCAL_ROUND_TRIP
        return self.bandwidth.estimate_seconds(size) > (MAX_DIRECT_SECONDS_LOCAL if is_local else MAX_DIRECT_SECONDS)

    @property
    def max_coarse_bytes(self) -> int:
        """Bytes that a coarse frame may have."""
        return self.bandwidth.count_bytes_within(COARSE)

    def paint(self, place: Place, frame: Frame, coarse: Frame | None = None, freed: str = "") -> None:
        """Show `frame` at `place`: in one write if the connection is fast, otherwise `coarse` first.

        Parameters
        ----------
        place
            The place. Its earlier frame is removed.
        frame
            The frame to show in the end.
        coarse
            A smaller frame of the same picture; None if there is none.
        freed
            Sequences that free images in the terminal, to send along.
        """
        self.drop(place)
        if frame is not place.shown:
            place.loss_count = 0
        where = place.region()
        if where is None:
            return
        if not self.is_slow(frame.byte_count):
            data = "".join(frame.parts(*where, place.number)) + self._mark_shown(place, frame) + freed
            self._send(data, [(place, frame)])
            return
        # The old picture must not stay on the screen under the name of the new joint.
        self._write(self.ahead.abort() + self._erase_text(place, where) + freed)
        place.coarse, place.fine = coarse, frame
        self._slow.append(place)
        self.schedule_pump(0.02)  # let Textual send the text first: it is short, and names the joint

    # One synchronized update for films and texts.

    def hold(self) -> None:
        """Let the terminal show nothing until Textual has updated the texts, or for at most `LONGEST_HOLD` seconds."""
        driver = get_driver(self._app)
        if isinstance(driver, HoldsOutput) and self._hold_timer is None:
            driver.hold_output(self.release)
            self._hold_timer = asyncio.get_running_loop().call_later(LONGEST_HOLD, self.release)

    def release(self) -> None:
        """Let the terminal show the output since `hold` as one synchronized update."""
        if self._hold_timer is not None:
            self._hold_timer.cancel()
            self._hold_timer = None
        driver = get_driver(self._app)
        if isinstance(driver, HoldsOutput):
            driver.release_output()

    @contextmanager
    def synchronized_update(self) -> Iterator[None]:
        """Write all output of the block as one synchronized update, or as a part of the one that is held back now."""
        is_outermost = self._hold_timer is None
        self.hold()
        try:
            yield
        finally:
            if is_outermost:
                self.release()

    def clear(self, place: Place) -> None:
        """Remove the frame that is shown at `place`."""
        self.drop(place)
        if isinstance(place.shown, KittyFrame):
            self._write(self.ahead.abort() + place.shown.remove(place.number))
        place.shown = None

    def drop(self, place: Place) -> None:
        """Drop the frames for `place` that have not been sent completely."""
        if place in self._slow:
            self._slow.remove(place)
            self._abort_upload(place)
        place.coarse = place.fine = None

    def abandon_uploads(self) -> str:
        """Drop everything that has not been sent; return the sequences that end the uploads of which a part was sent."""
        places, self._slow = self._slow, []
        sequences = self.ahead.stop() + "".join(end_upload(place) for place in places)
        for place in places:
            place.coarse = place.fine = None
        return sequences

    def send_ahead(self, frames: Sequence[KittyFrame], cache: FrameCache) -> None:
        """Send `frames` of `cache` while no key is pressed, instead of those of the last call, and show none of them."""
        if self.uses_fences:  # only the answers tell when the connection is free
            self._write(self.ahead.plan(frames, cache))

    def abandon_ahead(self) -> None:
        """Send no images ahead any more, because the terminal may have lost those that were sent in part."""
        self._write(self.ahead.stop())

    def note_key(self, now: float) -> None:
        """Record a key at the time `now`, after which fine frames have to wait."""
        self._last_key = now

    def record_answer(self, number: int, now: float) -> None:
        """Record the answer to the fence `number` at the time `now`, report the painted frames, and send the next data."""
        for answered in self.bandwidth.record_answer(number, now):
            self._report_painted(self._sent.pop(answered, []), now)
            self.ahead.record_answer(answered)
        if not any(self._sent.values()) and self._ask_timer is not None:
            self._ask_timer.cancel()
            self._ask_timer = None
        self.pump()

    def _report_painted(self, sent: list[_Sent], now: float) -> None:
        """Report the frames in `sent` that were not replaced or removed since."""
        for place, frame, count in sent:
            if place.shown is frame and place.sent_count == count:
                if isinstance(frame, KittyFrame) and not frame.is_received():
                    # The terminal could not read the image: send the same pixels in control sequences.
                    frame.send_directly()
                    self.paint(place, frame)
                else:
                    place.loss_count = 0
                    place.on_painted(frame, now)

    def send_again(self, image: int) -> None:
        """Send Kitty's image of the number `image` again where it is shown, because the terminal has lost it.

        A terminal that loses the image again and again has no memory for it. Its place becomes black then, and the frame
        is not reported as painted.
        """
        found = self._take_unanswered(image)
        if found is None:
            return
        number, (place, frame, count) = found
        if isinstance(frame, KittyFrame) and number > self._sent_again.get(image, 0):
            frame.mark_lost()
            self._sent_again[image] = self.bandwidth.last_number
        if place.shown is frame and place.sent_count == count:
            place.loss_count += 1
            if place.loss_count < _MAX_LOSSES:
                self.paint(place, frame)
            else:
                self.clear(place)

    def _take_unanswered(self, image: int) -> tuple[int, _Sent] | None:
        """Remove the first unanswered frame with Kitty's image `image` from those to report, and return it with its fence.

        The terminal reports a loss before it answers the fence behind the frame, once for each time that the image is shown.
        """
        for number, sent in sorted(self._sent.items()):
            for each in sent:
                if isinstance(each[1], KittyFrame) and each[1].id == image:
                    # There are several records of a frame that was asked for again.
                    for others in self._sent.values():
                        others[:] = [other for other in others if (other[0], other[2]) != (each[0], each[2])]
                    return number, each
        return None

    def _ask_again(self) -> None:
        """Send another fence, because an answer may have been lost. Its answer counts for all frames before it."""
        self._ask_timer = None
        # By identity, because frames compare all their pixels.
        unanswered = {(id(each[0]), each[2]): each for sent in self._sent.values() for each in sent}
        if unanswered and self._app.is_running:
            self._write(self.bandwidth.record_sent(0, self.clock()))
            self._sent[self.bandwidth.last_number] = list(unanswered.values())
            self._ask_later()

    def _ask_later(self) -> None:
        if self._ask_timer is None:
            self._ask_timer = asyncio.get_running_loop().call_later(_ASK_AGAIN, self._ask_again)

    def pump(self) -> None:
        """Send the data that are due now: first all coarse frames, then slices of the fine ones, then images ahead."""
        now = self.clock()
        if not self._slow and not self.ahead.is_due:
            return
        if self.uses_fences and self.bandwidth.is_busy(now):
            self.schedule_pump(0.5)  # in case the answer is lost: usually `record_answer` calls `pump` earlier
            return
        waiting = [place for place in self._slow if place.coarse is not None]
        if waiting:
            for other in self._slow:
                self._abort_upload(other)
            data, painted = "", []
            for place in waiting:
                coarse, place.coarse = place.coarse, None
                where = place.region()
                if coarse is not None and where is not None:
                    data += "".join(coarse.parts(*where, place.number)) + self._mark_shown(place, coarse)
                    painted.append((place, coarse))
            if painted:
                self._send(data, painted)
            self.schedule_pump(0.02)
            return
        rest = self._last_key + (_REST if self._slow or self.is_slow() else _REST_AHEAD) - now
        if rest > 0:
            self.schedule_pump(rest)
            return
        if self._slow:
            self._slice(self._slow[0])
        else:
            self._send_ahead()

    def _send_ahead(self) -> None:
        """Send the next part of the images that are sent ahead, and go on after the terminal has processed it."""
        if data := self.ahead.take_part():
            self._send(data, is_ahead=True)
            self.schedule_pump(0.5)  # in case the answer is lost: usually `record_answer` calls `pump` earlier

    def _slice(self, place: Place) -> None:
        """Send the next parts of the fine frame of `place`."""
        where, fine = place.region(), place.fine
        if where is None or fine is None:
            self.drop(place)
            return
        if not place.unsent_parts:
            place.unsent_parts = fine.parts(*where, place.number)
        parts: list[str] = []
        size = 0
        while place.unsent_parts and (not parts or size < self.bandwidth.count_bytes_within(_SLICE)):
            parts.append(place.unsent_parts.pop(0))
            size += len(parts[-1])
        data = "".join(parts)
        complete = []
        if not place.unsent_parts:
            data += self._mark_shown(place, fine)
            self._slow.remove(place)
            place.fine = None
            complete = [(place, fine)]
        self._send(data, complete)
        self.schedule_pump(0.02)

    def _mark_shown(self, place: Place, frame: Frame) -> str:
        """Record that `place` shows `frame` now, and return the sequence that removes the frame before it."""
        frame.mark_shown()
        before, place.shown = place.shown, frame
        place.sent_count += 1
        if isinstance(before, KittyFrame) and before is not frame:
            return before.remove(place.number)
        return ""

    def _abort_upload(self, place: Place) -> None:
        """End an upload of which a part was sent. It starts again from its first part later."""
        self._write(end_upload(place))

    def _erase_text(self, place: Place, where: tuple[int, int, int, int]) -> str:
        """Return the text that removes the present frame from `place`."""
        before, place.shown = place.shown, None
        if isinstance(before, KittyFrame) and not before.IN_CELLS:
            return before.remove(place.number)
        column, row, columns, rows = where
        lines = (f"\x1b[{row + y + 1};{column + 1}H{' ' * columns}" for y in range(rows))
        graphics = getattr(self._app, "graphics", None)
        black = make_grey_palette(graphics.colours if isinstance(graphics, Display) else "truecolor").background[0]
        return f"\x1b[?2026h\x1b7\x1b[m{black}" + "".join(lines) + "\x1b[m\x1b8\x1b[?2026l"

    def schedule_pump(self, seconds: float) -> None:
        """Call `pump` after `seconds`, instead of at the time that was planned before."""
        if self._timer is not None:
            self._timer.cancel()
        # A timer of Textual would skip a call whose time has passed before it gets to run.
        self._timer = asyncio.get_running_loop().call_later(max(seconds, 0.0), self.pump)

    def _send(self, data: str, complete: Sequence[tuple[Place, Frame]] = (), *, is_ahead: bool = False) -> None:
        """Write `data` at once, as a synchronized update (mode 2026) so that the terminal shows no incomplete image.

        `complete` names the frames of which `data` contains the last part. `is_ahead` is true for images to be shown later.
        """
        if not is_ahead:
            data = self.ahead.abort() + data
        sent = [(place, frame, place.sent_count) for place, frame in complete]
        now = self.clock()
        fence = ""
        if self.uses_fences and (sent or self._slow or is_ahead or len(data) > _MIN_MEASURED_BYTES):
            fence = self.bandwidth.record_sent(len(data), now)
            self._sent[self.bandwidth.last_number] = sent
            if is_ahead:
                self.ahead.note_fence(self.bandwidth.last_number)
            self._ask_later()
        self._write(f"\x1b[?2026h\x1b7{data}\x1b8\x1b[?2026l{fence}")
        if not self.uses_fences:
            self._report_painted(sent, now)

    def _write(self, data: str) -> None:
        driver = get_driver(self._app)
        if driver is not None and data and self._app.is_running:
            driver.write(data)
            if self._hold_timer is None:
                driver.flush()
