"""Which part of which film shows a joint: the two views of it, on one scale, and the two whole films with the joint marked.

Pure: it knows boxes and sizes, decodes nothing and draws nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from ratui.imaging import Box
from ratui.study import Case, FilmRecord, Study
from ratui.terminal import Display
from ratui.tui.library import WINDOWS, View, joint_box, whole_box

__all__ = ["WHOLE", "ZOOMS", "CaseFilms", "Look", "Shot", "case_films"]

ZOOMS = (1.7, 1.2, 3.0)
"""How many boxes high the view of a joint is, in the order of the key."""
WHOLE = -1
"""The zoom that shows all of both films, with a frame around the joint."""


@dataclass(frozen=True)
class Look:
    """How joints are looked at: `zoom` counts in ZOOMS or is WHOLE, `window` counts in WINDOWS."""

    zoom: int = 0
    window: int = 0

    @property
    def window_name(self) -> str:
        return WINDOWS[self.window]


@dataclass(frozen=True)
class Shot:
    """A view, and the box that is outlined in it, in pixels of the film; None where nothing is."""

    view: View
    mark: Box | None = None

    @property
    def key(self) -> Hashable:
        return self.view.key if self.mark is None else (self.view.key, self.mark)


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

    def shots(
        self, site: str, sizes: Sequence[tuple[int, int]], display: Display, look: Look
    ) -> tuple[Shot | None, ...]:
        """What to show of `site` at each place, for images of `sizes` in pixels; None where it isn't on the film.

        Where all films say how large a pixel is, the same length of bone has the same length at every place.
        """
        return tuple(self._shot(site, place, size, display, look) for place, size in enumerate(sizes))

    def _shot(self, site: str, place: int, size: tuple[int, int], display: Display, look: Look) -> Shot | None:
        here = self.boxes.get((site, self.order[place]))
        if here is None or not size[0] or not size[1]:
            return None
        record, box = here
        if look.zoom == WHOLE:
            return Shot(View(self.case.id, record.id, whole_box(record, size, display), size, "film"), box)
        side = box[2] - box[0]
        known = [found for point in self.order if (found := self.boxes.get((site, point)))]
        if record.spacing and all(film.spacing for film, _ in known):
            side = max(_millimetres(film, each) for film, each in known) / record.spacing[1]
        area = joint_box(box, side * ZOOMS[look.zoom], size, display)
        return Shot(View(self.case.id, record.id, area, size, look.window_name))


def case_films(study: Study, case: Case, order: tuple[int, ...]) -> CaseFilms:
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


def _millimetres(record: FilmRecord, box: Box) -> float:
    return (box[2] - box[0]) * (record.spacing[1] if record.spacing else 1.0)
