"""Damage by grade: erosions and joint spaces, in units relative to the bone.

The location and shape of damage are constant for a patient and the grade sets its size, so damage grows in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ratui.phantom.anatomy import Array, Point
from ratui.phantom.body import make_persistent_rng
from ratui.phantom.truth import PhantomPatient
from ratui.scheme import Site

__all__ = [
    "Erosion",
    "ErosionEllipse",
    "JointSpace",
    "draw_erosions",
    "draw_joint_space",
    "draw_sided_erosions",
    "is_healing",
    "place_at_end",
    "place_on_outlines",
    "split_grade",
    "split_sides",
]


@dataclass(frozen=True)
class ErosionEllipse:
    """An erosion with a ragged elliptic outline.

    `at` is its centre, `across` and `along` are its half axes, all in mm; `across` has the direction `angle` (radians).
    It removes the fraction `depth` of the mineral. `rim` is the relative density of its edge, `edge` the softness of
    the edge in mm, and `phase` varies the raggedness.
    """

    at: Point
    across: float
    along: float
    angle: float
    depth: float
    rim: float
    edge: float
    phase: float


@dataclass(frozen=True)
class Erosion:
    """An erosion relative to its bone.

    `reach` is the distance from the margin inwards, in half widths of the bone; above 1 it crosses the midline. `slot`
    is its number within the joint; `outer` tells on which of the two bones it is, `sign` on which side.
    """

    slot: int
    outer: bool
    sign: int
    reach: float
    along: float
    length: float
    depth: float
    rim: float
    edge: float
    phase: float
    inside: float


@dataclass(frozen=True)
class JointSpace:
    """State of a joint space.

    `remaining` is the remaining fraction of its width, `focal_loss` the additional loss at one place, and
    `focal_position` that place across the joint, from −1 to 1.
    """

    remaining: float
    focal_loss: float
    focal_position: float


_GROWTH = 0.04  # difference in size of an erosion from the mean of its grade: less at the first time point, more later
# Minimum and maximum reach of an erosion of size 0 to 3, in half widths of the bone.
_REACH = ((0.0, 0.0), (0.26, 0.48), (0.58, 0.92), (1.12, 1.5))
# Minimum and maximum of the remaining width of a joint space, and of the focal loss, by grade of JSN.
_LEFT = ((0.93, 1.07), (0.84, 0.98), (0.54, 0.74), (0.16, 0.40), (0.0, 0.06))
_FOCAL = ((0.0, 0.0), (0.34, 0.55), (0.0, 0.16), (0.0, 0.12), (0.0, 0.0))


def split_grade(grade: int, caps: tuple[int, int]) -> tuple[int, int, int]:
    """Split a grade into the sizes of three erosions, none above 3.

    The sizes add up to `grade`, and no size decreases when the grade increases. `caps` are the maxima of the first two.
    """
    first = min(grade, caps[0])
    second = min(grade - first, caps[1])
    return first, second, min(grade - first - second, 3)


def draw_erosions(patient: PhantomPatient, site: Site, time: int) -> list[Erosion]:
    """Return the erosions of `site` at `time` according to its grade of ERO."""
    grade = min(patient.grade(site, "ERO", time), 5)
    if not grade:
        return []
    draw = make_persistent_rng(patient, site.key, "ERO")
    caps = (2, 2) if draw.random() < 0.45 else (3, 2)
    sizes = split_grade(grade, caps)
    first_outer = draw.random() < 0.38  # the inner of the two bones (the head) is eroded more often
    first_sign = 1 if draw.random() < (0.3 if site.joint.id[-1:] == "5" else 0.62) else -1
    faint = draw.random() < 0.3  # some erosions have little contrast, regardless of their size
    healing = is_healing(patient, site, time)
    drawn_erosions = []
    for slot, size in enumerate(sizes):
        outer, sign = first_outer, first_sign
        if slot:
            outer, sign = (not first_outer, first_sign) if draw.random() < 0.6 else (first_outer, -first_sign)
        erosion = _draw_erosion(
            draw, slot, size, outer, sign, faint, grown=_GROWTH if time else -_GROWTH, healing=healing
        )
        if size:
            drawn_erosions.append(erosion)
    return drawn_erosions


def _draw_erosion(
    draw: np.random.Generator, slot: int, size: int, outer: bool, sign: int, faint: bool, *, grown: float, healing: bool
) -> Erosion:  # fmt: skip
    """Draw an erosion of `size` 0 to 3; the number of random draws does not depend on the size."""
    low, high = _REACH[size]
    where = draw.random()
    depth = draw.uniform(0.36, 0.66) if faint else draw.uniform(0.6, 0.97)
    rim = max(0.0, draw.normal(0.06, 0.16)) + (0.45 if healing else 0.0)
    return Erosion(
        slot=slot,
        outer=outer,
        sign=sign,
        reach=float(np.clip(low + (high - low) * (where + grown), low, high)),
        along=float(draw.uniform(0.18, 0.72)),
        length=float(draw.uniform(0.24, 0.44)),
        depth=float(depth * (0.75 if healing else 1.0)),
        rim=float(rim),
        edge=float(draw.uniform(0.10, 0.38)),
        phase=float(draw.uniform(0, 6.3)),
        inside=float(draw.uniform(0.12, 0.3)) if draw.random() < 0.14 else 0.0,  # a cyst that spares the margin
    )


def split_sides(patient: PhantomPatient, site: Site, grade: int) -> tuple[int, int]:
    """Split a grade of ERO from 0 to 10 into those of the proximal and the distal side of the joint, none above 5.

    No side decreases when the grade increases. The proximal side (the head) is usually eroded more.
    """
    draw = make_persistent_rng(patient, site.key, "sides")
    share = float(draw.uniform(0.5, 0.95)) if draw.random() < 0.8 else float(draw.uniform(0.1, 0.5))
    proximal = int(np.clip(round(grade * share), grade - 5, 5))
    return proximal, grade - proximal


def draw_sided_erosions(patient: PhantomPatient, site: Site, time: int) -> list[Erosion]:
    """Return the erosions of a joint of the foot at `time`: its grade of ERO counts 0 to 5 on each side of the joint."""
    healing = is_healing(patient, site, time)
    drawn_erosions = []
    for outer, grade in zip((False, True), split_sides(patient, site, patient.grade(site, "ERO", time)), strict=True):
        draw = make_persistent_rng(patient, site.key, "ERO", "distal" if outer else "proximal")
        caps = (2, 2) if draw.random() < 0.45 else (3, 2)
        # The outer edge of the fifth metatarsal and the inner edges of the others erode first.
        lateral = draw.random() < (0.75 if site.joint.id[-1:] == "5" else 0.42)
        first_sign = (1 if lateral else -1) * (-1 if outer else 1)
        faint = draw.random() < 0.3
        for slot, size in enumerate(split_grade(grade, caps)):
            sign = -first_sign if slot == 1 else first_sign
            grown = _GROWTH if time else -_GROWTH
            erosion = _draw_erosion(draw, slot, size, outer, sign, faint, grown=grown, healing=healing)
            if size:
                drawn_erosions.append(erosion)
    return drawn_erosions


def is_healing(patient: PhantomPatient, site: Site, time: int) -> bool:
    """Return True if an erosion of `site` has become smaller; repair leaves a dense edge."""
    before = max((patient.grade(site, "ERO", each) for each in range(time)), default=0)
    return 0 < patient.grade(site, "ERO", time) < before


def draw_joint_space(patient: PhantomPatient, site: Site, time: int) -> JointSpace:
    """Return the state of the joint space of `site` at `time` according to its grade of JSN."""
    # The scheme does not score JSN of the thumb's IP joint; its space narrows with erosion, as in patients.
    scored = "JSN" in site.joint.scales
    grade = patient.grade(site, "JSN", time) if scored else max(0, patient.grade(site, "ERO", time) - 2)
    grade = min(grade, 4)
    draw = make_persistent_rng(patient, site.key, "JSN")
    place, more, where = draw.random(3)
    remaining = _LEFT[grade][0] + place * (_LEFT[grade][1] - _LEFT[grade][0])
    focal_loss = _FOCAL[grade][0] + more * (_FOCAL[grade][1] - _FOCAL[grade][0])
    return JointSpace(remaining, focal_loss, float(1.5 * where - 0.75))


def place_at_end(erosion: Erosion, end: Array, axis: Array, width: float) -> ErosionEllipse:
    """Place an erosion on the end of a long bone.

    `end` is the midpoint of the joint surface (mm), `axis` the unit vector into the bone, `width` the half width (mm).
    """
    normal = np.array([-axis[1], axis[0]]) * erosion.sign
    reach = erosion.reach * width
    # Part of the ellipse lies outside the margin, so that the erosion interrupts the cortex.
    outside = 0.0 if erosion.inside else 0.45 * min(reach, 0.5 * width)
    across = (reach + outside) / 2
    centre = end + axis * erosion.along * width + normal * (width * (1 - erosion.inside) + outside - across)
    along = width * erosion.length * (0.62 + 0.5 * min(erosion.reach, 1.2))
    angle = float(np.arctan2(normal[1], normal[0])) + 0.35 * float(np.sin(erosion.phase))
    return ErosionEllipse(
        (float(centre[0]), float(centre[1])),
        across,
        along,
        angle,
        erosion.depth,
        erosion.rim,
        erosion.edge,
        erosion.phase,
    )


def place_on_outlines(
    patient: PhantomPatient, site: Site, time: int, outlines: list[Array], margins: list[Array]
) -> list[list[ErosionEllipse]]:
    """Return the erosions of a site of the wrist for each of its bones.

    `outlines` are the outlines of the bones, `margins` the points at which erosions may begin, in mm.
    """
    draw = make_persistent_rng(patient, site.key, "margin")
    erosions: list[list[ErosionEllipse]] = [[] for _ in outlines]
    places = [(int(draw.integers(len(outlines))), draw.random(), draw.uniform(0.8, 1.25)) for _ in range(3)]
    for erosion in draw_erosions(patient, site, time):
        bone, place, longer = places[erosion.slot]
        margin, middle = margins[bone], outlines[bone].mean(axis=0)
        at = margin[int(place * len(margin)) % len(margin)]
        inwards = middle - at
        half = float(np.sqrt(_area(outlines[bone]) / np.pi)) * 0.95
        half = min(half, 7.0)  # the ends of the forearm are much larger than a carpal bone; erosions are not
        inwards = inwards / max(float(np.hypot(*inwards)), 1e-6)
        reach = erosion.reach * half
        outside = 0.0 if erosion.inside else 0.4 * min(reach, 0.5 * half)
        across = (reach + outside) / 2
        centre = at + inwards * (across - outside + erosion.inside * half)
        along = half * erosion.length * longer * (0.65 + 0.5 * min(erosion.reach, 1.2))
        angle = float(np.arctan2(inwards[1], inwards[0])) + 0.3 * float(np.sin(erosion.phase))
        point = (float(centre[0]), float(centre[1]))
        erosions[bone].append(
            ErosionEllipse(point, across, along, angle, erosion.depth, erosion.rim, erosion.edge, erosion.phase)
        )
    return erosions


def _area(outline: Array) -> float:
    closed = np.concatenate([outline, outline[:1]])
    return abs(sum(float(a[0] * b[1] - b[0] * a[1]) for a, b in pairwise(closed))) / 2
