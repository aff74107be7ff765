"""The two bones of a finger joint on a crop: their masks, the axis of the joint, and its middle.

A small network finds the masks. It was trained on simulated joints only; `benchmarks/joint_space_network.py` trains it.
Points are (x, y) in pixels of the crop; the origin is the centre of the first pixel, as in OpenCV.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.imaging.film import normalize_intensity
from ratui.imaging.registration import Levels

__all__ = ["NETWORK_SIDE", "Bones", "find_bones"]

NETWORK_SIDE = 96
"""Side of the square crop that the network sees, in pixels."""
_INSIDE = 0.5  # smallest probability of a pixel of a bone
_LEAST_AREA = 0.03  # of the crop; a smaller bone is not a bone of the joint
_NEAR = 0.42  # part of the bone that counts for the axis, in sides of the crop from the middle of the joint
_HEAD = (0.04, 0.2)  # part of a head whose middle is taken, as the distance from its surface, in sides of the crop
_lock = threading.Lock()

_Mask: TypeAlias = npt.NDArray[np.bool_]
Point: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Bones:
    """The bones of a joint on a square crop.

    Attributes
    ----------
    distal, proximal
        Probability that a pixel shows the bone, shape (`NETWORK_SIDE`, `NETWORK_SIDE`); of the proximal bone, its hull.
    axis
        Unit vector from the proximal to the distal bone, shape (2,).
    middle
        Middle of the joint, shape (2,).
    tip
        Middle of the articular surface of the proximal bone, above the middle of its head, shape (2,).
    ends
        Middle of the articular surface of the distal bone, midway between the sides of its base, and of the proximal bone,
        on its midline, which may lean: two arrays of shape (2,).
    """

    distal: Levels
    proximal: Levels
    axis: Point
    middle: Point
    tip: Point
    ends: tuple[Point, Point]


@cache
def _load_network() -> Any:
    """Return the network, loaded once."""
    import cv2

    content = (files("ratui.imaging") / "shipped" / "joint_bones.onnx").read_bytes()
    return cv2.dnn.readNetFromONNX(np.frombuffer(content, np.uint8))


def find_bones(crop: npt.NDArray[np.generic]) -> Bones | None:
    """Return the bones on a square crop of a finger joint, or None if there are not two. Any thread may call it.

    Parameters
    ----------
    crop
        Grey levels, bone bright, shape (`NETWORK_SIDE`, `NETWORK_SIDE`). The joint is near the middle, and the fingers
        point up, by 60° at most to either side.
    """
    with _lock:  # OpenCV's networks keep their input
        network = _load_network()
        network.setInput((normalize_intensity(crop) - np.float32(0.5))[None, None])
        distal, proximal = np.array(network.forward(), np.float32)[0]
    upper, lower = _find_largest(distal > _INSIDE), _find_largest(proximal > _INSIDE)
    if upper is None or lower is None:
        return None
    lower = _fill_hull(lower)
    both = upper & lower
    return _describe(distal * upper, np.maximum(proximal, np.float32(0.9)) * lower, upper & ~both, lower & ~both)


def _describe(distal: Levels, proximal: Levels, upper: _Mask, lower: _Mask) -> Bones | None:
    """Return the bones with the axis and the centre of the head, or None if one bone hides the other."""
    points = [np.argwhere(mask)[:, ::-1].astype(np.float64) for mask in (upper, lower)]
    least = _LEAST_AREA * NETWORK_SIDE**2
    if any(len(each) < least for each in points):
        return None
    axis = _normalize(points[0].mean(axis=0) - points[1].mean(axis=0))
    middle = (points[0].mean(axis=0) + points[1].mean(axis=0)) / 2
    reach = _NEAR * NETWORK_SIDE
    for _ in range(3):
        across = np.array([-axis[1], axis[0]])
        along = [(each - middle) @ axis for each in points]
        near = [each[np.abs(u) < reach] for each, u in zip(points, along, strict=True)]
        if any(len(each) < least / 2 for each in near):
            return None
        bottom, top = np.quantile(along[0], 0.02), np.quantile(along[1], 0.98)
        middle = middle + axis * (bottom + top) / 2
        # Each bone's own midline, and the line between both.
        lines = [_fit_midline(each, axis, across) for each in near]
        axis = _normalize(_normalize(near[0].mean(axis=0) - near[1].mean(axis=0)) + 0.5 * (lines[0] + lines[1]))
    across = np.array([-axis[1], axis[0]])
    u, v = (points[1] - middle) @ axis, (points[1] - middle) @ across
    top = float(np.quantile(u, 0.985))
    head = v[(u < top - _HEAD[0] * NETWORK_SIDE) & (u > top - _HEAD[1] * NETWORK_SIDE)]
    if len(head) < least / 4:
        return None
    base, aside = (points[0] - middle) @ axis, (points[0] - middle) @ across
    sides = aside[base < base.min() + _HEAD[1] * NETWORK_SIDE]
    bottom = float(np.quantile(base, 0.015))
    wide = aside[(base > bottom + _HEAD[0] * NETWORK_SIDE) & (base < bottom + _HEAD[1] * NETWORK_SIDE)]
    if len(wide) < least / 4:
        return None
    midline = np.polyfit(u[np.abs(u) < reach], v[np.abs(u) < reach], 1)
    return Bones(
        distal,
        proximal,
        axis,
        middle + across * float(sides.mean() + head.mean()) / 2,
        middle + axis * top + across * float(head.mean()),
        (
            middle + axis * bottom + across * float(wide.min() + wide.max()) / 2,
            middle + axis * top + across * float(np.polyval(midline, top)),
        ),
    )


def _fit_midline(points: Point, axis: Point, across: Point) -> Point:
    """Return the direction of a bone near `axis`: of the line through the middles of its sections."""
    u, v = points @ axis, points @ across
    slope = float(np.polyfit(u, v, 1)[0])
    return _normalize(axis + float(np.clip(slope, -0.35, 0.35)) * across)


def _normalize(vector: Point) -> Point:
    return np.asarray(vector / max(float(np.hypot(*vector)), 1e-9))


def _find_largest(mask: _Mask) -> _Mask | None:
    """Return the largest connected part of `mask`, or None if it is empty."""
    import cv2

    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count < 2:
        return None
    return np.asarray(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])))


def _fill_hull(mask: _Mask) -> _Mask:
    """Return the convex hull of `mask`: the thin margins of a head are hardly visible."""
    import cv2

    hull = cv2.convexHull(np.argwhere(mask)[:, ::-1].astype(np.int32))
    filled = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(filled, hull, 1)
    return np.asarray(filled > 0)
