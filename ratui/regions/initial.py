"""Where a site's box starts on a film before a rater has seen it, and how keys change it.

Pure functions of what the study holds and of what registration found; nothing is confirmed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ratui.imaging import Box
from ratui.scheme import Scheme, Site
from ratui.study import FilmRecord, Region, RegionSource

__all__ = ["StepSize", "initial_regions", "move_box", "resize_box", "template_box"]


def initial_regions(
    scheme: Scheme,
    film: FilmRecord,
    sites: Iterable[Site],
    *,
    confirmed: Mapping[str, Region],
    proposed: Mapping[str, Region],
    other: Mapping[str, tuple[FilmRecord, Region]],
    propagated: Mapping[str, Region] | None = None,
) -> dict[str, Region]:
    """A region for each of `sites` on `film`, by site key.

    `confirmed` and `proposed` are this film's by site; `other` the confirmed ones of the other time point's film, and
    `propagated` what registration made of them. A joint found again goes before a model's proposal, one that was placed by
    its neighbours behind it. A site that the film's view doesn't show starts as not on the film.
    """
    propagated = propagated or {}
    regions = {}

    for site in sites:
        key = site.key
        if key in confirmed:
            regions[key] = confirmed[key]
        elif key in propagated and propagated[key].source == RegionSource.REGISTERED:
            regions[key] = propagated[key]
        elif key in proposed:
            regions[key] = replace(proposed[key], confirmed_by="")
        elif key in propagated:
            regions[key] = propagated[key]
        elif key in other:
            record, region = other[key]
            box = _rescale_box(region.box, record, film) if region.box else None
            regions[key] = Region(key, film.id, box, RegionSource.OTHER_FILM)
        else:
            regions[key] = Region(key, film.id, template_box(scheme, film, site), RegionSource.TEMPLATE)
    return regions


def template_box(scheme: Scheme, film: FilmRecord, site: Site) -> Box | None:
    """Where the scheme has `site` on a film of that view; None where the view doesn't show it."""
    place = scheme.views[film.view].template.get(site.joint.id)
    if place is None:
        return None
    area = film.area(site.side)
    x, y, size = place
    if site.side == "R":
        x = 1 - x
    return Box.from_centre(area.x0 + x * area.width, area.y0 + y * area.height, size * area.width)


def move_box(box: Box, dx: float, dy: float, film: FilmRecord) -> Box:
    """`box` moved by shares of its width and height; its centre stays on the film."""
    (x, y), width, height = box.centre, box.width, box.height
    x = min(max(x + dx * width, 0.0), float(film.columns))
    y = min(max(y + dy * height, 0.0), float(film.rows))
    return Box.from_centre(x, y, width, height)


def resize_box(box: Box, factor: float, film: FilmRecord) -> Box:
    """`box` larger or smaller about its centre, within what makes sense on the film."""
    smallest, largest = 0.015 * film.columns, 0.6 * film.columns
    return Box.from_centre(*box.centre, min(max(box.width * factor, smallest), largest))


@dataclass(frozen=True)
class StepSize:
    """How far the next key moves a box, in shares of its width: held it goes faster, turned back it goes finer.

    `step` was the last step, `direction` its direction (dx, dy), `pressed_at` when it was taken, in seconds of any clock.
    """

    step: float = 0.0
    direction: tuple[int, int] = (0, 0)
    pressed_at: float = -1e9

    INITIAL = 0.06
    SMALLEST = 0.0075
    LARGEST = 0.4
    REPEAT_SECONDS = 0.2  # seconds: keys that come faster than this are held, or meant to be
    RESET_SECONDS = 2.5

    def next(self, direction: tuple[int, int], now: float) -> StepSize:
        """The pace of a key towards `direction`: the step of the returned value is the one to take."""
        since = now - self.pressed_at
        if since > self.RESET_SECONDS or self.step == 0.0:
            step = self.INITIAL
        elif direction == (-self.direction[0], -self.direction[1]):
            step = max(min(self.step, 2 * self.INITIAL) / 2, self.SMALLEST)  # too far: halve it, as one does by eye
        elif direction == self.direction and since < self.REPEAT_SECONDS:
            step = min(self.step * 1.25, self.LARGEST)
        elif direction == self.direction:
            step = min(self.step, self.INITIAL)
        else:
            step = min(self.step, self.INITIAL)
        return StepSize(step, direction, now)


def _rescale_box(box: Box, source: FilmRecord, film: FilmRecord) -> Box:
    """A box of one film at the same place of another, whose size may differ."""
    across, down = film.columns / source.columns, film.rows / source.rows
    x, y = box.centre
    return Box.from_centre(x * across, y * down, box.width * across)
