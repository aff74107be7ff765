"""Registration of one bone on two crops of the same joint, with the other bone and the soft tissue left out.

The crops show the joint upright and at the same scale. Matrices take (x, y, 1) of the first crop to (x, y) of the second;
the origin is the centre of the first pixel, as in OpenCV.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ratui.imaging.geometry import Matrix
from ratui.imaging.registration import Levels

__all__ = ["Bands", "BoneMotion", "make_bands", "register_bone"]

_TURNS = np.radians([-18.0, -12.0, -6.0, 0.0, 6.0, 12.0, 18.0])  # of the search
_SEARCH = 9  # largest shift of the search, in pixels of the coarse band
_BANDS = ((4.0, 14.0), (2.0, 8.0), (1.6, 8.0))  # finest and coarsest structure, in units
_STARTS = 3
_SCALE_SPREAD = 0.01  # expected deviation of the scale from 1
_LEAST_WEIGHT = 60.0  # pixels
_SMALL_STEP = 0.003  # pixels; after a smaller one the result is final
_CORRELATED = 30.0  # neighbouring pixels that count as one
_Point = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bands:
    """A crop at several resolutions: structure of equal contrast, and the reduction of each."""

    images: tuple[Levels, ...]
    reductions: tuple[float, ...]


@dataclass(frozen=True)
class BoneMotion:
    """Motion of a bone from the first to the second crop.

    Attributes
    ----------
    matrix
        Similarity transform, shape (2, 3).
    correlations
        Weighted correlation at each band.
    scale
        Scale of the transform.
    turn
        Rotation in radians.
    windows
        Displacement that parts of the bone still have, and their weights: shape (N, 3), columns x, y, weight.
    near
        Similarity transform of the part near the joint alone, shape (2, 3).
    """

    matrix: Matrix
    correlations: tuple[float, ...]
    scale: float
    turn: float
    windows: npt.NDArray[np.float64]
    near: Matrix


def make_bands(crop: Levels, unit: float) -> Bands:
    """Return the bands of a crop; `unit` is the width of the finest structure divided by 2, in pixels."""
    import cv2

    images: list[Levels] = []
    reductions: list[float] = []
    for fine, coarse in _BANDS:
        # The coarsest structure is computed on a reduced copy, for speed.
        smooth = np.asarray(cv2.GaussianBlur(crop, (0, 0), max(fine * unit, 0.5)), np.float32)
        reduction = max(1.0, np.floor(fine * unit + 0.2)) if fine > 1.7 else 1.0
        small = _reduce(smooth, reduction)
        detail = small - _blur(_reduce(crop, reduction), coarse * unit / reduction)
        # The enlargement in `_blur` can overshoot below 0.
        spread = np.sqrt(np.maximum(_blur(detail * detail, 1.5 * coarse * unit / reduction), 0))
        images.append(np.asarray(detail / (spread + np.float32(0.25) * np.median(spread) + 1e-6), np.float32))
        reductions.append(crop.shape[1] / small.shape[1])
    return Bands(tuple(images), tuple(reductions))


def register_bone(
    first: Bands, second: Bands, weights: tuple[Levels, Levels], starts: tuple[_Point, _Point], near: Levels
) -> BoneMotion | None:
    """Find the motion of a bone; None if it is hardly visible.

    Parameters
    ----------
    first, second
        Bands of the crops.
    weights
        Weight of each pixel of the bone on both crops, 0 to 1, in pixels of the crops.
    starts
        About the same point of the bone on both crops.
    near
        Part of its weight that a pixel of the first crop has for `BoneMotion.near`, 0 to 1.
    """
    candidates = []
    scaled = [tuple(_fit_size(each, image) for each in weights) for image in first.images]
    ratio = first.reductions[0]
    origin, target = (_reduce_point(point, ratio) for point in starts)
    for start in _find_starts(first.images[0], second.images[0], scaled[0], origin, target):
        fitted = _refine(first.images[0], second.images[0], scaled[0], start, origin, 8)
        if fitted is not None:
            candidates.append((fitted[1], fitted[0]))
    if not candidates:
        return None
    candidates.sort(key=lambda each: -each[0])
    correlation, motion = candidates[0]
    correlations = [correlation]
    final: _Fit | None = None
    for level in range(1, len(first.images)):
        step = ratio / first.reductions[level]
        ratio = first.reductions[level]
        motion = motion * np.array([1.0, 1.0, step, step])
        fitted = _refine(
            first.images[level], second.images[level], scaled[level], motion, _reduce_point(starts[0], ratio), 10
        )
        if fitted is None:
            return None
        motion, correlation, final = fitted
        correlations.append(correlation)
    assert final is not None
    origin = _reduce_point(starts[0], ratio)
    own, other = scaled[-1]
    closer = _refine(first.images[-1], second.images[-1], (own * _fit_size(near, own), other), motion, origin, 6)
    if closer is None:
        return None
    return BoneMotion(
        _enlarge(_to_matrix(motion, origin), ratio),
        tuple(correlations),
        float(np.exp(motion[1])),
        float(motion[0]),
        _measure_windows(final) * np.array([ratio, ratio, 1.0]),
        _enlarge(_to_matrix(closer[0], origin), ratio),
    )


@dataclass(frozen=True)
class _Fit:
    """Gradients, residuals and weights at the solution, all of one shape."""

    gradient: tuple[Levels, Levels]
    residual: Levels
    weight: Levels


def _refine(
    first: Levels,
    second: Levels,
    weights: tuple[Levels, ...],
    motion: npt.NDArray[np.float64],
    origin: _Point,
    steps: int,
) -> tuple[npt.NDArray[np.float64], float, _Fit] | None:
    """Return the motion (turn, logarithm of the scale, shift) after Gauss-Newton steps, with its correlation.

    Each step uses the mean gradient of both images (Malis 2004, efficient second-order minimisation), so that neither
    film is preferred.
    """
    import cv2

    rows, columns = np.nonzero(weights[0] > 0.02)
    if len(rows) < _LEAST_WEIGHT:
        return None
    part = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    x0, y0 = float(columns.min()), float(rows.min())
    fixed, weight = first[part], weights[0][part]
    size = (fixed.shape[1], fixed.shape[0])
    own = [each[part] for each in _compute_gradient(first)]
    x = np.arange(size[0], dtype=np.float32)[None, :] + np.float32(x0 - origin[0])
    y = np.arange(size[1], dtype=np.float32)[:, None] + np.float32(y0 - origin[1])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    result = None
    for step in range(steps + 1):
        matrix = _to_matrix(motion, origin)
        matrix[:, 2] += matrix[:, :2] @ [x0, y0]
        warped = cv2.warpAffine(second, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
        moved = np.asarray(warped, np.float32)
        both = weight * cv2.warpAffine(weights[1], matrix, size, flags=flags)
        total = float(both.sum())
        if total < _LEAST_WEIGHT:
            return None
        a = fixed - np.float32(float((both * fixed).sum()) / total)
        b = moved - np.float32(float((both * moved).sum()) / total)
        wa = both * a
        power = float((wa * a).sum()), float((both * b * b).sum())
        gain = np.float32(np.sqrt(power[1] / max(power[0], 1e-9)))
        correlation = float((wa * b).sum()) / max(float(np.sqrt(power[0] * power[1])), 1e-9)
        residual = b - gain * a
        across, down = (
            np.float32(0.5) * (mine + gain * other) for mine, other in zip(_compute_gradient(moved), own, strict=True)
        )
        result = (motion, correlation, _Fit((across, down), residual, both))
        if step == steps:
            break
        columns_of_jacobian = np.stack(
            [(down * x - across * y).ravel(), (across * x + down * y).ravel(), across.ravel(), down.ravel()]
        )
        weighted = columns_of_jacobian * both.ravel()
        normal = (weighted @ columns_of_jacobian.T).astype(np.float64)
        right = -(weighted @ residual.ravel()).astype(np.float64)
        noise = float((both * residual * residual).sum()) / total
        # The films have the same scale, except for the distance of the hand from the detector.
        normal[1, 1] += _CORRELATED * noise / _SCALE_SPREAD**2
        right[1] -= _CORRELATED * noise * motion[1] / _SCALE_SPREAD**2
        try:
            change = np.linalg.solve(normal + 1e-7 * np.trace(normal) * np.eye(4), right)
        except np.linalg.LinAlgError:
            return None
        motion = _compose(motion, change)
        if not np.max(np.abs(motion[2:])) < 2 * max(second.shape):  # also if not finite: OpenCV would hardly return
            return None
        if max(abs(change[2]), abs(change[3]), 30 * abs(change[0])) < _SMALL_STEP:
            steps = min(steps, step + 1)
    return result


def _measure_windows(fit: _Fit) -> npt.NDArray[np.float64]:
    """Return the residual displacement (x, y) of parts of the bone and the weight of each, shape (N, 3)."""
    rows, columns = fit.residual.shape
    found = []
    for i in range(2):
        for j in range(3):
            part = np.s_[i * rows // 2 : (i + 1) * rows // 2, j * columns // 3 : (j + 1) * columns // 3]
            w, e = fit.weight[part].ravel(), fit.residual[part].ravel()
            g = np.stack([each[part].ravel() for each in fit.gradient])
            if float(w.sum()) < 30:
                continue
            normal = ((g * w) @ g.T).astype(np.float64)
            shift = np.linalg.solve(normal + 1e-3 * np.trace(normal) * np.eye(2), -((g * w) @ e).astype(np.float64))
            found.append((*np.clip(shift, -5, 5), float(normal[1, 1])))
    return np.array(found).reshape(-1, 3)


def _find_starts(
    first: Levels, second: Levels, weights: tuple[Levels, ...], origin: _Point, target: _Point
) -> list[npt.NDArray[np.float64]]:
    """Return the best motions of a search over rotations and shifts."""
    import cv2

    rows, columns = np.nonzero(weights[0] > 0.3)
    if not len(rows):
        return []
    half = int(min(max(np.abs(columns - origin[0]).max(), np.abs(rows - origin[1]).max()) + 1, 40))
    side, wide = 2 * half + 1, 2 * (half + _SEARCH) + 1
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    corner = target - half - _SEARCH
    area = cv2.warpAffine(
        second * weights[1], np.array([[1.0, 0, corner[0]], [0, 1.0, corner[1]]]), (wide, wide), flags=flags
    )
    masked = first * weights[0]
    found = []
    for turn in _TURNS:
        c, s = np.cos(-turn), np.sin(-turn)
        linear = np.array([[c, -s], [s, c]])
        matrix = np.hstack([linear, (origin - linear @ [half, half])[:, None]])
        template = cv2.warpAffine(masked, matrix, (side, side), flags=flags)
        _, best, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(area, template, cv2.TM_CCORR_NORMED))
        found.append((best, np.array([turn, 0.0, *(target - origin + [x - _SEARCH, y - _SEARCH])])))
    found.sort(key=lambda each: -each[0])
    return [motion for _, motion in found[:_STARTS]]


def _compute_gradient(image: Levels) -> tuple[Any, Any]:
    import cv2

    return (
        cv2.Sobel(image, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8),
        cv2.Sobel(image, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8),
    )


def _to_matrix(motion: npt.NDArray[np.float64], origin: _Point) -> Matrix:
    """Return the matrix that turns and scales about `origin` and then shifts."""
    turn, scale = motion[0], np.exp(motion[1])
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    linear = np.array([[c, -s], [s, c]])
    return np.hstack([linear, (origin + motion[2:] - linear @ origin)[:, None]])


def _compose(motion: npt.NDArray[np.float64], change: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the motion that makes `change` first, both about the same origin."""
    scale = np.exp(motion[1])
    c, s = scale * np.cos(motion[0]), scale * np.sin(motion[0])
    shift = np.array([[c, -s], [s, c]]) @ change[2:]
    return np.array([motion[0] + change[0], motion[1] + change[1], *(motion[2:] + shift)])


def _blur(image: Levels, deviation: float) -> Levels:
    """Return a Gaussian blur, computed on a reduced copy if it is wide."""
    import cv2

    reduction = int(max(1, deviation // 3))
    if reduction == 1:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), max(deviation, 0.3)), np.float32)
    small = cv2.GaussianBlur(_reduce(image, reduction), (0, 0), deviation / reduction)
    return np.asarray(cv2.resize(small, image.shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def _reduce(image: Levels, reduction: float) -> Levels:
    import cv2

    if reduction <= 1:
        return image
    size = (max(round(image.shape[1] / reduction), 8), max(round(image.shape[0] / reduction), 8))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)


def _fit_size(image: Levels, like: Levels) -> Levels:
    import cv2

    if image.shape == like.shape:
        return image
    return np.asarray(cv2.resize(image, like.shape[::-1], interpolation=cv2.INTER_AREA), np.float32)


def _reduce_point(point: _Point, ratio: float) -> _Point:
    return np.asarray((point + 0.5) / ratio - 0.5)


def _enlarge(matrix: Matrix, ratio: float) -> Matrix:
    """Return the matrix between crops that corresponds to `matrix` between copies reduced by `ratio`."""
    half = np.array([0.5, 0.5])
    return np.hstack(
        [matrix[:, :2], (ratio * (matrix[:, 2] + half - matrix[:, :2] @ half) - half + matrix[:, :2] @ half)[:, None]]
    )
