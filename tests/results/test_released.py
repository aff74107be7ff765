"""Blinding: the results of a study that are released, and to whom."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ratui.errors import StudyError
from ratui.files import second_copy_path
from ratui.reading import DisplayRecord, Field, GradeEntry, enter, sign
from ratui.results.export.long_table import build_long_table
from ratui.results.export.signed_readings import ExportSource
from ratui.results.released import check_interim, collect_released_readings
from ratui.study import Study
from tests.films import make_study, without_pairs
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
    found = collect_released_readings(study)
    assert set(found.readings) == {both}
    assert found.kept_back == {one: "not signed by bert", open_: "not signed by bert"}


def test_a_case_that_nobody_can_read_says_so_and_not_that_it_waits_for_signatures(tmp_path: Path) -> None:
    study = make_study(tmp_path, raters=("anna", "bert"), patients=2)
    whole, half = study.cases()
    study.save_case(without_pairs(study.case(half)))
    found = collect_released_readings(study)
    assert found.kept_back == {whole: "not signed by anna, bert", half: "no side with films at both visits"}
    assert found.unreadable == {half}
    assert collect_released_readings(study, interim=True).kept_back[half] == "no side with films at both visits"


def test_a_selection_of_raters_releases_no_case_that_another_still_reads(tmp_path: Path) -> None:
    study = read_study(tmp_path, {"anna": {}, "bert": {}, "cleo": None})
    assert collect_released_readings(study, ["anna", "bert"]).readings == {}


def test_interim_results_contain_signed_readings_only(tmp_path: Path) -> None:
    study = make_study(tmp_path, raters=("anna", "bert"))
    case = study.cases()[0]
    store_reading(study, case, rater="anna", signed=True)
    store_reading(study, case, rater="bert", signed=False)
    found = collect_released_readings(study, interim=True)
    assert list(found.readings[case]) == ["anna"]
    assert found.complete_cases() == {}


class TestCoarseDisplay:
    """Entries on films that were displayed too coarsely can be left out of all results."""

    COARSE, FINE = Field("L.PIP2", "ERO", 0), Field("L.PIP2", "ERO", 1)

    @pytest.fixture
    def study(self, tmp_path: Path) -> Study:
        study = read_study(tmp_path, {"anna": {}}, signed=False)
        with study.open_reading("anna", study.cases()[0]) as session:
            reading = session.reading
            for field, enough in ((self.COARSE, False), (self.FINE, True)):
                display = DisplayRecord(("a",), "halfcell", 6.0 if enough else 1.0, enough, (), 2.0, "terminal")
                reading = enter(reading, field, GradeEntry(2), display=display)
            session.save(sign(reading, timestamp=datetime(2026, 1, 1, tzinfo=UTC)))
        return study

    def test_they_are_included_by_default(self, study: Study) -> None:
        found = collect_released_readings(study)
        reading = found.readings[study.cases()[0]]["anna"]
        assert [reading.score(field) for field in (self.COARSE, self.FINE)] == [2, 2]
        assert found.excluded is None

    def test_they_are_left_out_on_request(self, study: Study) -> None:
        found = collect_released_readings(study, exclude_coarse=True)
        reading = found.readings[study.cases()[0]]["anna"]
        assert [reading.score(field) for field in (self.COARSE, self.FINE)] == [None, 2]
        assert found.excluded == 1
        assert len(reading.open_fields) == 1, "an entry without a recorded display stays"

    def test_the_long_table_says_how_each_field_was_displayed(self, study: Study) -> None:
        table = build_long_table(ExportSource(study, collect_released_readings(study)))
        names = [column.name for column in table.columns]
        rows = {
            Field(row["site"], row["scale"], row["time"]): row
            for row in (dict(zip(names, row, strict=True)) for row in table.rows)
        }
        coarse = rows[self.COARSE]
        assert (coarse["protocol"], coarse["pixels_per_mm"], coarse["coarse"]) == ("halfcell", 1.0, 1)
        assert (coarse["greys"], coarse["seconds"], coarse["acknowledged"]) == ("none", 2.0, "terminal")
        assert rows[self.FINE]["coarse"] == 0
        assert rows[Field("L.PIP3", "ERO", 0)]["coarse"] is None


def test_an_unknown_rater_is_an_error(tmp_path: Path) -> None:
    study = read_study(tmp_path, {"anna": {}})
    with pytest.raises(StudyError, match="zoe is not a rater"):
        collect_released_readings(study, ["zoe"])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another account")
class TestWhoLooks:
    def study(self, tmp_path: Path) -> Study:
        study = read_study(tmp_path, {"anna": {}, "bert": {}})
        os.chown(study.path, 1000, 1000)
        os.chown(study.path / "readings" / "bert", 2000, 2000)
        return study

    @pytest.mark.parametrize(("account", "may"), [(1000, True), (2000, False), (3000, False)])
    def test_only_managers_see_what_is_not_released(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, account: int, may: bool
    ) -> None:
        study = self.study(tmp_path)
        monkeypatch.setattr(os, "geteuid", lambda: account)
        if may:
            check_interim(study)
        else:
            with pytest.raises(StudyError, match="only managers of the study may see readings before"):
                check_interim(study)


def test_consensus_is_no_rater_s_name(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="adjudicator"):
        Study.create(tmp_path / "s", "fingers", ["anna", "consensus"])


class TestOneDamagedFile:
    """A damaged file, or one with odd values, keeps its own case back and no other."""

    def damage(self, study: Study, rater: str, case: str, *, both: bool) -> None:
        path = study.reading_path(rater, case)
        for each in (path, second_copy_path(path))[: 2 if both else 1]:
            data = each.read_bytes()
            each.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])

    def test_one_flipped_bit_beside_an_intact_copy_keeps_nothing_back(self, tmp_path: Path) -> None:
        study = read_study(tmp_path, {"anna": {}, "bert": {}}, patients=2)
        before = collect_released_readings(study)
        for case in study.cases():
            self.damage(study, "anna", case, both=False)
        after = collect_released_readings(study)
        assert after.readings == before.readings
        assert len(after.readings) == 2
        assert all("second copy is intact" in notice for notice in study.notices)
        assert len(study.notices) == 2

    def test_a_reading_without_an_intact_copy_is_named_and_the_others_count(self, tmp_path: Path) -> None:
        study = read_study(tmp_path, {"anna": {}, "bert": {}}, patients=3)
        damaged, *others = study.cases()
        self.damage(study, "bert", damaged, both=True)
        released = collect_released_readings(study)
        assert set(released.readings) == set(others)
        assert released.kept_back[damaged] == f"damaged: readings/bert/{damaged}.json"
        assert any(f"readings/bert/{damaged}.json" in notice for notice in study.notices)
        interim = collect_released_readings(study, interim=True)
        assert set(interim.readings[damaged]) == {"anna"}
        assert study.signed_readings(damaged) == (interim.readings[damaged]["anna"],)
