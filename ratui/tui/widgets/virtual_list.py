"""A list of any length of which only the visible lines are made, with one line selected.

It holds no rows of its own and knows nothing of what they say: it asks for a line when the line is seen.
"""

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
"""Makes the text of (row, width, selected)."""


class VirtualList(ScrollView, can_focus=False):
    """`count` lines made by `line`, the one at `cursor` selected. Keys are the screen's; what the mouse picks it is told."""

    DEFAULT_CSS = "VirtualList { background: black; height: 1fr; scrollbar-size: 1 1; }"

    class RowPicked(Message):
        """The mouse selected `row`; `was_selected` says that it was selected before."""

        def __init__(self, row: int, was_selected: bool) -> None:
            super().__init__()
            self.row = row
            self.was_selected = was_selected

    def __init__(self, line: Line, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._line = line
        self.count = 0
        self.cursor = 0

    @property
    def page_size(self) -> int:
        """How many lines are seen at once."""
        return max(self.scrollable_content_region.height, 1)

    def set_rows(self, count: int, cursor: int) -> None:
        """There are `count` rows now, the one at `cursor` selected."""
        self.count = count
        self.virtual_size = Size(0, count)
        self.select(cursor)

    def select(self, row: int) -> None:
        """Selects `row`, or the nearest that there is, and scrolls as little as shows it."""
        self.cursor = min(max(row, 0), max(self.count - 1, 0))
        top, page = int(self.scroll_offset.y), self.page_size
        if self.cursor < top:
            top = self.cursor
        elif self.cursor >= top + page:
            top = self.cursor - page + 1
        # All at once: a list that glides is a list that one waits for.
        self.scroll_to(y=min(top, max(self.count - page, 0)), animate=False, immediate=True, force=True)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        row = y + int(self.scroll_offset.y)
        if not 0 <= row < self.count:
            return Strip.blank(width, self.rich_style)
        text = self._line(row, width, row == self.cursor)
        text.truncate(width, pad=True)
        return Strip(text.render(self.app.console), width).apply_style(self.rich_style)

    def on_resize(self, event: Resize) -> None:
        self.select(self.cursor)

    def on_click(self, event: Click) -> None:
        row = event.y + int(self.scroll_offset.y)
        if row < self.count:
            was_selected = row == self.cursor
            self.select(row)
            self.post_message(self.RowPicked(row, was_selected))
