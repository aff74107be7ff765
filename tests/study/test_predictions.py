"""Model answers: stored unchanged, shown to a rater only after signing; and the reading order that a model proposes."""

from dataclasses import replace

import pytest

from ratui.demo.sample import SAMPLE_RATER
from ratui.errors import DamagedError, StoreError, StudyError
from ratui.reading import Field
from ratui.study import Study
from ratui.study.check import check_study
from ratui.study.predictions import (
    Prediction,
    list_prediction_models,
    load_expected_grades,
    load_predictions,
    load_reading_order,
    load_unblinded_predictions,
    save_predictions,
    save_reading_order,
)
from ratui.study.store import read_intact, write_tables
from tests.study.conftest import by_stage

EARLIER, LATER = (0.1, 0.8, 0.1, 0.0, 0.0, 0.0), (0.0, 0.25, 0.75, 0.0, 0.0, 0.0)
ANSWER = Prediction("L.MCP2", "ERO", (1, 2), (EARLIER, LATER), 1, 0.3)


class TestAnswers:
    def test_answers_are_stored_unchanged(self, study: Study) -> None:
        case = study.cases()[0]
        jsn = replace(ANSWER, scale="JSN", grades=(0, 0), probabilities=(EARLIER[:5], LATER[:5]), change=0)
        save_predictions(study, "scorer", case, [ANSWER, jsn])
        assert load_predictions(study, case) == (ANSWER, jsn)
        assert load_predictions(study, study.cases()[1]) == ()

    def test_the_newest_model_that_has_seen_the_case_is_asked(self, study: Study) -> None:
        one, two = study.cases()[:2]
        save_predictions(study, "old", one, [ANSWER])
        save_predictions(study, "old", two, [ANSWER])
        newer = replace(ANSWER, change=0)
        save_predictions(study, "new", one, [newer])
        assert list_prediction_models(study) == ("old", "new")
        assert load_predictions(study, one) == (newer,)
        assert load_predictions(study, two) == (ANSWER,)
        assert load_predictions(study, one, run="old") == (ANSWER,)

    def test_a_rater_sees_them_only_after_signing(self, study: Study) -> None:
        signed, begun = by_stage(study, "signed"), by_stage(study, "reading")
        for case in (signed, begun):
            save_predictions(study, "scorer", case, [ANSWER])
        assert load_unblinded_predictions(study, SAMPLE_RATER, signed) == (ANSWER,)
        assert load_unblinded_predictions(study, SAMPLE_RATER, begun) == ()

    def test_a_damaged_file_is_reported_and_not_shown(self, study: Study) -> None:
        case = study.cases()[0]
        save_predictions(study, "scorer", case, [ANSWER])
        for file in (study.path / "models" / "scorer" / "answers").glob(f"{case}.json*"):
            file.write_bytes(file.read_bytes().replace(b"0.8", b"0.7"))
        with pytest.raises(DamagedError):
            load_predictions(study, case)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"grades": (6, 1)},
            {"grades": (-1, 1)},
            {"chances": ((0.5, 0.2), (0.5, 0.5))},
            {"chances": ((1.0,),)},
            {"change": "much"},
        ],
    )
    def test_impossible_answers_are_rejected(self, wrong: dict[str, object]) -> None:
        with pytest.raises(StoreError):
            Prediction.from_record({**ANSWER.to_record(), **wrong})

    @pytest.mark.parametrize(
        ("table", "record"),
        [
            ("meta", {"scheme": "0" * 64}),
            ("meta", {"format": 9}),
            ("meta", {"model": "other"}),
            ("answers", {"scale": "NONE"}),
            ("answers", {"site": "L.NONE"}),
            ("answers", {"chances": [EARLIER[:3], LATER[:3]]}),
        ],
    )
    def test_answers_of_another_study_are_rejected(
        self, study: Study, table: str, record: dict[str, object]
    ) -> None:  # fmt: skip
        case = study.cases()[0]
        save_predictions(study, "scorer", case, [ANSWER])
        file = study.path / "models" / "scorer" / "answers" / f"{case}.json"
        stored = read_intact(file, unsealed=False)
        assert stored is not None
        tables = {name: [dict(each) for each in records] for name, records in stored.tables.items()}
        tables[table][0].update(record)
        write_tables(file, tables)
        with pytest.raises(StoreError):
            load_predictions(study, case)

    def test_expected_scores_are_given_by_field(self, study: Study) -> None:
        case = study.cases()[0]
        save_predictions(study, "scorer", case, [ANSWER])
        found = load_expected_grades(study, "scorer", case)
        assert found == {
            Field("L.MCP2", "ERO", 0): pytest.approx(1.0),
            Field("L.MCP2", "ERO", 1): pytest.approx(1.75),
        }

    def test_a_damaged_one_is_found_by_check(self, study: Study) -> None:
        case = study.cases()[0]
        save_predictions(study, "scorer", case, [ANSWER])
        file = study.path / "models" / "scorer" / "answers" / f"{case}.json"
        file.write_bytes(file.read_bytes().replace(b"0.25", b"0.26"))
        assert any("answers" in finding.file for finding in check_study(study.path).findings)

    def test_names_can_not_leave_the_study(self, study: Study) -> None:
        with pytest.raises(StudyError, match="model"):
            save_predictions(study, "../../away", study.cases()[0], [ANSWER])


class TestOrder:
    def test_without_an_order_cases_are_sorted_by_name(self, study: Study) -> None:
        assert load_reading_order(study) == study.cases()

    def test_a_stored_order_comes_first_and_unknown_cases_after_it(self, study: Study) -> None:
        a, b, *rest = study.cases()
        save_reading_order(study, [rest[-1], a, "C-GONE"], "scorer")
        assert load_reading_order(study)[:2] == (rest[-1], a)
        assert sorted(load_reading_order(study)) == sorted(study.cases())
        assert load_reading_order(study)[2] == b

    def test_a_damaged_order_is_ignored(self, study: Study) -> None:
        save_reading_order(study, list(reversed(study.cases())), "scorer")
        for file in (study.path / "models").glob("order.json*"):
            file.write_bytes(b"rubbish")
        assert load_reading_order(study) == study.cases()
        assert any("order" in notice for notice in study.notices)
