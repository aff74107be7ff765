"""A widget for the regions of a film: the whole film with all boxes, and the current box enlarged, each with a line below.

The enlarged part does not move while the box moves inside it. It is drawn first, because the rater looks there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import ClassVar

from PIL import Image
from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Static
from textual.worker import Worker, get_current_worker

from ratui.errors import FilmError
from ratui.imaging import DEFAULT_DISPLAY, Box, DisplaySettings, Orientation
from ratui.scheme import Site
from ratui.study import FilmRecord, Region
from ratui.terminal import Display, FrameCache
from ratui.tui.graphics.box_outlines import Outline, make_outlines
from ratui.tui.graphics.film_store import FilmStore
from ratui.tui.graphics.viewport import Viewport, make_joint_box, make_whole_film_box
from ratui.tui.textual_internals import run_in_thread
from ratui.tui.theme import QUIET
from ratui.tui.widgets.annotated_film import AnnotatedFilm
from ratui.tui.widgets.film_view import FilmFailed

__all__ = ["RegionViewer", "Scene"]

_ROOM = 2.0  # side of the enlarged part, in widths of the box
_PAUSE = 0.08  # seconds without a key before the whole film is drawn again


@dataclass(frozen=True)
class Scene:
    """Contents of a region viewer: a film and its regions."""

    case: str
    """ID of the case."""
    film: FilmRecord
    """The film."""
    sites: tuple[Site, ...] = ()
    """Sites to show."""
    regions: dict[str, Region] = field(default_factory=dict, repr=False)
    """Region of each of the sites, by site key."""
    current: str = ""
    """Key of the selected site; empty for none."""
    refused: tuple[str, ...] = ()
    """Keys of the sites whose boxes are not valid."""


class RegionViewer(Horizontal):
    """A widget that shows a scene. A later scene replaces an earlier one that is not drawn yet.

    Parameters
    ----------
    display
        The capabilities of the terminal.
    frame_cache
        The cache for encoded images.
    film_store
        The decoded films of the study.
    id
        Textual's ID of the widget.
    """

    DEFAULT_CSS = """
    RegionViewer { height: 1fr; }
    RegionViewer Vertical { width: 1fr; margin: 0 1; }
    RegionViewer.wide #left { width: 2fr; }
    RegionViewer AnnotatedFilm { width: 1fr; height: 1fr; }
    RegionViewer Static { height: 1; width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
    """
    MAX_PICTURES: ClassVar[int] = 6
    """Number of pictures without boxes to keep, so that a moved box needs no new picture."""

    def __init__(
        self, display: Display, frame_cache: FrameCache, film_store: FilmStore, *, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._film_store = film_store
        self.whole_film = AnnotatedFilm(display, frame_cache, id="whole")
        self.enlarged = AnnotatedFilm(display, frame_cache, id="near")
        self._lines = (Static(id="count", markup=False), Static(id="state", markup=False))
        self._scene: Scene | None = None
        self._enlarged: tuple[tuple[str, Orientation], str, Box, Box] | None = None
        self._pictures: dict[Viewport, Image.Image] = {}
        self._worker: Worker[None] | None = None
        self._count: Text | str = ""
        self._abbreviations: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        """Lay out the two views, each with its line."""
        for id, view, line in zip(("left", "right"), (self.whole_film, self.enlarged), self._lines, strict=True):
            with Vertical(id=id):
                yield view
                yield line

    def update_lines(self, count: Text | str, state: Text | str) -> None:
        """Write `count` below the whole film, and `state` below the enlarged box."""
        self._count = count
        self._update_count()
        self._lines[1].update(state)

    @property
    def state_width(self) -> int:
        """Width in cells of the line below the enlarged box."""
        return self._lines[1].size.width

    @property
    def uses_signs(self) -> bool:
        """True if signs stand for some boxes of the whole film."""
        if self._scene is None or not self._scene.sites or not self.whole_film.pixel_size[0]:
            return False
        return self.whole_film.uses_signs(self._whole_film_job(self._scene)[1])

    def _update_count(self) -> None:
        """Write the line below the whole film, with the abbreviations of names that are used there, as far as they fit."""
        line, room = Text.assemble(self._count), self._lines[0].size.width
        for number, each in enumerate(self._abbreviations):
            text = f", {each}" if number else f" · {each}"
            if line.cell_len + cell_len(text) > room:
                break
            line.append(text, QUIET)
        self._lines[0].update(line)

    def show(self, scene: Scene, *, is_moving: bool = False) -> None:
        """Show a scene. Call it in the app's thread only.

        Parameters
        ----------
        scene
            The film and its regions.
        is_moving
            True if the rater is moving a box. The whole film is then drawn only after a pause of the keys.
        """
        if self._scene is not None and _film_key(self._scene) != _film_key(scene):
            self._pictures.clear()
            self.whole_film.blank()
            self.enlarged.blank()
        self._scene = scene
        self.set_class(scene.film.columns > 1.2 * scene.film.rows, "wide")
        if not self.whole_film.pixel_size[0] or not self.whole_film.pixel_size[1]:
            return
        jobs: list[tuple[AnnotatedFilm, Viewport, tuple[Outline, ...]]] = []
        box = scene.regions[scene.current].box if scene.current else None
        if box is not None:
            jobs.append((self.enlarged, *self._with_outlines(self._enlarged_view(scene, box), scene)))
        else:
            self.enlarged.blank()
        jobs.append((self.whole_film, *self._whole_film_job(scene)))
        if all(widget.draws_in_cells and view in self._pictures for widget, view, _ in jobs):
            for widget, view, boxes in jobs:  # boxes in cells need no new picture, and so no worker
                self._show(widget, view, boxes)
            return
        pause = _PAUSE if is_moving else 0.0
        self._worker = run_in_thread(self, lambda: self._paint(jobs, pause), group="films")

    def _whole_film_job(self, scene: Scene) -> tuple[Viewport, tuple[Outline, ...]]:
        """Return the view of the whole film, and its outlines."""
        size = self.whole_film.pixel_size
        area = make_whole_film_box(scene.film, size, self.whole_film.graphics)
        return self._with_outlines(_view(scene, area, size, DisplaySettings("film")), scene)

    def _show(self, widget: AnnotatedFilm, view: Viewport, boxes: tuple[Outline, ...]) -> None:
        """Show the picture of `view` with `boxes`, which are prepared, and explain the abbreviations of their names."""
        widget.show_annotated(self._pictures[view], view.key, boxes)
        if widget is self.whole_film:
            abbreviations = widget.list_abbreviations(boxes)
            if abbreviations != self._abbreviations:
                self._abbreviations = abbreviations
                self._update_count()

    def on_film_view_resized(self) -> None:
        """Make the pictures in the new size."""
        self._enlarged = None
        self._pictures.clear()
        if self._scene is not None:
            self.show(self._scene)

    def _with_outlines(self, view: Viewport, scene: Scene) -> tuple[Viewport, tuple[Outline, ...]]:
        """Return `view` and the outlines of the boxes that it shows."""
        both = scene.film.side == "B"
        shown = make_outlines(view, scene.sites, scene.regions, scene.current, scene.refused, both_sides=both)
        return view, shown

    def _enlarged_view(self, scene: Scene, box: Box) -> Viewport:
        """Return the enlarged part: the same as before, while the box is well inside it and of similar size."""
        size = self.enlarged.pixel_size
        if self._enlarged is not None:
            film, site, around, area = self._enlarged
            same = film == _film_key(scene) and site == scene.current
            if same and 0.7 < box.width / around.width < 1.4 and _within(box, area):
                return _view(scene, area, size)
        area = make_joint_box(box, _ROOM * box.width, size, self.whole_film.graphics, scene.film.aspect)
        self._enlarged = (_film_key(scene), scene.current, box, area)
        return _view(scene, area, size)

    def _paint(self, jobs: list[tuple[AnnotatedFilm, Viewport, tuple[Outline, ...]]], pause: float) -> None:
        """Make and encode pictures, the whole film after a `pause` in seconds. Runs in a thread."""
        worker = get_current_worker()
        for widget, view, boxes in jobs:
            if widget is self.whole_film and pause:
                time.sleep(pause)
            if worker.is_cancelled:
                return
            try:
                picture = self._pictures.get(view)
                if picture is None:
                    picture = self._film_store.render(view)
            except FilmError as error:
                self.post_message(FilmFailed(error))
                return
            widget.prepare_annotated(picture, view.key, boxes)
            if worker.is_cancelled:
                return
            self.app.call_from_thread(self._painted, widget, view, picture, boxes)

    def _painted(self, widget: AnnotatedFilm, view: Viewport, picture: Image.Image, boxes: tuple[Outline, ...]) -> None:
        """Show a picture that was made in a thread, unless the film or the size has changed meanwhile."""
        if not self.is_mounted or view.size != widget.pixel_size or self._scene is None:
            return
        if (view.film, view.orientation) != _film_key(self._scene):
            return
        while len(self._pictures) >= self.MAX_PICTURES:
            self._pictures.pop(next(iter(self._pictures)))
        self._pictures[view] = picture
        self._show(widget, view, boxes)


def _film_key(scene: Scene) -> tuple[str, Orientation]:
    return scene.film.id, scene.film.orientation


def _view(scene: Scene, area: Box, size: tuple[int, int], settings: DisplaySettings = DEFAULT_DISPLAY) -> Viewport:
    film = scene.film
    return Viewport(scene.case, film.id, area, size, settings, orientation=film.orientation)


def _within(box: Box, area: Box) -> bool:
    """Return True if `box` is inside `area`, with a margin."""
    margin = 0.06 * min(area.width, area.height)
    return (
        box.x0 > area.x0 + margin
        and box.y0 > area.y0 + margin
        and box.x1 < area.x1 - margin
        and box.y1 < area.y1 - margin
    )
