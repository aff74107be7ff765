"""Where a site's box starts on a film, before a rater has seen it: proposed, as on the other film, or by the template.

Pure functions of what the study holds; nothing is confirmed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ratui.imaging import Box
from ratui.scheme import Scheme, Site
from ratui.study import FilmRecord, Region

__all__ = ["mirrored", "moved", "resized", "starting_regions"]


def starting_regions(
    scheme: Scheme,
    film: FilmRecord,
    sites: Iterable[Site],
    *,
    confirmed: Mapping[str, Region],
    proposed: Mapping[str, Region],
    other: Mapping[str, tuple[FilmRecord, Region]],
) -> dict[str, Region]:
    """A region for each of `sites` on `film`, by site key.

    `confirmed` and `proposed` are this film's by site; `other` the confirmed ones of the other time point's film.
    A site that the film's view doesn't show starts as not on the film.
    """
    regions = {}
    view = scheme.views[film.view]
    for site in sites:
        key = site.key
        if key in confirmed:
            regions[key] = confirmed[key]
        elif key in proposed:
            regions[key] = replace(proposed[key], by="")
        elif key in other:
            record, region = other[key]
            box = _carried(region.box, record, film) if region.box else None
            regions[key] = Region(key, film.id, box, "other film")
        elif site.joint.id in view.template:
            regions[key] = Region(
                key, film.id, _template_box(view.template[site.joint.id], film, site.side), "template"
            )
        else:
            regions[key] = Region(key, film.id, None, "template")
    return regions


def moved(box: Box, dx: float, dy: float, film: FilmRecord) -> Box:
    """`box` moved by shares of its width and height; its centre stays on the film."""
    width, height = box[2] - box[0], box[3] - box[1]
    x = min(max((box[0] + box[2]) / 2 + dx * width, 0.0), float(film.columns))
    y = min(max((box[1] + box[3]) / 2 + dy * height, 0.0), float(film.rows))
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def resized(box: Box, factor: float, film: FilmRecord) -> Box:
    """`box` larger or smaller about its centre, within what makes sense on the film."""
    smallest, largest = 0.015 * film.columns, 0.6 * film.columns
    half = min(max((box[2] - box[0]) * factor, smallest), largest) / 2
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return (x - half, y - half, x + half, y + half)


def mirrored(box: Box, film: FilmRecord, side: str) -> Box:
    """`box` on the other side of the middle of the part of the film that shows `side`."""
    left, _, right, _ = film.area(side)
    return (left + right - box[2], box[1], left + right - box[0], box[3])


def _template_box(place: tuple[float, float, float], film: FilmRecord, side: str) -> Box:
    left, top, right, bottom = film.area(side)
    x, y, size = place
    if side == "R":
        x = 1 - x
    half = size * (right - left) / 2
    x, y = left + x * (right - left), top + y * (bottom - top)
    return (x - half, y - half, x + half, y + half)


def _carried(box: Box, source: FilmRecord, film: FilmRecord) -> Box:
    """A box of one film at the same place of another, whose size may differ."""
    across, down = film.columns / source.columns, film.rows / source.rows
    x, y = (box[0] + box[2]) / 2 * across, (box[1] + box[3]) / 2 * down
    half = (box[2] - box[0]) * across / 2
    return (x - half, y - half, x + half, y + half)
