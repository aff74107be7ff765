"""Fine structure of a long bone at the scale of a joint: trabeculae, joint surfaces, margins, and harmless lucencies.

Healthy bones differ in these, so that a model cannot take each dark spot or each blurred line for damage. All values are
constant for a patient; only bone loss near the joints follows the severity of the disease.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ratui.phantom.anatomy import Point
from ratui.phantom.limb import Limb

__all__ = ["PLAIN", "BoneDetail", "HeadContour", "Lucency", "draw_detail"]

_OSTEOPHYTE_AGE = 50.0


@dataclass(frozen=True)
class Lucency:
    """A small dark spot of healthy bone, such as a vascular channel.

    `along` is its distance from the base in mm, or from the head if negative; `across` its distance from the axis in half
    widths; `radius` is in mm, and `depth` the share of the mineral that is missing in its centre.
    """

    along: float
    across: float
    radius: float
    depth: float


@dataclass(frozen=True)
class HeadContour:
    """Inner contours of a metacarpal head: the borders of the hollows for the collateral ligaments.

    `places` are their distances from the axis in half widths of the head, for the negative and the positive side;
    `strengths` their mineral in mm; `thinning` the share of the mineral that is missing outside of them; `extent`
    the distance of their middle from the tip and half their length, in half widths; `slope` their obliquity, `wave` the
    irregularity of their course in mm; `spot` a dense area: distance from the tip and from the axis in half widths, radius
    in mm, and mineral in mm.
    """

    places: tuple[float, float]
    strengths: tuple[float, float]
    thinning: float
    extent: tuple[float, float]
    slope: float
    wave: float
    spot: tuple[float, float, float, float]


@dataclass(frozen=True)
class BoneDetail:
    """Fine structure of a long bone; the values by default give a plain one.

    Attributes
    ----------
    grain, mesh, fineness
        Contrast of the trabeculae, share of those without a direction near the joints, and their number per mm relative
        to the usual.
    mottle
        Relative variation of the density over some mm.
    bone_loss
        Share of the mineral that is lost near the joints (periarticular osteopenia).
    wall
        Thickness of the cortex near the joints, relative to the usual.
    band, rim
        Width in mm by which the dense zone below the base's surface exceeds the usual, and the second contour of the base:
        distance from the first in mm, and strength.
    corner, rounding
        Where the base's margin begins to be round, in half widths, and how much, in mm.
    groove
        Depth of the notch in the head of a phalanx, relative to the usual.
    spurs
        Heights of osteophytes in mm: at the base on the negative and the positive side, and at the head.
    head
        Inner contours of a metacarpal head.
    lucencies
        Small dark spots.
    """

    grain: float = 0.18
    mesh: float = 0.0
    fineness: float = 1.0
    mottle: float = 0.0
    bone_loss: float = 0.0
    wall: float = 1.0
    band: float = 0.0
    rim: tuple[float, float] = (1.0, 0.0)
    corner: float = 0.72
    rounding: float = 14.0
    groove: float = 1.0
    spurs: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    head: HeadContour | None = None
    lucencies: tuple[Lucency, ...] = ()


PLAIN = BoneDetail()
"""A bone without variation."""


def draw_detail(
    limb: Limb, ray: int, number: int, form: Literal["metacarpal", "phalanx", "tip"], *, in_foot: bool = False
) -> BoneDetail:
    """Draw the fine structure of the bone `number` of a finger or toe, counted from the metacarpal or metatarsal."""
    person, own = (
        limb.make_patient_rng("bone detail"),
        limb.make_persistent_rng(f"{'foot' if in_foot else 'hand'} detail {ray} {number}"),
    )
    coarse, mottled, sharp = person.random(3)
    lost = float(person.uniform(0.0, 0.2 + 0.14 * min(limb.patient.severity, 2.5)))
    old = float(np.clip((limb.patient.age - _OSTEOPHYTE_AGE) / 25, 0, 1)) * float(person.random())
    return BoneDetail(
        grain=float(0.22 + 0.44 * coarse * own.uniform(0.7, 1.2)),
        mesh=float(own.uniform(0.6, 1.0)),
        fineness=float(np.clip(1.25 - 0.5 * coarse + own.normal(0.0, 0.06), 0.6, 1.4)),
        mottle=float((0.03 + 0.11 * mottled) * own.uniform(0.6, 1.4)),
        bone_loss=lost * float(own.uniform(0.6, 1.2)),
        wall=float(own.uniform(0.45, 1.15)) * float(0.7 + 0.5 * sharp),
        band=float(max(0.0, own.normal(0.35, 0.3))) * limb.body.scale,
        rim=(float(own.uniform(0.8, 2.2)) * limb.body.scale, float(max(0.0, own.normal(0.5, 0.5)))),
        corner=float(own.uniform(0.42, 0.70)),
        rounding=float(own.uniform(9.0, 18.0)),
        groove=float(own.uniform(0.5, 1.8)),
        spurs=_draw_spurs(own, old, limb.body.scale),
        head=_draw_head_contour(own, limb.body.scale) if form == "metacarpal" else None,
        lucencies=_draw_lucencies(own, limb.body.scale),
    )


def _draw_spurs(own: np.random.Generator, old: float, scale: float) -> tuple[float, float, float, float]:
    """Return heights of osteophytes, which are rare before `_OSTEOPHYTE_AGE`; the number of draws is constant."""
    there, height = own.random(4) < 0.7 * old, own.uniform(0.3, 1.4, 4)
    base_low, base_high, head_low, head_high = (float(v) for v in np.where(there, height * scale, 0.0))
    return base_low, base_high, 0.7 * head_low, 0.7 * head_high


def _draw_head_contour(own: np.random.Generator, scale: float) -> HeadContour:
    places, strengths = own.uniform(0.45, 0.8, 2), own.uniform(0.2, 2.6, 2)
    strengths[int(own.integers(2))] *= float(own.uniform(1.0, 2.4))  # usually one side is much more conspicuous
    strength = float(own.uniform(0.8, 2.8)) if own.random() < 0.3 else 0.0
    spot = (float(own.uniform(0.5, 1.3)), float(own.normal(0.0, 0.25)), float(own.uniform(0.8, 2.0)) * scale, strength)
    return HeadContour(
        (float(places[0]), float(places[1])),
        (float(strengths[0]), float(strengths[1])),
        thinning=float(own.uniform(0.1, 0.5)),
        extent=(float(own.uniform(0.65, 1.15)), float(own.uniform(0.4, 0.85))),
        slope=float(own.uniform(-0.05, 0.3)),
        wave=float(own.uniform(0.1, 0.7)) * scale,
        spot=spot,
    )


def _draw_lucencies(own: np.random.Generator, scale: float) -> tuple[Lucency, ...]:
    lucencies = []
    for end in (1.0, -1.0):
        for _ in range(2):
            place: Point = (float(own.uniform(1.5, 9.0)), float(own.uniform(-0.7, 0.7)))
            radius, depth = float(own.uniform(0.35, 1.3)), float(own.uniform(0.06, 0.26))
            if own.random() < 0.4:
                lucencies.append(Lucency(end * place[0] * scale, place[1], radius * scale, depth))
    return tuple(lucencies)
