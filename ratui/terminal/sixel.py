"""Grey images as Sixel, and back.

The palette is defined once, before the first band, and every pixel of every band is painted: encoders that define
colours as they go, or leave pixels to a background, show dark specks in some terminals, and a speck in a film is a finding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ratui.errors import DisplayError

__all__ = ["decode_sixel", "sixel"]

_BAND = 6
_RUN = re.compile(rb"(.)\1{3,}")
_RASTER = re.compile(r'"\d+;\d+;(\d+);(\d+)')
_TOKEN = re.compile(r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)([?-~])|([$-])|([?-~])")


def sixel(levels: npt.NDArray[np.uint8], greys: int) -> str:
    """`levels`, shape (rows, columns), as one Sixel sequence with `greys` colours from black to white, at most 256."""
    rows, columns = levels.shape
    index = np.rint(levels.astype(np.float32) * ((greys - 1) / 255)).astype(np.uint8)
    parts = [f'\x1bP0;0;0q"1;1;{columns};{rows}'.encode()]
    for grey in range(greys):
        percent = round(grey * 100 / (greys - 1))
        parts.append(b"#%d;2;%d;%d;%d" % (grey, percent, percent, percent))
    across = np.arange(columns)
    for top in range(0, rows, _BAND):
        masks = np.zeros((greys, columns), np.uint8)
        for bit, row in enumerate(index[top : top + _BAND]):
            masks[row, across] |= np.uint8(1 << bit)
        used = np.flatnonzero(masks.any(axis=1))
        lines = (masks[used] + np.uint8(0x3F)).view("S1")
        bands = []
        for grey, line in zip(used.tolist(), lines, strict=True):
            bands.append(b"#%d%s" % (grey, _RUN.sub(_shorter, line.tobytes().rstrip(b"?"))))
        parts.append(b"$".join(bands) + b"-")
    parts.append(b"\x1b\\")
    return b"".join(parts).decode("ascii")


def _shorter(run: re.Match[bytes]) -> bytes:
    return b"!%d%s" % (len(run[0]), run[1])


def decode_sixel(data: str) -> npt.NDArray[np.uint8]:
    """The grey levels that a Sixel sequence paints, shape (rows, columns): to compare what was sent with the source."""
    raster = _RASTER.search(data)
    if raster is None:
        raise DisplayError("this is no Sixel image with a size")
    columns, rows = int(raster[1]), int(raster[2])
    levels = np.zeros((rows + 6, columns), np.uint8)
    registers: dict[int, int] = {}
    x = y = colour = 0
    for token in _tokens(data[raster.end() :]):
        if token[1]:
            registers[int(token[1])] = round(int(token[2]) * 255 / 100)
            colour = int(token[1])
        elif token[5]:
            colour = int(token[5])
        elif token[8]:
            x = 0
            y += 6 if token[8] == "-" else 0
        else:
            count, bits = (int(token[6]), token[7]) if token[6] else (1, token[9])
            for bit in range(6):
                if (ord(bits) - 0x3F) >> bit & 1:
                    levels[y + bit, x : x + count] = registers[colour]
            x += count
    return levels[:rows]


def _tokens(body: str) -> Iterator[re.Match[str]]:
    return _TOKEN.finditer(body.split("\x1b", 1)[0])
