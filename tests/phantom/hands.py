"""Helpers for tests of the simulator: patients with chosen damage, and hands laid out and drawn without a film."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ratui.phantom import PhantomPatient, simulate_patient
from ratui.phantom.body import draw_body
from ratui.phantom.bones import Canvas, add_bridge, add_long_bone, add_short_bone
from ratui.phantom.hand import Hand
from ratui.phantom.parts import Layout
from ratui.phantom.pose import Pose
from ratui.phantom.skeleton import build_layout
from ratui.scheme import load_scheme

MM = 0.2
FLAT = Pose((0.0,) * 5, np.zeros((5, 3)), np.zeros((5, 4)), 0.0, 0.0, (0.0, 0.0))


def patient(
    seed: int = 1, severity: float | None = 1.0, scheme: str = "fingers", age: float | None = None
) -> PhantomPatient:  # fmt: skip
    return simulate_patient(np.random.default_rng(seed), load_scheme(scheme), severity=severity, age=age)


def healthy(seed: int = 1, scheme: str = "mtss-hands") -> PhantomPatient:
    return patient(seed, severity=0.0, scheme=scheme, age=40.0)


def with_damage(who: PhantomPatient, grades: Mapping[tuple[str, str, int], int], **findings: str) -> PhantomPatient:
    """Return `who` with grades by site, scale and time, and `findings` at the first time by site, ``_`` for the dot."""
    found = {(site.replace("_", ".", 1), 0): finding for site, finding in findings.items()}
    return replace(who, grades={**who.grades, **grades}, findings=found)


def flat_layout(who: PhantomPatient, time: int = 0, side: Literal["L", "R"] = "L") -> Layout:
    """Return the layout of the flat hand of `side`."""
    return build_layout(Hand(who, side, time, draw_body(who, side), FLAT))


def mineral(layout: Layout, site: str) -> npt.NDArray[np.floating[Any]]:
    """Return the bones of `layout` drawn in the box of `site`, in mm of mineral."""
    centre, width = layout.centres[site]
    count = round(width / MM)
    canvas = Canvas(count, count, MM, centre - width / 2)
    for short in layout.short_bones:
        add_short_bone(canvas, short)
    for bone in layout.long_bones:
        add_long_bone(canvas, bone)
    for bridge in layout.bridges:
        add_bridge(canvas, bridge)
    return canvas.mineral
