"""A rater who presses any keys: the files always equal the screen, and the reading is always valid."""

from __future__ import annotations

import asyncio
import contextvars
import shutil
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from textual.events import Key
from textual.pilot import Pilot

from ratui.reading import find_log_problems, find_problems, list_options
from ratui.scheme import parse_scheme
from ratui.study import Study
from ratui.tui import RatuiApp
from ratui.tui.input.actions import map_keys_to_entries
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.help.screen import HelpScreen
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.review.screen import ReviewScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from tests.films import make_study
from tests.strategies import TINY_TOML
from tests.tui.conftest import offered_keys, reading_as

pytestmark = pytest.mark.slow

ANY = [*"0123456789alouxn=fmvzw/?Stq", "left", "right", "tab", "backspace", "enter", "escape", "space"]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a study of one case with two joints per side, without readings."""
    return make_study(tmp_path_factory.mktemp("machine"), scheme=parse_scheme(TINY_TOML, "tiny.toml")).path


class Rater(RuleBasedStateMachine):
    """A rater who presses keys in a copy of the study at `template`, on whichever screen is open."""

    template: Path

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

    @initialize(blinded=st.just(False))
    def open(self, blinded: bool) -> None:
        self.pilot: Pilot[None] = self._run(self._stack.enter_async_context(reading_as(self.study, "anna")))
        self.key_queue = self.app.key_queue
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
        """Press all `keys` at once."""

        async def press() -> None:
            for key in keys:
                self.key_queue.put(Key(key, key if len(key) == 1 else None))
            await self.key_queue.wait_until_idle()

        self._run(press())

    @property
    def scoring(self) -> ScoringScreen | None:
        screen = self.app.screen
        return screen if isinstance(screen, ScoringScreen) and screen.field is not None else None

    @rule(data=st.data())
    def press_offered_keys(self, data: st.DataObject) -> None:
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
            max_examples=12,
            stateful_step_count=25,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking a failure takes minutes
        ),
    )
