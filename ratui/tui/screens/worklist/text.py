"""Texts of the worklist: the columns, a line for each case, the progress of the study."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from ratui.errors import clean_text
from ratui.study import CaseState
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.screens.worklist.model import WorklistProgress, format_state

__all__ = ["format_case", "format_columns", "format_study_progress", "measure_name_width"]

_BAR = 12
"""Width of the progress bar of a case, in cells."""
_LONGEST_NAME = 24
_SHORTEST_STUDY_BAR, _LONGEST_STUDY_BAR = 6, 40


def measure_name_width(cases: Sequence[str]) -> int:
    """Return the width of the worklist's column of case names, in terminal cells.

    It is the length of the longest name, at most `_LONGEST_NAME`; 6 if there are no cases.
    """
    return min(max((len(case) for case in cases), default=6), _LONGEST_NAME)


def format_columns(t: Catalog, name_width: int) -> str:
    """Return the line above the cases that names the columns."""
    return _line(name_width, [t(f"worklist.column_{name}") for name in ("case", "state", "joints", "minutes", "flags")])


def format_case(t: Catalog, state: CaseState, name_width: int) -> str:
    """Return the line of a case: stage, scored joints, minutes, flags, and the problem if it has one."""
    done = f"{_bar(_BAR, state.joints, state.joints_total)} {state.joints}/{state.joints_total}"
    cells = [
        state.case,
        format_state(t, state),
        done if state.joints_total else "",
        f"{state.seconds / 60:>6.1f}" if state.seconds else "",
        f"⚑ {state.flags}" if state.flags else "",
    ]
    return _line(name_width, cells) + clean_text(t.translate_error(state.note), 120)


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


def _line(name_width: int, cells: Sequence[str]) -> str:
    widths = (name_width + 2, 15, _BAR + 9, 9, 7)
    return "".join(set_cell_size(cell, width) for cell, width in zip(cells, widths, strict=True))


def _bar(width: int, done: int, total: int) -> str:
    filled = width * done // max(total, 1)
    return "▓" * filled + "░" * (width - filled)


def _format_span(t: Catalog, seconds: float) -> str:
    minutes = max(round(seconds / 60), 1)
    if minutes < 100:
        return t("worklist.span_minutes", count=minutes)
    return t("worklist.span_hours", count=round(minutes / 60))
