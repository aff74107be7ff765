"""Containers that show only a background, which is visible between the widgets in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style
from textual.containers import Horizontal, Vertical
from textual.geometry import Region
from textual.strip import Strip

if TYPE_CHECKING:
    from textual.widget import Widget
else:  # Textual takes the style sheet of a class from the first of its bases that is a widget
    Widget = object

__all__ = ["PlainHorizontal", "PlainVertical"]


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
