"""All cases of the study and how far they are; the next one is selected already, and one key opens it where it was left.

Cases stand in the order of their names, which are drawn, or in the one that ``ratui-train propose --order`` has kept:
nothing here tells, or is sorted by, the order of time points.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.widgets import Static
from textual.worker import get_current_worker

from ratui import reading as rd
from ratui.errors import RatuiError
from ratui.study import CaseState, HeldByOther
from ratui.study.model_reports import list_evaluated_models
from ratui.study.predictions import load_reading_order
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.overview.screen import OverviewCommand, OverviewResult, OverviewScreen, Reopen
from ratui.tui.screens.worklist import model as worklist_model
from ratui.tui.screens.worklist.text import format_case, format_columns, format_study_progress, measure_name_width
from ratui.tui.theme import BRIGHT, PLAIN, QUIET, SELECTED
from ratui.tui.widgets.key_bar import KeyBar, KeyItem, drop_to_fit, format_key_rows
from ratui.tui.widgets.virtual_list import VirtualList
from ratui.tui.workers import run_in_thread

if TYPE_CHECKING:
    from ratui.tui.screens.case_flow import ScoringResult

__all__ = ["WorklistScreen"]

_FIRST = 60
"""How many cases are looked at before the list is shown: a screenful. The index of all others may have to be made first."""


class WorklistScreen(KeyScreen[None]):
    """One line a case. Typing filters; the case to do next is selected."""

    NAME = "worklist"

    def __init__(self) -> None:
        super().__init__()
        self._typed = ""
        self._states: list[CaseState] = []
        self._search_texts: list[str] = []
        self._visible: list[int] = []
        self._total = 0
        self._is_loaded = False
        self._read_count = 0
        self._name_column_width = 6
        self._place: int | None = None
        self._has_moved = False
        self._open_when_loaded = False
        self._opened_case = ""
        self._has_own_order = False
        self._contact_sheet_site = ""
        self._evaluated_models: tuple[str, ...] = ()
        """The models that the study keeps an evaluation of."""

    def compose(self) -> ComposeResult:
        yield Static(id="head", classes="line title", markup=False)
        yield Static(id="heads", classes="line title", markup=False)
        yield VirtualList(self._format_row)
        yield Static(id="message", classes="message", markup=False)
        yield Static(id="progress", classes="line", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self._load()

    def fill_widgets(self) -> None:
        self._search_texts = [worklist_model.make_search_text(self.t, state) for state in self._states]
        self._list_cases(self._place)

    def on_screen_resume(self) -> None:
        if self._opened_case:
            self._refresh_case(self._opened_case)
            self._opened_case = ""

    def on_resize(self) -> None:
        self._update_lines()

    # The states of the cases.

    def _load(self) -> None:
        """Looks at all cases beside the screen, which shows each batch as it comes."""
        cases = load_reading_order(self.ratui.study)
        self._has_own_order = cases != self.ratui.study.cases()
        self._states, self._search_texts, self._total = [], [], len(cases)
        self._evaluated_models = list_evaluated_models(self.ratui.study)
        self._name_column_width = measure_name_width(cases)
        self._list_cases()
        self._load_states(cases, _FIRST)

    def _load_states(self, cases: tuple[str, ...], first: int) -> None:
        run_in_thread(self, lambda: self._read_states(cases, first), group="states")

    def _read_states(self, cases: tuple[str, ...], first: int) -> None:
        """In a thread: how far the `first` cases are, then all, as the index has it."""
        worker, study, rater = get_current_worker(), self.ratui.study, self.ratui.rater
        states = [self._state(case) for case in cases[:first]]
        if len(states) < len(cases):
            if states and not worker.is_cancelled:
                self.app.call_from_thread(self._receive_states, states, False)
            found = study.states(rater, progress=lambda done, of: self._report_progress(done))
            known = {state.case: state for state in found}
            states = [known[case] for case in cases if case in known]
        if not worker.is_cancelled:
            self.app.call_from_thread(self._receive_states, states, True)

    def _report_progress(self, count: int) -> None:
        """In a thread: so many cases are looked at, where the index has to be made anew."""
        if not get_current_worker().is_cancelled:
            self.app.call_from_thread(self._show_count, count)

    def _show_count(self, count: int) -> None:
        self._read_count = count
        if self.is_mounted:
            self._update_lines()

    def _state(self, case: str) -> CaseState:
        try:
            return self.ratui.study.state(self.ratui.rater, case)
        except RatuiError as error:
            return CaseState(case, "unreadable", 0, 0, 0.0, error.problem)

    def _receive_states(self, states: list[CaseState], all_of_them: bool) -> None:
        if not self.is_mounted:
            return
        # Until all are known the next case is only the next so far.
        settled = self._place is not None and (self._has_moved or self._is_loaded)
        here = self._states[self._place].case if settled and self._place is not None else ""
        self._states = states
        self._is_loaded = self._is_loaded or all_of_them
        self._total = len(states) if all_of_them else self._total
        self._search_texts = [worklist_model.make_search_text(self.t, state) for state in states]
        self._list_cases(next((place for place, state in enumerate(states) if state.case == here), None))
        if self._is_loaded and self._open_when_loaded:
            self._open_when_loaded = False
            self.action_open()

    def _refresh_case(self, case: str) -> None:
        """After a visit to `case`: its line anew and, once it is signed, on to the next."""
        place = next((place for place, state in enumerate(self._states) if state.case == case), None)
        if place is None:
            return
        before, now = self._states[place], self._state(case)
        self._states[place] = now
        self._search_texts[place] = worklist_model.make_search_text(self.t, now)
        if worklist_model.is_open(before) and now.stage == "signed":
            place = worklist_model.find_next_case(self._states, after=place) or 0
        self._list_cases(place)
        # Others may have set regions meanwhile.
        self._load_states(load_reading_order(self.ratui.study), 0)

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...] = ()) -> bool:
        match action:
            case "clear_filter" | "rub":
                return bool(self._typed)
            case "contact_sheet":
                return any(state.done for state in self._states)
            case "evaluation":
                return bool(self._evaluated_models)
            case "next":
                return any(worklist_model.is_open(state) for state in self._states)
        return True

    @property
    def is_asking(self) -> bool:
        return bool(self._typed)

    @property
    def types_text(self) -> bool:
        return True

    def process_key(self, name: str) -> bool:
        """Do what the key `name` stands for; add any other character to the filter."""
        if super().process_key(name):
            return True
        if len(name) == 1 or name == "space":
            self._filter(self._typed + (" " if name == "space" else name))
            return True
        return False

    def _filter(self, typed: str) -> None:
        self.show_message("")
        self._typed = typed.lstrip()
        self._list_cases(self._place)
        if not self._visible and self._typed:
            self.show_message(self.t("worklist.none_match", key=self.ratui.keymap.key_label("worklist.clear_filter")))

    def action_rub(self) -> None:
        self._filter(self._typed[:-1])

    def action_clear_filter(self) -> None:
        self._filter("")

    def action_up(self) -> None:
        self._step(-1)

    def action_down(self) -> None:
        self._step(1)

    def action_previous_page(self) -> None:
        self._step(-self.query_one(VirtualList).page_size)

    def action_next_page(self) -> None:
        self._step(self.query_one(VirtualList).page_size)

    def action_first(self) -> None:
        self._step(-len(self._visible))

    def action_last(self) -> None:
        self._step(len(self._visible))

    def action_next(self) -> None:
        """To the case to do next, behind the selected one."""
        following = worklist_model.find_next_case(self._states, after=self._place)
        if following is not None:
            self._typed = self._typed if following in self._visible else ""
            self._has_moved = True
            self._list_cases(following)

    def action_quit(self) -> None:
        self.app.exit()

    def action_open(self) -> None:
        """Opens the selected case; a key typed before all cases were looked at waits until the next one is known."""
        if not self._is_loaded and not self._has_moved:
            self._open_when_loaded = True
            return
        if self._place is not None:
            self.open_case(self._states[self._place].case)

    def action_contact_sheet(self) -> None:
        """One joint over all cases that the rater has read."""
        from ratui.tui.screens.contact_sheet.screen import ContactSheetScreen

        if self._is_loaded and not any(state.done for state in self._states):
            self.show_message(self.t("worklist.nothing_read"))
            return
        self.app.push_screen(ContactSheetScreen(self.open_case, self._contact_sheet_site), self._contact_sheet_closed)

    def action_evaluation(self) -> None:
        """What the models are worth, where somebody has measured it."""
        from ratui.tui.screens.evaluation.screen import EvaluationScreen

        self._evaluated_models = list_evaluated_models(self.ratui.study)
        if self._evaluated_models:
            self.app.push_screen(EvaluationScreen(self._evaluated_models))
        else:
            self.show_message(self.t("worklist.not_evaluated"))

    def _contact_sheet_closed(self, site: str | None) -> None:
        self._contact_sheet_site = site or ""

    def on_virtual_list_row_picked(self, event: VirtualList.RowPicked) -> None:
        self._has_moved = True
        self._place = self._visible[event.row]
        if event.was_selected:
            self.action_open()

    def _step(self, by: int) -> None:
        if self._visible:
            rows = self.query_one(VirtualList)
            self._has_moved = True
            rows.select(rows.cursor + by)
            self._place = self._visible[rows.cursor]
        self.show_message("")

    # Opening.

    def open_case(self, case: str, site: str = "") -> None:
        """Opens `case` where it was left, or at `site`: regions, the very field, or what was signed."""
        self._opened_case = case
        self.show_message("")
        study, rater = self.ratui.study, self.ratui.rater
        try:
            state = study.state(rater, case)
            if state.stage == "unreadable":
                self.show_message(self.t("worklist.unreadable", case=case, why=state.note))
                return
            if state.stage == "signed":
                self._open_read_only(case, site)
                return
            self._open_for_scoring(case, site)
        except RatuiError as error:
            self.show_message(str(error))

    def _open_for_scoring(self, case: str, site: str = "", *, take_over: bool = False) -> None:
        """Opens `case` for entries; where it is open elsewhere it may be looked at. Raises RatuiError."""
        from ratui.tui.screens.scoring.screen import ScoringScreen

        study, held = self.ratui.study, ExitStack()
        try:
            session = held.enter_context(study.open_reading(self.ratui.rater, case, take_over=take_over))
        except HeldByOther as error:
            self.show_message(str(error))
            self._open_read_only(case, site, error)
            return
        screen = ScoringScreen(study.case(case), session, held, site=site)
        self.app.push_screen(screen, partial(self._scoring_closed, case))

    def _open_read_only(self, case: str, site: str = "", held: HeldByOther | None = None) -> None:
        """Shows what was read of `case`, to look at only: at `site` where one is given, else as a whole."""
        from ratui.tui.screens.review.screen import ReviewScreen

        reading = self.ratui.study.reading(self.ratui.rater, case)
        if reading is None:
            return
        if site in reading.site_keys:
            self.app.push_screen(ReviewScreen.read_only(self.ratui.study, reading, site))
        else:
            self.app.push_screen(
                OverviewScreen(reading, held_by=held), lambda result: self._overview_closed(case, result)
            )

    def _overview_closed(self, case: str, result: OverviewResult | None) -> None:
        try:
            if isinstance(result, Reopen):
                self._reopen(case, result.reason)
            elif result is OverviewCommand.TAKE_OVER:
                self._opened_case = case
                self._open_for_scoring(case, take_over=True)
        except RatuiError as error:
            self.show_message(str(error))

    def _reopen(self, case: str, why: str) -> None:
        """Opens a signed reading again, with the reason in its log, and goes on reading it. Raises RatuiError."""
        with self.ratui.study.open_reading(self.ratui.rater, case) as session:
            session.save(rd.reopen(session.reading, why, timestamp=datetime.now(UTC)))
        self._refresh_case(case)
        self._opened_case = case
        self._open_for_scoring(case)

    def _scoring_closed(self, case: str, result: ScoringResult | None) -> None:
        from ratui.tui.screens.case_flow import ScoringResult

        if result is ScoringResult.SIGNED:
            self.show_message(self.t("scoring.signed", case=case))

    # What is shown.

    def _list_cases(self, wanted: int | None = None) -> None:
        """Lists the cases that match, `wanted` selected (a place in the states), or the next one to do."""
        rows = self.query_one(VirtualList)
        self._visible = worklist_model.find_matches(self._typed, self._search_texts)
        if wanted not in self._visible:
            shown = [self._states[place] for place in self._visible]
            following = worklist_model.find_next_case(shown)
            wanted = self._visible[following or 0] if shown else None
        self._place = wanted
        rows.set_rows(len(self._visible), self._visible.index(wanted) if wanted is not None else 0)
        self._update_lines()

    def _format_row(self, row: int, width: int, selected: bool) -> Text:
        state = self._states[self._visible[row]]
        chosen = f"{BRIGHT} reverse" if self.app.no_color else SELECTED
        style = chosen if selected else PLAIN if worklist_model.is_open(state) else QUIET
        line = format_case(self.t, state, self._name_column_width)
        return Text(f"{'▸' if selected else ' '}{line}", style, no_wrap=True)

    def _update_lines(self) -> None:
        t, study = self.t, self.ratui.study
        self.query_one("#heads", Static).update(f" {format_columns(t, self._name_column_width)}")
        head = f" {study.config.title} · {self.ratui.rater}"
        if self._typed:
            head += f" · {t('worklist.filter', typed=self._typed)}"
            head += f" · {t('worklist.matches', count=len(self._visible), total=self._total)}"
        elif self._has_own_order:
            head += f" · {t('worklist.ordered')}"
        self.query_one("#head", Static).update(head)
        self.query_one("#progress", Static).update(f" {self._format_progress()}")
        self.update_key_bar()

    def _format_progress(self) -> str:
        t = self.t
        if not self._total:
            return t("worklist.no_films")
        if not self._is_loaded:
            return t("worklist.loading", count=max(self._read_count, len(self._states)), total=self._total)
        return format_study_progress(t, worklist_model.WorklistProgress.from_states(self._states), self.app.size.width)

    def format_keys(self) -> Text:
        """Return the keys that fit in one row, with the filter, which needs no key, behind the first."""
        first, *others = self.list_key_items()
        items = [first, KeyItem("", self.t("worklist.type_to_filter")), *others]
        return format_key_rows(*drop_to_fit(items, self.app.size.width, keep=self.help_key))
