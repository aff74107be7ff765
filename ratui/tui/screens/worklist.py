"""The rater's cases: which are done, which wait, and where each was left. It shows nothing of other raters."""

from __future__ import annotations

from contextlib import ExitStack

from rich.text import Text
from textual.app import ComposeResult
from textual.events import Key
from textual.widgets import DataTable, Static

from ratui.errors import RatuiError, StoreError, clean
from ratui.study import CaseState, Stage
from ratui.tui.actions import key_name
from ratui.tui.screens.base import KeyScreen

__all__ = ["WorklistScreen"]

_STATE: dict[Stage, str] = {
    "unreadable": "can't be read",
    "regions": "regions",
    "reading": "reading",
    "review": "to sign",
    "signed": "signed",
}


class WorklistScreen(KeyScreen):
    """One line a case; the next unfinished one is selected. Typing filters."""

    NAME = "worklist"

    def __init__(self) -> None:
        super().__init__()
        self._filter = ""
        self._states: list[CaseState] = []

    def compose(self) -> ComposeResult:
        yield Static(id="head", classes="line title", markup=False)
        yield DataTable(cursor_type="row", zebra_stripes=False)
        yield Static(id="message", classes="message", markup=False)
        yield Static(id="foot", classes="line", markup=False)
        yield Static("Enter open   type to filter   ? help   Ctrl-Q quit", classes="line title", markup=False)

    def on_mount(self) -> None:
        self.refill()

    def refill(self) -> None:
        table = self.query_one(DataTable)
        table.add_column("case", width=12)
        table.add_column("state", width=14)
        table.add_column("fields", width=24)
        table.add_column("minutes", width=8)
        table.add_column("", key="note")
        table.focus()
        self._reload()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self._states:
            self._reload()

    def say(self, text: str) -> None:
        self.query_one("#message", Static).update(text)

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        event.stop()
        self.do_open()

    def on_key(self, event: Key) -> None:
        name = key_name(event.character, event.key)
        if name != "?" and len(name) == 1 and name.isprintable():
            event.stop()
            self._set_filter(self._filter + name)
        elif name == "backspace":
            event.stop()
            self._set_filter(self._filter[:-1])
        elif name != "enter":  # the table turns Enter into a selected row
            super().on_key(event)

    def do_open(self) -> None:
        """Opens the case under the cursor."""
        table = self.query_one(DataTable)
        shown = self._shown()
        if shown:
            self.open_case(shown[table.cursor_row].case)

    def do_clear_filter(self) -> None:
        self._set_filter("")

    def do_quit(self) -> None:
        self.app.exit()

    def open_case(self, case: str) -> None:
        """Opens `case` where it was left: regions, the very field, or the overview."""
        from ratui.tui.screens.overview import OverviewScreen
        from ratui.tui.screens.scoring import ScoringScreen

        study, rater = self.ratui.study, self.ratui.rater
        try:
            state = study.state(rater, case)
            if state.stage == "unreadable":
                self.say(f"{case} can't be read: {state.note}")
                return
            if state.stage == "signed":
                reading = study.reading(rater, case)
                assert reading is not None
                self.app.push_screen(OverviewScreen(reading))
                return
            self.say("")
            held = ExitStack()
            try:
                session = held.enter_context(study.open_reading(rater, case))
            except StoreError as error:
                # A second session may look, not write.
                self.say(str(error))
                reading = study.reading(rater, case)
                if reading is not None:
                    self.app.push_screen(OverviewScreen(reading))
                return
            self.app.push_screen(ScoringScreen(study.case(case), session, held), self._left)
        except RatuiError as error:
            self.say(str(error))

    def _left(self, result: object) -> None:
        if isinstance(result, str):
            self.say(result)

    def _set_filter(self, text: str) -> None:
        self._filter = text
        self._fill()

    def _shown(self) -> list[CaseState]:
        wanted = self._filter.casefold()
        return [s for s in self._states if wanted in s.case.casefold() or wanted in _STATE[s.stage]]

    def _reload(self) -> None:
        study, rater = self.ratui.study, self.ratui.rater
        states = []
        for case in study.cases():
            try:
                states.append(study.state(rater, case))
            except RatuiError as error:
                states.append(CaseState(case, "unreadable", 0, 0, 0.0, error.what))
        self._states = states
        self._fill()

    def _fill(self) -> None:
        table = self.query_one(DataTable)
        before = self._shown_case(table)
        table.clear()
        shown = self._shown()
        for state in shown:
            style = "#707070" if state.stage in ("signed", "unreadable") else "white"
            done = state.done / state.total if state.total else 0.0
            bar = "▓" * round(12 * done) + "░" * (12 - round(12 * done))
            fields = f"{bar} {state.done}/{state.total}" if state.total else ""
            minutes = f"{state.seconds / 60:.1f}" if state.seconds else ""
            row = (state.case, _STATE[state.stage], fields, minutes, clean(state.note, 120))
            table.add_row(*(Text(cell, style) for cell in row), key=state.case)
        names = [state.case for state in shown]
        unfinished = [i for i, state in enumerate(shown) if state.stage not in ("signed", "unreadable")]
        begun = [i for i in unfinished if shown[i].done]
        if before in names and shown[names.index(before)].stage not in ("signed", "unreadable"):
            selected = names.index(before)
        else:
            selected = (begun or unfinished or [0])[0]
        if shown:
            table.move_cursor(row=selected)
        self._describe()

    def _shown_case(self, table: DataTable[Text]) -> str:
        if not table.row_count:
            return ""
        return str(table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value)

    def _describe(self) -> None:
        study = self.ratui.study
        head = f" {study.config.title} · {self.ratui.rater}"
        self.query_one("#head", Static).update(f"{head} · filter: {self._filter}_" if self._filter else head)
        signed = [state for state in self._states if state.stage == "signed"]
        remain = [state for state in self._states if state.stage not in ("signed", "unreadable")]
        foot = f" {len(signed)} signed, {len(remain)} to read"
        timed = [state.seconds for state in signed if state.seconds]
        if timed:
            foot += f", {sum(timed) / len(timed) / 60:.1f} minutes a case so far"
        self.query_one("#foot", Static).update(foot if self._states else " The study has no films yet: ratui import")
