"""A trunk that many cells share: learnt once from other simulated patients, then held fixed while each cell learns the rest.

It is taught each time point by itself, by plain cross-entropy on what is true, so that it favours the baseline if any.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ratui.errors import TrainError
from trainer.experiments.arms import Budget
from trainer.experiments.cells import AUGMENTED_COPIES, TrunkFeatures, iterate_batches, resize_crops
from trainer.experiments.cohort import Cohort
from trainer.models.scorer import PairScorer, augment_pairs, count_labelled, scorer_loss
from trainer.training.loop import load_checkpoint, save_checkpoint

__all__ = ["extract_trunk_features", "load_trunk", "train_trunk", "trunk_digest"]

Progress = Callable[[str, int, int], None]


def train_trunk(people: Cohort, budget: Budget, path: Path, progress: Progress, *, until: float) -> bool:
    """Trains the trunk on `people`, keeping it in `path`; says whether it is done, or was stopped by the clock at `until`.

    A trunk that was stopped goes on where it was. Raises TrainError for a file that is none.
    """
    torch.manual_seed(0)
    grades = [int(top) + 1 for top in people.max_grades.max(axis=0)]
    model = PairScorer(grades, len(people.group_names), pairing="single", width=budget.width)
    optimiser = torch.optim.AdamW(model.parameters(), lr=budget.rate, weight_decay=1e-3)
    max_grades, groups = torch.from_numpy(people.max_grades), torch.from_numpy(people.groups)
    labels = torch.from_numpy(people.true_grades)[:, None].masked_fill(max_grades[:, None, :, None] < 0, -1)
    first = 0
    if path.exists():
        state = load_checkpoint(path)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        first = int(state["step"])
        if first >= budget.steps:
            return True
    model.train()
    done = first
    for step, part, generator in iterate_batches(len(labels), budget, 0):
        if step < first:
            continue
        if time.monotonic() > until:
            break
        for group in optimiser.param_groups:
            group["lr"] = budget.rate * max(0.5 * (1 + math.cos(math.pi * step / budget.steps)), 0.01)
        crops = torch.from_numpy(people.crops[part.numpy()]).float() / 255
        pairs = model(augment_pairs(crops, generator, side=budget.pixels), groups[part], max_grades[part])
        wanted = labels[part]
        loss = scorer_loss(pairs, wanted, name="ce", difference=0.0, over=count_labelled(wanted))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        done = step + 1
        if done % 25 == 0:
            progress(f"trunk, loss {float(loss.detach()):.3f}", done, budget.steps)
    state = {"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": done, "grades": grades}
    save_checkpoint(path, state)
    return done >= budget.steps


def load_trunk(path: Path, budget: Budget) -> PairScorer:
    """The trunk that `train_trunk` left in `path`, not to learn further. Raises TrainError."""
    state = load_checkpoint(path)
    try:
        groups = state["model"]["group.weight"].shape[0]
        model = PairScorer(state["grades"], groups, pairing="single", width=budget.width)
        model.load_state_dict(state["model"])
    except (KeyError, RuntimeError, TypeError, AttributeError) as error:
        raise TrainError(
            "this is no trunk of such a network", path, "Delete it and run the comparison again"
        ) from error
    return model.eval()


def trunk_digest(path: Path) -> str:
    """What a trunk is called in a cell: a digest of its file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


@torch.inference_mode()
def extract_trunk_features(
    trunk: PairScorer, train: Cohort, test: Cohort, budget: Budget, progress: Progress
) -> TrunkFeatures:
    """What `trunk` sees of both cohorts, the training joints augmented anew for each of AUGMENTED_COPIES."""
    parts: list[Tensor] = []
    for view in range(AUGMENTED_COPIES):
        rows = []
        for start in range(0, len(train.crops), 256):
            generator = torch.Generator().manual_seed(view * 1_000_003 + start)
            crops = torch.from_numpy(np.ascontiguousarray(train.crops[start : start + 256])).float() / 255
            rows.append(trunk.extract_features(augment_pairs(crops, generator, side=budget.pixels)))
        parts.append(torch.cat(rows))
        progress("looking at joints", view + 1, AUGMENTED_COPIES)
    tested = [
        trunk.extract_features(resize_crops(test.crops[start : start + 256], budget.pixels))
        for start in range(0, len(test.crops), 256)
    ]
    return TrunkFeatures(torch.stack(parts), torch.cat(tested))
