"""The map of one hand or foot beside the films: outlines of the bones, and at each joint its scores.

A joint shows the highest score of each scale at any time point, so that the map does not tell which one is the earlier.
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ratui.reading import NotAssessableEntry, Reading, Slot
from ratui.tui.entry import text as texts
from ratui.tui.entry.visit_names import UNNAMED, VisitNames
from ratui.tui.graphics.limb_drawing import LabelLine, LimbLayout, center_text, draw_limb
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.theme import BRIGHT, HEADING, NOTE, QUIET, WAITING

__all__ = ["MAP_FROM", "MAP_WIDTH", "count_done_by_side", "draw_hand_map"]

MAP_WIDTH = 19
"""Width of the map in cells: five joints side by side."""
MAP_FROM = 140
"""The map is shown on screens of at least so many columns; on smaller ones the films need the room."""
_MOST_ROWS = 34
"""Largest number of rows of the drawing. A taller one would not look like a hand."""
_LATEST = 6
"""Largest number of latest entries below the map."""
_LEAST_WITH_ENTRIES = 24
"""Rows from which the drawing leaves room for the latest entries."""


def draw_hand_map(
    t: Catalog, reading: Reading, current: str, width: int, height: int, visits: VisitNames = UNNAMED
) -> Text:
    """Return the map of the hand or foot of the site `current`, the progress of all sides, and the latest entries.

    The text has `width` by `height` cells at most. The latest entries stand below, as many as fit.
    """
    here = reading.site(current)
    sites = [site for site in reading.sites if (site.side, site.part) == (here.side, here.part)]
    progress = count_done_by_side(reading)
    # The letters of the right side stand immediately to the left of the map.
    gap = " " if here.side == "R" else ""
    inner = width - len(gap)
    room = height - len(progress) - 3
    rows = max(min(room - (_LATEST if room >= _LEAST_WITH_ENTRIES else 0), _MOST_ROWS), 3)
    lines = [Text(center_text(texts.format_hand_title(t, reading.scheme, here), width), HEADING)]
    open_sites = {field.site for field in reading.open_fields}
    lines += draw_limb(
        reading.scheme,
        sites,
        LimbLayout(width, rows),
        lambda site: [_format_joint(reading, site, current, site in open_sites)],
    )
    lines.append(Text())
    for (side, part), (done, total) in progress.items():
        one = next(site for site in reading.sites if (site.side, site.part) == (side, part))
        count = f"{done}/{total}"
        name = set_cell_size(texts.format_hand_title(t, reading.scheme, one), max(inner - len(count) - 1, 0))
        lines.append(Text(f"{gap}{name} {count}", BRIGHT if (side, part) == (here.side, here.part) else QUIET))
    entries = _list_latest(t, reading, inner, visits)[: max(min(height - len(lines) - 2, _LATEST), 0)]
    if entries:
        lines += [Text(), *(Text(gap).append_text(line) for line in (Text(t("scoring.latest"), HEADING), *entries))]
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


def _format_joint(reading: Reading, site: str, current: str, is_open: bool) -> LabelLine:
    """Return the characters that stand for `site` on the map, the highest score of each scale, and their style."""
    mark = "!" if site in reading.flags else ""
    shown = " ".join(_format_scale(reading, site, scale) for scale in reading.site(site).joint.scales) + mark
    style = WAITING if site == current else NOTE if mark else QUIET if is_open else BRIGHT
    return shown, texts.site_target(style, site)


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
        is_reason = isinstance(change.new, NotAssessableEntry)  # its words are too long for the map
        value = "–" if is_reason else texts.format_entry(t, reading.scheme, change.new)
        time = visits.name(t, reading.order, change.field.time, blinded=reading.is_blinded)
        parts = [name, change.field.scale, time] if len(changes) == 1 else [name, f"×{len(changes)}"]
        room = max(width - cell_len(value) - 1, 0)
        if cell_len(" ".join(parts)) > room:
            parts = parts[:2]
        line = Text(" ".join(parts), QUIET)
        line.truncate(room, overflow="ellipsis", pad=True)
        found.append(line.append(f" {value}", BRIGHT))
        if len(found) == _LATEST:
            break
    return found
