"""A drawing of one hand or foot in text: outlines of the long bones in Braille characters, and a label at each joint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from PIL import Image, ImageDraw
from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from ratui.scheme import Scheme, Site
from ratui.tui.theme import QUIET

__all__ = ["LabelLine", "LimbLayout", "center_text", "draw_limb", "place_joints"]

LabelLine = tuple[str, str | Style]
"""One line of a joint's label, and its style."""
_LEAST_ROWS = 12
"""Rows from which there is room for bones."""
_TIPS, _SHAFTS = 4, 5
"""Rows above the joints for the ends of fingers or toes, and below them for metacarpals or metatarsals."""
_NARROWING = 0.78
"""Distance of a metacarpal's base from the middle of the drawing, relative to that of its head."""
_OUTLINE = ((0.0, 2.0), (0.12, 2.5), (0.3, 1.6), (0.7, 1.6), (0.88, 2.5), (1.0, 2.0))
"""Half widths of a long bone at shares of its length, in dots of a drawing whose joints are 4 cells wide."""
_WIDEST = 2.0
"""Largest factor by which bones are wider where joints have more cells."""
_PROXIMAL = {"IP": "MCP", "PIP": "MCP", "FIP": "MTP"}
"""The joint at the other end of the bone, of the same number, for the letters of a joint's id."""
_FINGER_LETTERS = ("PIP", "IP", "FIP", "MCP", "MTP")
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of the dots of a Braille character, by row and column."""
_Point = tuple[float, float]
_Spot = tuple[str, str, float, float]
"""Key of a site, ID of its joint, and its place from left to right and from top to bottom, both between 0 and 1."""


@dataclass(frozen=True)
class LimbLayout:
    """The measures of a drawing in terminal cells.

    Attributes
    ----------
    width, rows
        Size of the drawing.
    cell
        Width of a joint, with a gap behind its label.
    label_rows
        Height of a label.
    """

    width: int
    rows: int
    cell: int = 4
    label_rows: int = 1

    @property
    def label_width(self) -> int:
        """Cells of a label."""
        return self.cell - 1


def draw_limb(
    scheme: Scheme, sites: Sequence[Site], layout: LimbLayout, format_label: Callable[[str], Sequence[LabelLine]]
) -> list[Text]:
    """Return the drawing of the hand or foot whose joints are `sites`, line by line.

    Parameters
    ----------
    scheme
        The scheme, whose template has the places of the joints.
    sites
        Sites of one side and part.
    layout
        The measures. Below 12 rows no bones are drawn.
    format_label
        Function that returns the lines of the label of a site, given its key.
    """
    cells, bones = _arrange(_find_spots(scheme, sites), layout)
    pieces: dict[int, list[tuple[int, LabelLine]]] = {}
    for key, (column, row) in cells.items():
        for down, line in enumerate(format_label(key)):
            pieces.setdefault(row + down, []).append((column, line))
    lines = []
    for row in range(layout.rows):
        text = Text(no_wrap=True)
        for column, (label, style) in sorted(pieces.get(row, []), key=lambda piece: piece[0]):
            text.append(bones[row][text.cell_len : column], QUIET)
            # Bones do not show through the blanks of a label, but only its letters have its style.
            text.append(label[: len(label) - len(label.lstrip())])
            text.append(label.strip(), style)
            text.append(label[len(label.rstrip()) :] if label.strip() else "")
        text.append(bones[row][text.cell_len :], QUIET)
        text.rstrip()
        lines.append(text)
    return lines


@lru_cache(maxsize=32)
def _arrange(spots: tuple[_Spot, ...], layout: LimbLayout) -> tuple[Mapping[str, tuple[int, int]], tuple[str, ...]]:
    """Return the column and row of each label by the key of its site, and the drawing without labels, row by row.

    The last results are kept: while a hand is read, the drawing stays and only the labels change.
    """
    has_bones = layout.rows >= _LEAST_ROWS
    has_wrist = any(_split_id(joint)[0] not in _FINGER_LETTERS for _, joint, _, _ in spots)
    above = _TIPS + layout.label_rows - 1 if has_bones else 0
    below = _SHAFTS if has_bones and not has_wrist else 0
    grid = max((layout.rows - above - below) // layout.label_rows, 1)
    cells = {
        key: (column, row * layout.label_rows + above)
        for (column, row), key in _place_spots(spots, layout.width, grid, layout.cell).items()
    }
    if not has_bones:
        return cells, (" " * layout.width,) * layout.rows
    by_joint = {joint: key for key, joint, _, _ in spots if key in cells}
    return cells, _format_dots(_draw_bones(cells, by_joint, layout, above))


def center_text(text: str, width: int) -> str:
    """Return `text` in the middle of `width` cells, with blanks at both sides; a wider text as it is."""
    room = max(width - cell_len(text), 0)
    return " " * (room // 2) + text + " " * (room - room // 2)


def place_joints(
    scheme: Scheme, sites: Sequence[Site], width: int, rows: int, cell: int = 4
) -> dict[tuple[int, int], str]:
    """Return the keys of `sites`, all of one side and part, by (column, row), about where a film shows the joints.

    `width` and `rows` are the size in cells, `cell` the width of a joint. Thumbs and big toes are where a film of that side
    has them. A joint whose place is taken gets the nearest free one.
    """
    return _place_spots(_find_spots(scheme, sites), width, rows, cell)


def _find_spots(scheme: Scheme, sites: Sequence[Site]) -> tuple[_Spot, ...]:
    """Return where a film shows `sites`, all of one side and part. Joints that no template has are at the lower right."""
    views = [view for view in scheme.views.values() if view.part == sites[0].part]
    view = max(views, key=lambda view: sum(site.joint.id in view.template for site in sites))
    spots = {site: view.template[site.joint.id][:2] for site in sites if site.joint.id in view.template}
    xs, ys = [x for x, _ in spots.values()] or [0.0], [y for _, y in spots.values()] or [0.0]
    found = []
    for site in sites:
        x, y = spots.get(site, (max(xs), max(ys)))
        across = (x - min(xs)) / ((max(xs) - min(xs)) or 1.0)
        down = (y - min(ys)) / ((max(ys) - min(ys)) or 1.0)
        found.append((site.key, site.joint.id, 1 - across if site.side == "R" else across, down))
    return tuple(found)


def _place_spots(spots: Sequence[_Spot], width: int, rows: int, cell: int) -> dict[tuple[int, int], str]:
    """Return the keys of the sites by (column, row): each at the free place that is nearest to its spot."""
    columns = max((width + 1) // cell, 1)
    free = {(column, row) for column in range(columns) for row in range(rows)}
    cells: dict[tuple[int, int], str] = {}
    for key, _, across, down in spots:
        wanted = (across * (columns - 1), down * (rows - 1))
        if not free:
            break
        best = min(free, key=lambda place: (2 * (place[0] - wanted[0])) ** 2 + (place[1] - wanted[1]) ** 2)
        free.remove(best)
        cells[best[0] * cell, best[1]] = key
    return cells


def _draw_bones(
    places: Mapping[str, tuple[int, int]], by_joint: Mapping[str, str], layout: LimbLayout, above: int
) -> Image.Image:
    """Return the outlines of the long bones around the joints at `places`, one pixel for each Braille dot.

    `by_joint` has the keys of the sites in `places` by the IDs of their joints.
    """
    width, rows = 2 * layout.width, 4 * layout.rows
    canvas = Image.new("1", (width, rows))
    draw = ImageDraw.Draw(canvas)
    last = max(row for _, row in places.values()) + layout.label_rows

    def middle(key: str) -> _Point:
        column, row = places[key]
        return (2 * column + layout.label_width, 4 * row + 2 * layout.label_rows)

    for joint, key in by_joint.items():
        letters, number = _split_id(joint)
        x, y = middle(key)
        before = by_joint.get(f"{_PROXIMAL.get(letters, '')}{number}")
        lean = 0.0
        if before is not None:
            base = middle(before)
            _draw_bone(draw, (x, y), base, layout)
            lean = (x - base[0]) / max(base[1] - y, 1)
        if letters in ("PIP", "IP", "FIP") or (letters == "MTP" and f"FIP{number}" not in by_joint):
            # The phalanges beyond the last joint, along the finger.
            tip_y = max(y - 4 * above + 4, -1)
            tip_x = x + lean * (y - tip_y)
            _draw_bone(draw, (min(max(tip_x, 3), width - 4), tip_y), (x, y), layout)
        if letters in ("MCP", "MTP"):
            # The base is nearer to the axis of the hand than the head. Without a wrist below, it ends with the drawing.
            base_y = rows if last < layout.rows else min(y + 4 * _SHAFTS, rows)
            _draw_bone(draw, (x, y), (width / 2 - 1 + (x - width / 2 + 1) * _NARROWING, base_y), layout)
    return canvas


def _draw_bone(draw: ImageDraw.ImageDraw, top: _Point, bottom: _Point, layout: LimbLayout) -> None:
    """Draw the outline of a long bone between two joints: wide ends, a narrow shaft, and a gap at each joint."""
    gap, scale = 2.0 * layout.label_rows + 2, min(layout.cell / 4, _WIDEST)
    length = bottom[1] - top[1]
    if length < 2 * gap + 4:
        return

    def at(share: float, aside: float) -> _Point:
        y = top[1] + gap + share * (length - 2 * gap)
        x = top[0] + (bottom[0] - top[0]) * (y - top[1]) / length
        return (round(x + aside - 0.5), round(y))

    left = [at(share, -half * scale) for share, half in _OUTLINE]
    right = [at(share, half * scale) for share, half in reversed(_OUTLINE)]
    for start, end in pairwise([*left, *right, left[0]]):
        draw.line((*start, *end), fill=1)


def _split_id(joint: str) -> tuple[str, str]:
    """Return the letters and the number of a joint's id: ``("PIP", "2")``."""
    letters = joint.rstrip("0123456789")
    return letters, joint[len(letters) :]


def _format_dots(dots: Image.Image) -> tuple[str, ...]:
    """Return rows of Braille characters with `dots`, blanks where nothing is."""
    rows = []
    for top in range(0, dots.height, 4):
        bits = (
            sum(bit for y, line in enumerate(_DOTS) for x, bit in enumerate(line) if dots.getpixel((left + x, top + y)))
            for left in range(0, dots.width, 2)
        )
        rows.append("".join(chr(0x2800 + each) if each else " " for each in bits))
    return tuple(rows)
