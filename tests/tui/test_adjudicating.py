"""Adjudication: only disputed joints are asked; the raters' answers follow the adjudicator's own at the same joint."""

from pathlib import Path

import pytest
from textual.widgets import Static

from ratui.reading import Field, GradeEntry
from ratui.results.adjudication import Adjudication, build_queue
from ratui.results.disputes import DisputeLimits, find_disputes
from ratui.results.released import collect_released_readings
from ratui.study import CONSENSUS
from ratui.tui.screens.overview.screen import OverviewScreen
from ratui.tui.screens.review.screen import ReviewScreen
from ratui.tui.screens.scoring.screen import ScoringScreen
from tests.results.studies import read_study
from tests.tui.conftest import cells, offered_keys, reading_as, rows, settle

pytestmark = pytest.mark.slow

MCP2, PIP3 = Field("L.MCP2", "ERO", 0), Field("R.PIP3", "ERO", 0)


def adjudication(tmp_path: Path, *, blinded: bool = False, patients: int = 1) -> Adjudication:
    agreed = {Field("L.PIP2", "ERO", 1): GradeEntry(4)}  # an unlikely change on which both raters agree
    anna = {Field("L.MCP2", "ERO", 1): GradeEntry(4), Field("R.PIP3", "JSN", 1): GradeEntry(3)}
    study = read_study(tmp_path, {"anna": agreed | anna, "bert": agreed}, blinded=blinded, patients=patients)
    return Adjudication(
        study, build_queue(find_disputes(study, collect_released_readings(study), DisputeLimits(case=2)))
    )


@pytest.mark.parametrize("language", ["en", "ja"])
async def test_a_case_is_settled_by_keys_and_nobody_is_named(tmp_path: Path, language: str) -> None:
    study = adjudication(tmp_path)
    case = study.cases()[0]
    async with reading_as(study, CONSENSUS, case=case, language=language) as pilot:
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert screen.field == MCP2
        await pilot.press("0", "2", "0")
        await settle(pilot)
        assert "0→" not in str(screen.query_one("#answers", Static).content)  # hidden until the joint is answered
        assert "A" not in offered_keys(pilot)
        await pilot.press("0")
        await settle(pilot)
        text = cells(pilot)
        assert "0→2, 0→0" in text  # the own answer
        assert {each for each in ("A ≠ 0→", "B ≠ 0→") if each in text} == {"A ≠ 0→", "B ≠ 0→"}
        assert {each for each in ("≠ 0→4, 0→0", "≠ 0→0, 0→0") if each in text} == {"≠ 0→4, 0→0", "≠ 0→0, 0→0"}
        assert "anna" not in text
        assert "bert" not in text
        assert screen.field.site == "L.MCP2"  # the films are still shown
        # Only Enter ends it, and a grade that was meant for the next joint changes nothing.
        await pilot.press("b", "escape", "1")
        await settle(pilot)
        assert "≠ 0→4, 0→0" in cells(pilot)
        assert screen.reading.score(Field("L.MCP2", "JSN", 1)) == 0
        await pilot.press("tab", "tab", "4", "enter")  # a change of 4 grades is confirmed
        await settle(pilot)
        assert "= 0→4, 0→0" in cells(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert screen.field == PIP3
        assert "0→4" not in cells(pilot)
        await pilot.press("left")
        while screen.field.site != "L.MCP2":
            await pilot.press("left")
        assert "= 0→4, 0→0" not in cells(pilot)
        assert "A" in offered_keys(pilot)
        await pilot.press("A")
        await settle(pilot)
        assert "= 0→4, 0→0" in cells(pilot)
    reading = study.reading(CONSENSUS, case)
    assert reading is not None
    field = Field("L.MCP2", "ERO", 1)
    changes = [(change.old, change.new) for entry in reading.log for change in entry.changes if change.field == field]
    assert changes == [(None, GradeEntry(2)), (GradeEntry(2), GradeEntry(4))]
    assert len(reading.open_fields) == 4


async def test_answers_appear_on_films_that_are_too_coarse(tmp_path: Path) -> None:
    study = adjudication(tmp_path)
    async with reading_as(study, CONSENSUS, case=study.cases()[0], size=(60, 20)) as pilot:
        await settle(pilot)
        assert "too coarse" in cells(pilot)
        await pilot.press("0", "2", "0", "0")
        await settle(pilot)
        assert "too coarse" in cells(pilot)
        assert "≠ 0→4, 0→0" in cells(pilot)


async def test_the_last_look_asks_about_disputed_joints_alone(tmp_path: Path) -> None:
    study = adjudication(tmp_path)
    case = study.cases()[0]
    async with reading_as(study, CONSENSUS, case=case) as pilot:
        await settle(pilot)
        await pilot.press("0", "2", "0", "0", "enter", "0", "0", "0", "0")
        await settle(pilot)
        assert isinstance(pilot.app.screen, ScoringScreen)  # the answers at the last joint are shown as well
        assert "≠ 0→0, 0→3" in cells(pilot)
        await pilot.press("enter")
        await settle(pilot)
        review = pilot.app.screen
        assert isinstance(review, ReviewScreen)
        assert [item.site for item in review._items] == ["L.MCP2"]
        await pilot.press("enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, OverviewScreen)
        await pilot.press("S")
        await settle(pilot)
    reading = study.reading(CONSENSUS, case)
    assert reading is not None
    assert reading.signed_at is not None


async def test_the_worklist_holds_the_queue_alone(tmp_path: Path) -> None:
    study = adjudication(tmp_path, patients=2)
    kept, dropped = sorted(study.queue)
    del study.queue[dropped]
    async with reading_as(study, CONSENSUS) as pilot:
        await settle(pilot)
        assert len(rows(pilot)) == 1
        assert kept in rows(pilot)[0]


async def test_a_blinded_adjudicator_sees_no_order(tmp_path: Path) -> None:
    study = adjudication(tmp_path, blinded=True)
    async with reading_as(study, CONSENSUS, case=study.cases()[0]) as pilot:
        await settle(pilot)
        await pilot.press("0", "0", "0", "0")
        await settle(pilot)
        text = str(pilot.app.screen.query_one("#answers", Static).content)
        assert "→" not in text
        assert "= 0|0, 0|0" in text


async def test_a_rater_sees_no_answers_of_others(tmp_path: Path) -> None:
    from tests.films import make_study

    study = make_study(tmp_path)
    async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
        await settle(pilot)
        await pilot.press("0", "0", "0", "0", "A")
        await settle(pilot)
        assert not pilot.app.screen.query("#answers")
        assert "A" not in offered_keys(pilot)
