"""Adjudication: selection of disputed joints, anonymity, and readings of raters that stay unchanged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ratui.errors import StudyError
from ratui.reading import Field, FindingEntry, GradeEntry, NotAssessableEntry, enter, find_next_open_field, sign
from ratui.results.adjudication import Adjudication, build_queue
from ratui.results.agreement import measure_agreement
from ratui.results.disputes import CaseDispute, DisputeLimits, find_disputes
from ratui.results.progress import measure_progress
from ratui.results.released import collect_released_readings
from ratui.results.totals import get_rule
from ratui.study import CONSENSUS, Study
from ratui.study.check import check_study
from ratui.study.copies.merge import merge
from ratui.study.model_results.predictions import save_predictions
from tests.model_answers import answer
from tests.results.studies import Special, read_study
from tests.tui.readings import AT, store_reading

MCP2, MCP3, PIP2 = (
    [Field(site, "ERO", time) for time in (0, 1)] for site in ("L.MCP2", "L.MCP3", "R.PIP2")
)  # fmt: skip
ANNA: Special = {MCP2[1]: GradeEntry(5), MCP3[1]: GradeEntry(1), PIP2[0]: GradeEntry(2), PIP2[1]: GradeEntry(2)}
BERT: Special = {MCP2[1]: GradeEntry(1), MCP3[1]: GradeEntry(2), PIP2[0]: GradeEntry(2), PIP2[1]: GradeEntry(2)}


def queue_of(study: Study, case: float = 3, model: str = "") -> tuple[CaseDispute, ...]:
    return find_disputes(
        study, collect_released_readings(study), DisputeLimits(case=case), get_rule("common"), model=model
    )


class TestTheQueue:
    def test_cases_by_the_difference_in_change_and_joints_by_disagreement(self, tmp_path: Path) -> None:
        study = read_study(tmp_path, {"anna": ANNA, "bert": BERT})
        (case,) = queue_of(study)
        assert case.spread == 6 - 3
        assert [(joint.site, joint.change, joint.status) for joint in case.joints] == [
            ("L.MCP2", 4, 4),
            ("L.MCP3", 1, 1),
        ]

    @pytest.mark.parametrize(("threshold", "over"), [(3, True), (3.5, False)])
    def test_a_case_is_over_where_it_reaches_the_threshold(self, tmp_path: Path, threshold: float, over: bool) -> None:
        (case,) = queue_of(read_study(tmp_path, {"anna": ANNA, "bert": BERT}), threshold)
        assert case.is_over_limit == over
        assert bool(build_queue([case])) == over

    def test_agreement_on_a_high_status_is_no_dispute(self, tmp_path: Path) -> None:
        high: Special = {PIP2[0]: GradeEntry(5), PIP2[1]: GradeEntry(5)}
        (case,) = queue_of(read_study(tmp_path, {"anna": high, "bert": high}))
        assert (case.spread, case.joints) == (0, ())

    def test_a_finding_against_the_same_score_as_a_grade_is_a_dispute(self, tmp_path: Path) -> None:
        grades: Special = {Field("L.MCP2", scale, 1): GradeEntry(top) for scale, top in (("ERO", 5), ("JSN", 4))}
        study = read_study(tmp_path, {"anna": grades, "bert": {MCP2[1]: FindingEntry("ankylosis")}})
        (case,) = queue_of(study)
        assert [(joint.site, joint.severity) for joint in case.joints] == [("L.MCP2", (0, 0, 0, 0))]

    def test_a_joint_that_only_one_rater_could_assess_is_a_dispute(self, tmp_path: Path) -> None:
        study = read_study(tmp_path, {"anna": {MCP2[0]: NotAssessableEntry("unreadable")}, "bert": {}})
        assert [joint.site for joint in queue_of(study)[0].joints] == ["L.MCP2"]

    def test_a_case_that_a_rater_still_reads_is_not_in_the_queue(self, tmp_path: Path) -> None:
        assert queue_of(read_study(tmp_path, {"anna": ANNA, "bert": BERT, "cleo": None})) == ()


class TestTheModel:
    def study(self, tmp_path: Path, later: float) -> Study:
        study = read_study(tmp_path, {"anna": {MCP2[1]: GradeEntry(1)}, "bert": {MCP2[1]: GradeEntry(1)}})
        save_predictions(study, "scorer", study.cases()[0], [answer("L.MCP2", "ERO", 0.0, later, 5)])
        return study

    def test_a_model_adds_a_joint_that_all_raters_agree_on(self, tmp_path: Path) -> None:
        study = self.study(tmp_path, 3.2)
        (case,) = queue_of(study, model="scorer")
        (joint,) = case.joints
        assert joint.site == "L.MCP2"
        assert joint.model == pytest.approx(2.2)
        assert build_queue([case]) == (case,)
        assert queue_of(study)[0].joints == ()

    def test_a_small_difference_of_the_model_adds_nothing(self, tmp_path: Path) -> None:
        assert queue_of(self.study(tmp_path, 2.0), model="scorer")[0].joints == ()

    def test_the_answer_of_the_model_is_listed_as_a_grade(self, tmp_path: Path) -> None:
        study = self.study(tmp_path, 3.2)
        opened = Adjudication(study, queue_of(study, model="scorer"), model="scorer")
        answers = [each.get(MCP2[1]) for each in opened.load_other_answers(study.cases()[0], "L.MCP2")]
        assert sorted(answers, key=str) == [GradeEntry(1), GradeEntry(1), GradeEntry(3)]


def settle(opened: Adjudication, case: str, grade: int = 2, *, signed: bool = True) -> None:
    """Let the adjudicator answer every question."""
    with opened.open_reading(CONSENSUS, case) as session:
        reading = session.reading
        while (field := find_next_open_field(reading)) is not None:
            reading = enter(reading, field, GradeEntry(grade if field.scale == "ERO" else 0), timestamp=AT, key="2")
        session.save(sign(reading, timestamp=AT) if signed else reading, seconds=60)


class TestTheConsensus:
    def test_agreed_answers_are_filled_and_disputed_ones_asked(self, tmp_path: Path) -> None:
        study = read_study(tmp_path, {"anna": ANNA, "bert": BERT})
        opened = Adjudication(study, build_queue(queue_of(study)))
        with opened.open_reading(CONSENSUS, study.cases()[0]) as session:
            reading = session.reading
            assert {field.site for field in reading.open_fields} == {"L.MCP2", "L.MCP3"}
            assert reading.score(PIP2[1]) == 2

    def test_it_is_a_reading_of_its_own_and_the_originals_stay_byte_for_byte(self, tmp_path: Path) -> None:
        study = read_study(tmp_path, {"anna": ANNA, "bert": BERT})
        case = study.cases()[0]
        before = {rater: study.reading_path(rater, case).read_bytes() for rater in ("anna", "bert")}
        settle(Adjudication(study, build_queue(queue_of(study))), case)
        consensus = study.reading(CONSENSUS, case)
        assert consensus is not None
        assert consensus.signed_at
        assert consensus.score(MCP2[1]) == 2
        assert before == {rater: study.reading_path(rater, case).read_bytes() for rater in ("anna", "bert")}
        assert [reading.rater for reading in study.signed_readings(case)] == ["anna", "bert"]

    def test_a_consensus_is_exported_but_not_part_of_agreement(self, tmp_path: Path) -> None:
        from ratui.results.export.long_table import build_long_table
        from ratui.results.export.signed_readings import ExportSource

        study = read_study(tmp_path, {"anna": ANNA, "bert": BERT}, patients=2)
        figures = measure_agreement(study, collect_released_readings(study))[0].to_document()
        settle(Adjudication(study, build_queue(queue_of(study))), study.cases()[0])
        assert measure_progress(study).consensus_signed == 1
        assert measure_agreement(study, collect_released_readings(study))[0].to_document() == figures
        assert queue_of(study)[0].consensus_stage == "signed"
        rows = build_long_table(ExportSource(study, collect_released_readings(study), numbered=True)).rows
        assert {(row[1], row[2]) for row in rows} == {
            ("READER 1", "rater"),
            ("READER 2", "rater"),
            (CONSENSUS, "consensus"),
        }

    def test_one_that_is_not_signed_is_not_exported(self, tmp_path: Path) -> None:
        study = read_study(tmp_path, {"anna": ANNA, "bert": BERT})
        settle(Adjudication(study, build_queue(queue_of(study))), study.cases()[0], signed=False)
        assert collect_released_readings(study).consensus == {}
        assert queue_of(study)[0].consensus_stage == "begun"

    def test_an_unfinished_consensus_is_continued(self, tmp_path: Path) -> None:
        study = read_study(tmp_path, {"anna": ANNA, "bert": BERT})
        case = study.cases()[0]
        with Adjudication(study, build_queue(queue_of(study))).open_reading(CONSENSUS, case) as session:
            session.save(enter(session.reading, MCP2[0], GradeEntry(1), timestamp=AT, key="1"))
        with Adjudication(study, build_queue(queue_of(study, 99))).open_reading(CONSENSUS, case) as session:
            assert session.reading.score(MCP2[0]) == 1
            assert [entry.kind for entry in session.reading.log] == ["adopt", "enter"]

    def test_the_study_is_sound_with_it_and_a_merge_leaves_it(self, tmp_path: Path) -> None:
        import shutil

        study = read_study(tmp_path, {"anna": ANNA, "bert": BERT})
        shutil.copytree(study.path, tmp_path / "copy")
        settle(Adjudication(study, build_queue(queue_of(study))), study.cases()[0])
        assert check_study(study.path).is_intact
        copy = Study.open(tmp_path / "copy")
        assert [item.outcome for item in merge(copy, study.path, ["anna", "bert"])] == ["skipped"]
        with pytest.raises(StudyError, match="never merged"):
            merge(copy, study.path, [CONSENSUS])
        assert copy.reading(CONSENSUS, study.cases()[0]) is None

    def test_readers_without_order_get_a_consensus_without_order(self, tmp_path: Path) -> None:
        study = read_study(tmp_path, {"anna": ANNA, "bert": BERT}, blinded=True)
        settle(Adjudication(study, build_queue(queue_of(study))), study.cases()[0])
        consensus = study.reading(CONSENSUS, study.cases()[0])
        assert consensus is not None
        assert consensus.is_blinded


class TestWhoSaidWhat:
    def test_answers_come_without_names_in_an_order_drawn_for_each_joint(self, tmp_path: Path) -> None:
        sites = [f"{side}.{joint}" for side in "LR" for joint in ("MCP1", "MCP2", "MCP3", "MCP4", "MCP5", "PIP2")]
        anna: Special = {Field(site, "ERO", 1): GradeEntry(1) for site in sites}
        study = read_study(tmp_path, {"anna": anna, "bert": {}})
        opened = Adjudication(study, queue_of(study))
        first = {site: opened.load_other_answers(study.cases()[0], site)[0][Field(site, "ERO", 1)] for site in sites}
        assert set(first.values()) == {GradeEntry(0), GradeEntry(1)}
        assert first == {
            site: opened.load_other_answers(study.cases()[0], site)[0][Field(site, "ERO", 1)] for site in sites
        }

    def test_the_list_of_disputes_names_nobody(self, tmp_path: Path) -> None:
        record = queue_of(read_study(tmp_path, {"anna": ANNA, "bert": BERT}))[0].to_record()
        assert "anna" not in str(record)
        assert "bert" not in str(record)


class TestWhoMay:
    def test_the_adjudicator_cannot_write_a_rater_s_reading(self, tmp_path: Path) -> None:
        study = read_study(tmp_path, {"anna": ANNA, "bert": BERT})
        opened = Adjudication(study, queue_of(study))
        with (
            pytest.raises(StudyError, match="can only change the consensus"),
            opened.open_reading("anna", opened.cases()[0]),
        ):
            pass

    def test_only_the_cases_of_the_queue_are_shown(self, tmp_path: Path) -> None:
        study = read_study(tmp_path, {"anna": ANNA, "bert": BERT}, patients=3)
        opened = Adjudication(study, queue_of(study)[:1])
        assert len(opened.cases()) == len(opened.states(CONSENSUS)) == 1

    def test_not_while_a_rater_has_opened_the_case_again(self, tmp_path: Path) -> None:
        from ratui.reading import reopen

        study = read_study(tmp_path, {"anna": ANNA, "bert": BERT})
        opened = Adjudication(study, queue_of(study))
        with study.open_reading("anna", study.cases()[0]) as session:
            session.save(reopen(session.reading, "a slip", timestamp=AT))
        with (
            pytest.raises(StudyError, match="has reopened this case"),
            opened.open_reading(CONSENSUS, study.cases()[0]),
        ):
            pass

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another account")
    def test_a_rater_of_a_shared_study_does_not_settle_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # fmt: skip
        from dataclasses import replace

        study = read_study(tmp_path, {"anna": ANNA, "bert": BERT})
        queue = queue_of(study)
        study.config = replace(study.config, group="readers")
        os.chown(study.path / "readings" / "anna", 2000, 2000)
        monkeypatch.setattr(os, "geteuid", lambda: 2000)
        with pytest.raises(StudyError, match="belongs to the rater anna"):
            Adjudication(study, queue)


def test_a_case_is_settled_only_once_all_have_signed(tmp_path: Path) -> None:
    study = read_study(tmp_path, {"anna": ANNA, "bert": None})
    store_reading(study, study.cases()[0], BERT, rater="bert", signed=False)
    assert queue_of(study) == ()
