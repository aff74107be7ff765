"""Model answers: stored unchanged, shown to a rater only after signing; and the reading order that a model proposes."""

from dataclasses import replace
from pathlib import Path

import pytest

from ratui.demo.sample import SAMPLE_RATER
from ratui.errors import DamagedError, StoreError, StudyError
from ratui.reading import Field
from ratui.study import Study
from ratui.study.check import check_study
from ratui.study.model_results.model_domain import DomainReason, DomainVerdict, verdict_from_record, verdict_to_record
from ratui.study.model_results.predictions import (
    FilmPrediction,
    Prediction,
    list_prediction_models,
    load_expected_grades,
    load_film_predictions,
    load_film_verdicts,
    load_predictions,
    load_unblinded_film_predictions,
    load_unblinded_film_verdicts,
    load_unblinded_predictions,
    save_predictions,
)
from ratui.study.model_results.reading_order import (
    has_reading_order,
    load_reading_order,
    load_unlike_cases,
    save_reading_order,
)
from ratui.study.store import read_intact, write_tables
from tests.films import exchange_positions, make_study
from tests.study.conftest import by_stage
from tests.tui.readings import store_reading

EARLIER, LATER = (0.1, 0.8, 0.1, 0.0, 0.0, 0.0), (0.0, 0.25, 0.75, 0.0, 0.0, 0.0)
SINGLE = FilmPrediction("L.MCP3", "ERO", 1, 2, LATER, 0.25)
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
        assert any("answers" in fault.file for fault in check_study(study.path).faults)

    def test_names_can_not_leave_the_study(self, study: Study) -> None:
        with pytest.raises(StudyError, match="model"):
            save_predictions(study, "../../away", study.cases()[0], [ANSWER])


class TestSingleFilms:
    def test_they_are_stored_with_their_film_beside_the_others(self, study: Study) -> None:
        case, other = study.cases()[:2]
        save_predictions(study, "scorer", case, [ANSWER], [SINGLE])
        save_predictions(study, "scorer", other, [ANSWER])
        assert load_predictions(study, case) == (ANSWER,)
        assert load_film_predictions(study, case) == (SINGLE,)
        assert load_film_predictions(study, other) == load_film_predictions(study, study.cases()[2]) == ()
        stored = read_intact(study.path / "models" / "scorer" / "answers" / f"{case}.json")
        assert stored is not None
        (record,) = stored.tables["single"]
        film = study.case(case).film(1, "L", "hand", study.scheme)
        assert film is not None
        assert record["film"] == film.id
        assert "time" not in record
        expected = load_expected_grades(study, "scorer", case)
        assert expected[Field("L.MCP3", "ERO", 1)] == pytest.approx(1.75)
        assert Field("L.MCP3", "ERO", 0) not in expected
        assert len(expected) == 3
        assert not check_study(study.path).faults

    def test_a_rater_sees_them_only_after_signing(self, study: Study) -> None:
        signed, begun = by_stage(study, "signed"), by_stage(study, "reading")
        for case in (signed, begun):
            save_predictions(study, "scorer", case, [], [SINGLE])
        assert load_unblinded_film_predictions(study, SAMPLE_RATER, signed) == (SINGLE,)
        assert load_unblinded_film_predictions(study, SAMPLE_RATER, begun) == ()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"grade": 6},
            {"grade": -1},
            {"grade": True},
            {"chances": (0.5, 0.2)},
            {"chances": ()},
            {"film": "other"},
            {"film": ["L1"]},
            {"site": "L.NONE"},
            {"scale": "NONE"},
            {"chances": LATER[:3]},
            {"doubt": "much"},
        ],
    )
    def test_impossible_ones_are_rejected(self, study: Study, wrong: dict[str, object]) -> None:
        case = study.cases()[0]
        save_predictions(study, "scorer", case, [ANSWER], [SINGLE])
        file = study.path / "models" / "scorer" / "answers" / f"{case}.json"
        stored = read_intact(file, unsealed=False)
        assert stored is not None
        tables = {name: [dict(each) for each in records] for name, records in stored.tables.items()}
        tables["single"][0].update(wrong)
        write_tables(file, tables)
        with pytest.raises(StoreError):
            load_film_predictions(study, case)
        with pytest.raises(StoreError):
            load_predictions(study, case)  # so `ratui check`, which calls it, reports the file

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    def test_a_rater_of_a_blinded_study_sees_positions(self, tmp_path: Path, order: tuple[int, int]) -> None:
        study = make_study(tmp_path, blinded=True)
        (case,) = study.cases()
        exchange_positions(study, case, "anna", order)
        save_predictions(study, "m", case, [], [replace(SINGLE, site="L.MCP2")])
        store_reading(study, case, signed=True)
        (shown,) = load_unblinded_film_predictions(study.as_rater("anna"), "anna", case)
        assert shown.time == order.index(1)

    def test_a_site_without_a_film_has_no_prediction(self, study: Study) -> None:
        case = study.cases()[0]
        known = study.case(case)
        study.save_case(replace(known, films=tuple(film for film in known.films if film.time == 0)))
        with pytest.raises(StoreError, match="no film"):
            save_predictions(study, "scorer", case, [], [SINGLE])
        earlier = replace(SINGLE, time=0)
        save_predictions(study, "scorer", case, [], [earlier])
        assert load_film_predictions(study, case) == (earlier,)


class TestVerdicts:
    def test_they_are_stored_by_film_without_a_time_point(self, study: Study) -> None:
        case = study.cases()[0]
        films = [film.id for film in study.case(case).films]
        verdicts = {film: DomainVerdict(1.25, DomainReason.UNLIKE) for film in films[:1]}
        verdicts |= {films[1]: DomainVerdict(None, DomainReason.FEW_JOINTS)}
        assert load_film_verdicts(study, case) == {}
        save_predictions(study, "scorer", case, [], [], verdicts)
        assert load_film_verdicts(study, case) == verdicts
        assert load_unblinded_film_verdicts(study, "anna", case) == {}, "nobody has signed"
        save_predictions(study, "scorer", case, [])
        assert load_film_verdicts(study, case) == {}

    @pytest.mark.parametrize(
        "change", [{"reason": "odd"}, {"score": -1.0}, {"score": True}, {"film": 3}, {"reason": None}]
    )
    def test_a_record_that_is_no_verdict_is_refused(self, change: dict[str, object]) -> None:
        record = verdict_to_record("f", DomainVerdict(1.25, DomainReason.UNLIKE))
        assert verdict_from_record(record) == ("f", DomainVerdict(1.25, DomainReason.UNLIKE))
        with pytest.raises(StoreError):
            verdict_from_record({**record, **change})


class TestOrder:
    def test_without_an_order_cases_are_sorted_by_name(self, study: Study) -> None:
        assert load_reading_order(study) == study.cases()

    def test_a_stored_order_comes_first_and_unknown_cases_after_it(self, study: Study) -> None:
        a, b, *rest = study.cases()
        save_reading_order(study, [rest[-1], a, "C-GONE"], "scorer")
        assert load_reading_order(study)[:2] == (rest[-1], a)
        assert sorted(load_reading_order(study)) == sorted(study.cases())
        assert load_reading_order(study)[2] == b

    def test_cases_without_a_place_are_stored_and_follow_by_name(self, study: Study) -> None:
        a, b, *_ = study.cases()
        assert (has_reading_order(study), load_unlike_cases(study)) == (False, ())
        save_reading_order(study, [b], "scorer", [a, "C-GONE"])
        assert (has_reading_order(study), load_unlike_cases(study)) == (True, (a,))
        assert load_reading_order(study)[:2] == (b, a)
        save_reading_order(study, [], "scorer", [a])
        assert (has_reading_order(study), load_unlike_cases(study)) == (False, (a,))
        for file in (study.path / "models").glob("order.json*"):
            file.write_bytes(b"rubbish")
        assert (has_reading_order(study), load_unlike_cases(study)) == (False, ())

    def test_a_damaged_order_is_ignored(self, study: Study) -> None:
        save_reading_order(study, list(reversed(study.cases())), "scorer")
        for file in (study.path / "models").glob("order.json*"):
            file.write_bytes(b"rubbish")
        assert load_reading_order(study) == study.cases()
        assert any("order" in notice for notice in study.notices)
