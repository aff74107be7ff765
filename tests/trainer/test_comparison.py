"""The comparison: cells that any process can compute, labels that could be entered, and ratios paired by patient."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ratui.errors import TrainError
from ratui.phantom import RATERS
from trainer.experiments import cohort as drawing
from trainer.experiments.arms import ARMS, BASELINE, Budget, Cell, make_cells
from trainer.experiments.cohort import Cohort, load_cohort, simulate_readings
from trainer.experiments.comparison import Comparison, parse_part, run_comparison, run_growth
from trainer.experiments.comparison_table import CellErrors, error_ratio, format_report
from trainer.experiments.learning_curve import StudyGrowth

pytestmark = pytest.mark.slow

SMALL = Budget(steps=3, batch=16, pixels=32, width=8, patients=2)


def quiet(*_: object) -> None:
    pass


@pytest.fixture(scope="module", autouse=True)
def _small_shards() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "PATIENTS_PER_FILE", 2)
        patch.setattr(drawing, "FILM_SIZE", (400, 328))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("comparison")


@pytest.fixture(scope="module")
def people(folder: Path) -> Cohort:
    return load_cohort(4, 11, folder / "cohorts", quiet)


class TestCohort:
    def test_it_is_drawn_once_and_a_smaller_one_is_part_of_it(self, people: Cohort, folder: Path) -> None:
        stages: list[int] = []
        again = load_cohort(3, 11, folder / "cohorts", lambda _, done, __: stages.append(done))
        assert stages == [3], "nothing was drawn"
        assert np.array_equal(again.crops, people.head(3).crops)
        assert np.array_equal(again.true_grades, people.true_grades[:60])
        assert again.patients == people.patients[:3]

    def test_truth_stands_beside_its_crops(self, people: Cohort) -> None:
        row = 47
        patient, site = people.patients[people.patient_index[row]], people.scheme.site(people.sites[row])
        for scale, name in enumerate(people.scheme.scales):
            for time in (0, 1):
                assert people.true_grades[row, scale, time] == patient.grade(site, name, time)

    @pytest.mark.parametrize("kind", list(RATERS))
    def test_labels_are_scores_that_could_be_entered(self, people: Cohort, kind: str) -> None:
        samples = simulate_readings(people, kind, 2, 0)
        for scale in range(2):
            labels, max_grades = samples.labels[:, :, scale], samples.max_grades[:, scale]
            assert ((labels >= 0) == (max_grades >= 0)[:, None, None]).all()
            assert (labels <= max_grades[:, None, None].clip(0)).all()
        again = simulate_readings(people, kind, 2, 0)
        assert np.array_equal(samples.labels, again.labels)
        assert not np.array_equal(samples.labels, simulate_readings(people, kind, 2, 1).labels)
        assert not np.array_equal(samples.labels[:, 0], samples.labels[:, 1]), "each rater reads by themselves"

    def test_a_larger_study_holds_the_labels_of_a_smaller_one(self, people: Cohort) -> None:
        small = simulate_readings(people.head(2), "mixed", 2, 5)
        assert np.array_equal(small.labels, simulate_readings(people, "mixed", 2, 5).labels[:40])


class TestCells:
    def test_parts_fill_one_table_and_go_on_where_they_stopped(self, people: Cohort, folder: Path) -> None:
        what = Comparison((BASELINE, "coupled pair"), ("shared-shift",), (2, 4), 1, SMALL)
        first = run_comparison(replace(what, part=(0, 2)), folder, quiet)
        assert "2 of 4 cells" in first
        before = {file.name: file.stat().st_mtime_ns for file in (folder / "cells").iterdir()}
        assert "4 of 4 cells" in run_comparison(replace(what, part=(1, 2)), folder, quiet)
        table = run_comparison(what, folder, quiet)
        assert {name: (folder / "cells" / name).stat().st_mtime_ns for name in before} == before
        assert "### 2 patients" in table
        assert "### 4 patients" in table
        assert "| coupled pair |" in table

    def test_a_cell_is_the_same_in_any_process(self, people: Cohort, folder: Path, tmp_path: Path) -> None:
        what = Comparison(("coupled pair",), ("mixed",), (4,), 1, SMALL)
        for out in (folder, tmp_path):
            run_comparison(what, out, quiet)
        name = Cell("coupled pair", "mixed", 4, 0).file_name(SMALL, "")
        one, two = (json.loads((out / "cells" / name).read_text())["measured"] for out in (folder, tmp_path))
        assert one == two

    def test_other_patients_to_measure_on_are_other_cells(self, people: Cohort, folder: Path) -> None:
        what = Comparison((BASELINE,), ("shared-shift",), (2,), 1, SMALL)
        run_comparison(what, folder, quiet)
        before = {file.name for file in (folder / "cells").iterdir()}
        assert "1 of 1 cells" in run_comparison(replace(what, test=78), folder, quiet)
        (new,) = {file.name for file in (folder / "cells").iterdir()} - before
        assert json.loads((folder / "cells" / new).read_text())["measured"]["joints"]

    def test_a_trunk_with_a_time_limit_resumes(self, tmp_path: Path) -> None:
        what = Comparison((BASELINE, "coupled pair"), ("mixed",), (2,), 1, SMALL, trunk_steps=3, trunk_patients=2)
        assert "trunk is not finished" in run_comparison(replace(what, seconds=0.0), tmp_path, quiet)
        assert "2 of 2 cells" in run_comparison(what, tmp_path, quiet)
        whole = (tmp_path / "trunk.pt").stat().st_mtime_ns
        run_comparison(what, tmp_path, quiet)
        assert (tmp_path / "trunk.pt").stat().st_mtime_ns == whole

    def test_another_budget_is_another_cell(self) -> None:
        cell = Cell("coupled pair", "mixed", 4, 0)
        assert cell.file_name(SMALL, "") != cell.file_name(replace(SMALL, steps=4), "")
        assert cell.file_name(SMALL, "") != cell.file_name(SMALL, "trunk")

    def test_a_cell_keeps_the_file_name_of_earlier_versions(self) -> None:
        cell = Cell("coupled pair λ1 confusion", "mixed", 4, 0)
        assert cell.file_name(Budget(), "t") == "coupled-pair-d1-confusion_mixed_4_0_2ef8a79201.json"

    def test_unknown_names_are_refused_with_the_known_ones(self) -> None:
        with pytest.raises(TrainError, match="single ce"):
            make_cells(["best"], ["mixed"], [4], 1)
        with pytest.raises(TrainError, match="shared-shift"):
            make_cells(list(ARMS), ["perfect"], [4], 1)

    @pytest.mark.parametrize("text", ["8/8", "-1/2", "1", "a/b", "0/0"])
    def test_an_invalid_part(self, text: str) -> None:
        with pytest.raises(TrainError, match="not a part"):
            parse_part(text)


class TestGrowth:
    def test_both_orders_begin_alike_and_never_read_a_patient_twice(self, tmp_path: Path) -> None:
        what = Comparison(("coupled pair",), ("mixed",), (6,), 1, SMALL, trunk_steps=2, trunk_patients=2)
        growth = StudyGrowth("coupled pair", "mixed", first=2, step=2, rounds=2, seeds=1)
        table = run_growth(what, growth, tmp_path, quiet)
        assert [line.split("|")[1].strip() for line in table.splitlines()[4:]] == ["2", "4", "6"]
        first, *_, last = table.splitlines()[4:]
        for line in (first, last):  # the same patients give the same error
            assert line.split("|")[4].strip() == "1.00"
        assert run_growth(what, growth, tmp_path, quiet) == table

    def test_a_pool_that_is_too_small_is_refused(self, tmp_path: Path) -> None:
        what = Comparison(("coupled pair",), ("mixed",), (2,), 1, SMALL, trunk_steps=2, trunk_patients=2)
        with pytest.raises(TrainError, match="too few"):
            run_growth(what, StudyGrowth("coupled pair", "mixed"), tmp_path, quiet)


class TestRatios:
    def measured(self, scale: float, noise: float = 0.0) -> CellErrors:
        rng = np.random.default_rng(1)
        errors = rng.gamma(2.0, 1.0, (3, 50)) * scale
        errors = errors + noise * np.random.default_rng(int(100 * scale)).random((3, 50))
        return CellErrors(np.full((3, 50), 20.0), {"median difference": errors})

    def test_half_the_error_everywhere_is_a_ratio_of_one_half(self) -> None:
        found = error_ratio(self.measured(0.5), self.measured(1.0), "median difference", "median difference")
        assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))

    @pytest.mark.parametrize(("scale", "word"), [(0.8, "reached"), (0.95, "missed")])
    def test_the_report_says_whether_the_aim_is_reached(self, scale: float, word: str) -> None:
        base, default = self.measured(1.0), self.measured(scale)
        both = {"expectation difference", "no change"}
        found = {
            (arm, kind, 26): CellErrors(each.joints, dict.fromkeys(both, each.errors["median difference"]))
            for arm, each in ((BASELINE, base), ("coupled pair", default))
            for kind in ("shared-shift", "mixed")
        }
        text = format_report(found, "expectation")
        assert f"- shared-shift: {scale:.2f}, so the aim of 0.85 is {word}" in text
        assert f"- mixed: {scale:.2f}, no worse" in text
        assert f"| coupled pair | 2 | {scale:.3f} |" in text

    def test_the_interval_contains_the_ratio_and_reflects_uncertainty(self) -> None:
        found = error_ratio(self.measured(0.9, 1.0), self.measured(1.0, 1.0), "median difference", "median difference")
        assert found.low < found.value < found.high
        assert found.high - found.low > 0.01
