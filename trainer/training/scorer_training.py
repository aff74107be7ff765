"""Training of the scorer: batches of joints from a study's signed readings, and their loss."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ratui.errors import TrainError, clean_text
from ratui.progress_bar import ProgressBar
from ratui.study import Study
from trainer.data.cohort import load_cohort, read_true_grades
from trainer.data.device import copy_to_device, copy_together, fits_on_gpu
from trainer.data.pair_augmentation import augment_pairs
from trainer.data.pairs import PairSamples, check_learnable, drop_fixed_scores, load_pair_samples, select_pairs
from trainer.data.splits import Split, pick_validation_cases
from trainer.models.losses import LOSSES, check_class_weights, count_labelled, scorer_loss, weigh_grades
from trainer.models.scorer import RATER_MODELS, PairScorer, build_scorer, load_matching_weights
from trainer.models.scorer_backbones import SMALL, build_trunk, check_backbone, is_of_scorer, load_trunk_weights
from trainer.models.weight_files import read_state_dict
from trainer.training.lineage import DataUsed, Lineage, digest_labels
from trainer.training.loop import Batches, BatchLoss, Validation
from trainer.training.model_card import write_model_card
from trainer.training.model_domain import store_domain
from trainer.training.processes import SINGLE_PROCESS, ProcessGroup
from trainer.training.runs import RunPlan, make_lineage, start_run, train_in_folder
from trainer.training.scorer_domain import measure_scorer_domain
from trainer.training.sharing import prepare_in_first

__all__ = [
    "ScorerBatch",
    "check_recipe",
    "divide_rows",
    "fit_scorer",
    "load_start_weights",
    "make_batch_loss",
    "make_scorer_batches",
    "make_scorer_validation",
    "train_scorer",
]

_VALIDATION_BATCH = 256  # joints


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
    model: PairScorer,
    loss: str,
    difference: float,
    process_group: ProcessGroup = SINGLE_PROCESS,
    *,
    weights: Sequence[Tensor] | None = None,
) -> BatchLoss:
    """Return the function that computes the loss of a `ScorerBatch`: see `trainer.models.losses.scorer_loss`."""

    def batch_loss(wrapped: nn.Module, batch: ScorerBatch) -> Tensor:
        # All processes divide by the same number, so that together they take the gradient of the whole batch's mean.
        count = process_group.average(count_labelled(batch.labels))
        pairs = wrapped(batch.inputs, batch.groups, batch.max_grades)
        costs = scorer_loss(pairs, batch.labels, name=loss, difference=difference, count=count, weights=weights)
        return costs + model.penalty()

    return batch_loss


def train_scorer(
    study: Study | None,
    out: Path,
    plan: RunPlan,
    device: torch.device,
    process_group: ProcessGroup,
    *,
    split: Split | None = None,
) -> None:
    """Train the scorer on a study's training cases and keep the run in the folder `out`.

    Parameters
    ----------
    study
        The study, or None to learn from the simulated patients of `plan.phantoms`. Only the first process needs it, the
        others may give None: they get their samples from the first one.
    out
        Folder of the run.
    plan, device, process_group
        Settings, device and processes of the training.
    split
        The cases to train on and those held out, if they are not to be chosen by `plan`. The images of both are cached
        together, so that trainings with other splits of the same cases share them.

    Raises
    ------
    TrainError
        If the settings, the study or a run to resume do not fit, or no joint can be learned from.
    EndedBySignal
        After SIGTERM; the run can be resumed.
    """
    check_recipe(plan)
    if study is not None:
        study.check_manager("train models on it")
    (samples,), lineage = _prepare(study, out, plan, process_group, split)
    learned, validated = divide_rows(samples, plan)
    if plan.validation and not len(validated) and process_group.is_first:
        print("no training case is kept for validation; the last epoch is the result", file=sys.stderr, flush=True)
    fit_scorer(samples, learned, validated, out, plan, device, process_group, lineage=lineage)


def fit_scorer(
    samples: PairSamples,
    learned: Tensor,
    validated: Tensor,
    out: Path,
    plan: RunPlan,
    device: torch.device,
    process_group: ProcessGroup,
    *,
    lineage: Lineage | None = None,
) -> None:
    """Train a scorer on some rows of `samples`, and keep the run in `out`.

    Parameters
    ----------
    samples
        The joints.
    learned, validated
        Rows to learn from, and rows to choose the epoch with; without the latter the last epoch is the result.
    out, plan, device, process_group
        As for `train_scorer`.
    lineage
        Origin of the samples and of the weights.

    Raises
    ------
    TrainError
        If the weights do not fit, or the training fails.
    EndedBySignal
        After SIGTERM; the run can be resumed.
    """
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
        "backbone": plan.backbone,
        "single_scores": samples.single_scores,
        "validation_cases": len({samples.cases[row] for row in validated.tolist()}),
    }
    torch.manual_seed(plan.training.seed)
    model = build_scorer(about)
    if plan.weights is not None:
        taken = load_start_weights(model, plan.weights, is_first=process_group.is_first)
        lineage = replace(lineage, parent_tensors=taken) if lineage is not None else None
    weights = weigh_grades(torch.from_numpy(samples.labels)[learned], samples.grades, plan.class_weights)
    if weights is not None:
        weights = [copy_to_device(each, device) for each in weights]
    batch_loss = make_batch_loss(model, plan.loss, plan.difference, process_group, weights=weights)
    train_in_folder(
        model,
        make_scorer_batches(samples, plan.batch, plan.training.seed, device, rows=learned),
        batch_loss,
        plan.training,
        out,
        device,
        process_group,
        validation=make_scorer_validation(samples, validated, plan.loss, plan.difference, weights=weights)
        if len(validated)
        else None,
        resume=plan.resume,
        about=about,
        lineage=lineage,
        label="scorer",
    )
    if process_group.is_first:
        films, rows = samples.list_films(), (learned.tolist(), validated.tolist())
        store_domain(out / "model.pt", measure_scorer_domain(model, samples.crops, films, *rows))
        write_model_card(out, mlflow=plan.training.mlflow)


def load_start_weights(model: PairScorer, path: Path, *, is_first: bool) -> int:
    """Load the weights in `path` into `model`; the first process prints what is taken over. Raises TrainError.

    Return the number of tensors of a trunk that torchvision or timm stored, 0 for weights of a scorer.
    """
    taken = 0
    if _is_of_others(path, model.backbone):
        taken = load_trunk_weights(model.trunk, model.backbone, path)
        text = f"{taken} tensors of {model.backbone} taken over from {clean_text(path.name)}; all other layers are new"
    else:
        new = load_matching_weights(model, path)
        text = f"taken over from {path.name}; new: {', '.join(new)}" if new else ""
    if is_first and text:
        print(text, file=sys.stderr, flush=True)
    return taken


def _is_of_others(path: Path, backbone: str) -> bool:
    """Return whether the weights in `path` are those of a trunk by torchvision or timm. Raises TrainError."""
    return backbone != SMALL and not is_of_scorer(read_state_dict(path))


def check_recipe(plan: RunPlan) -> None:
    """Raise TrainError for a loss, a rater model, class weights or a backbone that do not exist."""
    check_class_weights(plan.class_weights)
    check_backbone(plan.backbone)
    if plan.loss not in LOSSES:
        raise TrainError(
            f"there is no loss named {clean_text(plan.loss)}", "--loss", f"Take one of {', '.join(LOSSES)}"
        )
    if plan.rater_model not in RATER_MODELS:
        known = ", ".join(RATER_MODELS)
        raise TrainError(
            f"there is no rater model {clean_text(plan.rater_model)}", "--rater-model", f"Take one of {known}"
        )


def _prepare(
    study: Study | None, out: Path, plan: RunPlan, process_group: ProcessGroup, split: Split | None = None
) -> tuple[list[PairSamples], Lineage]:
    """Begin the run in the first process, and return its samples and its lineage in all."""
    lineages: list[Lineage] = []

    def prepare() -> list[PairSamples]:
        if (study is None) == (not plan.phantoms):
            raise TrainError(
                "a scorer learns from a study or from simulated patients", "--phantoms", "Give STUDY or --phantoms N"
            )
        if plan.weights is not None and _is_of_others(plan.weights, plan.backbone):
            # Weights that don't fit are refused before anything is written.
            load_trunk_weights(build_trunk(plan.backbone)[0], plan.backbone, plan.weights)
        run = start_run("scorer", study, out, plan, process_group.count, split)
        folder, seed = plan.samples or out / "samples", plan.training.seed
        if study is None:
            people = load_cohort(plan.phantoms, seed, folder, ProgressBar(), scheme="mtss-hands")
            samples = drop_fixed_scores(read_true_grades(people, seed))
            data = DataUsed.of_phantoms(seed, len(samples.crops))
        else:
            cases = run.split.train if split is None else tuple(sorted((*split.train, *split.test)))
            with study.snapshot() as frozen:  # raters may go on scoring in the meantime
                samples = load_pair_samples(frozen, cases, folder, ProgressBar())
            if split is not None:
                samples = select_pairs(samples, set(split.train))
            samples = drop_fixed_scores(samples)
            check_learnable(samples, study.path)
            digest = digest_labels(samples.labels)
            data = DataUsed.of_study(study.config.id, len(samples.crops), run.split.train, digest)
        lineages.append(make_lineage("scorer", run, plan, (data,)))
        return [samples]

    ready = prepare_in_first(process_group, prepare)
    return ready, process_group.from_first(lambda: lineages[0])


def divide_rows(samples: PairSamples, plan: RunPlan) -> tuple[Tensor, Tensor]:
    """Return the rows of `samples` to learn from and those to validate with, which have labels and are of other cases.

    Without labels on one side, all rows are to learn from.
    """
    everything = torch.arange(len(samples.labels))
    kept = set(pick_validation_cases(samples.cases, seed=plan.training.seed, share=plan.validation))
    is_kept = torch.tensor([case in kept for case in samples.cases])
    learned, validated = everything[~is_kept], everything[is_kept]
    if count_labelled(torch.from_numpy(samples.labels)[validated]) and count_labelled(
        torch.from_numpy(samples.labels)[learned]
    ):
        return learned, validated
    return everything, everything[:0]


def make_scorer_validation(
    samples: PairSamples, rows: Tensor, loss: str, difference: float, *, weights: Sequence[Tensor] | None = None
) -> Validation:
    """Return the function that computes a scorer's mean loss on `rows` of `samples`, without augmentation.

    A rater model has no part in it: the loss is that of the joint's own grades against each rater's.
    """
    labels, max_grades = torch.from_numpy(samples.labels), torch.from_numpy(samples.max_grades)
    groups, count = torch.from_numpy(samples.groups), count_labelled(labels[rows])

    def validation(model: nn.Module) -> float:
        device = next(model.parameters()).device
        total = 0.0
        for part in torch.split(rows, _VALIDATION_BATCH):
            crops = copy_to_device(torch.from_numpy(samples.crops[part.numpy()]), device).float() / 255
            pairs = model(crops, copy_to_device(groups[part], device), copy_to_device(max_grades[part], device))
            costs = scorer_loss(pairs, labels[part], name=loss, difference=difference, count=1.0, weights=weights)
            total += float(costs)
        return total / count

    return validation


def make_scorer_batches(
    samples: PairSamples, batch: int, seed: int, device: torch.device, *, rows: Tensor | None = None
) -> Batches:
    """Return the function that yields an epoch's batches of `samples`, augmented, on `device`.

    `batch` is the number of joints in a batch, over all processes. `rows` are the rows to take, by default all.
    """
    available = torch.arange(len(samples.labels)) if rows is None else rows
    labels, max_grades = torch.from_numpy(samples.labels), torch.from_numpy(samples.max_grades)
    groups = torch.from_numpy(samples.groups)
    load_rows = _make_row_loader(samples.crops, device)

    def batches(epoch: int, process_group: ProcessGroup) -> Iterable[ScorerBatch]:
        generator = torch.Generator().manual_seed(seed * 7_919 + epoch)
        order = available[torch.randperm(len(available), generator=generator)]
        for rows, generator in process_group.local_batches(order, batch, seed, epoch):
            there, group, largest = copy_together([rows, groups[rows], max_grades[rows]], device)
            crops = augment_pairs(load_rows(rows, there).float() / 255, generator)
            yield ScorerBatch(crops, group, labels[rows], largest)

    return batches


def _make_row_loader(crops: npt.NDArray[np.uint8], device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a function that puts rows of `crops` on `device`: from GPU memory if all fit there, else from the file.

    It takes the rows in CPU memory and the same rows on `device`.
    """
    if fits_on_gpu(crops.nbytes, device):
        on_device = torch.from_numpy(np.array(crops)).to(device)
        return lambda _, there: on_device[there]
    return lambda rows, _: copy_to_device(torch.from_numpy(crops[rows.numpy()]), device)
