"""A small map of one hand or foot, with each joint where it is on a film, and the progress of every side.

A joint shows its highest score at either time point, so that the map does not tell which one is the earlier.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ratui.reading import Reading, Slot
from ratui.scheme import Scheme, Site
from ratui.tui.entry import text as texts
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.theme import ACCENT, BRIGHT, NOTE, QUIET, WAITING

__all__ = ["count_done_by_side", "draw_hand_map", "place_joints"]

_CELL = 3
"""Width of a joint on the map in cells: a sign, a mark and a gap."""


def draw_hand_map(t: Catalog, reading: Reading, current: str, width: int, height: int) -> Text:
    """Return the map of the hand or foot of the site `current`, in `width` by `height` cells, and the progress below it."""
    here = reading.site(current)
    sites = [site for site in reading.sites if (site.side, site.part) == (here.side, here.part)]
    progress = count_done_by_side(reading)
    rows = max(min(height - len(progress) - 3, 18), 3)
    cells = place_joints(reading.scheme, sites, width, rows)
    text = Text(no_wrap=True)
    text.append(_center(texts.format_hand_title(t, reading.scheme, here), width), f"bold {ACCENT}")
    text.append("\n")
    open_sites = {field.site for field in reading.open_fields}
    for row in range(rows):
        at = 0
        for column, site in sorted((column, site) for (column, y), site in cells.items() if y == row):
            text.append(" " * (column - at))
            shown, style = _format_cell(reading, site, current, site in open_sites)
            text.append(shown, style)
            at = column + cell_len(shown)
        text.append("\n")
    text.append("\n")
    for (side, part), (done, total) in progress.items():
        one = next(site for site in reading.sites if (site.side, site.part) == (side, part))
        name = texts.format_hand_title(t, reading.scheme, one)
        bar = max(width - 18, 4)
        filled = round(bar * done / total)
        style = BRIGHT if (side, part) == (here.side, here.part) else QUIET
        text.append(
            set_cell_size(name, 12) + f"{done:>2}/{total:<2} " + "▓" * filled + "░" * (bar - filled) + "\n", style
        )
    return text


def count_done_by_side(reading: Reading) -> Mapping[tuple[str, str], tuple[int, int]]:
    """Return the number of scored joints and of all joints for each (side, part) of `reading`."""
    open_sites = {field.site for field in reading.open_fields}
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for site in reading.sites:
        done, total = found.get((site.side, site.part), (0, 0))
        found[site.side, site.part] = (done + (site.key not in open_sites), total + 1)
    return found


def place_joints(scheme: Scheme, sites: list[Site], width: int, rows: int) -> dict[tuple[int, int], str]:
    """Return the keys of `sites`, all of one side and part, by (column, row), about where a film shows the joints.

    `width` and `rows` are the size of the map in cells. Thumbs and big toes are where a film of that side has them. A joint
    whose place is taken gets the nearest free one.
    """
    views = [view for view in scheme.views.values() if view.part == sites[0].part]
    view = max(views, key=lambda view: sum(site.joint.id in view.template for site in sites))
    spots = {site: view.template[site.joint.id][:2] for site in sites if site.joint.id in view.template}
    xs, ys = [x for x, _ in spots.values()] or [0.0], [y for _, y in spots.values()] or [0.0]
    columns = width // _CELL
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


def _format_cell(reading: Reading, site: str, current: str, is_open: bool) -> tuple[str, str]:
    """Return the two characters that stand for `site` on the map, and their style."""
    mark = "!" if site in reading.flags else " "
    if site == current:
        return f"▣{mark}", WAITING
    if is_open:
        return f"·{mark}", NOTE if site in reading.flags else QUIET
    findings = [finding.key for time in reading.order if (finding := reading.finding(Slot(site, time)))]
    fields = reading.joint_fields(site)
    scores = [score for field in fields if (score := reading.score(field)) is not None]
    if findings:
        shown = findings[0]
    elif scores:
        shown = str(max(scores))
    else:
        shown = texts.format_score(reading, fields[0])
    return f"{shown}{mark}"[:2], NOTE if site in reading.flags else BRIGHT


def _center(text: str, width: int) -> str:
    return " " * max((width - cell_len(text)) // 2, 0) + text
