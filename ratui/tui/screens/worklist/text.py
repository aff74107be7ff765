"""Texts of the worklist: the columns, a line for each case, the progress of the study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ratui.errors import clean_text
from ratui.study import CaseState
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.i18n.lock_phrases import shorten
from ratui.tui.screens.worklist.groups import Group, ListLine
from ratui.tui.screens.worklist.model import FEWEST_TIMED, WorklistProgress, format_state
from ratui.tui.theme import HEADING, LINE

__all__ = [
    "format_case",
    "format_case_summary",
    "format_columns",
    "format_group_bottom",
    "format_group_top",
    "format_progress_panel",
    "format_study_progress",
    "has_column_of_visits",
    "measure_name_width",
]

_SIGNS: Mapping[Group, str] = {"progress": "◐", "due": "○", "done": "●", "unreadable": "✗"}
"""The sign of each group, so that it is known by its shape too."""

_BAR = 12
"""Width of the progress bar of a case, in cells."""
_VISITS = 8
"""Width of the column of visits, in cells."""
_LONGEST_NAME = 24
_SHORTEST_STUDY_BAR, _LONGEST_STUDY_BAR = 6, 40


def measure_name_width(cases: Sequence[str]) -> int:
    """Return the width of the worklist's column of case names, in terminal cells.

    It is the length of the longest name, at most `_LONGEST_NAME`; 6 if there are no cases.
    """
    return min(max((len(case) for case in cases), default=6), _LONGEST_NAME)


def has_column_of_visits(states: Sequence[CaseState]) -> bool:
    """Return whether the worklist says how many visits each case has: unless all have two, as in most studies."""
    return any(state.visits not in (0, 2) for state in states)


def format_columns(t: Catalog, name_width: int, *, visits: bool) -> str:
    """Return the line above the cases that names the columns, with that of the number of `visits` if there is one."""
    names = ("case", "visits", "state", "joints", "minutes", "flags")
    return _line(name_width, [t(f"worklist.column_{name}") for name in names], visits=visits)


def format_case(t: Catalog, state: CaseState, name_width: int, width: int, *, visits: bool) -> str:
    """Return the line of a case in `width` cells: stage, scored joints, minutes, flags, and the problem if it has one."""
    done = f"{_bar(_BAR, state.joints, state.joints_total)} {state.joints}/{state.joints_total}"
    cells = [
        state.case,
        f"{state.visits:>3}" if state.visits else "",
        format_state(t, state),
        done if state.joints_total else "",
        f"{state.seconds / 60:>6.1f}" if state.seconds else "",
        f"⚑ {state.flags}" if state.flags else "",
    ]
    line, note = _line(name_width, cells, visits=visits), clean_text(t.translate_error(state.note), 120)
    if not state.joints_total:  # the problem takes the place of the figures that an unreadable case lacks
        line = f"{line.rstrip()}  "
    return shorten((line + note).rstrip(), width)


def format_group_top(t: Catalog, line: ListLine, width: int, *, is_panel: bool) -> Text:
    """Return the top of a group in `width` cells: its sign, its name and the number of its cases, in a thin line."""
    left, right = ("╭─", "╮") if is_panel else ("──", "─")
    title = f" {_SIGNS[line.group]} {t(f'worklist.group_{line.group}')} · {line.total} "
    text = Text(left, LINE, no_wrap=True)
    text.append(title, HEADING)
    text.append("─" * max(width - cell_len(title) - 3, 0) + right, LINE)
    return text


def format_group_bottom(width: int) -> Text:
    """Return the bottom of a group's panel in `width` cells."""
    return Text.assemble((f"╰{'─' * max(width - 2, 0)}╯", LINE), no_wrap=True)


def format_study_progress(t: Catalog, progress: WorklistProgress, width: int) -> str:
    """Return the signed and the remaining cases with the expected time, after a bar if `width` has room for one."""
    if progress.remaining:
        parts = [t("worklist.done", signed=progress.signed, total=progress.total, count=progress.remaining)]
    else:
        parts = [t("worklist.done_all", count=progress.total)]
    if progress.case_seconds is not None:
        parts.append(t("worklist.pace", minutes=f"{progress.case_seconds / 60:.1f}"))
    if progress.remaining and progress.seconds_left is not None:
        parts.append(t("worklist.time_left", span=_format_span(t, progress.seconds_left)))
    text = " · ".join(parts)
    room = min(width - cell_len(text) - 4, _LONGEST_STUDY_BAR)
    return f"{_bar(room, progress.signed, progress.total)} {text}" if room >= _SHORTEST_STUDY_BAR else text


def format_progress_panel(t: Catalog, progress: WorklistProgress, width: int) -> str:
    """Return the lines of the panel of the progress, each of at most `width` cells where the words allow it."""
    lines = [_bar(width, progress.signed, progress.total)]
    if not progress.remaining:
        lines.append(t("worklist.done_all", count=progress.total))
    else:
        lines.append(t("worklist.signed_of", signed=progress.signed, total=progress.total))
        if progress.seconds_left is None:
            lines.append(t("worklist.cases_left", count=progress.remaining))
            lines.append(t("worklist.no_pace_yet", count=FEWEST_TIMED))
        else:
            span = _format_span(t, progress.seconds_left)
            lines.append(t("worklist.cases_left_at_pace", count=progress.remaining, span=span))
    if progress.case_seconds is not None:
        lines.append(t("worklist.pace_of_last", minutes=f"{progress.case_seconds / 60:.1f}", count=progress.timed))
    return "\n".join(lines)


def format_case_summary(t: Catalog, state: CaseState) -> str:
    """Return the name and the state of a case, its progress, and its note, a line each, for the panel with its pictures."""
    progress = [t("text.joints_done", done=state.joints, total=state.joints_total)] if state.joints_total else []
    if state.flags:
        progress.append(f"⚑ {state.flags}")
    note = clean_text(t.translate_error(state.note), 300) if state.note else ""
    lines = (f"{state.case} · {format_state(t, state)}", " · ".join(progress), note)
    return "\n".join(line for line in lines if line)


def _line(name_width: int, cells: Sequence[str], *, visits: bool) -> str:
    if visits:  # 80 columns have room for both
        name_width = min(name_width, _LONGEST_NAME - _VISITS)
    widths = (name_width + 2, _VISITS if visits else 0, 15, _BAR + 9, 9, 7)
    fitted = (set_cell_size(shorten(cell, max(width - 1, 0)), width) for cell, width in zip(cells, widths, strict=True))
    return "".join(fitted)


def _bar(width: int, done: int, total: int) -> str:
    filled = width * done // max(total, 1)
    return "▓" * filled + "░" * (width - filled)


def _format_span(t: Catalog, seconds: float) -> str:
    """Return a time in minutes, from 100 minutes on in hours and steps of ten minutes, from ten hours on in hours."""
    minutes = max(round(seconds / 60), 1)
    if minutes < 100:
        return t("worklist.span_minutes", count=minutes)
    if minutes >= 600:
        return t("worklist.span_hours", count=round(minutes / 60))
    hours, rest = divmod(10 * round(minutes / 10), 60)
    return t("worklist.span_both", hours=hours, minutes=rest) if rest else t("worklist.span_hours", count=hours)
