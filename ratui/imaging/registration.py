"""Registration of two images of the same joint by a similarity transform: rotation, scale and shift.

It compares structure, not brightness. A failed alignment is reported, never replaced by a guess. OpenCV is loaded at
the first call, so that the app starts fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.imaging.film import normalize_intensity
from ratui.imaging.geometry import Box, Matrix, fit_similarity, make_similarity

__all__ = [
    "MIN_AGREEMENT",
    "Alignment",
    "AlignmentFailure",
    "FailureReason",
    "register_images",
    "warp_to_fixed",
]

Levels: TypeAlias = npt.NDArray[np.float32]
"""Grey levels from 0 to 1, or structure made of them; shape (rows, columns)."""
FailureReason: TypeAlias = Literal["featureless", "unlike"]
"""Reason of a failure: an image without structure, or images that differ too much."""

MIN_AGREEMENT = 0.50
"""Smallest agreement that counts as aligned. `benchmarks/regions.py` measures agreements of equal and other joints."""

_FINE_PIXELS, _COARSE_PIXELS = 224, 96  # longer side of the images for refinement and for the search
_ANGLES, _SCALES = np.arange(-24.0, 24.1, 6.0), (0.9, 1.0, 1.11)  # of the search; angles in degrees
_MIN_OVERLAP = 0.45  # share of the fixed image that the moving one must cover
_MIN_STRUCTURE = 0.012  # standard deviation, in parts of the grey range; smoothed noise alone has less


@dataclass(frozen=True)
class Alignment:
    """Transform from the fixed to the moving image.

    Attributes
    ----------
    matrix
        Similarity transform, shape (2, 3): it takes (x, y, 1) of the fixed image to (x, y) of the moving one, in pixels
        from the top left corner of the image.
    agreement
        Correlation of the structure of the aligned images, from `MIN_AGREEMENT` to 1.
    """

    matrix: Matrix
    agreement: float

    @property
    def scale(self) -> float:
        """Length in the moving image of one pixel of the fixed image."""
        return float(np.hypot(self.matrix[0, 0], self.matrix[1, 0]))

    @property
    def rotation(self) -> float:
        """Rotation from the fixed to the moving image in degrees, clockwise on the screen."""
        return float(np.degrees(np.arctan2(self.matrix[1, 0], self.matrix[0, 0])))

    def map_point(self, x: float, y: float) -> tuple[float, float]:
        """Return the point of the moving image that corresponds to (x, y) of the fixed one."""
        mapped = self.matrix @ np.array([x, y, 1.0])
        return float(mapped[0]), float(mapped[1])

    def map_box(self, box: Box) -> Box:
        """Return the upright box on the moving image around the mapped centre of `box`, scaled but not rotated."""
        return Box.from_centre(*self.map_point(*box.centre), self.scale * box.width, self.scale * box.height)


@dataclass(frozen=True)
class AlignmentFailure:
    """Failed registration, with the reason and the best agreement that was found."""

    reason: FailureReason
    agreement: float = 0.0


def register_images(fixed: npt.NDArray[np.generic], moving: npt.NDArray[np.generic]) -> Alignment | AlignmentFailure:
    """Find the shift, rotation and scale that map one crop of a joint onto another crop of the same joint.

    The crops must show about the same place: the search finds shifts up to a third of the image, rotations up to 30°
    and scales from 0.8 to 1.25. It takes some tens of milliseconds for any size. Any thread may call it.

    Parameters
    ----------
    fixed, moving
        Grey images in which bone is bright, shape (rows, columns). Their shapes may differ.

    Returns
    -------
    Alignment or AlignmentFailure
        The transform from pixels of `fixed` to pixels of `moving`. A failure if an image is too small or has no
        structure, or if the images agree less than `MIN_AGREEMENT`.
    """
    scale = min(1.0, _FINE_PIXELS / max(*fixed.shape, *moving.shape))
    levels = [_shrink(normalize_intensity(image), scale) for image in (fixed, moving)]
    if any(min(each.shape) < 16 or _measure_structure(each) < _MIN_STRUCTURE for each in levels):
        return AlignmentFailure("featureless")
    a, b = (extract_structure(each, 0.06 * max(each.shape)) for each in levels)
    best: tuple[float, Matrix] = (-1.0, np.eye(2, 3))
    for start in _find_starts(a, b):
        refined = refine_alignment(a, b, start)
        if refined[0] > best[0]:
            best = refined
    agreement, matrix = best
    if agreement < MIN_AGREEMENT:
        return AlignmentFailure("unlike", max(agreement, 0.0))
    ratios = [
        (each.shape[1] / image.shape[1], each.shape[0] / image.shape[0])
        for each, image in zip(levels, (fixed, moving), strict=True)
    ]
    return Alignment(_to_corner_origin(_undo_shrink(matrix, *ratios)), min(agreement, 1.0))


def warp_to_fixed(moving: npt.NDArray[np.uint8], alignment: Alignment, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Return the moving image in the coordinates of the fixed one.

    Parameters
    ----------
    moving
        The moving image, shape (rows, columns).
    alignment
        Result of `register_images`.
    size
        Width and height of the fixed image.

    Returns
    -------
    numpy.ndarray
        Image of shape (height, width), black where the moving image does not cover it.
    """
    import cv2

    matrix = _to_centre_origin(alignment.matrix)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(moving, matrix, size, flags=flags), dtype=np.uint8)


# `ratui.imaging.box_propagation` uses the functions below too. As in OpenCV, the origin of their matrices is the centre of
# the first pixel, not its top left corner.


def extract_structure(levels: Levels, coarse: float) -> Levels:
    """Return structure finer than `coarse` pixels, with equal contrast everywhere.

    This removes the effects of exposure and of soft tissue.
    """
    import cv2

    detail = cv2.GaussianBlur(levels, (0, 0), 0.7) - cv2.GaussianBlur(levels, (0, 0), coarse)
    spread = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 1.5 * coarse))
    return np.asarray(detail / (spread + np.float32(0.02)), dtype=np.float32)


def refine_alignment(fixed: Levels, moving: Levels, start: Matrix, steps: int = 40) -> tuple[float, Matrix]:
    """Return the correlation and the matrix of the best similarity near `start`.

    The method is enhanced correlation coefficient maximisation (OpenCV's findTransformECC).
    """
    import cv2

    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, steps, 1e-4)
    best = (measure_correlation(fixed, moving, start), start)
    try:
        _, found = cv2.findTransformECC(fixed, moving, start.astype(np.float32), cv2.MOTION_AFFINE, stop)
    except cv2.error:  # no convergence, because the images differ too much
        return best
    matrix = _find_nearest_similarity(np.asarray(found, np.float64), fixed.shape)
    correlation = measure_correlation(fixed, moving, matrix)
    return (correlation, matrix) if correlation > best[0] else best


def measure_correlation(fixed: Levels, moving: Levels, matrix: Matrix) -> float:
    """Return the correlation of `fixed` and the warped `moving` where they overlap, or -1 if they overlap too little."""
    import cv2

    rows, columns = fixed.shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(moving, matrix, (columns, rows), flags=flags)
    covered = cv2.warpAffine(np.ones_like(moving), matrix, (columns, rows), flags=flags) > 0.5
    if covered.mean() < _MIN_OVERLAP:
        return -1.0
    a, b = fixed[covered], warped[covered]
    a, b = a - a.mean(), b - b.mean()
    return float((a @ b) / max(float(np.sqrt((a @ a) * (b @ b))), 1e-9))


def _find_starts(fixed: Levels, moving: Levels) -> list[Matrix]:
    """Return the three best combinations of rotation, scale and shift, from a search on reduced copies."""
    import cv2

    reduction = min(1.0, _COARSE_PIXELS / max(*fixed.shape, *moving.shape))
    a, b = (_shrink(each, reduction) for each in (fixed, moving))
    # The middle of the fixed image is the template that is searched in the moving one.
    rows, columns = (round(0.62 * side) for side in a.shape)
    middle = (a.shape[1] / 2, a.shape[0] / 2)
    # A margin for shifts beyond the border. The template must fit even if one image is much longer than the other.
    margin = tuple(
        max(side // 5, (needed - side + 1) // 2) for side, needed in zip(b.shape, (rows, columns), strict=True)
    )
    padded = cv2.copyMakeBorder(b, margin[0], margin[0], margin[1], margin[1], cv2.BORDER_CONSTANT, value=0)
    found: list[tuple[float, Matrix]] = []
    for scale in _SCALES:
        for angle in _ANGLES:
            to_template = make_similarity(scale, np.radians(angle), middle, (columns / 2, rows / 2))
            template = cv2.warpAffine(a, to_template, (columns, rows))
            scores = cv2.matchTemplate(padded, template, cv2.TM_CCOEFF_NORMED)
            _, best, _, (x, y) = cv2.minMaxLoc(scores)
            target = (x - margin[1] + columns / 2, y - margin[0] + rows / 2)
            found.append((float(best), make_similarity(scale, np.radians(angle), middle, target)))
    found.sort(key=lambda item: -item[0])
    fixed_ratio = (a.shape[1] / fixed.shape[1], a.shape[0] / fixed.shape[0])
    moving_ratio = (b.shape[1] / moving.shape[1], b.shape[0] / moving.shape[0])
    return [_undo_shrink(matrix, fixed_ratio, moving_ratio) for _, matrix in found[:3]]


def _measure_structure(levels: Levels) -> float:
    """Return the standard deviation of a band of frequencies: without pixel noise and without slow shading."""
    import cv2

    smooth = cv2.GaussianBlur(levels, (0, 0), 2.0)
    return float((smooth - cv2.GaussianBlur(levels, (0, 0), 0.12 * max(levels.shape))).std())


def _shrink(levels: Levels, scale: float) -> Levels:
    """Return `levels` reduced by `scale`, or unchanged if it is 1 or more."""
    import cv2

    if scale >= 1.0:
        return levels
    size = (max(round(levels.shape[1] * scale), 1), max(round(levels.shape[0] * scale), 1))
    return np.asarray(cv2.resize(levels, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _undo_shrink(matrix: Matrix, fixed: tuple[float, float], moving: tuple[float, float]) -> Matrix:
    """Return the matrix between the originals that corresponds to `matrix` between reduced copies.

    `fixed` and `moving` are the ratios (across, down) of the copies' sizes to those of the originals.
    """

    def make_reduction(scale: tuple[float, float]) -> Matrix:
        # From original to reduced pixels. The centre of a reduced pixel is the middle of the pixels that it replaces.
        return np.array([[scale[0], 0, (scale[0] - 1) / 2], [0, scale[1], (scale[1] - 1) / 2], [0, 0, 1]])

    whole = np.linalg.inv(make_reduction(moving)) @ np.vstack([matrix, [0, 0, 1]]) @ make_reduction(fixed)
    return np.asarray(whole[:2])


def _find_nearest_similarity(matrix: Matrix, shape: tuple[int, ...]) -> Matrix:
    """Return the similarity nearest to an affine `matrix` about the middle of an image of `shape`."""
    reach = max(shape) / 2  # the same in x and y, so that no direction counts more
    cross = reach * np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    points = cross + np.array([(shape[1] - 1) / 2, (shape[0] - 1) / 2])
    return fit_similarity(points, points @ matrix[:, :2].T + matrix[:, 2])


def _to_corner_origin(matrix: Matrix) -> Matrix:
    """Return `matrix` with the origin at the top left corner of the first pixel, as in `Box`, instead of its centre."""
    return np.hstack([matrix[:, :2], (matrix[:, 2] + 0.5 - matrix[:, :2] @ [0.5, 0.5])[:, None]])


def _to_centre_origin(matrix: Matrix) -> Any:
    """Return `matrix` with the origin at the centre of the first pixel, as in OpenCV, instead of its corner."""
    return np.hstack([matrix[:, :2], (matrix[:, 2] - 0.5 + matrix[:, :2] @ [0.5, 0.5])[:, None]])
