"""Visits that are added to a case or withdrawn after a reading was begun: entries stay with their films."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ratui.errors import StoreError
from ratui.reading import GONE, Field, GradeEntry, Reading, reading_to_document, reopen, replay, sign
from ratui.study import Case, FilmRecord, Study
from ratui.study.model_results.predictions import (
    FilmPrediction,
    Prediction,
    load_expected_grades,
    load_film_predictions,
    load_predictions,
    load_unblinded_predictions,
    save_predictions,
)
from ratui.study.readings.film_changes import is_current
from ratui.study.store import read_intact
from tests.tui.readings import fill_reading, store_reading

AT = datetime(2026, 5, 6, 7, 8, tzinfo=UTC)
CASE = "C-1"


def film(visit: int, side: str = "L") -> FilmRecord:
    name = f"{'qmzfkb'[visit]}{side.lower()}"  # names whose order is not that of the visits
    return FilmRecord(name, visit, side, "hand", 100, 80, file=f"{visit}{side}" * 8, visit=visit)


def put(study: Study, *films: FilmRecord, gone: tuple[FilmRecord, ...] = ()) -> None:
    """Store the case with `films`, after those of `gone` were withdrawn."""
    study.save_case(Case(CASE, films, tuple((each.id, None) for each in gone)))


def new_study(tmp_path: Path, *films: FilmRecord, blinded: bool) -> Study:
    study = Study.create(tmp_path / "s", "fingers", ["anna", "bert"], blinded=blinded)
    put(study, *films)
    return study


def read(study: Study, *, signed: bool = True) -> dict[str, int]:
    """Store a reading with another grade at MCP2 on each film of the left hand; return the grades by film."""
    view = study.as_rater("anna")
    films = {each.time: each.id for each in view.case(CASE).films if each.side == "L"}
    grades = {time: number % 3 for number, time in enumerate(sorted(films))}
    special = {Field("L.MCP2", "ERO", time): GradeEntry(grade) for time, grade in grades.items()}
    store_reading(view, CASE, special, signed=signed)
    return {films[time]: grade for time, grade in grades.items()}


def grades(study: Study, reading: Reading | None) -> dict[str, int | None]:
    """Return the grades at MCP2 by the film on which they were given."""
    assert reading is not None
    films = {each.time: each.id for each in study.case(CASE).films if each.side == "L"}
    return {
        films[field.time]: reading.score(field)
        for field in reading.joint_fields("L.MCP2")
        if field.scale == "ERO" and field in reading.values
    }


def adapt(study: Study) -> Reading:
    """Reopen the reading of anna if it is signed, open it twice, and return it as it is stored then."""
    view = study.as_rater("anna")
    with view.open_reading("anna", CASE) as session:
        if session.reading.signed_at:
            session.save(reopen(session.reading, "other films", timestamp=AT))
    with view.open_reading("anna", CASE) as session:
        first = session.reading
    with view.open_reading("anna", CASE) as session:
        # Times in the log are stored in milliseconds.
        assert len(session.reading.log) == len(first.log), "it is adapted once"
        assert replace(session.reading, log=()) == replace(first, log=())
        return session.reading


@pytest.mark.parametrize("blinded", [False, True])
@pytest.mark.parametrize("added", [2, 1, 0])
@pytest.mark.parametrize("signed", [False, True])
def test_entries_stay_with_their_films_when_a_visit_comes(
    tmp_path: Path, blinded: bool, added: int, signed: bool
) -> None:
    before = [film(visit) for visit in range(3) if visit != added]
    study = new_study(tmp_path, *before, blinded=blinded)
    given = read(study, signed=signed)
    logged = list(read_intact(study.folder.file(f"readings/anna/{CASE}.json")).tables["log"])  # type: ignore[union-attr]
    put(study, *before, film(added))
    view = study.as_rater("anna")
    assert grades(study, study.reading("anna", CASE)) == given == grades(view, view.reading("anna", CASE))
    assert not is_current(study.reading("anna", CASE), study.case(CASE))  # type: ignore[arg-type]
    state = view.state("anna", CASE)
    assert (state.done, state.total) == (2 * 19, 3 * 19)
    assert state.stage == ("changed" if signed else "regions")
    reading = adapt(study)
    assert grades(view, reading) == given
    assert reading.log[-1].kind == "films"
    assert {view.case(CASE).films[field.time].id for field in reading.open_fields} == {film(added).id}
    assert reading.positions[2] == (film(added).id,)
    after = study.reading("anna", CASE)
    assert after is not None
    assert grades(study, after) == given
    assert {field.time for field in after.open_fields} == {added}
    assert is_current(after, study.case(CASE))
    now = read_intact(study.folder.file(f"readings/anna/{CASE}.json")).tables["log"]  # type: ignore[union-attr]
    assert list(now)[: len(logged)] == logged, "what was logged is not changed"
    with view.open_reading("anna", CASE) as session:
        session.save(sign(fill_reading(session.reading), timestamp=AT))
    assert view.state("anna", CASE).stage == "signed"
    store_reading(study.as_rater("bert"), CASE, rater="bert", signed=True)
    assert study.as_rater("bert").state("bert", CASE).stage == "signed"


@pytest.mark.parametrize("blinded", [False, True])
@pytest.mark.parametrize("emptied", [0, 1, 2])
def test_a_visit_whose_films_are_withdrawn_leaves_the_others(tmp_path: Path, blinded: bool, emptied: int) -> None:
    films = [film(visit) for visit in range(3)]
    study = new_study(tmp_path, *films, blinded=blinded)
    given = read(study)
    gone = films.pop(emptied)
    put(study, *films, gone=(gone,))
    view = study.as_rater("anna")
    assert study.case(CASE).visit_numbers == tuple(each.number for each in films)
    assert view.state("anna", CASE).stage == "changed"
    left = {id: grade for id, grade in given.items() if id != gone.id}
    signed = study.reading("anna", CASE)
    assert signed is not None
    assert signed.signed_at, "it can still be shown"
    reading = adapt(study)
    assert grades(view, reading) == left
    assert reading.is_complete
    assert sorted(reading.order) == [0, 1]
    after = study.reading("anna", CASE)
    assert after is not None
    assert grades(study, after) == left
    assert after.positions.count(()) == 1
    assert {field.time for entry in after.log for field, *_ in entry.changes} == {
        0,
        1,
        GONE + after.positions.index(()),
    }
    assert replay(after.log).values == after.values
    assert reading_to_document(after) == reading_to_document(reading)
    new = replace(film(emptied), id="again", file="again")
    put(study, *films, new, gone=(gone,))
    again = adapt(study)
    assert grades(view, again) == left
    assert again.positions[3] == ("again",), "no position of the reading ever changes"
    assert {view.case(CASE).films[field.time].id for field in again.open_fields} == {"again"}


def test_the_second_visit_is_added_to_a_status(tmp_path: Path) -> None:
    study = new_study(tmp_path, film(0), film(0, "R"), blinded=True)
    given = read(study)
    assert study.as_rater("anna").state("anna", CASE).stage == "signed"
    put(study, film(0), film(0, "R"), film(1))
    reading = adapt(study)
    assert grades(study.as_rater("anna"), reading) == given
    assert {site.side for site in reading.sites} == {"L"}, "the right side has no pair"


def test_a_side_that_comes_and_goes_at_one_visit_opens_and_closes_its_slots(tmp_path: Path) -> None:
    all_ = [film(visit, side) for visit in range(3) for side in "LR"]
    late = film(1, "R")
    study = new_study(tmp_path, *(each for each in all_ if each != late), blinded=False)
    store_reading(study, CASE, signed=True)
    assert study.state("anna", CASE).stage == "signed"
    put(study, *all_)
    assert study.state("anna", CASE).stage == "changed"
    opened = adapt(study)
    assert {(field.site[0], field.time) for field in opened.open_fields} == {("R", 1)}
    assert opened.unfilmed == frozenset()
    put(study, *(each for each in all_ if each != late), gone=(late,))
    closed = adapt(study)
    assert closed.is_complete
    assert {(slot.site[0], slot.time) for slot in closed.unfilmed} == {("R", 1)}


def test_a_visit_that_shows_no_joint_twice_invalidates_no_signature(tmp_path: Path) -> None:
    study = new_study(tmp_path, film(0), film(1), blinded=True)
    given = read(study)
    put(study, film(0), film(1), film(2, "R"))
    view = study.as_rater("anna")
    assert view.state("anna", CASE).stage == "signed"
    assert is_current(study.reading("anna", CASE), study.case(CASE))  # type: ignore[arg-type]
    assert grades(view, view.reading("anna", CASE)) == given


def test_a_reading_with_the_films_at_other_positions_is_rejected(tmp_path: Path) -> None:
    study = new_study(tmp_path, film(0), film(1), film(2), blinded=True)
    read(study)
    positions = dict(study.positions(CASE))
    positions["anna"] = (positions["anna"][1], positions["anna"][0], positions["anna"][2])
    study.save_case(study.case(CASE), positions=positions)
    with pytest.raises(StoreError, match="other positions"):
        study.as_rater("anna").reading("anna", CASE)


def sure(grade: int) -> tuple[float, ...]:
    """Return the probabilities of the grades 0 to 5 of a model that is sure of `grade`."""
    return tuple(float(each == grade) for each in range(6))


def test_predictions_of_each_pair_of_visits_are_those_of_its_films_in_every_view(tmp_path: Path) -> None:
    """A visit that comes earlier moves the time points, but not the predictions of the films."""
    study = new_study(tmp_path, film(0), film(1), film(2), blinded=True)
    given = [
        Prediction("L.MCP2", "ERO", (one, two), (sure(one), sure(two)), two - one, 0.5, (one, two))
        for one, two in ((0, 1), (0, 2), (1, 2))
    ]
    alone = FilmPrediction("L.MCP3", "ERO", 2, 4, sure(4), 0.0)
    save_predictions(study, "m", CASE, given, [alone])
    assert load_predictions(study, CASE) == tuple(given)
    assert load_film_predictions(study, CASE) == (alone,)
    expected = {Field("L.MCP2", "ERO", time): float(time) for time in range(3)}
    assert load_expected_grades(study, "m", CASE) == expected | {Field("L.MCP3", "ERO", 2): 4.0}
    read(study)
    view = study.as_rater("anna")
    order = study.order("anna", CASE)
    shown = load_unblinded_predictions(view, "anna", CASE)
    assert {each.times for each in shown} == {(0, 1), (0, 2), (1, 2)}
    for each in shown:
        assert each.grades == (order[each.times[0]], order[each.times[1]])
        assert each.change == each.grades[1] - each.grades[0]
    study.save_case(Case(CASE, (film(3), *(replace(film(visit), visit=visit + 4) for visit in range(3)))))
    assert [each.times for each in load_predictions(study, CASE)] == [(1, 2), (1, 3), (2, 3)]
    wrong = replace(given[0], times=(0, 4))
    with pytest.raises(StoreError, match="no two films"):
        save_predictions(study, "m", CASE, [wrong])
