"""A case whose films have changed after it was signed: the worklist says so, and one key reopens it."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Static

from ratui.study import InProcessConverter, Study, import_films
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from tests.films import confirm_template, hospital, make_study
from tests.tui.conftest import reading_as, settle
from tests.tui.readings import store_reading

pytestmark = pytest.mark.slow


@pytest.fixture
def study(tmp_path: Path) -> Study:
    study = make_study(tmp_path, sides="L")
    (case,) = study.cases()
    store_reading(study, case, signed=True)
    films = hospital(tmp_path / "more", sides="LR")
    import_films(study, [films], key=tmp_path / "key.json", converter=InProcessConverter())
    confirm_template(study, case, "anna")
    return study


async def test_the_rater_reopens_it_and_reads_the_new_joints(study: Study) -> None:
    async with reading_as(study, "anna", size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, OverviewScreen)
        message = str(pilot.app.screen.query_one("#missing", Static).content)
        assert "Films were added or withdrawn after you signed: R reopens it" in message
        await pilot.press("R", *"late", "enter")
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert {field.site[0] for field in screen.reading.open_fields} == {"R"}
        assert screen.field is not None
        assert screen.field.site.startswith("R.")
