"""Fine structure at the ends of a long bone: margins, joint surfaces, inner contours of the head, and lucencies.

Positions are `u` mm along the bone and `v` mm across it. Formulas use single precision, for speed.
"""

from __future__ import annotations

import numpy as np

from ratui.phantom.anatomy import Array
from ratui.phantom.detail import BoneDetail, HeadContour, Lucency

__all__ = ["carve_lucencies", "compute_line_profile", "compute_spur_width", "draw_base_surface", "draw_head_contours"]

_F = np.float32


def compute_line_profile(distance: Array, width: float) -> Array:
    """Return a Gaussian profile of `distance` (mm) from a line, 0 beyond three widths."""
    part = distance * _F(1 / width)
    result = np.zeros_like(part)
    near = np.flatnonzero(np.abs(part) < 3)
    result.ravel()[near] = np.exp(-(part.ravel()[near] ** 2))
    return result


def compute_spur_width(
    half: Array, detail: BoneDetail, u: Array, v: Array, length: float, scale: float
) -> Array | float:
    """Return the width in mm that osteophytes add to the half width of a bone."""
    added: Array | float = 0.0
    for place, heights in ((0.5 * scale, detail.spurs[:2]), (length - 1.4 * scale, detail.spurs[2:])):
        if any(heights):
            height = np.where(v < 0, _F(heights[0]), _F(heights[1]))
            outer = np.clip(_F(2) * np.abs(v) / half - 1, 0, 1)  # the middle of the bone stays as it is
            added = added + height * outer * np.exp(-(((u - _F(place)) / _F(1.1 * scale)) ** 2))
    return added


def draw_base_surface(detail: BoneDetail, at_plate: Array, square: Array, mottled: Array) -> Array:
    """Return the mineral in mm of the dense zone under the surface of a bone's base, per mm that a ray runs in the bone.

    `at_plate` is the distance from the surface in mm, `square` the squared distance from the axis in half widths, and
    `mottled` the slow variation of density.
    """
    # The zone is thickest in the middle, and uneven.
    wide = _F(0.42) + _F(detail.band) * np.clip(1 - square + _F(0.25) * mottled, 0, 1.5)
    off = (at_plate - _F(0.45) - _F(0.6) * (wide - _F(0.42))) / wide
    zone = _F(2.4) * np.exp(-np.minimum(off * off, 30)) * (1 - _F(0.35 * min(detail.band, 1.0)))
    if detail.rim[1]:
        # The rims in front and behind are two contours, because the rays do not run along the surface.
        zone += _F(1.3 * detail.rim[1]) * compute_line_profile(at_plate - _F(detail.rim[0]) * (_F(1.15) - square), 0.34)
    return np.asarray(zone)


def draw_head_contours(
    contour: HeadContour, v: Array, at_head: Array, head: float, scale: float, mottled: Array
) -> tuple[Array, Array]:
    """Return the mineral in mm of the inner contours of a head, and the share of the mineral that remains beside them.

    `at_head` is the distance from the head's surface in mm, and `head` its half width.
    """
    positive = v >= 0
    place = np.where(positive, _F(contour.places[1]), _F(contour.places[0]))
    strength = np.where(positive, _F(contour.strengths[1]), _F(contour.strengths[0]))
    middle, reach = contour.extent
    level = np.exp(-(((at_head - _F(middle * head)) / _F(reach * head)) ** 4))
    # Each contour runs obliquely towards the shaft, with bays.
    edge = np.abs(v) - place * _F(head) + _F(contour.slope) * (at_head - _F(head)) + _F(contour.wave * 0.5) * mottled
    wide = _F(0.5 * scale) * (1 + _F(0.3) * np.clip(mottled, -2, 2))
    added = strength * level * np.exp(-np.minimum((edge / wide) ** 2, 30))
    share = 1 - _F(contour.thinning) * level / (1 + np.exp(np.clip(-edge / _F(0.5 * scale), -20, 20)))
    from_tip, aside, radius, dense = contour.spot
    if dense:
        far = ((at_head - _F(from_tip * head)) ** 2 + (v - _F(aside * head)) ** 2) / _F(radius**2)
        added += _F(dense) * np.exp(-np.minimum(far * (1 + _F(0.3) * np.clip(mottled, -2, 2)), 30))
    return np.asarray(added), np.asarray(share)


def carve_lucencies(
    mineral: Array, lucencies: tuple[Lucency, ...], u: Array, v: Array, length: float, half: Array
) -> None:
    """Remove small dark spots from `mineral` in place; all arrays have the same shape."""
    for spot in lucencies:
        along = spot.along if spot.along > 0 else length + spot.along
        near = np.flatnonzero(np.abs(u - _F(along)) < 2.5 * spot.radius)
        off = ((u[near] - _F(along)) ** 2 + (v[near] - _F(spot.across) * half[near]) ** 2) / _F(spot.radius**2)
        mineral[near] *= 1 - _F(spot.depth) * np.exp(-np.minimum(off, 30))
