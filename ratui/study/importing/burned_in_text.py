"""Search for text that is burned into the pixels of a film, to warn a person who then decides.

Devices write letters into the pixels in one flat extreme grey, small, of one height, in a row. A lead marker has one or two
letters; a patient's name has more. An image without a finding may still contain text.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ratui.imaging import Pixels

__all__ = ["seems_to_contain_text"]

_MIN_LETTERS = 6  # shapes in a row that count as text
_LETTER_HEIGHTS = (6, 80)  # smallest and largest height of a letter, in pixels
_MOST_PIECES = 20_000  # an image with more connected shapes is grainy


class _Piece(NamedTuple):
    top: int
    left: int
    height: int
    width: int


def seems_to_contain_text(pixels: Pixels) -> bool:
    """Return whether the image contains a row of small shapes in its lightest or darkest grey.

    Parameters
    ----------
    pixels
        Stored values, shape (rows, columns).
    """
    values = pixels.astype(np.int64)
    for extreme in (int(values.max()), int(values.min())):
        mask = values == extreme
        # An extreme grey that fills much of the image is its background; letters would have the other extreme.
        if 0 < mask.mean() < 0.05 and _has_row(mask):
            return True
    return False


def _has_row(mask: npt.NDArray[np.bool_]) -> bool:
    boxes = _boxes(mask)
    if len(boxes) > _MOST_PIECES:  # grain, not letters
        return False
    pieces = [_Piece(*box) for box in boxes.tolist()]
    letters = [p for p in pieces if _LETTER_HEIGHTS[0] <= p.height <= _LETTER_HEIGHTS[1] and p.width <= 2 * p.height]
    letters.sort(key=lambda piece: (piece.left, piece.top))
    return any(_row_from(letters, number) >= _MIN_LETTERS for number in range(len(letters)))


def _boxes(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """Return top, left, height and width of each connected piece of `mask`, shape (pieces, 4).

    Pixels that touch at a corner are connected.
    """
    import cv2  # takes a moment to import: only an import of films needs it

    _, _, found, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    columns = [cv2.CC_STAT_TOP, cv2.CC_STAT_LEFT, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_WIDTH]
    return np.asarray(found[1:, columns], dtype=np.int32)  # the first is the background


def _row_from(pieces: list[_Piece], first: int) -> int:
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
