"""Keys typed faster than screens and films appear: each has the same effect as if it had been typed slowly."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest
from PIL import Image
from textual.events import Key
from textual.pilot import Pilot

from ratui.reading import Field, GradeEntry
from ratui.study import Study
from ratui.tui import RatuiApp
from ratui.tui.graphics.film_store import FilmStore, ViewRequest
from ratui.tui.graphics.viewport import ViewSettings, load_case_films
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


async def test_two_whole_cases_each_typed_at_once(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=2, sides="L")
    async with reading_as(study, "anna") as pilot:
        await burst(pilot, "enter", *"n" * 10)
        await burst(pilot, "S", "enter", *"n" * 9, "1", "1", "n")
        await burst(pilot, "S")
        assert isinstance(pilot.app.screen, WorklistScreen)
    for case in study.cases():
        reading = study.reading("anna", case)
        assert reading is not None
        assert reading.signed_at
    first, second = study.cases()
    assert values(study, first) == {GradeEntry(0)}
    assert values(study, second) == {GradeEntry(0), GradeEntry(1)}


async def test_from_the_worklist_through_the_regions_into_the_first_field(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L", regions=False)
    async with reading_as(study, "anna") as pilot:
        await burst(pilot, "enter", "A")
        await burst(pilot, "A", "1", "2", "3")  # only displayed boxes can be accepted
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert [screen.reading.score(Field("L.IP1", "ERO", time)) for time in (0, 1)] == [1, 2]
        assert screen.reading.score(Field("L.PIP2", "ERO", 0)) == 3


async def test_a_name_typed_after_the_slash_is_a_name_even_at_once(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await burst(pilot, "enter", "/", *"rmcp3", "enter", "1", "2")
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert dict(screen.reading.values) == {
            Field("R.MCP3", "ERO", 0): GradeEntry(1),
            Field("R.MCP3", "ERO", 1): GradeEntry(2),
        }


async def test_help_takes_one_key_and_the_next_is_an_answer(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await burst(pilot, "enter", "?", "q", "1")
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert dict(screen.reading.values) == {Field("L.IP1", "ERO", 0): GradeEntry(1)}


class TestPastTheLastField:
    async def test_a_surplus_answer_reaches_no_field_and_no_other_case(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, patients=2, sides="L")
        async with reading_as(study, "anna") as pilot:
            await burst(pilot, "enter", *"n" * 10, "3")
            assert isinstance(pilot.app.screen, OverviewScreen)
            assert "ignored, typed before this screen was shown: 3" in label_text(pilot)
            await burst(pilot, "S", "enter")
            screen = pilot.app.screen
            assert isinstance(screen, ScoringScreen)
            assert not screen.reading.values
        first, _ = study.cases()
        assert values(study, first) == {GradeEntry(0)}

    async def test_keys_typed_ahead_do_not_sign(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        async with reading_as(study, "anna") as pilot:
            await burst(pilot, "enter", *"n" * 10, "S")
            assert isinstance(pilot.app.screen, OverviewScreen)
            assert "ignored, typed before this screen was shown: S" in label_text(pilot)
            await burst(pilot, "S")
            assert isinstance(pilot.app.screen, WorklistScreen)

    async def test_a_harmless_key_typed_ahead_is_handled(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        async with reading_as(study, "anna") as pilot:
            await burst(pilot, "enter", *"n" * 11, "?")
            assert isinstance(pilot.app.screen, HelpScreen)

    async def test_a_key_pressed_after_the_reaction_time_signs(self, tmp_path: Path) -> None:
        study = make_study(tmp_path, sides="L")
        async with reading_as(study, "anna") as pilot:
            await burst(pilot, "enter", *"n" * 10)
            await pilot.press("3")
            assert "ignored, typed" not in label_text(pilot)


class SlowLibrary(FilmStore):
    """A library that returns nothing until `gate` is open."""

    def __init__(self, study: Study) -> None:
        super().__init__(study)
        self.gate = Event()

    def render(self, view: ViewRequest) -> Image.Image:
        self.gate.wait(10)
        return super().render(view)


async def test_answers_go_to_their_fields_while_the_films_are_still_loading(tmp_path: Path) -> None:
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
        assert screen.field == Field("L.PIP3", "ERO", 0)
        films = screen.query_one(JointViewer)
        assert [view.key for view in films.views] == [None, None]
        slow.gate.set()
        await settle(pilot)
        case = load_case_films(study, study.case(study.cases()[0]), (0, 1))
        wanted = case.make_viewports(
            "L.PIP3", [view.pixel_size for view in films.views], pilot.app.graphics, ViewSettings()
        )
        assert [view.key for view in films.views] == [viewport and viewport.key for viewport in wanted]


async def test_keys_for_the_regions_do_not_answer_and_answers_do_not_move_boxes(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    async with reading_as(study, "anna") as pilot:
        await burst(pilot, "enter", "1", "r", "s", "escape")
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert not isinstance(screen, RegionsScreen)
        assert dict(screen.reading.values) == {Field("L.IP1", "ERO", 0): GradeEntry(1)}
