"""Boxes on a film as they are to be seen: how each is drawn, and where its name stands so that no two names collide.

Pure functions from boxes to pictures or cells; they know neither films nor terminals.
"""

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
_RANK: dict[BoxState, int] = {"accepted": 0, "waiting": 1, "current": 3, "refused": 2}
_LEVEL: dict[BoxState, int] = {"accepted": 120, "waiting": 200, "current": 255, "refused": 255}


_SMALL = 5  # halves of a cell: a smaller box is a mark
_CROWDED = 1.25  # how much wider than the boxes all names together may be


@dataclass(frozen=True)
class Outline:
    """One box in the pixels of a picture, with its short name and how it stands."""

    box: Box
    name: str
    state: BoxState


def format_short_name(site: Site, both_sides: bool) -> str:
    """A joint's name on a film; with its side where the film shows both."""
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
    """The boxes of `regions` as they fall on `view`, the ones that matter most last."""
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
    """The top left corners of the names that have room, by index: those that matter most first, then as they come. Where
    boxes are much smaller than their names only those of the current box and of refused ones stand: the others would hide
    the film.

    `sizes` are the names' width and height; `area` is that of the picture. A name stands above its box, or below, beside
    or within it, never on another name and never over the current box.
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
    """`picture`, mode ``L``, with `boxes` and their names, `text` pixels high, on it.

    The current box is bright and double, one that waits a line, an accepted one four corners: told apart without colour.
    All have a dark rim, since bone is bright.
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
    """The pixels of `area` that the boxes' lines run through, for terminals whose pixels are half a character."""
    found: dict[tuple[int, int], BoxState] = {}
    for outline in boxes:
        x0, y0, x1, y1 = (int(value) for value in outline.box)
        x1, y1 = max(x1 - 1, x0 + 1), max(y1 - 1, y0 + 1)
        line = {(x, y) for x in range(x0, x1 + 1) for y in (y0, y1)} | {(x, y) for y in range(y0, y1) for x in (x0, x1)}
        if x1 - x0 < _SMALL and outline.state in ("accepted", "waiting"):
            line = {((x0 + x1) // 2, (y0 + y1) // 2)}  # lines would hide what is in it
        elif outline.state == "accepted":
            line = {(x, y) for x in (x0, x1) for y in (y0, y1)}
        found |= {(x, y): outline.state for x, y in line if 0 <= x < area[0] and 0 <= y < area[1]}
    return found


def _corners(draw: ImageDraw.ImageDraw, box: Box, level: int) -> None:
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
