"""What can't be true of the boxes on a film: missing, off the film, on top of each other, or on the wrong side.

Pure checks of boxes against a scheme's view, for the regions screen and for whatever brings boxes in from elsewhere. They
look at no pixel and change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.imaging import Box, fit_similarity
from ratui.scheme import Scheme, Site
from ratui.study.case import FilmRecord

__all__ = ["FaultKind", "RegionFault", "find_faults", "is_mirrored"]

FaultKind: TypeAlias = Literal["missing", "off film", "overlap", "mirrored", "order"]
_Points: TypeAlias = npt.NDArray[np.float64]

_MIN_FRACTION_ON_FILM = 0.4  # of a box's area
_MAX_OVERLAP, _MAX_EXTRA_OVERLAP = 0.5, 0.3  # boxes may share this much, or so much more than the template's do
_MAX_RESIDUAL_RATIO = 0.6  # how much better a mirrored template must fit than a plain one
_MIN_BOXES = 4  # boxes that it takes to say on which side the thumb lies
_MIN_COSINE = -0.5  # cosine of the angle between two joints of the template and on the film
_MIN_DISTANCE = 0.75  # joints that lie closer, in boxes, may change places: carpal bones do


@dataclass(frozen=True)
class RegionFault:
    """What is wrong with the box of `site`; `other` is the site that it is wrong against, if it is one."""

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
    """What can't be true of `boxes`, by site key, on `film`; empty where nothing is wrong.

    Each of `sites` must have an entry in `boxes`; None means that the site is not on the film. `expect_mirrored` says
    that the hands on this film are known to be mirrored. Rotated films and crooked fingers are no faults.
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
    """Whether the boxes of `side` lie as in a mirror (thumb on the wrong side); None where they are too few to tell."""
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
    template = scheme.views[film.view].template
    for index, (site, box) in enumerate(placed):
        for other, other_box in placed[:index]:
            usual = 0.0
            if site.side == other.side and site.joint.id in template and other.joint.id in template:
                here, there = (_template_square(template[each.joint.id], film) for each in (site, other))
                usual = here.intersection_over_union(there)
            if box.intersection_over_union(other_box) > max(_MAX_OVERLAP, usual + _MAX_EXTRA_OVERLAP):
                found.append(RegionFault("overlap", site.key, other.key))
    return found


def _find_misorientation(
    scheme: Scheme, film: FilmRecord, hand: list[tuple[Site, Box]], expect_mirrored: bool
) -> list[RegionFault]:
    """Faults of one hand or foot as a whole: the wrong way round, or two joints that have changed places."""
    if not hand:
        return []
    way = is_mirrored(scheme, film, {site.key: box for site, box in hand}, hand[0][0].side)
    if way is not None and way != expect_mirrored:
        # Of all the boxes of a hand the one farthest to a side shows it best.
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
    """Where the template has the joints of `hand` and where they are, centres in film pixels, shape (joints, 2)."""
    known = scheme.views[film.view].template
    both = [
        (_template_square(known[site.joint.id], film, site.side).centre, box.centre)
        for site, box in hand
        if site.joint.id in known
    ]
    if not both:
        return np.zeros((0, 2)), np.zeros((0, 2))
    template, points = np.array([a for a, _ in both]), np.array([b for _, b in both])
    return template, points


def _template_square(place: tuple[float, float, float], film: FilmRecord, side: str = "L") -> Box:
    """The template's box in pixels; on a film of both hands one takes half of the width."""
    width = film.columns / len(film.sides)
    x = 1 - place[0] if side == "R" else place[0]
    return Box.from_centre(x * width, place[1] * film.rows, place[2] * width)


def _residual(template: _Points, points: _Points) -> float:
    """Return the root mean square distance of the points from the template, after the best turn, size and shift."""
    fit = fit_similarity(template, points)
    rest = points - template @ fit[:, :2].T - fit[:, 2]
    return float(np.sqrt((rest * rest).sum(axis=1).mean()))
