"""Layout of the tarsus: short bones that overlap, their joint surfaces, and the ankle behind them."""

from __future__ import annotations

import numpy as np

from ratui.phantom.anatomy import Array, Indices, smooth
from ratui.phantom.foot import Foot
from ratui.phantom.foot_anatomy import TARSAL_DEPTHS, TARSALS
from ratui.phantom.parts import Layout, Plate, ShortBone

__all__ = ["add_tarsus"]

_FACING = 3.2  # mm; surfaces of two bones within this distance form a joint
_ANKLE = ("tibia", "fibula")
# Outline of the tuberosity: across in half widths of the base (medial is positive), and along in mm from the base.
_STYLOID = np.array(
    [[-0.86, 14.0], [-1.0, 9.0], [-1.14, 2.0], [-1.3, -4.5], [-1.3, -8.0], [-1.08, -9.5], [-0.86, -7.5], [-0.5, -3.5],
     [-0.62, 1.0], [-0.76, 7.0]]
)  # fmt: skip


def add_tarsus(layout: Layout, foot: Foot) -> None:
    """Add the tarsal bones and the ankle of `foot` to a `layout` with metatarsals."""
    outlines = {name: smooth(foot.to_film(_own_shape(foot, name)), 2) for name in TARSALS}
    bases = [_metatarsal_base(bone.start, bone.end, bone.widths[0]) for bone in layout.metacarpals]
    for name, outline in outlines.items():
        others = [other for its, other in outlines.items() if its != name and its not in _ANKLE]
        layout.short_bones.append(_build_bone(foot, name, outline, [*others, *bases] if name not in _ANKLE else []))
    layout.short_bones.append(_styloid(layout, foot))


def _own_shape(foot: Foot, name: str) -> Array:
    """Return the outline of a tarsal bone with this patient's shape; in a child it is smaller, and cartilage around."""
    own = foot.make_persistent_rng("tarsus", name)
    outline = TARSALS[name]
    middle = outline.mean(axis=0)
    size = float(own.normal(1.0, 0.012)) * (1.0 if foot.body.maturity >= 1 else 0.62 + 0.38 * foot.body.maturity)
    return np.asarray((outline + own.normal(0.0, 0.25, outline.shape) - middle) * size + middle)


def _metatarsal_base(start: Array, end: Array, half: float) -> Array:
    """Return points on the base of a metatarsal."""
    axis = (end - start) / max(float(np.hypot(*(end - start))), 1e-6)
    return np.asarray(start + np.linspace(-half, half, 21)[:, None] * np.array([-axis[1], axis[0]]))


def _build_bone(foot: Foot, name: str, outline: Array, others: list[Array]) -> ShortBone:
    body, scale = foot.body, foot.body.scale
    own = foot.make_persistent_rng("tarsus", name, "bone")
    middle, plates = outline.mean(axis=0), []
    if others:
        near = np.concatenate(others)
        distance = np.hypot(*(outline[:, None] - near[None]).transpose(2, 0, 1)).min(axis=1)
        # Only the joints in front of a bone and behind it lie along the rays; those at its sides overlap.
        ahead = np.abs((outline - middle) @ foot.film_transform[:, 1]) / scale
        ahead /= np.maximum(np.hypot(*(outline - middle).T), 1e-6)
        for run in _runs((distance < _FACING * scale) & (ahead > 0.62)):
            line = outline[run]
            inwards = middle - line
            inwards = inwards / np.maximum(np.hypot(*inwards.T), 1e-6)[:, None]
            plates.append(Plate(line + inwards * 0.6 * scale, float(own.uniform(1.1, 1.9)), 0.45 * scale))
    tilt = np.asarray(foot.pose.tilt) * own.uniform(0.6, 1.5, 2) * scale
    return ShortBone(
        outline, TARSAL_DEPTHS[name] * scale * float(own.normal(1.0, 0.05)),
        shell=0.28 * scale * (0.6 + 0.4 * body.cortex),
        density=body.density * float(own.normal(1.0, 0.06)) * (1.0 if name not in _ANKLE else 0.7),
        tilt=(float(tilt[0]), float(tilt[1])),
        angle=float(own.uniform(-0.4, 0.4)),
        texture=(body.texture[0] + float(own.uniform(0, 90)), body.texture[1]),
        plates=tuple(plates),
        grain=0.55,
    )  # fmt: skip


def _runs(flags: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> list[Indices]:
    """Return the runs of three or more true values on a closed line, as arrays of indices."""
    count = len(flags)
    if flags.all():
        return [np.arange(count)]
    order = np.roll(np.arange(count), -int(np.argmin(flags)))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags[order].astype(int), [0]])))
    return [order[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > 2]


def _styloid(layout: Layout, foot: Foot) -> ShortBone:
    """Return the tuberosity of the fifth metatarsal, which projects beyond the base at its lateral side."""
    bone, scale = layout.metacarpals[4], foot.body.scale
    axis = (bone.end - bone.start) / float(np.hypot(*(bone.end - bone.start)))
    medial = np.array([-axis[1], axis[0]])
    outline = bone.start + (_STYLOID[:, :1] * bone.widths[0]) * medial + (_STYLOID[:, 1:] * scale) * axis
    return ShortBone(
        smooth(outline, 2), 5.5 * scale, 0.26 * scale, foot.body.density, (0.0, 0.0), 0.3, foot.body.texture, grain=0.7
    )
