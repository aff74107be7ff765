"""The worklist: all cases of the study with their states. The next case is selected, and one key opens it.

The cases stand in groups: in progress, due, done, and those that cannot be read. Within a group they stand in the order of
their names, which are random, or in the order that ``ratui-train propose --order`` has stored. Neither the order nor a
state tells which time point is the earlier.
"""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from ratui.study import CaseState
from ratui.study.layout import list_evaluated_models
from ratui.study.model_results.reading_order import has_reading_order, load_reading_order, load_unlike_cases
from ratui.tui.input.key_rows import KeyItem, drop_to_fit, format_key_rows
from ratui.tui.screens.worklist import model as worklist_model
from ratui.tui.screens.worklist.case_list import CaseList
from ratui.tui.screens.worklist.groups import Group, count_groups, find_group, step_group
from ratui.tui.screens.worklist.loader import CaseStateLoader
from ratui.tui.screens.worklist.opening import CaseOpener, FirstCaseScreen
from ratui.tui.screens.worklist.side_panel import SidePanel
from ratui.tui.screens.worklist.text import (
    format_columns,
    format_study_progress,
    has_column_of_visits,
    measure_name_width,
)
from ratui.tui.widgets.plain_widgets import KeyBar
from ratui.tui.widgets.virtual_list import VirtualList

__all__ = ["WorklistScreen"]

_FIRST = 60
"""Number of cases examined before the list is shown: a screenful. The others may have to wait for the study's index."""
_PANELS_FROM = 120
"""Columns from which the groups are panels, with the pictures of the selected case beside them."""


class WorklistScreen(FirstCaseScreen):
    """The list of cases, one line each. Typing filters the list."""

    NAME = "worklist"
    DEFAULT_CSS = """
    WorklistScreen #body { height: 1fr; }
    WorklistScreen #cases { width: 1fr; }
    WorklistScreen #empty { height: 1fr; padding: 0 2; content-align: center middle; text-align: center; }
    """

    def __init__(self, first_case: str = "") -> None:
        super().__init__(first_case)
        self._typed = ""  # the text of the filter
        self._states: list[CaseState] = []
        self._search_texts: list[str] = []
        """The text that the filter searches, for each of the states."""
        self._is_filtering = False
        """True while the filter is open without a text, after its key."""
        self._group: Group | None = None
        """The group that is shown; None for all."""
        self._visible: list[int] = []  # indices of the states that match the filter
        self._selected: int | None = None  # index of the selected state
        self._total = 0
        self._read_count = 0
        """Number of cases examined so far while the study's index is rebuilt."""
        self._is_loaded = False
        self._has_moved = False
        """True once the rater has selected a case."""
        self._open_when_loaded = False
        self._left_case = ""  # ID of the case that was left last
        self._has_own_order = False
        self._is_sorted = False
        self._unlike_count = 0
        """Number of cases without a place in the model's order, because it has not learned from films like theirs."""
        self._name_width = 6
        self._contact_sheet_site = ""
        self._evaluated_models: tuple[str, ...] = ()
        self._opener = CaseOpener(self, self.note_opened_case, self.refresh_case, lambda: self._states)

    def compose(self) -> ComposeResult:
        """Make the widgets: title, column heads, cases, message, progress and keys."""
        if self.is_covered:
            return
        ratui = self.ratui
        yield Static(id="head", classes="line title", markup=False)
        with Horizontal(id="body"):
            with Vertical(id="cases"):
                yield Static(id="heads", classes="line title", markup=False)
                yield CaseList(lambda: self.t)
                yield Static(id="empty", markup=False)
            yield SidePanel(ratui.study, ratui.rater, ratui.film_store, ratui.graphics, ratui.frame_cache)
        yield Static(id="message", classes="message", markup=False)
        yield Static(id="progress", classes="line", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """Begin to load the cases, or open the first one."""
        study = self.ratui.study
        self._loader = CaseStateLoader(
            self, study, self.ratui.rater, on_states=self._receive_states, on_progress=self._show_count
        )
        cases = load_reading_order(study)
        self._has_own_order = cases != study.cases()
        self._is_sorted, self._unlike_count = has_reading_order(study), len(load_unlike_cases(study))
        self._total = len(cases)
        self._evaluated_models = list_evaluated_models(study.folder)
        self._name_width = measure_name_width(cases)
        self.start()

    def fill_widgets(self) -> None:
        """Fill the widgets in the app's present language."""
        self._search_texts = [worklist_model.make_search_text(self.t, state) for state in self._states]
        self._list_cases(self._selected)

    def load_cases(self) -> None:
        """Load the states of all cases, unless they are known."""
        if not self._is_loaded:
            self._loader.load(load_reading_order(self.ratui.study), _FIRST)

    def on_resize(self) -> None:
        """Fit the lines to the new size."""
        self._list_cases(self._selected)

    # The states of the cases.

    def _show_count(self, count: int) -> None:
        self._read_count = count
        if self.has_widgets:
            self._update_lines()

    def _receive_states(self, states: list[CaseState], is_complete: bool) -> None:
        """Show `states`, which are those of all cases if `is_complete`."""
        if not self.takes_messages:  # the app ends
            return
        # Before all cases are known, a case that the rater has not chosen may turn out not to be the next one.
        is_chosen = self._has_moved or self._is_loaded
        selected = self._states[self._selected].case if is_chosen and self._selected is not None else ""
        self._states = states
        self._is_loaded = self._is_loaded or is_complete
        self._total = len(states) if is_complete else self._total
        self._search_texts = [worklist_model.make_search_text(self.t, state) for state in states]
        index = worklist_model.find_selection_after(states, self._left_case, self._opener.signed_case)
        self._list_cases(worklist_model.find_case(states, selected) if is_chosen else index)
        self._opener.update_message()
        if self._is_loaded and self._open_when_loaded:
            self._open_when_loaded = False
            self.action_open()

    def refresh_case(self, case: str) -> None:
        """Read the state of `case` again after it was open; select the next case if it has been signed."""
        self._left_case = case
        index = worklist_model.find_case(self._states, case)
        if index is None:
            return
        before, now = self._states[index], self._loader.read_state(case)
        if now.stage != "unassigned":  # a case that was taken from the rater is left out by the next load
            self._states[index] = now
            self._search_texts[index] = worklist_model.make_search_text(self.t, now)
        if worklist_model.is_open(before) and now.stage == "signed":
            index = worklist_model.find_next_case(self._states, after=index) or 0
        self._list_cases(index)
        self._loader.load(load_reading_order(self.ratui.study))  # other raters may have confirmed regions meanwhile

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...] = ()) -> bool:
        """Return whether `action` is possible in the list as it is now."""
        match action:
            case "delete_character":
                return bool(self._typed)
            case "clear_filter":
                return self.is_asking
            case "next_group" | "previous_group":
                return len(count_groups(self._states)) > 1
            case "contact_sheet":
                return any(state.done for state in self._states)
            case "evaluation":
                return bool(self._evaluated_models)
            case "next":
                return any(worklist_model.is_open(state) for state in self._states)
            case "open":
                return self._selected is not None or bool(self._total and not self._is_loaded)
        return action != "filter" or bool(self._total)

    @property
    def is_asking(self) -> bool:
        """True while there is a filter, which Esc clears."""
        return bool(self._typed) or self._is_filtering or self._group is not None

    @property
    def types_text(self) -> bool:
        """Always true, because characters are added to the filter."""
        return True

    def process_key(self, name: str) -> bool:
        """Do what the key `name` stands for; add any other character to the filter."""
        if super().process_key(name):
            return True
        if len(name) == 1 or name == "space":
            self._filter(self._typed + (" " if name == "space" else name))
            return True
        return False

    def accept_paste(self, text: str) -> bool:
        """Add the pasted `text` to the filter."""
        self._filter(self._typed + text)
        return True

    def action_filter(self) -> None:
        """Open the filter. Typing does so too."""
        self._is_filtering = True
        self._filter(self._typed)

    def action_next_group(self) -> None:
        """Show the cases of the next group alone, or those of all groups."""
        self._show_group(step_group(self._states, self._group, 1))

    def action_previous_group(self) -> None:
        """Show the cases of the previous group alone, or those of all groups."""
        self._show_group(step_group(self._states, self._group, -1))

    def _show_group(self, group: Group | None) -> None:
        self._group, self._has_moved = group, True
        self._filter(self._typed)

    def _filter(self, typed: str) -> None:
        self.show_message("")
        self._typed = typed.lstrip()
        self._list_cases(self._selected)
        if not self._visible and self._typed:
            self.show_message(self.t("worklist.none_match", key=self.ratui.keymap.key_label("worklist.clear_filter")))

    def action_delete_character(self) -> None:
        """Delete the last character of the filter."""
        self._filter(self._typed[:-1])

    def action_clear_filter(self) -> None:
        """Show all cases again."""
        self._is_filtering, self._group = False, None
        self._filter("")

    @property
    def list_length(self) -> int:
        """Number of lines in the list."""
        return len(self._visible)

    def action_next(self) -> None:
        """Select the next open case behind the selected one."""
        upcoming = worklist_model.find_next_case(self._states, after=self._selected)
        if upcoming is not None:
            if upcoming not in self._visible:
                self._typed, self._group = "", None
            self._has_moved = True
            self._list_cases(upcoming)

    def action_quit(self) -> None:
        """Leave ratui."""
        self.app.exit()

    def action_open(self) -> None:
        """Open the selected case. Before all cases are known, wait until the next one is."""
        if not self._is_loaded and not self._has_moved:
            self._open_when_loaded = True
            return
        if self._selected is not None:
            self.open_case(self._states[self._selected].case)

    def action_contact_sheet(self) -> None:
        """Open the contact sheet: one joint over all cases that the rater has begun."""
        from ratui.tui.screens.contact_sheet.screen import ContactSheetScreen

        if self._is_loaded and not any(state.done for state in self._states):
            self.show_message(self.t("worklist.nothing_read"))
            return
        self.app.push_screen(ContactSheetScreen(self.open_case, self._contact_sheet_site), self._contact_sheet_closed)

    def action_evaluation(self) -> None:
        """Open the evaluation of the models, if the study has one."""
        from ratui.tui.screens.evaluation.screen import EvaluationScreen

        self._evaluated_models = list_evaluated_models(self.ratui.study.folder)
        if self._evaluated_models:
            self.app.push_screen(EvaluationScreen(self._evaluated_models))
        else:
            self.show_message(self.t("worklist.not_evaluated"))

    def _contact_sheet_closed(self, site: str | None) -> None:
        self._contact_sheet_site = site or ""

    def on_virtual_list_row_picked(self, event: VirtualList.RowPicked) -> None:
        """Select the case that was clicked; open it if it was selected before."""
        self._has_moved = True
        self._note_selected()
        if event.was_selected:
            self.action_open()

    def step(self, by: int) -> None:
        """Select the case that is `by` lines below the selected one, or else the last or the first one."""
        if self._visible:
            self._has_moved = True
            self.query_one(CaseList).step(by)
            self._note_selected()
        self.show_message("")

    def _note_selected(self) -> None:
        self._selected = self.query_one(CaseList).selected
        self._show_selected()

    def open_case(self, case: str, site: str = "") -> None:
        """Open `case` at `site`, or where the rater stopped; a signed case opens as its overview."""
        self._opener.open(case, site)

    # Drawing.

    def _list_cases(self, wanted: int | None = None) -> None:
        """List the cases that match the filter. Select the state with the index `wanted`, or else the next open case."""
        states = self._states
        if self._group not in count_groups(states):
            self._group = None
        found = worklist_model.find_matches(self._typed, self._search_texts)
        self._visible = [index for index in found if self._group in (None, find_group(states[index]))]
        if wanted not in self._visible:
            shown = [states[index] for index in self._visible]
            wanted = self._visible[worklist_model.find_next_case(shown) or 0] if shown else None
        self._selected = wanted
        if not self.has_widgets:
            return
        self.query_one(CaseList).show_cases(
            states, self._visible, wanted, name_width=self._name_width, has_panels=self._has_panels
        )
        self._update_lines()

    @property
    def _has_panels(self) -> bool:
        return self.app.size.width >= _PANELS_FROM

    def _update_lines(self) -> None:
        """Draw all lines but the cases. An empty study has a text in the middle instead of the list and its panels."""
        t, study = self.t, self.ratui.study
        for each in self.query("#heads, #empty, CaseList"):
            each.display = bool(self._total) is (each.id != "empty")
        self._show_line("empty", t("worklist.no_films"))
        heads = format_columns(t, self._name_width, visits=has_column_of_visits(self._states))
        self._show_line("heads", f"{'  ' if self._has_panels else ' '}{heads}")
        head = f" {study.config.title} · {self.ratui.rater}"
        if self.is_asking:
            if self._group:
                head += f" · {t('worklist.shown_group', group=t(f'worklist.group_{self._group}'))}"
            if self._typed or self._is_filtering:
                head += f" · {t('worklist.filter', typed=self._typed)}"
            head += f" · {t('worklist.matches', count=len(self._visible), total=self._total)}"
        elif self._unlike_count:
            name = "sorted_in_part" if self._is_sorted else "not_sorted"
            head += f" · {t(f'worklist.{name}', count=self._unlike_count)}"
        elif self._has_own_order:
            head += f" · {t('worklist.sorted_by_model')}"
        self._show_line("head", head)
        self._update_progress()
        self._show_selected()
        self.update_key_bar()

    def _show_line(self, id: str, text: str) -> None:
        """Show `text` in the line `id` if it has changed. The lines have fixed heights, so the layout stays."""
        line = self.query_one(f"#{id}", Static)
        if line.content != text:
            line.update(text, layout=False)

    def _update_progress(self) -> None:
        """Show the progress in a panel once it is known and if there is room, otherwise in the line above the keys."""
        side, line = self.query_one(SidePanel), self.query_one("#progress", Static)
        side.display = self._has_panels and bool(self._total)
        is_in_panel = side.display and self._is_loaded
        line.display = not is_in_panel
        progress = worklist_model.WorklistProgress.from_states(self._states) if is_in_panel else None
        side.show_progress(self.t, progress)
        if not is_in_panel:
            self._show_line("progress", f" {self._format_progress()}")

    def _show_selected(self) -> None:
        if self._has_panels:
            state = self._states[self._selected] if self._selected is not None else None
            self.query_one(SidePanel).show_case(self.t, state)

    def _format_progress(self) -> str:
        t = self.t
        if not self._total:
            return ""
        if not self._is_loaded:
            return t("worklist.loading", count=max(self._read_count, len(self._states)), total=self._total)
        return format_study_progress(t, worklist_model.WorklistProgress.from_states(self._states), self.app.size.width)

    def format_keys(self) -> Text:
        """Return the keys that fit in one row. Behind that of opening a case stands the filter, which needs no key."""
        items = self.list_key_items()
        group_key = self.ratui.keymap.key_label("worklist.next_group")
        items.sort(key=lambda item: item.key == group_key)  # the first to go where there is no room
        if self.check_action("filter"):
            items.insert(self.check_action("open"), KeyItem("", self.t("worklist.type_to_filter")))
        return format_key_rows(*drop_to_fit(items, self.app.size.width, keep=self.help_key))
