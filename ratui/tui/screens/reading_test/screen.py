"""The screen of the reading test: an introduction, an example and the trials of each part, and the result.

The films have the place, the size, the zoom and the greys that the scoring screen gives them. An answer counts by the same
rule: the films must have been displayed before the key.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from rich.console import Group
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, VerticalScroll
from textual.events import Resize
from textual.widgets import Static

from ratui.errors import RatuiError
from ratui.practice.reading_test import ReadingTest, Trial, make_trial
from ratui.study.campaign.display_tests import DisplayFacts, DisplayTest
from ratui.tui.entry.answer_gate import AnswerGate, DisplayWatch, name_acknowledgement
from ratui.tui.entry.text import format_edge, format_title
from ratui.tui.graphics.film_store import FilmStore
from ratui.tui.graphics.view_settings import ZOOMS, ViewSettings
from ratui.tui.i18n.reading_phrases import format_error
from ratui.tui.input.unpressed_keys import WithdrawalReason
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.reading_test.films import TrialFilms
from ratui.tui.screens.reading_test.text import describe_test
from ratui.tui.screens.scoring.hand_map import MAP_FROM, MAP_WIDTH
from ratui.tui.screens.scoring.text import count_key_rows
from ratui.tui.theme import PLAIN
from ratui.tui.widgets.film_view import FilmFailed
from ratui.tui.widgets.joint_viewer import JointViewer
from ratui.tui.widgets.plain_widgets import KeyBar

__all__ = ["ReadingTestScreen", "TestOutcome"]

_Phase: TypeAlias = Literal["introduction", "example", "trial", "result"]
_PLACES = (0, 1)
_EXAMPLE_SIZES = {"erosion": 4.0, "narrowing": 0.6}
_EXAMPLE_SEEDS = range(1_000_000, 1_000_100)
"""Draws that no trial has. The first whose signal is on the left film is the example."""


@dataclass
class TestOutcome:
    """The result of the screen.

    Attributes
    ----------
    test
        The result; None if no part was completed.
    error
        Error with which the result could not be stored; None if it was stored, or was not to be stored.
    """

    test: DisplayTest | None = None
    error: Exception | None = None


class ReadingTestScreen(KeyScreen[TestOutcome]):
    """The screen that runs one test.

    Parameters
    ----------
    test
        The trials.
    view_settings
        Zoom and contrast that the rater uses.
    make_result
        Function that returns the result for the display, called when a part is complete and the test ends.
    store
        Function that stores the result; None if it is not stored.
    rater
        ID of the rater; empty without a study.
    """

    NAME = "reading_test"
    DEFAULT_CSS = f"""
    ReadingTestScreen #words {{ height: auto; max-height: 100%; max-width: 124; padding: 1 2; display: none; }}
    ReadingTestScreen #words {{ scrollbar-size: 1 1; }}
    ReadingTestScreen #room {{ height: 1fr; align: center middle; display: none; }}
    ReadingTestScreen.wordy #room {{ display: block; }}
    ReadingTestScreen #words Static {{ height: auto; }}
    ReadingTestScreen.wordy #words {{ display: block; }}
    ReadingTestScreen.wordy .films {{ display: none; }}
    ReadingTestScreen .edge {{ width: 1; height: 1fr; }}
    ReadingTestScreen #map {{ width: {MAP_WIDTH}; }}
    ReadingTestScreen #keys {{ height: 4; }}
    ReadingTestScreen.wide #keys {{ height: 2; }}
    ReadingTestScreen.wordy #keys {{ height: 1; }}
    """

    def __init__(
        self,
        test: ReadingTest,
        view_settings: ViewSettings,
        make_result: Callable[[DisplayFacts], DisplayTest],
        store: Callable[[DisplayTest], None] | None,
        rater: str = "",
    ) -> None:
        super().__init__()
        self._test = test
        self._view_settings = view_settings
        self._make_result = make_result
        self._store = store
        self._rater = rater
        self._phase: _Phase = "introduction"
        self._shown: Trial | None = None
        self._watch = DisplayWatch()
        self._films = TrialFilms()
        self._film_store = FilmStore(self._films)
        self._facts: DisplayFacts | None = None
        """The display at the first answer; the answers of another display do not count."""
        self._resolutions: list[tuple[float, bool]] = []
        self._message = ""
        self.outcome = TestOutcome()
        """The result so far."""

    def compose(self) -> ComposeResult:
        """Make the widgets at the places that they have on the scoring screen."""
        app = self.key_app
        yield Static(id="head", classes="line title", markup=False)
        with Container(id="room"), VerticalScroll(id="words", classes="panel", can_focus=False):
            yield Static(id="text")
        with Horizontal(classes="films"):
            yield Static(id="edgeL", classes="edge", markup=False)
            yield JointViewer(app.graphics, app.frame_cache, self._film_store, self._watch, id="joint")
            yield Static(id="edgeR", classes="edge", markup=False)
            yield Static(id="map")
        yield Static(id="message", classes="message", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        """Show the introduction."""
        self._viewer.view_settings = self._view_settings
        self.key_app.key_queue.on_withdrawn = self._withdraw
        self._draw()

    def on_resize(self, event: Resize) -> None:
        """Fit the screen to its new size."""
        self._draw()

    def fill_widgets(self) -> None:
        """Fill the widgets in the app's present language."""
        self._viewer.view_settings = self._view_settings
        self._draw()
        if self._phase in ("example", "trial") and self._shown is not None:
            self._show_trial(self._shown)

    @property
    def _viewer(self) -> JointViewer:
        return self.query_one("#joint", JointViewer)

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...] = ()) -> bool:
        """Return whether `action` is possible in this phase."""
        match action:
            case "first" | "second" | "left" | "right":
                return self._phase == "trial"
            case "go_on":
                return self._phase != "trial"
            case "zoom":
                return self._phase == "example" and self._test.count_answers("erosion") == 0
            case "up" | "down":
                return self._phase in ("introduction", "result")
        return True

    def perform(self, name: str) -> None:
        """Perform the action `name` if it is possible now."""
        if self.check_action(name):
            super().perform(name)

    def action_first(self) -> None:
        """Choose the left film."""
        self._answer(0)

    def action_second(self) -> None:
        """Choose the right film."""
        self._answer(1)

    action_left, action_right = action_first, action_second

    def action_zoom(self) -> None:
        """Use the next zoom step for the test."""
        self._viewer.next_zoom()
        self._view_settings = replace(self._view_settings, zoom=self._viewer.view_settings.zoom)

    def action_up(self) -> None:
        """Scroll the text up by a line."""
        self.query_one("#words", VerticalScroll).scroll_up(animate=False)

    def action_down(self) -> None:
        """Scroll the text down by a line."""
        self.query_one("#words", VerticalScroll).scroll_down(animate=False)

    def action_go_on(self) -> None:
        """Go on from the introduction to the example, from there to the trials, and leave the result."""
        if self._phase == "result":
            self.dismiss(self.outcome)
        elif self._phase == "example":
            self._message = ""
            self._next_trial()
        else:
            self._show_example()

    def action_leave(self) -> None:
        """End the test, with the result of the parts that are complete."""
        if self._phase != "result" and self._test.list_results():
            self._finish()
        else:
            self.dismiss(self.outcome)

    # The trials.

    def _show_example(self) -> None:
        plan = self._test.plan
        assert plan is not None
        size = _EXAMPLE_SIZES[plan.part]
        examples = (make_trial(self._test.seed, draw, plan.part, size) for draw in _EXAMPLE_SEEDS)
        self._phase = "example"
        self._show_trial(next(trial for trial in examples if trial.place == 0))

    def _next_trial(self) -> None:
        trial, before = self._test.trial, self._shown
        if trial is None:
            self._finish()
        elif self._phase == "trial" and before is not None and before.part != trial.part:
            self._show_example()
        else:
            self._phase = "trial"
            self._show_trial(trial)

    def _show_trial(self, trial: Trial) -> None:
        self._shown = trial
        viewer = self._viewer
        viewer.blank()  # so that the films of a trial of the same joint begin another visit
        self._draw()
        viewer.show(self._films.add(trial), trial.site.key, place=0)

    def _answer(self, place: int) -> None:
        """Answer the present trial, if the films were displayed before the key."""
        trial = self._test.trial
        repeats = self.key_app.key_queue.repeats
        refusal = AnswerGate(self._watch, repeats).find_refusal_at(_PLACES)
        if trial is None or trial is not self._shown:
            return
        if refusal is not None:
            self.show_message(self.t(f"scoring.ignored_{refusal}"))
            return
        facts, since = self._read_display(), self._watch.displayed_since(_PLACES)
        assert since is not None
        if self._facts is not None and facts != self._facts:
            self._handle_other_display(self._facts)
            return
        self._facts = facts
        resolution = self._watch.displayed_resolution(_PLACES)
        if resolution is not None:
            self._resolutions.append((resolution.pixels_per_mm, resolution.is_sufficient))
        is_correct = self._test.answer(place, repeats.key_time - since)
        repeats.note_answer(trial.draw)
        self._message = self.t("reading_test.is_right" if is_correct else "reading_test.is_wrong")
        self._next_trial()

    def _withdraw(self, draws: Collection[int], reason: WithdrawalReason) -> None:
        """Withdraw answers that no person has given."""
        if self._phase in ("example", "trial"):
            self._test.withdraw(draws)
            self._message = self.t("reading_test.withdrawn")
            self._next_trial()

    def _handle_other_display(self, before: DisplayFacts) -> None:
        """Begin again on the new display. If a part is complete, ask for the display from `before` instead."""
        if self._test.list_results():
            key = self.key_app.keymap.key_label("reading_test.leave")
            self.show_message(self.t("reading_test.other_display", columns=before.columns, rows=before.rows, leave=key))
            return
        self._test.withdraw(range(_EXAMPLE_SEEDS.start))
        self._facts = None
        self._resolutions.clear()
        self._message = self.t("reading_test.restarted")
        self._phase, self._shown = "trial", None
        self._next_trial()

    def _read_display(self) -> DisplayFacts:
        """Return the display as it is now; the resolution, which differs from joint to joint, is added at the end."""
        display = self._watch.display or self.key_app.graphics
        viewer = self._viewer
        return DisplayFacts(
            (display.terminal or display.multiplexer)[:200],
            display.protocol,
            *self.app.size,
            display.cell,
            viewer.views[0].pixel_size,
            0.0,
            True,
            display.levels,
            self._watch.grey_changes,
            ZOOMS[viewer.view_settings.zoom],
            name_acknowledgement(display),
        )

    def _finish(self) -> None:
        """Compute and store the result, and show it."""
        self._phase, self._shown = "result", None
        self._viewer.blank()
        if self._test.list_results() and self._facts is not None:
            pixels = sum(each for each, _ in self._resolutions) / max(len(self._resolutions), 1)
            is_sufficient = all(each for _, each in self._resolutions)
            facts = replace(self._facts, pixels_per_mm=round(pixels, 2), is_sufficient=is_sufficient)
            self.outcome.test = self._make_result(facts)
            self._message = self._store_result(self.outcome.test)
        self._draw()

    def _store_result(self, test: DisplayTest) -> str:
        """Store `test`, and return a message about it."""
        if self._store is None:
            return self.t("reading_test.not_stored")
        try:
            self._store(test)
        except RatuiError as error:
            self.outcome.error = error
            return format_error(self.t, error)
        return self.t("reading_test.stored", rater=self._rater)

    # Drawing.

    def on_film_failed(self, event: FilmFailed) -> None:
        """Show why a film cannot be shown."""
        self.show_message(format_error(self.t, event.error, with_location=False))

    def on_joint_viewer_resolution_changed(self) -> None:
        """Draw the texts at their new places."""
        self._draw()

    def _draw(self) -> None:
        if not self.has_widgets:
            return
        self.set_class(self._phase in ("introduction", "result"), "wordy")
        # The place of the map of the scoring screen stays empty.
        self.query_one("#map").display = self.app.size.width >= MAP_FROM
        self.set_class(count_key_rows(self.app.size.width) == 2, "wide")
        self.query_one("#head", Static).update(self._format_head())
        words = "result" if self._phase == "result" else "introduction"
        self.query_one("#words").border_title = self.t(f"reading_test.panel_{words}")
        self.query_one("#text", Static).update(Group(*(Text(line, PLAIN) for line in self._list_lines())))
        side = self._shown.site.side if self._shown else ""
        for edge in ("L", "R"):
            self.query_one(f"#edge{edge}", Static).update(format_edge(edge, side, self.app.size.height), layout=False)
        for place, key in enumerate(("left", "right")):
            self._viewer.set_title(place, format_title("", False))
            line = f" {self.t(f'reading_test.{key}')}" if self._phase == "trial" else ""
            self._viewer.set_line(place, line)
        self.show_message(self._format_message())
        self.update_key_bar()

    def _format_head(self) -> str:
        t, plan = self.t, self._test.plan
        title = t("reading_test.title")
        if self._phase == "result":
            return f" {title} · {t('reading_test.result')}"
        if self._phase == "introduction" or plan is None:
            return f" {title}"
        number = self._test.count_answers(plan.part) + 1
        where = t(f"reading_test.head_{plan.part}", number=number, total=plan.trials)
        return f" {title} · {where if self._phase == 'trial' else t('reading_test.example')}"

    def _list_lines(self) -> list[str]:
        """Return the lines of the introduction or of the result."""
        if self._phase == "result":
            test = self.outcome.test
            return describe_test(self.t, test) if test is not None else [self.t("reading_test.ended")]
        if self._phase != "introduction":
            return []
        key = self.key_app.keymap.key_label
        trials = {plan.part: plan.trials for plan in self._test.parts}
        values = {
            "first": key("reading_test.first"),
            "second": key("reading_test.second"),
            "go_on": key("reading_test.go_on"),
            "leave": key("reading_test.leave"),
            "erosions": trials.get("erosion", 0),
            "narrowings": trials.get("narrowing", 0),
        }
        lines = (self.t(f"reading_test.intro_{number}", **values) for number in range(1, 6))
        return [each for line in lines for each in (line, "")][:-1]

    def _format_message(self) -> str:
        plan = self._test.plan
        if plan is None or self._phase not in ("example", "trial"):
            return self._message
        if self._phase == "example":
            ask = self.t(f"reading_test.example_{plan.part}", go_on=self.key_app.keymap.key_label("reading_test.go_on"))
        else:
            ask = self.t(f"reading_test.ask_{plan.part}")
        return f"{self._message} {ask}".strip()
