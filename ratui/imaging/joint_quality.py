"""Measure the image of joints: width of edges, direction of a blur, clipped greys, range of greys and noise.

The functions are pure. `docs/intake.md` states the limits that are applied to the results, and the films they rest on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ratui.imaging.film import Film
from ratui.imaging.geometry import Box

__all__ = ["JOINT_WIDTH", "JointQuality", "measure_joints"]

JOINT_WIDTH = 18.0
"""Usual width in mm of the box of a joint, for films whose spacing is unknown."""
_FINE = 0.1  # mm: standard deviation of the smaller of two filters
_EDGES = 0.05  # part of the pixels of a joint that count as edges
_DIRECTIONS = 4
_RIDGE = 0.97  # part of the largest gradient beside a pixel
_DERIVATIVE = 1 / 3 + 1 / 12  # variance in pixels of the filter [-1, 0, 1], and of a pixel
_MIN_EDGE_PIXELS = 150  # of one direction
_MIN_SIDE = 24  # of a box, in pixels
_CLIPPED_BRIGHT, _CLIPPED_DARK = 0.2, 0.3  # part of a box; beside a finger, air may be black on a good film
_MARGIN = 8  # pixels around a box that the filters need
_LAPLACIAN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)  # Immerkær 1996: 0 on planes, noise × 6

_Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class JointQuality:
    """Measures of the joints of one film.

    Attributes
    ----------
    blur
        Median over the joints of the width of edges in mm, as the standard deviation of the blurred step. A sharp film has
        0.1 to 0.25, because bone is round and detectors are not ideal.
    blur_across, blur_along
        Width of edges in the direction in which it is largest and smallest; equal to `blur` if too few edges were found.
    bright, dark
        Part of the joints in which the brightest, or the darkest, grey fills a large area.
    greys
        Median number of stored grey values from the 2nd to the 98th percentile of a joint.
    noise
        Median ratio of the noise to that range.
    """

    blur: float
    blur_across: float
    blur_along: float
    bright: float
    dark: float
    greys: float
    noise: float


def measure_joints(film: Film, boxes: Iterable[Box]) -> JointQuality | None:
    """Return measures of the joints in `boxes`, in pixels of the film; None if no box with 24 pixels is on the film."""
    parts = [part for box in boxes if (part := _cut_out(film, box)) is not None]
    if not parts:
        return None
    if film.spacing is not None:
        mm = float(np.sqrt(film.spacing[0] * film.spacing[1]))
    else:
        mm = JOINT_WIDTH / float(np.median([inner[1].stop - inner[1].start for _, inner in parts]))
    fine = max(1.0, _FINE / mm)
    edges = [_find_edges(pixels, inner, fine) for pixels, inner in parts]
    blur = float(np.median([_to_blur(float(np.median(ratios)), fine) for ratios, _ in edges])) * mm
    across, along = _measure_directions(edges, fine)
    inside = [pixels[inner] for pixels, inner in parts]
    low, high = np.array([np.percentile(part, [2.0, 98.0]) for part in inside]).T
    ranges = np.maximum(high - low, 1.0)
    noise = np.array([_measure_noise(part) for part in inside])
    bright = np.mean([(part >= part.max()).mean() > _CLIPPED_BRIGHT for part in inside])
    dark = np.mean([(part <= part.min()).mean() > _CLIPPED_DARK for part in inside])
    return JointQuality(
        blur,
        blur if across is None else across * mm,
        blur if along is None else along * mm,
        float(bright),
        float(dark),
        float(np.median(high - low)) + 1.0,
        float(np.median(noise / ranges)),
    )


def _cut_out(film: Film, box: Box) -> tuple[_Array, tuple[slice, slice]] | None:
    """Return a joint with a margin, bone bright, and the place of the joint in it; None if it is too small."""
    x0, x1 = max(round(box.x0), 0), min(round(box.x1), film.columns)
    y0, y1 = max(round(box.y0), 0), min(round(box.y1), film.rows)
    if min(x1 - x0, y1 - y0) < _MIN_SIDE:
        return None
    left, top = max(x0 - _MARGIN, 0), max(y0 - _MARGIN, 0)
    pixels = film.pixels[top : y1 + _MARGIN, left : x1 + _MARGIN].astype(np.float32)
    is_inverted = film.is_inverted != (film.modality_table is None and film.slope < 0)
    return (-pixels if is_inverted else pixels), np.s_[y0 - top : y1 - top, x0 - left : x1 - left]


def _find_edges(pixels: _Array, inner: tuple[slice, slice], fine: float) -> tuple[_Array, _Array]:
    """Return ratio of the gradients at two scales, and direction in radians from 0 to π, of the pixels at edges."""
    import cv2  # takes a moment to import

    def compute_gradient(deviation: float) -> tuple[Any, Any]:
        smooth = cv2.GaussianBlur(pixels, (0, 0), deviation)
        across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3)[inner]
        return across, cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3)[inner]

    across, down = compute_gradient(2 * fine)
    coarse = np.hypot(across, down)
    chosen = (coarse >= np.quantile(coarse, 1 - _EDGES)) & (coarse > 0)
    # On the ridge of the gradient only: beside it, the finer gradient falls faster, and an edge would seem wider.
    chosen &= coarse >= _RIDGE * cv2.dilate(coarse, np.ones((3, 3), np.uint8))
    if not chosen.any():
        return np.zeros(1, np.float32), np.zeros(1, np.float32)
    ratios = np.hypot(*compute_gradient(fine))[chosen] / coarse[chosen]
    return ratios.astype(np.float32), np.mod(np.arctan2(down, across)[chosen], np.pi).astype(np.float32)


def _to_blur(ratio: float, fine: float) -> float:
    """Return the standard deviation of a step edge from the ratio of its gradients.

    A step that is blurred by b has after a filter s a gradient in proportion to 1 / sqrt(b² + d + s²), where d belongs to
    the derivative. With the filters s and 2 s the ratio r of the gradients gives b² + d = s² (4 - r²) / (r² - 1).
    """
    square = max(ratio * ratio, 1.01)  # noise can make the finer gradient the smaller one; the edge is then very wide
    return float(np.sqrt(max(fine * fine * (4.0 - square) / (square - 1.0) - _DERIVATIVE, 0.0)))


def _measure_directions(edges: list[tuple[_Array, _Array]], fine: float) -> tuple[float | None, float | None]:
    """Return the largest and the smallest width of edges by direction, in pixels; None if there are too few edges."""
    ratios = np.concatenate([each for each, _ in edges])
    angles = np.concatenate([each for _, each in edges])
    sector = np.rint(angles / np.pi * _DIRECTIONS).astype(int) % _DIRECTIONS
    widths = [
        _to_blur(float(np.median(ratios[sector == number])), fine)
        for number in range(_DIRECTIONS)
        if (sector == number).sum() >= _MIN_EDGE_PIXELS
    ]
    return (max(widths), min(widths)) if len(widths) > 1 else (None, None)


def _measure_noise(pixels: _Array) -> float:
    """Return the standard deviation of the noise, by the median of a filter that is 0 on planes."""
    import cv2

    return float(np.median(np.abs(cv2.filter2D(pixels, -1, _LAPLACIAN)))) * 1.4826 / 6.0
