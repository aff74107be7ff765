"""Rows of text of which only the changed ones are drawn, and containers that show only a background.

A key changes seven lines around the films. Textual converts the text of each of its widgets to its own kind, wraps it, and
draws all widgets of the screen again through their style sheets: a third of the time from a key to the films. Rows that
neither wrap nor have borders need none of this, nor do containers with a plain background.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.color import Color
from textual.containers import Horizontal, Vertical
from textual.filter import LineFilter
from textual.geometry import Region
from textual.strip import Strip
from textual.visual import Visual, VisualType, visualize
from textual.widgets import Static

if TYPE_CHECKING:
    from textual.widget import Widget
else:  # Textual takes the style sheet of a class from the first of its bases that is a widget
    Widget = object

__all__ = ["KeyBar", "PlainHorizontal", "PlainVertical", "TextRows"]


class TextRows(Static):
    """A text whose rows do not wrap, in a widget of a fixed size.

    Parameters
    ----------
    id, classes
        Textual's ID and classes of the widget.
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes, markup=False)
        self._content: VisualType = ""
        self._text = Text()
        self._visual: Visual | None = None
        self._rows: list[Text] = []
        self._strips: dict[int, Strip] = {}
        """The rows as they were drawn, by number."""
        self._lines: dict[int, Strip] = {}
        """The same rows in the full width of the widget, after the filters of the app."""
        self._filters: tuple[Color, Sequence[LineFilter]] | None = None
        """The background of the widget and the filters of the app; None if the style may have changed."""
        self._changed: list[Region] = []
        """The regions of the rows that are being changed."""

    @property
    def content(self) -> VisualType:
        """The text."""
        return self._content

    @content.setter
    def content(self, content: VisualType) -> None:
        self.update(content)

    @property
    def visual(self) -> Visual:
        """The whole text as Textual draws it."""
        if self._visual is None:
            self._visual = visualize(self, self._content, markup=False)
        return self._visual

    def update(self, content: VisualType = "", *, layout: bool = False) -> None:
        """Show the text `content`, and draw the rows that differ from those on the screen.

        Nothing is laid out again, whatever `layout` is: the size of the widget does not depend on its text.

        Raises
        ------
        TypeError
            If `content` is neither a string nor a text of Rich.
        """
        if not isinstance(content, str | Text):
            raise TypeError(f"rows of text can't show {type(content).__name__}")
        text = Text(content) if isinstance(content, str) else content
        if _is_same(self._text, text):  # usual for the rows of keys, which take long to split
            return
        text = text.copy()  # the caller may change its own
        self._content, self._text = content, text
        before, self._rows = self._rows, list(text.split("\n")) if "\n" in text.plain else [text]
        changed = [y for y, (old, new) in enumerate(zip_longest(before, self._rows)) if not _is_same(old, new)]
        self._visual = None
        for y in changed:
            self._strips.pop(y, None)
            self._lines.pop(y, None)
        if changed:
            self._changed = [Region(0, y, self.outer_size.width, 1) for y in changed]
            self.refresh()
            self._changed = []

    def refresh(self, *regions: Region, **options: Any) -> TextRows:
        """Draw `regions` again, or the rows that are being changed, or all rows."""
        if not regions and not self._changed:
            self._forget_rows()
        return super().refresh(*(regions or self._changed), **options)

    def notify_style_update(self) -> None:
        """Draw all rows in the new style."""
        self._forget_rows()
        super().notify_style_update()

    def _forget_rows(self) -> None:
        self._strips.clear()
        self._lines.clear()
        self._filters = None

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the rows in `crop`. They bypass Textual's drawing of borders and padding if the widget has none."""
        if any(self.styles.gutter) or self.styles.opacity != 1.0:
            return super().render_lines(crop)
        width = self.outer_size.width
        lines = [self._finish_row(y, width) for y in range(crop.y, crop.bottom)]
        return lines if crop.column_span == (0, width) else [line.crop(crop.x, crop.right) for line in lines]

    def _finish_row(self, y: int, width: int) -> Strip:
        """Return row `y` in the full width, after the filters of the app."""
        line = self._lines.get(y)
        if line is None or line.cell_length != width:
            row = self._rows[y] if y < len(self._rows) else Text()
            above = self._rows[y - 1] if 0 < y <= len(self._rows) else None
            if _is_same(above, row) and (line := self._lines.get(y - 1)) is not None and line.cell_length == width:
                self._lines[y] = line  # the letter of a side takes all rows of its edge
                return line
            line = self._draw_row(y, width).adjust_cell_length(width, self.visual_style.rich_style)
            if self._filters is None:
                self._filters = (self.background_colors[1], self.get_line_filters())
            background, filters = self._filters
            for each in filters:
                line = line.apply_filter(each, background)
            self._lines[y] = line
        return line

    def render_line(self, y: int) -> Strip:
        """Return row `y` of the text."""
        width = self.size.width
        if y not in self._strips or self._strips[y].cell_length != width:
            self._strips[y] = self._draw_row(y, width)
        return self._strips[y]

    def _draw_row(self, y: int, width: int) -> Strip:
        row = self._rows[y] if y < len(self._rows) else Text()
        segments = self._make_segments(row) if row.plain.isprintable() and cell_len(row.plain) <= width else None
        if segments is not None:
            return Strip(segments, cell_len(row.plain))
        # Textual cuts what does not fit, expands tabs, and finds the colours behind numbers of the terminal's palette.
        return Visual.to_strips(self, visualize(self, row, markup=False), width, 1, self.visual_style)[0]

    def _make_segments(self, row: Text) -> list[Segment] | None:
        """Return `row` in the style of the widget; None if it contains colours other than RGB."""
        console, base = self.app.console, self.visual_style.rich_style
        if row.spans:
            parts = [(part.text, part.style or Style.null()) for part in row.render(console)]
        else:
            parts = [(row.plain, console.get_style(row.style))]
        colours = (colour for _, style in parts for colour in (style.color, style.bgcolor))
        if any(colour is not None and colour.triplet is None for colour in colours):
            return None
        return [Segment(text, base + style) for text, style in parts if text]


def _is_same(old: Text | None, new: Text | None) -> bool:
    """Return whether two rows look alike. Rich's texts are equal if they differ only in their base style."""
    return old is not None and new is not None and old == new and old.style == new.style


class _PlainBackground(Widget):
    """A widget that draws its background once: Textual asks all widgets of a screen for all lines at each change of one."""

    _blank: Strip | None = None

    def notify_style_update(self) -> None:
        """Draw the background in the new style."""
        self._blank = None
        super().notify_style_update()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the background of the lines in `crop`."""
        if any(self.styles.gutter) or self.styles.opacity != 1.0:
            return super().render_lines(crop)
        if self._blank is None or self._blank.cell_length != crop.width:
            style = Style(bgcolor=self.visual_style.rich_style.bgcolor)
            self._blank = Strip.blank(crop.width, style)
            for each in self.get_line_filters():
                self._blank = self._blank.apply_filter(each, self.background_colors[1])
        return [self._blank] * crop.height


class PlainHorizontal(_PlainBackground, Horizontal):
    """A horizontal container with a plain background."""


class PlainVertical(_PlainBackground, Vertical):
    """A vertical container with a plain background."""


class KeyBar(TextRows):
    """The keys that a screen offers now. Each screen that has one gives it the id ``keys``."""

    DEFAULT_CSS = """
    KeyBar { height: 1; width: 1fr; color: $plain; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self) -> None:
        super().__init__(id="keys")

    def show_rows(self, rows: Text) -> None:
        """Show `rows` as `format_key_rows` returns them."""
        self.update(rows)
