"""One cell of the contact sheet: a picture of a joint at all visits, and a caption."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from ratui.terminal import Display, FrameCache
from ratui.tui.widgets.film_view import FilmView

__all__ = ["ContactCell"]


class ContactCell(Vertical):
    """A picture of `size` cells (width, height), with a caption of one line below it."""

    DEFAULT_CSS = """
    ContactCell Static { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, display: Display, frame_cache: FrameCache, size: tuple[int, int]) -> None:
        super().__init__()
        self.view = FilmView(display, frame_cache)
        self._caption = Static(markup=False)
        self.view.styles.width, self.view.styles.height = size[0], size[1]
        self.styles.width, self.styles.height = size[0] + 2, size[1] + 1

    def compose(self) -> ComposeResult:
        """Make the picture and the caption."""
        yield self.view
        yield self._caption

    def show_caption(self, text: Text) -> None:
        """Show `text` below the picture."""
        self._caption.update(text)
