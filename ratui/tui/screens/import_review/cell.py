"""A film of the plan: its picture, or the reason why there is none, and a caption."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from ratui.terminal import Display, FrameCache
from ratui.tui.widgets.film_view import FilmView

__all__ = ["FilmCell"]


class FilmCell(Vertical):
    """A picture with a caption of one line above it."""

    DEFAULT_CSS = """
    FilmCell { width: 1fr; height: 1fr; margin: 0 1 0 0; }
    FilmCell .caption { height: 1; }
    FilmCell .problem { height: 1fr; display: none; color: $waiting; padding: 1 1; }
    FilmCell FilmView { height: 1fr; width: 1fr; }
    """

    def __init__(self, display: Display, frame_cache: FrameCache) -> None:
        super().__init__()
        self.view = FilmView(display, frame_cache)
        self._caption = Static(classes="caption", markup=False)
        self._problem = Static(classes="problem", markup=False)

    def compose(self) -> ComposeResult:
        """Make the caption, the picture and the line for a problem."""
        yield self._caption
        yield self.view
        yield self._problem

    def show_caption(self, text: Text) -> None:
        """Show `text` above the picture."""
        self._caption.update(text)

    def show_problem(self, text: str) -> None:
        """Show `text` in the place of the picture, or the picture if it is empty."""
        if text:
            self.view.blank()
        self._problem.update(text)
        self._problem.display = bool(text)
        self.view.display = not text
