"""The comparison: cells that any process can compute, labels that could be entered, and ratios paired by patient."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ratui.errors import TrainError
from ratui.phantom import RATERS
from trainer.data import cohort as drawing
from trainer.data.cohort import Cohort, load_cohort, simulate_readings
from trainer.experiments.arms import ARMS, BASELINE, Budget, Cell, make_cells
from trainer.experiments.cells import choose_rule, run_cell
from trainer.experiments.comparison import Comparison
from trainer.experiments.comparison_table import CellErrors, error_ratio, format_report
from trainer.experiments.engines import Engine, run_experiment
from trainer.experiments.learning_curve import LearningCurve, StudyGrowth
from trainer.experiments.tasks import Start, parse_part

pytestmark = pytest.mark.slow

SMALL = Budget(steps=3, batch=16, pixels=32, width=8, patients=2)


def quiet(*_: object) -> None:
    pass


def compute(experiment: Comparison | LearningCurve, start: Start | None = None, processes: int = 1) -> str:
    """Compute an experiment, and return its table. No task may fail."""
    outcome = run_experiment(experiment, start or Start(), Engine(processes), quiet)
    assert not outcome.failures
    return experiment.format_table()


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
        what = Comparison(folder, (BASELINE, "coupled pair"), ("shared-shift",), (2, 4), 1, SMALL)
        first = compute(what, Start(part=(0, 2)))
        assert "2 of 4 cells" in first
        before = {file.name: file.stat().st_mtime_ns for file in (folder / "cells").iterdir()}
        assert "4 of 4 cells" in compute(what, Start(part=(1, 2)))
        table = compute(what)
        assert {name: (folder / "cells" / name).stat().st_mtime_ns for name in before} == before
        assert "### 2 patients" in table
        assert "### 4 patients" in table
        assert "| coupled pair |" in table

    def test_a_cell_is_the_same_in_any_process(self, people: Cohort, folder: Path, tmp_path: Path) -> None:
        for out in (folder, tmp_path):
            compute(Comparison(out, ("coupled pair",), ("mixed",), (4,), 1, SMALL))
        name = Cell("coupled pair", "mixed", 4, 0).file_name(SMALL, " from 8")
        one, two = (json.loads((out / "cells" / name).read_text())["measured"] for out in (folder, tmp_path))
        assert one == two

    def test_other_patients_to_measure_on_are_other_cells(self, people: Cohort, folder: Path) -> None:
        what = Comparison(folder, (BASELINE,), ("shared-shift",), (2,), 1, SMALL)
        compute(what)
        before = {file.name for file in (folder / "cells").iterdir()}
        assert "1 of 1 cells" in compute(replace(what, test=78))
        (new,) = {file.name for file in (folder / "cells").iterdir()} - before
        assert json.loads((folder / "cells" / new).read_text())["measured"]["joints"]

    def test_a_trunk_with_a_time_limit_resumes(self, tmp_path: Path) -> None:
        arms = (BASELINE, "coupled pair")
        what = Comparison(tmp_path, arms, ("mixed",), (2,), 1, SMALL, trunk_steps=3, trunk_patients=2)
        assert what.tasks() is None, "their names depend on the trunk"
        assert "trunk is not finished" in compute(what, Start(seconds=0.0))
        assert not (tmp_path / "cells").exists()
        assert "2 of 2 cells" in compute(what)
        whole = (tmp_path / "trunk.pt").stat().st_mtime_ns
        compute(what)
        assert (tmp_path / "trunk.pt").stat().st_mtime_ns == whole

    def test_another_budget_is_another_cell(self) -> None:
        cell = Cell("coupled pair", "mixed", 4, 0)
        assert cell.file_name(SMALL, "") != cell.file_name(replace(SMALL, steps=4), "")
        assert cell.file_name(SMALL, "") != cell.file_name(SMALL, "trunk")

    def test_a_cell_of_an_earlier_version_is_another_one(self) -> None:
        cell = Cell("coupled pair λ1 confusion", "mixed", 4, 0)
        assert cell.file_name(Budget(), "t") != "coupled-pair-d1-confusion_mixed_4_0_2ef8a79201.json"
        assert cell.file_name(Budget(), "t").startswith("coupled-pair-d1-confusion_mixed_4_0_")

    def test_each_seed_trains_on_other_patients(self, people: Cohort) -> None:
        (one, rows), (other, _) = (people.draw(2, seed) for seed in (0, 1))
        assert one.patients != other.patients
        assert np.array_equal(one.crops, people.crops[rows])
        assert np.array_equal(one.true_grades, people.true_grades[rows])
        assert [people.patients[people.patient_index[row]] for row in rows] == [
            one.patients[index] for index in one.patient_index
        ]
        larger, _ = people.draw(3, 0)
        assert larger.patients[:2] == one.patients
        with pytest.raises(TrainError, match="can't be drawn"):
            people.draw(5, 0)

    def test_the_rule_is_chosen_on_the_readings_of_training_patients(self, people: Cohort) -> None:
        samples = simulate_readings(people, "mixed", 2, 0)
        pairs = np.full((len(samples.labels), 2, 6, 6), 1e-9)
        # The most probable change is none, the expected one 1.2: the rules disagree.
        pairs[:, :, 0, 0], pairs[:, :, 0, 3] = 0.6, 0.4
        probabilities = [pairs[:, 0] / pairs[:, 0].sum(axis=(1, 2), keepdims=True)] * 2
        for change, rule in ((0, "median"), (1, "expectation")):
            labels = np.zeros_like(samples.labels)
            labels[..., 1] = change
            assert choose_rule(replace(samples, labels=labels), probabilities) == rule

    def test_the_errors_of_the_chosen_rule_are_those_of_the_test_patients(self, people: Cohort) -> None:
        result = run_cell(Cell("compared ce", "mixed", 2, 0), people, people, SMALL)
        assert result["measured"]["chosen"] == result["measured"][result["rule"]]

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
        what = Comparison(tmp_path, ("coupled pair",), ("mixed",), (6,), 1, SMALL, trunk_steps=2, trunk_patients=2)
        growing = LearningCurve(what, StudyGrowth("coupled pair", "mixed", first=2, step=2, rounds=2, seeds=1))
        table = compute(growing)
        assert [line.split("|")[1].strip() for line in table.splitlines()[4:]] == ["2", "4", "6"]
        first, *_, last = table.splitlines()[4:]
        for line in (first, last):  # the same patients give the same error
            assert line.split("|")[4].strip() == "1.00"
        assert compute(growing) == table

    def test_a_pool_that_is_too_small_is_refused(self, tmp_path: Path) -> None:
        what = Comparison(tmp_path, ("coupled pair",), ("mixed",), (2,), 1, SMALL, trunk_steps=2, trunk_patients=2)
        with pytest.raises(TrainError, match="too few"):
            compute(LearningCurve(what, StudyGrowth("coupled pair", "mixed")))
        assert not (tmp_path / "trunk.pt").exists()


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
