"""The map of one hand or foot beside the films: outlines of the bones, and at each joint its scores.

A joint shows the highest score of each scale at any time point, so that the map does not tell which one is the earlier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from PIL import Image, ImageDraw
from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ratui.reading import Reading, Slot
from ratui.scheme import Scheme, Site
from ratui.tui.entry import text as texts
from ratui.tui.entry.visit_names import UNNAMED, VisitNames
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.theme import ACCENT, BRIGHT, NOTE, QUIET, WAITING

__all__ = ["MAP_WIDTH", "count_done_by_side", "draw_hand_map", "place_joints"]

MAP_WIDTH = 19
"""Width of the map in cells: five joints side by side."""
_CELL = 4
"""Width of a joint on the map in cells: two scores, a mark and a gap."""
_MOST_ROWS = 34
"""Largest number of rows of the drawing. A taller one would not look like a hand."""
_LEAST_WITH_ENTRIES = 24
"""Rows from which the drawing leaves room for the latest entries."""
_TIPS, _SHAFTS = 4, 5
"""Rows above the joints for the ends of fingers or toes, and below them for metacarpals or metatarsals."""
_LATEST = 6
"""Largest number of latest entries below the map."""
_NARROWING = 0.78
"""Distance of a metacarpal's base from the middle of the map, relative to that of its head."""
_PROXIMAL = {"IP": "MCP", "PIP": "MCP", "FIP": "MTP"}
"""The joint at the other end of the bone, of the same number, for the letters of a joint's id."""
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of the dots of a Braille character, by row and column."""
_Point = tuple[float, float]


def draw_hand_map(
    t: Catalog, reading: Reading, current: str, width: int, height: int, visits: VisitNames = UNNAMED
) -> Text:
    """Return the map of the hand or foot of the site `current`, the progress of all sides, and the latest entries.

    The text has `width` by `height` cells at most. The latest entries stand below, as many as fit.
    """
    here = reading.site(current)
    sites = [site for site in reading.sites if (site.side, site.part) == (here.side, here.part)]
    progress = count_done_by_side(reading)
    room = height - len(progress) - 3
    rows = max(min(room - (_LATEST if room >= _LEAST_WITH_ENTRIES else 0), _MOST_ROWS), 3)
    lines = [Text(_center(texts.format_hand_title(t, reading.scheme, here), width), f"bold {ACCENT}")]
    lines += _draw_joints(reading, sites, current, width, rows)
    lines.append(Text())
    for (side, part), (done, total) in progress.items():
        one = next(site for site in reading.sites if (site.side, site.part) == (side, part))
        count = f"{done}/{total}"
        name = set_cell_size(texts.format_hand_title(t, reading.scheme, one), max(width - len(count) - 1, 0))
        lines.append(Text(f"{name} {count}", BRIGHT if (side, part) == (here.side, here.part) else QUIET))
    entries = _list_latest(t, reading, width, visits)[: max(min(height - len(lines) - 2, _LATEST), 0)]
    if entries:
        lines += [Text(), Text(t("scoring.latest"), f"bold {ACCENT}"), *entries]
    text = Text("\n").join(lines)
    text.no_wrap = True
    return text


def count_done_by_side(reading: Reading) -> Mapping[tuple[str, str], tuple[int, int]]:
    """Return the number of scored joints and of all joints for each (side, part) of `reading`."""
    open_sites = {field.site for field in reading.open_fields}
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for site in reading.sites:
        done, total = found.get((site.side, site.part), (0, 0))
        found[site.side, site.part] = (done + (site.key not in open_sites), total + 1)
    return found


def place_joints(scheme: Scheme, sites: Sequence[Site], width: int, rows: int) -> dict[tuple[int, int], str]:
    """Return the keys of `sites`, all of one side and part, by (column, row), about where a film shows the joints.

    `width` and `rows` are the size of the map in cells. Thumbs and big toes are where a film of that side has them. A joint
    whose place is taken gets the nearest free one.
    """
    views = [view for view in scheme.views.values() if view.part == sites[0].part]
    view = max(views, key=lambda view: sum(site.joint.id in view.template for site in sites))
    spots = {site: view.template[site.joint.id][:2] for site in sites if site.joint.id in view.template}
    xs, ys = [x for x, _ in spots.values()] or [0.0], [y for _, y in spots.values()] or [0.0]
    columns = (width + 1) // _CELL
    free = {(column, row) for column in range(columns) for row in range(rows)}
    cells: dict[tuple[int, int], str] = {}
    for site in sites:
        x, y = spots.get(site, (max(xs), max(ys)))
        across = (x - min(xs)) / ((max(xs) - min(xs)) or 1.0)
        if site.side == "R":
            across = 1 - across
        down = (y - min(ys)) / ((max(ys) - min(ys)) or 1.0)
        wanted = (across * (columns - 1), down * (rows - 1))
        if not free:
            break
        best = min(free, key=lambda cell: (2 * (cell[0] - wanted[0])) ** 2 + (cell[1] - wanted[1]) ** 2)
        free.remove(best)
        cells[best[0] * _CELL, best[1]] = site.key
    return cells


def _draw_joints(reading: Reading, sites: Sequence[Site], current: str, width: int, rows: int) -> list[Text]:
    """Return the drawing of the bones with the scores of `sites` on it, in `rows` lines of `width` cells."""
    has_room = rows >= 12
    above = _TIPS if has_room else 0
    has_wrist = any(_split_id(site.joint.id)[0] not in ("PIP", "IP", "FIP", "MCP", "MTP") for site in sites)
    below = _SHAFTS if has_room and not has_wrist else 0
    cells = {
        (column, row + above): key
        for (column, row), key in place_joints(reading.scheme, sites, width, rows - above - below).items()
    }
    dots = _draw_bones({key: cell for cell, key in cells.items()}, sites, width, rows, above) if has_room else None
    open_sites = {field.site for field in reading.open_fields}
    lines = []
    for row in range(rows):
        line = Text(no_wrap=True)
        for column, key in sorted((column, key) for (column, y), key in cells.items() if y == row):
            line.append(_format_dots(dots, row, line.cell_len, column), QUIET)
            shown, style = _format_joint(reading, key, current, key in open_sites)
            line.append(shown, texts.site_target(style, key))
        line.append(_format_dots(dots, row, line.cell_len, width), QUIET)
        line.rstrip()
        lines.append(line)
    return lines


def _draw_bones(
    places: Mapping[str, tuple[int, int]], sites: Sequence[Site], width: int, rows: int, above: int
) -> Image.Image:
    """Return the outlines of the long bones around the joints at `places`, one pixel for each Braille dot."""
    canvas = Image.new("1", (2 * width, 4 * rows))
    draw = ImageDraw.Draw(canvas)
    by_joint = {site.joint.id: site.key for site in sites if site.key in places}
    for joint, key in by_joint.items():
        letters, number = _split_id(joint)
        here = _middle(places[key])
        before = by_joint.get(f"{_PROXIMAL.get(letters, '')}{number}")
        if before is not None:
            _draw_bone(draw, here, _middle(places[before]))
            direction = _middle(places[before])
        else:
            direction = (here[0], here[1] + 1)
        if letters in ("PIP", "IP", "FIP") or (letters == "MTP" and f"FIP{number}" not in by_joint):
            # The phalanges beyond the last joint, along the finger.
            lean = (here[0] - direction[0]) / max(direction[1] - here[1], 1)
            tip = (here[0] + lean * 4 * above, here[1] - 4 * above + 4)
            _draw_bone(draw, (min(max(tip[0], 3), 2 * width - 4), max(tip[1], -1)), here)
        if letters in ("MCP", "MTP"):
            # The base is nearer to the axis of the hand than the head.
            middle = width - 1.0
            base_y = 4.0 * rows if _is_lowest(places, here, rows) else here[1] + 4 * _SHAFTS
            _draw_bone(draw, here, (middle + (here[0] - middle) * _NARROWING, min(base_y, 4 * rows)))
    return canvas


def _is_lowest(places: Mapping[str, tuple[int, int]], here: _Point, rows: int) -> bool:
    """Return True if the map ends below the joint at `here` without a joint of the wrist."""
    return max(row for _, row in places.values()) < rows - 1 or here[1] > 4 * (rows - _SHAFTS)


def _draw_bone(draw: ImageDraw.ImageDraw, top: _Point, bottom: _Point) -> None:
    """Draw the outline of a long bone between two joints: wide ends, a narrow shaft, and a gap at each joint."""
    gap = 4.0
    length = bottom[1] - top[1]
    if length < 2 * gap + 4:
        return
    outline = ((0.0, 2.0), (0.12, 2.5), (0.3, 1.6), (0.7, 1.6), (0.88, 2.5), (1.0, 2.0))  # along the bone, half width

    def at(share: float, aside: float) -> _Point:
        y = top[1] + gap + share * (length - 2 * gap)
        x = top[0] + (bottom[0] - top[0]) * (y - top[1]) / length
        return (round(x + aside - 0.5), round(y))

    left = [at(share, -half) for share, half in outline]
    right = [at(share, half) for share, half in reversed(outline)]
    for start, end in pairwise([*left, *right, left[0]]):
        draw.line((*start, *end), fill=1)


def _middle(cell: tuple[int, int]) -> _Point:
    """Return the middle of a joint of two scores at `cell`, in dots."""
    return (2 * cell[0] + 3.0, 4 * cell[1] + 2.0)


def _split_id(joint: str) -> tuple[str, str]:
    """Return the letters and the number of a joint's id: ``("PIP", "2")``."""
    letters = joint.rstrip("0123456789")
    return letters, joint[len(letters) :]


def _format_dots(dots: Image.Image | None, row: int, start: int, end: int) -> str:
    """Return the Braille characters of `dots` in the columns from `start` to `end` of `row`, blanks where nothing is."""
    if dots is None:
        return " " * max(end - start, 0)
    found = []
    for column in range(start, end):
        bits = sum(
            bit
            for y, line in enumerate(_DOTS)
            for x, bit in enumerate(line)
            if dots.getpixel((2 * column + x, 4 * row + y))
        )
        found.append(chr(0x2800 + bits) if bits else " ")
    return "".join(found)


def _format_joint(reading: Reading, site: str, current: str, is_open: bool) -> tuple[str, str]:
    """Return the characters that stand for `site` on the map, the highest score of each scale, and their style."""
    mark = "!" if site in reading.flags else ""
    shown = " ".join(_format_scale(reading, site, scale) for scale in reading.site(site).joint.scales) + mark
    if site == current:
        return shown, WAITING
    return shown, NOTE if mark else QUIET if is_open else BRIGHT


def _format_scale(reading: Reading, site: str, scale: str) -> str:
    """Return the finding or the highest score of `scale` at `site`; a point while a field is open."""
    fields = [field for field in reading.joint_fields(site) if field.scale == scale]
    if any(field not in reading.values for field in fields):
        return "·"
    findings = [finding.key for field in fields if (finding := reading.finding(Slot(site, field.time)))]
    scores = [score for field in fields if (score := reading.score(field)) is not None]
    if findings:
        return findings[0]
    return str(max(scores)) if scores else texts.format_score(reading, fields[0])


def _list_latest(t: Catalog, reading: Reading, width: int, visits: VisitNames) -> list[Text]:
    """Return the latest entries, the last one first: ``MCP2 ERO later 1``."""
    found = []
    for entry in reversed(reading.log):
        changes = [change for change in entry.changes if entry.kind not in ("adopt", "films", "regions")]
        if not changes:
            continue
        change = changes[0]
        name = t.translate_scheme(reading.site(change.field.site).joint.id)
        value = texts.format_entry(t, reading.scheme, change.new)
        time = visits.name(t, reading.order, change.field.time, blinded=reading.is_blinded)
        parts = [name, change.field.scale, time] if len(changes) == 1 else [name, f"×{len(changes)}"]
        line = Text(" ".join(parts), QUIET)
        room = max(width - cell_len(value) - 1, 0)
        line.truncate(room, overflow="ellipsis", pad=True)
        found.append(line.append(f" {value}", BRIGHT))
        if len(found) == _LATEST:
            break
    return found


def _center(text: str, width: int) -> str:
    return " " * max((width - cell_len(text)) // 2, 0) + text
