"""Correction of a box while a joint is scored: the regions open at this joint and lead back to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from ratui.reading import Field
from ratui.tui.screens.regions.screen import RegionsScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from tests.films import make_study
from tests.tui.conftest import cells, reading_as, settle

pytestmark = pytest.mark.slow


def scoring(pilot: Pilot[None]) -> ScoringScreen:
    assert isinstance(pilot.app.screen, ScoringScreen)
    return pilot.app.screen


def shown_box(pilot: Pilot[None]) -> tuple[str, int]:
    """Return the site of the active box, and the time point of the film on the regions screen."""
    screen = pilot.app.screen
    assert isinstance(screen, RegionsScreen)
    editor = screen._editor
    assert editor is not None
    return editor.site.key, editor.film.time


async def go_to(pilot: Pilot[None], field: Field) -> None:
    """Make `field` the active one."""
    scoring(pilot).scoring_session.field = field
    scoring(pilot).redraw()
    await settle(pilot)


@pytest.mark.parametrize("field", [Field("L.MCP3", "ERO", 0), Field("R.PIP4", "JSN", 1)])
@pytest.mark.parametrize("key", ["escape", "enter"])
async def test_the_regions_open_at_the_joint_and_lead_back_to_it(tmp_path: Path, field: Field, key: str) -> None:
    async with reading_as(make_study(tmp_path), "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        await go_to(pilot, field)
        await pilot.press("r")
        await settle(pilot)
        assert shown_box(pilot) == (field.site, field.time)
        assert "back to the joint" in cells(pilot)
        await pilot.press("right", key)
        await settle(pilot)
        assert scoring(pilot).field == field


async def test_the_rater_returns_to_the_joint_even_if_every_field_is_filled(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    field = Field("L.PIP3", "ERO", 1)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        while scoring(pilot).reading.open_fields:
            await pilot.press("n")
            await settle(pilot)
            if not isinstance(pilot.app.screen, ScoringScreen):
                await pilot.press("escape")
                await settle(pilot)
        await go_to(pilot, field)
        await pilot.press("r")
        await settle(pilot)
        await pilot.press("escape")
        await settle(pilot)
        assert scoring(pilot).field == field


async def test_a_corrected_box_is_shown_at_once(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    case = study.cases()[0]
    field = Field("L.MCP3", "ERO", 1)
    async with reading_as(study, "anna") as pilot:
        await pilot.press("enter")
        await settle(pilot)
        await go_to(pilot, field)
        before = {(r.site, r.film): r.box for r in study.regions(case)}
        await pilot.press("r")
        await settle(pilot)
        await pilot.press("L", "enter")
        await settle(pilot)
        after = {(r.site, r.film): r.box for r in study.regions(case)}
        assert [site for (site, _), box in after.items() if box != before[site, _]] == [field.site]
        films = scoring(pilot)._flow.films
        assert films is not None
        film, box = films.boxes[field.site, field.time]
        assert box == after[field.site, film.id]
