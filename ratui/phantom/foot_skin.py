"""Outlines of the soft tissue of a foot: the toes, swollen over diseased joints, and the sole up to the ankle.

Geometry only; `ratui.phantom.tissue` computes the thickness.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ratui.phantom.anatomy import Array
from ratui.phantom.foot import Foot
from ratui.phantom.foot_anatomy import SOLE_BORDERS, THICKNESS, TOE_FLESH, joint_name
from ratui.phantom.lesions import is_healing
from ratui.phantom.parts import Layout, Thickness

__all__ = ["add_sole", "build_toe_flesh"]


def add_sole(layout: Layout, foot: Foot) -> None:
    """Add the outline and the thickness of the foot behind the toes to a `layout` with metatarsals."""
    flesh, scale = foot.body.flesh**0.7, foot.body.scale
    metatarsals = layout.metacarpals
    heads = [bone.end for bone in metatarsals]
    up = (heads[2] - metatarsals[2].start) / float(np.hypot(*(heads[2] - metatarsals[2].start)))
    medial = np.array([-up[1], up[0]])
    webs = [(heads[i] + heads[i + 1]) / 2 + up * reach * scale for i, reach in ((0, 15), (1, 15), (2, 13), (3, 10))]
    lateral, inner = (foot.to_film(_widen(np.array(points), flesh)) for points in SOLE_BORDERS)
    big, little = metatarsals[0].widths[2], metatarsals[4].widths[2]
    layout.palm = np.concatenate(
        [
            [heads[4] - medial * (little + 6.5 * scale * flesh) - up * 4.0 * scale],
            lateral,
            inner,
            [heads[0] + medial * (big + 5.0 * scale * flesh) - up * 8.0 * scale],
            [heads[0] + medial * (0.8 * big + 4.5 * scale * flesh) + up * 3.0 * scale],
            webs,
        ]
    )
    places, thick = (np.asarray(row) for row in THICKNESS)
    ends = foot.to_film(np.array([[100.0, places[0]], [100.0, places[-1]]]))
    down = ends[1] - ends[0]
    length = float(np.hypot(*down))
    along = (places - places[0]) * length / (places[-1] - places[0])
    layout.thickness = Thickness(ends[0], down / length, along, thick * scale)


def _widen(points: Array, flesh: float) -> Array:
    """Return points of the skin, moved away from the middle of the foot by the factor `flesh`."""
    return np.column_stack([100.0 + (points[:, 0] - 100.0) * (0.7 + 0.3 * flesh), points[:, 1]])


def build_toe_flesh(foot: Foot, ray: int, bones: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Return the midline of a toe's soft tissue, shape (n, 2), and its radii, shape (n,), in mm.

    `bones` are the two ends of each bone. The toe is thicker over swollen joints.
    """
    body, usual = foot.body, TOE_FLESH[ray]
    stout = body.scale * body.flesh**0.6
    points, radii = [0.12 * bones[0][0] + 0.88 * bones[0][1]], [usual[0] * stout]
    for number, (start, end) in enumerate(bones[1:], start=1):
        name = joint_name(ray, number)
        draw = foot.make_persistent_rng(name, "flesh", str(foot.time))
        if number == 1:
            points.append((start + end) / 2)
            radii.append(usual[1] * stout)
        site = foot.sites.get(name)
        puffed = 1.0
        if site is not None and not is_healing(foot.patient, site, foot.time):
            puffed += body.swelling * 0.16 * float(draw.random()) * min(foot.grade(name, "ERO"), 2)
        points.append(end)
        radii.append(usual[number + 1] * stout * puffed * float(draw.normal(1.0, 0.015)))
    return np.stack(points), np.asarray(radii)
