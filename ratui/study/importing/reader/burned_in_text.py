"""Search for text that is burned into the pixels of a film, to warn a person who then decides.

Devices write letters into the pixels in one flat grey, of one height, in a row. Noise makes a flat grey rare elsewhere: only
the lightest and the darkest grey of a film, and greys that occur much more often in flat areas than their neighbours, are
searched. A lead marker has one or two letters; a patient's name has more. An image without a finding may still contain text.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ratui.imaging import Pixels

__all__ = ["seems_to_contain_text"]

_MIN_LETTERS = 4  # shapes in a row that count as text
_MIN_HEIGHT = 6  # of a letter, in pixels
_MAX_HEIGHT = 0.25  # of a letter, as a part of the shorter side of the film
_MAX_LETTERS = 4_000  # an image with more shapes of this size is grainy
_MAX_PIECES = 200_000
# Difference of a letter from the pixels around it, as a part of the range of greys of the film. Areas that are too dark or
# too bright for the detector also have an extreme grey, but soft edges.
_MIN_CONTRAST, _MIN_CONTRAST_OF_EXTREMES = 0.06, 0.1
_TOLERANCE = 0.03  # of the extreme greys, for text that was compressed with loss, as a part of the range of greys
_MAX_GREYS = 24  # that are searched besides the two extremes
_TILE = 128  # pixels
_MIN_FLAT = 30  # pixels of a flat grey in a tile
_FLAT_RATIO = 3.0  # of a flat grey to its neighbours
_NEIGHBOURS = (3, 8)  # greys on either side, of an image with less or more than 512 greys


class _Greys(NamedTuple):
    low: int
    high: int
    area: tuple[slice, slice]


class _Piece(NamedTuple):
    top: int
    left: int
    height: int
    width: int


def seems_to_contain_text(pixels: Pixels) -> bool:
    """Return whether the image contains a row or a column of small shapes of one flat grey.

    Parameters
    ----------
    pixels
        Stored values, shape (rows, columns).
    """
    low, high = np.percentile(pixels[::4, ::4], [1.0, 99.0])
    spread = max(float(high - low), 1.0)
    lowest, highest = int(pixels.min()), int(pixels.max())
    tallest = _MAX_HEIGHT * min(pixels.shape)
    extremes = [_Greys(grey, grey, np.s_[:, :]) for grey in (highest, lowest)]
    margin = round(_TOLERANCE * (highest - lowest))
    if margin:
        extremes += [
            _Greys(highest - margin, highest, np.s_[:, :]),
            _Greys(lowest, lowest + margin, np.s_[:, :]),
        ]
    for greys in (*extremes, *_find_flat_greys(pixels)):
        is_extreme = greys.low == lowest or greys.high == highest
        contrast = (_MIN_CONTRAST_OF_EXTREMES if is_extreme else _MIN_CONTRAST) * spread
        letters = _find_letters(pixels[greys.area], greys, contrast, tallest)
        turned = [_Piece(left, top, width, height) for top, left, height, width in letters]
        if _has_row(letters) or _has_row(turned):
            return True
    return False


def _find_flat_greys(pixels: Pixels) -> list[_Greys]:
    """Return greys that occur in flat areas of a tile much more often than the greys next to them, without the extremes."""
    low, high = int(pixels.min()), int(pixels.max())
    shifted = pixels.astype(np.int32) - low
    # A pixel is flat if it equals a neighbour across or one above: strokes of one pixel have such pairs, too.
    same = np.zeros(shifted.shape, bool)
    same[:, 1:] |= shifted[:, 1:] == shifted[:, :-1]
    same[1:] |= shifted[1:] == shifted[:-1]
    neighbours = _NEIGHBOURS[high - low >= 512]
    found: dict[int, tuple[float, list[tuple[int, int]]]] = {}
    for top in range(0, pixels.shape[0], _TILE):
        for left in range(0, pixels.shape[1], _TILE):
            tile = np.s_[top : top + _TILE, left : left + _TILE]
            for grey, ratio in _find_conspicuous(shifted[tile][same[tile]], neighbours):
                best, tiles = found.get(grey, (0.0, []))
                found[grey] = max(best, ratio), [*tiles, (top, left)]
    found = {grey: tiles for grey, tiles in found.items() if grey not in (0, high - low)}
    chosen = sorted(found, key=lambda grey: -found[grey][0])[:_MAX_GREYS]
    return [_Greys(grey + low, grey + low, _enclose_tiles(found[grey][1])) for grey in chosen]


def _find_conspicuous(values: npt.NDArray[np.int32], neighbours: int) -> list[tuple[int, float]]:
    """Return the values that are much more frequent than the values next to them, each with the ratio."""
    if values.size < _MIN_FLAT:
        return []
    first = int(values.min())
    counts = np.pad(np.bincount(values - first).astype(np.float64), neighbours)
    sums = np.cumsum(np.pad(counts, (neighbours + 1, neighbours)))
    width = 2 * neighbours + 1
    ratios = counts / ((sums[width:] - sums[:-width] - counts) / (width - 1) + 1)
    chosen = np.flatnonzero((counts >= _MIN_FLAT) & (ratios >= _FLAT_RATIO))
    return [(number - neighbours + first, float(ratios[number])) for number in chosen.tolist()]


def _enclose_tiles(tiles: list[tuple[int, int]]) -> tuple[slice, slice]:
    """Return the area of all `tiles` and of the tiles that touch them."""
    corners = np.asarray(tiles)
    top, left = np.maximum(corners.min(axis=0) - _TILE, 0).tolist()
    bottom, right = (corners.max(axis=0) + 2 * _TILE).tolist()
    return np.s_[top:bottom, left:right]


def _find_letters(pixels: Pixels, greys: _Greys, contrast: float, highest: float) -> list[_Piece]:
    """Return the connected shapes of these greys that have the size of letters and stand out from what is around them."""
    boxes, labels = _label_pieces((pixels >= greys.low) & (pixels <= greys.high))
    if len(boxes) > _MAX_PIECES:  # grain, not letters
        return []
    largest = boxes[:, 2:].max(axis=1, initial=0)
    chosen = np.flatnonzero((largest >= _MIN_HEIGHT) & (largest <= highest))
    if len(chosen) > _MAX_LETTERS:
        return []
    pieces = [(number, _Piece(*boxes[number].tolist())) for number in chosen.tolist()]
    return [
        piece for number, piece in pieces if _measure_contrast(pixels, labels, number + 1, piece, greys) >= contrast
    ]


def _measure_contrast(pixels: Pixels, labels: npt.NDArray[np.int32], label: int, piece: _Piece, greys: _Greys) -> float:
    """Return the median difference of a shape from the pixels that touch it."""
    import cv2

    top, left = max(piece.top - 1, 0), max(piece.left - 1, 0)
    area = np.s_[top : piece.top + piece.height + 1, left : piece.left + piece.width + 1]
    shape = (labels[area] == label).astype(np.uint8)
    edge = (cv2.dilate(shape, np.ones((3, 3), np.uint8)) > 0) & (shape == 0)
    return (
        float(np.median(np.abs(pixels[area][edge].astype(np.int32) - (greys.low + greys.high) / 2)))
        if edge.any()
        else 0.0
    )


def _has_row(letters: list[_Piece]) -> bool:
    upright = [letter for letter in letters if letter.height >= _MIN_HEIGHT and letter.width <= 2 * letter.height]
    upright.sort(key=lambda piece: (piece.left, piece.top))
    return any(_count_row(upright, number) >= _MIN_LETTERS for number in range(len(upright)))


def _label_pieces(mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return top, left, height and width of each connected piece of `mask`, shape (pieces, 4), and an image of labels.

    Pixels that touch at a corner are connected. The first piece has label 1.
    """
    import cv2  # takes a moment to import: only an import of films needs it

    _, labels, found, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    columns = [cv2.CC_STAT_TOP, cv2.CC_STAT_LEFT, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_WIDTH]
    return np.asarray(found[1:, columns], dtype=np.int32), np.asarray(labels, np.int32)


def _count_row(pieces: list[_Piece], first: int) -> int:
    """Return the number of pieces that follow `first` to the right as letters of one row, itself included."""
    last, length = pieces[first], 1
    for piece in pieces[first + 1 :]:
        if piece.left > last.left + last.width + 3 * last.height:
            break
        alike = 0.6 <= piece.height / last.height <= 1.7
        level = abs((piece.top + piece.height) - (last.top + last.height)) <= 0.4 * last.height
        if alike and level and piece.left >= last.left + last.width - 1:
            last, length = piece, length + 1
    return length
