"""Hidden repeats in results: no case of their own, and the second reading of their original."""

from __future__ import annotations

from pathlib import Path

import pytest

from ratui.errors import StudyError
from ratui.results.film_quality import measure_quality
from ratui.results.progress import measure_progress, render_progress
from ratui.results.released import collect_released_readings
from ratui.study import Study
from ratui.study.campaign.repeats import draw_repeats, load_repeats
from tests.films import make_study
from tests.support.commands import run_in_this_process
from tests.tui.readings import store_reading


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """Return a study of three patients, one of them repeated, that two raters have read."""
    study = make_study(tmp_path, patients=3, sides="L")
    draw_repeats(study, 0.33)
    for case in study.cases():
        for rater in ("anna", "bert"):
            store_reading(study, case, rater=rater, signed=True)
    return study


def test_a_repeat_is_the_second_reading_of_its_original_and_no_case(study: Study) -> None:
    (repeat,) = load_repeats(study).values()
    released = collect_released_readings(study)
    assert set(released.readings) == set(study.cases()) - {repeat.case}
    assert repeat.case not in {*released.kept_back, *released.assigned, *released.consensus}
    assert set(released.repeats) == {repeat.original}
    assert {rater: reading.case for rater, reading in released.repeats[repeat.original].items()} == {
        "anna": repeat.case,
        "bert": repeat.case,
    }
    frame = study.to_frame()
    assert set(frame["case"]) == set(study.cases()) - {repeat.case}


def test_progress_counts_repeats_apart_for_managers_alone(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = measure_progress(study)
    assert len(progress.cases) == 3
    for rater in progress.raters:
        assert (rater.signed, rater.cases, rater.repeats, rater.repeats_signed) == (3, 3, 1, 1)
    text = run_in_this_process("status", study.path).stdout
    assert "3 cases and 1 hidden repeat" in text
    assert "3 of 3" in text
    assert "1 of 1" in text
    assert "repeats signed" in "".join(render_progress(progress))
    monkeypatch.setattr(Study, "is_manager", False)
    progress = measure_progress(study)
    assert (len(progress.cases), progress.raters[0].cases, progress.raters[0].repeats) == (4, 4, 0)
    printed = run_in_this_process("status", study.path).stdout
    assert "4 cases" in printed
    for text in (str(progress.to_document()), "".join(render_progress(progress)), printed):
        assert "repeat" not in text


def test_the_quality_of_a_repeat_is_that_of_its_original(study: Study) -> None:
    (repeat,) = load_repeats(study).values()
    assert {film.case for film in measure_quality(study)} == set(study.cases()) - {repeat.case}


def test_an_unread_repeat_holds_no_result_back(tmp_path: Path) -> None:
    study = make_study(tmp_path, patients=3, sides="L")
    draw_repeats(study, 0.33)
    (repeat,) = load_repeats(study).values()
    for case in set(study.cases()) - {repeat.case}:
        for rater in ("anna", "bert"):
            store_reading(study, case, rater=rater, signed=True)
    released = collect_released_readings(study)
    assert not released.kept_back
    assert not released.repeats
    assert len(released.readings) == 3


def test_no_result_is_shown_to_an_account_that_cannot_know_the_repeats(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = study.path.parent / "terms.toml"
    terms.write_text("repeats_share = 0.33\n")
    run_in_this_process("charter", study.path, "--set", terms, "--reason", "as planned")
    opened = Study.open(study.path)
    monkeypatch.setattr(Study, "is_manager", property(lambda self: False))
    with pytest.raises(StudyError, match="which cases are repeats"):
        collect_released_readings(opened)


def test_a_trainer_learns_from_no_repeat(study: Study) -> None:
    pairs = pytest.importorskip("trainer.data.pairs", reason="pip install 'ratui[train]'")
    (repeat,) = load_repeats(study).values()
    learned = set(pairs.list_signed_cases(study))
    assert learned == set(study.cases()) - {repeat.case}, "else films of a held-out case would be learned from"
