"""A small picture of a joint at all visits, with a caption below it, and films side by side as one picture."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from PIL import Image
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from ratui.terminal import Display, FrameCache
from ratui.tui.graphics.film_store import FilmStore
from ratui.tui.graphics.view_settings import ViewSettings
from ratui.tui.graphics.viewport import CaseFilms, Viewport
from ratui.tui.widgets.film_view import FilmView

__all__ = ["JointCell", "divide_length", "paste_side_by_side"]


class JointCell(Vertical):
    """The films of a joint side by side, and `lines` lines of text below them."""

    DEFAULT_CSS = """
    JointCell { height: auto; }
    JointCell FilmView { width: 1fr; }
    """

    def __init__(self, display: Display, frame_cache: FrameCache, lines: int = 1) -> None:
        super().__init__()
        self.view = FilmView(display, frame_cache)
        """The picture."""
        self._lines = [Static(classes="line", markup=False) for _ in range(lines)]

    def compose(self) -> ComposeResult:
        """Make the picture and the lines."""
        yield self.view
        yield from self._lines

    @property
    def caption(self) -> list[str]:
        """The lines below the picture."""
        return [str(line.content) for line in self._lines]

    def show_caption(self, *lines: Text) -> None:
        """Show `lines` below the picture."""
        for line, text in zip(self._lines, lines, strict=True):
            line.update(text, layout=False)

    def make_viewports(
        self, films: CaseFilms, site: str, places: Sequence[int], size: tuple[int, int], view_settings: ViewSettings
    ) -> tuple[Viewport | None, ...]:
        """Return the viewports of `site` at `places` of a case, side by side in a picture of `size` (width, height)."""
        display = self.view.graphics
        part = (divide_length(size[0], len(places), display.pixels_per_cell[0]), size[1])
        return tuple(films.make_viewport(site, place, part, display, view_settings) for place in places)

    @staticmethod
    def find_key(viewports: Sequence[Viewport | None]) -> Hashable:
        """Return the key of the picture of `viewports`."""
        return ("pair", *(viewport and viewport.key for viewport in viewports))

    def prepare(self, store: FilmStore, viewports: Sequence[Viewport | None], size: tuple[int, int]) -> Hashable:
        """Encode the picture of `viewports` in `size` for a later call of ``view.show``, and return its key.

        May be called from any thread. Raises FilmError if a film cannot be read.
        """
        key = self.find_key(viewports)
        if not self.view.has_frame(key):
            images = [store.render(viewport) if viewport else None for viewport in viewports]
            self.view.prepare(paste_side_by_side(images, size, self.view.graphics.pixels_per_cell[0]), key)
        return key


def divide_length(length: int, count: int, gap: int) -> int:
    """Return the width or height of each of `count` images that stand `gap` pixels apart in `length` pixels."""
    return (length - gap * (count - 1)) // count


def paste_side_by_side(images: Sequence[Image.Image | None], size: tuple[int, int], gap: int) -> Image.Image:
    """Return a grey image of `size` (width, height) with `images` side by side, `gap` pixels apart; None stays black."""
    sheet = Image.new("L", size)
    width = divide_length(size[0], len(images), gap)
    for place, image in enumerate(images):
        if image is not None:
            sheet.paste(image, (place * (width + gap), 0))
    return sheet
