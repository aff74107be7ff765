"""Drawing of boxes and their names on a picture or on cells, so that no two names overlap. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from PIL import Image, ImageDraw, ImageFont

from ratui.imaging import Box
from ratui.scheme import Site
from ratui.study import Region
from ratui.tui.graphics.film_store import ViewRequest

__all__ = ["BoxState", "Outline", "draw_outlines", "format_short_name", "make_outlines", "place_names", "trace_borders"]

BoxState: TypeAlias = Literal["accepted", "waiting", "current", "refused"]
"""State of a box: confirmed, not yet confirmed, selected, or not valid."""
_RANK: dict[BoxState, int] = {"accepted": 0, "waiting": 1, "current": 3, "refused": 2}
"""Importance: a box of higher rank is drawn over one of lower rank, and its name is placed first."""
_LEVEL: dict[BoxState, int] = {"accepted": 120, "waiting": 200, "current": 255, "refused": 255}
"""Grey levels of the lines."""


_SMALL = 5  # half-cells; a narrower box is drawn as a dot
_CROWDED = 1.25  # total width of the names, divided by that of the boxes, above which most names are left out


@dataclass(frozen=True)
class Outline:
    """A box in a picture, with its short name and its state."""

    box: Box
    """Corners in pixels of the picture."""
    name: str
    """Short name, as `format_short_name` returns it."""
    state: BoxState
    """State, which determines the style of the line."""


def format_short_name(site: Site, both_sides: bool) -> str:
    """Return the name of a joint for a film: its label, or its id if the label is long; with the side if `both_sides`."""
    label = site.joint.label if len(site.joint.label) < 6 else site.joint.id
    return f"{site.side} {label}" if both_sides else label


def make_outlines(
    view: ViewRequest,
    sites: Iterable[Site],
    regions: Mapping[str, Region],
    current: str,
    refused: Iterable[str] = (),
    *,
    both_sides: bool = False,
) -> tuple[Outline, ...]:
    """Return the outlines of the boxes that are visible in a view.

    Parameters
    ----------
    view
        The part of the film that is shown.
    sites
        The sites whose boxes are wanted.
    regions
        The region of each of these sites, by site key.
    current
        Key of the selected site.
    refused
        Keys of the sites whose boxes are not valid.
    both_sides
        True if the film shows both sides, so that names need the side.

    Returns
    -------
    tuple of Outline
        Outlines in pixels of the view, the most important ones last, so that they are drawn on top.
    """
    wrong = set(refused)
    found = []
    for site in sites:
        region = regions[site.key]
        if region.box is None:
            continue
        shown = region.box.to_image(view.box, view.size)
        if not shown.overlaps(Box.from_size(*view.size)):
            continue
        state: BoxState = "waiting"
        if site.key == current:
            state = "current"
        elif site.key in wrong:
            state = "refused"
        elif region.confirmed_by:
            state = "accepted"
        found.append(Outline(Box(*map(round, shown)), format_short_name(site, both_sides), state))
    return tuple(sorted(found, key=lambda outline: _RANK[outline.state]))


def place_names(
    boxes: Sequence[Outline], sizes: Sequence[tuple[int, int]], area: tuple[int, int]
) -> dict[int, tuple[int, int]]:
    """Return the positions of the names that find room, the most important names first.

    A name is placed above its box, or below, beside or inside it, never over another name or over the current box. If
    the boxes are much narrower than their names, only the current box and refused ones get names: the others would hide
    the film.

    Parameters
    ----------
    boxes
        The outlines.
    sizes
        Width and height of each name, in the units of the boxes.
    area
        Width and height of the picture.

    Returns
    -------
    dict
        Top left corners (x, y) by index of the outline. Names without room are missing.
    """
    order = sorted(range(len(boxes)), key=lambda index: -_RANK[boxes[index].state])
    current = next((outline.box for outline in boxes if outline.state == "current"), None)
    wide = [outline.box.width for outline in boxes]
    tight = sum(width for width, _ in sizes) > _CROWDED * sum(wide)
    taken: list[Box] = []
    places = {}
    for index in order:
        if tight and boxes[index].state in ("accepted", "waiting"):
            continue
        x0, y0, x1, y1 = (int(value) for value in boxes[index].box)
        width, height = sizes[index]
        middle = (x0 + x1 - width) // 2
        options = [(middle, y0 - height), (middle, y1 + 1), (x1 + 2, (y0 + y1 - height) // 2)]
        options += [(x0 - width - 2, (y0 + y1 - height) // 2), (x0 + 1, y0 + 1)]
        for x, y in options:
            x = min(max(x, 0), max(area[0] - width, 0))
            place = Box(x, y, x + width, y + height)
            if y < 0 or place.y1 > area[1] or any(place.overlaps(other) for other in taken):
                continue
            if current is not None and boxes[index].state != "current" and place.overlaps(current):
                continue
            taken.append(place)
            places[index] = (x, y)
            break
    return places


def draw_outlines(picture: Image.Image, boxes: Sequence[Outline], text: int) -> Image.Image:
    """Return a copy of a picture with boxes and their names.

    The states differ without colour: the current box has a bright double line, a waiting box a single line, a refused
    box a diagonal, and an accepted box only corners. All have a dark border, because bone is bright.

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
        x0, y0, x1, y1 = outline.box
        level = _LEVEL[outline.state]
        if outline.state == "accepted":
            _corners(draw, outline.box, level)
            continue
        draw.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline=0)
        draw.rectangle((x0, y0, x1, y1), outline=level)
        if outline.state != "waiting":
            draw.rectangle((x0 + 1, y0 + 1, x1 - 1, y1 - 1), outline=level)
            draw.rectangle((x0 + 2, y0 + 2, x1 - 2, y1 - 2), outline=0)
        if outline.state == "refused":
            draw.line((x0, y0, x1, y1), fill=level)
    font = _font(text)
    sizes = [(int(font.getlength(outline.name)) + 4, text + 4) for outline in boxes]
    for index, (x, y) in place_names(boxes, sizes, image.size).items():
        level = max(_LEVEL[boxes[index].state], 150)
        draw.text((x + 2, y + 1), boxes[index].name, font=font, fill=level, stroke_width=2, stroke_fill=0)
    return image


def trace_borders(boxes: Sequence[Outline], area: tuple[int, int]) -> dict[tuple[int, int], BoxState]:
    """Return the pixels of the boxes' lines, for terminals whose pixels are half a character.

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
        x0, y0, x1, y1 = (int(value) for value in outline.box)
        x1, y1 = max(x1 - 1, x0 + 1), max(y1 - 1, y0 + 1)
        line = {(x, y) for x in range(x0, x1 + 1) for y in (y0, y1)} | {(x, y) for y in range(y0, y1) for x in (x0, x1)}
        if x1 - x0 < _SMALL and outline.state in ("accepted", "waiting"):
            line = {((x0 + x1) // 2, (y0 + y1) // 2)}  # lines would hide the joint
        elif outline.state == "accepted":
            line = {(x, y) for x in (x0, x1) for y in (y0, y1)}
        found |= {(x, y): outline.state for x, y in line if 0 <= x < area[0] and 0 <= y < area[1]}
    return found


def _corners(draw: ImageDraw.ImageDraw, box: Box, level: int) -> None:
    """Draw the corners of `box`, with dark lines beside them."""
    x0, y0, x1, y1 = box
    arm = max((x1 - x0) / 4, 2)
    for x, way in ((x0, 1), (x1, -1)):
        for y, turn in ((y0, 1), (y1, -1)):
            for shade, shift in ((0, 1), (level, 0)):
                draw.line((x, y - shift * turn, x + way * arm, y - shift * turn), fill=shade)
                draw.line((x - shift * way, y, x - shift * way, y + turn * arm), fill=shade)


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)
