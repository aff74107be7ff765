"""No line of a screen ends without saying so: at 80x24, in both languages, with long names of cases and visits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import Static

from ratui.imaging import Orientation
from ratui.reading import Field, GradeEntry, NotAssessableEntry
from ratui.study import Study
from ratui.study.campaign.charter import PlannedVisit
from ratui.study.campaign.charter_changes import change_settings
from ratui.tui.screens.contact_sheet.screen import ContactSheetScreen
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.regions.screen import RegionsScreen
from ratui.tui.screens.review.screen import ReviewScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.user_settings import UserSettings
from tests.tui import visit_films
from tests.tui.conftest import reading_as, settle
from tests.tui.readings import store_reading

pytestmark = pytest.mark.slow

LONG = "C-RANDOMISED-0001-OF-SITE-22"
VISITS = (
    "screening and baseline visit",
    "week 26, end of part one",
    "week 52, end of part two",
    "early termination visit",
)


def list_cut_lines(pilot: Pilot[None]) -> list[str]:
    """Return the texts of the visible labels that do not fit and show no ellipsis, or that fit and show one."""
    found = []
    for label in pilot.app.screen.query(Static):
        if not label.display or not label.region or not label.size.height or "edge" in label.classes:
            continue
        lines = [line.text.rstrip() for line in label.render_lines(label.size.region)]
        wanted = getattr(label.visual, "plain", "")
        shown = "".join("".join(lines).split())
        is_cut, has_ellipsis = shown != "".join(wanted.split()), any(line.endswith("…") for line in lines)
        fits = "\n" not in wanted and cell_len(wanted.rstrip()) <= label.size.width
        if (is_cut and not has_ellipsis) or (is_cut and fits):
            found.append(f"{type(pilot.app.screen).__name__} #{label.id} {label.classes}: {wanted!r} -> {lines}")
    return found


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """Return a study of four visits with long names, and one case with a long name."""
    monkeypatch.setattr(visit_films, "CASE", LONG)
    study = visit_films.make_visits(tmp_path, 4, sides="LR")
    charter = replace(study.config.charter, visits=tuple(PlannedVisit(name) for name in VISITS))
    change_settings(study, replace(study.config, charter=charter))
    for film in study.case(LONG).films:
        study.set_orientation(LONG, film.id, Orientation.TURNED_180)
    return study


@pytest.mark.parametrize("language", ["en", "ja"])
async def test_each_line_fits_or_ends_in_an_ellipsis(study: Study, language: str) -> None:
    special = {Field("L.MCP2", "ERO", time): GradeEntry(grade) for time, grade in enumerate((4, 0, 5, 3))}
    special |= {Field("L.MCP2", "JSN", time): NotAssessableEntry("unreadable") for time in (0, 2)}
    store_reading(
        study, LONG, special, notes={"L.MCP2": "a note that says more than one line of the screen can show, " * 3}
    )
    cut: list[str] = []
    screens: list[type] = []

    async def look(*keys: str) -> None:
        for key in keys:
            await pilot.press(key)
            await settle(pilot)
        cut.extend(list_cut_lines(pilot))

    settings = UserSettings(language=language)
    async with reading_as(study, "anna", size=(80, 24), settings=settings) as pilot:
        await settle(pilot)
        await look()
        await look("enter")
        assert isinstance(pilot.app.screen, ReviewScreen)
        await look("d")
        await look("escape", "escape")
        for keys in (
            ("b",),
            ("escape", "/"),
            ("escape", "x"),
            ("escape", "f"),
            ("r",),
            ("a",),
            ("s",),
            ("a", "m"),
            ("escape", "o"),
        ):
            await look(*keys)
            screens.append(type(pilot.app.screen))
        await look("escape", "escape", "tab")
        screens.append(type(pilot.app.screen))
    assert set(screens) == {ScoringScreen, RegionsScreen, OverviewScreen, ContactSheetScreen}, screens
    assert not cut, "\n".join(dict.fromkeys(cut))
