"""Predictions for cases and joints with a film at one time point only, in a copy of the sample study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ratui.demo.sample import copy_sample
from ratui.errors import TrainError
from ratui.study import Region, RegionSource, Study
from ratui.study.model_results.model_domain import DomainReason, DomainVerdict
from ratui.study.model_results.predictions import load_film_predictions, load_film_verdicts, load_predictions
from ratui.study.model_results.reading_order import load_reading_order, load_unlike_cases
from trainer.inference import predictions
from trainer.inference.domain import judge_films
from trainer.inference.predictions import predict_study
from trainer.models.scorer import build_scorer
from trainer.training.domain_statistics import FeatureDomain
from trainer.training.model_domain import store_domain

CPU = torch.device("cpu")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    folder, _, _ = copy_sample(tmp_path / "copy")
    return Study.open(folder)


@pytest.fixture
def scorer(tmp_path: Path, study: Study) -> Path:
    """Return a run whose scorer is not trained."""
    torch.manual_seed(0)
    about = {"grades": [6, 5], "scales": ["ERO", "JSN"], "pairing": "coupled", "crowd": "none", "raters": 1, "width": 4}
    about |= {
        "model": "scorer",
        "loss": "pair",
        "group_names": list(dict.fromkeys(joint.group for joint in study.scheme.joints)),
    }
    (tmp_path / "scorer").mkdir()
    torch.save({"model": build_scorer(about).state_dict(), "about": about}, tmp_path / "scorer" / "model.pt")
    return tmp_path / "scorer"


def keep_time(study: Study, id: str, time: int) -> None:
    """Keep the films of one time point of a case, and let a detector propose two joints on them."""
    case = study.case(id)
    kept = replace(case, films=tuple(film for film in case.films if film.time == time))
    study.save_case(kept)
    study.save_regions(id, [])
    film = kept.films[0]
    box = film.area(film.sides[0])
    joints = [f"{film.sides[0]}.{joint}" for joint in ("MCP2", "IP1")]
    study.save_proposals("m", kept, [Region(j, film.id, box, RegionSource.MODEL, model="m") for j in joints])


def test_a_case_of_one_time_point_gets_grades_and_no_change(study: Study, scorer: Path, tmp_path: Path) -> None:
    for time, id in enumerate(study.cases()[:2]):
        keep_time(study, id, time)
    done = predict_study(study, scorer, "scorer", CPU, tmp_path / "samples", order=True)
    for id in study.cases()[:2]:
        assert study.case(id).unreadable_reason(study.scheme) == ""
        assert load_predictions(study, id) == ()
        found = load_film_predictions(study, id)
        assert [(each.site[2:], each.scale) for each in found] == [("IP1", "ERO"), ("MCP2", "ERO"), ("MCP2", "JSN")]
        assert {each.time for each in found} == set(study.case(id).times)
    assert {*done.order[-2:]} == {*study.cases()[:2]}, "joints with one film say nothing on the change"
    others = study.cases()[2:]
    assert any(load_predictions(study, id) for id in others)
    assert done.single == 4 + sum(len({each.site for each in load_film_predictions(study, id)}) for id in others)
    assert set(load_reading_order(study)) == set(study.cases())


def test_a_film_unlike_those_of_the_training_has_no_grades_and_its_case_no_place_in_the_order(
    study: Study, scorer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = predict_study(study, scorer, "scorer", CPU, tmp_path / "samples", order=True)
    assert (before.unlike, before.unlike_cases, before.is_domain_unknown) == (0, (), True)
    assert before.films == sum(len(load_film_verdicts(study, id)) for id in study.cases())
    all_sites = {id: {each.site for each in load_predictions(study, id)} for id in study.cases()}
    odd = before.order[0]
    assert {site[0] for site in all_sites[odd]} == {"L", "R"}

    def judge(*given: Any) -> dict[str, DomainVerdict]:
        unlike = DomainVerdict(1.5, DomainReason.UNLIKE)
        return {film: unlike if film == f"{odd} R 1" else verdict for film, verdict in judge_films(*given).items()}

    monkeypatch.setattr(predictions, "judge_films", judge)
    done = predict_study(study, scorer, "scorer", CPU, tmp_path / "samples", order=True)
    assert (done.unlike, done.unlike_cases, done.films, done.order) == (1, (odd,), before.films, before.order[1:])
    assert {each.site for each in load_predictions(study, odd)} == {site for site in all_sites[odd] if site[0] == "L"}
    assert all({each.site for each in load_predictions(study, id)} == all_sites[id] for id in done.order)
    film = study.case(odd).film(1, "R", study.scheme.site(min(all_sites[odd])).part, study.scheme)
    assert film is not None
    assert [id for id, verdict in load_film_verdicts(study, odd).items() if not verdict.is_like] == [film.id]
    assert load_unlike_cases(study) == (odd,)
    assert load_reading_order(study)[: len(done.order)] == done.order


def test_a_scorer_that_knows_no_film_of_the_study_scores_and_orders_nothing(
    study: Study, scorer: Path, tmp_path: Path
) -> None:
    store_domain(scorer / "model.pt", FeatureDomain(np.full(32, 100.0), np.eye(32), 1.0, 50, True))
    keep_time(study, study.cases()[0], 0)
    done = predict_study(study, scorer, "scorer", CPU, tmp_path / "samples", order=True)
    assert (done.order, done.unlike, done.unlike_cases, done.is_domain_unknown) == (
        (),
        done.films,
        study.cases(),
        False,
    )
    assert all(load_predictions(study, id) == load_film_predictions(study, id) == () for id in study.cases())
    reasons = [load_film_verdicts(study, id) for id in study.cases()]
    assert {verdict.reason for each in reasons for verdict in each.values()} <= set(DomainReason)
    assert load_reading_order(study) == study.cases()


def test_a_study_without_films_is_refused(
    study: Study, scorer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = study.case(study.cases()[0])
    monkeypatch.setattr(Study, "cases", lambda _: (case.id,))
    monkeypatch.setattr(Study, "case", lambda *_: replace(case, films=()))
    with pytest.raises(TrainError, match="no case has films"):
        predict_study(study, scorer, "scorer", CPU, tmp_path / "samples")
