"""Boxes on films, and transforms: similarities, which rotate, scale and move, and the one that fits pairs of points best."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Box", "Matrix", "fit_similarity", "make_rotation", "make_similarity"]

Matrix: TypeAlias = npt.NDArray[np.float64]
"""An affine transform, shape (2, 3): it takes the column (x, y, 1) to (x, y)."""


class Box(NamedTuple):
    """An upright rectangle in pixels. The origin is the top left corner of the first pixel, and y points down.

    A box is a tuple ``(x0, y0, x1, y1)``: it compares equal to such a tuple, and JSON stores it as a list of four numbers.
    """

    x0: float
    y0: float
    x1: float
    y1: float

    @classmethod
    def from_centre(cls, x: float, y: float, width: float, height: float | None = None) -> Box:
        """Return the box around (x, y); a square if `height` is not given."""
        height = width if height is None else height
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)

    @classmethod
    def from_size(cls, columns: int, rows: int) -> Box:
        """Return the box of a whole film or image."""
        return cls(0.0, 0.0, float(columns), float(rows))

    @property
    def width(self) -> float:
        """Distance from the left to the right side."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Distance from the upper to the lower side."""
        return self.y1 - self.y0

    @property
    def centre(self) -> tuple[float, float]:
        """Middle of the box, (x, y)."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    @property
    def area(self) -> float:
        """Width times height."""
        return self.width * self.height

    def shift(self, dx: float, dy: float) -> Box:
        """Return the box moved by (dx, dy)."""
        return Box(self.x0 + dx, self.y0 + dy, self.x1 + dx, self.y1 + dy)

    def scale(self, across: float, down: float | None = None) -> Box:
        """Return the box with its coordinates multiplied, as on an image resized by `across` and `down`."""
        down = across if down is None else down
        return Box(self.x0 * across, self.y0 * down, self.x1 * across, self.y1 * down)

    def mirror(self, area: Box) -> Box:
        """Return the mirror image of the box, left to right, within `area`."""
        return Box(area.x0 + area.x1 - self.x1, self.y0, area.x0 + area.x1 - self.x0, self.y1)

    def to_image(self, area: Box, size: tuple[int, int]) -> Box:
        """Return the box in pixels of an image of `size` (width, height) that shows `area`."""
        across, down = size[0] / area.width, size[1] / area.height
        return self.shift(-area.x0, -area.y0).scale(across, down)

    def overlaps(self, other: Box) -> bool:
        """Return True if the boxes share an area."""
        return self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1

    def intersection_area(self, other: Box) -> float:
        """Return the area that both boxes share, 0 if none."""
        width = min(self.x1, other.x1) - max(self.x0, other.x0)
        height = min(self.y1, other.y1) - max(self.y0, other.y0)
        return max(width, 0.0) * max(height, 0.0)

    def intersection_over_union(self, other: Box) -> float:
        """Return the shared area divided by the area of the union, from 0 to 1."""
        shared = self.intersection_area(other)
        return shared / (self.area + other.area - shared) if shared else 0.0


def fit_similarity(
    source: npt.NDArray[np.float64], target: npt.NDArray[np.float64], weights: npt.NDArray[np.float64] | None = None
) -> Matrix:
    """Return the rotation, scale and shift that take `source` nearest to `target`, by weighted least squares.

    Parameters
    ----------
    source, target
        Pairs of points, shape (N, 2) each. The fit needs two different points in `source`; if all coincide, the result
        has scale 0.
    weights
        A weight for each pair, shape (N,); all equal by default.

    Returns
    -------
    Matrix
        The transform from `source` to `target`, shape (2, 3). It never mirrors.
    """
    w = np.ones(len(source)) if weights is None else weights
    origin, aim = np.average(source, axis=0, weights=w), np.average(target, axis=0, weights=w)
    s, t = source - origin, target - aim
    norm = max(float((w[:, None] * s * s).sum()), 1e-9)
    a = float((w[:, None] * s * t).sum()) / norm  # scale times cosine
    b = float((w * (s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0])).sum()) / norm  # scale times sine
    linear = np.array([[a, -b], [b, a]])
    return np.hstack([linear, (aim - linear @ origin)[:, None]])


def make_rotation(degrees: float, centre: tuple[float, float], aspect: float = 1.0) -> Matrix:
    """Return the rotation about a point, clockwise on the screen, as a matrix of shape (2, 3).

    Parameters
    ----------
    degrees
        Angle of the rotation.
    centre
        The point (x, y) that stays in place, in pixels.
    aspect
        Height of a pixel divided by its width: the rotation keeps lengths in mm.
    """
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    linear = np.array([[cos, -sin * aspect], [sin / aspect, cos]])
    return np.hstack([linear, (np.asarray(centre) - linear @ np.asarray(centre))[:, None]])


def make_similarity(
    scale: float, radians: float, source: npt.ArrayLike, target: npt.ArrayLike, *, mirrored: bool = False
) -> Matrix:
    """Return the similarity transform that scales, rotates and takes a point to another one, shape (2, 3).

    Parameters
    ----------
    scale
        Factor of all lengths.
    radians
        Angle of the rotation, clockwise on the screen.
    source, target
        A point (x, y), and its place after the transform.
    mirrored
        True to exchange left and right before the rotation.
    """
    cos, sin = scale * np.cos(radians), scale * np.sin(radians)
    flip = -1.0 if mirrored else 1.0
    linear = np.array([[cos * flip, -sin], [sin * flip, cos]])
    return np.hstack([linear, (np.asarray(target) - linear @ np.asarray(source))[:, None]])
