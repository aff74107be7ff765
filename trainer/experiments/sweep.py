"""Sweep: one training for each combination of settings and each seed, and its errors on validation cases.

All trainings have the same training cases. The validation cases are a part of these, which each seed chooses anew. The
held-out cases are neither learned from nor measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ratui.bounded_parsing import parse_json, read_bounded
from ratui.errors import TrainError
from ratui.files import atomic_write
from ratui.progress_bar import ProgressBar
from ratui.study import Study
from trainer.data.hands import load_hand_samples
from trainer.data.pairs import PairSamples, drop_fixed_scores, list_signed_cases, load_pair_samples, select_pairs
from trainer.data.splits import Split, pick_validation_cases, split_cases
from trainer.evaluation.scale_predictions import match_labels
from trainer.experiments.run_set import check_plan, list_seeds, load_record, reseed, train_run
from trainer.experiments.sweep_settings import Settings, describe_combination, name_combination
from trainer.experiments.tasks import Progress, Task
from trainer.inference.decisions import DEFAULT_DECISION
from trainer.inference.scoring import load_scorers, score_samples
from trainer.models.checkpoint_files import load_checkpoint
from trainer.training.detector_training import select_cases, split_validation
from trainer.training.loop import pick_device
from trainer.training.runs import RunPlan, describe_settings
from trainer.training.scorer_training import divide_rows

__all__ = ["Combination", "Measures", "Sweep"]

_RECORD, _MEASURES = "sweep.json", "validation.json"
_OF_THE_LOSS = {"loss", "difference", "class-weights"}
"""Settings that change the loss itself, so that its values can't be compared."""
_LARGEST_FILE = 10_000  # bytes


@dataclass(frozen=True)
class Combination:
    """Values of the settings that vary, by the name of their option, and the plan of the trainings with them."""

    settings: Settings
    plan: RunPlan

    @property
    def title(self) -> str:
        """The values in words."""
        return describe_combination(self.settings)


@dataclass(frozen=True)
class Measures:
    """Errors of a training on its validation cases.

    Attributes
    ----------
    loss
        Loss of the best epoch.
    epoch
        Number of this epoch, from 1.
    cases
        Number of validation cases.
    change, grade
        Mean absolute error of the decided change and of the decided grades, over all scales, raters and joints; None for a
        detector, and for the change if no score has one at the other time point.
    """

    loss: float
    epoch: int
    cases: int
    change: float | None = None
    grade: float | None = None


@dataclass(frozen=True)
class Sweep:
    """A sweep of a model on a study; an `trainer.experiments.tasks.Experiment`.

    Attributes
    ----------
    folder
        Folder of the runs and of the table.
    model
        ``scorer`` or ``detector``.
    study
        Folder of the study.
    plan
        Settings of the trainings without those that vary. Its seed is that of the split, and the first one of the trainings.
    combinations
        Settings that vary, all with the same names.
    seeds
        Number of trainings with each combination.
    device
        Name of the device.
    """

    folder: Path
    model: str
    study: Path
    plan: RunPlan
    combinations: tuple[Combination, ...]
    seeds: int
    device: str = "auto"

    @property
    def samples(self) -> Path:
        """The cache of images that all runs share."""
        return self.plan.samples or self.folder / "samples"

    @property
    def varies_loss(self) -> bool:
        """True if a setting of the loss varies. Then losses can't be compared, and the errors are."""
        return any(_OF_THE_LOSS.intersection(each.settings) for each in self.combinations)

    def all_seeds(self) -> tuple[int, ...]:
        """Return the seeds of the trainings."""
        return list_seeds(self.plan, self.seeds)

    def split(self) -> Split:
        """Return the training cases and the held-out ones of the cases that were signed when the sweep began.

        Raises
        ------
        TrainError
            If the folder has results of other settings, or the cases are too few to validate with.
        """
        for each in self.combinations:
            check_plan(self.model, each.plan)
        if not self.plan.validation:
            raise TrainError("a sweep needs validation cases", "--validation", "Give a share such as 0.2")
        facts = {"model": self.model, **describe_settings(self.plan)}
        record = load_record(self.folder / _RECORD, facts, self._draw_up)
        try:
            split = Split(*(tuple(str(case) for case in record[part]) for part in ("train", "test")))
        except (KeyError, TypeError) as error:
            raise TrainError("it can't be read", self.folder / _RECORD, "Give another --out") from error
        self._check_validation(split)
        return split

    def run_folder(self, combination: Combination, seed: int) -> Path:
        """Return the run folder of a training."""
        return self.folder / "runs" / f"{name_combination(combination.settings)}-seed-{seed}"

    def tasks(self) -> tuple[Task, ...]:
        """Return a task for each training, ordered by seed."""
        self.split()
        return tuple(
            Task(self.run_folder(each, seed).name, f"{each.title}, seed {seed}")
            for seed in self.all_seeds()
            for each in self.combinations
        )

    def prepare(self, until: float, progress: Progress) -> None:
        """Cache the images of all cases. Raises TrainError if a seed has no score or no box to validate with."""
        split, study = self.split(), Study.open(self.study)
        if self.model == "scorer":
            pairs = self._load_pairs(study, split, ProgressBar())
            kept = {seed: len(divide_rows(pairs, reseed(self.plan, seed))[1]) for seed in self.all_seeds()}
        else:
            with study.snapshot() as frozen:
                hands = load_hand_samples(frozen, _all_cases(split), self.samples, ProgressBar())
            hands, share = select_cases(hands, set(split.train)), self.plan.validation
            kept = {seed: len(split_validation(hands, share, seed)[1].cases) for seed in self.all_seeds()}
        for seed, count in kept.items():
            if not count:
                raise _too_small(split, seed)

    def is_finished(self, task: Task) -> bool:
        """Return whether the training was measured."""
        return (self.folder / "runs" / task.name / _MEASURES).exists()

    def run(self, task: Task) -> None:
        """Train and measure a model."""
        run = self.folder / "runs" / task.name
        plans = {
            self.run_folder(each, seed): reseed(each.plan, seed)
            for each in self.combinations
            for seed in self.all_seeds()
        }
        split, plan = self.split(), replace(plans[run], samples=self.samples, resume=True)
        train_run(self.model, self.study, run, plan, self.device, split)
        measures = self._measure(run, plan, split)
        try:
            with atomic_write(run / _MEASURES) as temporary:
                temporary.write_text(json.dumps(asdict(measures)), encoding="utf-8")
        except OSError as error:
            raise TrainError(
                f"it can't be written: {error.strerror}", run / _MEASURES, "Free some disk space"
            ) from error

    def measures(self, combination: Combination) -> tuple[Measures, ...]:
        """Return the measures of all seeds; nothing if a training is not finished. Raises TrainError for a damaged file."""
        files = [self.run_folder(combination, seed) / _MEASURES for seed in self.all_seeds()]
        return tuple(map(_read, files)) if all(file.exists() for file in files) else ()

    def _draw_up(self) -> dict[str, Any]:
        """Return the study's ID and the split of the cases. Raises TrainError if nothing can be measured."""
        study = Study.open(self.study)
        study.check_manager("train models on it")
        if self.folder.resolve().is_relative_to(study.path.resolve()):
            raise TrainError("the runs can't be inside the study", self.folder, "Choose another folder")
        split = split_cases(list_signed_cases(study), seed=self.plan.training.seed, held_out=self.plan.held_out)
        self._check_validation(split)
        return {"study": study.config.id, "train": split.train, "test": split.test}

    def _check_validation(self, split: Split) -> None:
        """Raise TrainError if a seed keeps no case for validation. A detector keeps one of two cases in any case."""
        for seed in self.all_seeds():
            if not pick_validation_cases(
                split.train, seed=seed, share=self.plan.validation, required=self.model == "detector"
            ):
                raise _too_small(split, seed)

    def _load_pairs(self, study: Study, split: Split, progress: Progress) -> PairSamples:
        """Return the joints of the training cases, as a training sees them."""
        with study.snapshot() as frozen:
            samples = load_pair_samples(frozen, _all_cases(split), self.samples, progress)
        return drop_fixed_scores(select_pairs(samples, set(split.train)))

    def _measure(self, run: Path, plan: RunPlan, split: Split) -> Measures:
        about = load_checkpoint(run / "model.pt")["about"]
        if "validation_loss" not in about:
            raise _too_small(split, plan.training.seed)
        found = Measures(float(about["validation_loss"]), int(about["epoch"]), int(about["validation_cases"]))
        if self.model == "detector":
            return found
        pairs = self._load_pairs(Study.open(self.study), split, ProgressBar(log_stages=False))
        _, rows = divide_rows(pairs, plan)
        pairs = select_pairs(pairs, {pairs.cases[row] for row in rows.tolist()})
        probabilities = score_samples(load_scorers((run,), pick_device(self.device)), pairs)
        matched = [match_labels(pairs, each, scale, DEFAULT_DECISION) for scale, each in enumerate(probabilities)]
        changes = np.concatenate([each.errors for each in matched])
        grades = np.concatenate([each.status.grade - each.status.label for each in matched])
        return replace(found, change=_mean(changes), grade=_mean(grades))


def _all_cases(split: Split) -> tuple[str, ...]:
    return tuple(sorted((*split.train, *split.test)))


def _mean(errors: Sequence[float] | np.ndarray[Any, Any]) -> float | None:
    return float(np.abs(errors).mean()) if len(errors) else None


def _read(file: Path) -> Measures:
    try:
        found = Measures(**parse_json(read_bounded(file, _LARGEST_FILE)))
        needed = (found.loss, found.epoch, found.cases)
        others = (each for each in (found.change, found.grade) if each is not None)
        if not all(map(math.isfinite, (*needed, *others))):
            raise ValueError("no number")
    except (OSError, ValueError, TypeError) as error:
        raise TrainError("it can't be read", file, "Delete it and run the sweep again") from error
    return found


def _too_small(split: Split, seed: int) -> TrainError:
    return TrainError(
        f"with seed {seed}, none of the {len(split.train)} training cases is kept for validation",
        "--validation",
        "Give a larger share, or sign more cases",
    )
