"""The table of totals on the overview: the sums of the scores at each visit, and their changes.

The functions make text from a reading and depend on no widget. In a study blinded to order there are no changes.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ratui.reading import Reading
from ratui.tui.entry.visit_names import UNNAMED, VisitNames
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.theme import BRIGHT, PLAIN, QUIET

__all__ = ["format_totals_table"]

_LABEL, _CELL = 8, 10
"""Widths of the scale's name at the left and of a number, in cells."""
_WIDE_CELL, _NARROW_CELL = 13, 8
"""Widths of a number with a change in brackets, and without one where room is short."""


def format_totals_table(t: Catalog, reading: Reading, visits: VisitNames = UNNAMED, width: int = 80) -> list[Text]:
    """Return the totals of all visits: a heading, a line for each scale, and a line for the sum of all scales.

    The last column is the maximum. Unless the study is blinded or has one visit only, there is the change from the first
    visit: in a column of its own for two visits, behind the totals of the later visits for more, as far as the `width` in
    cells allows. It is the sum over the fields that have a score at both visits, and is left out while the reading is
    incomplete. The last line says so if this change is not the difference of two totals. A visit that lacks films is marked.

    Parameters
    ----------
    t
        The texts.
    reading
        The reading.
    visits
        The names of the case's visits.
    width
        Width of the screen in cells.
    """
    order, blinded = reading.order, reading.is_blinded
    has_two, has_change = len(order) == 2, len(order) > 1 and not blinded
    cell_width = _CELL if len(order) <= 2 else _WIDE_CELL
    if _LABEL + cell_width * len(order) + _CELL > width and not has_two:
        has_change = False
        cell_width = min(max((width - _LABEL) // (len(order) + 1), _NARROW_CELL), _WIDE_CELL)
    names = [visits.title(t, order, place, blinded=blinded) for place in range(len(order))]
    lacking = [any(slot.time == time for slot in reading.unfilmed) for time in order]
    names = [f"{name} ∅" if lacks else name for name, lacks in zip(names, lacking, strict=True)]
    if has_two:
        names += [t("overview.change")] if has_change else []
    lines = [_format_line("", [*names, t("overview.maximum")], QUIET, cell_width)]
    for scale in (*reading.scheme.scales, None):
        cells = [str(reading.total(time, scale)[0]) for time in order]
        changes = [_format_change(reading, scale, time) for time in order]
        if has_two and has_change:
            cells.append(changes[-1] or "–")
        elif has_change:
            cells = [
                f"{cell} ({change})" if place and change else cell
                for place, (cell, change) in enumerate(zip(cells, changes, strict=True))
            ]
        maximum = sum(
            site.joint.max_grade(each) for site in reading.sites for each in site.joint.scales if scale in (None, each)
        )
        line = [*cells, str(maximum)]
        style = BRIGHT if scale is None else PLAIN
        lines.append(_format_line(scale or t("overview.total"), line, style, cell_width))
    if has_change and reading.is_complete and any(_is_partial(reading, time) for time in order[1:]):
        notes = (t(f"overview.change_of_both{length}") for length in ("", "_short", "_shortest"))
        _append_note(lines[-1], width, *notes)
    if any(lacking):
        _append_note(lines[1], width, t("overview.unfilmed"), "(∅)")
    if has_change and not has_two:
        _append_note(lines[0], width, t("overview.change_from", visit=names[0]), t("overview.change_from_short"))
    return lines


def _append_note(line: Text, width: int, *notes: str) -> None:
    """Append the first of `notes` that fits: a line that wraps would push the last line of the table off the screen."""
    fitting = (note for note in notes if line.cell_len + 3 + cell_len(note) <= width)
    if note := next(fitting, ""):
        line.append(f"   {note}", QUIET)


def _format_change(reading: Reading, scale: str | None, time: int) -> str:
    """Return the change from the first visit to `time`; empty while the reading is incomplete."""
    if not reading.is_complete:
        return ""
    change = _sum_changes(reading, scale, time)
    return f"{change:+d}" if change else "0"


def _is_partial(reading: Reading, time: int) -> bool:
    """Return True if the change to `time` is not the difference of the totals, because a field has one score only."""
    return _sum_changes(reading, None, time) != reading.total(time)[0] - reading.total(reading.order[0])[0]


def _sum_changes(reading: Reading, scale: str | None, time: int) -> int:
    """Return the change from the first visit to `time`, over the fields of `scale` with a score at both."""
    first = reading.order[0]
    pairs = [
        (reading.score(field), reading.score(field._replace(time=time)))
        for field in reading.fields
        if field.time == first and scale in (None, field.scale)
    ]
    return sum(after - before for before, after in pairs if before is not None and after is not None)


def _format_line(name: str, cells: Sequence[str], style: str, cell_width: int) -> Text:
    text = Text(set_cell_size(f" {name}", _LABEL), QUIET, no_wrap=True)
    for cell in cells:
        shown = cell if cell_len(cell) < cell_width else set_cell_size(cell, cell_width - 2).rstrip() + "…"
        text.append(" " * max(cell_width - cell_len(shown), 1) + shown, style)
    return text
