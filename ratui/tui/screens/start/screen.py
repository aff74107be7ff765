"""The start screen: what ratui can do, and the studies that were opened last. Its result is a command line."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.events import Key, Resize
from textual.widgets import Static
from textual.worker import get_current_worker

from ratui.tui.input.key_rows import KeyItem, drop_to_fit, format_key_rows
from ratui.tui.recent_studies import RecentStudy, forget_study, read_recent_studies
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.start.model import (
    ACTIONS,
    PATHS,
    QUESTIONS,
    SearchEnded,
    StudyState,
    complete_path,
    find_study_state,
    make_arguments,
    open_arguments,
)
from ratui.tui.screens.start.text import (
    draw_joints,
    format_action,
    format_steps,
    format_study,
    format_terminal,
    shorten_path,
)
from ratui.tui.textual_internals import run_in_thread
from ratui.tui.widgets.choice_panel import ChoicePanel
from ratui.tui.widgets.plain_widgets import KeyBar
from ratui.tui.widgets.text_line import TextLine

__all__ = ["StartScreen"]

_LONGEST = 1000
_LONGEST_PATH = 30
"""Width of a path in a message, in cells: messages fit in 80 columns."""
_WIDE = 140
"""Columns from which the panels stand in two columns."""
_HIGH = 36
"""Rows from which there is room for all panels below each other. They then stand in the middle."""
_HIGH_FOR_JOINTS = 44
"""Rows from which wide terminals have a drawing of the joints beside the panels."""
_FEWEST_LINES, _MOST_LINES = 3, 10
"""Least and largest number of lines of the recent studies in high terminals."""


class StartScreen(KeyScreen[tuple[str, ...]]):
    """The list of actions and of recent studies. The result is the arguments of ``ratui`` to run; empty to end.

    Parameters
    ----------
    answers
        Answers to the questions that were typed before, by question; it is changed.
    message
        Text to show at first.
    recent
        The list of recent studies; None for the user's.
    """

    NAME = "start"
    DEFAULT_CSS = """
    StartScreen #panels { height: 1fr; }
    StartScreen #texts { height: 1fr; width: 1fr; }
    StartScreen .half { height: 1fr; width: 1fr; }
    StartScreen #actions { height: 8; }
    StartScreen #recent { height: 1fr; max-height: 12; min-height: 3; }
    StartScreen #steps { height: 7; }
    StartScreen #terminal { height: auto; }
    StartScreen #about { height: auto; }
    StartScreen #joints { display: none; width: 49; height: 100%; }
    StartScreen .wide #texts { layout: horizontal; }
    StartScreen .high { align: center middle; }
    StartScreen .high #texts { height: auto; max-width: 124; }
    StartScreen .high .half { height: auto; }
    StartScreen .drawn { layout: horizontal; }
    StartScreen .drawn #texts { width: 100; }
    StartScreen .drawn #steps { height: 11; }
    StartScreen .drawn #terminal { height: 4; }
    StartScreen .drawn #joints { display: block; }
    """

    def __init__(self, answers: dict[str, str], message: str = "", recent: Path | None = None) -> None:
        super().__init__()
        self._answers = answers
        self._message = message
        self._file = recent
        self._studies: tuple[RecentStudy, ...] = ()
        self._states: dict[Path, StudyState] = {}
        """States of the remembered studies, as far as they were looked at, by folder."""
        self._has_joints = False
        self._selected = 0
        """Number of the selected line: the actions, and behind them the studies."""
        self._asked: tuple[str, ...] = ()
        """The questions that are still to be answered, the open one first."""
        self._action = ""

    def compose(self) -> ComposeResult:
        """Make the widgets: title, panels, message and keys."""
        yield Static(id="head", classes="line title", markup=False)
        with Container(id="panels"):
            with Container(id="texts"):
                with Vertical(classes="half"):
                    yield ChoicePanel(id="actions")
                    yield ChoicePanel(id="recent")
                with Vertical(classes="half", id="about"):
                    yield Static(id="steps", classes="panel", markup=False)
                    yield Static(id="terminal", classes="panel", markup=False)
            yield Static(id="joints", classes="panel", markup=False)
        yield Static(id="message", classes="message", markup=False)
        yield TextLine()
        yield KeyBar()

    def on_mount(self) -> None:
        """Show the recent studies, and look in a thread which of them are still there: a disk may not answer."""
        self._studies = read_recent_studies(self._file)
        self._selected = len(ACTIONS) if self._studies else 0
        self.fill_widgets()
        self.show_message(self._message)
        run_in_thread(self, self._find_states, group="states")

    def on_resize(self, event: Resize) -> None:
        """Arrange the panels for the new size."""
        self._arrange()
        self.call_after_refresh(self._draw)

    def fill_widgets(self) -> None:
        """Fill the widgets in the app's present language."""
        t = self.t
        self.query_one("#head", Static).update(f" ratui {version('ratui')} · {t('start.title')}")
        for name in ("actions", "recent", "steps", "terminal", "joints"):
            self.query_one(f"#{name}").border_title = t(f"start.panel_{name}")
        self.query_one("#terminal", Static).update(format_terminal(t, self.key_app.graphics))
        self.update_key_bar()
        self._arrange()
        self.call_after_refresh(self._draw)

    def _arrange(self) -> None:
        width, height = self.app.size
        panels, recent = self.query_one("#panels"), self.query_one("#recent", ChoicePanel)
        is_wide, is_high = width >= _WIDE, height >= _HIGH
        self._has_joints = is_wide and height >= _HIGH_FOR_JOINTS
        panels.set_class(is_wide and not self._has_joints, "wide")
        panels.set_class(is_high, "high")
        panels.set_class(self._has_joints, "drawn")
        self.query_one("#about").display = is_wide or is_high
        lines = min(max(len(self._studies), _FEWEST_LINES), _MOST_LINES)
        if self._has_joints:
            lines = _MOST_LINES
        recent.styles.height = lines + 2 if is_high else None
        self.query_one("#joints").styles.height = 8 + lines + 2 + 11 + 4

    def _draw(self) -> None:
        """Draw the lines of the panels, whose size is known now."""
        if not self.has_widgets:
            return
        t, actions, recent = self.t, self.query_one("#actions", ChoicePanel), self.query_one("#recent", ChoicePanel)
        lines = [format_action(t, self.key_app.keymap, name, actions.line_width) for name in ACTIONS]
        actions.show_lines(lines, self._selected if self._selected < len(ACTIONS) else None)
        place = self._selected - len(ACTIONS)
        if self._studies:
            lines = [
                format_study(t, study, recent.line_width, self._states.get(study.folder)) for study in self._studies
            ]
            recent.show_lines(lines, place if place >= 0 else None)
        else:
            recent.update(f"  {t('start.no_recent')}")
        steps = self.query_one("#steps", Static)
        steps.update(format_steps(t, steps.content_size.width, is_spaced=self._has_joints))
        joints = self.query_one("#joints", Static)
        if self._has_joints and joints.content_size.width:
            joints.update(draw_joints(t, self.key_app.scheme, *joints.content_size))

    # The recent studies.

    def _find_states(self) -> None:
        worker = get_current_worker()

        def check() -> None:
            if worker.is_cancelled:
                raise SearchEnded

        try:
            for study in self._studies:
                state = find_study_state(study, check)
                check()
                self.app.call_from_thread(self._note_state, study.folder, state)
        except SearchEnded:
            return

    def _note_state(self, folder: Path, state: StudyState) -> None:
        self._states[folder] = state
        self._draw()

    @property
    def _study(self) -> RecentStudy | None:
        """The selected study; None if an action is selected."""
        place = self._selected - len(ACTIONS)
        return self._studies[place] if 0 <= place < len(self._studies) else None

    # Keys.

    @property
    def is_asking(self) -> bool:
        """True while a question is open."""
        return bool(self._asked)

    @property
    def types_text(self) -> bool:
        """True while an answer is typed."""
        return bool(self._asked)

    @property
    def accept_label(self) -> str:
        """The label of Enter while an answer is typed."""
        return self.t("start.key_next")

    def format_keys(self) -> Text:
        """Return the keys of the lines' selection."""
        names = ("open", "forget", "help", "quit")  # the keys of the others stand in their lines
        actions = [action for action in self.key_app.keymap.list_actions(self.NAME) if action.name in names]
        items = [
            KeyItem(self.key_app.keymap.key_label(action.id), action.label(self.t))
            for action in actions
            if self.check_action(action.name)
        ]
        return format_key_rows(*drop_to_fit(items, self.app.size.width, keep=self.help_key))

    def check_action(self, action: str, parameters: tuple[object, ...] = ()) -> bool:
        """Return whether `action` is possible now."""
        return action != "forget" or self._study is not None

    def on_key(self, event: Key) -> None:
        """Complete the path that is being typed at Tab."""
        if self._asked and event.key == "tab":
            self._complete()
            event.stop()
            event.prevent_default()

    def process_key(self, name: str) -> bool:
        """Answer the open question, or do what the key `name` stands for."""
        if not self._asked:
            self.show_message("")
            return super().process_key(name)
        if name == "escape":
            self._close_question()
        elif name == "enter":
            self._take_answer()
        return True

    def action_open(self) -> None:
        """Do what the selected line says."""
        study = self._study
        if study is None:
            self.perform(ACTIONS[self._selected])
        elif (state := self._states.get(study.folder)) is not None and state.kind == "missing":
            key = self.key_app.keymap.key_label("start.forget")
            folder = shorten_path(study.folder, _LONGEST_PATH)
            self.show_message(self.t("start.study_missing", folder=folder, key=key))
        elif study.rater:
            self.dismiss(open_arguments(study.folder, study.rater))
        else:
            self._answers["study"] = str(study.folder)
            self._ask("recent")

    def action_demo(self) -> None:
        """Read the sample study."""
        self.dismiss(make_arguments("demo", {}))

    def action_practise(self) -> None:
        """Practise on simulated joints."""
        self.dismiss(make_arguments("practise", {}))

    def action_doctor(self) -> None:
        """Show what this terminal can display."""
        self.dismiss(make_arguments("doctor", {}))

    def action_other(self) -> None:
        """Ask for a study to open."""
        self._ask("other")

    def action_new(self) -> None:
        """Ask for the folder, the raters and the scheme of a new study."""
        self._ask("new")

    def action_import(self) -> None:
        """Ask for a study and for the films to import into it; the selected study is offered."""
        if self._study is not None:
            self._answers["study"] = str(self._study.folder)
        self._ask("import")

    def action_forget(self) -> None:
        """Remove the selected study from the list."""
        study = self._study
        if study is None:
            return
        forget_study(study.folder, self._file)
        self._studies = read_recent_studies(self._file)
        self.step(0)
        self.show_message(self.t("start.forgotten", folder=shorten_path(study.folder, _LONGEST_PATH)))

    def action_quit(self) -> None:
        """Leave ratui."""
        self.dismiss(())

    def step(self, by: int) -> None:
        """Select the line that is `by` lines below the selected one, or else the last or the first line."""
        self._selected = min(max(self._selected + by, 0), len(ACTIONS) + len(self._studies) - 1)
        self._draw()
        self.update_key_bar()

    def action_up(self) -> None:
        """Select the line above."""
        self.step(-1)

    def action_down(self) -> None:
        """Select the line below."""
        self.step(1)

    def action_first(self) -> None:
        """Select the first line."""
        self.step(-self._selected)

    def action_last(self) -> None:
        """Select the last line."""
        self.step(len(ACTIONS) + len(self._studies))

    def on_choice_panel_line_picked(self, event: ChoicePanel.LinePicked) -> None:
        """Select the line that was clicked; do what it says if it was selected before."""
        if self._asked:
            return
        before, self._selected = self._selected, event.row + (len(ACTIONS) if event.panel.id == "recent" else 0)
        self.step(0)
        if self._selected == before:
            self.action_open()

    # Questions.

    def _ask(self, action: str) -> None:
        self._action, self._asked = action, QUESTIONS[action]
        self._open_question()

    def _open_question(self) -> None:
        name, questions = self._asked[0], QUESTIONS[self._action]
        prompt = self.t(f"start.ask_{name}")
        if len(questions) > 1:
            prompt = f"{questions.index(name) + 1}/{len(questions)}  {prompt}"
        self.show_message("")
        self.query_one("#message").display = False
        line = self.query_one(TextLine)
        line.open(prompt, self._answers.get(name, self._default(name)), _LONGEST, self._note_typed)
        line.show_hint(self.t(f"start.hint_{name}"))
        self.update_key_bar()

    def _default(self, name: str) -> str:
        """Return the answer that is offered to the question `name` at first."""
        if name == "scheme":
            return "mtss-hands"
        return next((study.rater for study in self._studies if study.rater), "") if name in ("rater", "raters") else ""

    def _complete(self) -> None:
        """Complete the typed path as far as the names on the disk agree."""
        name, line = self._asked[0], self.query_one(TextLine).input
        if name in PATHS:
            line.value = complete_path(line.value, only_folders=name != "films")
            line.cursor_position = len(line.value)

    def _note_typed(self, text: str) -> None:
        if self._asked:
            self._answers[self._asked[0]] = text

    def _take_answer(self) -> None:
        name = self._asked[0]
        if not self._answers.get(name, self._default(name)).strip():
            return
        self._answers.setdefault(name, self._default(name))
        self.query_one(TextLine).close()
        self._asked = self._asked[1:]
        if self._asked:
            self._open_question()
            return
        self._close_question()
        self.dismiss(make_arguments(self._action, self._answers))

    def _close_question(self) -> None:
        self._asked = ()
        line = self.query_one(TextLine)
        if line.is_open:
            line.close()
        self.query_one("#message").display = True
        self.update_key_bar()
