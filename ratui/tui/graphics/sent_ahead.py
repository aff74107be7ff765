"""Kitty images that are sent to the terminal before they are shown: those of the joints that are likely to follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ratui.terminal import Bandwidth, FrameCache, KittyFrame

__all__ = ["SentAhead"]

_SECONDS = 0.05
"""Seconds that one part may take. A key has to wait for at most one part."""
_MAX_PART = 65_536  # bytes of one part, also over a connection that was not measured


class _Sender(Protocol):
    """The painter, which sends the parts."""

    bandwidth: Bandwidth

    def schedule_pump(self, seconds: float) -> None:
        """Send the next part after `seconds`, if no key and no other frame comes before."""


class SentAhead:
    """The images that are sent ahead, and how far they are. At most those given to `plan` wait at a time.

    The cache keeps an image until it was sent, and frees it in the terminal when it is dropped there.

    Parameters
    ----------
    sender
        The painter.
    """

    def __init__(self, sender: _Sender) -> None:
        self._sender = sender
        self._waiting: list[KittyFrame] = []
        self._left: list[str] = []
        """Parts of the first waiting image that were not sent yet; empty before its first part."""
        self._cache: FrameCache | None = None
        self._unanswered: dict[int, KittyFrame] = {}
        """Images that were sent completely, by the number of the fence after them."""
        self._complete: KittyFrame | None = None

    @property
    def is_due(self) -> bool:
        """True if something remains to be sent."""
        return any(not frame.sent for frame in self._waiting)

    def plan(self, frames: Sequence[KittyFrame], cache: FrameCache) -> str:
        """Send `frames` ahead, in this order, instead of what was planned before.

        Parameters
        ----------
        frames
            The images. Those that the terminal has are left out.
        cache
            The cache that contains them.

        Returns
        -------
        str
            The sequence that ends an upload which is not continued.
        """
        wanted = [frame for frame in frames if not frame.sent]
        aborted = ""
        if self._left:
            if any(frame is self._waiting[0] for frame in wanted):
                begun = self._waiting[0]
                wanted = [begun, *(frame for frame in wanted if frame is not begun)]
            else:
                aborted = self.abort()
        for frame in wanted:
            cache.pin(frame)
        self._unpin_all()
        self._waiting, self._cache = wanted, cache
        if wanted:
            self._sender.schedule_pump(0.02)
        return aborted

    def stop(self) -> str:
        """Forget all images that were not sent; return the sequence that ends the upload of one."""
        aborted = self.abort()
        self._unpin_all()
        self._waiting = []
        self._unanswered.clear()
        return aborted

    def abort(self) -> str:
        """End an upload of which some parts were sent, because no other graphics may come between them.

        Returns
        -------
        str
            The sequence that ends it. The upload starts again from its first part later.
        """
        if not self._left:
            return ""
        self._left = []
        return self._waiting[0].abandon()

    def take_part(self) -> str:
        """Return what has to be sent next; empty if nothing remains."""
        self._complete = None
        while self._waiting and self._waiting[0].sent and not self._left:
            self._unpin(self._waiting.pop(0))
        if not self._waiting:
            return ""
        frame = self._waiting[0]
        if not self._left:
            self._left = frame.upload_parts()
        limit = min(self._sender.bandwidth.count_bytes_within(_SECONDS), _MAX_PART)
        data = ""
        while self._left and (not data or len(data) + len(self._left[0]) <= limit):
            data += self._left.pop(0)
        if not self._left:
            frame.mark_shown()
            self._complete = frame
            self._unpin(self._waiting.pop(0))
        return data

    def note_fence(self, number: int) -> None:
        """Record that the fence `number` follows the part that `take_part` has returned."""
        if self._complete is not None:
            self._unanswered[number] = self._complete

    def record_answer(self, number: int) -> None:
        """Send the pixels of an image in control sequences when it is shown, if the terminal could not read it otherwise."""
        frame = self._unanswered.pop(number, None)
        if frame is not None and not frame.is_received():
            frame.send_directly()

    def _unpin(self, frame: KittyFrame) -> None:
        if self._cache is not None:
            self._cache.unpin(frame)

    def _unpin_all(self) -> None:
        for frame in self._waiting:
            self._unpin(frame)
