"""Comparison of recipes: patients that are simulated once, and a table of cells, each of which is trained by itself.

Each cell is a file. So an interrupted comparison can continue, and several processes can fill one table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ratui.errors import TrainError, clean_text
from ratui.progress_bar import ProgressBar
from trainer.data.cohort import Cohort, load_cohort
from trainer.experiments.arms import Budget, Cell, make_cells
from trainer.experiments.cells import AUGMENTED_COPIES, TrunkFeatures, run_cell, save_cell
from trainer.experiments.comparison_table import collect_errors, format_report
from trainer.experiments.shared_trunk import extract_trunk_features, load_trunk, train_trunk, trunk_digest
from trainer.experiments.tasks import Progress, Task
from trainer.inference.decisions import DECISIONS
from trainer.models.checkpoint_files import load_checkpoint, save_checkpoint

__all__ = ["Comparison", "SharedData"]

TRAIN, TEST, TRUNK = 11, 77, 55
"""Numbers of the cohorts to train on, to measure on, and to train a fixed trunk on."""

CHOSEN = "chosen"
"""Name of the decision rule that each cell chooses on its training patients."""
_KNOWN = ", ".join((*DECISIONS, CHOSEN))
_TRUNK_UNFINISHED = "the trunk is not finished; run the command again to continue"


@dataclass(frozen=True)
class SharedData:
    """The patients to train on and to measure on, and their features if there is a fixed trunk."""

    train: Cohort
    test: Cohort
    trunk_features: TrunkFeatures | None


@dataclass(frozen=True)
class Comparison:
    """A comparison of recipes; an `trainer.experiments.tasks.Experiment`.

    Attributes
    ----------
    folder
        Folder of the patients, the trunk and the cells.
    arms, kinds, sizes, seeds
        Recipes, kinds of raters, numbers of training patients, and trainings of each cell.
    budget
        Settings that all cells share.
    trunk_steps, trunk_patients
        If `trunk_steps` is not 0, the network's trunk is trained once, in so many steps, on `trunk_patients` other patients,
        and is then the same for all cells.
    decision
        Decision whose errors the table shows.
    test
        Number of the cohort to measure on. Recipes that were chosen on one cohort should be measured on another.
    pool
        Number of patients from which each seed draws its training patients; None for twice the largest of `sizes`.
    """

    folder: Path
    arms: Sequence[str]
    kinds: Sequence[str]
    sizes: Sequence[int]
    seeds: int = 3
    budget: Budget = field(default_factory=Budget)
    trunk_steps: int = 0
    trunk_patients: int = 240
    decision: str = CHOSEN
    test: int = TEST
    pool: int | None = None

    def tasks(self) -> tuple[Task, ...] | None:
        """Return a task for each cell, ordered by seed. The trunk is part of their names, so there are none without it.

        Raises
        ------
        TrainError
            If a recipe, a kind of rater or the decision does not exist, or the pool is too small.
        """
        files = self._files()
        return (
            None
            if files is None
            else tuple(Task(name.removesuffix(".json"), _title(cell)) for name, cell in files.items())
        )

    def prepare(self, until: float, progress: Progress) -> None:
        """Make the trunk, the patients and their features, as far as they are not there."""
        files = self._files()
        if files is None or not all(map(self._is_stored, files)):
            self.prepare_data(until)

    def is_finished(self, task: Task) -> bool:
        """Return whether the cell's file is there."""
        return self._is_stored(f"{task.name}.json")

    def run(self, task: Task) -> None:
        """Train and measure the scorer of a cell, and write the cell's file."""
        # One thread gives the same result every time, and parallel processes share the cores.
        torch.set_num_threads(1)
        name, data = f"{task.name}.json", self.shared_data
        cell = (self._files() or {})[name]
        save_cell(self._cells / name, run_cell(cell, data.train, data.test, self.budget, data.trunk_features))

    def format_table(self) -> str:
        """Return the table of all finished cells as Markdown. Raises TrainError for a file that is no cell."""
        files = self._files()
        if files is None:
            return _TRUNK_UNFINISHED
        found = collect_errors(self._cells, tuple(files.values()), tuple(files))
        table = format_report(found, self.decision) if found else ""
        return f"{table}\n{sum(map(self._is_stored, files))} of {len(files)} cells are finished.\n"

    def prepare_data(self, until: float) -> None:
        """Make the trunk if it is not there, and load the data; at the time `until` the trunk may be unfinished."""
        torch.set_num_threads(1)
        bar = ProgressBar()
        is_ready = not self.trunk_steps or self._has_trunk() or self._train_trunk(until, bar)
        bar.close()
        if is_ready:
            _ = self.shared_data

    @cached_property
    def shared_data(self) -> SharedData:
        """The data that all cells share. What is not there is simulated and stored; the trunk must be finished."""
        bar, samples = ProgressBar(), self.folder / "cohorts"
        train = load_cohort(self.pool_size, TRAIN, samples, bar)
        test = load_cohort(self.budget.patients, self.test, samples, bar)
        features = self._load_trunk_features(train, test, bar) if self.trunk_steps else None
        bar.close()
        return SharedData(train, test, features)

    def __getstate__(self) -> dict[str, Any]:
        """Return the settings only: another process loads the data itself."""
        return {name: value for name, value in self.__dict__.items() if name != "shared_data"}

    @property
    def _cells(self) -> Path:
        return self.folder / "cells"

    @property
    def _trunk(self) -> Path:
        return self.folder / "trunk.pt"

    def _files(self) -> dict[str, Cell] | None:
        """Return the cells by the name of their file, or None if the trunk is not finished. Raises TrainError."""
        if self.decision not in (*DECISIONS, CHOSEN):
            raise TrainError(
                f"there is no decision named {clean_text(self.decision)}", "--decision", f"Take one of {_KNOWN}"
            )
        cells = make_cells(self.arms, self.kinds, self.sizes, self.seeds)
        measured_on = "" if self.test == TEST else f" on {self.test}"
        drawn_from = f" from {self.pool_size}"
        if self.trunk_steps and not self._has_trunk():
            return None
        trunk = trunk_digest(self._trunk) if self.trunk_steps else ""
        return {cell.file_name(self.budget, trunk + measured_on + drawn_from): cell for cell in cells}

    def _is_stored(self, name: str) -> bool:
        return (self._cells / name).exists()

    @property
    def pool_size(self) -> int:
        """The number of patients from which each seed draws. Raises TrainError if they are too few."""
        size = 2 * max(self.sizes) if self.pool is None else self.pool
        if size < max(self.sizes):
            raise TrainError(f"{max(self.sizes)} patients can't be drawn from {size}", "--pool", "Give a larger pool")
        return size

    def _has_trunk(self) -> bool:
        return self._trunk.exists() and int(load_checkpoint(self._trunk).get("step", 0)) >= self.trunk_steps

    def _train_trunk(self, until: float, progress: Progress) -> bool:
        """Train the trunk, or continue it; return True if it is finished at the time `until`."""
        plan = replace(self.budget, steps=self.trunk_steps, batch=128, rate=2e-3)
        people = load_cohort(self.trunk_patients, TRUNK, self.folder / "cohorts", progress)
        return train_trunk(people, plan, self._trunk, progress, until=until)

    def _load_trunk_features(self, train: Cohort, test: Cohort, progress: Progress) -> TrunkFeatures:
        """Return the trunk's features of both cohorts. They are computed once and stored beside the trunk."""
        budget = self.budget
        counts = f"{len(train.crops)} {len(test.crops)} {budget.pixels} {AUGMENTED_COPIES} {self.test}"
        identity = f"{trunk_digest(self._trunk)} {counts}"
        path = self._trunk.with_name(f"views-{hashlib.sha256(identity.encode()).hexdigest()[:12]}.pt")
        if path.exists():
            kept = load_checkpoint(path)["model"]
            return TrunkFeatures(kept["train"], kept["test"])
        trunk_features = extract_trunk_features(load_trunk(self._trunk, budget), train, test, budget, progress)
        save_checkpoint(path, {"model": {"train": trunk_features.train, "test": trunk_features.test}})
        return trunk_features


def _title(cell: Cell) -> str:
    return f"{cell.arm}, {cell.kind}, {cell.size} patients, seed {cell.seed}"
