"""Names beside boxes, in full or abbreviated, and their places. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from PIL import ImageFont
from rich.cells import cell_len

from ratui.tui.graphics.box_outlines import RANK, Outline
from ratui.tui.graphics.name_placement import PlacedName, place_names

__all__ = ["Label", "find_font", "list_abbreviations", "measure_in_cells", "measure_in_pixels", "place_labels"]

_MOST_NAMES = 0.07
"""Largest part of the picture that full names may take; above it, they are abbreviated."""
_MOST_SHORT_NAMES = 0.2
"""Largest part of the picture that abbreviated names may take; above it, only important boxes have one."""


@dataclass(frozen=True)
class Label:
    """A name on a picture."""

    index: int
    """Index of the outline that it names."""
    text: str
    """The name or its abbreviation."""
    place: PlacedName
    """Place of the name."""


@lru_cache(maxsize=8)
def place_labels(
    boxes: tuple[Outline, ...], measure: Callable[[str], tuple[int, int]], area: tuple[int, int], *, gap: int = 1
) -> tuple[Label, ...]:
    """Return the names of boxes with their places, the most important boxes first.

    No name covers another one, the box that it names, or the selected box. If the full names would take too much of the
    picture or one finds no place, all but that of the selected box are abbreviated. If even these would hide the film,
    only the selected box and refused ones have names.

    Parameters
    ----------
    boxes
        The outlines.
    measure
        Function that returns width and height of a name, in the units of the boxes. It can be hashed.
    area
        Width and height of the picture.
    gap
        Distance between a name and its box.
    """
    order = sorted(range(len(boxes)), key=lambda index: -RANK[boxes[index].state])
    names = {index: boxes[index].name for index in order}
    shorts = {index: boxes[index].name if boxes[index].state == "current" else boxes[index].short for index in order}
    if _covered(names.values(), measure) <= _MOST_NAMES * area[0] * area[1]:
        labels = _place(boxes, names, measure, area, gap)
        if len(labels) == len(boxes):
            return labels
    if _covered(shorts.values(), measure) > _MOST_SHORT_NAMES * area[0] * area[1]:
        shorts = {index: names[index] for index in order if boxes[index].state in ("current", "refused")}
    return _place(boxes, shorts, measure, area, gap)


def _covered(names: Iterable[str], measure: Callable[[str], tuple[int, int]]) -> int:
    return sum(width * height for width, height in map(measure, names))


def _place(
    boxes: Sequence[Outline],
    names: Mapping[int, str],
    measure: Callable[[str], tuple[int, int]],
    area: tuple[int, int],
    gap: int,
) -> tuple[Label, ...]:
    """Return the labels of the boxes with the indices in `names`, in this order."""
    current = next((outline.box for outline in boxes if outline.state == "current"), None)
    # Boxes without a name come last: names avoid them too.
    order = [*names, *(index for index in range(len(boxes)) if index not in names)]
    places = place_names(
        [boxes[index].box for index in order], [measure(name) for name in names.values()], area, free=current, gap=gap
    )
    return tuple(Label(order[place], names[order[place]], found) for place, found in places.items())


def list_abbreviations(boxes: Sequence[Outline], labels: Iterable[Label]) -> tuple[str, ...]:
    """Return the explanations of the abbreviations among `labels`: ``P PIP``, ``CNL CAP-NAV-LUN``.

    An abbreviation that is the beginning of the name needs none.
    """
    found = {}
    for label in labels:
        joint = boxes[label.index].name.rpartition(" ")[2]
        if label.text == boxes[label.index].name or joint.casefold().startswith(label.text.casefold()):
            continue
        if label.text[-1].isdigit():
            found[label.text[:-1]] = joint.rstrip("0123456789")
        else:
            found[label.text] = joint
    return tuple(f"{short} {name}" for short, name in found.items() if short != name)


def measure_in_cells(name: str) -> tuple[int, int]:
    """Return width and height of `name` in terminal cells, with a cell that separates it from the next name."""
    return cell_len(name) + 1, 1


@lru_cache(maxsize=8)
def measure_in_pixels(text: int) -> Callable[[str], tuple[int, int]]:
    """Return a function for width and height of a name in pixels, in a font of `text` pixels with a dark border."""
    font = find_font(text)
    return lambda name: (int(font.getlength(name)) + 4, text + 4)


@lru_cache(maxsize=8)
def find_font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font of names of `size` pixels."""
    return ImageFont.load_default(size=size)
