"""The joints of one hand or foot as a small map, each where it is on a film, and how far every side is. Pure text.

A joint shows its worst score at either time point, so that the map tells no order; a wide terminal has room for it.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ratui.reading import NotAssessableEntry, Reading, Slot
from ratui.scheme import Scheme, Site
from ratui.tui.entry import text as texts
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.theme import ACCENT, BRIGHT, NOTE, QUIET, WAITING

__all__ = ["count_done_by_side", "draw_hand_map", "place_joints"]

_CELL = 3
"""Characters that a joint takes on the map: what stands there, a mark, a gap."""


def draw_hand_map(t: Catalog, reading: Reading, current: str, width: int, height: int) -> Text:
    """The map of the hand or foot that `current` belongs to, and below it a line of progress for every side."""
    here = reading.site(current)
    sites = [site for site in reading.sites if (site.side, site.part) == (here.side, here.part)]
    progress = count_done_by_side(reading)
    rows = max(min(height - len(progress) - 3, 18), 3)
    cells = place_joints(reading.scheme, sites, width, rows)
    text = Text(no_wrap=True)
    text.append(_centred(texts.format_hand_title(t, reading.scheme, here), width), f"bold {ACCENT}")
    text.append("\n")
    opened = {field.site for field in reading.open_fields}
    for row in range(rows):
        at = 0
        for column, site in sorted((column, site) for (column, y), site in cells.items() if y == row):
            text.append(" " * (column - at))
            shown, style = _format_cell(reading, site, current, site in opened)
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
    """For each (side, part) of the reading: how many of its joints are done, and how many there are."""
    opened = {field.site for field in reading.open_fields}
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for site in reading.sites:
        done, total = found.get((site.side, site.part), (0, 0))
        found[site.side, site.part] = (done + (site.key not in opened), total + 1)
    return found


def place_joints(scheme: Scheme, sites: list[Site], width: int, rows: int) -> dict[tuple[int, int], str]:
    """A place (column, row) for the key of each of `sites`, of one side and part, about where a film has the joint.

    Thumbs and big toes are where a film of that side has them; joints that would fall together move to the next free place.
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


def _format_cell(reading: Reading, site: str, current: str, opened: bool) -> tuple[str, str]:
    """What stands for `site` on the map, two characters, and its style."""
    mark = "!" if site in reading.flags else " "
    if site == current:
        return f"▣{mark}", WAITING
    if opened:
        return f"·{mark}", NOTE if site in reading.flags else QUIET
    findings = [finding.key for time in reading.order if (finding := reading.finding(Slot(site, time)))]
    fields = reading.joint_fields(site)
    scores = [score for field in fields if (score := reading.score(field)) is not None]
    if findings:
        shown = findings[0]
    elif scores:
        shown = str(max(scores))
    else:
        shown = "–" if any(isinstance(reading.values.get(field), NotAssessableEntry) for field in fields) else "·"
    return f"{shown}{mark}"[:2], NOTE if site in reading.flags else BRIGHT


def _centred(text: str, width: int) -> str:
    return " " * max((width - cell_len(text)) // 2, 0) + text
