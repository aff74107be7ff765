"""Whether text seems to be burned into a picture: a cheap look, for a warning that a person then judges.

Letters that a device writes into the pixels are of one flat extreme grey, small, of one height, and stand in a row. A
marker of lead has a letter or two; a patient's name has more. A picture without a finding may still hold text.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ratui.imaging import Pixels

__all__ = ["seems_to_contain_text"]

_LETTERS = 6
"""Letters in one row from which on it is called text."""
_HEIGHTS = (6, 80)
_MOST_PIECES = 20_000


class _Piece(NamedTuple):
    top: int
    left: int
    height: int
    width: int


def seems_to_contain_text(pixels: Pixels) -> bool:
    """Whether `pixels`, shape (rows, columns), hold a row of small pieces in the film's lightest or darkest value."""
    values = pixels.astype(np.int64)
    for extreme in (int(values.max()), int(values.min())):
        mask = values == extreme
        # An extreme that fills the picture is its ground, and letters on it would be of the other extreme.
        if 0 < mask.mean() < 0.05 and _has_row(mask):
            return True
    return False


def _has_row(mask: npt.NDArray[np.bool_]) -> bool:
    boxes = _boxes(mask)
    if len(boxes) > _MOST_PIECES:  # grain, not letters
        return False
    pieces = [_Piece(*box) for box in boxes.tolist()]
    letters = [p for p in pieces if _HEIGHTS[0] <= p.height <= _HEIGHTS[1] and p.width <= 2 * p.height]
    letters.sort(key=lambda piece: (piece.left, piece.top))
    return any(_row_from(letters, number) >= _LETTERS for number in range(len(letters)))


def _boxes(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """Return top, left, height and width of each connected piece of `mask`, shape (pieces, 4).

    Pixels that touch at a corner are connected.
    """
    import cv2  # at the import of a film, not at the start of every reading

    _, _, found, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    columns = [cv2.CC_STAT_TOP, cv2.CC_STAT_LEFT, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_WIDTH]
    return np.asarray(found[1:, columns], dtype=np.int32)  # the first is the background


def _row_from(pieces: list[_Piece], first: int) -> int:
    """How many pieces follow `first` to the right as the letters of a row do."""
    last, length = pieces[first], 1
    for piece in pieces[first + 1 :]:
        if piece.left > last.left + last.width + 3 * last.height:
            break
        alike = 0.6 <= piece.height / last.height <= 1.7
        level = abs((piece.top + piece.height) - (last.top + last.height)) <= 0.4 * last.height
        if alike and level and piece.left >= last.left + last.width - 1:
            last, length = piece, length + 1
    return length
