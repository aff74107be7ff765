"""The panel beside the map: films of the joints that differ most between two visits, with their names and scores.

The pictures are made in a thread, so that no key waits for them. Only joints with entries at both visits are shown: their
films were displayed when the entries were made.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static
from textual.worker import get_current_worker

from ratui.errors import RatuiError
from ratui.reading import Reading
from ratui.study import Study
from ratui.terminal import Display, FrameCache
from ratui.tui.entry.text import site_target
from ratui.tui.entry.visit_names import VisitNames
from ratui.tui.graphics.film_store import FilmStore
from ratui.tui.graphics.view_settings import ViewSettings
from ratui.tui.graphics.viewport import CaseFilms, load_case_films
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.screens.overview.changes import JointChange, find_changes
from ratui.tui.screens.overview.text import format_change
from ratui.tui.textual_internals import run_in_thread
from ratui.tui.theme import CHOSEN, HEADING, PLAIN
from ratui.tui.widgets.film_view import FilmView
from ratui.tui.widgets.joint_cell import JointCell

__all__ = ["ChangedJoints", "find_panel_width"]

_LEAST_COLUMNS, _LEAST_ROWS = 116, 18
"""Least width of the screen, and least height of the panel, in cells."""
_NARROWEST, _SHARE = 36, 0.3
"""Least width of the panel in cells, and its share of the width of the screen."""
_MOST, _CAPTION, _LEAST_PICTURE = 4, 2, 5
"""Largest number of joints, rows of the caption of each, and least height of a picture."""
_VIEW = ViewSettings(has_marks=False)


def find_panel_width(columns: int, rows: int) -> int:
    """Return the width of the panel on a screen of `columns` with `rows` for the map; 0 if there is no room for it."""
    return 0 if columns < _LEAST_COLUMNS or rows < _LEAST_ROWS else max(_NARROWEST, int(_SHARE * columns))


class ChangedJoints(Vertical):
    """Films of the joints of a reading that differ most.

    Parameters
    ----------
    study, reading
        The study, as the rater sees it, and the reading.
    store
        The decoded films.
    display, frame_cache
        The capabilities of the terminal, and the cache for encoded images.
    """

    DEFAULT_CSS = """
    ChangedJoints { width: auto; padding: 0 1; }
    """

    def __init__(
        self, study: Study, reading: Reading, store: FilmStore, display: Display, frame_cache: FrameCache
    ) -> None:
        super().__init__()
        self._study = study
        self._reading = reading
        self._store = store
        self._heading = Static(classes="line", markup=False)
        self._cells = [JointCell(display, frame_cache, _CAPTION) for _ in range(_MOST)]
        self.changes = find_changes(reading)
        """The joints that differ, those that differ most first."""
        self._films: CaseFilms | None = None

    def compose(self) -> ComposeResult:
        """Make the heading and the cells."""
        yield self._heading
        yield from self._cells

    def show(self, t: Catalog, visits: VisitNames, site: str, size: tuple[int, int]) -> None:
        """Fill the panel.

        Parameters
        ----------
        t, visits
            The texts, and the names of the case's visits.
        site
            Key of the selected site.
        size
            Columns and rows of the panel.
        """
        display = self._cells[0].view.graphics
        width = size[0] - 2
        square = max(int(width / 2 * display.cell[0] / display.cell[1]), _LEAST_PICTURE)
        room = size[1] - 1
        wanted = min(len(self.changes), _MOST, 3 if room < _MOST * (square + _CAPTION) else _MOST)
        count = max(min(wanted, room // (_LEAST_PICTURE + _CAPTION)), 1)
        height = min(square, room // count - _CAPTION)
        self.styles.width, self.styles.height = size
        title = t("overview.differing" if self._reading.is_blinded else "overview.changed")
        if len(self.changes) > count:
            title = t("overview.changed_of", title=title, shown=count, count=len(self.changes))
        self._heading.update(Text(title, HEADING), layout=False)
        for number, cell in enumerate(self._cells):
            cell.display = number < count
            if number < count:
                change = self.changes[number]
                cell.view.styles.height = height
                name, scores = format_change(t, self._reading, change, visits, width)
                style = CHOSEN if change.site == site else PLAIN
                cell.show_caption(
                    Text(name, site_target(style, change.site)), Text(scores, site_target(PLAIN, change.site))
                )

    def on_film_view_resized(self, event: FilmView.Resized) -> None:
        """Make the pictures in their new size."""
        event.stop()
        shown = [
            (cell, change, size)
            for cell, change in zip(self._cells, self.changes, strict=False)
            if cell.display and all(size := cell.view.pixel_size)
        ]
        if shown:
            run_in_thread(self, lambda: self._prepare(shown), group="pictures")

    def _prepare(self, shown: Sequence[tuple[JointCell, JointChange, tuple[int, int]]]) -> None:
        """Make the pictures in a thread, and show each one as soon as it is ready; a film that fails stays black."""
        worker = get_current_worker()
        for cell, change, size in shown:
            if worker.is_cancelled:
                return
            try:
                key = self._make_picture(cell, change, size)
            except RatuiError:
                continue
            if not worker.is_cancelled:
                self.app.call_from_thread(self._show_picture, cell, key)

    def _make_picture(self, cell: JointCell, change: JointChange, size: tuple[int, int]) -> Hashable:
        """Encode the picture of a joint, and return its key. Raises RatuiError."""
        if self._films is None:
            case = self._study.case(self._reading.case)
            self._films = load_case_films(self._study, case, self._reading.order)
        viewports = cell.make_viewports(self._films, change.site, change.places, size, _VIEW)
        return cell.prepare(self._store, viewports, size)

    def _show_picture(self, cell: JointCell, key: Hashable) -> None:
        if cell.is_attached and cell.display:
            cell.view.show(key)
