"""Cases that only some of the raters read: their worklists, released readings, progress and agreement."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from ratui.errors import StudyError
from ratui.reading import Field, GradeEntry
from ratui.results.adjudication import Adjudication
from ratui.results.agreement import measure_agreement
from ratui.results.disputes import DisputeLimits, find_disputes
from ratui.results.progress import measure_progress
from ratui.results.released import collect_released_readings
from ratui.study import CONSENSUS, Case, FilmRecord, InProcessConverter, Study, import_films
from ratui.study.config_files import write_settings
from ratui.study.visits import choose_raters
from tests.films import confirm_template, hospital, make_study
from tests.tui.readings import store_reading

RATERS = ("anna", "bert", "cleo")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Return a blinded study of six cases, each of which two of three raters read."""
    study = Study.create(tmp_path / "study", "fingers", RATERS, blinded=True, raters_per_case=2)
    films = hospital(tmp_path / "h", patients=6, sides="L")
    import_films(study, [films], key=tmp_path / "key.json", converter=InProcessConverter())
    for case in study.cases():
        confirm_template(study, case, study.raters_of(case)[0])
    return study


def test_every_rater_gets_as_many_cases_and_the_adjudicator_all(study: Study) -> None:
    counts = Counter(rater for case in study.cases() for rater in study.raters_of(case))
    assert counts == {"anna": 4, "bert": 4, "cleo": 4}
    assert all(len(study.raters_of(case)) == 2 for case in study.cases())
    assert all(CONSENSUS in study.positions(case) for case in study.cases())
    assert Study.open(study.path).config.raters_per_case == 2


def test_raters_are_drawn_at_random_among_those_with_the_fewest_cases() -> None:
    drawn = Counter(choose_raters(RATERS, 2, {}) for _ in range(600))
    assert set(drawn) == {("anna", "bert"), ("anna", "cleo"), ("bert", "cleo")}
    assert all(130 < count < 270 for count in drawn.values())
    assert choose_raters(RATERS, 2, {"anna": 1, "bert": 0, "cleo": 0}) == ("bert", "cleo")
    assert choose_raters(RATERS, 0, {}) == RATERS


def test_another_film_of_a_case_changes_no_assignment(study: Study) -> None:
    case = study.case(study.cases()[0])
    before = study.raters_of(case.id)
    study.save_case(replace(case, films=(*case.films, replace(case.films[0], id="another", side="R"))))
    assert Study.open(study.path).raters_of(case.id) == before


def test_a_worklist_has_the_rater_s_cases_only(study: Study) -> None:
    for rater in RATERS:
        wanted = [case for case in study.cases() if rater in study.raters_of(case)]
        seen = Study.open(study.path).as_rater(rater)
        assert [state.case for state in seen.states(rater)] == wanted
        assert list(seen.cases()) == wanted
        other = next(case for case in study.cases() if case not in wanted)
        with pytest.raises(StudyError, match=f"not assigned to {rater}"), seen.open_reading(rater, other):
            pass
        with pytest.raises(StudyError, match=f"not assigned to {rater}"):
            seen.case(other)


def test_a_case_is_released_when_its_raters_have_signed(study: Study) -> None:
    first, second, *_ = study.cases()
    raters = study.raters_of(first)
    store_reading(study, first, rater=raters[0], signed=True)
    store_reading(study, second, rater=study.raters_of(second)[0], signed=True)
    assert collect_released_readings(study).kept_back[first] == f"not signed by {raters[1]}"
    store_reading(study, first, rater=raters[1], signed=True)
    released = collect_released_readings(study)
    assert list(released.readings) == [first]
    assert tuple(released.readings[first]) == raters
    assert released.complete_groups().keys() == {raters}
    assert released.kept_back[second] == f"not signed by {study.raters_of(second)[1]}"


def test_progress_counts_assigned_cases(study: Study) -> None:
    first = study.cases()[0]
    rater = study.raters_of(first)[0]
    store_reading(study, first, rater=rater, signed=True)
    found = measure_progress(study)
    assert {each.rater: each.cases for each in found.raters} == {"anna": 4, "bert": 4, "cleo": 4}
    assert {each.rater: each.signed for each in found.raters} == {each: int(each == rater) for each in RATERS}
    assert [tuple(row.rater for row in rows) for rows in found.by_case()] == [
        study.raters_of(case) for case in study.cases()
    ]


def test_agreement_and_disputes_compare_those_who_read_a_case(study: Study) -> None:
    for number, case in enumerate(study.cases()):
        for grade, rater in enumerate(study.raters_of(case)):
            special = {Field("L.MCP2", "ERO", 1): GradeEntry(5 * grade)}
            store_reading(study, case, special if number == 0 else None, rater=rater, signed=True)
    released = collect_released_readings(study)
    assert sum(len(each) for each in released.complete_groups().values()) == 6
    found, _ = measure_agreement(study, released)
    assert (len(found.cases), found.raters_per_case, found.is_crossed) == (6, 2, False)
    # One patient was read as 0 and 5, five others as 0 and 0: the mean squares between and within are both 25 / 12.
    change = next(each for each in found.totals if (each.scale, each.quantity) == ("ERO", "change"))
    assert change.icc1.value == pytest.approx(0)
    detectable = next(each for each in found.detectable if each.scale == "ERO")
    assert detectable.mean.value == pytest.approx(1.959964 * (25 / 12 / 2) ** 0.5)
    pair = study.raters_of(study.cases()[0])
    both = [case for case in study.cases() if study.raters_of(case) == pair]
    assert len(both) >= 1
    assert list(collect_released_readings(study, pair).complete_cases()) == both
    disputes = find_disputes(study, released, DisputeLimits(4.0))
    assert len(disputes) == 6
    over = [each.case for each in disputes if each.is_over_limit]
    assert over == [study.cases()[0]]
    adjudication = Adjudication(study, [each for each in disputes if each.is_over_limit])
    with adjudication.open_reading(CONSENSUS, over[0]) as session:
        assert session.reading.values, "the common answers were taken over"


def test_a_rater_who_was_added_gets_an_order_when_the_study_is_sealed(tmp_path: Path) -> None:
    study = make_study(tmp_path, blinded=True)
    (case,) = study.cases()
    before = study.positions(case)
    write_settings(study.folder, replace(study.config, raters=(*study.config.raters, "cleo")))
    study = Study.open(study.path)
    (state,) = study.states("cleo")
    assert state.stage == "unreadable"
    assert "ratui seal STUDY" in state.note
    assert study.draw_missing_positions() == 1
    assert study.draw_missing_positions() == 0
    assert {rater: study.positions(case)[rater] for rater in before} == before
    (state,) = study.states("cleo")
    assert state.stage == "reading"


def test_the_number_of_raters_is_checked(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="3 raters can't read each case"):
        Study.create(tmp_path / "s", "fingers", ["anna", "bert"], raters_per_case=3)


def test_in_an_open_study_too_a_case_has_its_raters_only(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s", "fingers", RATERS, raters_per_case=1)
    for number in range(6):
        study.save_case(
            Case(f"C-{number}", (FilmRecord("a", 0, "L", "hand", 9, 9), FilmRecord("b", 1, "L", "hand", 9, 9)))
        )
    study = Study.open(study.path)
    counts = Counter(rater for case in study.cases() for rater in study.raters_of(case))
    assert counts == {"anna": 2, "bert": 2, "cleo": 2}
    assert [len(study.as_rater(rater).cases()) for rater in RATERS] == [2, 2, 2]
