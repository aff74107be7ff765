"""A rater who presses any keys: the files equal the screen, the reading is valid, and no entry lacks a painted film."""

from __future__ import annotations

import asyncio
import contextvars
import random
import shutil
import tempfile
from collections.abc import Coroutine, Hashable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from textual.pilot import Pilot
from textual.widgets import Static

from ratui.imaging import Box
from ratui.reading import LogEntry, find_log_problems, find_problems, list_options
from ratui.scheme import parse_scheme
from ratui.study import Study
from ratui.tui import RatuiApp
from ratui.tui.entry.answer_gate import REACTION_SECONDS, name_film
from ratui.tui.graphics.viewport import AlignedView, CaseFilms, Viewport, load_case_films
from ratui.tui.input.actions import map_keys_to_entries
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.help.screen import HelpScreen
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.review.screen import ReviewScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from ratui.tui.widgets.film_view import FilmView
from tests.films import make_study
from tests.strategies import TINY_TOML
from tests.support.simulated_terminal import SimulatedTerminal
from tests.tui.conftest import offered_keys, reading_as

pytestmark = pytest.mark.slow

ANY = [*"0123456789alouxn=fmvzw/?Stq", "left", "right", "tab", "backspace", "enter", "escape", "space"]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a study of one case with two joints per side, without readings."""
    return make_study(tmp_path_factory.mktemp("machine"), scheme=parse_scheme(TINY_TOML, "tiny.toml")).path


_Subject = tuple[str, Box]
"""The id of a film, and the box of the joint that it shows."""


class PaintRecorder:
    """The joints that the terminal has painted, found in the output and the answers of the terminal.

    A joint is forgotten when a film of another joint is sent.
    """

    def __init__(self, app: RatuiApp, terminal: SimulatedTerminal, films: CaseFilms) -> None:
        self._app, self._terminal, self._films = app, terminal, films
        self._sent: list[tuple[int, list[_Subject]]] = []
        self._site = ""
        self.painted: dict[_Subject, float] = {}
        """By film and joint, the time since which it has been painted."""
        terminal.on_output = self._take_output
        terminal.on_answer = self._take_answer

    def _take_output(self, data: str) -> None:
        """Note which films `data` shows, if a fence ends it."""
        fence = self._terminal.find_fence(data)
        if fence is None:
            return
        shown: list[_Subject] = []
        for view in self._app.screen.query(FilmView):
            region = view.content_region
            subject = _find_subject(view.key)
            if subject is None or f"\x1b[{region.y + 1};{region.x + 1}H" not in data:
                continue
            shown.append(subject)
            site = self.find_site(subject)
            if site != self._site:
                self._site = site
                self._sent.clear()
                self.painted.clear()
        self._sent.append((fence, shown))

    def _take_answer(self, number: int) -> None:
        """Note that everything before the fence `number` is painted."""
        numbers = [fence for fence, _ in self._sent]
        if number in numbers:
            count = numbers.index(number) + 1
            for _, shown in self._sent[:count]:
                for subject in shown:
                    self.painted.setdefault(subject, self._terminal.now)
            del self._sent[:count]

    def find_site(self, subject: _Subject) -> str:
        """Return the key of the site that `subject` shows."""
        return next(site for (site, _), (film, box) in self._films.boxes.items() if (film.id, box) == subject)

    def check(self, entry: LogEntry, painted: dict[_Subject, float], now: float) -> None:
        """Check that the films of the answer `entry` were `painted` well before the time `now` of its key."""
        assert entry.display is not None, entry
        site = entry.changes[0].field.site
        assert {change.field.site for change in entry.changes} == {site}
        shown = {
            name_film("anna", self._films.case.id, film.id): (time, (film.id, box))
            for (key, time), (film, box) in self._films.boxes.items()
            if key == site
        }
        assert set(entry.display.films) <= set(shown), "a film of another joint"
        needed = {entry.changes[0].field.time} if entry.kind == "enter" else {each.field.time for each in entry.changes}
        assert needed <= {shown[name][0] for name in entry.display.films}
        for name in entry.display.films:
            since = painted.get(shown[name][1])
            assert since is not None, f"{entry}: not painted"
            assert since + REACTION_SECONDS <= now, f"{entry}: painted only {now - since} s before its key"


def _find_subject(key: Hashable) -> _Subject | None:
    """Return what the picture with the key `key` shows; None for a difference and for no picture."""
    if isinstance(key, AlignedView):
        return None if key.is_difference else (key.film, key.joint)
    if isinstance(key, Viewport):
        return None if key.joint is None else (key.film, key.joint)
    if isinstance(key, tuple):  # a whole film with a frame around the joint
        return key[0].film, key[1]
    return None


class Rater(RuleBasedStateMachine):
    """A rater who presses keys in a copy of the study at `template`, on whichever screen is open."""

    template: Path
    checked = 0
    """Number of answers whose films were checked, in all runs."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.study = Study.open(Path(shutil.copytree(self.template, Path(self._folder.name) / "study")))
        self.case = self.study.cases()[0]
        self._runner = asyncio.Runner()
        self._context = contextvars.copy_context()
        self._stack = AsyncExitStack()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work, context=self._context)

    @initialize(seed=st.integers(0, 1000))
    def open(self, seed: int) -> None:
        self.pilot: Pilot[None] = self._run(self._stack.enter_async_context(reading_as(self.study, "anna")))
        draw = random.Random(seed)
        self.terminal = SimulatedTerminal(self.app, lambda: draw.choice((0.005, 0.05, 0.3, 1.5)))
        films = load_case_films(self.study, self.study.case(self.case), (0, 1))
        self.recorder = PaintRecorder(self.app, self.terminal, films)
        self._press("enter")

    def teardown(self) -> None:
        self._run(self._stack.aclose())
        self._runner.close()
        self._folder.cleanup()

    @property
    def app(self) -> RatuiApp:
        assert isinstance(self.pilot.app, RatuiApp)
        return self.pilot.app

    def _press(self, *keys: str) -> None:
        """Press all `keys` at once, and check the films of the answers."""
        before = self.study.reading("anna", self.case)
        length = len(before.log) if before else 0
        painted = dict(self.recorder.painted)

        async def press() -> None:
            await self.terminal.press(*keys)
            # A screen that has just opened draws its texts at the next update.
            while self.scoring and not self.scoring.query_one("#keys", Static).content:
                await self.pilot.pause()

        self._run(press())
        after = self.study.reading("anna", self.case)
        for entry in after.log[length:] if after else ():
            if entry.kind in ("enter", "normal", "same"):
                self.recorder.check(entry, painted, self.terminal.now)
                type(self).checked += 1

    def _wait(self, seconds: float, *, for_films: bool = False) -> None:
        """Let `seconds` pass, after the films are painted if `for_films` is true."""

        async def wait() -> None:
            if for_films:
                await self.terminal.wait_for_films()
            self.terminal.wait(seconds)

        self._run(wait())

    @rule(seconds=st.sampled_from([0.02, 0.1, 0.2, 1.0]))
    def wait(self, seconds: float) -> None:
        self._wait(seconds)

    @rule()
    def look_at_the_films(self) -> None:
        self._wait(1.0, for_films=True)

    @property
    def scoring(self) -> ScoringScreen | None:
        screen = self.app.screen
        return screen if isinstance(screen, ScoringScreen) and screen.field is not None else None

    @rule(data=st.data(), pause=st.sampled_from([0.0, 0.05, 0.2, 2.0]))
    def press_offered_keys(self, data: st.DataObject, pause: float) -> None:
        self._wait(pause, for_films=pause > 0)
        if self.scoring:
            self._press(data.draw(st.sampled_from(sorted(offered_keys(self.pilot))).map(_named)))
        elif isinstance(self.app.screen, OverviewScreen):
            self._press(data.draw(st.sampled_from(["S", "escape", "enter"])))
        elif isinstance(self.app.screen, ReviewScreen):
            self._press(data.draw(st.sampled_from(["enter", "escape", *"012anu"])))
        elif isinstance(self.app.screen, WorklistScreen):
            self._press("escape", "enter")
        else:
            self._press("escape")

    @rule(keys=st.lists(st.sampled_from(ANY), min_size=1, max_size=4))
    def press_anything(self, keys: list[str]) -> None:
        self._press(*keys)

    @rule(seconds=st.sampled_from([0.0, 0.05, 0.14, 0.16]), key=st.sampled_from("01n"))
    def hurry_to_the_next_joint(self, seconds: float, key: str) -> None:
        self._wait(1.0, for_films=True)
        self._press("n")
        self._wait(seconds, for_films=True)
        self._press(key)

    @invariant()
    def screen_equals_disk(self) -> None:
        stored = self.study.reading("anna", self.case)
        if self.scoring and self.scoring.reading.log:
            shown = self.scoring.reading
            assert stored is not None
            assert (stored.values, stored.flags, stored.notes) == (shown.values, shown.flags, shown.notes)
            assert [entry.changes for entry in stored.log] == [entry.changes for entry in shown.log]
        if stored is not None:
            assert find_problems(stored) == ()
            assert find_log_problems(stored) == ()
            assert stored.is_complete or not stored.signed_at

    @invariant()
    def offered_keys_are_possible(self) -> None:
        screen = self.scoring
        if screen is None or screen.scoring_session.mode != "entry":
            return
        scheme, session = screen.reading.scheme, screen.scoring_session
        can = [map_keys_to_entries(scheme, list_options(screen.reading, field)) for field in session.waiting_fields]
        keys = set(can[0]).intersection(*can)
        every = {*"0123456789tq", *(finding.key for finding in scheme.findings)}
        assert offered_keys(self.pilot) & every == keys
        assert ("x" in offered_keys(self.pilot)) == bool(session.options.reasons)
        assert ("n" in offered_keys(self.pilot)) == list_options(screen.reading, session.field).can_enter_normal

    @invariant()
    def app_is_running(self) -> None:
        assert isinstance(self.app.screen, KeyScreen | HelpScreen)


def _named(shown: str) -> str:
    return {"Esc": "escape", "Enter": "enter"}.get(shown, shown)


def test_any_keys_at_all(template: Path) -> None:
    machine = type("RaterOfTheTemplate", (Rater,), {"template": template})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=9,
            stateful_step_count=25,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking a failure takes minutes
        ),
    )
    assert machine.checked > 15, "too few answers to say that all of them were made in front of painted films"
