"""Encoded images for the terminal: frames, which are encoded once and shown as often as needed.

A frame shows exactly the given grey levels, or the nearest ones that the terminal has. Nothing is dithered or smoothed:
a speck could be taken for a finding. Only `encode_coarse` reduces the number of pixels.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import lru_cache
from threading import Lock
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from ratui.errors import DisplayError
from ratui.terminal.colours import Colours, make_grey_palette
from ratui.terminal.display import Display
from ratui.terminal.iterm2 import ITerm2Frame, encode_iterm2
from ratui.terminal.kitty import KittyFrame, encode_kitty
from ratui.terminal.sixel import encode_sixel

__all__ = ["Frame", "FrameCache", "HalfCellFrame", "KittyFrame", "SixelFrame", "encode", "encode_coarse"]


@dataclass(frozen=True)
class SixelFrame:
    """An image as Sixel sequences."""

    tiles: tuple[tuple[int, int, str], ...]
    """Tiles that cover the image: column and row of the first cell, counted from 0 in the image, and Sixel sequence."""
    shrink: int = 1
    """The same as for a `KittyFrame`."""

    def __repr__(self) -> str:
        return f"SixelFrame({len(self.tiles)} tiles, {self.byte_count} bytes)"

    @property
    def memory_bytes(self) -> int:
        """Bytes that the frame takes in memory."""
        return self.byte_count

    @property
    def byte_count(self) -> int:
        """Bytes that have to be sent to show the image."""
        return sum(len(data) + 10 for _, _, data in self.tiles)

    def parts(self, column: int, row: int, columns: int, rows: int, placement: int) -> list[str]:
        """Return the sequences that show the image, as `KittyFrame.parts` does. The size and `placement` are not used."""
        return [f"\x1b[{row + top + 1};{column + left + 1}H{data}" for left, top, data in self.tiles]

    def mark_shown(self) -> None:
        """Do nothing: the terminal keeps no Sixel image."""


@dataclass(frozen=True)
class HalfCellFrame:
    """An image as half-cells: characters whose upper and lower halves have different greys."""

    levels: npt.NDArray[np.uint8]
    """Grey levels on the screen, shape (2 × rows, columns). Each character shows two rows."""
    colours: Colours
    """Colours of the terminal."""
    lines: tuple[str, ...]
    """Lines of characters with the sequences for their colours."""
    shrink: int = 1
    """The same as for a `KittyFrame`."""

    def __repr__(self) -> str:
        rows, columns = self.levels.shape
        return f"HalfCellFrame({columns} × {rows // 2} cells, {self.byte_count} bytes)"

    @property
    def memory_bytes(self) -> int:
        """Bytes that the frame takes in memory."""
        return self.byte_count + int(self.levels.size)

    @property
    def byte_count(self) -> int:
        """Bytes that have to be sent to show the image."""
        return sum(map(len, self.lines)) + 10 * len(self.lines)

    def parts(self, column: int, row: int, columns: int, rows: int, placement: int) -> list[str]:
        """Return the sequences that show the image, as `KittyFrame.parts` does, each with four rows of characters."""
        placed = [f"\x1b[{row + y + 1};{column + 1}H{line}" for y, line in enumerate(self.lines[:rows])]
        return ["".join(placed[y : y + 4]) + "\x1b[m" for y in range(0, len(placed), 4)]

    def mark_shown(self) -> None:
        """Do nothing: the terminal keeps no image."""


Frame: TypeAlias = KittyFrame | ITerm2Frame | SixelFrame | HalfCellFrame


def encode(display: Display, image: Image.Image, *, slices: bool = False) -> Frame:
    """Return an image as a frame for a terminal.

    Parameters
    ----------
    display
        The capabilities of the terminal.
    image
        A grey image of mode ``L``.
    slices
        True to make the parts small, so that a slow connection can be used for something else between them.

    Returns
    -------
    Frame
        The encoded image.

    Raises
    ------
    DisplayError
        If the mode of the image is not ``L``.
    """
    if image.mode != "L":
        raise DisplayError(f"films are grey, this image is {image.mode}")
    if display.protocol == "kitty":
        return encode_kitty(
            image, effort=6 if slices else 1, placeholders=display.uses_placeholders, medium=display.medium
        )
    if display.protocol == "iterm2":
        return encode_iterm2(image, _count_cells(display, image), effort=6 if slices else 1, strips=6 if slices else 1)
    if display.protocol == "sixel":
        return _sixel(np.asarray(image), display, 6 if slices else 1)
    return _half_cells(np.asarray(image), display.colours)


def encode_coarse(display: Display, image: Image.Image, budget: int) -> Frame:
    """Return an image as a frame of limited size, for a slow connection.

    Parameters
    ----------
    display
        The capabilities of the terminal.
    image
        A grey image of mode ``L``.
    budget
        Bytes that the frame should have at most.

    Returns
    -------
    Frame
        The frame with the most pixels that fits into the budget; the coarsest one if none fits.

    Raises
    ------
    DisplayError
        If the mode of the image is not ``L``.
    """
    if image.mode != "L":
        raise DisplayError(f"films are grey, this image is {image.mode}")
    frame: Frame
    for shrink in (1, 2, 3, 4, 6, 8, 12):
        small = image.reduce(shrink) if shrink > 1 else image
        if display.protocol == "kitty":
            # The terminal stretches the smaller image over the same cells.
            frame = encode_kitty(small.point(_coarse(64)), effort=9, placeholders=display.uses_placeholders)
        elif display.protocol == "iterm2":
            frame = encode_iterm2(small.point(_coarse(64)), _count_cells(display, image), effort=9)
        else:
            levels = np.asarray(small if display.protocol == "sixel" else small.point(_coarse(max(8, 48 // shrink))))
            levels = levels.repeat(shrink, axis=0).repeat(shrink, axis=1)[: image.height, : image.width]
            if display.protocol == "sixel":
                frame = _sixel(levels, display, 1, greys=min(display.levels, 24))
            else:
                frame = _half_cells(levels, display.colours)
        if frame.byte_count <= budget:
            break
    return replace(frame, shrink=shrink)


def _count_cells(display: Display, image: Image.Image) -> tuple[int, int]:
    """Return the columns and rows that `image` covers."""
    across, down = display.cell
    return -(-image.width // across), -(-image.height // down)


@lru_cache(maxsize=16)
def _coarse(greys: int) -> tuple[int, ...]:
    """Return the table that reduces 256 grey levels to `greys`."""
    step = 255 / (greys - 1)
    return tuple(round(round(level / step) * step) for level in range(256))


def _sixel(levels: npt.NDArray[np.uint8], display: Display, strips: int, greys: int | None = None) -> SixelFrame:
    """Encode `levels` as tiles of whole cells, in at least `strips` strips, none larger than the terminal accepts."""
    across, down = display.cell
    wide, high = max(display.max_sixel_size[0] // across, 1), max(display.max_sixel_size[1] // down, 1)
    columns, rows = -(-levels.shape[1] // across), -(-levels.shape[0] // down)
    high = min(high, max(-(-rows // strips), 1))
    return SixelFrame(
        tuple(
            (
                left,
                top,
                encode_sixel(
                    levels[top * down : (top + high) * down, left * across : (left + wide) * across],
                    greys or display.levels,
                ),
            )
            for top in range(0, rows, high)
            for left in range(0, columns, wide)
        )
    )


def _half_cells(levels: npt.NDArray[np.uint8], colours: Colours) -> HalfCellFrame:
    """Encode `levels` as characters, with sequences for the colours only where these change."""
    palette = make_grey_palette(colours)
    levels = palette.nearest[levels[: levels.shape[0] // 2 * 2]]
    lines = []
    for upper, lower in zip(levels[::2].tolist(), levels[1::2].tolist(), strict=True):
        line, ink, paper = [], -1, -1
        for top, bottom in zip(upper, lower, strict=True):
            if bottom != paper:
                line.append(palette.background[bottom])
                paper = bottom
            if top == bottom:
                line.append(" ")
                continue
            if top != ink:
                line.append(palette.foreground[top])
                ink = top
            line.append("▀")
        lines.append("".join(line))
    return HalfCellFrame(levels, colours, tuple(lines))


class FrameCache:
    """Encoded frames by key. Threads may share it.

    Parameters
    ----------
    limit
        Bytes that all frames may take. If they take more, the least recently used frames are dropped. For Kitty the
        limit must be well below that of the terminal, which is 320 MB: the terminal drops images without notice. To
        place a dropped image shows nothing, and the painter sends it again.
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

    def clear(self) -> None:
        """Drop all frames, because the terminal's capabilities have changed. `take_dropped` frees their images."""
        with self._lock:
            self._dropped += [frame.forget() for frame in self._frames.values() if isinstance(frame, KittyFrame)]
            self._frames.clear()
            self._memory_bytes = 0

    def release(self) -> str:
        """Keep all frames, and return the sequences that free their images in the terminal."""
        with self._lock:
            freed, self._dropped = "".join(self._dropped), []
            kitty = [frame for frame in self._frames.values() if isinstance(frame, KittyFrame)]
            freed += "".join(frame.delete() for frame in kitty)
            for frame in kitty:
                frame.mark_lost()
            return freed
