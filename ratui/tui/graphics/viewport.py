"""Viewports: the parts of films that show a joint, all time points at one scale. Nothing is decoded or drawn here."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ratui.imaging import DEFAULT_DISPLAY, Box, DisplaySettings, Orientation
from ratui.regions.upright_bones import BoneOnFilm, UprightJoint, expect_bone
from ratui.study import Case, FilmRecord, Study
from ratui.terminal import Display, Resolution, measure_resolution
from ratui.tui.entry.visit_names import UNNAMED, VisitNames, load_visit_names
from ratui.tui.graphics.view_settings import LIFE_SIZE, MAGNIFICATION, WHOLE_FILM, ZOOMS, ViewSettings

__all__ = [
    "AlignedView",
    "CaseFilms",
    "Picture",
    "Viewport",
    "load_case_films",
    "make_joint_box",
    "make_life_size_box",
    "make_whole_film_box",
]

_JOINTS_OF_TWO_BONES = frozenset(
    ("IP1", "MCP1", *(f"{kind}{finger}" for kind in ("PIP", "MCP") for finger in range(2, 6)))
)
"""Ids of the joints whose two bones can be registered one by one."""
_KEPT_VIEWPORTS = 64
"""Number of requests whose viewports are kept: some zooms and positions of the present and the next joints."""


@dataclass(frozen=True)
class Viewport:
    """A part of a film, with the size and the contrast of its picture."""

    case: str
    """ID of the case."""
    film: str
    """ID of the film."""
    box: Box
    """The part of the film, in pixels of the film. If the film is turned, of the film turned about the centre of `joint`."""
    size: tuple[int, int]
    """Width and height of the picture in pixels."""
    display_settings: DisplaySettings = DEFAULT_DISPLAY
    """Contrast and brightness."""
    joint: Box | None = None
    """Box from whose greys the preset ``joint`` takes the contrast; None for `box`."""
    lens: tuple[float, float] | None = None
    """Centre of a magnifying lens, as fractions of the picture's width and height; None for no lens."""
    is_marked: bool = False
    """True to mark the corners of `joint`."""
    orientation: Orientation = Orientation.UPRIGHT
    """Orientation of the displayed film, in whose pixels the boxes are."""
    upright: UprightJoint = ()
    """The bone that stands upright, on all films of the joint; empty to show the film as it is."""
    outline: Box | None = None
    """Box to outline, on a whole film; None for no outline."""

    @property
    def key(self) -> Hashable:
        """Key of the picture in a cache of frames."""
        return self


@dataclass(frozen=True)
class AlignedView:
    """A request for a picture of the other film of a joint, registered onto `view`."""

    view: Viewport
    """The view of the first film, whose `joint` is the joint's box there."""
    film: str
    """ID of the other film."""
    joint: Box
    """The joint's box on the other film."""
    is_difference: bool = False
    """True for a picture of the difference between the films instead of the other film."""
    orientation: Orientation = Orientation.UPRIGHT
    """Orientation of the other film, in whose pixels `joint` is."""
    has_two_bones: bool = False
    """True for a finger joint. Its difference is that of each bone, if both can be registered."""

    @property
    def key(self) -> Hashable:
        """Key of the picture in a cache of frames."""
        return self

    @property
    def films_key(self) -> Hashable:
        """Key of the joint on both films, for any part and size."""
        view = self.view
        here = view.joint or view.box
        return view.case, view.film, view.orientation, here, self.film, self.orientation, self.joint


Picture: TypeAlias = Viewport | AlignedView
"""A request for a picture: of one film, or of one registered onto another."""


@dataclass(frozen=True)
class CaseFilms:
    """The films of a case, and the boxes of the sites on them."""

    case: Case
    """The case."""
    order: tuple[int, ...]
    """Time points in their places, the left one first."""
    boxes: Mapping[tuple[str, int], tuple[FilmRecord, Box]] = field(hash=False)
    """Film and box by site key and time point. Sites that are not on the film are missing."""
    visits: VisitNames = field(default=UNNAMED, hash=False)
    """The names of the visits."""
    _bones: dict[str, UprightJoint] = field(default_factory=dict, init=False, hash=False, compare=False)
    _viewports: dict[Hashable, tuple[Viewport | None, ...]] = field(
        default_factory=dict, init=False, hash=False, compare=False
    )
    """Results of `make_viewports`: at a key they are known, because the pictures of the next joint were made before."""

    def __repr__(self) -> str:
        return f"CaseFilms(case={self.case.id!r}, order={self.order}, {len(self.boxes)} boxes)"

    def has(self, site: str, place: int) -> bool:
        """Return True if the film at `place`, 0 for the leftmost, shows `site`."""
        return (site, self.order[place]) in self.boxes

    def record(self, site: str, place: int) -> FilmRecord | None:
        """Return the film at `place` that shows `site`; None if `site` is not on it."""
        return self.boxes[site, self.order[place]][0] if self.has(site, place) else None

    def film_ids(self, site: str) -> dict[int, str]:
        """Return the ids of the films that show `site`, by place."""
        records = {place: self.record(site, place) for place in range(len(self.order))}
        return {place: record.id for place, record in records.items() if record is not None}

    def find_bones(self, site: str) -> UprightJoint:
        """Return where the proximal bone of `site` is expected on the films that show it; empty for a joint without one."""
        if site not in self._bones:
            self._bones[site] = tuple(
                BoneOnFilm(record.id, record.orientation, box, search)
                for point in self.order
                if (found := self.boxes.get((site, point)))
                for record, box in [found]
                if (search := expect_bone(*self._joints_around(site, point), record.aspect))
            )
        return self._bones[site]

    def _joints_around(self, site: str, point: int) -> tuple[str, str, dict[str, Box]]:
        """Return joint and side of `site`, and the boxes of its side on its film at `point` by joint."""
        side, _, joint = site.partition(".")
        film = self.boxes[site, point][0].id
        around = {
            key.partition(".")[2]: box
            for (key, time), (record, box) in self.boxes.items()
            if time == point and record.id == film and key.startswith(f"{side}.")
        }
        return joint, side, around

    def make_viewports(
        self, site: str, sizes: Sequence[tuple[int, int]], display: Display, view_settings: ViewSettings
    ) -> tuple[Viewport | None, ...]:
        """Return the viewports of a site in all places.

        If the pixel size of all films is known, all places show bone at the same scale.

        Parameters
        ----------
        site
            Key of the site.
        sizes
            Width and height of the picture in each place, in pixels.
        display
            The capabilities of the terminal, with the shape of its pixels.
        view_settings
            Zoom, contrast and position.

        Returns
        -------
        tuple of Viewport or None
            None for a film that does not show the site.
        """
        request = (site, tuple(sizes), display, view_settings)
        if request not in self._viewports:
            while len(self._viewports) >= _KEPT_VIEWPORTS:
                self._viewports.pop(next(iter(self._viewports)))  # the oldest
            self._viewports[request] = tuple(
                self.make_viewport(site, place, size, display, view_settings) for place, size in enumerate(sizes)
            )
        return self._viewports[request]

    def make_viewport(
        self, site: str, place: int, size: tuple[int, int], display: Display, view_settings: ViewSettings
    ) -> Viewport | None:
        """Return the viewport of `site` in one place, as `make_viewports` does for all."""
        here = self.boxes.get((site, self.order[place]))
        if here is None or not size[0] or not size[1]:
            return None
        record, box = here
        if view_settings.zoom == WHOLE_FILM:
            settings, whole = (
                view_settings.display_settings.with_preset("film"),
                make_whole_film_box(record, size, display),
            )
            return Viewport(self.case.id, record.id, whole, size, settings, orientation=record.orientation, outline=box)
        side = box.width
        # One scale for all films: the widest of their boxes, in mm.
        known = [found for point in self.order if (found := self.boxes.get((site, point)))]
        if record.spacing and all(film.spacing for film, _ in known):
            side = max(_box_width_mm(film, each) for film, each in known) / record.spacing[1]
        area = make_joint_box(box, side * ZOOMS[max(view_settings.zoom, 0)], size, display, record.aspect)
        if view_settings.zoom == LIFE_SIZE and record.spacing and self.has_life_size(site, display):
            area = make_life_size_box(box, record.spacing, size, display) or area
        step = min(area.width, area.height * record.aspect)
        area = area.shift(view_settings.pan[0] * step, view_settings.pan[1] * step / record.aspect)
        greys, lens, marks = view_settings.display_settings, view_settings.lens, view_settings.has_marks
        upright = self.find_bones(site) if view_settings.is_upright else ()
        return Viewport(self.case.id, record.id, area, size, greys, box, lens, marks, record.orientation, upright)

    def has_life_size(self, site: str, display: Display) -> bool:
        """Return True if all films of `site` can be shown at twice the life size: the sizes of all pixels are known."""
        records = [self.record(site, place) for place in range(len(self.order))]
        return display.image_pixel_mm is not None and all(
            record.spacing is not None for record in records if record is not None
        )

    def make_aligned_view(
        self, viewport: Viewport, site: str, place: int, *, is_difference: bool = False
    ) -> AlignedView | None:
        """Return a request for the film of a site registered onto the viewport of another film.

        Parameters
        ----------
        viewport
            The viewport of the first film.
        site
            Key of the site.
        place
            Place of the film to register.
        is_difference
            True for a picture of the difference between the films.

        Returns
        -------
        AlignedView or None
            None if the film does not show the site, or if the viewport shows the whole film.
        """
        there = self.boxes.get((site, self.order[place]))
        if there is None or viewport.joint is None:
            return None
        view = replace(viewport, lens=None, is_marked=viewport.is_marked and not is_difference)
        record, box = there
        has_two_bones = site.partition(".")[2] in _JOINTS_OF_TWO_BONES
        return AlignedView(view, record.id, box, is_difference, record.orientation, has_two_bones)

    def make_view_onto_first(self, viewports: Sequence[Viewport | None], site: str, place: int) -> Picture | None:
        """Return a request for the film at `place`, registered onto the first film that shows `site` if it is another."""
        first, here = next((viewport for viewport in viewports if viewport is not None), None), viewports[place]
        return here if first is here or first is None else self.make_aligned_view(first, site, place)

    def make_difference_view(
        self, viewports: Sequence[Viewport | None], site: str, pair: Sequence[int]
    ) -> AlignedView | None:
        """Return a request for the difference of the films at two places; None if fewer of them show `site`."""
        before = viewports[pair[0]] if len(pair) == 2 else None
        return self.make_aligned_view(before, site, pair[1], is_difference=True) if before is not None else None

    def find_resolution(self, site: str, place: int, viewport: Viewport | None) -> Resolution | None:
        """Return the resolution of `viewport`, which shows `site` at `place`; None without a viewport."""
        record = self.record(site, place)
        return measure_resolution(viewport.size, viewport.box, record.spacing) if viewport and record else None

    def find_lowest_resolution(self, site: str, viewports: Sequence[Viewport | None]) -> Resolution | None:
        """Return the resolution of the least sharp of `viewports`, which show `site`; None if all of them are None."""
        found = (self.find_resolution(site, place, viewport) for place, viewport in enumerate(viewports))
        known = [resolution for resolution in found if resolution is not None]
        return min(known, key=lambda resolution: (resolution.is_sufficient, resolution.pixels_per_mm), default=None)


def load_case_films(study: Study, case: Case, order: tuple[int, ...]) -> CaseFilms:
    """Return the films of a case with the boxes of its sites.

    Parameters
    ----------
    study
        The study.
    case
        The case.
    order
        Time points in their places, the left one first.

    Returns
    -------
    CaseFilms
        The films and boxes.

    Raises
    ------
    StoreError
        If the file of the regions or the list of the films is damaged.
    """
    regions = {(region.site, region.film): region.box for region in study.regions(case)}
    boxes = {}
    for site in case.sites(study.scheme):
        for point in order:
            film = case.film(point, site.side, site.part, study.scheme)
            box = regions.get((site.key, film.id)) if film else None
            if film is not None and box is not None:
                boxes[site.key, point] = (film, box)
    return CaseFilms(case, order, boxes, load_visit_names(study, case))


def make_life_size_box(box: Box, spacing: tuple[float, float], size: tuple[int, int], display: Display) -> Box | None:
    """Return the part of a film that a picture shows at `MAGNIFICATION`, or None if the size of a pixel is unknown.

    Parameters
    ----------
    box
        The box whose centre is shown in the middle, in pixels of the film.
    spacing
        Size of a film pixel in mm as (row, column).
    size
        Width and height of the picture in pixels.
    display
        The capabilities of the terminal, with the size of its pixels.
    """
    pixel = display.image_pixel_mm
    if pixel is None:
        return None
    width, height = (max(count, 1) * each / MAGNIFICATION for count, each in zip(size, pixel, strict=True))
    return Box.from_centre(*box.centre, width / spacing[1], height / spacing[0])


def make_whole_film_box(record: FilmRecord, size: tuple[int, int], display: Display) -> Box:
    """Return the box that contains the whole film in the centre, in the shape of a picture.

    Parameters
    ----------
    record
        The film.
    size
        Width and height of the picture in pixels.
    display
        The capabilities of the terminal, with the shape of its pixels.

    Returns
    -------
    Box
        Corners in pixels of the film. The box may extend beyond the film.
    """
    width, height = max(size[0], 1) * display.pixel_aspect, float(max(size[1], 1))
    scale = max(record.columns / width, record.rows * record.aspect / height)
    return Box.from_centre(record.columns / 2, record.rows / 2, scale * width, scale * height / record.aspect)


def make_joint_box(box: Box, side: float, size: tuple[int, int], display: Display, aspect: float = 1.0) -> Box:
    """Return a box around the centre of a joint, in the shape of a picture.

    Parameters
    ----------
    box
        The joint's box.
    side
        Length of the shorter side of the result, in widths of a film pixel.
    size
        Width and height of the picture in pixels.
    display
        The capabilities of the terminal, with the shape of its pixels.
    aspect
        Height of a film pixel divided by its width.

    Returns
    -------
    Box
        Corners in pixels of the film. The box may extend beyond the film.
    """
    width, height = max(size[0], 1) * display.pixel_aspect, float(max(size[1], 1))
    scale = side / min(width, height)
    return Box.from_centre(*box.centre, scale * width, scale * height / aspect)


def _box_width_mm(record: FilmRecord, box: Box) -> float:
    """Return the width of `box` in mm; in pixels if the film has no pixel size."""
    return box.width * (record.spacing[1] if record.spacing else 1.0)
