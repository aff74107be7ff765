"""Grey images as what a terminal takes: encoded once, placed as often as wanted.

A frame shows exactly the grey levels it was given, down to the levels the terminal has; nothing is dithered or smoothed,
since a speck in a film is a finding. Only a frame that says it is coarse shows fewer pixels than it could.
"""

from __future__ import annotations

import base64
import io
import secrets
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from ratui.errors import DisplayError
from ratui.terminal.display import Display
from ratui.terminal.sixel import encode_sixel

__all__ = ["Frame", "HalfCellFrame", "KittyFrame", "SixelFrame", "encode", "encode_coarse"]

_CHUNK = 4096


@dataclass(frozen=True)
class KittyFrame:
    """An image that is sent once under `id` and placed as often as wanted. `upload` is what sends it, in pieces."""

    id: int
    upload: tuple[str, ...]
    pixels: int
    _sent: list[bool] = field(default_factory=list, repr=False, compare=False)

    @property
    def memory_bytes(self) -> int:
        # What is kept here, and the four bytes a pixel that the terminal keeps: it drops old images without a word.
        return sum(map(len, self.upload)) + 4 * self.pixels

    @property
    def byte_count(self) -> int:
        """How many bytes showing it takes now."""
        return 60 if self._sent else sum(map(len, self.upload)) + 60

    def parts(self, column: int, row: int, columns: int, rows: int, placement: int) -> list[str]:
        """The sequences, in order, that show the image over that many cells from (`column`, `row`), both from 0."""
        show = f"\x1b[{row + 1};{column + 1}H\x1b_Ga=p,i={self.id},p={placement},c={columns},r={rows},C=1,q=2\x1b\\"
        return [show] if self._sent else [*self.upload, show]

    def mark_shown(self) -> None:
        """Notes that all parts have been written."""
        self._sent[:] = [True]

    def mark_lost(self) -> None:
        """Notes that the terminal may have forgotten the image, as it does when another screen is shown."""
        self._sent.clear()

    @property
    def sent(self) -> bool:
        return bool(self._sent)

    def abandon(self) -> str:
        """What ends an upload of which only some parts were written."""
        return "\x1b_Gm=0,q=2;\x1b\\" + self._free

    def remove(self, placement: int) -> str:
        """The sequence that takes the image off the screen and keeps it in the terminal."""
        return f"\x1b_Ga=d,d=i,i={self.id},p={placement},q=2\x1b\\"

    def forget(self) -> str:
        """The sequence that frees the image in the terminal."""
        return self._free if self._sent else ""

    @property
    def _free(self) -> str:
        return f"\x1b_Ga=d,d=I,i={self.id},q=2\x1b\\"


@dataclass(frozen=True)
class SixelFrame:
    """An image as Sixel sequences that cover it as tiles, each with the column and row of cells where it begins."""

    tiles: tuple[tuple[int, int, str], ...]

    @property
    def memory_bytes(self) -> int:
        return self.byte_count

    @property
    def byte_count(self) -> int:
        return sum(len(data) + 10 for _, _, data in self.tiles)

    def parts(self, column: int, row: int, columns: int, rows: int, placement: int) -> list[str]:
        """As `KittyFrame.parts`."""
        return [f"\x1b[{row + top + 1};{column + left + 1}H{data}" for left, top, data in self.tiles]

    def mark_shown(self) -> None:
        """Sixel keeps nothing in the terminal."""


@dataclass(frozen=True)
class HalfCellFrame:
    """An image as characters: `levels` is (2 × rows, columns); a character's upper half is one row, its lower the next."""

    levels: npt.NDArray[np.uint8]
    lines: tuple[str, ...]

    @property
    def memory_bytes(self) -> int:
        return self.byte_count + int(self.levels.size)

    @property
    def byte_count(self) -> int:
        return sum(map(len, self.lines)) + 10 * len(self.lines)

    def parts(self, column: int, row: int, columns: int, rows: int, placement: int) -> list[str]:
        """As `KittyFrame.parts`, four rows of characters a part."""
        placed = [f"\x1b[{row + y + 1};{column + 1}H{line}" for y, line in enumerate(self.lines[:rows])]
        return ["".join(placed[y : y + 4]) + "\x1b[m" for y in range(0, len(placed), 4)]

    def mark_shown(self) -> None:
        """Characters keep nothing in the terminal."""


Frame: TypeAlias = KittyFrame | SixelFrame | HalfCellFrame


def encode(display: Display, image: Image.Image, *, slices: bool = False) -> Frame:
    """`image`, of mode ``L``, for `display`. With `slices` in parts small enough to be overtaken on a slow line.

    Raises DisplayError for another mode.
    """
    if image.mode != "L":
        raise DisplayError(f"films are grey, this image is {image.mode}")
    if display.protocol == "kitty":
        return _kitty(image, effort=6 if slices else 1)
    if display.protocol == "sixel":
        return _sixel(np.asarray(image), display, 6 if slices else 1)
    return _half_cells(np.asarray(image))


def encode_coarse(display: Display, image: Image.Image, budget: int) -> Frame:
    """`image` for `display` in about `budget` bytes: the finest of some coarser grids that fits, else the coarsest."""
    if image.mode != "L":
        raise DisplayError(f"films are grey, this image is {image.mode}")
    frame: Frame
    for shrink in (1, 2, 3, 4, 6, 8, 12):
        small = image.reduce(shrink) if shrink > 1 else image
        if display.protocol == "kitty":
            frame = _kitty(small.point(_coarse(64)), effort=9)  # the terminal stretches it over the same cells
        else:
            levels = np.asarray(small if display.protocol == "sixel" else small.point(_coarse(max(8, 48 // shrink))))
            levels = levels.repeat(shrink, axis=0).repeat(shrink, axis=1)[: image.height, : image.width]
            sixels = display.protocol == "sixel"
            frame = _sixel(levels, display, 1, greys=min(display.levels, 24)) if sixels else _half_cells(levels)
        if frame.byte_count <= budget:
            break
    return frame


@lru_cache(maxsize=16)
def _coarse(greys: int) -> tuple[int, ...]:
    step = 255 / (greys - 1)
    return tuple(round(round(level / step) * step) for level in range(256))


def _kitty(image: Image.Image, *, effort: int) -> KittyFrame:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=effort)
    payload = base64.b64encode(buffer.getvalue()).decode()
    id = secrets.randbelow(2**31 - 1) + 1
    pieces = [payload[start : start + _CHUNK] for start in range(0, len(payload), _CHUNK)]
    parts = []
    for number, piece in enumerate(pieces):
        more = int(number < len(pieces) - 1)
        head = f"a=t,f=100,t=d,i={id},q=2,m={more}" if number == 0 else f"m={more},q=2"
        parts.append(f"\x1b_G{head};{piece}\x1b\\")
    return KittyFrame(id, tuple(parts), image.width * image.height)


def _sixel(levels: npt.NDArray[np.uint8], display: Display, strips: int, greys: int | None = None) -> SixelFrame:
    """Tiles of whole cells: at least `strips` of them, and each as large as the terminal takes."""
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


def _half_cells(levels: npt.NDArray[np.uint8]) -> HalfCellFrame:
    """Characters with their colours, each colour written only where it changes."""
    levels = np.array(levels[: levels.shape[0] // 2 * 2])
    fore, back = _colours()
    lines = []
    for upper, lower in zip(levels[::2].tolist(), levels[1::2].tolist(), strict=True):
        line, ink, paper = [], -1, -1
        for top, bottom in zip(upper, lower, strict=True):
            if bottom != paper:
                line.append(back[bottom])
                paper = bottom
            if top == bottom:
                line.append(" ")
                continue
            if top != ink:
                line.append(fore[top])
                ink = top
            line.append("▀")
        lines.append("".join(line))
    return HalfCellFrame(levels, tuple(lines))


@lru_cache(maxsize=1)
def _colours() -> tuple[list[str], list[str]]:
    return (
        [f"\x1b[38;2;{level};{level};{level}m" for level in range(256)],
        [f"\x1b[48;2;{level};{level};{level}m" for level in range(256)],
    )
