"""The decision who sees measured joint spaces when, over all states and in real studies."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from click.testing import CliRunner

from ratui.cli.main import commands
from ratui.practice.practice_study import PracticeStudy
from ratui.reading import Reading, reopen
from ratui.results.adjudication import Adjudication, build_queue
from ratui.results.disputes import DisputeLimits, find_disputes
from ratui.results.released import collect_released_readings
from ratui.study import CONSENSUS, Case, FilmRecord, Study
from ratui.study.campaign.charter_changes import set_charter
from ratui.study.campaign.rater_changes import add_rater, replace_rater
from ratui.study.campaign.repeats import draw_repeats
from ratui.study.campaign.study_closing import lock_study
from ratui.study.joint_spaces.joint_space import (
    MeasuredChange,
    digest_inputs,
    is_joint_space_published,
    load_joint_space,
    publish_joint_space,
    save_joint_space,
    shown_boxes,
)
from ratui.study.joint_spaces.joint_space_access import (
    ReaderState,
    is_released,
    load_unblinded_joint_space,
    may_see_joint_space,
)
from ratui.study.joint_spaces.joint_space_release import publish_released_joint_space
from tests.films import confirm_template, exchange_positions, make_study
from tests.tui.readings import AT, store_reading

SITE = "L.MCP2"


def save_change(study: Study, case: str, times: tuple[int, int] = (0, 1)) -> MeasuredChange:
    """Save a measurement of `SITE` in `case`, narrower by 0.4 mm at the later time point."""
    films = [next(film for film in study.case(case).films if film.time == time and film.side == "L") for time in times]
    boxes = shown_boxes(study.regions(study.case(case)), ())
    inputs = digest_inputs(films, [boxes[SITE, film.id] for film in films])
    found = MeasuredChange(SITE, (films[0].id, films[1].id), -2.5, -0.4, 0.05, 0.9, True, "", inputs, times)
    save_joint_space(study, case, [found])
    return found


def seen(study: Study, case: str, rater: str = "anna", *, is_answered: bool = False) -> float | None:
    """Return the change in mm that `rater` sees in `case`; None without any."""
    view = study.as_rater(rater)
    reading = view.reading(rater, case)
    return None if reading is None else change_beside(view, reading, is_answered=is_answered)


def change_beside(study: Study, reading: Reading, *, is_answered: bool = False) -> float | None:
    found = load_unblinded_joint_space(study, reading, is_answered=is_answered)
    return found[SITE][0, 1].mm if found else None


def reopen_reading(study: Study, rater: str, case: str) -> None:
    with study.open_reading(rater, case) as session:
        session.save(reopen(session.reading, "an error", timestamp=AT))


def sign(study: Study, case: str, *raters: str) -> None:
    for rater in raters:
        store_reading(study, case, rater=rater, signed=True)


STATES = [
    ReaderState(reader, *facts)  # type: ignore[arg-type]
    for reader in ("rater", "adjudicator", "trainee")
    for facts in product([False, True], repeat=5)
]


@pytest.mark.parametrize(
    "needed",
    [
        ("rater", {"is_signed": True, "is_current": True, "is_released": True}),
        ("rater", {"is_signed": True, "is_current": True, "is_hidden": False}),
        ("adjudicator", {"is_signed": True, "is_current": True, "is_released": True}),
        ("adjudicator", {"is_answered": True, "is_current": True, "is_released": True}),
    ],
)
def test_these_facts_let_a_reader_see_them(needed: tuple[str, dict[str, bool]]) -> None:
    reader, facts = needed
    states = [each for each in STATES if each.reader == reader and vars(each).items() >= facts.items()]
    assert len(states) == 2 ** (5 - len(facts))
    assert all(map(may_see_joint_space, states))


def test_nothing_else_does() -> None:
    assert len(set(STATES)) == 3 * 2**5
    seeing = [state for state in STATES if may_see_joint_space(state)]
    assert all(state.is_current for state in seeing)
    assert all(state.reader != "trainee" for state in seeing)
    raters = [state for state in seeing if state.reader == "rater"]
    assert all(state.is_signed and (state.is_released or not state.is_hidden) for state in raters)
    adjudicators = [state for state in seeing if state.reader == "adjudicator"]
    assert all(state.is_released and (state.is_signed or state.is_answered) for state in adjudicators)
    assert (len(raters), len(adjudicators)) == (6, 6)


def test_a_rater_sees_them_from_the_signature_until_the_case_is_reopened(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    save_change(study, case)
    store_reading(study, case)
    assert seen(study, case) is None
    assert seen(study, case, is_answered=True) is None, "a rater gets no answers of others"
    store_reading(study, case, signed=True)
    signed = study.as_rater("anna").reading("anna", case)
    assert signed is not None
    assert seen(study, case) == -0.4
    assert seen(study, case, "bert") is None
    lock_study(study, "done")
    assert seen(Study.open(study.path), case) == -0.4, "a locked study is still looked at"
    study = make_study(tmp_path / "other")
    (case,) = study.cases()
    save_change(study, case)
    signed = store_reading(study, case, signed=True)
    reopen_reading(study, "anna", case)
    assert seen(study, case) is None
    assert change_beside(study.as_rater("anna"), signed) is None, "reopened in another session"


def test_films_that_the_rater_has_not_read_hide_them(tmp_path: Path) -> None:
    study = make_study(tmp_path, sides="L")
    (case,) = study.cases()
    save_change(study, case)
    store_reading(study, case, signed=True)
    films = study.case(case)
    added = replace(films.films[0], id="added", side="R", file="")
    study.save_case(Case(case, (*films.films, added, replace(added, id="too", time=1))))
    assert seen(study, case) is None


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_in_a_blinded_study_they_wait_for_all_raters_and_follow_the_screen(
    tmp_path: Path, order: tuple[int, int]
) -> None:
    study = make_study(tmp_path, blinded=True)
    (case,) = study.cases()
    exchange_positions(study, case, "anna", order)
    save_change(study, case)
    sign(study, case, "anna")
    assert publish_released_joint_space(study) == 0
    assert seen(study, case) is None
    sign(study, case, "bert")
    assert seen(study, case) is None, "it is not published yet"
    assert publish_released_joint_space(study) == 1
    assert seen(study, case) == (-0.4 if order == (0, 1) else 0.4)
    reopen_reading(study, "anna", case)
    assert seen(study, case) is None
    assert seen(study, case, "bert") is not None
    assert publish_released_joint_space(study) == 0
    assert not is_joint_space_published(study, case)
    assert not (study.path / f"models/joint-space/measurements/{case}.json.bak").exists()
    assert seen(study, case, "bert") is None


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_new_rater_of_a_blinded_study_withdraws_them(tmp_path: Path, is_replaced: bool) -> None:
    study = make_study(tmp_path, blinded=True)
    (case,) = study.cases()
    save_change(study, case)
    sign(study, case, "anna", "bert")
    publish_released_joint_space(study)
    assert is_joint_space_published(study, case)
    if is_replaced:
        replace_rater(study, "bert", "cleo", "left", all_cases=True)
    else:
        add_rater(study, "cleo")
    assert not is_joint_space_published(study, case)
    study = Study.open(study.path)
    assert not is_released(study, case)
    assert publish_released_joint_space(study) == 0
    assert seen(study, case) is None


@pytest.mark.parametrize("blinded", [False, True])
def test_with_hidden_repeats_all_cases_are_published_together(tmp_path: Path, blinded: bool) -> None:
    study = make_study(tmp_path, blinded=blinded, patients=2, sides="L")
    draw_repeats(study, 1.0)
    study = Study.open(study.path)
    cases = study.cases()
    assert len(cases) == 4
    for case in cases:
        confirm_template(study, case, "anna")
        save_change(study, case)
        assert not is_joint_space_published(study, case)
    for case in cases[:-1]:
        sign(study, case, "anna", "bert")
    sign(study, cases[-1], "anna")
    assert publish_released_joint_space(study) == 0
    assert [seen(study, case) for case in cases] == [None] * 4
    sign(study, cases[-1], "bert")
    assert publish_released_joint_space(study) == 4
    assert None not in [seen(study, case) for case in cases]
    reopen_reading(study, "bert", cases[0])
    assert publish_released_joint_space(study) == 0
    assert not any(is_joint_space_published(study, case) for case in cases)


def test_a_charter_that_plans_repeats_hides_them_until_release(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    set_charter(study, {"repeats_share": 0.1}, "as agreed")
    study = Study.open(study.path)
    save_change(study, case)
    sign(study, case, "anna")
    assert not is_joint_space_published(study, case)
    publish_joint_space(study, case, [])
    assert seen(study, case) is None
    sign(study, case, "bert")
    assert publish_released_joint_space(study) == 1
    assert seen(study, case) == -0.4


@pytest.mark.parametrize("is_drawn", [True, False])
def test_measurements_are_hidden_when_repeats_are_planned_or_drawn_later(tmp_path: Path, is_drawn: bool) -> None:
    study = make_study(tmp_path)
    (case,) = study.cases()
    found = save_change(study, case)
    assert is_joint_space_published(study, case)
    (tmp_path / "charter.toml").write_text("repeats_share = 0.1")
    words = (
        ["repeats", "--share", "1"] if is_drawn else ["charter", "--set", f"{tmp_path}/charter.toml", "--reason", "x"]
    )
    done = CliRunner().invoke(commands, [*words, str(study.path)])
    assert done.exit_code == 0, done.output
    study = Study.open(study.path)
    assert not is_joint_space_published(study, case)
    assert load_joint_space(study, case) == (found,)


def test_whoever_practises_sees_none(tmp_path: Path) -> None:
    study = make_study(tmp_path, raters=("anna",))
    (case,) = study.cases()
    save_change(study, case)
    reading = store_reading(study, case, signed=True)
    practice = PracticeStudy(study, {}, "reference")
    assert change_beside(practice, reading) is None
    assert change_beside(practice, reading, is_answered=True) is None


@pytest.mark.parametrize("blinded", [False, True])
def test_an_adjudicator_sees_them_after_the_own_answer_while_the_case_is_released(
    tmp_path: Path, blinded: bool
) -> None:
    study = make_study(tmp_path, blinded=blinded)
    (case,) = study.cases()
    save_change(study, case)
    sign(study, case, "anna", "bert")
    queue = find_disputes(study, collect_released_readings(study), DisputeLimits(case=2))
    adjudication = Adjudication(study, [replace(each, consensus_stage="begun") for each in queue])
    assert build_queue(list(adjudication.queue.values()))
    reading = store_reading(adjudication, case, rater=CONSENSUS)
    first = adjudication.order(CONSENSUS, case)[0]
    assert change_beside(adjudication, reading) is None
    assert change_beside(adjudication, reading, is_answered=True) == (0.4 if first else -0.4)
    reading = store_reading(adjudication, case, rater=CONSENSUS, signed=True)
    assert change_beside(adjudication, reading) == (0.4 if first else -0.4)
    reopen_reading(study, "anna", case)
    assert change_beside(adjudication, reading) is None
    assert change_beside(adjudication, reading, is_answered=True) is None


def test_of_three_visits_each_pair_has_its_places(tmp_path: Path) -> None:
    study = Study.create(tmp_path / "s", "fingers", ["anna"])
    study.save_case(Case("C-1", tuple(FilmRecord(f"f{time}", time, "L", "hand", 9, 9) for time in range(3))))
    pairs = [(0, 1), (0, 2), (1, 2)]
    found = [
        MeasuredChange(SITE, (f"f{first}", f"f{last}"), 1.0, None, 0.1, 0.9, True, "", "", (first, last))
        for first, last in pairs
    ]
    save_joint_space(study, "C-1", found)
    reading = store_reading(study, "C-1", signed=True)
    assert sorted(load_unblinded_joint_space(study.as_rater("anna"), reading)[SITE]) == pairs
