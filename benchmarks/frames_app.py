"""Show two images side by side, by ratui's widget or by textual-image's.

``frames.py`` measures this program from outside. ``b`` swaps between two pairs that were shown before, ``f`` shows a new
pair, ``q`` ends the program.
"""

from __future__ import annotations

import sys
from typing import Any

from PIL import Image
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.events import Key
from textual.widget import Widget

from ratui.imaging import Box

CELLS, CELL, FRESH = (40, 20), (10, 20), 10


def pictures(halves: bool) -> list[Image.Image]:
    """Return crops of the sample study's films, as many as needed, in the size of the widgets."""
    from ratui.demo.sample import find_sample
    from ratui.imaging import DEFAULT_DISPLAY, read_film, render

    films = [read_film(path) for path in sorted(find_sample().rglob("*.dcm"))[:2]]
    size = (CELLS[0], 2 * CELLS[1]) if halves else (CELLS[0] * CELL[0], CELLS[1] * CELL[1])
    made = []
    for number in range(4 + 2 * FRESH):
        film = films[number % 2]
        x, y = film.columns * (0.3 + 0.03 * (number // 2 % 12)), film.rows * (0.3 + 0.02 * (number // 2))
        made.append(render(film, Box(x - 60, y - 60, x + 60, y + 60), size, DEFAULT_DISPLAY))
    return made


class Pairs(App[None]):
    """An app that shows two images side by side; subclasses choose the widget."""

    CSS = f"Horizontal > * {{ width: {CELLS[0]}; height: {CELLS[1]}; margin: 0 1; }}"

    def __init__(self, protocol: str) -> None:
        super().__init__()
        self.protocol = protocol
        self.images = pictures(protocol == "halfcell" and isinstance(self, Ours))
        self.fresh, self.swaps = 4, 0

    def compose(self) -> ComposeResult:
        """Place both widgets in a row."""
        with Horizontal():
            yield from self.widgets()

    def widgets(self) -> tuple[Widget, Widget]:
        """Return the two widgets."""
        raise NotImplementedError

    def put(self, place: int, number: int) -> None:
        """Show image `number` in the widget at `place`."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Show the first pair."""
        for place in (0, 1):
            self.put(place, place)

    def on_key(self, event: Key) -> None:
        """Swap the pairs, show a new pair, or exit."""
        if event.key == "q":
            self.exit()
        elif event.key in ("b", "f"):
            self.swaps += event.key == "b"
            first = 2 * (self.swaps % 2) if event.key == "b" else self.fresh
            self.fresh += 2 * (event.key == "f")
            for place in (0, 1):
                self.put(place, first + place)


class Ours(Pairs):
    """The app with ratui's widget, which asks the terminal first what it can show, as ratui does."""

    def __init__(self, protocol: str) -> None:
        from ratui.terminal import probe

        super().__init__(protocol)
        self.graphics = probe(protocol)

    def get_driver_class(self) -> Any:
        """Return ratui's driver."""
        from ratui.tui.driver import ListeningDriver

        return ListeningDriver

    def widgets(self) -> tuple[Widget, Widget]:
        """Return two film views with a common cache."""
        from ratui.terminal import Bandwidth, FrameCache
        from ratui.tui.graphics.painter import Painter
        from ratui.tui.widgets.film_view import FilmView

        display = self.graphics
        Painter(self, Bandwidth(display.round_trip, display.rate)).uses_fences = True
        cache = FrameCache()
        self.views = (FilmView(display, cache), FilmView(display, cache))
        return self.views

    def put(self, place: int, number: int) -> None:
        """Show image `number` in the view at `place`."""
        self.views[place].show(number, self.images[number])

    def on_mount(self) -> None:
        """Show the first pair after the layout is known."""
        self.call_after_refresh(super().on_mount)


class Stock(Pairs):
    """The app with textual-image's widget."""

    def __init__(self, protocol: str) -> None:
        super().__init__(protocol)
        # textual-image asks the terminal while it is imported. Once Textual runs, its input thread may take the answer
        # between textual-image's select and its read; that read then blocks for ever.
        from textual_image.widget import HalfcellImage, SixelImage, TGPImage

        self.widget_class = {"kitty": TGPImage, "sixel": SixelImage, "halfcell": HalfcellImage}[protocol]

    def widgets(self) -> tuple[Widget, Widget]:
        """Return two widgets of the protocol."""
        self.shown = (self.widget_class(), self.widget_class())
        return self.shown

    def put(self, place: int, number: int) -> None:
        """Show image `number` in the widget at `place`."""
        self.shown[place].image = self.images[number]


if __name__ == "__main__":
    (Ours if sys.argv[1] == "ours" else Stock)(sys.argv[2]).run()
