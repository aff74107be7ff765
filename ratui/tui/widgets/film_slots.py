"""Views of films side by side, each with a title above and a line below. They do not depend on joints."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.message import Message
from textual.widget import Widget
from textual.worker import Worker

from ratui.terminal import Display, FrameCache, KittyFrame
from ratui.tui.graphics.film_window import MAX_SIDE_BY_SIDE
from ratui.tui.graphics.painter import Painter
from ratui.tui.widgets.film_view import FilmView
from ratui.tui.widgets.plain_widgets import PlainHorizontal, PlainVertical, TextRows

__all__ = ["FilmSlots"]

_PAINTING = 0.2
"""Longest wait in seconds for the terminal to paint the displayed pictures, before work on later ones."""


class FilmSlots(PlainVertical):
    """A widget with up to `MAX_SIDE_BY_SIDE` slots: a view with its title and line.

    A place is the number of a visit on the screen, 0 for the leftmost. The slots show the places in `window`.

    Parameters
    ----------
    display
        The capabilities of the terminal.
    frame_cache
        The cache for encoded images.
    id
        Textual's ID of the widget.
    """

    class FilmLoaded(Message):
        """A film that had to be decoded is on the screen, or cannot be shown."""

    def __init__(self, display: Display, frame_cache: FrameCache, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._frame_cache = frame_cache
        self._coming: Sequence[tuple[FilmView, Hashable]] = ()
        """The views and keys of pictures that are likely to be needed next."""
        self.window: tuple[int, ...] = (0, 1)
        """The places of the slots, in order."""
        self.is_side_by_side = True
        """True if all views of the window are shown, false if only the first one is."""
        self.loading_views: set[FilmView] = set()
        """Views whose film had to be decoded and is not on the screen yet."""
        slots = range(MAX_SIDE_BY_SIDE)
        self._slots = tuple(FilmView(display, frame_cache, id=f"film{slot}") for slot in slots)
        self._titles = tuple(TextRows(id=f"title{slot}") for slot in slots)
        self._texts: list[str | Text] = ["" for _ in slots]
        """The titles of the slots, shown as soon as the films are loaded."""
        self._lines = tuple(TextRows(id=f"fields{slot}") for slot in slots)
        self._arrange_slots()

    def compose(self) -> ComposeResult:
        """Lay out titles, views and lines of two slots. More are added where a case needs them."""
        for row, widgets in self._rows():
            with PlainHorizontal(id=row, classes="" if row == "views" else "lines"):
                yield from widgets[:2]

    def _rows(self) -> tuple[tuple[str, Sequence[Widget]], ...]:
        """Return the widgets of all slots by the id of their row."""
        return ("titles", self._titles), ("views", self._slots), ("fields", self._lines)

    @property
    def views(self) -> tuple[FilmView, ...]:
        """The views of the films in `window`. Only the first one is shown unless they stand side by side."""
        return self._slots[: len(self.window)]

    def view_of(self, place: int) -> FilmView:
        """Return the view of the film at `place` in the window: the first one, unless the films stand side by side."""
        return self._slots[self.window.index(place) if self.is_side_by_side else 0]

    def set_window(self, window: tuple[int, ...]) -> None:
        """Let the slots show the places in `window`."""
        is_other_count = len(window) != len(self.window)
        self.window = window
        if is_other_count:
            for view in self._slots[len(window) :]:
                view.blank()
            self._add_slots()
            self._arrange_slots()

    def _add_slots(self) -> None:
        """Add the slots of the window that no earlier window has needed."""
        for row, widgets in self._rows():
            missing = [widget for widget in widgets[: len(self.window)] if not widget.is_attached]
            if missing:
                self.query_one(f"#{row}", PlainHorizontal).mount(*missing)

    def set_side_by_side(self, is_side_by_side: bool) -> None:
        """Show all views of the window, or only the first one."""
        self.is_side_by_side = is_side_by_side
        self._arrange_slots()

    def _arrange_slots(self) -> None:
        for slot, view in enumerate(self._slots):
            is_shown = slot < (len(self.window) if self.is_side_by_side else 1)
            if view.display and not is_shown:
                view.hide_image()  # Kitty keeps images over cells that are written again
            elif is_shown and not view.display:
                view.show_again()
            view.display = is_shown
            self._titles[slot].display = self._lines[slot].display = slot < len(self.window)

    @property
    def title_width(self) -> int:
        """Cells for the text of a title, without the arrow before it; 0 before the first layout."""
        return max(self._titles[0].size.width - 2, 0)

    def set_title(self, place: int, text: str | Text, while_loading: str | Text = "") -> None:
        """Write `text` above the film at `place` in the window; `while_loading` instead while the film is decoded."""
        slot = self.window.index(place)
        self._texts[slot] = text
        self._titles[slot].update(while_loading if while_loading and self.is_loading(place) else text)

    def set_line(self, place: int, text: str | Text) -> None:
        """Write `text` below the film at `place` in the window."""
        if isinstance(text, Text):
            text = text.copy()
            text.rstrip()  # blanks that do not fit would leave an ellipsis
        self._lines[self.window.index(place)].update(text)

    def end_loading(self, view: FilmView) -> None:
        """Record that the film of `view` is on the screen, or cannot be shown. May be called from any thread."""
        if view in self.loading_views:
            self.loading_views.discard(view)
            self.post_message(self.FilmLoaded())

    def on_film_slots_film_loaded(self, event: FilmLoaded) -> None:
        """Show the titles of films that are no longer being loaded."""
        event.stop()
        for slot, place in enumerate(self.window):
            if not self.is_loading(place):
                self._titles[slot].update(self._texts[slot])

    def is_loading(self, place: int) -> bool:
        """Return True while the film at `place` is not on the screen because it has to be decoded."""
        raise NotImplementedError

    def plan_ahead(self, coming: Sequence[tuple[FilmView, Hashable]]) -> None:
        """Send the pictures in `coming`, each a view and the key of its picture, to a terminal that keeps images."""
        self._coming = coming
        self.send_ahead()

    def send_ahead(self) -> None:
        """Have the painter send the planned pictures that are encoded, while no key is pressed."""
        frames = [view.find_frame(key) for view, key in self._coming]
        kept = [frame for frame in frames if isinstance(frame, KittyFrame)]
        Painter.for_app(self.app).send_ahead(kept, self._frame_cache)

    def wait_until_painted(self, worker: Worker[None]) -> None:
        """Wait in the thread of `worker` until the displayed pictures are painted, or for 0.2 seconds at most.

        Call this before work in advance, so that such work delays no key.
        """
        ends = time.monotonic() + _PAINTING
        while time.monotonic() < ends and not worker.is_cancelled:
            if all(view.painted_at is not None for view in self.views if view.key is not None):
                return
            time.sleep(0.01)
