"""Messages and redraws that come while the app ends and its widgets are already removed."""

from pathlib import Path

import pytest

from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.worklist.screen import WorklistScreen
from tests.films import make_study
from tests.tui.conftest import reading_as, settle
from tests.tui.readings import store_reading

pytestmark = pytest.mark.slow


async def test_states_that_arrive_while_the_app_ends_are_dropped(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    async with reading_as(study, "anna") as pilot:
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, WorklistScreen)
        await screen.remove_children()  # Textual removes the widgets before it ends the workers
        screen._receive_states(study.states("anna"), True)
        screen._show_count(1)


@pytest.mark.parametrize(("keys", "draw"), [(["enter"], "redraw"), (["enter", "o"], "_draw"), (["tab"], "_draw")])
async def test_a_screen_that_is_drawn_while_the_app_ends_needs_no_widgets(
    tmp_path: Path, keys: list[str], draw: str
) -> None:
    study = make_study(tmp_path, patients=2)
    first, _ = study.cases()
    store_reading(study, first, signed=True)
    async with reading_as(study, "anna") as pilot:
        await settle(pilot)
        await pilot.press(*keys)
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, KeyScreen)
        assert not isinstance(screen, WorklistScreen)
        await screen.remove_children()
        getattr(screen, draw)()
