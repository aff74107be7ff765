"""A fixed trunk for many cells, trained once on other simulated patients.

It is trained on the true grades of single time points with cross-entropy. If that favours any recipe, then the baseline.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ratui.errors import TrainError
from trainer.data.cohort import Cohort
from trainer.data.pair_augmentation import augment_pairs
from trainer.experiments.arms import Budget
from trainer.experiments.cells import (
    AUGMENTED_COPIES,
    TrunkFeatures,
    draw_batches,
    make_training,
    resize_crops,
    split_rows,
)
from trainer.models.checkpoint_files import load_checkpoint, save_checkpoint
from trainer.models.scorer import PairScorer
from trainer.training.loop import EpochResult
from trainer.training.processes import ProcessGroup
from trainer.training.scorer_training import ScorerBatch, make_batch_loss

__all__ = ["extract_trunk_features", "load_trunk", "train_trunk", "trunk_digest"]

Progress = Callable[[str, int, int], None]


def train_trunk(people: Cohort, budget: Budget, path: Path, progress: Progress, *, until: float) -> bool:
    """Train the trunk on `people` and store it in `path`; return True if it is finished.

    The training stops at the time `until` of `time.monotonic`. The next call continues it. Raises TrainError if `path` is
    no checkpoint.
    """
    torch.manual_seed(0)
    grades = [int(top) + 1 for top in people.max_grades.max(axis=0)]
    model = PairScorer(grades, len(people.group_names), pairing="single", width=budget.width)
    max_grades, groups = torch.from_numpy(people.max_grades), torch.from_numpy(people.groups)
    labels = torch.from_numpy(people.true_grades)[:, None].masked_fill(max_grades[:, None, :, None] < 0, -1)
    training = make_training(model, budget, _cosine, name="trunk")
    if path.exists():
        state = load_checkpoint(path)
        model.load_state_dict(state["model"])
        training.optimiser.load_state_dict(state["optimiser"])
        training.step = int(state["step"])
        training.epoch = training.step // len(split_rows(torch.arange(len(labels)), budget))
        if training.step >= budget.steps:
            return True

    def is_time_up() -> bool:
        return time.monotonic() > until

    def batches(epoch: int, _: ProcessGroup) -> Iterable[ScorerBatch]:
        for step, rows, generator in draw_batches(len(labels), budget, 0, epoch):
            if step < training.step:
                continue
            if is_time_up():
                return
            crops = torch.from_numpy(people.crops[rows.numpy()]).float() / 255
            inputs = augment_pairs(crops, generator, side=budget.pixels)
            yield ScorerBatch(inputs, groups[rows], labels[rows], max_grades[rows])

    def show(result: EpochResult) -> None:
        progress(f"trunk, loss {result.loss:.3f}", training.step, budget.steps)

    training.run(batches, make_batch_loss(model, "ce", 0.0), should_stop=is_time_up, on_epoch=show)
    state = {
        "model": model.state_dict(),
        "optimiser": training.optimiser.state_dict(),
        "step": training.step,
        "grades": grades,
    }
    save_checkpoint(path, state)
    return training.step >= budget.steps


def _cosine(done: float, total: float) -> float:
    """Return the learning rate's share of its maximum: half a cosine without warm-up."""
    return max(0.5 * (1 + math.cos(math.pi * done / total)), 0.01)


def load_trunk(path: Path, budget: Budget) -> PairScorer:
    """Return the trunk that `train_trunk` stored in `path`, in evaluation mode. Raises TrainError."""
    state = load_checkpoint(path)
    try:
        groups = state["model"]["group.weight"].shape[0]
        model = PairScorer(state["grades"], groups, pairing="single", width=budget.width)
        model.load_state_dict(state["model"])
    except (KeyError, RuntimeError, TypeError, AttributeError) as error:
        raise TrainError(
            "this is not a trunk of such a network", path, "Delete it and run the comparison again"
        ) from error
    return model.eval()


def trunk_digest(path: Path) -> str:
    """Return a digest of the trunk's file, which the names of its cells depend on."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


@torch.inference_mode()
def extract_trunk_features(
    trunk: PairScorer, train: Cohort, test: Cohort, budget: Budget, progress: Progress
) -> TrunkFeatures:
    """Return the features of both cohorts, for the training joints those of AUGMENTED_COPIES random augmentations."""
    parts: list[Tensor] = []
    for view in range(AUGMENTED_COPIES):
        rows = []
        for start in range(0, len(train.crops), 256):
            generator = torch.Generator().manual_seed(view * 1_000_003 + start)
            crops = torch.from_numpy(np.ascontiguousarray(train.crops[start : start + 256])).float() / 255
            rows.append(trunk.extract_features(augment_pairs(crops, generator, side=budget.pixels)))
        parts.append(torch.cat(rows))
        progress("extracting features", view + 1, AUGMENTED_COPIES)
    tested = [
        trunk.extract_features(resize_crops(test.crops[start : start + 256], budget.pixels))
        for start in range(0, len(test.crops), 256)
    ]
    return TrunkFeatures(torch.stack(parts), torch.cat(tested))
