"""Which part of which film shows a joint: the two views of it, on one scale, and the two whole films with the joint marked.

Pure: it knows boxes and sizes, decodes nothing and draws nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ratui.imaging import DEFAULT_DISPLAY, Box, DisplaySettings
from ratui.study import Case, FilmRecord, Study
from ratui.terminal import Display, Resolution, measure_resolution
from ratui.tui.graphics.film_store import AlignedView, ViewRequest, make_joint_box, make_whole_film_box

__all__ = ["WHOLE_FILM", "ZOOMS", "CaseFilms", "ViewSettings", "Viewport", "load_case_films"]

ZOOMS = (1.7, 1.2, 0.8, 3.0)
"""How many boxes high the view of a joint is, in the order of the key."""
WHOLE_FILM = -1
"""The zoom that shows all of both films, with a frame around the joint."""
_PAN = 0.15
_MAX_PAN = 1.5


@dataclass(frozen=True)
class ViewSettings:
    """How joints are looked at: `zoom` counts in ZOOMS or is WHOLE; `settings` is how greys are made.

    `pan` is how far the view is moved off the joint, as parts of its shorter side (right, down). `lens` is the middle of
    a magnifying lens as parts of the view's width and height, None without one.
    """

    zoom: int = 0
    display_settings: DisplaySettings = DEFAULT_DISPLAY
    pan: tuple[float, float] = (0.0, 0.0)
    lens: tuple[float, float] | None = None

    def moved(self, right: int, down: int) -> ViewSettings:
        """The lens moved by a step where there is one, else the view."""
        if self.lens is not None:
            x, y = (min(max(at + _PAN * step, 0.0), 1.0) for at, step in zip(self.lens, (right, down), strict=True))
            return replace(self, lens=(round(x, 3), round(y, 3)))
        x, y = (
            min(max(at + _PAN * step, -_MAX_PAN), _MAX_PAN) for at, step in zip(self.pan, (right, down), strict=True)
        )
        return replace(self, pan=(round(x, 3), round(y, 3)))

    def reset_position(self) -> ViewSettings:
        """What stays for the next joint: not where this one was looked at."""
        return replace(self, pan=(0.0, 0.0), lens=None if self.lens is None else (0.5, 0.5))


@dataclass(frozen=True)
class Viewport:
    """A view, and the box that is outlined in it, in pixels of the film; None where nothing is."""

    view: ViewRequest
    outlined_box: Box | None = None

    @property
    def key(self) -> Hashable:
        return self.view.key if self.outlined_box is None else (self.view.key, self.outlined_box)


@dataclass(frozen=True)
class CaseFilms:
    """The films of `case`, and where each site is on them. `order` is the time points as they stand, left first."""

    case: Case
    order: tuple[int, ...]
    boxes: Mapping[tuple[str, int], tuple[FilmRecord, Box]] = field(hash=False)

    def has(self, site: str, place: int) -> bool:
        """Whether `site` is on its film at `place` (0 left, 1 right)."""
        return (site, self.order[place]) in self.boxes

    def record(self, site: str, place: int) -> FilmRecord | None:
        """The film that `site` is on at `place`, or None."""
        return self.boxes[site, self.order[place]][0] if self.has(site, place) else None

    def make_viewports(
        self, site: str, sizes: Sequence[tuple[int, int]], display: Display, view_settings: ViewSettings
    ) -> tuple[Viewport | None, ...]:
        """What to show of `site` at each place, for images of `sizes` in pixels; None where it isn't on the film.

        Where all films say how large a pixel is, the same length of bone has the same length at every place.
        """
        return tuple(self.make_viewport(site, place, size, display, view_settings) for place, size in enumerate(sizes))

    def make_viewport(
        self, site: str, place: int, size: tuple[int, int], display: Display, view_settings: ViewSettings
    ) -> Viewport | None:
        """What to show of `site` at one place."""
        here = self.boxes.get((site, self.order[place]))
        if here is None or not size[0] or not size[1]:
            return None
        record, box = here
        if view_settings.zoom == WHOLE_FILM:
            settings = view_settings.display_settings.with_preset("film")
            return Viewport(
                ViewRequest(self.case.id, record.id, make_whole_film_box(record, size, display), size, settings), box
            )
        side = box.width
        known = [found for point in self.order if (found := self.boxes.get((site, point)))]
        if record.spacing and all(film.spacing for film, _ in known):
            side = max(_box_width_mm(film, each) for film, each in known) / record.spacing[1]
        side *= ZOOMS[view_settings.zoom]
        right, down = view_settings.pan[0] * side, view_settings.pan[1] * side / record.aspect
        area = make_joint_box(box.shift(right, down), side, size, display, record.aspect)
        return Viewport(
            ViewRequest(self.case.id, record.id, area, size, view_settings.display_settings, box, view_settings.lens)
        )

    def make_aligned_view(
        self, viewport: Viewport, site: str, place: int, *, is_difference: bool = False
    ) -> AlignedView | None:
        """The film of `site` at `place`, as it lies on `viewport` of another one, or what differs from it."""
        there = self.boxes.get((site, self.order[place]))
        if there is None or viewport.view.joint is None:
            return None
        return AlignedView(replace(viewport.view, lens=None), there[0].id, there[1], is_difference)

    def find_lowest_resolution(self, site: str, viewports: Sequence[Viewport | None]) -> Resolution | None:
        """How sharp the worse of `viewports` is; None where there are none."""
        known = [
            measure_resolution(viewport.view.size, viewport.view.box, record.spacing)
            for place, viewport in enumerate(viewports)
            if viewport is not None and (record := self.record(site, place)) is not None
        ]
        return min(known, key=lambda resolution: (resolution.is_sufficient, resolution.pixels_per_mm), default=None)


def load_case_films(study: Study, case: Case, order: tuple[int, ...]) -> CaseFilms:
    """The films of `case` with its confirmed regions. Raises StoreError for a damaged file."""
    regions = {(region.site, region.film): region.box for region in study.regions(case.id)}
    boxes = {}
    for site in case.sites(study.scheme):
        for point in order:
            film = case.film(point, site.side, site.part, study.scheme)
            box = regions.get((site.key, film.id)) if film else None
            if film is not None and box is not None:
                boxes[site.key, point] = (film, box)
    return CaseFilms(case, order, boxes)


def _box_width_mm(record: FilmRecord, box: Box) -> float:
    return box.width * (record.spacing[1] if record.spacing else 1.0)
