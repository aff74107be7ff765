"""Where a site's box starts on a film before a rater has seen it, and how keys change it.

Pure functions of what the study holds and of what registration found; nothing is confirmed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ratui.imaging import Box
from ratui.scheme import Scheme, Site
from ratui.study import FilmRecord, Region

__all__ = ["ESTIMATED", "REGISTERED", "Pace", "mirrored", "moved", "resized", "starting_regions", "template_box"]

REGISTERED, ESTIMATED = "registered", "estimated"
"""Sources of a box that came from another film: found again there, or placed by its neighbours because it wasn't."""


def starting_regions(
    scheme: Scheme,
    film: FilmRecord,
    sites: Iterable[Site],
    *,
    confirmed: Mapping[str, Region],
    proposed: Mapping[str, Region],
    other: Mapping[str, tuple[FilmRecord, Region]],
    carried: Mapping[str, Region] | None = None,
) -> dict[str, Region]:
    """A region for each of `sites` on `film`, by site key.

    `confirmed` and `proposed` are this film's by site; `other` the confirmed ones of the other time point's film, and
    `carried` what registration made of them. A joint found again goes before a model's proposal, one that was placed by
    its neighbours behind it. A site that the film's view doesn't show starts as not on the film.
    """
    carried = carried or {}
    regions = {}

    for site in sites:
        key = site.key
        if key in confirmed:
            regions[key] = confirmed[key]
        elif key in carried and carried[key].source == REGISTERED:
            regions[key] = carried[key]
        elif key in proposed:
            regions[key] = replace(proposed[key], by="")
        elif key in carried:
            regions[key] = carried[key]
        elif key in other:
            record, region = other[key]
            box = _as_there(region.box, record, film) if region.box else None
            regions[key] = Region(key, film.id, box, "other film")
        else:
            regions[key] = Region(key, film.id, template_box(scheme, film, site), "template")
    return regions


def template_box(scheme: Scheme, film: FilmRecord, site: Site) -> Box | None:
    """Where the scheme has `site` on a film of that view; None where the view doesn't show it."""
    place = scheme.views[film.view].template.get(site.joint.id)
    if place is None:
        return None
    left, top, right, bottom = film.area(site.side)
    x, y, size = place
    if site.side == "R":
        x = 1 - x
    half = size * (right - left) / 2
    x, y = left + x * (right - left), top + y * (bottom - top)
    return (x - half, y - half, x + half, y + half)


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


def mirrored(box: Box, area: Box) -> Box:
    """`box` on the other side of the middle of `area`."""
    return (area[0] + area[2] - box[2], box[1], area[0] + area[2] - box[0], box[3])


@dataclass(frozen=True)
class Pace:
    """How far the next key moves a box, in shares of its width: held it goes faster, turned back it goes finer.

    `step` was the last step, `way` its direction (dx, dy), `at` when it was taken, in seconds of any clock.
    """

    step: float = 0.0
    way: tuple[int, int] = (0, 0)
    at: float = -1e9

    FIRST = 0.06
    FINEST = 0.0075
    FARTHEST = 0.4
    HELD = 0.2  # seconds: keys that come faster than this are held, or meant to be
    FORGOTTEN = 2.5

    def next(self, way: tuple[int, int], now: float) -> Pace:
        """The pace of a key towards `way`: the step of the returned value is the one to take."""
        since = now - self.at
        if since > self.FORGOTTEN or self.step == 0.0:
            step = self.FIRST
        elif way == (-self.way[0], -self.way[1]):
            step = max(min(self.step, 2 * self.FIRST) / 2, self.FINEST)  # too far: halve it, as one does by eye
        elif way == self.way and since < self.HELD:
            step = min(self.step * 1.25, self.FARTHEST)
        elif way == self.way:
            step = min(self.step, self.FIRST)
        else:
            step = min(self.step, self.FIRST)
        return Pace(step, way, now)


def _as_there(box: Box, source: FilmRecord, film: FilmRecord) -> Box:
    """A box of one film at the same place of another, whose size may differ."""
    across, down = film.columns / source.columns, film.rows / source.rows
    x, y = (box[0] + box[2]) / 2 * across, (box[1] + box[3]) / 2 * down
    half = (box[2] - box[0]) * across / 2
    return (x - half, y - half, x + half, y + half)
