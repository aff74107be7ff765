"""All cases of the study and how far they are; the next one is selected already, and one key opens it where it was left.

Cases stand in the order of their names, which are drawn, or in the one that ``ratui-train propose --order`` has kept:
nothing here tells, or is sorted by, the order of time points.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime

from rich.text import Text
from textual.app import ComposeResult
from textual.events import Key
from textual.widgets import Static
from textual.worker import get_current_worker

from ratui import reading as rd
from ratui.errors import RatuiError
from ratui.study import CaseState, HeldByOther
from ratui.study.model_reports import list_evaluated_models
from ratui.study.predictions import load_reading_order
from ratui.tui.input.actions import key_name
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.overview.screen import TAKE_OVER, OverviewScreen, Reopen
from ratui.tui.screens.worklist import model as workload
from ratui.tui.screens.worklist.text import case_line, column_line, name_width, progress_text
from ratui.tui.theme import BRIGHT, KEY, PLAIN, QUIET, SELECTED
from ratui.tui.widgets.virtual_list import RowList
from ratui.tui.workers import in_thread

__all__ = ["WorklistScreen"]

_FIRST = 60
"""How many cases are looked at before the list is shown: a screenful. The index of all others may have to be made first."""


class WorklistScreen(KeyScreen):
    """One line a case. Typing filters; the case to do next is selected."""

    NAME = "worklist"

    def __init__(self) -> None:
        super().__init__()
        self._typed = ""
        self._states: list[CaseState] = []
        self._searched: list[str] = []
        self._shown: list[int] = []
        self._total = 0
        self._loaded = False
        self._seen_so_far = 0
        self._name_width = 6
        self._place: int | None = None
        self._moved = False
        self._enter_waits = False
        self._opened = ""
        self._ordered = False
        self._sheet_site = ""
        self._evaluated: tuple[str, ...] = ()
        """The models that the study keeps an evaluation of."""

    def compose(self) -> ComposeResult:
        yield Static(id="head", classes="line title", markup=False)
        yield Static(id="heads", classes="line title", markup=False)
        yield RowList(self._row)
        yield Static(id="message", classes="message", markup=False)
        yield Static(id="progress", classes="line", markup=False)
        yield Static(id="keys", classes="line title", markup=False)

    def on_mount(self) -> None:
        self._load()

    def refill(self) -> None:
        self._searched = [workload.searched(self.t, state) for state in self._states]
        self._show(self._place)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self._opened:
            self._look_again(self._opened)
            self._opened = ""

    def on_resize(self) -> None:
        self._describe()

    def say(self, text: str) -> None:
        self.query_one("#message", Static).update(f" {text}" if text else "")

    # The states of the cases.

    def _load(self) -> None:
        """Looks at all cases beside the screen, which shows each batch as it comes."""
        cases = load_reading_order(self.ratui.study)
        self._ordered = cases != self.ratui.study.cases()
        self._states, self._searched, self._total = [], [], len(cases)
        self._evaluated = list_evaluated_models(self.ratui.study)
        self._name_width = name_width(cases)
        self._show()
        self._look(cases, _FIRST)

    def _look(self, cases: tuple[str, ...], first: int) -> None:
        in_thread(self, lambda: self._look_at(cases, first), group="states")

    def _look_at(self, cases: tuple[str, ...], first: int) -> None:
        """In a thread: how far the `first` cases are, then all, as the index has it."""
        worker, study, rater = get_current_worker(), self.ratui.study, self.ratui.rater
        states = [self._state(case) for case in cases[:first]]
        if len(states) < len(cases):
            if states and not worker.is_cancelled:
                self.app.call_from_thread(self._arrived, states, False)
            found = study.states(rater, progress=lambda done, of: self._looked_at(done))
            known = {state.case: state for state in found}
            states = [known[case] for case in cases if case in known]
        if not worker.is_cancelled:
            self.app.call_from_thread(self._arrived, states, True)

    def _looked_at(self, count: int) -> None:
        """In a thread: so many cases are looked at, where the index has to be made anew."""
        if not get_current_worker().is_cancelled:
            self.app.call_from_thread(self._count, count)

    def _count(self, count: int) -> None:
        self._seen_so_far = count
        if self.is_mounted:
            self._describe()

    def _state(self, case: str) -> CaseState:
        try:
            return self.ratui.study.state(self.ratui.rater, case)
        except RatuiError as error:
            return CaseState(case, "unreadable", 0, 0, 0.0, error.problem)

    def _arrived(self, states: list[CaseState], all_of_them: bool) -> None:
        if not self.is_mounted:
            return
        # Until all are known the next case is only the next so far.
        settled = self._place is not None and (self._moved or self._loaded)
        here = self._states[self._place].case if settled and self._place is not None else ""
        self._states = states
        self._loaded = self._loaded or all_of_them
        self._total = len(states) if all_of_them else self._total
        self._searched = [workload.searched(self.t, state) for state in states]
        self._show(next((place for place, state in enumerate(states) if state.case == here), None))
        if self._loaded and self._enter_waits:
            self._enter_waits = False
            self.do_open()

    def _look_again(self, case: str) -> None:
        """After a visit to `case`: its line anew and, once it is signed, on to the next."""
        place = next((place for place, state in enumerate(self._states) if state.case == case), None)
        if place is None:
            return
        before, now = self._states[place], self._state(case)
        self._states[place] = now
        self._searched[place] = workload.searched(self.t, now)
        if workload.is_open(before) and now.stage == "signed":
            place = workload.next_case(self._states, after=place) or 0
        self._show(place)
        # Others may have set regions meanwhile.
        self._look(load_reading_order(self.ratui.study), 0)

    # Keys.

    def possible(self, name: str) -> bool:
        match name:
            case "clear_filter" | "rub":
                return bool(self._typed)
            case "contact_sheet":
                return any(state.done for state in self._states)
            case "evaluation":
                return bool(self._evaluated)
            case "next":
                return any(workload.is_open(state) for state in self._states)
        return True

    @property
    def asking(self) -> bool:
        return bool(self._typed)

    @property
    def types_text(self) -> bool:
        return True

    def on_key(self, event: Key) -> None:
        name = key_name(event.character, event.key)
        if self.ratui.keymap.find(self.NAME, name) is None and (len(name) == 1 or name == "space"):
            event.stop()
            self._filter(self._typed + (" " if name == "space" else name))
        else:
            super().on_key(event)

    def _filter(self, typed: str) -> None:
        self.say("")
        self._typed = typed.lstrip()
        self._show(self._place)
        if not self._shown and self._typed:
            self.say(self.t("worklist.none_match", key=self.ratui.keymap.shown("worklist.clear_filter")))

    def do_rub(self) -> None:
        self._filter(self._typed[:-1])

    def do_clear_filter(self) -> None:
        self._filter("")

    def do_up(self) -> None:
        self._step(-1)

    def do_down(self) -> None:
        self._step(1)

    def do_page_up(self) -> None:
        self._step(-self.query_one(RowList).page)

    def do_page_down(self) -> None:
        self._step(self.query_one(RowList).page)

    def do_first(self) -> None:
        self._step(-len(self._shown))

    def do_last(self) -> None:
        self._step(len(self._shown))

    def do_next(self) -> None:
        """To the case to do next, behind the selected one."""
        following = workload.next_case(self._states, after=self._place)
        if following is not None:
            self._typed = self._typed if following in self._shown else ""
            self._moved = True
            self._show(following)

    def do_quit(self) -> None:
        self.app.exit()

    def do_open(self) -> None:
        """Opens the selected case; a key typed before all cases were looked at waits until the next one is known."""
        if not self._loaded and not self._moved:
            self._enter_waits = True
            return
        if self._place is not None:
            self.open_case(self._states[self._place].case)

    def do_contact_sheet(self) -> None:
        """One joint over all cases that the rater has read."""
        from ratui.tui.screens.contact_sheet.screen import ContactSheetScreen

        if self._loaded and not any(state.done for state in self._states):
            self.say(self.t("worklist.nothing_read"))
            return
        self.app.push_screen(ContactSheetScreen(self.open_case, self._sheet_site), self._sheet_closed)

    def do_evaluation(self) -> None:
        """What the models are worth, where somebody has measured it."""
        from ratui.tui.screens.evaluation.screen import EvaluationScreen

        self._evaluated = list_evaluated_models(self.ratui.study)
        if self._evaluated:
            self.app.push_screen(EvaluationScreen(self._evaluated))
        else:
            self.say(self.t("worklist.not_evaluated"))

    def _sheet_closed(self, site: object) -> None:
        self._sheet_site = str(site or "")

    def on_row_list_picked(self, event: RowList.Picked) -> None:
        self._moved = True
        self._place = self._shown[event.row]
        if event.again:
            self.do_open()

    def _step(self, by: int) -> None:
        if self._shown:
            rows = self.query_one(RowList)
            self._moved = True
            rows.select(rows.cursor + by)
            self._place = self._shown[rows.cursor]
        self.say("")

    # Opening.

    def open_case(self, case: str, site: str = "") -> None:
        """Opens `case` where it was left, or at `site`: regions, the very field, or what was signed."""
        self._opened = case
        self.say("")
        study, rater = self.ratui.study, self.ratui.rater
        try:
            state = study.state(rater, case)
            if state.stage == "unreadable":
                self.say(self.t("worklist.unreadable", case=case, why=state.note))
                return
            if state.stage == "signed":
                self._look_only(case, site)
                return
            self._read(case, site)
        except RatuiError as error:
            self.say(str(error))

    def _read(self, case: str, site: str = "", *, take_over: bool = False) -> None:
        """Opens `case` for entries; where it is open elsewhere it may be looked at. Raises RatuiError."""
        from ratui.tui.screens.scoring.screen import ScoringScreen

        study, held = self.ratui.study, ExitStack()
        try:
            session = held.enter_context(study.open_reading(self.ratui.rater, case, take_over=take_over))
        except HeldByOther as error:
            self.say(str(error))
            self._look_only(case, site, error)
            return
        self.app.push_screen(ScoringScreen(study.case(case), session, held, site=site), self._left)

    def _look_only(self, case: str, site: str = "", held: HeldByOther | None = None) -> None:
        """Shows what was read of `case`, to look at only: at `site` where one is given, else as a whole."""
        from ratui.tui.screens.review.screen import SecondLookScreen

        reading = self.ratui.study.reading(self.ratui.rater, case)
        if reading is None:
            return
        if site in reading.site_keys:
            self.app.push_screen(SecondLookScreen.to_look_at(self.ratui.study, reading, site))
        else:
            self.app.push_screen(OverviewScreen(reading, held=held), lambda result: self._looked(case, result))

    def _looked(self, case: str, result: object) -> None:
        try:
            if isinstance(result, Reopen):
                self._reopen(case, result.why)
            elif result == TAKE_OVER:
                self._opened = case
                self._read(case, take_over=True)
        except RatuiError as error:
            self.say(str(error))

    def _reopen(self, case: str, why: str) -> None:
        """Opens a signed reading again, with the reason in its log, and goes on reading it. Raises RatuiError."""
        with self.ratui.study.open_reading(self.ratui.rater, case) as session:
            session.save(rd.reopen(session.reading, why, timestamp=datetime.now(UTC)))
        self._look_again(case)
        self._opened = case
        self._read(case)

    def _left(self, result: object) -> None:
        if isinstance(result, str):
            self.say(result)

    # What is shown.

    def _show(self, wanted: int | None = None) -> None:
        """Lists the cases that match, `wanted` selected (a place in the states), or the next one to do."""
        rows = self.query_one(RowList)
        self._shown = workload.matching(self._typed, self._searched)
        if wanted not in self._shown:
            shown = [self._states[place] for place in self._shown]
            following = workload.next_case(shown)
            wanted = self._shown[following or 0] if shown else None
        self._place = wanted
        rows.fill(len(self._shown), self._shown.index(wanted) if wanted is not None else 0)
        self._describe()

    def _row(self, row: int, width: int, selected: bool) -> Text:
        state = self._states[self._shown[row]]
        chosen = f"{BRIGHT} reverse" if self.app.no_color else SELECTED
        style = chosen if selected else PLAIN if workload.is_open(state) else QUIET
        line = case_line(self.t, state, self._name_width)
        return Text(f"{'▸' if selected else ' '}{line}", style, no_wrap=True)

    def _describe(self) -> None:
        t, study = self.t, self.ratui.study
        self.query_one("#heads", Static).update(f" {column_line(t, self._name_width)}")
        head = f" {study.config.title} · {self.ratui.rater}"
        if self._typed:
            head += f" · {t('worklist.filter', typed=self._typed)}"
            head += f" · {t('worklist.matches', count=len(self._shown), total=self._total)}"
        elif self._ordered:
            head += f" · {t('worklist.ordered')}"
        self.query_one("#head", Static).update(head)
        self.query_one("#progress", Static).update(f" {self._progress()}")
        self.query_one("#keys", Static).update(self._keys())

    def _progress(self) -> str:
        t = self.t
        if not self._total:
            return t("worklist.no_films")
        if not self._loaded:
            return t("worklist.loading", count=max(self._seen_so_far, len(self._states)), total=self._total)
        return progress_text(t, workload.Progress.of(self._states), self.app.size.width)

    def _keys(self) -> Text:
        text = Text(no_wrap=True)
        for action in self.ratui.keymap.of(self.NAME):
            label = action.label(self.t)
            if label and self.possible(action.name):
                text.append(f" {self.ratui.keymap.shown(action.id)}", KEY).append(f" {label}  ", PLAIN)
            if action.name == "open":
                text.append(f" {self.t('worklist.type_to_filter')}  ", PLAIN)
        return text
