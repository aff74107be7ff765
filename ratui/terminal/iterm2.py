"""Inline images of iTerm2, which WezTerm shows too: PNG files over a number of cells.

https://iterm2.com/documentation-images.html
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image

from ratui.terminal.queries import ITERM2_CELL_SIZE, TERMINAL_VERSION

__all__ = ["ITerm2Frame", "encode_iterm2", "may_be_iterm2", "parse_iterm2_cell"]


@dataclass(frozen=True)
class ITerm2Frame:
    """An image as inline images of iTerm2."""

    tiles: tuple[tuple[int, int, str], ...]
    """Strips of the image from top to bottom: columns and rows in cells, and the PNG file in base64."""
    shrink: int = 1
    """The same as for a `KittyFrame`."""

    def __repr__(self) -> str:
        return f"ITerm2Frame({len(self.tiles)} tiles, {self.byte_count} bytes)"

    @property
    def memory_bytes(self) -> int:
        """Bytes that the frame takes in memory."""
        return self.byte_count

    @property
    def byte_count(self) -> int:
        """Bytes that have to be sent to show the image."""
        return sum(len(data) + 110 for _, _, data in self.tiles)

    def parts(self, column: int, row: int, columns: int, rows: int, placement: int) -> list[str]:
        """Return the sequences that show the image, as `KittyFrame.parts` does. The size and `placement` are not used."""
        parts = []
        for wide, high, data in self.tiles:
            size = len(data) // 4 * 3 - data.count("=")
            # WezTerm moves the cursor below the image unless told otherwise, which scrolls at the bottom of the screen.
            keys = f"inline=1;size={size};width={wide};height={high};preserveAspectRatio=0;doNotMoveCursor=1"
            parts.append(f"\x1b[{row + 1};{column + 1}H\x1b]1337;File={keys}:{data}\x07")
            row += high
        return parts

    def mark_shown(self) -> None:
        """Do nothing: the terminal keeps no image for later."""


def encode_iterm2(image: Image.Image, cells: tuple[int, int], *, effort: int, strips: int = 1) -> ITerm2Frame:
    """Return an image as a frame for iTerm2, without loss.

    Parameters
    ----------
    image
        A grey image of mode ``L``. The terminal stretches it over the cells.
    cells
        Columns and rows that the image covers.
    effort
        Effort of the compression, from 1 (fast) to 9 (small).
    strips
        Number of strips that are sent separately, if the height of the image in pixels is a multiple of its rows.

    Returns
    -------
    ITerm2Frame
        The frame.
    """
    columns, rows = cells
    down, rest = divmod(image.height, rows)
    high = rows if rest else max(-(-rows // strips), 1)
    tiles = []
    for top in range(0, rows, high):
        count = min(high, rows - top)
        strip = image if high == rows else image.crop((0, top * down, image.width, (top + count) * down))
        buffer = io.BytesIO()
        strip.save(buffer, "PNG", compress_level=effort)
        tiles.append((columns, count, base64.b64encode(buffer.getvalue()).decode()))
    return ITerm2Frame(tuple(tiles))


def may_be_iterm2(answer: bytes, environment: Mapping[str, str]) -> bool:
    """Return True if the terminal may show inline images of iTerm2, so that `ITERM2_CELL_SIZE` can be asked.

    The version that the terminal reported decides. Without one, the environment does: iTerm2 sets ``LC_TERMINAL``, which
    ssh forwards.
    """
    version = TERMINAL_VERSION.pattern.search(answer)
    if version:
        return version[1].startswith((b"iTerm2", b"WezTerm"))
    names = (environment.get("TERM_PROGRAM"), environment.get("LC_TERMINAL"))
    return any(name in ("iTerm.app", "iTerm2", "WezTerm") for name in names)


def parse_iterm2_cell(answer: bytes) -> tuple[int, int] | None:
    """Return the size of a cell in pixels of the screen, as (width, height); None if the terminal is not like iTerm2.

    iTerm2 reports points, and the number of pixels in a point, which is 2 on Retina displays.
    """
    found = ITERM2_CELL_SIZE.pattern.search(answer)
    if not found:
        return None
    height, width, scale = (float(value) if value else 1.0 for value in found.groups())
    return (round(width * scale), round(height * scale))
