"""Encoder and decoder for grey images in the Sixel format.

All colours are defined before the first band, and each is selected by its number before it paints. In xterm a definition
alone does not select a colour; encoders that rely on it paint the first run of a colour in the colour before. The
resulting dark specks could be taken for findings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ratui.errors import DisplayError

__all__ = ["decode_sixel", "encode_sixel", "make_palette"]

_BAND = 6  # a sixel is a column of six pixels
_BEGIN, _END, _REPEAT = 0x3F, b"\x1b\\", ord("!")
_RASTER = re.compile(r'"\d+;\d+;(\d+);(\d+)')
_TOKEN = re.compile(r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)([?-~])|([$-])|([?-~])")


@lru_cache(maxsize=8)
def make_palette(greys: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return the palette of an image with `greys` evenly spaced colours from black to white.

    Parameters
    ----------
    greys
        The number of colours, 2 to 256.

    Returns
    -------
    nearest
        The index of the nearest colour for each grey level, shape (256,).
    shown
        The grey level that each colour has on the screen, shape (greys,). Sixel defines colours in whole percent.
    """
    shown = np.round(np.arange(greys) * 100 / (greys - 1)) * 2.55
    nearest = np.abs(np.arange(256)[:, None] - shown[None]).argmin(axis=1)
    return nearest.astype(np.uint8), np.rint(shown).astype(np.uint8)


@lru_cache(maxsize=8)
def _definitions(greys: int) -> bytes:
    percents = (round(grey * 100 / (greys - 1)) for grey in range(greys))
    return b"".join(b"#%d;2;%d;%d;%d" % (grey, part, part, part) for grey, part in enumerate(percents))


def encode_sixel(levels: npt.NDArray[np.uint8], greys: int) -> str:
    """Return an image as one Sixel sequence.

    Each band of six rows is painted colour by colour, from dark to bright. A colour may cover pixels that a brighter
    colour paints again afterwards. The encoder uses this to make runs long, and so the sequence short.

    Parameters
    ----------
    levels
        Grey levels, shape (rows, columns).
    greys
        The number of colours from black to white, 2 to 256.

    Returns
    -------
    str
        The control sequence, which draws the image at the cursor.
    """
    rows, columns = levels.shape
    own, owner, free = _layers(make_palette(greys)[0][levels], greys)
    breaks, values = _runs(own, free)
    body = _write(breaks, values, owner).tobytes()
    return b"".join((b'\x1bP0;0;0q"1;1;%d;%d' % (columns, rows), _definitions(greys), body, b"-", _END)).decode("ascii")


def _layers(
    index: npt.NDArray[np.uint8], greys: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Split the palette indices into layers, one for each band and colour in it, in the order of painting.

    Return the layers' sixels, shape (columns, layers); the (band, colour) of each layer; and the sixels that later
    layers paint again, shape (columns, layers).
    """
    rows, columns = index.shape
    bands = -(-rows // _BAND)
    sixels = np.zeros((bands, greys, columns), np.uint8)
    across = np.arange(columns)[None]
    for bit in range(_BAND):
        lines = index[bit::_BAND]
        sixels[np.arange(len(lines))[:, None], lines, across] |= np.uint8(1 << bit)
    used = sixels.any(axis=2)
    owner = np.argwhere(used).astype(np.int32)
    own = np.ascontiguousarray(sixels[used].T)
    later = np.zeros_like(sixels)
    for grey in range(greys - 2, -1, -1):
        np.bitwise_or(later[:, grey + 1], sixels[:, grey + 1], out=later[:, grey])
    return own, owner, np.ascontiguousarray(later[used].T)


def _runs(
    own: npt.NDArray[np.uint8], free: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.uint8]]:
    """Return the starts of each layer's runs, and the sixel of each run at its last column, both (columns, layers).

    A run continues while one sixel contains all pixels that its columns must paint, and none that they must not.
    """
    allowed = own | free
    breaks = np.ones(own.shape, np.bool_)
    values = np.empty_like(own)
    # Pixels that every sixel of the run must paint, and pixels that it may paint.
    must, may = own[0].copy(), allowed[0].copy()
    more, less = np.empty_like(must), np.empty_like(may)
    for column in range(1, len(own)):
        np.bitwise_or(must, own[column], out=more)
        np.bitwise_and(may, allowed[column], out=less)
        stop = (more & ~less).astype(np.bool_)
        breaks[column] = stop
        values[column - 1] = must
        np.copyto(more, own[column], where=stop)
        np.copyto(less, allowed[column], where=stop)
        must, more = more, must
        may, less = less, may
    values[-1] = must
    return breaks, values


def _write(
    breaks: npt.NDArray[np.bool_], values: npt.NDArray[np.uint8], owner: npt.NDArray[np.int32]
) -> npt.NDArray[Any]:
    """Return the bytes of all layers: the colour of each layer, then its runs with their counts."""
    columns = len(breaks)
    starts = np.flatnonzero(np.ascontiguousarray(breaks.T))
    ends = np.append(starts[1:], breaks.size)
    sixels = np.ascontiguousarray(values.T).ravel()[ends - 1]
    layer = starts // columns
    last = np.append(layer[1:] != layer[:-1], True)
    kept = ~(last & (sixels == 0))  # an empty run at the end of a layer needs no bytes
    starts, ends, sixels, layer = starts[kept], ends[kept], sixels[kept], layer[kept]
    counts = ends - starts
    first = np.append(True, layer[1:] != layer[:-1])

    # A run of up to three sixels is written out. A longer one is "!", the count in decimal, and the sixel.
    digits = 1 + (counts >= 10) + (counts >= 100) + (counts >= 1000).astype(np.intp)
    lengths = np.where(counts < 4, counts, digits + 2)
    heads, head_at = _heads(owner)
    head_lengths = np.diff(head_at)
    before = np.cumsum(lengths) - lengths + np.cumsum(np.where(first, head_lengths[layer], 0))
    out = np.empty(int(before[-1] + lengths[-1]), np.uint8)

    byte = sixels + np.uint8(_BEGIN)
    short = counts < 4
    for place in range(3):
        chosen = short & (counts > place)
        out[before[chosen] + place] = byte[chosen]
    long = ~short
    at, count, width = before[long], counts[long], digits[long]
    out[at] = _REPEAT
    for place in range(int(width.max(initial=0))):
        # The digit `place` from the right.
        chosen = width > place
        out[at[chosen] + width[chosen] - place] = 48 + (count[chosen] // 10**place) % 10
    out[at + width + 1] = byte[long]

    # The head of each layer precedes its first run.
    begins = before[first] - head_lengths[layer[first]]
    where = np.repeat(begins - head_at[layer[first]], head_lengths[layer[first]]) + np.arange(len(heads))
    out[where] = heads
    return out


def _heads(owner: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.intp]]:
    """Return the heads of all layers as bytes, and the start of each: a new band or line, and the colour.

    "-" begins a new band, and "$" returns to the start of the same band.
    """
    parts, band = [], 0
    for number, (at, colour) in enumerate(owner.tolist()):
        parts.append(b"%s#%d" % (b"" if number == 0 else b"-" if at != band else b"$", colour))
        band = at
    lengths = np.fromiter((len(part) for part in parts), np.intp, len(parts))
    return np.frombuffer(b"".join(parts), np.uint8), np.concatenate([[0], np.cumsum(lengths)])


def decode_sixel(data: str) -> npt.NDArray[np.uint8]:
    """Return the grey levels that a Sixel sequence paints, to compare an encoded image with its source.

    Parameters
    ----------
    data
        A Sixel sequence with a size, such as one from `encode_sixel`.

    Returns
    -------
    ndarray
        Grey levels, shape (rows, columns).

    Raises
    ------
    DisplayError
        If the sequence has no size.
    """
    raster = _RASTER.search(data)
    if raster is None:
        raise DisplayError("this is not a Sixel image with a size")
    columns, rows = int(raster[1]), int(raster[2])
    levels = np.zeros((rows + 6, columns), np.uint8)
    registers: dict[int, int] = {}
    x = y = colour = 0
    for token in _tokens(data[raster.end() :]):
        if token[1]:
            # As in xterm, the strictest decoder: a definition does not select the colour.
            registers[int(token[1])] = round(int(token[2]) * 255 / 100)
        elif token[5]:
            colour = int(token[5])
        elif token[8]:
            x = 0
            y += 6 if token[8] == "-" else 0
        else:
            count, bits = (int(token[6]), token[7]) if token[6] else (1, token[9])
            for bit in range(6):
                if (ord(bits) - 0x3F) >> bit & 1:
                    levels[y + bit, x : x + count] = registers.get(colour, 0)
            x += count
    return levels[:rows]


def _tokens(body: str) -> Iterator[re.Match[str]]:
    return _TOKEN.finditer(body.split("\x1b", 1)[0])
