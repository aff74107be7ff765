"""Blinding: the results of a study that are released, and to whom."""

import os
from pathlib import Path

import pytest

from ratui.errors import StudyError
from ratui.results.released import check_interim, released_readings
from ratui.study import Study
from tests.films import make_study
from tests.results.studies import read_study
from tests.tui.readings import store_reading


def test_a_case_is_released_only_when_every_rater_has_signed(tmp_path: Path) -> None:
    study = make_study(tmp_path, raters=("anna", "bert"), patients=3)
    both, one, open_ = study.cases()
    store_reading(study, both, rater="anna", signed=True)
    store_reading(study, both, rater="bert", signed=True)
    store_reading(study, one, rater="anna", signed=True)
    store_reading(study, open_, rater="anna", signed=True)
    store_reading(study, open_, rater="bert", signed=False)
    found = released_readings(study)
    assert set(found.readings) == {both}
    assert found.kept_back == {one: "not signed by bert", open_: "not signed by bert"}


def test_a_case_that_nobody_can_read_says_so_and_not_that_it_waits_for_signatures(tmp_path: Path) -> None:
    study = make_study(tmp_path, raters=("anna", "bert"), patients=2)
    whole, half = study.cases()
    study.save_case(type(study.case(half))(half, study.case(half).films[:1]))
    found = released_readings(study)
    assert found.kept_back == {whole: "not signed by anna, bert", half: "films of one time point only"}
    assert found.unreadable == {half}
    assert released_readings(study, interim=True).kept_back[half] == "films of one time point only"


def test_a_selection_of_raters_releases_no_case_that_another_still_reads(tmp_path: Path) -> None:
    study = read_study(tmp_path, {"anna": {}, "bert": {}, "cleo": None})
    assert released_readings(study, ["anna", "bert"]).readings == {}


def test_interim_results_contain_signed_readings_only(tmp_path: Path) -> None:
    study = make_study(tmp_path, raters=("anna", "bert"))
    case = study.cases()[0]
    store_reading(study, case, rater="anna", signed=True)
    store_reading(study, case, rater="bert", signed=False)
    found = released_readings(study, interim=True)
    assert list(found.readings[case]) == ["anna"]
    assert found.complete_cases() == {}


def test_an_unknown_rater_is_an_error(tmp_path: Path) -> None:
    study = read_study(tmp_path, {"anna": {}})
    with pytest.raises(StudyError, match="zoe is not a rater"):
        released_readings(study, ["zoe"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another account")
class TestWhoLooks:
    def study(self, tmp_path: Path) -> Study:
        study = read_study(tmp_path, {"anna": {}, "bert": {}})
        os.chown(study.path, 1000, 1000)
        os.chown(study.path / "readings" / "bert", 2000, 2000)
        return study

    @pytest.mark.parametrize(("account", "may"), [(1000, True), (2000, False), (3000, True)])
    def test_a_rater_who_does_not_own_the_study_must_wait(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, account: int, may: bool
    ) -> None:
        study = self.study(tmp_path)
        monkeypatch.setattr(os, "geteuid", lambda: account)
        if may:
            check_interim(study)
        else:
            with pytest.raises(StudyError, match="belongs to the rater bert"):
                check_interim(study)


def test_consensus_is_no_rater_s_name(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="adjudicator"):
        Study.create(tmp_path / "s", "fingers", ["anna", "consensus"])
