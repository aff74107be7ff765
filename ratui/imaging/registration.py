"""Two pictures of one place laid onto each other: a turn, a shift and a size, and how well the bones then agree.

It compares structure, not brightness, and says so where it can't align; it never guesses a place. OpenCV is loaded at
the first call, not at import, so that the app's start doesn't wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.imaging.geometry import Box, Matrix, fit_similarity
from ratui.imaging.windowing import normalize_intensity

__all__ = [
    "MIN_AGREEMENT",
    "Alignment",
    "AlignmentFailure",
    "FailureReason",
    "register_images",
    "warp_to_fixed",
]

Levels: TypeAlias = npt.NDArray[np.float32]
FailureReason: TypeAlias = Literal["featureless", "unlike"]

MIN_AGREEMENT = 0.50
"""The least agreement that counts as aligned. `benchmarks/regions.py` shows what lies on either side of it."""

_SIDE, _COARSE = 224, 96  # pixels of the longer side, to refine and to search
_TURNS, _SIZES = np.arange(-24.0, 24.1, 6.0), (0.9, 1.0, 1.11)
_MIN_OVERLAP = 0.45  # of the fixed picture that must be covered by the moving one
_MIN_STRUCTURE = 0.012  # of the grey range; what noise alone leaves after smoothing is less


@dataclass(frozen=True)
class Alignment:
    """Where the points of the fixed picture lie on the moving one.

    `matrix`, shape (2, 3), takes (x, y, 1) of the fixed to (x, y) of the moving picture, both in pixels from the top
    left corner of the picture: a turn, one size and a shift. `agreement`, from `MIN_AGREEMENT` to 1, is the correlation of
    their structure once aligned.
    """

    matrix: Matrix
    agreement: float

    @property
    def scale(self) -> float:
        """How many pixels of the moving picture one of the fixed is."""
        return float(np.hypot(self.matrix[0, 0], self.matrix[1, 0]))

    @property
    def rotation(self) -> float:
        """The turn from the fixed to the moving picture in degrees, clockwise as seen."""
        return float(np.degrees(np.arctan2(self.matrix[1, 0], self.matrix[0, 0])))

    def map_point(self, x: float, y: float) -> tuple[float, float]:
        """Where (x, y) of the fixed picture lies on the moving one."""
        at = self.matrix @ np.array([x, y, 1.0])
        return float(at[0]), float(at[1])

    def map_box(self, box: Box) -> Box:
        """`box` of the fixed picture on the moving one: upright, about the carried centre."""
        return Box.from_centre(*self.map_point(*box.centre), self.scale * box.width, self.scale * box.height)


@dataclass(frozen=True)
class AlignmentFailure:
    """Two pictures that could not be aligned: one shows nothing (``featureless``), or they differ too much (``unlike``).

    `agreement` is the best that was found.
    """

    reason: FailureReason
    agreement: float = 0.0


def register_images(fixed: npt.NDArray[np.generic], moving: npt.NDArray[np.generic]) -> Alignment | AlignmentFailure:
    """Aligns two crops of the same joint, grey pictures of shape (rows, columns) with bone bright.

    Meant for crops around about the same place: shifts up to a third of the picture, turns up to 30° and sizes from
    0.8 to 1.25 are found. Takes some tens of milliseconds whatever the size, and may be called from any thread.
    """
    scale = min(1.0, _SIDE / max(*fixed.shape, *moving.shape))
    levels = [_shrink(normalize_intensity(picture), scale) for picture in (fixed, moving)]
    if any(min(each.shape) < 16 or _measure_structure(each) < _MIN_STRUCTURE for each in levels):
        return AlignmentFailure("featureless")
    here, there = (extract_structure(each, 0.06 * max(each.shape)) for each in levels)
    best: tuple[float, Matrix] = (-1.0, np.eye(2, 3))
    for start in _find_starts(here, there):
        refined = refine_alignment(here, there, start)
        if refined[0] > best[0]:
            best = refined
    agreement, matrix = best
    if agreement < MIN_AGREEMENT:
        return AlignmentFailure("unlike", max(agreement, 0.0))
    sizes = [(each.shape[1] / picture.shape[1], each.shape[0] / picture.shape[0])
             for each, picture in zip(levels, (fixed, moving), strict=True)]  # fmt: skip
    return Alignment(_to_corners(_undo_shrink(matrix, *sizes)), min(agreement, 1.0))


def warp_to_fixed(moving: npt.NDArray[np.uint8], alignment: Alignment, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """`moving` as it lies on the fixed picture, `size` (width, height); black where it doesn't reach."""
    import cv2

    matrix = _to_centres(alignment.matrix)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(moving, matrix, size, flags=flags), dtype=np.uint8)


# `ratui.imaging.box_propagation` uses these too. Matrices here count from pixel centres.


def extract_structure(levels: Levels, coarse: float) -> Levels:
    """What is finer than `coarse` pixels, with the same contrast everywhere: exposure and soft tissue drop out."""
    import cv2

    detail = cv2.GaussianBlur(levels, (0, 0), 0.7) - cv2.GaussianBlur(levels, (0, 0), coarse)
    spread = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 1.5 * coarse))
    return np.asarray(detail / (spread + np.float32(0.02)), dtype=np.float32)


def make_similarity(size: float, degrees: float, here: tuple[float, float], there: tuple[float, float]) -> Matrix:
    """The matrix that turns and sizes about `here` and takes it to `there`."""
    angle = np.radians(degrees)
    linear = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.hstack([linear, (np.asarray(there) - linear @ np.asarray(here))[:, None]])


def refine_alignment(here: Levels, there: Levels, start: Matrix, steps: int = 40) -> tuple[float, Matrix]:
    """The best similarity near `start` by enhanced correlation, with the correlation it reaches."""
    import cv2

    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, steps, 1e-4)
    best = (measure_correlation(here, there, start), start)
    try:
        _, found = cv2.findTransformECC(here, there, start.astype(np.float32), cv2.MOTION_AFFINE, stop)
    except cv2.error:  # it doesn't converge where the pictures don't agree; the start then stands as it is
        return best
    matrix = _nearest_similarity(np.asarray(found, np.float64), here.shape)
    reached = measure_correlation(here, there, matrix)
    return (reached, matrix) if reached > best[0] else best


def measure_correlation(here: Levels, there: Levels, matrix: Matrix) -> float:
    """The correlation of `here` with `there` seen through `matrix`, where they overlap; -1 where that is too little."""
    import cv2

    rows, columns = here.shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(there, matrix, (columns, rows), flags=flags)
    covered = cv2.warpAffine(np.ones_like(there), matrix, (columns, rows), flags=flags) > 0.5
    if covered.mean() < _MIN_OVERLAP:
        return -1.0
    a, b = here[covered], seen[covered]
    a, b = a - a.mean(), b - b.mean()
    return float((a @ b) / max(float(np.sqrt((a @ a) * (b @ b))), 1e-9))


def _find_starts(here: Levels, there: Levels) -> list[Matrix]:
    """The three most promising turns, sizes and shifts, from a search over a small copy."""
    import cv2

    scale = min(1.0, _COARSE / max(*here.shape, *there.shape))
    a, b = (_shrink(each, scale) for each in (here, there))
    rows, columns = (round(0.62 * side) for side in a.shape)
    middle = (a.shape[1] / 2, a.shape[0] / 2)
    # At least so wide that the piece fits, which it needn't where one of the pictures is much longer than the other.
    margin = tuple(
        max(there // 5, (piece - there + 1) // 2) for there, piece in zip(b.shape, (rows, columns), strict=True)
    )
    padded = cv2.copyMakeBorder(b, margin[0], margin[0], margin[1], margin[1], cv2.BORDER_CONSTANT, value=0)
    found: list[tuple[float, Matrix]] = []
    for size in _SIZES:
        for turn in _TURNS:
            spin = make_similarity(size, turn, middle, (columns / 2, rows / 2))
            piece = cv2.warpAffine(a, spin, (columns, rows))
            scores = cv2.matchTemplate(padded, piece, cv2.TM_CCOEFF_NORMED)
            _, best, _, (x, y) = cv2.minMaxLoc(scores)
            there_ = (x - margin[1] + columns / 2, y - margin[0] + rows / 2)
            found.append((float(best), make_similarity(size, turn, middle, there_)))
    found.sort(key=lambda item: -item[0])
    ratio = (a.shape[1] / here.shape[1], a.shape[0] / here.shape[0])
    other = (b.shape[1] / there.shape[1], b.shape[0] / there.shape[0])
    return [_undo_shrink(matrix, ratio, other) for _, matrix in found[:3]]


def _measure_structure(levels: Levels) -> float:
    import cv2

    smooth = cv2.GaussianBlur(levels, (0, 0), 2.0)
    return float((smooth - cv2.GaussianBlur(levels, (0, 0), 0.12 * max(levels.shape))).std())


def _shrink(levels: Levels, scale: float) -> Levels:
    import cv2

    if scale >= 1.0:
        return levels
    size = (max(round(levels.shape[1] * scale), 1), max(round(levels.shape[0] * scale), 1))
    return np.asarray(cv2.resize(levels, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _undo_shrink(matrix: Matrix, fixed: tuple[float, float], moving: tuple[float, float]) -> Matrix:
    """`matrix` between copies reduced by `fixed` and `moving` (across, down), as one between the originals."""

    def grow(scale: tuple[float, float]) -> Matrix:
        # The centre of a reduced pixel lies in the middle of those that it was made of.
        return np.array([[scale[0], 0, (scale[0] - 1) / 2], [0, scale[1], (scale[1] - 1) / 2], [0, 0, 1]])

    whole = np.linalg.inv(grow(moving)) @ np.vstack([matrix, [0, 0, 1]]) @ grow(fixed)
    return np.asarray(whole[:2])


def _nearest_similarity(matrix: Matrix, shape: tuple[int, ...]) -> Matrix:
    """Return the similarity nearest to an affine `matrix` about the middle of a picture of `shape`."""
    reach = max(shape) / 2  # the same in x and y, so that no direction counts more
    cross = reach * np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    points = cross + np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
    return fit_similarity(points, points @ matrix[:, :2].T + matrix[:, 2])


def _to_corners(matrix: Matrix) -> Matrix:
    """From pixel centres at whole numbers, as OpenCV counts, to the corner of the first pixel as 0, as boxes do."""
    return np.hstack([matrix[:, :2], (matrix[:, 2] + 0.5 - matrix[:, :2] @ [0.5, 0.5])[:, None]])


def _to_centres(matrix: Matrix) -> Any:
    return np.hstack([matrix[:, :2], (matrix[:, 2] - 0.5 + matrix[:, :2] @ [0.5, 0.5])[:, None]])
