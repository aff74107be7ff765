"""A film of the plan: its picture, or the reason why there is none, and a caption."""

from __future__ import annotations

from collections.abc import Hashable

from rich.cells import set_cell_size
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.geometry import Region
from textual.strip import Strip
from textual.widgets import Static

from ratui.terminal import Display, FrameCache
from ratui.tui.widgets.film_view import FilmView

__all__ = ["FilmCell"]

_WAITING = Style(color=Color.from_rgb(160, 160, 160), bgcolor=Color.from_rgb(0, 0, 0))


class _WaitingView(FilmView):
    """A view that shows a text in the place of its image while the image is being made."""

    def __init__(self, display: Display, frame_cache: FrameCache) -> None:
        super().__init__(display, frame_cache)
        self._text = ""

    def set_text(self, text: str) -> None:
        """Show `text` until the image is shown; nothing if it is empty."""
        if text != self._text:
            self._text = text
            self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the lines of `crop`, which differ while the text is shown."""
        if not self._text:
            return super().render_lines(crop)
        return [self.render_line(y).crop(crop.x, crop.right) for y in range(crop.y, crop.bottom)]

    def render_line(self, y: int) -> Strip:
        """Return line `y`; the second one contains the text."""
        strip = super().render_line(y)
        if not self._text or y != 1:
            return strip
        width = self.size.width
        return Strip([Segment(set_cell_size(f" {self._text}", width), _WAITING)], width)


class FilmCell(Vertical):
    """A picture with a caption of one line above it."""

    DEFAULT_CSS = """
    FilmCell { width: 1fr; height: 1fr; margin: 0 1 0 0; }
    FilmCell .caption { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    FilmCell .problem { height: 1fr; display: none; color: $waiting; padding: 1 1; }
    FilmCell FilmView { height: 1fr; width: 1fr; }
    """

    def __init__(self, display: Display, frame_cache: FrameCache) -> None:
        super().__init__()
        self.view = _WaitingView(display, frame_cache)
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

    def show_waiting(self, text: str) -> None:
        """Show `text` in the place of the picture, which is being made."""
        self.view.blank()
        self.view.set_text(text)

    def show_picture(self, key: Hashable) -> bool:
        """Show a prepared picture, and return whether it is prepared."""
        is_shown = self.view.show(key)
        if is_shown:
            self.view.set_text("")
        return is_shown

    def show_problem(self, text: str) -> None:
        """Show `text` in the place of the picture, or the picture if it is empty."""
        if text:
            self.view.blank()
        self._problem.update(text)
        self._problem.display = bool(text)
        self.view.display = not text
