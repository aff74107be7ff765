"""Adjudication: only disputed joints are asked; the raters' answers appear as letters after the adjudicator's own answer."""

from pathlib import Path

import pytest

from ratui.reading import Field, GradeEntry
from ratui.results.adjudication import Adjudication, build_queue
from ratui.results.disputes import DisputeLimits, find_disputes
from ratui.results.released import released_readings
from ratui.study import CONSENSUS
from ratui.tui.screens.scoring.screen import ScoringScreen
from tests.results.studies import read_study
from tests.tui.conftest import cells, reading_as, rows, settle

pytestmark = pytest.mark.slow


def adjudication(tmp_path: Path, *, blinded: bool = False, patients: int = 1) -> Adjudication:
    anna = {Field("L.MCP2", "ERO", 1): GradeEntry(4), Field("R.PIP3", "JSN", 1): GradeEntry(3)}
    study = read_study(tmp_path, {"anna": anna, "bert": {}}, blinded=blinded, patients=patients)
    return Adjudication(study, build_queue(find_disputes(study, released_readings(study), DisputeLimits(case=2))))


@pytest.mark.parametrize("language", ["en", "ja"])
async def test_a_case_is_settled_by_keys_and_nobody_is_named(tmp_path: Path, language: str) -> None:
    study = adjudication(tmp_path)
    case = study.cases()[0]
    async with reading_as(study, CONSENSUS, case=case, language=language) as pilot:
        await settle(pilot)
        screen = pilot.app.screen
        assert isinstance(screen, ScoringScreen)
        assert screen.field == Field("L.MCP2", "ERO", 0)
        await pilot.press("0")
        await settle(pilot)
        assert "ERO, JSN" not in cells(pilot)  # hidden until the joint is answered
        await pilot.press("2", "0", "0")
        await settle(pilot)
        text = cells(pilot)
        assert "ERO, JSN" in text
        assert "A 0→" in text
        assert "B 0→" in text
        assert "0→4" in text
        assert "0→0" in text
        assert "anna" not in text
        assert "bert" not in text
        assert screen.field == Field("R.PIP3", "ERO", 0)
        await pilot.press("u")
        await settle(pilot)
        assert screen.field == Field("L.MCP2", "JSN", 1)
    reading = study.reading(CONSENSUS, case)
    assert reading is not None
    assert reading.score(Field("L.MCP2", "ERO", 1)) == 2
    assert len(reading.open_fields) == 5


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
        assert "→" not in cells(pilot)
        assert "|" in cells(pilot)


async def test_a_rater_sees_no_answers_of_others(tmp_path: Path) -> None:
    from tests.films import make_study

    study = make_study(tmp_path)
    async with reading_as(study, "anna", case=study.cases()[0]) as pilot:
        await settle(pilot)
        await pilot.press("0", "0")
        await settle(pilot)
        assert "ERO, JSN" not in cells(pilot)
