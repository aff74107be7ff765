"""What a model answers, beside its run: whole, of this study, or refused."""

from pathlib import Path

import pytest

from ratui.errors import StoreError
from ratui.study.check import check_study
from ratui.study.model_scores import ModelScore, model_scores, save_model_scores, scoring_models
from ratui.study.store import read_sound, write_tables
from tests.films import make_study

SCORES = (
    ModelScore("L.MCP2", "ERO", 0, 0.4, (0.7, 0.2, 0.1, 0.0, 0.0, 0.0)),
    ModelScore("L.MCP2", "ERO", 1, 2.5),
)


def test_they_come_back_by_field(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    case = study.cases()[0]
    assert scoring_models(study) == ()
    assert model_scores(study, "scorer", case) == {}
    save_model_scores(study, "scorer", case, SCORES)
    assert scoring_models(study) == ("scorer",)
    assert model_scores(study, "scorer", case) == {score.field: score for score in SCORES}


def test_a_damaged_copy_is_noticed_and_checked(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    save_model_scores(study, "scorer", study.cases()[0], SCORES)
    file = study.path / "models" / "scorer" / "scores" / f"{study.cases()[0]}.json"
    file.write_bytes(file.read_bytes().replace(b"2.5", b"2.6"))
    assert model_scores(study, "scorer", study.cases()[0])[SCORES[1].field].expected == 2.5
    assert any("scores" in finding.file for finding in check_study(study.path).findings)


@pytest.mark.parametrize(
    ("table", "record"),
    [
        ("meta", {"digest": "0" * 64}),
        ("meta", {"format": 9}),
        ("meta", {"model": "other"}),
        ("scores", {"expected": 5.5}),
        ("scores", {"expected": -0.1}),
        ("scores", {"time": 2}),
        ("scores", {"scale": "NONE"}),
        ("scores", {"chances": [0.5, 0.1]}),
    ],
)
def test_what_cannot_be_this_study_s_is_refused(tmp_path: Path, table: str, record: dict[str, object]) -> None:
    study = make_study(tmp_path)
    case = study.cases()[0]
    save_model_scores(study, "scorer", case, SCORES)
    file = study.path / "models" / "scorer" / "scores" / f"{case}.json"
    stored = read_sound(file, unsealed=False)
    assert stored is not None
    tables = {name: [dict(each) for each in records] for name, records in stored.tables.items()}
    tables[table][0].update(record)
    write_tables(file, tables)
    with pytest.raises(StoreError):
        model_scores(study, "scorer", case)
