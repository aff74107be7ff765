"""Find impossible boxes on a film: missing, outside the film, overlapping, mirrored, or in each other's places.

Pure functions of boxes and a scheme's view, for the regions screen and for imports of boxes. They read no pixel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.imaging import Box, fit_similarity
from ratui.regions.initial import find_template_box
from ratui.scheme import Scheme, Site
from ratui.study.case import FilmRecord

__all__ = ["FaultKind", "RegionFault", "find_faults", "is_mirrored"]

FaultKind: TypeAlias = Literal["missing", "off film", "overlap", "mirrored", "order"]
_Points: TypeAlias = npt.NDArray[np.float64]

_MIN_FRACTION_ON_FILM = 0.4  # of a box's area
# Intersection over union that two boxes may have, and the excess over that of the template's boxes.
_MAX_OVERLAP, _MAX_EXTRA_OVERLAP = 0.5, 0.3
_MAX_RESIDUAL_RATIO = 0.6  # of the better fit to the worse one; above it the orientation is unknown
_MIN_BOXES = 4  # fewer boxes do not determine the orientation
_MIN_COSINE = -0.5  # of the angle between the line of two joints in the template and on the film
_MIN_DISTANCE = 0.75  # in box widths; closer joints, such as carpal bones, may change places


@dataclass(frozen=True)
class RegionFault:
    """A fault of the box of `site`; `other` is the second site of an overlap or an exchange, else empty."""

    kind: FaultKind
    site: str
    other: str = ""


def find_faults(
    scheme: Scheme,
    film: FilmRecord,
    sites: Iterable[Site],
    boxes: Mapping[str, Box | None],
    *,
    expect_mirrored: bool = False,
) -> tuple[RegionFault, ...]:
    """Return the faults of the boxes on a film; empty if there are none.

    Rotated films and crooked fingers are no faults.

    Parameters
    ----------
    scheme, film
        The film and the scheme that defines its view.
    sites
        Sites that must have an entry in `boxes`.
    boxes
        Boxes in pixels by site key; None means that the site is not on the film.
    expect_mirrored
        True if the hands on this film are known to be mirrored.
    """
    wanted = list(sites)
    found = [RegionFault("missing", site.key) for site in wanted if site.key not in boxes]
    placed = [(site, box) for site in wanted if (box := boxes.get(site.key)) is not None]
    found += [
        RegionFault("off film", site.key)
        for site, box in placed
        if _fraction_on_film(film, box) < _MIN_FRACTION_ON_FILM
    ]
    found += _find_overlaps(scheme, film, placed)
    for side in film.sides:
        hand = [(site, box) for site, box in placed if site.side == side]
        found += _find_misorientation(scheme, film, hand, expect_mirrored)
    return tuple(found)


def is_mirrored(scheme: Scheme, film: FilmRecord, boxes: Mapping[str, Box | None], side: str) -> bool | None:
    """Return whether the boxes of `side` lie mirrored, with the thumb on the wrong side; None if they are too few to tell.

    The view's template is fitted to the boxes with and without mirroring, and the residuals are compared, so no joint needs
    a special role.
    """
    known = {site.key: site for site in scheme.sites}
    hand = [(known[key], box) for key, box in boxes.items() if box is not None and key in known and key[0] == side]
    template, points = _match_to_template(scheme, film, hand)
    if len(points) < _MIN_BOXES:
        return None
    plain, mirror = _residual(template, points), _residual(template * [-1, 1], points)
    if mirror < _MAX_RESIDUAL_RATIO * plain:
        return True
    return False if plain < _MAX_RESIDUAL_RATIO * mirror else None


def _fraction_on_film(film: FilmRecord, box: Box) -> float:
    return box.intersection_area(Box.from_size(film.columns, film.rows)) / box.area


def _find_overlaps(scheme: Scheme, film: FilmRecord, placed: list[tuple[Site, Box]]) -> list[RegionFault]:
    found = []
    for index, (site, box) in enumerate(placed):
        for other, other_box in placed[:index]:
            here, there = (find_template_box(scheme, film, each) for each in (site, other))
            usual = 0.0  # overlap in the template
            if site.side == other.side and here is not None and there is not None:
                usual = here.intersection_over_union(there)
            if box.intersection_over_union(other_box) > max(_MAX_OVERLAP, usual + _MAX_EXTRA_OVERLAP):
                found.append(RegionFault("overlap", site.key, other.key))
    return found


def _find_misorientation(
    scheme: Scheme, film: FilmRecord, hand: list[tuple[Site, Box]], expect_mirrored: bool
) -> list[RegionFault]:
    """Return the faults of one hand or foot as a whole: mirrored, or two joints in each other's places."""
    if not hand:
        return []
    way = is_mirrored(scheme, film, {site.key: box for site, box in hand}, hand[0][0].side)
    if way is not None and way != expect_mirrored:
        # Report the outermost box of the hand, which shows the fault best.
        outer = max(hand, key=lambda item: scheme.views[film.view].template.get(item[0].joint.id, (0.0,))[0])
        return [RegionFault("mirrored", outer[0].key)]
    template, points = _match_to_template(scheme, film, hand)
    if len(points) < _MIN_BOXES:
        return []
    if expect_mirrored:
        template = template * [-1, 1]
    known = [(site, box) for site, box in hand if site.joint.id in scheme.views[film.view].template]
    turn = fit_similarity(template, points)[:, :2]
    found = []
    for i in range(len(known)):
        for j in range(i):
            before, now = turn @ (template[i] - template[j]), points[i] - points[j]
            size = min(box.width for _, box in (known[i], known[j]))
            lengths = np.hypot(*before), np.hypot(*now)
            if min(lengths) > _MIN_DISTANCE * size and before @ now < _MIN_COSINE * lengths[0] * lengths[1]:
                found.append(RegionFault("order", known[i][0].key, known[j][0].key))
    return found


def _match_to_template(scheme: Scheme, film: FilmRecord, hand: list[tuple[Site, Box]]) -> tuple[_Points, _Points]:
    """Return the centres of the joints of `hand` in the template and on the film, in pixels, shape (joints, 2) each."""
    both = [
        (expected.centre, box.centre)
        for site, box in hand
        if (expected := find_template_box(scheme, film, site)) is not None
    ]
    if not both:
        return np.zeros((0, 2)), np.zeros((0, 2))
    template, points = np.array([a for a, _ in both]), np.array([b for _, b in both])
    return template, points


def _residual(template: _Points, points: _Points) -> float:
    """Return the root mean square distance of the points from the template, after the best turn, size and shift."""
    fit = fit_similarity(template, points)
    rest = points - template @ fit[:, :2].T - fit[:, 2]
    return float(np.sqrt((rest * rest).sum(axis=1).mean()))
