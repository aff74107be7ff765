"""Ctrl-C: a message in the message line says how to leave. It covers no film, enters nothing and ends nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Static
from textual.widgets._toast import Toast

from ratui.tui.i18n.catalog import LANGUAGES, Catalog
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from tests.films import make_study
from tests.tui.conftest import reading_as, settle

pytestmark = pytest.mark.slow


def message(pilot: Pilot[None]) -> str:
    return str(pilot.app.screen.query_one("#message", Static).render())


async def press_ctrl_c(pilot: Pilot[None]) -> None:
    await pilot.press("ctrl+c")
    await settle(pilot)
    assert pilot.app.is_running
    assert not pilot.app.screen.query(Toast)


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_screen_says_how_to_leave_and_shows_no_toast(tmp_path: Path, language: str) -> None:
    t = Catalog(language)
    async with reading_as(make_study(tmp_path), "anna", language=language) as pilot:
        await press_ctrl_c(pilot)
        assert t("text.how_to_leave", ctrl_c="Ctrl-C", quit="Ctrl-Q") in message(pilot)
        for keys in ("enter 2", "o", "escape r", "escape escape tab"):
            await pilot.press(*keys.split())
            await settle(pilot)
            await press_ctrl_c(pilot)
            assert isinstance(pilot.app.screen, KeyScreen)
            expected = t("text.how_to_leave_screen", ctrl_c="Ctrl-C", quit="Ctrl-Q", leave="Esc")
            assert expected in message(pilot), pilot.app.screen.NAME


async def test_it_enters_nothing_and_the_message_goes_with_the_next_key(tmp_path: Path) -> None:
    async with reading_as(make_study(tmp_path), "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        field = screen.field
        await press_ctrl_c(pilot)
        assert (screen.field, screen.reading.log) == (field, ())
        await pilot.press("2")
        await settle(pilot)
        assert "Ctrl-C" not in message(pilot)


async def test_it_closes_the_command_palette(tmp_path: Path) -> None:
    async with reading_as(make_study(tmp_path), "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        screen = pilot.app.screen
        await pilot.press("ctrl+p")
        await pilot.pause()
        assert isinstance(pilot.app.screen, CommandPalette)
        await press_ctrl_c(pilot)
        assert pilot.app.screen is screen
