"""Initial boxes of a film before a rater has seen it, and the changes of a box by keys.

Pure functions of saved regions and of registration results; nothing is confirmed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ratui.imaging import Box
from ratui.scheme import Scheme, Site
from ratui.study import FilmRecord, Region, RegionSource

__all__ = ["LARGEST", "SMALLEST", "StepSize", "find_template_box", "make_initial_regions", "move_box", "resize_box"]

SMALLEST, LARGEST = 0.015, 0.6
"""Smallest and largest width of a box that keys can make, as fractions of the film's width."""


def make_initial_regions(
    scheme: Scheme,
    film: FilmRecord,
    sites: Iterable[Site],
    *,
    confirmed: Mapping[str, Region],
    proposed: Mapping[str, Region],
    other: Mapping[str, tuple[FilmRecord, Region]],
    propagated: Mapping[str, Region] | None = None,
) -> dict[str, Region]:
    """Return the initial region of each site by its key.

    The order of preference is: confirmed, found by registration, proposed by a model, estimated from neighbours after
    registration, copied from the other time point, template. A site that the film's view does not show starts as absent.

    Parameters
    ----------
    scheme, film, sites
        The film, and the sites to place on it.
    confirmed
        Confirmed regions of this film by site key.
    proposed
        A model's regions for this film by site key.
    other
        Confirmed regions of the nearest other time point by site key, each with the record of its film.
    propagated
        Regions that registration derived from `other`, by site key.
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
            regions[key] = Region(key, film.id, find_template_box(scheme, film, site), RegionSource.TEMPLATE)
    return regions


def find_template_box(scheme: Scheme, film: FilmRecord, site: Site) -> Box | None:
    """Return the box of `site` on `film` according to the template of its view; None if the view does not show it."""
    place = scheme.views[film.view].template.get(site.joint.id)
    if place is None:
        return None
    area = film.area(site.side)
    x, y, size = place
    if site.side == "R":
        x = 1 - x
    return Box.from_centre(area.x0 + x * area.width, area.y0 + y * area.height, size * area.width)


def move_box(box: Box, dx: float, dy: float, film: FilmRecord) -> Box:
    """Return `box` moved by the fractions `dx`, `dy` of its width and height; its centre stays on the film."""
    (x, y), width, height = box.centre, box.width, box.height
    x = min(max(x + dx * width, 0.0), float(film.columns))
    y = min(max(y + dy * height, 0.0), float(film.rows))
    return Box.from_centre(x, y, width, height)


def resize_box(box: Box, factor: float, film: FilmRecord) -> Box:
    """Return `box` scaled by `factor` about its centre, between `SMALLEST` and `LARGEST`."""
    smallest, largest = SMALLEST * film.columns, LARGEST * film.columns
    return Box.from_centre(*box.centre, min(max(box.width * factor, smallest), largest))


@dataclass(frozen=True)
class StepSize:
    """The step of a key that moves a box, as a fraction of the box's width.

    A key that is held down moves faster, and a change of direction moves finer.

    Attributes
    ----------
    step
        The last step.
    direction
        Its direction, (dx, dy).
    pressed_at
        Time of the key, in seconds of any clock.
    """

    step: float = 0.0
    direction: tuple[int, int] = (0, 0)
    pressed_at: float = -1e9

    INITIAL = 0.06
    SMALLEST = 0.0075
    LARGEST = 0.4
    REPEAT_SECONDS = 0.2  # a key that comes sooner is held down
    RESET_SECONDS = 2.5  # after this pause the step is the initial one

    def next(self, direction: tuple[int, int], now: float) -> StepSize:
        """Return the state after a key in `direction` at the time `now`; its `step` is the one to take."""
        since = now - self.pressed_at
        if since > self.RESET_SECONDS or self.step == 0.0:
            step = self.INITIAL
        elif direction == (-self.direction[0], -self.direction[1]):
            step = max(
                min(self.step, 2 * self.INITIAL) / 2, self.SMALLEST
            )  # overshot: halve the step, as in a bisection
        elif direction == self.direction and since < self.REPEAT_SECONDS:
            step = min(self.step * 1.25, self.LARGEST)
        else:
            step = min(self.step, self.INITIAL)
        return StepSize(step, direction, now)


def _rescale_box(box: Box, source: FilmRecord, film: FilmRecord) -> Box:
    """Return the box at the same relative place on another film, whose size may differ."""
    across, down = film.columns / source.columns, film.rows / source.rows
    x, y = box.centre
    return Box.from_centre(x * across, y * down, box.width * across)
