"""The experiments: which patients each part learns from and is measured on, and errors computed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainer.synthetic import SCHEME, make_cohort, quiet
from trainer.data.cohort import Cohort, simulate_readings
from trainer.data.pairs import PairSamples
from trainer.experiments import cells, comparison, learning_curve
from trainer.experiments.arms import Budget, Cell
from trainer.experiments.cells import TrunkFeatures, choose_rule, measure_errors, run_cell
from trainer.experiments.comparison import Comparison
from trainer.experiments.comparison_table import CellErrors, error_ratio
from trainer.experiments.learning_curve import StudyGrowth, grow_study

SITES = len(SCHEME.sites)


def readings_of(people: Cohort) -> PairSamples:
    """Return readings by two raters who see the truth."""
    labels = np.stack([people.true_grades, people.true_grades], axis=1)
    labels = np.where(people.max_grades[:, None, :, None] >= 0, labels, -1)
    return PairSamples(
        people.crops,
        labels,
        people.max_grades,
        people.groups,
        np.zeros((len(labels), 2, 2), bool),
        tuple(f"P{people.patients[index].seed}" for index in people.patient_index),
        people.sites,
        people.group_names,
        SCHEME.scales,
    )


class TestCohorts:
    @pytest.fixture
    def loaded(self, monkeypatch: pytest.MonkeyPatch) -> dict[int, Cohort]:
        """Return the cohorts by their numbers, as they are loaded."""
        seen: dict[int, Cohort] = {}

        def load(patients: int, seed: int, *_: object) -> Cohort:
            return seen.setdefault(seed, make_cohort(patients, seed=seed))

        monkeypatch.setattr(comparison, "load_cohort", load)
        return seen

    def test_the_trunk_learns_from_patients_of_its_own(
        self, loaded: dict[int, Cohort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trained: list[Cohort] = []
        monkeypatch.setattr(
            comparison, "train_trunk", lambda people, *_, until: trained.append(people) or path.touch() or True
        )
        path = tmp_path / "trunk.pt"
        features = TrunkFeatures(torch.zeros(1), torch.zeros(1))
        monkeypatch.setattr(Comparison, "_load_trunk_features", lambda *_: features)
        what = Comparison(tmp_path, ("ce",), ("mixed",), (2,), trunk_steps=3, trunk_patients=2, test=78)
        what.prepare(float("inf"), quiet)
        data = what.shared_data
        assert len(loaded) == 3
        assert loaded[comparison.TRAIN] is data.train
        assert loaded[78] is data.test
        assert [people for people in loaded.values() if people not in (data.train, data.test)] == trained
        assert len({comparison.TRAIN, comparison.TEST, comparison.TRUNK, 78}) == 4
        assert len(data.train.patients) == 4, "twice the largest size"

    def test_each_seed_draws_its_own_patients(self) -> None:
        pool = make_cohort(12)
        chosen = {}
        for seed in range(4):
            drawn, rows = pool.draw(3, seed)
            chosen[seed] = tuple(person.seed for person in drawn.patients)
            assert len(set(chosen[seed])) == 3
            for row, at in enumerate(rows):
                assert drawn.sites[row] == pool.sites[at]
                assert np.array_equal(drawn.crops[row], pool.crops[at])
                assert np.array_equal(drawn.true_grades[row], pool.true_grades[at])
                assert drawn.patients[drawn.patient_index[row]] == pool.patients[pool.patient_index[at]]
        assert len(set(chosen.values())) == 4


class TestCell:
    def test_rule_and_errors_belong_to_the_right_patients(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pool, test = make_cohort(6, seed=1), make_cohort(2, seed=2, first=100)
        learned: list[PairSamples] = []
        judged: list[tuple[PairSamples, list[np.ndarray]]] = []
        monkeypatch.setattr(cells, "simulate_readings", lambda people, *_: readings_of(people))
        monkeypatch.setattr(cells, "train_cell", lambda cell, samples, *_: learned.append(samples))

        def predict(model: object, people: Cohort, *_: object) -> list[np.ndarray]:
            """Answer with the number of the patient as the change."""
            numbers = np.array([person.seed for person in people.patients])[people.patient_index]
            table = np.zeros((len(numbers), 6, 6))
            table[np.arange(len(numbers)), 0, numbers % 6] = 1
            return [table, table]

        monkeypatch.setattr(cells, "_predict", predict)
        monkeypatch.setattr(cells, "choose_rule", lambda samples, own: judged.append((samples, own)) or "median")
        result = run_cell(Cell("ce", "mixed", 3, 1), pool, test, Budget(raters=2))
        own, _ = pool.draw(3, 1)
        assert len(learned) == len(judged) == 1
        assert list(dict.fromkeys(learned[0].cases)) == [f"P{person.seed}" for person in own.patients]
        samples, probabilities = judged[0]
        assert samples.cases == learned[0].cases
        assert np.array_equal(probabilities[0], predict(None, own)[0])
        change = test.true_grades[:, 0, 1] - test.true_grades[:, 0, 0]
        numbers = np.array([100, 101])[test.patient_index] % 6
        wanted = np.bincount(test.patient_index, np.abs(numbers - change)).tolist()
        assert result["measured"]["median"]["difference"] == wanted
        assert result["measured"]["chosen"] == result["measured"]["median"]

    def test_scores_that_a_finding_sets_are_not_learned(self, monkeypatch: pytest.MonkeyPatch) -> None:
        learned: list[PairSamples] = []

        def read(people: Cohort, *_: object) -> PairSamples:
            samples = readings_of(people)
            samples.has_finding[3, 0, 1] = True
            return samples

        def stop(_cell: object, samples: PairSamples, *_: object) -> None:
            learned.append(samples)
            raise InterruptedError

        monkeypatch.setattr(cells, "simulate_readings", read)
        monkeypatch.setattr(cells, "train_cell", stop)
        with pytest.raises(InterruptedError):
            run_cell(Cell("ce", "mixed", 1, 0), make_cohort(2), make_cohort(1), Budget(raters=2))
        assert (learned[0].labels[3, 0] == -1).all()
        assert (learned[0].labels[3, 1, 0] >= 0).all()

    def test_the_rule_has_the_smallest_error_of_the_change_on_these_labels(self) -> None:
        # The expected change is 1.2 (rounded 1), the most probable one 0.
        table = np.zeros((SITES, 6, 6))
        table[:, 0, 0], table[:, 0, 3] = 0.6, 0.4
        samples = readings_of(make_cohort(1))
        for change, rule in ((0, "median"), (1, "expectation")):
            labels = np.zeros_like(samples.labels)
            labels[:, :, 0, 1] = change
            labels[:, :, 1, 1] = 1 - change  # of the other scale, which does not count
            labels[0] = -1
            assert choose_rule(replace(samples, labels=labels), [table, table]) == rule

    def test_errors_are_sums_over_the_joints_of_each_patient_without_a_finding(self) -> None:
        people = make_cohort(2, seed=4)
        people.has_finding[5, 1] = people.has_finding[SITES + 7, 0] = True
        table = np.zeros((2 * SITES, 6, 6))
        table[:, 1, 1], table[:, 1, 3] = 0.4, 0.6
        found = measure_errors(people, [table, table[:, ::-1]])
        sums: dict[str, list[float]] = {"no change": [0, 0], "raw": [0, 0], "median": [0, 0], "reversed": [0, 0]}
        for row in range(2 * SITES):
            if row in (5, SITES + 7):
                continue
            earlier, later = people.true_grades[row, 0].tolist()
            patient, change = row // SITES, later - earlier
            sums["no change"][patient] += abs(change)
            sums["raw"][patient] += abs(1.2 - change)
            sums["median"][patient] += abs(2 - change)
            sums["reversed"][patient] += change < 0
        assert found["joints"] == [SITES - 1, SITES - 1]
        assert found["no change"] == pytest.approx(sums["no change"])
        assert found["raw"] == pytest.approx(sums["raw"])
        assert found["median"]["difference"] == pytest.approx(sums["median"])
        assert found["median"]["reversed"] == pytest.approx(sums["reversed"])

    def test_raters_of_another_seed_read_otherwise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        draws: list[int] = []
        empty = SimpleNamespace(findings={}, grades=dict.fromkeys(
            ((site.key, scale, time) for site in SCHEME.sites for scale in SCHEME.scales for time in (0, 1)), 0
        ))  # fmt: skip
        reader = SimpleNamespace(read=lambda patient, rng: draws.append(int(rng.integers(2**60))) or empty)
        monkeypatch.setattr("trainer.data.cohort.RATERS", {"mixed": reader, "other": reader})
        for seed in (0, 1):
            for kind in ("mixed", "other"):
                simulate_readings(make_cohort(2), kind, 2, seed)
        assert len(set(draws)) == len(draws) == 16


class TestCurve:
    def chosen(self, order: Any, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
        """Return the patients whose readings each round learns from; patient n has a doubt of n."""
        train, test = make_cohort(8, seed=1), make_cohort(1, seed=2)
        rounds: list[list[int]] = []
        monkeypatch.setattr(learning_curve, "simulate_readings", lambda people, *_: readings_of(people))

        def note(cell: Cell, samples: PairSamples, budget: Budget, features: TrunkFeatures) -> None:
            rounds.append([int(case[1:]) for case in dict.fromkeys(samples.cases)])
            assert cell.size == len(rounds[-1])
            assert features.train[0, :, 0, 0].tolist() == [int(case[1:]) for case in samples.cases]

        def predict(_: object, features: torch.Tensor, people: Cohort) -> Sequence[np.ndarray]:
            doubts = features[:, 0, 0].numpy() / 20
            table = np.zeros((len(doubts), 6, 6))
            table[:, 0, 0], table[:, 0, 3] = 1 - doubts, doubts
            return [table, table]

        monkeypatch.setattr(learning_curve, "train_cell", note)
        monkeypatch.setattr(learning_curve, "predict_from_features", predict)
        features = torch.from_numpy(train.patient_index).float().reshape(1, -1, 1, 1).expand(1, -1, 2, 3)
        growth = StudyGrowth("coupled pair", "mixed", first=2, step=2, rounds=2)
        grow_study(growth, order, 0, train, test, Budget(), TrunkFeatures(features, torch.zeros(SITES, 2, 3)))
        return rounds

    def test_the_most_uncertain_patients_come_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        first, second, third = self.chosen("uncertainty", monkeypatch)
        left = sorted(set(range(8)) - set(first), reverse=True)
        assert set(second) - set(first) == set(left[:2])
        assert set(third) - set(second) == set(left[2:4])

    def test_random_order_ignores_the_doubts_and_begins_alike(self, monkeypatch: pytest.MonkeyPatch) -> None:
        shuffled = np.random.default_rng([0, 7]).permutation(8)
        rounds = self.chosen("random", monkeypatch)
        assert [set(each) for each in rounds] == [{*shuffled[:count].tolist()} for count in (2, 4, 6)]
        assert self.chosen("uncertainty", monkeypatch)[0] == rounds[0]


def test_a_ratio_pairs_patients_and_resamples_them() -> None:
    # One recipe errs on the first patient, the other on the second; both have two seeds.
    one = CellErrors(np.full((2, 2), 10.0), {"median difference": np.array([[4.0, 0.0], [4.0, 0.0]])})
    other = CellErrors(np.full((2, 2), 10.0), {"median difference": np.array([[0.0, 2.0], [0.0, 2.0]])})
    assert one.mean("median difference") == pytest.approx(0.2)
    found = error_ratio(one, other, "median difference", "median difference")
    assert found.value == pytest.approx(2.0)
    assert found.low == 0.0
    assert found.high > 1e6
    both = CellErrors(np.full((2, 3), 10.0), {"median difference": np.array([[4.0, 1.0, 9.0], [5.0, 2.0, 9.0]])})
    same = error_ratio(both, both, "median difference", "median difference")
    assert (same.value, same.low, same.high) == (1.0, 1.0, 1.0)
