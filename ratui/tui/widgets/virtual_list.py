"""A list widget of any length with one selected row. It asks for the text of a row only when the row is visible."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text
from textual.events import Click, Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

__all__ = ["VirtualList"]

Line = Callable[[int, int, bool], Text]
"""Function that returns the text of a row, called with (row, width, selected)."""


class VirtualList(ScrollView, can_focus=False):
    """A list of `count` rows, of which the one at `cursor` is selected. The screen handles the keys.

    Parameters
    ----------
    line
        Function that returns the text of a row, called with (row, width, selected).
    id
        Textual's ID of the widget.
    """

    DEFAULT_CSS = "VirtualList { background: $background; height: 1fr; scrollbar-size: 1 1; }"

    class RowPicked(Message):
        """The user clicked on `row`. `was_selected` is true if it was selected before."""

        def __init__(self, row: int, was_selected: bool) -> None:
            super().__init__()
            self.row = row
            self.was_selected = was_selected

    def __init__(self, line: Line, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._line = line
        self.count = 0
        self.cursor = 0

    def find_heading(self, row: int) -> int:
        """Return the first row to show together with the selected `row`: its heading, or the row itself."""
        return row

    def can_select(self, row: int) -> bool:
        """Return whether `row` can be selected with the mouse; a heading can't."""
        return True

    @property
    def page_size(self) -> int:
        """Number of rows that are visible at once."""
        return max(self.scrollable_content_region.height, 1)

    def set_rows(self, count: int, cursor: int) -> None:
        """Set the number of rows to `count`, and select the row at `cursor`."""
        self.count = count
        self.virtual_size = Size(0, count)
        self.select(cursor)

    def select(self, row: int) -> None:
        """Select `row`, or the nearest one that exists, and scroll no further than needed to show it and its heading."""
        self.cursor = min(max(row, 0), max(self.count - 1, 0))
        top, page = int(self.scroll_offset.y), self.page_size
        heading = self.find_heading(self.cursor)
        if heading < top and self.cursor - heading < page:
            top = heading
        elif self.cursor >= top + page:
            top = self.cursor - page + 1
        # Without animation: the user would have to wait for its end.
        self.scroll_to(y=min(top, max(self.count - page, 0)), animate=False, immediate=True, force=True)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return line `y` of the visible part."""
        width = self.scrollable_content_region.width
        row = y + int(self.scroll_offset.y)
        if not 0 <= row < self.count:
            return Strip.blank(width, self.rich_style)
        text = self._line(row, width, row == self.cursor)
        text.truncate(width, pad=True)
        text.stylize_before(text.style)  # `Text.render` leaves out the style of a text without spans
        return Strip(text.render(self.app.console), width).apply_style(self.rich_style)

    def on_resize(self, event: Resize) -> None:
        """Keep the selected row visible."""
        self.select(self.cursor)

    def on_click(self, event: Click) -> None:
        """Select the row under the mouse."""
        row = event.y + int(self.scroll_offset.y)
        if row < self.count and self.can_select(row):
            was_selected = row == self.cursor
            self.select(row)
            self.post_message(self.RowPicked(row, was_selected))
