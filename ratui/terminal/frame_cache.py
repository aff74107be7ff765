"""A cache of encoded frames, with a limit for their memory here and in the terminal."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock

from ratui.terminal.frames import Frame, KittyFrame

__all__ = ["FrameCache"]


class FrameCache:
    """Encoded frames by key. Threads may share it.

    Parameters
    ----------
    limit
        Bytes that all frames may take. If they take more, the least recently used frames are dropped. For Kitty the
        limit must be well below that of the terminal, which is 320 MB: the terminal drops images without notice, and
        to place a dropped image shows nothing.
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
        """Bytes that the frames take, here and in the terminal."""
        return self._memory_bytes

    def get(self, key: Hashable) -> Frame | None:
        """Return the frame of `key` and mark it as used, or return None if it is not cached."""
        with self._lock:
            frame = self._frames.get(key)
            if frame is not None:
                self._frames.move_to_end(key)
            return frame

    def put(self, key: Hashable, frame: Frame) -> Frame:
        """Store `frame` unless there is one of that `key` already, and return the stored one."""
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
        """Keep `frame` regardless of the limit, because it is on the screen. Each call needs one of `unpin`."""
        with self._lock:
            self._pins[id(frame)] = self._pins.get(id(frame), 0) + 1

    def unpin(self, frame: Frame) -> None:
        """Undo one call of `pin`."""
        with self._lock:
            left = self._pins.pop(id(frame), 0) - 1
            if left > 0:
                self._pins[id(frame)] = left

    def take_dropped(self) -> str:
        """Return the sequences that free the terminal's images of frames dropped since the last call."""
        with self._lock:
            text, self._dropped = "".join(self._dropped), []
            return text

    def mark_lost(self) -> None:
        """Record that the terminal may have lost all images, because another program used it."""
        with self._lock:
            self._dropped = []
            for frame in self._frames.values():
                if isinstance(frame, KittyFrame):
                    frame.mark_lost()

    def clear(self) -> str:
        """Drop all frames, and return the sequences that free their images in the terminal."""
        with self._lock:
            frames, self._frames, self._memory_bytes = list(self._frames.values()), OrderedDict(), 0
            freed, self._dropped = "".join(self._dropped), []
        return freed + "".join(frame.forget() for frame in frames if isinstance(frame, KittyFrame))
