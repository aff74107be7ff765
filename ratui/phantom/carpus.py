"""Variation of the carpus between patients: shapes, overlap in projection, and loss of height by disease.

The tracing shows one hand. In other hands the pisiform lies over the triquetrum, the two multangulars overlap, a flexed
scaphoid looks short, and a diseased carpus is lower.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ratui.phantom.anatomy import ARTICULATIONS, CARPALS, WRIST_SPACE, Array
from ratui.phantom.body import make_persistent_rng
from ratui.phantom.hand import Hand

__all__ = ["close_gaps", "draw_projected_overlap", "vary_carpus"]

_DISTAL_ROW, _RADIUS, _MIDDLE = 213.0, 247.0, 108.0
"""Bases of the metacarpals, surface of the radius, and middle of the wrist, in mm of the tracing."""
_GAP_ROUNDS, _WIDEST_GAP = 4, 1.2
"""Rounds in which gaps are closed, and the widest space that is left, relative to a healthy one."""
_WARPS, _WARP_WIDTH, _WARP_SIZE = 8, 12.0, 1.7
"""Number, width and amplitude (mm) of the smooth displacements that are added to all bones of a wrist."""


def vary_carpus(hand: Hand, bones: Mapping[str, Array]) -> dict[str, Array]:
    """Return the outlines `bones` (mm of the tracing, by name) with the shapes and positions of this patient."""
    draw = make_persistent_rng(hand.patient, "carpus")  # both hands of a patient are alike
    varied = {name: _vary_bone(name, outline, draw) for name, outline in bones.items()}
    middles = {name: outline.mean(axis=0) for name, outline in varied.items()}
    _shift(varied, "pisiform", (middles["triquetrum"] - middles["pisiform"]) * draw.uniform(0.1, 1.15))
    _shift(varied, "trapezium", (middles["trapezoid"] - middles["trapezium"]) * draw.uniform(-0.25, 0.3))
    _shift(varied, "scaphoid", draw.normal(0.0, 0.6, 2))
    _shift(varied, "ulna", draw.normal((2.0, -4.0), (1.0, 1.6)))
    aside = np.array([draw.normal(2.0, 1.2), 0.0])  # of the forearm, towards the thumb
    for name, share in (("radius", 1.0), ("ulna", 1.0), ("scaphoid", 0.6), ("lunate", 0.6), ("triquetrum", 0.4)):
        _shift(varied, name, share * aside)
    varied = _warp(varied, draw)
    return _set_height(hand, varied, draw)


def close_gaps(hand: Hand, outlines: Mapping[str, Array], bases: Mapping[str, Array]) -> dict[str, Array]:
    """Return the outlines (mm of the film) with carpal bones shifted until no space is much wider than a healthy one.

    The `bases` of the metacarpals and the forearm keep their places.
    """
    moved = dict(outlines)
    for number in range(_GAP_ROUNDS):
        for first, second, _, share in ARTICULATIONS:
            ends = moved[first], moved[second] if second in moved else bases[second]
            apart = ends[1][None] - ends[0][:, None]
            nearest = apart.reshape(-1, 2)[int((apart**2).sum(axis=2).argmin())]
            gap = float(np.hypot(*nearest))
            excess = gap - _WIDEST_GAP * WRIST_SPACE * share * hand.body.gap * hand.body.scale
            mobile = [name for name in (first, second) if name in CARPALS]
            if excess <= 0 or not mobile:
                continue
            step = nearest / gap * excess / len(mobile)
            for name in mobile:
                towards = step if name == first else -step
                # A bone that others hold in its place grows towards the gap instead.
                held = number == _GAP_ROUNDS - 1
                moved[name] = _stretch(moved[name], towards) if held else moved[name] + towards
    return moved


def _stretch(outline: Array, by: Array) -> Array:
    """Return an outline whose half in the direction of `by` is stretched by this vector."""
    along = (outline - outline.mean(axis=0)) @ by
    return np.asarray(outline + by * np.clip(along / max(float(along.max()), 1e-9), 0, 1)[:, None])


def draw_projected_overlap(hand: Hand, first: str, second: str) -> float:
    """Return the width of a space without a score, relative to a healthy one; below 0 the bones overlap.

    Such a space narrows with the scored ones. In some hands the two bones overlap, because the rays do not meet the space.
    """
    draw = make_persistent_rng(hand.patient, "overlap", first, second)
    scored = [joint for joint in hand.sites if joint in ("CAP-NAV-LUN", "RC", "CMC4", "MULT-NAV")]
    narrow = float(np.mean([hand.grade(joint, "JSN") for joint in scored])) / 4 if scored else 0.0
    overlaps = draw.random() < 0.2
    width = draw.uniform(-0.9, 0.2) if overlaps else draw.uniform(0.7, 1.2)
    return float(width) * (1.0 - 0.8 * narrow) - 0.3 * narrow * float(draw.random())


def _vary_bone(name: str, outline: Array, draw: np.random.Generator) -> Array:
    if name not in CARPALS:
        return outline
    middle = outline.mean(axis=0)
    points = outline - middle
    stretch, turn = np.clip(draw.normal(1.0, 0.07, 2), 0.8, 1.25), draw.normal(0.0, 0.10)
    if name == "trapezium":
        stretch = stretch * draw.uniform(1.0, 1.3)
    axis = np.linalg.svd(points, full_matrices=False)[2]
    if name == "scaphoid":
        stretch[0] *= draw.uniform(0.74, 1.04)  # along the long axis: a flexed scaphoid is foreshortened
    points = (points @ axis.T * stretch) @ axis
    c, s = np.cos(turn), np.sin(turn)
    return np.asarray(points @ np.array([[c, s], [-s, c]]) + middle)


def _shift(bones: dict[str, Array], name: str, by: Array) -> None:
    bones[name] = bones[name] + by


def _warp(bones: Mapping[str, Array], draw: np.random.Generator) -> dict[str, Array]:
    """Return all outlines with smooth random displacements, which change distances and shapes together."""
    places = draw.uniform((78.0, 210.0), (142.0, 262.0), (_WARPS, 2))
    pushes = draw.normal(0.0, _WARP_SIZE, (_WARPS, 2))

    def moved(points: Array) -> Array:
        square = ((points[:, None] - places) ** 2).sum(axis=2)
        return np.asarray(points + np.exp(-0.5 * square / _WARP_WIDTH**2) @ pushes)

    return {name: moved(outline) for name, outline in bones.items()}


def _set_height(hand: Hand, bones: Mapping[str, Array], draw: np.random.Generator) -> dict[str, Array]:
    """Return all outlines with this patient's height of the carpus; in a low one the bones are flat and overlap."""
    severity = float(np.clip(hand.patient.severity - 1.0, 0.0, 2.0))
    height = float(np.clip(draw.normal(1.18, 0.07) - severity * draw.uniform(0.0, 0.22), 0.65, 1.35))
    # Half of a loss is flattening, the other half is overlap.
    flat = height if height > 1.0 else float(np.sqrt(height))
    narrow = float(np.clip(draw.normal(0.96, 0.035), 0.86, 1.06))  # width of the forearm
    lowered = {}
    for name, outline in bones.items():
        middle = outline.mean(axis=0) if name in CARPALS else np.array([0.0, _RADIUS])
        target = _DISTAL_ROW + (middle[1] - _DISTAL_ROW) * height
        points = outline.copy()
        if name not in CARPALS:
            points[:, 0] = _MIDDLE + (points[:, 0] - _MIDDLE) * narrow
        points[:, 1] = target + (outline[:, 1] - middle[1]) * (flat if name in CARPALS else 1.0)
        lowered[name] = points
    return lowered
