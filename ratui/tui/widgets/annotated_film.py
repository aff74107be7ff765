"""A widget for a film with boxes and their names.

With half-cells, boxes and names replace cells of the film, so that a moved box changes only a few cells. With Kitty and
Sixel they are drawn into the picture.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

from PIL import Image
from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from ratui.imaging import Box
from ratui.tui.graphics.box_drawing import LABEL_GAP, draw_outlines, trace_borders, trace_line
from ratui.tui.graphics.box_names import (
    Label,
    list_abbreviations,
    measure_in_cells,
    measure_in_pixels,
    place_labels,
)
from ratui.tui.graphics.box_outlines import SIGNS, BoxState, Outline, is_small
from ratui.tui.theme import find_film_colour
from ratui.tui.widgets.film_view import FilmView

__all__ = ["AnnotatedFilm"]

_COLOUR: dict[BoxState, str] = {
    "accepted": "quiet",
    "proposed": "accent",
    "moved": "accent",
    "estimated": "plain",
    "refused": "alarm",
    "current": "waiting",
}
"""Names of the palette's colours."""


class AnnotatedFilm(FilmView):
    """A film view with boxes. Call `prepare_annotated` in any thread, then `show_annotated` with the same arguments."""

    HAS_OVERLAY = True

    # By row of cells: the states of the lines through the upper and lower half of each cell, and the names to write.
    _border: dict[int, dict[int, tuple[BoxState | None, BoxState | None]]] | None = None
    _names: dict[int, list[tuple[int, str, BoxState]]] | None = None

    @property
    def draws_in_cells(self) -> bool:
        """True if boxes replace cells of the film, so that they need not be drawn into the picture."""
        across, _ = self._cell_pixels
        return across == 1

    @property
    def text_height(self) -> int:
        """Height of a name in pixels, chosen so that it is as legible as the terminal's own text."""
        return max(round(0.62 * self._cell_pixels[1]), 8)

    @property
    def _cell_pixels(self) -> tuple[int, int]:
        width, height = self.pixel_size
        return (width // max(self.size.width, 1), height // max(self.size.height, 1))

    def prepare_annotated(self, picture: Image.Image, key: Hashable, boxes: tuple[Outline, ...]) -> None:
        """Encode a picture with boxes for a later call of `show_annotated`. May be called from any thread.

        Parameters
        ----------
        picture
            A grey image of mode ``L`` and of the view's `pixel_size`.
        key
            Key of the picture without boxes.
        boxes
            The boxes to draw.
        """
        if self.draws_in_cells:
            self.prepare(picture, key)
        else:
            self.prepare(draw_outlines(picture, boxes, self.text_height), (key, boxes))

    def show_annotated(self, picture: Image.Image, key: Hashable, boxes: tuple[Outline, ...]) -> None:
        """Show a picture with boxes. The parameters are those of `prepare_annotated`."""
        if not self.draws_in_cells:
            name = (key, boxes)
            if not self.show(name):
                self.show(name, draw_outlines(picture, boxes, self.text_height))
            return
        self._lay_out_overlay(boxes)
        self.show(key, picture)
        self.refresh()

    def blank(self) -> None:
        """Show neither a film nor boxes."""
        self._border = self._names = None
        super().blank()

    def _lay_out_overlay(self, boxes: tuple[Outline, ...]) -> None:
        """Sort lines and names by the row of cells that shows them."""
        width, height = self.size.width, self.size.height
        self._border = {}
        for (x, y), state in trace_borders(boxes, (width, 2 * height)).items():
            row = self._border.setdefault(y // 2, {})
            upper, lower = row.get(x, (None, None))
            row[x] = (upper, state) if y % 2 else (state, lower)
        self._names = {}
        for each in boxes:
            x, y = int(each.box.x0 + each.box.x1) // 2, int(each.box.y0 + each.box.y1) // 4
            if is_small(each) and 0 <= x < width and 0 <= y < height:
                self._names.setdefault(y, []).append((x, SIGNS[each.state], each.state))
        for label in self._place_labels(boxes):
            place, state = label.place, boxes[label.index].state
            self._names.setdefault(int(place.box.y0), []).append((int(place.box.x0), label.text, state))
            if place.line:
                x0, y0, x1, y1 = place.line
                for x, y in trace_line((x0, 2 * y0, x1, 2 * y1)):
                    row = self._border.setdefault(y // 2, {})
                    upper, lower = row.get(x, (None, None))
                    row[x] = (upper, lower or state) if y % 2 else (upper or state, lower)

    def _place_labels(self, boxes: tuple[Outline, ...]) -> tuple[Label, ...]:
        """Return the names of `boxes` with their places, in cells if boxes replace cells, else in pixels."""
        if not self.draws_in_cells:
            return place_labels(boxes, measure_in_pixels(self.text_height), self.pixel_size, gap=LABEL_GAP)
        # A name takes whole cells: measure the boxes in rows of cells, not in halves.
        rows = tuple(
            replace(each, box=Box(each.box.x0, each.box.y0 // 2, each.box.x1, (each.box.y1 + 1) // 2)) for each in boxes
        )
        return place_labels(rows, measure_in_cells, (self.size.width, self.size.height), gap=0)

    def list_abbreviations(self, boxes: tuple[Outline, ...]) -> tuple[str, ...]:
        """Return the explanations of the abbreviated names on the film. Call it after `boxes` were prepared or shown."""
        return list_abbreviations(boxes, self._place_labels(boxes))

    def uses_signs(self, boxes: tuple[Outline, ...]) -> bool:
        """Return True if signs stand for some of the `boxes`, because there is no room for lines."""
        return self.draws_in_cells and any(map(is_small, boxes))

    def render_line(self, y: int) -> Strip:
        """Return line `y` of the film, with lines and names in place of some cells."""
        strip = super().render_line(y)
        if not self._border and not self._names:
            return strip
        line = (self._border or {}).get(y)
        if line:
            strip = _with_lines(strip, line)
        for x, name, state in sorted((self._names or {}).get(y, ()), key=lambda item: item[0]):
            end = min(x + cell_len(name), strip.cell_length)
            label = Strip([Segment(name, _name_style(state))]).crop(0, end - x)
            strip = Strip.join([strip.crop(0, x), label, strip.crop(end, strip.cell_length)])
        return strip


def _name_style(state: BoxState) -> Style:
    """Return the style of the name of a box: a block for the selected box and for refused ones."""
    colour = find_film_colour(_COLOUR[state])
    # Not "black": terminals show the bold black of their own colours as grey.
    return Style.parse(f"bold #000000 on {colour}" if state in ("current", "refused") else f"{colour} on #000000")


def _with_lines(strip: Strip, line: dict[int, tuple[BoxState | None, BoxState | None]]) -> Strip:
    """Return a `strip` of half-cells in which the halves in `line` have the colours of their boxes."""
    cells: list[Segment] = []
    for segment in strip:
        style = segment.style or Style()
        for character in segment.text:
            upper, lower = line.get(len(cells), (None, None))
            if upper is None and lower is None:
                cells.append(Segment(character, style))
                continue
            # A space shows the background in both halves.
            over = style.color if character == "▀" else style.bgcolor
            top = Color.parse(find_film_colour(_COLOUR[upper])) if upper else over
            bottom = Color.parse(find_film_colour(_COLOUR[lower])) if lower else style.bgcolor
            cells.append(Segment("▀", Style(color=top, bgcolor=bottom)))
    return Strip(cells, strip.cell_length)
