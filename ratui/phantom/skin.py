"""Outlines of the soft tissue: the fingers, swollen over diseased joints, and palm and forearm.

Geometry only; `ratui.phantom.tissue` computes the thickness.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ratui.phantom.anatomy import Array, Point, joint_name
from ratui.phantom.hand import Hand
from ratui.phantom.lesions import is_healing
from ratui.phantom.parts import Layout

__all__ = ["add_palm", "build_finger_flesh"]

# Radius of a finger in mm at its root, middle joint, last joint and tip.
_FLESH = (10.6, 9.9, 8.7, 7.0)

# Outline of palm, wrist and forearm on the tracing (mm), from the root of the little finger.
_HYPOTHENAR: tuple[Point, ...] = ((64.0, 190.0), (67.0, 204.0), (71.5, 217.0))
_WRIST_SKIN: tuple[tuple[Point, ...], tuple[Point, ...]] = (
    ((75.0, 227.0), (73.0, 239.0), (68.0, 252.0), (58.0, 276.0), (38.0, 330.0), (5.0, 425.0)),
    ((92.0, 425.0), (110.0, 330.0), (124.0, 279.0), (132.0, 256.0), (137.0, 241.0)),
)


def add_palm(layout: Layout, hand: Hand) -> None:
    """Add the outline of palm, wrist and forearm, and the ball of the thumb, to a `layout` with metacarpals."""
    flesh, scale = hand.body.flesh**0.7, hand.body.scale
    metacarpals = layout.metacarpals
    heads = [bone.end for bone in metacarpals]
    up = (heads[2] - metacarpals[2].start) / float(np.hypot(*(heads[2] - metacarpals[2].start)))
    axis = np.array([-up[1], up[0]])  # towards the thumb
    webs = [(heads[i] + heads[i + 1]) / 2 + up * 9.5 * scale for i in (1, 2, 3)]
    wrist = [_widen(hand, hand.turn_forearm(np.array(points)), flesh) for points in _WRIST_SKIN]
    thumb = (heads[0] - metacarpals[0].start) / float(np.hypot(*(heads[0] - metacarpals[0].start)))
    outside = np.array([-thumb[1], thumb[0]])
    crotch = 0.75 * heads[0] + 0.25 * heads[1] + up * 3.0 * scale
    layout.palm = np.concatenate(
        [
            [heads[4] - axis * 8.5 * scale * flesh - up * 4.0 * scale],
            _widen(hand, np.array(_HYPOTHENAR), flesh),
            wrist[0],
            wrist[1],
            [metacarpals[0].start + outside * 12.5 * scale * flesh, heads[0] + outside * 9.5 * scale, crotch],
            [heads[1] + axis * 10.5 * scale * flesh],
            webs,
        ]
    )
    layout.thenar = (0.5 * metacarpals[0].start + 0.5 * heads[0] - axis * 4.0 * scale, np.array([19.0, 26.0]) * scale)


def _widen(hand: Hand, points: Array, flesh: float) -> Array:
    """Return points of the skin in mm of the film, moved away from the axis of the arm by the factor `flesh`."""
    middle = np.array([104.0, 0.0]) - np.array([0.36, 0.0]) * np.maximum(points[:, 1:] - 240.0, 0)
    across = points[:, :1] - middle[:, :1]
    return hand.to_film(np.column_stack([middle[:, 0] + across[:, 0] * flesh, points[:, 1]]))


def build_finger_flesh(hand: Hand, finger: int, bones: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Return the midline of a finger's soft tissue, shape (n, 2), and its radii, shape (n,), in mm.

    `bones` are the two ends of each bone. The finger is thicker over swollen joints.
    """
    body = hand.body
    stout = body.scale * body.flesh**0.6 * (1.04 if finger == 1 else 0.92 if finger == 5 else 1.0)
    points, radii = [0.4 * bones[0][0] + 0.6 * bones[0][1]], [_FLESH[0] * stout]
    for number, (start, end) in enumerate(bones):
        share = min(number + (1 if finger == 1 else 0), 3)
        name = joint_name(finger, number)
        draw = hand.make_persistent_rng(name, "flesh", str(hand.time))
        damage = hand.grade(name, "ERO") if number < len(bones) - 1 else 0
        puffed = 1 + body.swelling * 0.16 * float(draw.random()) * min(damage, 2) * (number < len(bones) - 1)
        healed = hand.sites.get(name) is not None and is_healing(hand.patient, hand.sites[name], hand.time)
        points.append(end)
        radii.append(_FLESH[share] * stout * (1.0 if healed else puffed) * float(draw.normal(1.0, 0.015)))
        if number and number < len(bones):
            points.insert(-1, (start + end) / 2)
            radii.insert(-1, 0.97 * (_FLESH[min(share, 3)] + _FLESH[max(share - 1, 0)]) / 2 * stout)
    return np.stack(points), np.asarray(radii)
