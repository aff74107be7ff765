"""Evaluations of models: stored unchanged, and withheld from a rater while an evaluated case is unsigned."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ratui.demo.sample import SAMPLE_RATER
from ratui.errors import DamagedError, StoreError, StudyError
from ratui.study import Study
from ratui.study.check import check_study
from ratui.study.layout import EVALUATION, list_evaluated_models
from ratui.study.model_results.model_reports import (
    Evaluation,
    Heading,
    Paragraph,
    Picture,
    ReportTable,
    WithheldEvaluation,
    load_evaluation,
    save_evaluation,
)
from ratui.study.model_results.reading_order import save_reading_order
from ratui.study.store import read_intact, write_tables
from tests.study.conftest import by_stage

BLOCKS = (
    Heading("Worth", 1),
    Paragraph("said `pair`"),
    ReportTable(("measure", "here"), (("error", "0.2"),), strong=1),
    Picture("p.png", b"\x89PNG\x00\xff", "errors"),
)


def measured(study: Study, *cases: str, model: str = "scorer") -> Evaluation:
    found = Evaluation(model, datetime(2026, 3, 1, 9, 30, tzinfo=UTC), cases, BLOCKS)
    save_evaluation(study, found)
    return found


def file_of(study: Study, model: str = "scorer") -> Path:
    return study.path / "models" / model / EVALUATION


def test_an_evaluation_is_stored_unchanged(study: Study) -> None:
    found = measured(study, by_stage(study, "signed"))
    assert load_evaluation(study, SAMPLE_RATER, "scorer") == found
    assert load_evaluation(study, SAMPLE_RATER, "other") is None


def test_one_unsigned_case_withholds_all_of_it(study: Study) -> None:
    signed, begun = by_stage(study, "signed"), by_stage(study, "reading")
    measured(study, signed, begun)
    assert load_evaluation(study, SAMPLE_RATER, "scorer") == WithheldEvaluation("scorer", (begun,))


def test_a_case_that_has_left_the_study_withholds_nothing(study: Study) -> None:
    found = measured(study, by_stage(study, "signed"), "C-GONE22")
    assert load_evaluation(study, SAMPLE_RATER, "scorer") == found


def test_models_are_listed_newest_first_and_a_new_evaluation_replaces_the_old(study: Study) -> None:
    case = by_stage(study, "signed")
    measured(study, case, model="old")
    measured(study, case, model="new")
    assert list_evaluated_models(study.folder) == ("new", "old")
    again = replace(measured(study, case, model="old"), blocks=(Heading("Again", 1),))
    save_evaluation(study, again)
    assert load_evaluation(study, SAMPLE_RATER, "old") == again
    assert list_evaluated_models(study.folder) == ("old", "new")


def test_a_damaged_evaluation_is_reported_and_not_shown(study: Study) -> None:
    measured(study, by_stage(study, "signed"))
    for file in file_of(study).parent.glob(f"{EVALUATION}*"):
        file.write_bytes(file.read_bytes().replace(b"0.2", b"0.1"))
    with pytest.raises(DamagedError):
        load_evaluation(study, SAMPLE_RATER, "scorer")


@pytest.mark.parametrize(
    ("table", "record"),
    [
        ("meta", {"format": 9}),
        ("meta", {"model": "other"}),
        ("meta", {"study": "other"}),
        ("meta", {"made": "yesterday"}),
        ("blocks", {"kind": "script"}),
        ("blocks", {"kind": "table", "columns": ["a"], "rows": [["1", "2"]], "strong": None}),
        ("blocks", {"kind": "picture", "file": "p.png", "png": "not base64!", "words": ""}),
    ],
)
def test_an_impossible_evaluation_is_rejected(study: Study, table: str, record: dict[str, object]) -> None:
    measured(study, by_stage(study, "signed"))
    stored = read_intact(file_of(study), unsealed=False)
    assert stored is not None
    tables = {name: [dict(each) for each in records] for name, records in stored.tables.items()}
    tables[table][0].update(record)
    write_tables(file_of(study), tables)
    with pytest.raises(StoreError):
        load_evaluation(study, SAMPLE_RATER, "scorer")


def test_names_can_not_leave_the_study(study: Study) -> None:
    with pytest.raises(StudyError, match="model"):
        measured(study, by_stage(study, "signed"), model="../../away")


def test_damage_to_it_and_to_the_order_of_reading_is_found_and_mended(study: Study) -> None:
    measured(study, by_stage(study, "signed"))
    save_reading_order(study, study.cases(), "scorer")
    order = study.path / "models" / "order.json"
    for file in (file_of(study), order):
        file.write_bytes(file.read_bytes().replace(b"scorer", b"scores"))
    found = {fault.file for fault in check_study(study.path).faults}
    assert {f"models/scorer/{EVALUATION}", "models/order.json"} <= found
    check_study(study.path, repair=True)
    assert check_study(study.path).is_intact
