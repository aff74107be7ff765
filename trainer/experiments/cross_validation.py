"""Cross-validation: the cases are divided into folds, and each fold is predicted by models trained on the others.

A case's fold depends on its name and the seed only, so it stays in its fold when a study grows. The folds of all training
seeds are the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ratui.errors import TrainError
from ratui.progress_bar import ProgressBar
from ratui.study import Study
from trainer.data.pairs import list_signed_cases
from trainer.data.splits import fold_of_case, split_fold
from trainer.experiments.run_set import (
    check_plan,
    is_trained,
    list_seeds,
    load_record,
    prepare_images,
    reseed,
    train_run,
)
from trainer.experiments.tasks import Progress, Task
from trainer.training.runs import RunPlan, describe_settings, read_parent

__all__ = ["CrossValidation"]

_RECORD = "folds.json"


@dataclass(frozen=True)
class CrossValidation:
    """A cross-validation of a model on a study; an `trainer.experiments.tasks.Experiment`.

    Attributes
    ----------
    folder
        Folder of the runs and of the report.
    model
        ``scorer`` or ``detector``.
    study
        Folder of the study.
    plan
        Settings of each training. Its seed is that of the folds, and the first one of the trainings.
    folds, seeds
        Number of folds, and number of trainings of each fold.
    device
        Name of the device.
    """

    folder: Path
    model: str
    study: Path
    plan: RunPlan
    folds: int
    seeds: int
    device: str = "auto"

    @property
    def samples(self) -> Path:
        """The cache of images that all runs share."""
        return self.plan.samples or self.folder / "samples"

    def all_seeds(self) -> tuple[int, ...]:
        """Return the seeds of the trainings."""
        return list_seeds(self.plan, self.seeds)

    def fold_of_cases(self) -> dict[str, int]:
        """Return the fold of each case that was signed when the cross-validation began.

        Raises
        ------
        TrainError
            If the folder has results of other settings, or the study can't be divided.
        """
        facts = {"model": self.model, "folds": self.folds, **describe_settings(self.plan)}
        record = load_record(self.folder / _RECORD, facts, self._draw_up)
        try:
            return {str(case): int(fold) for case, fold in record["cases"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TrainError("it can't be read", self.folder / _RECORD, "Give another --out") from error

    def list_used_folds(self) -> tuple[int, ...]:
        """Return the folds that have a case, in order."""
        return tuple(sorted(set(self.fold_of_cases().values())))

    def run_folder(self, seed: int, fold: int) -> Path:
        """Return the run folder of a training."""
        return self.folder / "runs" / f"seed-{seed}-fold-{fold}"

    def tasks(self) -> tuple[Task, ...]:
        """Return a task for each training, ordered by seed."""
        folds = self.list_used_folds()
        return tuple(
            Task(self.run_folder(seed, fold).name, f"seed {seed}, fold {fold}")
            for seed in self.all_seeds()
            for fold in folds
        )

    def prepare(self, until: float, progress: Progress) -> None:
        """Cache the images of all cases, so that no two processes prepare them."""
        prepare_images(
            self.model, Study.open(self.study), tuple(sorted(self.fold_of_cases())), self.samples, ProgressBar()
        )

    def is_finished(self, task: Task) -> bool:
        """Return whether the training is finished."""
        return is_trained(self.folder / "runs" / task.name)

    def run(self, task: Task) -> None:
        """Train a model without the cases of a fold."""
        seed, fold = (int(part) for part in task.name.split("-")[1::2])
        plan = replace(reseed(self.plan, seed), held_out=1 / self.folds, samples=self.samples, resume=True)
        split = split_fold(self.fold_of_cases(), fold)
        train_run(self.model, self.study, self.folder / "runs" / task.name, plan, self.device, split)

    def _draw_up(self) -> dict[str, Any]:
        """Return the study's ID and the fold of each signed case. Raises TrainError if nothing can be measured."""
        check_plan(self.model, self.plan)
        study = Study.open(self.study)
        study.check_manager("train models on it")
        if self.folder.resolve().is_relative_to(study.path.resolve()):
            raise TrainError(
                "the report shows answers of raters; it can't be inside the study", self.folder, "Choose another folder"
            )
        cases = list_signed_cases(study)
        folds = {case: fold_of_case(case, self.plan.training.seed, self.folds) for case in cases}
        if len(set(folds.values())) < 2:
            raise TrainError(
                f"the {len(cases)} read cases are in less than two of the folds",
                study.path,
                "Sign more cases, or give more --folds",
            )
        parent = read_parent(self.plan)
        if parent is not None and set(cases) <= parent.seen_cases(study.config.id):
            raise TrainError(
                "the model of --weights has learned from every signed case", study.path, "Start from other weights"
            )
        return {"study": study.config.id, "cases": folds}
