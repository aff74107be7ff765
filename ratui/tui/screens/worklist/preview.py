"""The panel beside the list: pictures of the films of the selected case.

They are made in a thread once the selection has rested, so that no key waits for them. In a blinded study the films stand
in the places where the rater sees them while scoring, and only those of cases that the rater has begun are shown: others
could be compared with each other before they are read, such as a case with its hidden repeat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from PIL import Image
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static
from textual.worker import get_current_worker

from ratui.errors import RatuiError
from ratui.imaging import DEFAULT_DISPLAY
from ratui.study import Case, CaseState, FilmRecord, Study
from ratui.terminal import Display, FrameCache
from ratui.tui.graphics.film_store import FilmStore
from ratui.tui.graphics.viewport import Viewport, make_whole_film_box
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.textual_internals import run_in_thread
from ratui.tui.widgets.film_view import FilmView
from ratui.tui.widgets.joint_cell import divide_length, paste_side_by_side

__all__ = ["CasePreview", "arrange_films", "choose_films", "may_show_films"]

_REST = 0.2
"""Seconds that the selection rests before its pictures are made: keys that are held down make none."""
_MOST_VISITS, _MOST_ROWS = 4, 2
_FILM_RATIO = 1.25
"""Usual height of a film divided by its width."""


def may_show_films(study: Study, rater: str, state: CaseState) -> bool:
    """Return whether the films of a case may be shown in the list. Raises StudyError if the rater may not read it now."""
    if state.stage == "unreadable" or not state.total:
        return False
    if state.done:
        return True
    if study.config.blinded:
        return False
    study.check_open(rater, state.case)
    return True


def choose_films(case: Case, order: tuple[int, ...]) -> list[list[FilmRecord | None]]:
    """Return the films to show, row by row: a row for each side or part, in it the visits in their places on the screen."""
    kinds = sorted({(film.view, film.side) for film in case.films}, key=lambda kind: (kind[0] != "hand", kind))
    by_place = {(film.view, film.side, film.time): film for film in case.films}
    return [[by_place.get((*kind, time)) for time in order[:_MOST_VISITS]] for kind in kinds[:_MOST_ROWS]]


def arrange_films(rows: list[list[FilmRecord | None]], size: tuple[int, int]) -> list[list[FilmRecord | None]]:
    """Return `rows` of films, or its columns as rows if films are larger so in a place of `size` (width, height) pixels."""

    def find_scale(columns: int, lines: int) -> float:
        return min(size[0] / columns, size[1] / lines / _FILM_RATIO)

    turned = [list(column) for column in zip(*rows, strict=True)]
    return turned if find_scale(len(rows), len(rows[0])) > find_scale(len(rows[0]), len(rows)) else rows


class CasePreview(Vertical):
    """The pictures of the selected case, with a line about the case below them.

    Parameters
    ----------
    study, rater
        The study, as the rater sees it, and the ID of the rater.
    store
        The decoded films.
    display, frame_cache
        The capabilities of the terminal, and the cache for encoded images.
    """

    DEFAULT_CSS = """
    CasePreview { layers: films notice; }
    CasePreview FilmView { height: 1fr; width: 1fr; layer: films; }
    CasePreview #case { height: 4; layer: films; }
    CasePreview #notice { height: 1fr; margin: 0 0 4 0; layer: notice; content-align: center middle; text-align: center; }
    """

    def __init__(
        self, study: Study, rater: str, store: FilmStore, display: Display, frame_cache: FrameCache, *, id: str
    ) -> None:
        super().__init__(id=id, classes="panel")
        self._study = study
        self._rater = rater
        self._store = store
        self._view = FilmView(display, frame_cache)
        self._text = Static(id="case", markup=False)
        self._notice = Static(id="notice", markup=False)
        self._notice.display = False
        """Why there are no pictures, in their place."""
        self._state: CaseState | None = None
        self._t = Catalog()
        self._line = ""

    def compose(self) -> ComposeResult:
        """Make the picture, the line below it, and a notice over the place of the picture."""
        yield self._view
        yield self._text
        yield self._notice

    def show(self, t: Catalog, state: CaseState | None, line: str) -> None:
        """Show `line` about the case of `state` at once, and its pictures as soon as the selection has rested."""
        self._t = t
        before, self._state = self._state, state
        if line != self._line:
            self._line = line
            self._show_text(line)
        if state != before:
            if before is None or state is None or before.case != state.case:
                self._view.blank()  # the films of one case must not stand beside the name of another one
                self._show_notice("")
            self._load_later()

    def on_film_view_resized(self, event: FilmView.Resized) -> None:
        """Make the pictures in their new size."""
        event.stop()
        self._load_later()

    def _show_text(self, text: str) -> None:
        if self._text.content != text:
            self._text.update(text, layout=False)  # its height is fixed

    def _show_notice(self, text: str) -> None:
        self._notice.display = bool(text)
        self._notice.update(text, layout=False)

    def _load_later(self) -> None:
        if self.is_attached and self.display:
            # Not a coroutine: one that is never awaited, because the screen closes, would be reported.
            self.run_worker(self._load_after_rest, exclusive=True, group="rest")  # type: ignore[arg-type]

    async def _load_after_rest(self) -> None:
        await asyncio.sleep(_REST)
        state, size = self._state, self._view.pixel_size
        if state is None or not all(size) or not self.is_attached:
            return
        if not self._view.graphics.can_show_films:
            self._show_notice(self._t("import.no_pictures"))
            return
        run_in_thread(self, lambda: self._prepare(state, size), group="pictures")

    def _prepare(self, state: CaseState, size: tuple[int, int]) -> None:
        """Make the picture of a case in a thread."""
        worker, key, problem = get_current_worker(), None, ""
        try:
            if may_show_films(self._study, self._rater, state):
                key = self._make_picture(state.case, size)
            elif state.stage != "unreadable":
                problem = self._t("worklist.no_preview")
        except RatuiError as error:
            problem = self._t.translate_error(error.problem)
        if not worker.is_cancelled:
            self.app.call_from_thread(self._show_picture, state, key, problem)

    def _make_picture(self, name: str, size: tuple[int, int]) -> Hashable:
        """Encode the picture of the case `name`, and return its key. Raises RatuiError."""
        case = self._study.case(name)
        rows = arrange_films(choose_films(case, self._study.order(self._rater, name)), size)
        display = self._view.graphics
        gap = display.pixels_per_cell
        width = divide_length(size[0], len(rows[0]), gap[0])
        height = divide_length(size[1], len(rows), gap[1])
        views = [[film and _view_film(name, film, (width, height), display) for film in row] for row in rows]
        key = ("preview", *(tuple(row) for row in views))
        if not self._view.has_frame(key):
            picture = Image.new("L", size)
            for place, row in enumerate(views):
                images = tuple(self._store.render(view) if view else None for view in row)
                picture.paste(paste_side_by_side(images, (size[0], height), gap[0]), (0, place * (height + gap[1])))
            self._view.prepare(picture, key)
        return key

    def _show_picture(self, state: CaseState, key: Hashable | None, problem: str) -> None:
        if not self.is_attached or state != self._state:
            return
        if key is None:
            self._view.blank()
        else:
            self._view.show(key)
        self._show_text(self._line)
        self._show_notice(problem)


def _view_film(case: str, film: FilmRecord, size: tuple[int, int], display: Display) -> Viewport:
    box = make_whole_film_box(film, size, display)
    return Viewport(case, film.id, box, size, DEFAULT_DISPLAY.with_preset("film"), orientation=film.orientation)
