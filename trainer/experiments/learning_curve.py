"""Learning curves of two reading orders: the cases with the largest model uncertainty first, or cases at random.

Both orders start with the same patients and end with all of them. The question is how soon the error falls in between.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from ratui.errors import TrainError
from trainer.data.cohort import Cohort, simulate_readings
from trainer.data.pairs import PairSamples, drop_fixed_scores
from trainer.experiments.arms import Budget, Cell
from trainer.experiments.cells import TrunkFeatures, measure_errors, predict_from_features, save_cell, train_cell
from trainer.experiments.comparison import Comparison
from trainer.experiments.comparison_table import CellErrors, error_ratio
from trainer.experiments.tasks import Progress, Task
from trainer.inference.decisions import DEFAULT_DECISION
from trainer.inference.predictions import expected_total_error

__all__ = ["LearningCurve", "Order", "StudyGrowth", "format_curve", "grow_study"]

Order: TypeAlias = Literal["random", "uncertainty"]
ORDERS: tuple[Order, ...] = ("random", "uncertainty")
"""Random order, and the patients with the largest model uncertainty first."""
_TITLES: dict[Order, str] = {"random": "random", "uncertainty": "by uncertainty"}
_FILE_WORDS: dict[Order, str] = {"random": "chance", "uncertainty": "doubt"}
"""Words for the orders in file names and digests of stored curves, as in earlier versions."""


@dataclass(frozen=True)
class StudyGrowth:
    """Settings of the learning curves.

    A study starts with `first` patients and grows `rounds` times by `step` patients, read by raters of one `kind`. There are
    `seeds` studies of each order.
    """

    arm: str
    kind: str
    first: int = 5
    step: int = 5
    rounds: int = 6
    seeds: int = 5
    decision: str = DEFAULT_DECISION


@dataclass(frozen=True)
class LearningCurve:
    """The learning curves of both orders; an `trainer.experiments.tasks.Experiment`.

    `comparison` gives the patients, the budget and the fixed trunk. Its cells are not trained.
    """

    comparison: Comparison
    growth: StudyGrowth

    @property
    def folder(self) -> Path:
        """The folder of the comparison."""
        return self.comparison.folder

    def tasks(self) -> tuple[Task, ...]:
        """Return a task for each study and order. Raises TrainError without a fixed trunk, or for too few patients."""
        growth, pool = self.growth, self.comparison.pool_size
        if not self.comparison.trunk_steps:  # each round would have to train its own
            raise TrainError(
                "a learning curve needs a fixed trunk", "--trunk-steps", "Give as many steps as for compare"
            )
        if growth.first + growth.rounds * growth.step > pool:
            raise TrainError(
                f"{pool} patients are too few for these rounds",
                "curve",
                "Use a smaller step, or simulate more patients",
            )
        return tuple(Task(name, f"growing, {_TITLES[order]}, seed {seed}") for name, (seed, order) in self._studies())

    def prepare(self, until: float, progress: Progress) -> None:
        """Make the trunk, the patients and their features, as far as they are not there."""
        if not all(map(self.is_finished, self.tasks())):
            self.comparison.prepare_data(until)

    def is_finished(self, task: Task) -> bool:
        """Return whether the study has grown to its end."""
        return self._file(task.name).exists()

    def run(self, task: Task) -> None:
        """Grow a study, and write the errors of its rounds into a file."""
        torch.set_num_threads(1)
        seed, order = dict(self._studies())[task.name]
        data, budget = self.comparison.shared_data, self.comparison.budget
        assert data.trunk_features is not None
        rounds = grow_study(self.growth, order, seed, data.train, data.test, budget, data.trunk_features)
        save_cell(self._file(task.name), {"rounds": rounds})

    def format_table(self) -> str:
        """Return the table of a finished experiment as Markdown."""
        grown: dict[Order, list[list[dict[str, Any]]]] = {order: [] for order in ORDERS}
        for name, (_, order) in self._studies():
            grown[order].append(json.loads(self._file(name).read_text(encoding="utf-8"))["rounds"])
        return format_curve(self.growth, grown)

    def _studies(self) -> list[tuple[str, tuple[int, Order]]]:
        """Return the name, the seed and the order of each study."""
        found: list[tuple[str, tuple[int, Order]]] = []
        for seed, order in product(range(self.growth.seeds), ORDERS):
            word = _FILE_WORDS[order]
            facts = json.dumps([2, asdict(self.growth), asdict(self.comparison.budget), seed, word], sort_keys=True)
            found.append((f"curve_{word}_{seed}_{hashlib.sha256(facts.encode()).hexdigest()[:10]}", (seed, order)))
        return found

    def _file(self, name: str) -> Path:
        return self.folder / "curves" / f"{name}.json"


def grow_study(
    growth: StudyGrowth,
    order: Order,
    seed: int,
    train: Cohort,
    test: Cohort,
    budget: Budget,
    trunk_features: TrunkFeatures,
) -> list[dict[str, Any]]:
    """Return the number of patients and the errors after each round of one study's growth."""
    pool = len(train.patients)
    rng = np.random.default_rng([seed, 7])
    shuffled = rng.permutation(pool)
    chosen = list(shuffled[: growth.first])
    samples = drop_fixed_scores(simulate_readings(train, growth.kind, budget.raters, seed))
    found = []
    for number in range(growth.rounds + 1):
        rows = np.flatnonzero(np.isin(train.patient_index, chosen))
        part = TrunkFeatures(trunk_features.train[:, torch.from_numpy(rows)], trunk_features.test)
        cell = Cell(growth.arm, growth.kind, len(chosen), seed)
        model = train_cell(cell, _select_rows(samples, rows), budget, part)
        measured = measure_errors(test, predict_from_features(model, trunk_features.test, test))
        found.append({"patients": len(chosen), "measured": measured})
        if number == growth.rounds:
            break
        unread = [patient for patient in shuffled if patient not in set(chosen)]
        if order == "uncertainty":
            probabilities = predict_from_features(model, trunk_features.train[0], train)
            uncertainty = sum(
                expected_total_error(pair) * (train.max_grades[:, scale] >= 0)
                for scale, pair in enumerate(probabilities)
            )
            worth = np.bincount(train.patient_index, np.asarray(uncertainty), pool)
            unread.sort(key=lambda patient: -worth[patient])
        chosen += unread[: growth.step]
    return found


def format_curve(growth: StudyGrowth, grown: dict[Order, list[list[dict[str, Any]]]]) -> str:
    """Return a Markdown table: error of the change by number of patients read, for both orders, with their ratio."""
    lines = [
        (
            f"Error of the rounded ERO difference, `{growth.arm}`, raters `{growth.kind}`, "
            f"{growth.seeds} studies of each order."
        ),
        "",
        f"| patients read | {_TITLES['random']} | {_TITLES['uncertainty']} | ratio | 95 % interval |",
        "|---|---|---|---|---|",
    ]
    for number in range(growth.rounds + 1):
        random, uncertain = (_collect_errors(grown[order], number, growth.decision) for order in ORDERS)
        a, b = random.mean("difference"), uncertain.mean("difference")
        ratio = error_ratio(uncertain, random, "difference", "difference")
        read = grown["random"][0][number]["patients"]
        lines.append(f"| {read} | {a:.3f} | {b:.3f} | {ratio.value:.2f} | {ratio.low:.2f} to {ratio.high:.2f} |")
    return "\n".join(lines) + "\n"


def _collect_errors(studies: Sequence[list[dict[str, Any]]], number: int, decision: str) -> CellErrors:
    """Return the errors of round `number` of all studies, by (study, patient)."""
    measured = [study[number]["measured"] for study in studies]
    errors = np.array([each[decision]["difference"] for each in measured])
    return CellErrors(np.array([each["joints"] for each in measured]), {"difference": errors})


def _select_rows(samples: PairSamples, rows: npt.NDArray[np.int64]) -> PairSamples:
    """Return the joints of `rows` only."""
    return replace(
        samples,
        crops=samples.crops[rows],
        labels=samples.labels[rows],
        max_grades=samples.max_grades[rows],
        groups=samples.groups[rows],
        has_finding=samples.has_finding[rows],
        cases=tuple(samples.cases[row] for row in rows),
        sites=tuple(samples.sites[row] for row in rows),
    )
