"""The list of cases: a line for each, in groups with their names. On a wide screen each group is a panel."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

from rich.text import Text

from ratui.study import CaseState
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.screens.worklist.groups import ListLine, lay_out
from ratui.tui.screens.worklist.model import is_open
from ratui.tui.screens.worklist.text import format_case, format_group_bottom, format_group_top, has_column_of_visits
from ratui.tui.theme import CHOSEN, LINE, PLAIN, QUIET, SELECTED
from ratui.tui.widgets.virtual_list import VirtualList

__all__ = ["CaseList"]


class CaseList(VirtualList):
    """The cases of a worklist. `t` returns the texts in the user's language."""

    def __init__(self, t: Callable[[], Catalog]) -> None:
        super().__init__(self._format_row)
        self._t = t
        self._states: Sequence[CaseState] = ()
        self._lines: list[ListLine] = []
        self._places: list[int] = []  # rows of the cases
        self._has_panels = False
        self._shows_visits = False
        self._name_width = 6

    def show_cases(
        self,
        states: Sequence[CaseState],
        visible: Sequence[int],
        selected: int | None,
        *,
        name_width: int,
        has_panels: bool,
    ) -> None:
        """Show the states with the indices `visible`, and select that with the index `selected`.

        `name_width` is the width of the column of names in cells; `has_panels` is true to draw each group as a panel.
        """
        self._states, self._name_width, self._has_panels = states, name_width, has_panels
        self._shows_visits = has_column_of_visits(states)
        self._lines = lay_out(states, visible, has_bottoms=has_panels)
        self._places = [row for row, line in enumerate(self._lines) if line.kind == "case"]
        self.set_rows(len(self._lines), next((row for row in self._places if self._lines[row].number == selected), 0))

    @property
    def selected(self) -> int | None:
        """Index of the selected state; None if the list is empty."""
        return self._lines[self.cursor].number if self._places else None

    def step(self, by: int) -> None:
        """Select the case that is `by` cases below the selected one, or else the last or the first one."""
        if self._places:
            place = bisect_left(self._places, self.cursor) + by
            self.select(self._places[min(max(place, 0), len(self._places) - 1)])

    def can_select(self, row: int) -> bool:
        """Return whether `row` shows a case."""
        return self._lines[row].kind == "case"

    def find_heading(self, row: int) -> int:
        """Return the row of the name of a group if `row` is its first case, otherwise `row`."""
        return row - 1 if 0 < row < len(self._lines) and self._lines[row - 1].kind == "top" else row

    def _format_row(self, row: int, width: int, selected: bool) -> Text:
        line, t = self._lines[row], self._t()
        if line.kind == "top":
            return format_group_top(t, line, width, is_panel=self._has_panels)
        if line.kind == "bottom":
            return format_group_bottom(width)
        state = self._states[line.number]
        chosen = CHOSEN if self.app.no_color else SELECTED
        style = chosen if selected else PLAIN if is_open(state) else QUIET
        room = width - 2 if self._has_panels else width
        text = format_case(t, state, self._name_width, room - 1, visits=self._shows_visits)
        shown = Text(f"{'▸' if selected else ' '}{text}", style, no_wrap=True)
        if not self._has_panels:
            return shown
        shown.truncate(room, pad=True)
        return Text.assemble(("│", LINE), shown, ("│", LINE), no_wrap=True)
