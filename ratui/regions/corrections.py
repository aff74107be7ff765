"""Let the boxes that no image supports follow the boxes that a rater confirmed or moved, and those that a model found.

Each hand or foot is treated by itself. Boxes that are confirmed, placed by the rater, or supported by the image stay where
they are: on phantoms, moving those as well made them worse (`benchmarks/box_corrections.py`). Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ratui.imaging import Box
from ratui.regions.initial import find_template_box
from ratui.regions.kriging import Observation, find_most_informative, predict_boxes
from ratui.scheme import Scheme, Site
from ratui.study import FilmRecord, Region, RegionSource

__all__ = [
    "FOLLOWING_SOURCES",
    "UNSUPPORTED_SOURCES",
    "find_next_site",
    "follow_corrections",
    "list_flexibilities",
    "place_by_evidence",
]

UNSUPPORTED_SOURCES = (RegionSource.TEMPLATE, RegionSource.OTHER_FILM)
"""Sources that say nothing about this film's image."""
FOLLOWING_SOURCES = (*UNSUPPORTED_SOURCES, RegionSource.ESTIMATED)
"""Sources of boxes that follow others; only the box of an unconfirmed region follows."""

_FLEXIBILITY = {"PIP": 0.35, "IP": 0.35, "MTP": 0.2, "MCP": 0.15}
"""Standard deviation of a joint's own offset in boxes, by the joint's group. Measured on phantoms: PIP 0.28, MCP 0.13."""
_RIGID = 0.12
"""The same for other groups, such as the wrist: 0.06 on phantoms, more on real hands."""
_RATER_ERROR = 0.05
"""Standard deviation of a box that a rater placed, in boxes."""
_ACCEPTED_ERROR = 0.12
"""The same of a box that a rater accepted as it was: up to a quarter of a box away from the joint."""
_FOUND_ERROR = 0.1
"""The same of a box found in the image with full confidence; `_DOUBT` is added without any confidence."""
_DOUBT = 0.3


def follow_corrections(
    film: FilmRecord, sites: Iterable[Site], regions: Mapping[str, Region], initial: Mapping[str, Region]
) -> dict[str, Region]:
    """Return `regions` with the boxes that no image supports moved to where the other boxes of their hand predict them.

    A box that was moved has the source `RegionSource.ESTIMATED`. Sites without a box are ignored and stay absent.

    Parameters
    ----------
    film, sites
        The film and its sites.
    regions
        The present region of each site, by its key.
    initial
        The region of each site before the corrections. The differences to `regions` are the corrections.
    """
    followed = dict(regions)
    for hand in _group_by_side(sites):
        expected = {key: box for key in hand if regions[key].box is not None and (box := initial[key].box) is not None}
        observed = _observe(regions, expected)
        following = [key for key in expected if _follows(regions[key])]
        is_corrected = any(_differs(expected[key], observation.box) for key, observation in observed.items())
        if not is_corrected:
            followed |= {key: replace(regions[key], box=expected[key]) for key in following}
        else:
            followed |= _predict(film, hand, expected, observed, following)
    return followed


def place_by_evidence(
    scheme: Scheme,
    film: FilmRecord,
    sites: Iterable[Site],
    regions: Mapping[str, Region],
    other_places: Mapping[str, Box],
    mirrored_sides: Iterable[str] = (),
) -> dict[str, Region]:
    """Return `regions` with the boxes from the template and the other film placed by the other boxes of their hand.

    So the wrist lies below fingers that a model found, and boxes that were still open follow again after a film is reopened.

    Parameters
    ----------
    scheme, film, sites
        The film and its sites.
    regions
        The region of each site as `make_initial_regions` returns it.
    other_places
        The box of each site as on the film of the other time point, in pixels of this film, as far as it is known.
    mirrored_sides
        Sides whose confirmed boxes lie mirrored.
    """
    mirrored = set(mirrored_sides)
    placed = dict(regions)
    for hand in _group_by_side(sites):
        template = {
            key: box for key, site in hand.items() if (box := find_template_box(scheme, film, site)) is not None
        }
        if mirrored & {site.side for site in hand.values()}:
            template = {key: box.mirror(film.area(hand[key].side)) for key, box in template.items()}
        for source, places in ((RegionSource.TEMPLATE, template), (RegionSource.OTHER_FILM, other_places)):
            expected = {key: places[key] for key in hand if key in places and regions[key].box is not None}
            following = [key for key in expected if not regions[key].confirmed_by and regions[key].source is source]
            observed = _observe(regions, expected)
            if observed and following:
                placed |= _predict(film, hand, expected, observed, following)
    return placed


def find_next_site(
    sites: Iterable[Site], regions: Mapping[str, Region], initial: Mapping[str, Region], candidates: Iterable[str]
) -> str | None:
    """Return the key of the site of `candidates` whose correction tells most about its hand; None without candidates.

    All candidates must have boxes. The first hand with a candidate comes first.
    """
    wanted = list(candidates)
    for hand in _group_by_side(sites):
        expected = {key: box for key in hand if initial[key].box is not None and (box := regions[key].box) is not None}
        options = [key for key in expected if key in wanted]
        if options:
            errors = {key: observation.error for key, observation in _observe(regions, expected).items()}
            return find_most_informative(expected, errors, list_flexibilities(hand, expected), options)
    return wanted[0] if wanted else None


def list_flexibilities(hand: Mapping[str, Site], keys: Iterable[str]) -> dict[str, float]:
    """Return the standard deviation of the offset that each of the joints `keys` has of its own, in boxes."""
    return {key: _FLEXIBILITY.get(hand[key].joint.group, _RIGID) for key in keys}


def _group_by_side(sites: Iterable[Site]) -> list[dict[str, Site]]:
    """Return the sites of each hand or foot by key."""
    hands: dict[str, dict[str, Site]] = {}
    for site in sites:
        hands.setdefault(site.side, {})[site.key] = site
    return list(hands.values())


def _follows(region: Region) -> bool:
    return not region.confirmed_by and region.source in FOLLOWING_SOURCES


def _observe(regions: Mapping[str, Region], expected: Mapping[str, Box]) -> dict[str, Observation]:
    """Return the boxes of the joints in `expected` that a rater or the image supports."""
    found = {}
    for key in expected:
        region = regions[key]
        if region.box is not None and not _follows(region):
            # A box that a rater moved has the size that it had before.
            has_size = region.source in (RegionSource.MODEL, RegionSource.REGISTERED)
            found[key] = Observation(region.box, _error(region), has_size)
    return found


def _error(region: Region) -> float:
    """Return the standard deviation of the centre of a box that does not follow others, in boxes."""
    if region.source is RegionSource.RATER:
        return _RATER_ERROR
    if region.source in FOLLOWING_SOURCES:
        return _ACCEPTED_ERROR
    doubt = _DOUBT * (1 - region.confidence) if region.confidence is not None else 0.0
    return min(_FOUND_ERROR + doubt, _ACCEPTED_ERROR) if region.confirmed_by else _FOUND_ERROR + doubt


def _differs(box: Box, other: Box) -> bool:
    return max(abs(a - b) for a, b in zip(box, other, strict=True)) > 1e-6


def _predict(
    film: FilmRecord,
    hand: Mapping[str, Site],
    expected: Mapping[str, Box],
    observed: Mapping[str, Observation],
    following: Iterable[str],
) -> dict[str, Region]:
    """Return the regions of the sites `following` at their predicted places; their centres stay on the film."""
    predicted = predict_boxes(expected, observed, list_flexibilities(hand, expected))
    return {key: Region(key, film.id, _keep_on_film(predicted[key], film), RegionSource.ESTIMATED) for key in following}


def _keep_on_film(box: Box, film: FilmRecord) -> Box:
    x, y = box.centre
    return box.shift(min(max(x, 0.0), float(film.columns)) - x, min(max(y, 0.0), float(film.rows)) - y)
