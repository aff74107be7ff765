"""The axis of a long bone beside a joint, found on a film by the two edges of its shaft.

The bone is brighter than the tissue on both sides, so a line is its axis if edges of opposite sign stand at equal
distances from it along its whole length. An unclear axis is reported as missing, never replaced by the expected one.
OpenCV is loaded at the first call, so that the app starts fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.imaging.film import Film
from ratui.imaging.geometry import Box

__all__ = ["BoneAxis", "BoneAxisFailure", "BoneSearch", "find_bone_axis"]

_Levels: TypeAlias = npt.NDArray[np.float32]

_PIXELS = 48.0
"""Pixels of the searched strip per width of the joint's box."""
_BLUR = 1.6
"""Smoothing of the strip before its edges are taken, in pixels of the strip."""
_LATERAL = 0.85
"""Half width of the strip, in widths of the box."""
_MAX_OFFSET = 0.3
"""Largest distance of the axis from the centre of the box at the joint, in widths of the box."""
_MIN_INSIDE = 0.8
"""Least part of the strip that the film must show."""
_OTHER_DEGREES = 7.0
"""A second axis that differs by more than this from the best one makes the result ambiguous."""
_MIN_CONFIDENCE = 0.5
"""Least confidence of an axis that may turn a film; `benchmarks/bone_axes.py` measures those of right and wrong axes."""
_MIN_LEAD, _WIDE_REACH = 0.05, 15.0
"""Least lead of an axis whose direction was expected only roughly, with a reach of more than so many degrees."""


@dataclass(frozen=True)
class BoneSearch:
    """The part of a film in which the bone beside a joint is searched.

    Attributes
    ----------
    angle
        Expected direction from the bone to the joint in degrees, clockwise from up on the screen.
    reach
        Largest difference of the axis from `angle`, in degrees.
    along
        Distances from the centre of the box between which the shaft is searched, in widths of the box.
    half_widths
        Smallest and largest half width of the bone there, in widths of the box.
    """

    angle: float
    reach: float
    along: tuple[float, float]
    half_widths: tuple[float, float]


@dataclass(frozen=True)
class BoneAxis:
    """The axis of a bone.

    Attributes
    ----------
    angle
        Direction from the bone to the joint in degrees, clockwise from up on the screen.
    confidence
        Mean strength of the edges on both sides of the axis, relative to the strongest edges around, and less for an axis
        far from the expected one: 0 to 1.
    """

    angle: float
    confidence: float


@dataclass(frozen=True)
class BoneAxisFailure:
    """An axis that was not found, and why.

    `reason` is ``outside`` if the film ends within the bone, and ``unclear`` if it shows no two edges along one line, or
    along several. `confidence` is that of the best line.
    """

    reason: Literal["outside", "unclear"]
    confidence: float = 0.0


def find_bone_axis(film: Film, box: Box, search: BoneSearch) -> BoneAxis | BoneAxisFailure:
    """Return the axis of the bone beside a joint. It takes a few milliseconds. Any thread may call it.

    Parameters
    ----------
    film
        The film.
    box
        Box of the joint, in film pixels.
    search
        Direction, distances and widths between which the bone is searched.

    Returns
    -------
    BoneAxis or BoneAxisFailure
        The axis, or why it was not found.
    """
    strip = _cut_strip(film, box, search)
    if strip is None:
        return BoneAxisFailure("outside")
    strengths = _measure_edge_pairs(strip, search.half_widths)
    rows, columns = strengths.shape
    middle = (columns - 1) / 2
    along = search.along[0] * _PIXELS + np.arange(rows) + 0.5  # distance from the joint, pixels of the strip
    turns = np.arange(-search.reach, search.reach + 0.1, 0.5).astype(np.float64)
    # A line that goes to the right while it leaves the joint belongs to a bone that leans to the left, seen from below.
    slopes = -np.tan(np.radians(turns))
    offsets = np.arange(-_MAX_OFFSET * _PIXELS, _MAX_OFFSET * _PIXELS + 0.5)
    scores = _sum_along_lines(strengths, middle, along, slopes, offsets)
    scores *= 1.0 - 0.5 * (turns[:, None] / search.reach) ** 2  # a line far from the expected one has to be clearer
    by_turn = scores.max(axis=1)
    best = int(by_turn.argmax())
    top = float(by_turn[best])
    others = by_turn[np.abs(turns - turns[best]) > _OTHER_DEGREES]
    is_ambiguous = search.reach > _WIDE_REACH and others.size and float(others.max()) > (1.0 - _MIN_LEAD) * top
    offset = float(offsets[int(scores[best].argmax())])
    turn = -float(np.degrees(np.arctan(_refine_line(strengths, middle, along, offset, float(slopes[best])))))
    if top < _MIN_CONFIDENCE or is_ambiguous or abs(turn) > search.reach:
        return BoneAxisFailure("unclear", top)
    return BoneAxis(search.angle + turn, min(top, 1.0))


def _cut_strip(film: Film, box: Box, search: BoneSearch) -> _Levels | None:
    """Return the strip along the expected bone, the joint above it; None if too much of it is outside the film.

    Rows go away from the joint. Bone is bright.
    """
    import cv2

    width = max(box.width, box.height * film.aspect)
    unit = width / _PIXELS  # film pixels across per pixel of the strip
    angle = np.radians(search.angle)
    down = np.array([-np.sin(angle), np.cos(angle)])  # from the joint along the bone, in widths of a film pixel
    across = np.array([np.cos(angle), np.sin(angle)])
    rows = round((search.along[1] - search.along[0]) * _PIXELS)
    half = round(_LATERAL * _PIXELS)
    columns = 2 * half + 1
    centre = np.array([box.centre[0], box.centre[1] * film.aspect])
    first = centre + down * (search.along[0] * _PIXELS + 0.5) * unit - across * half * unit
    matrix = np.column_stack([across * unit, down * unit, first])  # from the strip to widths of a film pixel
    matrix[1] /= film.aspect
    corners = np.array([[x, y, 1] for y in (0, rows - 1) for x in (0, columns - 1)]) @ matrix.T
    low = np.floor(corners.min(axis=0)).astype(int) - 2
    high = np.ceil(corners.max(axis=0)).astype(int) + 3
    x0, y0 = max(int(low[0]), 0), max(int(low[1]), 0)
    x1, y1 = min(int(high[0]), film.columns), min(int(high[1]), film.rows)
    if x1 - x0 < 8 or y1 - y0 < 8:
        return None
    levels = film.pixels[y0:y1, x0:x1].astype(np.float32)
    if film.is_inverted:
        levels = levels.max() - levels
    reduction = max(int(unit), 1)  # average first, because warpAffine would skip pixels
    size = (max((x1 - x0) // reduction, 1), max((y1 - y0) // reduction, 1))
    small = cv2.resize(levels, size, interpolation=cv2.INTER_AREA)
    scale = np.array([size[0] / (x1 - x0), size[1] / (y1 - y0)])
    to_small = matrix.copy()
    to_small[:, 2] -= (x0, y0)
    to_small *= scale[:, None]
    to_small[:, 2] -= 0.5  # OpenCV's origin is the centre of the first pixel
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    strip = cv2.warpAffine(small, to_small, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.ones_like(small), to_small, (columns, rows), flags=flags) > 0.5
    if inside.mean() < _MIN_INSIDE:
        return None
    return np.asarray(strip, dtype=np.float32)


def _measure_edge_pairs(strip: _Levels, half_widths: tuple[float, float]) -> npt.NDArray[np.float32]:
    """Return for each pixel how strong the weaker of two edges at equal distances on its left and right is.

    The left edge goes from dark to bright, the right one from bright to dark. 1 is the strength of the strongest edges.
    """
    import cv2

    smooth = cv2.GaussianBlur(strip, (0, 0), _BLUR)
    slope = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3)
    # Equal weight for all rows: soft tissue and exposure change along the bone.
    spread = cv2.blur(np.abs(slope), (slope.shape[1] * 2 - 1, 7)) + np.float32(1e-6)
    slope = np.clip(slope / (4.0 * spread), -1.0, 1.0)
    rows, columns = slope.shape
    best = np.zeros((rows, columns), np.float32)
    for half in range(round(half_widths[0] * _PIXELS), round(half_widths[1] * _PIXELS) + 1):
        left, right = slope[:, : columns - 2 * half], -slope[:, 2 * half :]
        pair = np.minimum(left, right)
        inner = best[:, half : columns - half]
        np.maximum(inner, pair, out=inner)
    return best


def _sum_along_lines(
    strengths: npt.NDArray[np.float32],
    middle: float,
    along: npt.NDArray[Any],
    slopes: npt.NDArray[Any],
    offsets: npt.NDArray[Any],
) -> npt.NDArray[np.float64]:
    """Return the mean strength along each line, shape (slopes, offsets). A line outside the strip counts as 0 there."""
    rows, columns = strengths.shape
    padded = np.pad(strengths, ((0, 0), (1, 1)))
    places = middle + offsets[None, :, None] + slopes[:, None, None] * along[None, None, :]
    places = np.clip(np.rint(places).astype(np.intp) + 1, 0, columns + 1)
    return np.asarray(padded[np.arange(rows), places].mean(axis=2), dtype=np.float64)


def _refine_line(
    strengths: npt.NDArray[np.float32], middle: float, along: npt.NDArray[Any], offset: float, slope: float
) -> float:
    """Return the slope of the line through the strongest places near the given line, by weighted least squares."""
    columns = np.arange(strengths.shape[1]) - middle
    for reach in (5.0, 3.5, 3.5):
        near = np.abs(columns[None, :] - (offset + slope * along)[:, None]) <= reach
        weights = np.where(near, strengths, 0.0).astype(np.float64) ** 2
        total = weights.sum()
        if total <= 1e-9:
            return slope
        s, x = np.broadcast_to(along[:, None], weights.shape), np.broadcast_to(columns[None, :], weights.shape)
        mean_s, mean_x = (weights * s).sum() / total, (weights * x).sum() / total
        slope = float((weights * (s - mean_s) * (x - mean_x)).sum() / max((weights * (s - mean_s) ** 2).sum(), 1e-9))
        offset = float(mean_x - slope * mean_s)
    return slope
