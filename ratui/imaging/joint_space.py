"""Change of the width of a joint space between two films, from the motion of the two bones of the joint.

Each bone is registered by itself. Its motion relative to the other bone along the axis of the joint, at the middle of the
joint, is the change. The shape of the bones does not count: a focal loss without a motion of the bones is not measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.imaging.film import Film
from ratui.imaging.geometry import Box
from ratui.imaging.joint_space_crops import (
    SUPPORTED_JOINTS,
    JointCrop,
    JointSource,
    crop_joint,
    make_source,
    map_point,
)
from ratui.imaging.joint_space_registration import BoneMotion, register_bone

__all__ = ["JointMotion", "JointSpaceChange", "Unreliable", "joint_space_change", "judge_motion", "measure_motion"]

Unreliable: TypeAlias = Literal[
    "", "unsupported", "small", "bones", "unlike", "scale", "turned", "displaced", "overlap", "uncertain"
]
"""Reason why a change is unreliable.

``unsupported``: no joint of this name can be measured; ``small``: the box has too few pixels; ``bones``: two bones were
not found; ``unlike``: a bone does not look the same on both films; ``scale``: the bones have other sizes; ``turned``: the
bones turned too much against each other; ``displaced``: they moved sideways; ``overlap``: one bone hides the other;
``uncertain``: parts of the bones moved differently, or a bone's surface did not move as the bone.
"""

_MAX_SIDE, _MIN_SIDE = 230.0, 56.0  # of a box in pixels of the compared crops
_NEAR_SHARE = 1 / 3  # of the registration of the parts near the joint
_MIN_CORRELATION = 0.55
_MAX_SCALE = 0.04  # logarithm of the scale
_MAX_TURN = 0.25  # radians
_MAX_ASIDE = 0.12  # boxes
_MAX_OVERLAP = 0.08
_MAX_SLIP = 0.045  # boxes
_MAX_SCATTER, _MAX_DISAGREEMENT = 1.5, 0.35  # pixels of the crops
_SD = (0.08, 0.6, 0.6, 2.0)
"""Standard error in pixels of the crops: constant, by 1 - correlation, by the scatter of the parts, and by the turn."""


@dataclass(frozen=True)
class JointSpaceChange:
    """Change of the width of a joint space from the first to the second film.

    Attributes
    ----------
    pixels
        The change in pixels, positive if the space is wider on the second film. If the films differ in spacing, a pixel is
        the geometric mean of both. NaN if it could not be measured.
    mm
        The change in mm, or None if a spacing is unknown.
    sd
        Standard error of the change, in mm if `mm` is known, else in pixels.
    confidence
        From 0 to 1: the smaller correlation of the two bones.
    is_reliable
        False if the change is unreliable.
    reason
        Reason why it is unreliable, else empty.
    """

    pixels: float
    mm: float | None
    sd: float
    confidence: float
    is_reliable: bool
    reason: Unreliable = ""

    @property
    def ok(self) -> bool:
        """The same as `is_reliable`, for scripts that use this earlier name."""
        return self.is_reliable


@dataclass(frozen=True)
class JointMotion:
    """Motion of the distal against the proximal bone.

    Attributes
    ----------
    along, across
        Motion along the axis of the joint and across it, in the unit of the sources.
    turn
        Angle in radians.
    bones
        Motions of the distal and of the proximal bone.
    pitch
        Size of a pixel of the crops.
    overlap
        Part of the smaller bone that the other one covers.
    disagreement
        By how much `along` differs if only the parts near the joint count, in pixels of the crops.
    slip
        Distance along the axis between the surface of a bone on one film and where its motion takes that of the other film,
        in boxes: the larger one of both bones.
    crops
        The crops.
    """

    along: float
    across: float
    turn: float
    bones: tuple[BoneMotion, BoneMotion]
    pitch: float
    overlap: float
    disagreement: float
    slip: float
    crops: tuple[JointCrop, JointCrop]


def joint_space_change(
    film_a: Film | npt.NDArray[np.generic],
    box_a: Box | tuple[float, float, float, float],
    film_b: Film | npt.NDArray[np.generic],
    box_b: Box | tuple[float, float, float, float],
    *,
    spacing_a: tuple[float, float] | None = None,
    spacing_b: tuple[float, float] | None = None,
    joint: str = "",
) -> JointSpaceChange:
    """Measure the change of the width of a finger joint's space between two films of the same hand.

    The fingers point up, by 60 degrees at most to either side. If a spacing is unknown, both films must have the same. If
    the films are swapped, the result is exactly the negative. It takes less than 0.1 s. Any thread may call it.

    Parameters
    ----------
    film_a, film_b
        The films; or images in which bone is bright, shape (rows, columns).
    box_a, box_b
        Box of the joint on each film in pixels, with the joint near its middle.
    spacing_a, spacing_b
        Size of a pixel as (row, column) in mm, in place of that of the film.
    joint
        Name of the joint, such as ``MCP2``. One that is not in `SUPPORTED_JOINTS` is not measured, and the change is not
        `is_reliable`. The images alone do not show this: without a name, the caller vouches for a supported joint.

    Returns
    -------
    JointSpaceChange
        The change. Check `is_reliable` first.

    Raises
    ------
    ValueError
        If an image is not two-dimensional or not of real numbers, a box has no area, or a spacing is not positive.
    """
    a, b = make_source(film_a, box_a, spacing_a), make_source(film_b, box_b, spacing_b)
    keys = a.compute_key(), b.compute_key()
    swapped = keys[1] < keys[0]
    first, second = (b, a) if swapped else (a, b)
    pixel = float(np.sqrt(a.spacing[1] * b.spacing[1])) if a.spacing and b.spacing else None
    if pixel is None:
        first, second = first.without_spacing(), second.without_spacing()
    motion = "unsupported" if joint and joint not in SUPPORTED_JOINTS else measure_motion(first, second)
    if isinstance(motion, str):
        return JointSpaceChange(float("nan"), None if pixel is None else float("nan"), float("inf"), 0.0, False, motion)
    along = 0.0 if keys[0] == keys[1] else -motion.along if swapped else motion.along
    sd, reason = judge_motion(motion, min(first.side, second.side))
    return JointSpaceChange(
        pixels=along / (pixel or 1.0),
        mm=along if pixel is not None else None,
        sd=sd,
        confidence=float(np.clip(_get_correlation(motion), 0.0, 1.0)),
        is_reliable=not reason,
        reason=reason,
    )


def measure_motion(first: JointSource, second: JointSource) -> JointMotion | Unreliable:
    """Return the motion of the distal bone against the proximal one, or why it cannot be measured."""
    import cv2

    side = float(np.sqrt(first.side * second.side))
    pixels = min(side / min(*first.pitch, *second.pitch), _MAX_SIDE)
    if pixels < _MIN_SIDE:
        return "small"
    a, b = (crop_joint(source, side, pixels) for source in (first, second))
    if a is None or b is None:
        return "bones"
    distal, proximal = (_register(a, b, bone) for bone in (0, 1))
    if distal is None or proximal is None:
        return "unlike"
    # The same point of each bone on both crops: the mean of what both crops say.
    slips = [
        mine - map_point(np.asarray(cv2.invertAffineTransform(bone.matrix), np.float64), other)
        for bone, mine, other in zip((distal, proximal), a.ends, b.ends, strict=True)
    ]
    base, tip = (mine - slip / 2 for mine, slip in zip(a.ends, slips, strict=True))
    # The axis of the joint turns half as much as both bones together.
    c, s = np.cos((distal.turn + proximal.turn) / 2), np.sin((distal.turn + proximal.turn) / 2)
    half = np.array([[c, -s], [s, c]])
    axis = a.axis + half.T @ b.axis
    axis = axis / np.hypot(*axis)
    across = np.array([-axis[1], axis[0]])
    before = base - tip
    whole, near = (
        map_point(moved[0], base) - map_point(moved[1], tip)
        for moved in ((distal.matrix, proximal.matrix), (distal.near, proximal.near))
    )
    after = (1 - _NEAR_SHARE) * whole + _NEAR_SHARE * near
    pitch = side / pixels
    return JointMotion(
        float(after @ (half @ axis) - before @ axis) * pitch,
        float(after @ (half @ across) - before @ across) * pitch,
        proximal.turn - distal.turn,
        (distal, proximal),
        pitch,
        max(a.overlap, b.overlap),
        abs(float((near - whole) @ (half @ axis))),
        max(abs(float(slip @ axis)) for slip in slips) / pixels,
        (a, b),
    )


def _register(a: JointCrop, b: JointCrop, bone: int) -> BoneMotion | None:
    return register_bone(
        a.bands[bone], b.bands[bone], (a.weights[bone], b.weights[bone]), (a.starts[bone], b.starts[bone]), a.near
    )


def _get_correlation(motion: JointMotion) -> float:
    return min(bone.correlations[1] for bone in motion.bones)


def judge_motion(motion: JointMotion, side: float) -> tuple[float, Unreliable]:
    """Return the standard error of a motion, and why it is unreliable."""
    correlation = _get_correlation(motion)
    scatter = float(np.hypot(_measure_scatter(motion.bones[0]), _measure_scatter(motion.bones[1])))
    sd = (_SD[0] + _SD[1] * (1 - correlation) + _SD[2] * scatter + _SD[3] * abs(motion.turn)) * motion.pitch
    limits: tuple[tuple[Unreliable, bool], ...] = (
        ("unlike", correlation < _MIN_CORRELATION),
        ("scale", max(abs(np.log(bone.scale)) for bone in motion.bones) > _MAX_SCALE),
        ("turned", abs(motion.turn) > _MAX_TURN),
        ("displaced", abs(motion.across) > _MAX_ASIDE * side),
        ("overlap", motion.overlap > _MAX_OVERLAP),
        ("uncertain", motion.slip > _MAX_SLIP),
        ("uncertain", max(scatter / _MAX_SCATTER, motion.disagreement / _MAX_DISAGREEMENT) > 1),
    )
    return sd, next((reason for reason, applies in limits if applies), "")


def _measure_scatter(bone: BoneMotion) -> float:
    """Return the standard error of the mean of the residual displacements of a bone's parts along it, in pixels."""
    shifts, weights = bone.windows[:, 1], bone.windows[:, 2]
    if len(shifts) < 2:
        return _MAX_SCATTER
    variance = float(np.average((shifts - np.average(shifts, weights=weights)) ** 2, weights=weights))
    return float(np.sqrt(variance / (len(shifts) - 1)))
