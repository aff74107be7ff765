"""Predictions for cases and joints with a film at one time point only, in a copy of the sample study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ratui.demo.sample import copy_sample
from ratui.errors import TrainError
from ratui.study import Region, RegionSource, Study
from ratui.study.predictions import load_film_predictions, load_predictions, load_reading_order
from trainer.inference.predictions import predict_study
from trainer.models.scorer import build_scorer

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
        assert study.case(id).unreadable_reason(study.scheme) == "films of one time point only"
        assert load_predictions(study, id) == ()
        found = load_film_predictions(study, id)
        assert [(each.site[2:], each.scale) for each in found] == [("IP1", "ERO"), ("MCP2", "ERO"), ("MCP2", "JSN")]
        assert {each.time for each in found} == set(study.case(id).times)
        assert id not in done.order, "a rater can't read it"
    others = study.cases()[2:]
    assert any(load_predictions(study, id) for id in others)
    assert done.single == 4 + sum(len({each.site for each in load_film_predictions(study, id)}) for id in others)
    assert set(load_reading_order(study)) == set(study.cases())


def test_a_study_without_films_of_two_visits_at_most_is_refused(
    study: Study, scorer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = study.case(study.cases()[0])
    more = replace(case, films=(*case.films, replace(case.films[0], id="third", time=2)))
    monkeypatch.setattr(Study, "cases", lambda _: (case.id,))
    monkeypatch.setattr(Study, "case", lambda *_: more)
    with pytest.raises(TrainError, match="one or two time points"):
        predict_study(study, scorer, "scorer", CPU, tmp_path / "samples")
