"""A case that is opened at once, before the worklist has its widgets."""

from pathlib import Path

import pytest

from ratui.tui import RatuiApp
from ratui.tui.screens.scoring.screen import ScoringScreen
from ratui.tui.screens.worklist import opening
from ratui.tui.screens.worklist.case_list import CaseList
from ratui.tui.screens.worklist.screen import WorklistScreen
from tests.films import without_pairs
from tests.tui.conftest import label_text, reading_as, rows, settle
from tests.tui.readings import store_reading
from tests.tui.worklists import selected, study_of

pytestmark = pytest.mark.slow


async def test_the_worklist_is_made_when_the_first_case_is_left(tmp_path: Path) -> None:
    study = study_of(tmp_path, 2)
    one, two = study.cases()
    store_reading(study, two, joints=2)
    async with reading_as(study, "anna", case=one) as pilot:
        await settle(pilot)
        assert isinstance(pilot.app.screen, ScoringScreen)
        assert not pilot.app.screen_stack[1].query(CaseList)
        await pilot.press("0")
        await pilot.press("escape")
        await settle(pilot)
        assert isinstance(pilot.app.screen, WorklistScreen)
        assert sorted(line.split()[0].strip("▸") for line in rows(pilot)) == sorted([one, two])
        assert "0 of 2 signed" in label_text(pilot)
        await pilot.resize_terminal(130, 30)
        await settle(pilot)
        assert sorted(line.split()[0].strip("▸") for line in rows(pilot)) == sorted([one, two])


async def test_a_message_for_the_worklist_waits_for_its_line(tmp_path: Path) -> None:
    study = study_of(tmp_path, 1)
    async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
        await settle(pilot)
        app = pilot.app
        assert isinstance(app, RatuiApp)
        worklist = app.screen_stack[1]
        assert isinstance(worklist, WorklistScreen)
        assert worklist.takes_messages
        worklist.show_message("1 entry was not saved")
        await pilot.press("escape")
        await settle(pilot)
        assert "1 entry was not saved" in label_text(pilot)


async def test_a_first_case_that_does_not_open_is_explained_on_the_worklist(tmp_path: Path) -> None:
    study = study_of(tmp_path, 2)
    case = study.cases()[0]
    study.save_case(without_pairs(study.case(case)))
    async with reading_as(study, "anna", case=case) as pilot:
        await settle(pilot)
        assert isinstance(pilot.app.screen, WorklistScreen)
        assert len(rows(pilot)) == 2
        assert "no side with films at both" in label_text(pilot)


async def test_a_first_case_that_is_signed_at_once_names_the_case_that_enter_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(tmp_path, 3)
    one, two, three = study.cases()
    store_reading(study, one, joints=2)
    store_reading(study, two)
    monkeypatch.setattr(opening, "_LOAD_AFTER", 60.0)  # the worklist is loaded only when the case is left
    async with reading_as(study, "anna", case=two) as pilot:
        await settle(pilot)
        await pilot.press("S")
        await settle(pilot)
        assert f"{two} is signed. Next case {three}: Enter" in label_text(pilot)
        assert selected(pilot) == three


async def test_a_first_case_that_is_left_at_once_stays_selected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(tmp_path, 2)
    one, two = study.cases()
    store_reading(study, one, joints=2)
    monkeypatch.setattr(opening, "_LOAD_AFTER", 60.0)
    async with reading_as(study, "anna", case=two) as pilot:
        await settle(pilot)
        await pilot.press("escape")
        await settle(pilot)
        assert selected(pilot) == two
