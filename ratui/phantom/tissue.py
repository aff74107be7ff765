"""Drawing of soft tissue with its folds, and of metal such as rings that were not taken off."""

from __future__ import annotations

from statistics import NormalDist

import cv2
import numpy as np

from ratui.phantom.anatomy import Array, Mask
from ratui.phantom.bones import Canvas
from ratui.phantom.parts import Layout, Thickness
from ratui.phantom.texture import cloud

__all__ = ["add_metal", "draw_soft_tissue"]

_F = np.float32
_STEP = 0.8  # mm; soft tissue is smooth, so a coarse grid is sufficient and fast
_PALM, _ROUND = 24.0, 21.0  # thickness of the palm, and distance from its edge to full thickness, in mm


def draw_soft_tissue(layout: Layout, canvas: Canvas, flesh: float, rng: np.random.Generator) -> Array:
    """Return the thickness of soft tissue in mm, on a coarse grid over the whole `canvas`.

    `flesh` is the amount of soft tissue relative to the usual.
    """
    rows, columns = canvas.mineral.shape
    factor = max(1.0, _STEP / canvas.pixel_size)
    shape = (max(2, round(rows / factor)), max(2, round(columns / factor)))
    step = np.array([columns * canvas.pixel_size / shape[1], rows * canvas.pixel_size / shape[0]])
    fingers = np.zeros(shape, _F)
    roots = np.zeros(shape, np.uint8)
    for points, radii in layout.fingers.values():
        _add_finger(fingers, roots, (points - canvas.origin) / step, radii / float(step.mean()), float(step.mean()))
    assert layout.palm is not None
    palm = _draw_palm(layout, canvas, step, shape, roots, flesh)
    # A smooth maximum joins finger and palm; where two fingers cross, their thicknesses have been added before.
    palm *= palm
    fingers *= fingers
    both = np.sqrt(np.sqrt(palm * palm + fingers * fingers))
    _add_folds(both, layout, canvas, step, rng)
    top, left = rng.integers(0, 512, 2)
    wavy = np.roll(cloud(), (int(top), int(left)), (0, 1))[: min(512, shape[0]), : min(512, shape[1])]
    wavy = np.asarray(cv2.resize(wavy, shape[::-1], interpolation=cv2.INTER_LINEAR), _F)
    wavy *= _F(rng.uniform(0.01, 0.05))
    if layout.thickness is not None:  # thick parts do not vary more than thin ones, in mm
        wavy *= np.minimum(1, _F(_PALM) / np.maximum(both, _F(1)))
    both *= 1 + wavy
    return np.asarray(np.maximum(both, 0), _F)


def _add_finger(thickness: Array, roots: Mask, points: Array, radii: Array, step: float) -> None:
    """Add one finger to `thickness` (mm); `points` and `radii` are in steps of the grid."""
    low = np.floor((points - radii[:, None]).min(axis=0) - 3).astype(int)
    high = np.ceil((points + radii[:, None]).max(axis=0) + 3).astype(int)
    x0, y0 = max(int(low[0]), 0), max(int(low[1]), 0)
    x1, y1 = min(int(high[0]), thickness.shape[1]), min(int(high[1]), thickness.shape[0])
    if x1 - x0 < 3 or y1 - y0 < 3:
        return
    # The margin keeps the full thickness of a finger that leaves the film.
    pad = int(np.ceil(radii.max())) + 2
    mask = np.zeros((y1 - y0 + 2 * pad, x1 - x0 + 2 * pad), np.uint8)
    own = points - np.array([x0 - pad, y0 - pad])
    outline = np.zeros_like(mask)
    for (a, ra), (b, rb) in zip(
        zip(own[:-1], radii[:-1], strict=True), zip(own[1:], radii[1:], strict=True), strict=True
    ):
        axis = (b - a) / max(float(np.hypot(*(b - a))), 1e-6)
        normal = np.array([-axis[1], axis[0]])
        quad = np.stack([a + normal * ra, b + normal * rb, b - normal * rb, a - normal * ra])
        cv2.fillConvexPoly(outline, np.round((quad - 0.5) * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
        for centre, radius in ((a, ra), (b, rb)):
            spot = np.round((centre - 0.5) * 16).astype(int)
            cv2.circle(mask, (int(spot[0]), int(spot[1])), round(radius * 16), 255, -1, cv2.LINE_AA, 4)
    mask = np.maximum(mask, outline)
    depth = _depth_inside(mask, 1.8, step)
    radius = _F(float(radii.mean()) * step * 1.02)
    thick = _F(2.0) * radius * _F(0.97) * np.sqrt(np.maximum(1 - (1 - np.minimum(depth / radius, 1)) ** 2, 0))
    thickness[y0:y1, x0:x1] += thick[pad:-pad, pad:-pad]
    spot = (int(points[0][0]), int(points[0][1]))
    cv2.circle(roots, spot, round(float(radii[0])), 255, -1)


def _draw_palm(
    layout: Layout, canvas: Canvas, step: Array, shape: tuple[int, int], roots: Mask, flesh: float
) -> Array:  # fmt: skip
    assert layout.palm is not None
    pad = 24
    mask = np.zeros((shape[0] + 2 * pad, shape[1] + 2 * pad), np.uint8)
    points = (layout.palm - canvas.origin) / step + pad
    cv2.fillPoly(mask, [np.round((points - 0.5) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    mask[pad:-pad, pad:-pad] = np.maximum(mask[pad:-pad, pad:-pad], roots)
    size = float(step.mean())
    depth = _depth_inside(mask, 4.2, size)
    # A slab with round edges that rises slightly towards the middle.
    full: Array | float = _PALM
    round_off: Array | float = _ROUND
    if layout.thickness is not None:
        full = _thickness_along(layout.thickness, canvas, step, pad, (mask.shape[0], mask.shape[1]))
        round_off = full * _F(0.5)
    part = np.minimum(depth / _F(round_off), 1)
    thick = _F(full * flesh) * (np.sqrt(np.maximum(1 - (1 - part) ** 2, 0)) + _F(0.006) * depth)
    if layout.thenar is not None:
        middle, radius = layout.thenar
        at = (middle - canvas.origin) / step + pad
        x = (np.arange(mask.shape[1], dtype=_F) - _F(at[0])) * _F(step[0] / radius[0])
        y = (np.arange(mask.shape[0], dtype=_F) - _F(at[1])) * _F(step[1] / radius[1])
        thick += _F(5.0 * flesh) * np.exp(-(y * y))[:, None] * np.exp(-(x * x))[None, :] * (depth > 0)
    return np.asarray(cv2.GaussianBlur(thick, (0, 0), 0.8)[pad:-pad, pad:-pad], _F)


def _thickness_along(thickness: Thickness, canvas: Canvas, step: Array, pad: int, shape: tuple[int, int]) -> Array:
    """Return the thickness in mm at each step of a grid with `shape`, which begins `pad` steps before the canvas."""
    x = canvas.origin[0] + (np.arange(shape[1]) - pad + 0.5) * step[0] - thickness.origin[0]
    y = canvas.origin[1] + (np.arange(shape[0]) - pad + 0.5) * step[1] - thickness.origin[1]
    along = x[None, :] * thickness.axis[0] + y[:, None] * thickness.axis[1]
    return np.asarray(np.interp(along, thickness.along, thickness.thick), _F)


def _depth_inside(mask: Mask, sigma: float, step: float) -> Array:
    """Return the depth of each pixel inside the skin in mm, after smoothing `mask` (0–255) by `sigma` mm.

    Near the skin the level of the smoothed mask gives the depth, more precisely than the grid; deeper inside, the
    distance transform does.
    """
    soft = np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma / step), np.uint8)
    near = _LEVELS[soft] * _F(sigma)
    inner = np.asarray(cv2.distanceTransform((soft > 230).astype(np.uint8), cv2.DIST_L2, 5), _F) - _F(0.5)
    depth = np.where(inner > 0, _LEVELS[231] * _F(sigma) + inner * _F(step), near)
    return np.asarray(cv2.GaussianBlur(np.maximum(depth, 0), (0, 0), 0.7), _F)


# Depth inside a Gaussian-smoothed edge, in standard deviations, for each level from 0 to 255.
_LEVELS = np.array([NormalDist().inv_cdf(part) for part in np.clip(np.arange(256) / 255, 1e-3, 1 - 1e-3)], _F)


def _add_folds(thick: Array, layout: Layout, canvas: Canvas, step: Array, rng: np.random.Generator) -> None:
    """Add creases of the skin: thin lines, brighter where the skin is doubled, darker where they contain air."""
    layer = np.zeros(thick.shape, np.uint8)
    for points, radii in layout.fingers.values():
        for at in (2, 4):
            if at < len(points) - 1 and rng.random() < 0.35:
                axis = points[at + 1] - points[at]
                axis = axis / max(float(np.hypot(*axis)), 1e-6)
                normal = np.array([-axis[1], axis[0]]) * radii[at] * 0.95
                _draw_crease(layer, (points[at] + axis * rng.normal(0, 2.0) - canvas.origin) / step, normal / step, rng)
    if layout.thenar is not None:
        middle, radius = layout.thenar
        for _ in range(int(rng.integers(0, 3))):
            angle = rng.uniform(0, 6.3)
            normal = np.array([np.cos(angle), np.sin(angle)]) * radius[0] * rng.uniform(0.5, 1.1)
            _draw_crease(layer, (middle + rng.normal(0, 8.0, 2) - canvas.origin) / step, normal / step, rng)
    if layer.any():
        lines = np.asarray(cv2.GaussianBlur(layer, (0, 0), 0.8), _F) * _F(1 / 255)
        thick += lines * _F(rng.normal(0.8, 1.2)) * (thick > 2)


def _draw_crease(layer: Mask, middle: Array, normal: Array, rng: np.random.Generator) -> None:
    t = np.linspace(-1, 1, 12)[:, None]
    points = middle + normal * t + np.array([-normal[1], normal[0]]) * rng.normal(0, 0.2) * (1 - t**2)
    cv2.polylines(layer, [np.round(points * 16).astype(np.int32)], False, 255, 1, cv2.LINE_AA, 4)


def add_metal(layout: Layout, canvas: Canvas, rng: np.random.Generator) -> None:
    """Add a ring, and more rarely a watch or a bracelet, to the mineral on the canvas."""
    if rng.random() < 0.07:
        points, radii = layout.fingers[4 if rng.random() < 0.75 else 3]
        _add_band(canvas, points[1], points[2], float(rng.uniform(0.45, 0.9)), float(radii[1]) * 0.86, rng)
    if rng.random() < 0.03 and layout.palm is not None:
        outer, inner = layout.palm[7], layout.palm[12]
        middle, half = (outer + inner) / 2, float(np.hypot(*(outer - inner))) / 2
        normal = (outer - inner) / (2 * half)
        along = np.array([-normal[1], normal[0]])
        _add_band(canvas, middle - along * 4, middle + along * 4, 0.5, half * 0.98, rng)
        if rng.random() < 0.5:  # the case of a watch
            spot = np.round((middle - canvas.origin) / canvas.pixel_size).astype(int)
            mask = np.zeros(canvas.mineral.shape, np.uint8)
            cv2.circle(
                mask, (int(spot[0]), int(spot[1])), round(rng.uniform(12, 18) / canvas.pixel_size), 255, -1, cv2.LINE_AA
            )
            canvas.mineral += mask.astype(_F) * _F(rng.uniform(10, 25) / 255)


def _add_band(
    canvas: Canvas, start: Array, end: Array, place: float, half: float, rng: np.random.Generator
) -> None:  # fmt: skip
    axis = (end - start) / max(float(np.hypot(*(end - start))), 1e-6)
    normal = np.array([-axis[1], axis[0]])
    at, tall, sag = start + (end - start) * place, rng.uniform(1.6, 5.0), rng.normal(0, 1.2)
    t = np.linspace(-1, 1, 17)[:, None]
    # In this view a ring is thickest at its sides, where the rays pass along it.
    points = (at + normal * t * half + axis * sag * (1 - t**2) - canvas.origin) / canvas.pixel_size
    mask = np.zeros(canvas.mineral.shape, np.uint8)
    shift = np.round(points * 16).astype(np.int32)
    cv2.polylines(mask, [shift], False, 255, max(1, round(tall / canvas.pixel_size)), cv2.LINE_AA, 4)
    canvas.mineral += mask.astype(_F) * _F(rng.uniform(7, 22) / 255)
