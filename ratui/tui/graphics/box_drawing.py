"""Drawing of boxes and their names on a picture or on cells. States are visible without colour. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from ratui.imaging import Box
from ratui.tui.graphics.box_names import find_font, measure_in_pixels, place_labels
from ratui.tui.graphics.box_outlines import BoxState, Outline, is_small

__all__ = ["LABEL_GAP", "draw_outlines", "trace_borders", "trace_line"]

LABEL_GAP = 2
"""Distance between a box and its name in pixels."""
_LEVEL: dict[BoxState, int] = {
    "accepted": 235,
    "proposed": 200,
    "moved": 220,
    "estimated": 220,
    "refused": 255,
    "current": 255,
}
"""Grey levels of the lines."""


def draw_outlines(picture: Image.Image, boxes: Sequence[Outline], text: int) -> Image.Image:
    """Return a copy of a picture with boxes and their names.

    The states differ without colour. The selected box has a bright double line; a box that was found, a line; one that the
    rater has placed, a line with a tick on each side; one that was only estimated, a dashed line; a refused one, a double
    line and a diagonal; a confirmed one, only corners. All have a dark border, because bone is bright.

    Parameters
    ----------
    picture
        A grey image of mode ``L``.
    boxes
        The outlines.
    text
        Height of the names in pixels.

    Returns
    -------
    Image
        A new image of mode ``L``.
    """
    image = picture.copy()
    draw = ImageDraw.Draw(image)
    for outline in boxes:
        _draw_box(draw, outline)
    font = find_font(text)
    labels = place_labels(tuple(boxes), measure_in_pixels(text), image.size, gap=LABEL_GAP)
    for shade, width in ((0, 3), (200, 1)):
        for label in labels:
            if label.place.line:
                draw.line(label.place.line, fill=shade, width=width)
    for label in labels:
        level = max(_LEVEL[boxes[label.index].state], 200)
        place = (label.place.box.x0 + 2, label.place.box.y0 + 1)
        draw.text(place, label.text, font=font, fill=level, stroke_width=2, stroke_fill=0)
    return image


def _draw_box(draw: ImageDraw.ImageDraw, outline: Outline) -> None:
    """Draw the lines of a box in the style of its state."""
    x0, y0, x1, y1 = outline.box
    level = _LEVEL[outline.state]
    match outline.state:
        case "accepted":
            _draw_corners(draw, outline.box, level)
        case "estimated":
            _draw_dashes(draw, outline.box, level)
        case _:
            draw.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline=0)
            draw.rectangle((x0 + 1, y0 + 1, x1 - 1, y1 - 1), outline=0)
            draw.rectangle((x0, y0, x1, y1), outline=level)
    if outline.state == "moved":
        _draw_ticks(draw, outline.box, level)
    if outline.state in ("current", "refused"):
        draw.rectangle((x0 + 1, y0 + 1, x1 - 1, y1 - 1), outline=level)
        draw.rectangle((x0 + 2, y0 + 2, x1 - 2, y1 - 2), outline=0)
    if outline.state == "refused":
        draw.line((x0, y0, x1, y1), fill=0, width=3)
        draw.line((x0, y0, x1, y1), fill=level)


def _draw_corners(draw: ImageDraw.ImageDraw, box: Box, level: int) -> None:
    """Draw the corners of `box`, with dark lines beside them."""
    x0, y0, x1, y1 = box
    arm = max((x1 - x0) / 4, 2)
    for x, way in ((x0, 1), (x1, -1)):
        for y, turn in ((y0, 1), (y1, -1)):
            for shade, shift in ((0, 1), (level, 0)):
                draw.line((x, y - shift * turn, x + way * arm, y - shift * turn), fill=shade)
                draw.line((x - shift * way, y, x - shift * way, y + turn * arm), fill=shade)


def _draw_dashes(draw: ImageDraw.ImageDraw, box: Box, level: int) -> None:
    """Draw the sides of `box` as dashes on a dark line."""
    x0, y0, x1, y1 = (int(value) for value in box)
    draw.rectangle((x0, y0, x1, y1), outline=0)
    dash = max((x1 - x0) // 10, 2)
    for first in range(0, x1 - x0 + 1, 2 * dash):
        last = min(first + dash - 1, x1 - x0)
        draw.line((x0 + first, y0, x0 + last, y0), fill=level)
        draw.line((x0 + first, y1, x0 + last, y1), fill=level)
    for first in range(0, y1 - y0 + 1, 2 * dash):
        last = min(first + dash - 1, y1 - y0)
        draw.line((x0, y0 + first, x0, y0 + last), fill=level)
        draw.line((x1, y0 + first, x1, y0 + last), fill=level)


def _draw_ticks(draw: ImageDraw.ImageDraw, box: Box, level: int) -> None:
    """Draw a tick outwards at the middle of each side of `box`."""
    x0, y0, x1, y1 = box
    x, y, length = (x0 + x1) / 2, (y0 + y1) / 2, max((x1 - x0) / 6, 3)
    ticks = [(x, y0 - length, x, y0), (x, y1, x, y1 + length), (x0 - length, y, x0, y), (x1, y, x1 + length, y)]
    for tick in ticks:
        draw.line(tick, fill=0, width=3)
    for tick in ticks:
        draw.line(tick, fill=level)


def trace_borders(boxes: Sequence[Outline], area: tuple[int, int]) -> dict[tuple[int, int], BoxState]:
    """Return the pixels of the boxes' lines, for terminals whose pixels are half a character.

    A box that `is_small` has none.

    Parameters
    ----------
    boxes
        The outlines, the most important ones last.
    area
        Width and height of the picture in pixels.

    Returns
    -------
    dict
        The state of the uppermost box by pixel (x, y).
    """
    found: dict[tuple[int, int], BoxState] = {}
    for outline in boxes:
        if not is_small(outline):
            line = _trace(outline)
            found |= {(x, y): outline.state for x, y in line if 0 <= x < area[0] and 0 <= y < area[1]}
    return found


def _trace(outline: Outline) -> set[tuple[int, int]]:
    """Return the pixels of the lines of a box in the style of its state."""
    x0, y0, x1, y1 = (int(value) for value in outline.box)
    x1, y1 = max(x1 - 1, x0 + 1), max(y1 - 1, y0 + 1)
    line = {(x, y) for x in range(x0, x1 + 1) for y in (y0, y1)} | {(x, y) for y in range(y0, y1) for x in (x0, x1)}
    if outline.state == "accepted":
        arm = max((x1 - x0) // 4, 1)
        return {(x, y) for x, y in line if min(x - x0, x1 - x) < arm and min(y - y0, y1 - y) < arm}
    if outline.state == "estimated":
        dash = 1 if x1 - x0 < 12 else 2
        return {(x, y) for x, y in line if ((x - x0 if y in (y0, y1) else y - y0) // dash) % 2 == 0}
    if outline.state == "moved":
        x, y = (x0 + x1) // 2, (y0 + y1) // 2
        line |= {(x, y0 - 1), (x, y1 + 1), (x0 - 1, y), (x1 + 1, y)}
    if outline.state == "refused":
        steps = max(x1 - x0, y1 - y0)
        line |= {(x0 + round(i * (x1 - x0) / steps), y0 + round(i * (y1 - y0) / steps)) for i in range(steps)}
    return line


def trace_line(line: tuple[int, int, int, int]) -> list[tuple[int, int]]:
    """Return the pixels of a straight line with the ends (x, y, x, y)."""
    x0, y0, x1, y1 = line
    steps = max(abs(x1 - x0), abs(y1 - y0), 1)
    return [(x0 + round(i * (x1 - x0) / steps), y0 + round(i * (y1 - y0) / steps)) for i in range(steps + 1)]
