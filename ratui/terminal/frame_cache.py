"""Encoded frames by key, within a limit of bytes here and in the terminal. It encodes and draws nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock

from ratui.terminal.frames import Frame, KittyFrame

__all__ = ["FrameCache"]


class FrameCache:
    """The longest unused frame is dropped when all weigh more than `limit` bytes. Threads may share it.

    For Kitty the limit stays well below what the terminal keeps (320 MB): it drops images on its own, and placing one
    that is gone would show nothing.
    """

    def __init__(self, limit: int = 96_000_000) -> None:
        self._limit = limit
        self._memory_bytes = 0
        self._frames: OrderedDict[Hashable, Frame] = OrderedDict()
        self._lock = Lock()
        self._dropped: list[str] = []
        self._pins: dict[int, int] = {}

    @property
    def memory_bytes(self) -> int:
        """How many bytes the frames take, here and in the terminal."""
        return self._memory_bytes

    def get(self, key: Hashable) -> Frame | None:
        """The frame of `key`, now the latest used; None where it isn't kept."""
        with self._lock:
            frame = self._frames.get(key)
            if frame is not None:
                self._frames.move_to_end(key)
            return frame

    def put(self, key: Hashable, frame: Frame) -> Frame:
        """Keeps `frame`, unless one of that key is kept already; returns the one that is."""
        with self._lock:
            if key in self._frames:
                return self._frames[key]
            self._frames[key] = frame
            self._memory_bytes += frame.memory_bytes
            for old_key in list(self._frames):
                if self._memory_bytes <= self._limit:
                    break
                old = self._frames[old_key]
                if old is frame or id(old) in self._pins:
                    continue
                del self._frames[old_key]
                self._memory_bytes -= old.memory_bytes
                if isinstance(old, KittyFrame):
                    self._dropped.append(old.forget())
            return frame

    def pin(self, frame: Frame) -> None:
        """Keeps `frame` whatever it weighs: it is on the screen. As many calls of `release` let it go."""
        with self._lock:
            self._pins[id(frame)] = self._pins.get(id(frame), 0) + 1

    def unpin(self, frame: Frame) -> None:
        """Takes back a `hold`."""
        with self._lock:
            left = self._pins.pop(id(frame), 0) - 1
            if left > 0:
                self._pins[id(frame)] = left

    def take_dropped(self) -> str:
        """The sequences that free what was dropped since the last call."""
        with self._lock:
            text, self._dropped = "".join(self._dropped), []
            return text

    def mark_lost(self) -> None:
        """The terminal was left to another program: what it held of the frames may be gone."""
        with self._lock:
            self._dropped = []
            for frame in self._frames.values():
                if isinstance(frame, KittyFrame):
                    frame.mark_lost()

    def clear(self) -> str:
        """Drops every frame; the sequences that free their images in the terminal."""
        with self._lock:
            frames, self._frames, self._memory_bytes = list(self._frames.values()), OrderedDict(), 0
            freed, self._dropped = "".join(self._dropped), []
        return freed + "".join(frame.forget() for frame in frames if isinstance(frame, KittyFrame))
