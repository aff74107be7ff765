"""The films that compete with each other, side by side."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path

from PIL import Image
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.worker import get_current_worker

from ratui.errors import FilmError
from ratui.terminal import Display, FrameCache
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.screens.import_review.cell import FilmCell
from ratui.tui.screens.import_review.pictures import FilmPictures, fit_picture
from ratui.tui.screens.import_review.text import format_problem
from ratui.tui.textual_internals import run_in_thread
from ratui.tui.widgets.film_view import FilmView

__all__ = ["CompetingFilms"]

_NARROWEST = 26
"""Smallest width of a film's picture in cells."""
_MOST = 4


class CompetingFilms(Horizontal):
    """The pictures of at most four films, each made in a thread.

    Parameters
    ----------
    display, frame_cache
        The capabilities of the terminal, and the cache for encoded images.
    pictures
        The pictures of the films.
    t
        Texts in the user's language.
    """

    DEFAULT_CSS = "CompetingFilms { height: 1fr; }"

    def __init__(self, display: Display, frame_cache: FrameCache, pictures: FilmPictures, t: Catalog) -> None:
        super().__init__()
        self._pictures = pictures
        self._t = t
        self._cells = [FilmCell(display, frame_cache) for _ in range(_MOST)]
        self._shown: list[Path] = []
        self._ahead: list[Path] = []

    def compose(self) -> ComposeResult:
        """Lay out the cells."""
        yield from self._cells

    def room(self, width: int) -> int:
        """Return the number of films that fit into `width` cells."""
        return min(max(width // _NARROWEST, 1), _MOST)

    def show(self, paths: Sequence[Path], captions: Sequence[Text], ahead: Sequence[Path]) -> None:
        """Show the films `paths` below their captions, and decode the films `ahead` after them."""
        self._shown, self._ahead = list(paths), list(ahead)
        for place, cell in enumerate(self._cells):
            cell.display = place < len(self._shown)
        for cell, caption in zip(self._cells, captions, strict=False):
            cell.show_caption(caption)
        self.call_after_refresh(self._draw)

    def on_film_view_resized(self, event: FilmView.Resized) -> None:
        """Make the pictures in their new size."""
        event.stop()
        self.call_after_refresh(self._draw)

    def _draw(self) -> None:
        """Show the pictures that are ready; make the others in a thread."""
        if not self.is_attached:
            return
        jobs: list[tuple[FilmCell, Path]] = []
        for cell, path in zip(self._cells, self._shown, strict=False):
            found = self._pictures.find(path)
            if not cell.view.graphics.can_show_films:
                cell.show_problem(self._t("import.no_pictures"))
            elif isinstance(found, FilmError):
                self._show_picture(cell, path, found)
            else:
                cell.show_problem("")
                if not cell.show_picture(_key(path)):
                    cell.show_waiting(self._t("import.loading"))
                    jobs.append((cell, path))
        ahead = [path for path in self._ahead if self._pictures.find(path) is None]
        if (jobs or ahead) and self._cells[0].view.graphics.can_show_films:
            run_in_thread(self, lambda: self._prepare(jobs, ahead), group="pictures")

    def _prepare(self, jobs: list[tuple[FilmCell, Path]], ahead: list[Path]) -> None:
        """Make the pictures of `jobs` and decode the films `ahead`, in a thread."""
        worker = get_current_worker()
        for cell, path in jobs:
            if worker.is_cancelled:
                return
            found, size = self._pictures.load(path), cell.view.pixel_size
            if isinstance(found, Image.Image) and size[0] and size[1]:
                cell.view.prepare(fit_picture(found, size, cell.view.graphics), _key(path))
            if not worker.is_cancelled:
                self.app.call_from_thread(self._show_picture, cell, path, found)
        for path in ahead:
            if not worker.is_cancelled:
                self._pictures.load(path)

    def _show_picture(self, cell: FilmCell, path: Path, found: Image.Image | FilmError) -> None:
        if not cell.is_attached or (cell, path) not in zip(self._cells, self._shown, strict=False):
            return
        if isinstance(found, FilmError):
            cell.show_problem(format_problem(self._t, found))
        else:
            cell.show_picture(_key(path))


def _key(path: Path) -> Hashable:
    return ("import", path)
