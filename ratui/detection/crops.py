"""Square crops of a film for the landmark networks, with the transform between crop and film.

Points are continuous: 0 is the outer edge of the first pixel. Transforms are 2 × 3 matrices.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ratui.imaging.geometry import Matrix

__all__ = ["compose", "crop_square", "invert", "map_points", "scale_of"]

_Floats = npt.NDArray[np.float64]


def compose(outer: Matrix, inner: Matrix) -> Matrix:
    """Return the transform that applies `inner`, then `outer`."""
    return np.asarray(np.column_stack([outer[:, :2] @ inner[:, :2], outer[:, :2] @ inner[:, 2] + outer[:, 2]]))


def invert(transform: Matrix) -> Matrix:
    """Return the inverse of a transform."""
    linear = np.linalg.inv(transform[:, :2])
    return np.asarray(np.column_stack([linear, -linear @ transform[:, 2]]))


def map_points(transform: Matrix, points: _Floats) -> _Floats:
    """Return `points`, shape (…, 2), mapped by `transform`."""
    return np.asarray(points @ transform[:, :2].T + transform[:, 2])


def scale_of(transform: Matrix) -> float:
    """Return the factor by which a similarity scales lengths."""
    return float(np.sqrt(abs(np.linalg.det(transform[:, :2]))))


def crop_square(levels: npt.NDArray[np.float32], transform: Matrix, side: int) -> npt.NDArray[np.uint8]:
    """Return a square crop of `side` pixels, stretched to 0–255 between percentiles of the part inside the image.

    Parameters
    ----------
    levels
        Grey levels, shape (rows, columns); bone is bright.
    transform
        Transform from pixels of the crop to pixels of `levels`.
    side
        Side of the crop in pixels. Pixels outside the image are 0.
    """
    step, image = scale_of(transform), levels
    matrix = np.asarray(transform, np.float64).copy()
    low, high = _bounds(matrix, side, image.shape)
    if high[0] <= low[0] or high[1] <= low[1]:
        return np.zeros((side, side), np.uint8)
    image = image[low[1] : high[1], low[0] : high[0]]
    matrix[:, 2] -= low
    if step > 1.0:  # average first: sampling single pixels would alias fine detail
        size = (max(round(image.shape[1] / step), 1), max(round(image.shape[0] / step), 1))
        ratio = np.array([size[0] / image.shape[1], size[1] / image.shape[0]])
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
        matrix = matrix * ratio[:, None]
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5  # OpenCV puts pixel centres at whole numbers
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    square = np.asarray(cv2.warpAffine(image, matrix, (side, side), flags=flags, borderValue=-1.0), np.float32)
    inside = square >= 0
    if not inside.any():
        return np.zeros((side, side), np.uint8)
    values = square[inside]
    darkest, brightest = np.percentile(values[:: max(1, len(values) // 65_536)], [0.5, 99.8])
    square = np.where(inside, np.clip((square - darkest) / max(float(brightest - darkest), 1e-6), 0, 1), 0)
    return np.rint(square * 255).astype(np.uint8)


def _bounds(matrix: Matrix, side: int, shape: tuple[int, ...]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the part of an image of this `shape` that the crop needs: its low and high (x, y)."""
    corners = map_points(matrix, np.array([[0.0, 0.0], [side, 0.0], [0.0, side], [side, side]]))
    margin = 2 + 2 * scale_of(matrix)
    limit = np.array([shape[1], shape[0]])
    low = np.clip(np.floor(corners.min(axis=0) - margin), 0, limit).astype(np.int64)
    high = np.clip(np.ceil(corners.max(axis=0) + margin), 0, limit).astype(np.int64)
    return low, high
