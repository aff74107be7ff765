"""Training of the detector: hands from a study, from COCO boxes and from the simulator, then calibration."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ratui.detection.hand_finder import find_joints
from ratui.errors import TrainError
from ratui.progress_bar import ProgressBar
from ratui.results.text_table import format_count
from ratui.scheme import Scheme, load_scheme
from ratui.study import Study
from trainer.data.augmentation import augment_hands, downsample
from trainer.data.coco import load_coco_hands, print_notice
from trainer.data.device import copy_to_device, fits_on_gpu
from trainer.data.hands import HandSamples, load_hand_samples
from trainer.data.image_cache import ImageRows
from trainer.data.phantoms import simulate_hands
from trainer.data.sharing import prepare_in_first
from trainer.data.splits import Split, pick_validation_cases, split_cases
from trainer.evaluation.evaluate_detector import evaluate_named_boxes
from trainer.models.detector import JointDetector, build_detector, make_targets
from trainer.models.refiner import draw_joint_crops
from trainer.training.detector_calibration import calibrate_detector
from trainer.training.detector_domain import measure_detector_domain
from trainer.training.lineage import DataUsed, Lineage, digest_labels
from trainer.training.loop import Batches, TrainingPlan, Validation, save_checkpoint
from trainer.training.metric_log import add_held_out
from trainer.training.model_card import write_model_card
from trainer.training.model_domain import store_domain
from trainer.training.processes import ProcessGroup
from trainer.training.runs import RunPlan, make_lineage, start_run, train_in_folder

__all__ = [
    "detector_batch_loss",
    "fit_detector",
    "make_detector_batches",
    "make_detector_validation",
    "measure_held_out",
    "pick_held_out",
    "select_cases",
    "split_validation",
    "train_detector",
]

HANDS_PER_EPOCH = 512
"""Largest number of hands in an epoch, so that progress, checkpoints and a stop never take long."""
_CALIBRATION_SHARE = 0.1
"""Share of the training cases that is kept for calibration if none is kept for validation."""
_COCO = "COCO file"
_SCHEME = "mtss-hands"
_VALIDATION_BATCH = 16  # hands


def train_detector(
    study: Study | None,
    out: Path,
    plan: RunPlan,
    device: torch.device,
    process_group: ProcessGroup,
    *,
    split: Split | None = None,
) -> None:
    """Train the detector on the study's training cases, COCO boxes and simulated hands, as far as `plan` asks for them.

    The folder `out` receives the run. The training cases that are kept for validation also calibrate the detector; without
    validation a tenth is kept for that. `split` is as in `trainer.training.scorer_training.train_scorer`. Raises TrainError.
    """
    if study is not None:
        study.check_manager("train models on it")
    ready, lineage = _prepare(study, out, plan, process_group, split)
    share, seed = plan.validation or _CALIBRATION_SHARE, plan.training.seed
    held_out = pick_held_out(ready, plan)
    kept = [select_cases(each, set(each.cases) - held_out) if held_out & set(each.cases) else each for each in ready]
    parts = [split_validation(each, share, seed) for each in kept if each.cases]
    training = [train for train, _ in parts]
    scheme = study.scheme if study else load_scheme(_SCHEME)

    def measure(model: JointDetector) -> dict[str, Any]:
        measured = [select_cases(each, held_out) for each in ready if each.source == _COCO]
        return measure_held_out(model, measured, scheme, seed)

    fit_detector(
        training,
        [validation for _, validation in parts if validation.cases],
        plan.training,
        out,
        device,
        process_group,
        batch=plan.batch,
        backbone=plan.backbone,
        weights=plan.weights,
        refiner_only=plan.refiner_only,
        resume=plan.resume,
        choose_epoch=plan.validation > 0,
        about={
            "joints": list(training[0].joints),
            "validation_cases": sum(len(set(each.cases)) for _, each in parts),
        },
        lineage=lineage,
        measure=measure if held_out else None,
    )


def pick_held_out(samples: Sequence[HandSamples], plan: RunPlan) -> set[str]:
    """Return the patients of a COCO file that are held out to measure the detector, with all their hands.

    They are chosen as the cases of a study are; see `trainer.data.splits.split_cases`. A single patient is trained on.
    """
    patients = {case for each in samples if each.source == _COCO for case in each.cases}
    if len(patients) < 2:
        return set()
    return set(split_cases(tuple(patients), seed=plan.training.seed, held_out=plan.held_out).test)


def measure_held_out(model: JointDetector, samples: Sequence[HandSamples], scheme: Scheme, seed: int) -> dict[str, Any]:
    """Return the numbers of patients and hands in `samples`, and the metrics of `model` on them.

    Each metric is a list of value, lower and upper limit, without limits for a single patient. See
    `trainer.evaluation.evaluate_detector.evaluate_named_boxes`.
    """
    rng, facts = np.random.default_rng(seed), dict[str, Any]()
    for each in samples:
        found = [find_joints(model, each.images[row : row + 1], scheme)[0] for row in range(len(each.cases))]
        metrics = evaluate_named_boxes(each, found, rng)
        facts = {
            "patients": len(set(each.cases)),
            "hands": len(each.cases),
            "metrics": {
                metric.name: [None if math.isnan(v) else round(v, 4) for v in (metric.value, metric.low, metric.high)]
                for metric in metrics
            },
        }
    return facts


def _prepare(
    study: Study | None, out: Path, plan: RunPlan, process_group: ProcessGroup, split: Split | None = None
) -> tuple[list[HandSamples], Lineage]:
    """Begin the run in the first process, and return its samples and its lineage in all."""
    lineages: list[Lineage] = []

    def prepare() -> list[HandSamples]:
        if study is None and plan.coco is None and not plan.phantoms:
            raise TrainError("there are no training data", "STUDY", "Give a study, --coco FILE or --phantoms N")
        run = start_run("detector", study, out, plan, process_group.count, split)
        folder, scheme = plan.samples or out / "samples", study.scheme if study else load_scheme(_SCHEME)
        ready: list[HandSamples] = []
        data: list[DataUsed] = []
        if study is not None:
            cases = run.split.train if split is None else tuple(sorted((*split.train, *split.test)))
            with study.snapshot() as frozen:  # raters may go on scoring in the meantime
                hands = load_hand_samples(frozen, cases, folder, ProgressBar())
            if split is not None:
                hands = select_cases(hands, set(split.train))
            ready.append(hands)
            digest = digest_labels(hands.boxes, hands.findings)
            data.append(DataUsed.of_study(study.config.id, len(hands.images), run.split.train, digest))
        if plan.coco is not None:
            coco = load_coco_hands(plan.coco, scheme, folder, ProgressBar(), patients=plan.coco_patients)
            ready.append(coco)
            held_out = pick_held_out([coco], plan)
            if not held_out:
                print_notice(f"{plan.coco.name}: it shows one patient, so none is held out to measure the detector")
            learned = [case for case in coco.cases if case not in held_out]
            data.append(DataUsed.of_coco(plan.coco, len(learned), learned))
        if plan.phantoms:
            seed = plan.training.seed
            ready.append(simulate_hands(plan.phantoms, folder, ProgressBar(), scheme=scheme, seed=seed))
            data.append(DataUsed.of_phantoms(seed, plan.phantoms))
        lineages.append(make_lineage("detector", run, plan, tuple(data)))
        return ready

    ready = prepare_in_first(process_group, prepare)
    return ready, process_group.from_first(lambda: lineages[0])


def fit_detector(
    samples: Sequence[HandSamples],
    validation: Sequence[HandSamples],
    plan: TrainingPlan,
    out: Path,
    device: torch.device,
    process_group: ProcessGroup,
    *,
    batch: int,
    backbone: str = "small",
    weights: Path | None = None,
    refiner_only: bool = False,
    resume: bool = False,
    choose_epoch: bool = False,
    about: dict[str, Any] | None = None,
    lineage: Lineage | None = None,
    measure: Callable[[JointDetector], dict[str, Any]] | None = None,
) -> JointDetector:
    """Train a detector on `samples` and calibrate it on `validation`; return it.

    Parameters
    ----------
    samples, validation
        Hands to train on and to calibrate on, from any number of sources with the same joints.
    plan, out, device, process_group
        Settings, run folder, device and processes of the training.
    batch
        Hands in a batch, over all processes.
    backbone, weights
        See `trainer.models.detector.build_detector`.
    refiner_only
        Train only the refiner, and keep the SSD of `weights`. Findings need far more joints than the SSD does, and such a
        step takes about half the time.
    resume
        Continue the run in `out`.
    choose_epoch
        Take the epoch with the smallest loss on `validation`, not the last one.
    about, lineage
        Additional facts for the run's description, and the origin of the samples and weights.
    measure
        Function that measures the calibrated detector on hands that it has not learned from. What it returns is stored with
        the weights, logged and shown in the model card.

    Raises
    ------
    TrainError
        If the settings or samples do not fit, or the training fails.
    """
    if refiner_only and weights is None:
        raise TrainError("the refiner needs a trained SSD", "--refiner-only", "Give --weights, such as shipped")
    torch.manual_seed(plan.seed)
    model = build_detector(weights, backbone)
    model.ssd.requires_grad_(not refiner_only)
    facts = {
        **(about or {}),
        "model": "detector",
        "seed": plan.seed,
        "backbone": model.backbone_name,
        "near": refiner_only,
        **({"lineage": lineage.to_record()} if lineage else {}),
    }
    if choose_epoch and not validation and process_group.is_first:
        print("no training case is kept for validation; the last epoch is the result", file=sys.stderr, flush=True)
    facts = train_in_folder(
        model,
        make_detector_batches(samples, batch, plan.seed, device, refiner_only=refiner_only),
        detector_batch_loss,
        plan,
        out,
        device,
        process_group,
        validation=make_detector_validation(validation, device) if choose_epoch and validation else None,
        resume=resume,
        about=facts,
        label="detector",
    )
    if process_group.is_first:
        calibrate_detector(model, samples, validation)
        if measure is not None:
            facts = {**facts, "held_out": measure(model)}
            add_held_out(out, facts["held_out"])
            _print_held_out(facts["held_out"])
        save_checkpoint(out / "model.pt", {"model": model.state_dict(), "about": facts})
        store_domain(out / "model.pt", measure_detector_domain(model, samples, validation))
        write_model_card(out, mlflow=plan.mlflow)
    process_group.barrier()
    return model


def _print_held_out(facts: Mapping[str, Any]) -> None:
    hands, patients = format_count(facts["hands"], "hand"), format_count(facts["patients"], "held-out patient")
    print(f"measured on {hands} of {patients}:", file=sys.stderr)
    for name, (value, low, high) in facts["metrics"].items():
        interval = "" if low is None else f" ({low:.3f} to {high:.3f})"
        print(f"  {name}: {value:.3f}{interval}", file=sys.stderr, flush=True)


def make_detector_batches(
    samples: Sequence[HandSamples], batch: int, seed: int, device: torch.device, *, refiner_only: bool = False
) -> Batches:
    """Return the function that yields an epoch's batches of all `samples`, augmented, on `device`.

    `batch` is the number of hands in a batch, over all processes. With `refiner_only` the batches have no images for the
    SSD.
    """
    pool = _CombinedSamples(samples, device)
    kinds = torch.from_numpy(samples[0].kinds).to(device)

    def batches(epoch: int, process_group: ProcessGroup) -> Iterable[Any]:
        for rows, generator in process_group.local_batches(_epoch_rows(len(pool), seed, epoch), batch, seed, epoch):
            images, boxes, findings = pool.take(rows)
            images = images[:, None].float() / 255
            joint_crops = draw_joint_crops(images, boxes, findings, kinds, generator)
            if refiner_only:
                yield None, None, joint_crops
                continue
            moved, placed = augment_hands(downsample(images), boxes, generator)
            yield moved, make_targets(placed, kinds), joint_crops

    return batches


def make_detector_validation(samples: Sequence[HandSamples], device: torch.device) -> Validation:
    """Return the function that computes a detector's mean loss per hand on `samples`.

    Hands are not augmented. The errors of the boxes that the refiner corrects are random, but the same in each epoch.
    """
    pool = _CombinedSamples(samples, device)
    kinds = torch.from_numpy(samples[0].kinds).to(device)

    def validation(model: nn.Module) -> float:
        generator, total = torch.Generator().manual_seed(0), 0.0
        for rows in torch.split(torch.arange(len(pool)), _VALIDATION_BATCH):
            images, boxes, findings = pool.take(rows)
            images = images[:, None].float() / 255
            joint_crops = draw_joint_crops(images, boxes, findings, kinds, generator)
            total += float(model(downsample(images), make_targets(boxes, kinds), joint_crops)) * len(rows)
        return total / len(pool)

    return validation


def detector_batch_loss(model: nn.Module, batch: Any) -> Tensor:
    """Return the loss of the detector `model` on a batch that `make_detector_batches` made."""
    loss: Tensor = model(*batch)
    return loss


class _CombinedSamples:
    """Hands of several sources under one row index, taken to `device`."""

    def __init__(self, samples: Sequence[HandSamples], device: torch.device) -> None:
        if len({each.joints for each in samples}) != 1:
            raise TrainError("the sources of hands have different joints", "", "Use one scheme for all")
        self._samples = samples
        self._device = device
        self._starts = np.cumsum([0, *(len(each.images) for each in samples)])
        self._boxes = torch.from_numpy(np.concatenate([each.boxes for each in samples])).to(device)
        self._findings = torch.from_numpy(np.concatenate([each.findings for each in samples])).to(device)
        self._on_gpu: Tensor | None = None
        if fits_on_gpu(sum(each.images.nbytes for each in samples), device):
            self._on_gpu = torch.cat([torch.from_numpy(np.array(each.images)).to(device) for each in samples])

    def __len__(self) -> int:
        return len(self._boxes)

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return images (N, FINE_SIZE, FINE_SIZE) uint8, boxes and findings of `rows`."""
        there = copy_to_device(rows, self._device)
        boxes, findings = self._boxes[there], self._findings[there]
        if self._on_gpu is not None:
            return self._on_gpu[there], boxes, findings
        which = np.searchsorted(self._starts, rows.numpy(), side="right") - 1
        images = np.stack(
            [self._samples[w].images[int(row) - self._starts[w]] for w, row in zip(which, rows, strict=True)]
        )
        # Pinning so much memory takes longer than waiting for a plain copy.
        return torch.from_numpy(images).to(self._device), boxes, findings


def _epoch_rows(count: int, seed: int, epoch: int) -> Tensor:
    """Return the rows of an epoch. Several epochs together pass through all hands, which are then shuffled anew."""
    parts = -(-count // HANDS_PER_EPOCH)
    cycle, part = divmod(epoch, parts)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed * 7_919 + cycle))
    return torch.tensor_split(order, parts)[part]


def split_validation(samples: HandSamples, share: float, seed: int = 0) -> tuple[HandSamples, HandSamples]:
    """Return the samples to learn from, and those of about `share` of the cases, to validate and calibrate with.

    One case at least is kept, unless there is only one; see `trainer.data.splits.pick_validation_cases`.
    """
    validation = set(pick_validation_cases(samples.cases, seed=seed, share=share, required=True))
    parts = (set(samples.cases) - validation, validation)
    return tuple(select_cases(samples, keep) for keep in parts)  # type: ignore[return-value]


def select_cases(samples: HandSamples, cases: Collection[str]) -> HandSamples:
    """Return the hands of `cases`. Their images are read when they are needed."""
    rows = [row for row, case in enumerate(samples.cases) if case in cases]
    return replace(
        samples,
        images=cast(npt.NDArray[np.uint8], ImageRows(samples.images, rows)),
        boxes=samples.boxes[rows],
        findings=samples.findings[rows],
        frames=tuple(samples.frames[row] for row in rows),
        cases=tuple(samples.cases[row] for row in rows),
        films=tuple(samples.films[row] for row in rows),
        sides=tuple(samples.sides[row] for row in rows),
    )
