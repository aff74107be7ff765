"""The films of a plan as the screen lists them: their order, the selected one, and the films that compete with it.

The order is that of the plan at the start. A film keeps its place after a decision, so that the list does not jump.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ratui.study import ImportPlan
from ratui.study.importing.planning.import_plan import Decision

__all__ = ["FilmList", "choose_window"]

_LINES_OF_A_REASON = 5
"""Files with one reason that have a line each; more are folded."""


class FilmList:
    """The list of the films of `plan`, with the first doubtful film selected.

    Attributes
    ----------
    shows_all
        True if all films are listed, False for those that were or are doubtful and those that were changed.
    selected
        The file of the selected film.
    folded
        Files of no known person that are left out for one reason, by the first of them, which is listed for all.
    """

    def __init__(self, plan: ImportPlan) -> None:
        self._order = [row.path for row in plan.rows_to_review]
        self._first = {row.path: row.decision for row in plan.rows}
        self.folded = _fold(plan)
        self._hidden = {path for paths in self.folded.values() for path in paths[1:]}
        self.shows_all = Decision.DOUBTFUL not in self._first.values()
        self.selected = self._order[0]

    def list_visible(self, plan: ImportPlan) -> list[Path]:
        """Return the files of the listed films."""
        if self.shows_all:
            return [path for path in self._order if path not in self._hidden or path == self.selected]
        now = {row.path: row.decision for row in plan.rows}
        return [
            path
            for path in self._order
            if Decision.DOUBTFUL in (self._first[path], now[path]) or self._first[path] is not now[path]
        ]

    def select(self, plan: ImportPlan, path: Path) -> None:
        """Select a film; list all films if it is not listed."""
        self.shows_all = self.shows_all or path not in self.list_visible(plan)
        self.selected = path

    def set_shows_all(self, plan: ImportPlan, shows_all: bool) -> None:
        """List all films, or the doubtful and changed ones. The selected film, or the first one listed, is selected."""
        before, self.shows_all = self.shows_all, shows_all
        visible = self.list_visible(plan)
        if not visible:
            self.shows_all = before
        elif self.selected not in visible:
            self.selected = visible[0]

    def find_next_doubtful(self, plan: ImportPlan) -> Path | None:
        """Return the file of the next doubtful film after the selected one, from the start again after the last."""
        doubtful = {row.path for row in plan.rows if row.decision is Decision.DOUBTFUL}
        place = self._order.index(self.selected) + 1
        return next((path for path in (*self._order[place:], *self._order[:place]) if path in doubtful), None)

    def list_competing(self, plan: ImportPlan) -> list[Path]:
        """Return the selected film and those that compete with it, in the order of the list."""
        paths = {self.selected, *(row.path for row in plan.find_competitors(self.selected))}
        return [path for path in self._order if path in paths]


def _fold(plan: ImportPlan) -> dict[Path, list[Path]]:
    """Return the files that are one line of the list, by their first one."""
    by_reason: dict[str, list[Path]] = {}
    for row in plan.rows_to_review:
        if row.decision is Decision.LEAVE_OUT and row.person is None and not row.is_listed:
            by_reason.setdefault(row.reason, []).append(row.path)
    return {paths[0]: paths for paths in by_reason.values() if len(paths) > _LINES_OF_A_REASON}


def choose_window(paths: Sequence[Path], selected: Path, count: int) -> list[Path]:
    """Return at most `count` neighbouring `paths`, among them `selected`."""
    first = min(max(list(paths).index(selected) - count + 1, 0), max(len(paths) - count, 0))
    return list(paths[first : first + count])
