"""Rows of text of which only those that change are drawn again."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from rich.text import Text
from textual.geometry import Region
from textual.strip import Strip
from textual.visual import Visual, visualize
from textual.widgets import Static

__all__ = ["TextRows"]


class TextRows(Static):
    """A text whose rows do not wrap. Textual draws all rows of a `Static` again if one has changed.

    Parameters
    ----------
    id
        Textual's ID of the widget.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._rows: list[Text] = []
        self._strips: dict[int, Strip] = {}
        """The rows as they were drawn, by number."""
        self._changed: list[Region] = []
        """The regions of the rows that are being changed."""

    def show_rows(self, text: Text) -> None:
        """Show `text`, and draw the rows that differ from those on the screen."""
        before, self._rows = self._rows, list(text.split("\n"))
        changed = [y for y, (old, new) in enumerate(zip_longest(before, self._rows)) if old != new]
        if not changed:
            return
        for y in changed:
            self._strips.pop(y, None)
        self._changed = [Region(0, y, self.size.width, 1) for y in changed]
        self.update(text, layout=False)
        self._changed = []

    def refresh(self, *regions: Region, **options: Any) -> TextRows:
        """Draw `regions` again, or the rows that are being changed, or all rows."""
        if not regions and not self._changed:
            self._strips.clear()
        return super().refresh(*(regions or self._changed), **options)

    def notify_style_update(self) -> None:
        """Draw all rows in the new style."""
        self._strips.clear()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        """Return row `y` of the text."""
        width = self.size.width
        if y not in self._strips or self._strips[y].cell_length != width:
            row = visualize(self, self._rows[y] if y < len(self._rows) else Text(), markup=False)
            self._strips[y] = Visual.to_strips(self, row, width, 1, self.visual_style)[0]
        return self._strips[y]
