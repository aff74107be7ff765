"""Model answers: shown where they differ, after the reading is signed and never before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from ratui.reading import Entry, Field, GradeEntry
from ratui.study import Case, FilmRecord, Study
from ratui.study.model_results.model_domain import DomainReason, DomainVerdict
from ratui.study.model_results.predictions import FilmPrediction, Prediction, save_predictions
from ratui.study.model_results.reading_order import save_reading_order
from ratui.tui.entry.model_comparison import count_unlike_films, find_differences, format_model_scores
from ratui.tui.i18n.catalog import Catalog
from tests.films import exchange_positions, make_study
from tests.model_answers import answer
from tests.tui.conftest import label_text, reading_as, settle
from tests.tui.readings import store_reading

pytestmark = pytest.mark.slow

MCP2 = [Field("L.MCP2", "ERO", time) for time in (0, 1)]
READ: Mapping[Field, Entry] = {MCP2[0]: GradeEntry(1), MCP2[1]: GradeEntry(2)}


def read(
    tmp_path: Path,
    *,
    signed: bool,
    earlier: float = 1,
    later: float = 4,
    blinded: bool = False,
    order: tuple[int, int] = (0, 1),
) -> Study:
    study = make_study(tmp_path, sides="L", blinded=blinded)
    (case,) = study.cases()
    exchange_positions(study, case, "anna", order)
    store_reading(study, case, READ, signed=signed)
    save_predictions(study, "scorer", case, [answer("L.MCP2", "ERO", earlier, later, 5)])
    return study


@pytest.mark.parametrize(
    ("earlier", "later", "differs"), [(1, 2, False), (2, 3, False), (1, 3, True), (3, 4, True), (1, 1, True)]
)
def test_a_different_change_or_two_grades_differ(tmp_path: Path, earlier: int, later: int, differs: bool) -> None:
    study = read(tmp_path, signed=True, earlier=earlier, later=later)
    reading = study.reading("anna", study.cases()[0])
    assert reading is not None
    assert bool(find_differences(study, reading)) is differs


@pytest.mark.parametrize(("grade", "text"), [(2, ""), (3, ""), (4, "model: ERO –→4"), (0, "model: ERO –→0")])
def test_a_prediction_of_one_film_differs_by_two_grades(tmp_path: Path, grade: int, text: str) -> None:
    study = read(tmp_path, signed=True)
    (case,) = study.cases()
    chances = tuple(float(each == grade) for each in range(6))
    save_predictions(study, "scorer", case, [], [FilmPrediction("L.MCP2", "ERO", 1, grade, chances, 0.0)])
    reading = study.reading("anna", case)
    assert reading is not None
    found = find_differences(study, reading)
    shown = format_model_scores(Catalog("en"), reading, found["L.MCP2"]) if found else ""
    assert text in shown
    assert bool(text) == bool(shown)


def test_of_three_visits_the_predictions_of_neighbouring_ones_are_shown(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s", "fingers", ["anna"])
    study.save_case(Case("C-1", tuple(FilmRecord(f"f{time}", time, "L", "hand", 9, 9) for time in range(3))))
    grades = {Field("L.MCP2", "ERO", time): GradeEntry(grade) for time, grade in enumerate((0, 1, 2))}
    reading = store_reading(study, "C-1", grades, signed=True)
    predicted = [replace(answer("L.MCP2", "ERO", 3, 5, 5), times=times) for times in ((0, 1), (0, 2), (1, 2))]
    save_predictions(study, "scorer", "C-1", predicted)
    shown = find_differences(study, reading)["L.MCP2"]
    assert [each.times for each in shown if isinstance(each, Prediction)] == [(0, 1), (1, 2)]
    assert format_model_scores(Catalog("en"), reading, shown).count("–") == 2, "the visit that each has not seen"


async def test_after_the_signature_overview_and_joint_show_differences(tmp_path: Path) -> None:
    study = read(tmp_path, signed=True)
    async with reading_as(study, "anna", size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert "MCP2≠" in label_text(pilot)
        assert "model:" not in label_text(pilot)
        await pilot.press("down", "left")  # from IP of the thumb to MCP2
        await settle(pilot)
        assert "≠ model: ERO 1→4" in label_text(pilot)
        await pilot.press("enter")
        await settle(pilot)
        assert "model: ERO 1→4" in label_text(pilot)


@pytest.mark.parametrize("signed", [True, False])
async def test_after_the_signature_the_overview_counts_the_films_that_the_model_does_not_know(
    tmp_path: Path, signed: bool
) -> None:
    study = read(tmp_path, signed=signed)
    (case,) = study.cases()
    one, two = (film.id for film in study.case(case).films)
    verdicts = {one: DomainVerdict(1.8, DomainReason.UNLIKE), two: DomainVerdict(0.4, None)}
    save_predictions(study, "scorer", case, [], [], verdicts)
    reading = study.reading("anna", case)
    assert reading is not None
    assert count_unlike_films(study, reading) == ((1, 2) if signed else (0, 0))
    if signed:
        async with reading_as(study, "anna", size=(140, 40)) as pilot:
            await settle(pilot)
            await pilot.press("enter")
            await settle(pilot)
            assert "no model scores for 1 of 2 films: unlike those it learned from" in label_text(pilot)


async def test_before_the_signature_nothing_shows_differences(tmp_path: Path) -> None:
    study = read(tmp_path, signed=False)
    async with reading_as(study, "anna", size=(120, 40)) as pilot:
        await settle(pilot)
        for key in ("enter", "enter", "enter"):
            await pilot.press(key)
            await settle(pilot)
            assert "model" not in label_text(pilot)
            assert "≠" not in label_text(pilot)


async def test_blinded_answers_are_in_the_order_of_the_films(tmp_path: Path) -> None:
    study = read(tmp_path, signed=True, blinded=True, order=(1, 0))
    async with reading_as(study, "anna", size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("down", "left")
        await settle(pilot)
        assert "model: ERO 4|1" in label_text(pilot)


async def test_cases_that_the_model_does_not_know_are_counted(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=3, sides="L")
    one, two, three = study.cases()
    for order, unlike, text in (
        ([three, one], [two], "most informative for the model first, then 1 whose films it does not know"),
        ([one, two], [three], "most informative for the model first, then 1 whose films it does not know"),
        ([], [one, two, three], "not sorted by the model: it did not learn from such films"),
    ):
        save_reading_order(study, order, "scorer", unlike)
        async with reading_as(study, "anna", size=(140, 30)) as pilot:
            await settle(pilot)
            assert text in label_text(pilot)
