"""Helpers for tests of simulated feet: feet laid out in a neutral pose and drawn without a film."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ratui.phantom import PhantomPatient
from ratui.phantom.bones import Canvas, add_long_bone, add_short_bone
from ratui.phantom.foot import Foot, draw_foot_body
from ratui.phantom.foot_pose import FootPose
from ratui.phantom.foot_skeleton import build_foot_layout
from ratui.phantom.parts import Layout, LongBone
from tests.phantom.hands import mineral

JOINTS = ("FIP1", "MTP1", "MTP2", "MTP3", "MTP4", "MTP5")
NEUTRAL = FootPose(np.radians(12), np.zeros(5), np.zeros((5, 3)), np.zeros((5, 3)), 0.0, (0.5, 0.9))


def foot_layout(
    who: PhantomPatient,
    time: int = 0,
    side: Literal["L", "R"] = "L",
    hallux_valgus: float = 12.0,
    pose: FootPose = NEUTRAL,
) -> Layout:
    """Return the layout of a foot in `pose`, with this angle of hallux valgus in degrees."""
    pose = replace(pose, hallux_valgus=float(np.radians(hallux_valgus)))
    return build_foot_layout(Foot(who, side, time, draw_foot_body(who, side), pose))


def bones_of(layout: Layout, joint: str) -> tuple[LongBone, LongBone]:
    """Return the two bones that meet in a scored joint of the foot."""
    ray = int(joint[-1])
    first = (0 if ray == 1 else 3 + 4 * (ray - 2)) + (1 if joint == "FIP1" else 0)  # the big toe has three bones
    return layout.long_bones[first], layout.long_bones[first + 1]


def foot_mineral(layout: Layout, site: str) -> npt.NDArray[np.floating[Any]]:
    """Return the bones of `layout` drawn in the box of `site`, in mm of mineral, without sesamoids."""
    return mineral(replace(layout, short_bones=[]), site)


def whole_mineral(
    layout: Layout, mm: float = 0.5
) -> tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.floating[Any]]]:
    """Return all bones of `layout` in mm of mineral, and the position of the top left corner in mm."""
    points = np.concatenate([np.stack([bone.start, bone.end]) for bone in layout.long_bones])
    low, high = points.min(axis=0) - 12, points.max(axis=0) + 12
    columns, rows = np.ceil((high - low) / mm).astype(int)
    canvas = Canvas(int(rows), int(columns), mm, low)
    for short in layout.short_bones:
        add_short_bone(canvas, short)
    for bone in layout.long_bones:
        add_long_bone(canvas, bone)
    return canvas.mineral, low
