"""Training of the scorer: batches of joints from a study's signed readings, and their loss."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ratui.errors import TrainError, clean_text
from ratui.progress_bar import ProgressBar
from ratui.study import Study
from trainer.data.device import copy_to_device, fits_on_gpu
from trainer.data.pairs import PairSamples, augment_pairs, load_pair_samples
from trainer.models.losses import LOSSES, count_labelled, scorer_loss
from trainer.models.scorer import RATER_MODELS, PairScorer, build_scorer, load_matching_weights
from trainer.training.loop import SINGLE_PROCESS, Batches, BatchLoss, ProcessGroup
from trainer.training.runs import RunPlan, start_run, take_turns, train_in_folder

__all__ = ["ScorerBatch", "make_batch_loss", "make_scorer_batches", "train_scorer"]


class ScorerBatch(NamedTuple):
    """A batch of N joints.

    `inputs` are crops (N, 2, S, S) from 0 to 1, or the features (N, 2, F) that a fixed trunk extracted. `groups` (N,),
    `labels` (N, raters, scales, 2) and `max_grades` (N, scales) are rows of `PairSamples`. `labels` are in CPU memory.
    """

    inputs: Tensor
    groups: Tensor
    labels: Tensor
    max_grades: Tensor


def make_batch_loss(
    model: PairScorer, loss: str, difference: float, process_group: ProcessGroup = SINGLE_PROCESS
) -> BatchLoss:
    """Return the function that computes the loss of a `ScorerBatch`: see `trainer.models.losses.pair_loss`."""

    def batch_loss(wrapped: nn.Module, batch: ScorerBatch) -> Tensor:
        # All processes divide by the same number, so that together they take the gradient of the whole batch's mean.
        count = process_group.average(count_labelled(batch.labels))
        pairs = wrapped(batch.inputs, batch.groups, batch.max_grades)
        return scorer_loss(pairs, batch.labels, name=loss, difference=difference, count=count) + model.penalty()

    return batch_loss


def train_scorer(study: Study, out: Path, plan: RunPlan, device: torch.device, process_group: ProcessGroup) -> None:
    """Train the scorer on the study's training cases and keep the run in the folder `out`. Raises TrainError."""
    if plan.loss not in LOSSES:
        raise TrainError(
            f"there is no loss named {clean_text(plan.loss)}", "--loss", f"Take one of {', '.join(LOSSES)}"
        )
    if plan.rater_model not in RATER_MODELS:
        known = ", ".join(RATER_MODELS)
        raise TrainError(
            f"there is no rater model {clean_text(plan.rater_model)}", "--rater-model", f"Take one of {known}"
        )
    study.check_manager("train models on it")
    split = start_run("scorer", study, out, plan, process_group)
    # Of a snapshot, because raters may go on scoring in the meantime.
    with take_turns(process_group), study.snapshot() as frozen:
        samples = load_pair_samples(frozen, split.train, plan.samples or out / "samples", ProgressBar())
    about = {
        "model": "scorer",
        "seed": plan.training.seed,
        "grades": list(samples.grades),
        "group_names": list(samples.group_names),
        "scales": list(samples.scales),
        "pairing": plan.pairing,
        "crowd": plan.rater_model,
        "raters": samples.labels.shape[1],
        "loss": plan.loss,
        "difference": plan.difference,
        "width": plan.width,
    }
    torch.manual_seed(plan.training.seed)
    model = build_scorer(about)
    if plan.weights is not None:
        new = load_matching_weights(model, plan.weights)
        if process_group.is_first and new:
            print(f"taken over from {plan.weights.name}; new: {', '.join(new)}", file=sys.stderr, flush=True)
    batch_loss = make_batch_loss(model, plan.loss, plan.difference, process_group)
    train_in_folder(
        model,
        make_scorer_batches(samples, plan.batch, plan.training.seed, device),
        batch_loss,
        plan.training,
        out,
        device,
        process_group,
        resume=plan.resume,
        about=about,
        label="scorer",
    )


def make_scorer_batches(samples: PairSamples, batch: int, seed: int, device: torch.device) -> Batches:
    """Return the function that yields an epoch's batches of `samples`, augmented, on `device`.

    `batch` is the number of joints in a batch, over all processes.
    """
    labels, max_grades = torch.from_numpy(samples.labels), torch.from_numpy(samples.max_grades)
    groups = torch.from_numpy(samples.groups)
    load_rows = _make_row_loader(samples.crops, device)

    def batches(epoch: int, process_group: ProcessGroup) -> Iterable[ScorerBatch]:
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed * 7_919 + epoch))
        for rows, generator in process_group.local_batches(order, batch, seed, epoch):
            crops = augment_pairs(load_rows(rows).float() / 255, generator)
            largest = copy_to_device(max_grades[rows], device)
            yield ScorerBatch(crops, copy_to_device(groups[rows], device), labels[rows], largest)

    return batches


def _make_row_loader(crops: npt.NDArray[np.uint8], device: torch.device) -> Callable[[Tensor], Tensor]:
    """Return a function that puts rows of `crops` on `device`: from GPU memory if all fit there, else from the file."""
    if fits_on_gpu(crops.nbytes, device):
        on_device = torch.from_numpy(np.array(crops)).to(device)
        return lambda rows: on_device[copy_to_device(rows, device)]
    return lambda rows: copy_to_device(torch.from_numpy(crops[rows.numpy()]), device)
