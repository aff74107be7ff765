"""Keys typed faster than screens and films appear: each has the same effect as if it had been typed slowly."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event

import pytest
from PIL import Image
from textual.events import Key
from textual.pilot import Pilot

from ratui.reading import Field, GradeEntry
from ratui.study import Study
from ratui.tui import RatuiApp
from ratui.tui.entry.answer_gate import REACTION_SECONDS
from ratui.tui.graphics.film_store import FilmStore
from ratui.tui.graphics.viewport import Viewport
from ratui.tui.input.key_queue import KeyBurst
from ratui.tui.screens.help.screen import HelpScreen
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.regions.screen import RegionsScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from ratui.tui.widgets.joint_viewer import JointViewer
from tests.films import make_study
from tests.tui.conftest import label_text, reading_as, settle

pytestmark = pytest.mark.slow


async def burst(pilot: Pilot[None], *keys: str) -> None:
    """Send all `keys` at once, before the app has handled the first."""
    pressed = [Key(key, key if len(key) == 1 else None) for key in keys]
    pilot.app.post_message(KeyBurst(pressed, began=pressed[0].time, ended=pressed[-1].time))
    await pilot.pause()
    await settle(pilot)


def values(study: Study, case: str) -> set[object]:
    reading = study.reading("anna", case)
    return set() if reading is None else set(reading.values.values())


async def open_case(pilot: Pilot[None]) -> ScoringScreen:
    """Open the first case, wait until its films are painted, and give keys their real times from then on."""
    app = pilot.app
    assert isinstance(app, RatuiApp)
    await pilot.press("enter")
    app.key_queue.time_of = lambda key: key.time
    await pilot.pause(REACTION_SECONDS + 0.05)
    assert isinstance(app.screen, ScoringScreen)
    return app.screen


async def test_four_keys_at_once_fill_the_four_fields_of_the_displayed_joint(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter", "n")
        assert isinstance(pilot.app, RatuiApp)
        pilot.app.key_queue.time_of = lambda key: key.time
        await pilot.pause(REACTION_SECONDS + 0.05)
        await burst(pilot, "1", "2", "0", "0")
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert [screen.reading.score(field) for field in screen.reading.joint_fields("L.PIP2")] == [1, 2, 0, 0]
        assert screen.field == Field("L.PIP3", "ERO", 0)


@pytest.mark.parametrize("key", ["n", "0"])
async def test_two_hundred_keys_at_once_answer_the_displayed_joint_only(tmp_path: Path, key: str) -> None:
    study = make_study(tmp_path, sides="L")
    async with reading_as(study, "anna") as pilot:
        screen = await open_case(pilot)
        await burst(pilot, *key * 200)
        assert {field.site for field in screen.reading.values} == {"L.IP1"}
        assert "before the films were on the screen" in label_text(pilot)


async def test_keys_typed_with_the_opening_of_a_case_answer_nothing(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=2, sides="L")
    async with reading_as(study, "anna") as pilot:
        assert isinstance(pilot.app, RatuiApp)
        pilot.app.key_queue.time_of = lambda key: key.time
        await burst(pilot, "enter", *"n" * 10, "S")
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert not screen.reading.values
    for case in study.cases():
        assert not values(study, case)


async def test_from_the_worklist_through_the_regions_into_the_first_field(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L", regions=False)
    async with reading_as(study, "anna") as pilot:
        await burst(pilot, "enter", "A", "enter")
        await burst(pilot, "A", "enter")  # the boxes of the second film had to be displayed first
        await burst(pilot, "1", "2")
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert [screen.reading.score(Field("L.IP1", "ERO", time)) for time in (0, 1)] == [1, 2]


async def test_a_name_typed_after_the_slash_is_a_name_even_at_once(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await burst(pilot, "enter", "/", *"rmcp3", "enter")
        await burst(pilot, "1", "2")
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert dict(screen.reading.values) == {
            Field("R.MCP3", "ERO", 0): GradeEntry(1),
            Field("R.MCP3", "ERO", 1): GradeEntry(2),
        }


async def test_help_takes_one_key_and_the_next_is_an_answer(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await burst(pilot, "enter")
        await burst(pilot, "?", "q")
        await settle(pilot)
        await burst(pilot, "1")
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert dict(screen.reading.values) == {Field("L.IP1", "ERO", 0): GradeEntry(1)}


class TestPastTheLastField:
    async def test_a_surplus_answer_reaches_no_field_and_no_other_case(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, patients=2, sides="L")
        async with reading_as(study, "anna") as pilot:
            await pilot.press("enter", *"n" * 9)
            await burst(pilot, "n", "3")
            assert isinstance(pilot.app.screen, OverviewScreen)
            assert "ignored, typed before this screen was shown: 3" in label_text(pilot)
            await burst(pilot, "S", "enter")
            screen = pilot.app.screen
            assert isinstance(screen, ScoringScreen)
            assert not screen.reading.values
        first, _ = study.cases()
        assert values(study, first) == {GradeEntry(0)}

    async def test_nobody_signs_an_overview_that_was_not_displayed(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        async with reading_as(study, "anna") as pilot:
            await pilot.press("enter", *"n" * 9)
            await burst(pilot, "n", "S")
            assert isinstance(pilot.app.screen, OverviewScreen)
            assert "ignored, typed before this screen was shown: S" in label_text(pilot)
            await burst(pilot, "S")
            assert isinstance(pilot.app.screen, WorklistScreen)

    async def test_a_key_that_can_do_no_harm_gets_through(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        async with reading_as(study, "anna") as pilot:
            await pilot.press("enter", *"n" * 9)
            await burst(pilot, "n", "n", "?")
            assert isinstance(pilot.app.screen, HelpScreen)

    async def test_a_key_pressed_after_the_reaction_time_signs(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        async with reading_as(study, "anna") as pilot:
            await pilot.press("enter", *"n" * 10)
            await pilot.press("3")
            assert "ignored, typed" not in label_text(pilot)


class TestHeldDown:
    """A key that is held down answers once."""

    async def hold(self, pilot: Pilot[None], key: str, seconds: float = 2.0, delay: float = 0.4) -> None:
        """Send `key` as a keyboard repeats it: after `delay` seconds, then 30 times a second. The times are simulated."""
        app = pilot.app
        assert isinstance(app, RatuiApp)
        begun = time.monotonic() + 5.0
        for at in (0.0, *(delay + number / 30 for number in range(round((seconds - delay) * 30)))):
            app.key_queue.time_of = lambda _, at=at: begun + at  # type: ignore[misc]
            await pilot.press(key)

    @pytest.mark.parametrize("key", ["n", "0"])
    @pytest.mark.parametrize("delay", [0.25, 0.66])
    async def test_at_most_one_joint_is_answered(self, tmp_path: Path, key: str, delay: float) -> None:
        study = make_study(tmp_path, sides="L")
        async with reading_as(study, "anna") as pilot:
            screen = await open_case(pilot)
            await self.hold(pilot, key, delay=delay)
            assert len(screen.reading.values) == (2 if key == "n" else 1)
            assert {field.site for field in screen.reading.values} == {"L.IP1"}
            log = screen.reading.log
            assert any(entry.kind == "undo" and entry.note == "the key was held down" for entry in log)
            assert "held down" in label_text(pilot)

    async def test_the_answer_to_the_last_joint_is_withdrawn_from_the_screen_after_it(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        async with reading_as(study, "anna") as pilot:
            await pilot.press("enter", *"n" * 8)
            await self.hold(pilot, "n")
            screen = pilot.app.screen
            assert isinstance(screen, ScoringScreen), "the overview had opened after the last joint"
            assert len(screen.reading.open_fields) == len(screen.reading.joint_fields("L.MCP5"))
            assert screen.field == Field("L.MCP5", "ERO", 0)


class SlowLibrary(FilmStore):
    """A library that returns nothing until `gate` is open."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self.gate = Event()

    def render(self, view: Viewport) -> Image.Image:
        self.gate.wait(10)
        return super().render(view)


async def test_nothing_is_answered_while_the_films_are_still_loading(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    async with reading_as(study, "anna") as pilot:
        assert isinstance(pilot.app, RatuiApp)
        slow = pilot.app.film_store = SlowLibrary(study)
        for key in ("enter", "1", "1", "n"):
            pilot.app.post_message(Key(key, key if len(key) == 1 else None))
        await pilot.pause()
        await pilot.app.key_queue.wait_until_idle()
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        films = screen.query_one(JointViewer)
        assert [view.key for view in films.views] == [None, None]
        assert not screen.reading.values
        assert "not on the screen yet" in label_text(pilot)
        slow.gate.set()
        await settle(pilot)
        assert screen.display_watch.find_display_problem() is None
        await pilot.press("1")
        assert dict(screen.reading.values) == {Field("L.IP1", "ERO", 0): GradeEntry(1)}


async def test_keys_for_the_regions_do_not_answer_and_answers_do_not_move_boxes(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        await burst(pilot, "1", "r", "s", "escape")
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert not isinstance(screen, RegionsScreen)
        assert dict(screen.reading.values) == {Field("L.IP1", "ERO", 0): GradeEntry(1)}


async def test_no_answer_is_taken_while_the_texts_of_a_small_terminal_cover_the_films(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    async with reading_as(study, "anna", case=study.cases()[0], size=(20, 6)) as pilot:
        await settle(pilot)
        await pilot.press("1")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert not screen.reading.values, "Textual gives the films one row, and draws the message there"
        await pilot.resize_terminal(80, 24)
        await settle(pilot)
        await pilot.press("1")
        await settle(pilot)
        assert dict(screen.reading.values) == {Field("L.IP1", "ERO", 0): GradeEntry(1)}
