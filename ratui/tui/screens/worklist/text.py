"""Texts of the worklist: the columns, a line for each case, the progress of the study."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from ratui.errors import clean_text
from ratui.study import CaseState
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.i18n.lock_phrases import shorten
from ratui.tui.screens.worklist.model import WorklistProgress, format_state

__all__ = ["format_case", "format_columns", "format_study_progress", "has_column_of_visits", "measure_name_width"]

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
    minutes = max(round(seconds / 60), 1)
    if minutes < 100:
        return t("worklist.span_minutes", count=minutes)
    return t("worklist.span_hours", count=round(minutes / 60))
