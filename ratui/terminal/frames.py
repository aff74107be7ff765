"""Grey images as what a terminal takes: encoded once, kept for as long as they may come back.

A frame shows exactly the grey levels it was given, down to the levels the terminal has; nothing is dithered or smoothed,
since a speck in a film is a finding.
"""

from __future__ import annotations

import base64
import io
import secrets
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from ratui.errors import DisplayError
from ratui.terminal.display import Display
from ratui.terminal.sixel import sixel

__all__ = ["Frame", "FrameCache", "HalfCells", "KittyFrame", "SixelFrame", "encode"]

_CHUNK = 4096


@dataclass(frozen=True)
class KittyFrame:
    """An image that is sent once under `id` and placed as often as wanted."""

    id: int
    upload: str
    _sent: list[bool] = field(default_factory=list, repr=False, compare=False)

    @property
    def weight(self) -> int:
        return len(self.upload)

    def place(self, columns: int, rows: int, placement: int) -> str:
        """The sequence that shows the image at the cursor over that many cells; sends it first if need be."""
        upload = "" if self._sent else self.upload
        self._sent.append(True)
        return f"{upload}\x1b_Ga=p,i={self.id},p={placement},c={columns},r={rows},C=1,q=2\x1b\\"

    @property
    def sent(self) -> bool:
        return bool(self._sent)

    def remove(self, placement: int) -> str:
        """The sequence that takes the image off the screen and keeps it in the terminal."""
        return f"\x1b_Ga=d,d=i,i={self.id},p={placement},q=2\x1b\\"

    def forget(self) -> str:
        """The sequence that frees the image in the terminal."""
        return f"\x1b_Ga=d,d=I,i={self.id},q=2\x1b\\" if self._sent else ""


@dataclass(frozen=True)
class SixelFrame:
    """An image as one Sixel sequence."""

    data: str

    @property
    def weight(self) -> int:
        return len(self.data)


@dataclass(frozen=True)
class HalfCells:
    """An image as characters: `levels` is (2 × rows, columns); a character's upper half is one row, its lower the next."""

    levels: npt.NDArray[np.uint8]

    @property
    def weight(self) -> int:
        return int(self.levels.size) * 24  # what the characters made of it weigh


Frame: TypeAlias = KittyFrame | SixelFrame | HalfCells


def encode(display: Display, image: Image.Image) -> Frame:
    """`image`, of mode ``L``, for `display`. Raises DisplayError for another mode."""
    if image.mode != "L":
        raise DisplayError(f"films are grey, this image is {image.mode}")
    if display.protocol == "kitty":
        return _kitty(image)
    if display.protocol == "sixel":
        return SixelFrame(sixel(np.asarray(image), display.levels))
    return HalfCells(np.asarray(image).copy())


def _kitty(image: Image.Image) -> KittyFrame:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    payload = base64.b64encode(buffer.getvalue()).decode()
    id = secrets.randbelow(2**31 - 1) + 1
    pieces = [payload[start : start + _CHUNK] for start in range(0, len(payload), _CHUNK)]
    parts = []
    for number, piece in enumerate(pieces):
        more = int(number < len(pieces) - 1)
        head = f"a=t,f=100,t=d,i={id},q=2,m={more}" if number == 0 else f"m={more},q=2"
        parts.append(f"\x1b_G{head};{piece}\x1b\\")
    return KittyFrame(id, "".join(parts))


class FrameCache:
    """Encoded frames by key, the longest unused dropped when they weigh more than `limit` bytes. Threads may share it."""

    def __init__(self, limit: int = 48_000_000) -> None:
        self._limit = limit
        self._weight = 0
        self._frames: OrderedDict[Hashable, Frame] = OrderedDict()
        self._lock = Lock()
        self._dropped: list[str] = []

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
            self._weight += frame.weight
            while self._weight > self._limit and len(self._frames) > 1:
                _, old = self._frames.popitem(last=False)
                self._weight -= old.weight
                if isinstance(old, KittyFrame):
                    self._dropped.append(old.forget())
            return frame

    def dropped(self) -> str:
        """The sequences that free what was dropped since the last call."""
        with self._lock:
            text, self._dropped = "".join(self._dropped), []
            return text

    def forget_all(self) -> str:
        """The sequences that free every image in the terminal; for the end of the app."""
        with self._lock:
            frames, self._frames, self._weight = list(self._frames.values()), OrderedDict(), 0
        return "".join(frame.forget() for frame in frames if isinstance(frame, KittyFrame))
