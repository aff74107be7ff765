"""Training of the detector: hands and feet from a study and the simulator, hands from COCO boxes, then calibration."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ratui.detection.foot_sites import FOOT_SITES, shows_feet
from ratui.detection.hand_finder import find_joints
from ratui.errors import TrainError
from ratui.progress_bar import ProgressBar
from ratui.results.text_table import format_count
from ratui.scheme import Scheme, load_scheme
from ratui.study import Study
from trainer.data.coco import load_coco_hands, print_notice
from trainer.data.foot_samples import FootSamples, load_foot_samples, simulate_feet, split_feet
from trainer.data.hands import HandSamples, load_hand_samples
from trainer.data.image_cache import ImageRows
from trainer.data.phantoms import simulate_hands
from trainer.data.splits import Split, pick_validation_cases, split_cases
from trainer.evaluation.evaluate_detector import evaluate_named_boxes
from trainer.models.checkpoint_files import save_checkpoint
from trainer.models.detector import JointDetector, build_detector
from trainer.training.detector_batches import make_detector_batches, make_detector_validation
from trainer.training.detector_calibration import calibrate_detector
from trainer.training.detector_domain import measure_detector_domain
from trainer.training.detector_parts import choose_parts, prepare_parts, wrist_shape
from trainer.training.foot_batches import make_foot_batches, make_foot_validation
from trainer.training.lineage import DataUsed, Lineage, digest_labels
from trainer.training.loop import TrainingPlan
from trainer.training.metric_log import add_held_out
from trainer.training.model_card import write_model_card
from trainer.training.model_domain import load_domain, store_domain
from trainer.training.processes import ProcessGroup
from trainer.training.runs import RunPlan, make_lineage, start_run, train_in_folder
from trainer.training.sharing import prepare_in_first

__all__ = [
    "detector_batch_loss",
    "fit_detector",
    "measure_held_out",
    "pick_held_out",
    "select_cases",
    "split_validation",
    "train_detector",
]

_CALIBRATION_SHARE = 0.1
"""Share of the training cases that is kept for calibration if none is kept for validation."""
_COCO = "COCO file"
_SCHEME = "mtss-hands"


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
    everything, lineage = _prepare(study, out, plan, process_group, split)
    ready = [each for each in everything if isinstance(each, HandSamples)]
    feet = [each for each in everything if isinstance(each, FootSamples)]
    share, seed = plan.validation or _CALIBRATION_SHARE, plan.training.seed
    held_out = pick_held_out(ready, plan)
    kept = [select_cases(each, set(each.cases) - held_out) if held_out & set(each.cases) else each for each in ready]
    parts = [split_validation(each, share, seed) for each in kept if each.cases]
    training = [train for train, _ in parts]
    foot_parts = [split_feet(each, share, seed) for each in feet]
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
        wrist_only=plan.wrist_only,
        foot_only=plan.foot_only,
        feet=[train for train, _ in foot_parts],
        feet_validation=[validation for _, validation in foot_parts if validation.cases],
        resume=plan.resume,
        choose_epoch=plan.validation > 0,
        about={
            "joints": list(training[0].joints if training else FOOT_SITES),
            "validation_cases": sum(len(set(each.cases)) for _, each in parts)
            + sum(len(set(each.cases)) for _, each in foot_parts),
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
) -> tuple[list[HandSamples | FootSamples], Lineage]:
    """Begin the run in the first process, and return its samples and its lineage in all.

    A run of the part for feet only has no hands, and one of another part no feet.
    """
    lineages: list[Lineage] = []

    def prepare() -> list[HandSamples | FootSamples]:
        if study is None and plan.coco is None and not plan.phantoms:
            raise TrainError("there are no training data", "STUDY", "Give a study, --coco FILE or --phantoms N")
        run = start_run("detector", study, out, plan, process_group.count, split)
        folder, scheme = plan.samples or out / "samples", study.scheme if study else load_scheme(_SCHEME)
        with_feet = plan.foot_only or (
            any(shows_feet(scheme, view) for view in scheme.views) and not plan.refiner_only and not plan.wrist_only
        )
        ready: list[HandSamples] = []
        feet: list[FootSamples] = []
        data: list[DataUsed] = []
        if study is not None:
            cases = run.split.train if split is None else tuple(sorted((*split.train, *split.test)))
            with study.snapshot() as frozen:  # raters may go on scoring in the meantime
                if not plan.foot_only:
                    ready.append(load_hand_samples(frozen, cases, folder, ProgressBar()))
                if with_feet:
                    feet.append(load_foot_samples(frozen, cases, folder, ProgressBar(), required=plan.foot_only))
            if split is not None:
                ready = [select_cases(each, set(split.train)) for each in ready]
                feet = [each.select(set(split.train)) for each in feet]
            labels = [part for each in ready for part in (each.boxes, each.findings, each.wrists) if part is not None]
            labels += [part for each in feet for part in (each.points, each.widths) if len(part)]
            count = sum(len(each.cases) for each in ready) + sum(len(each.cases) for each in feet)
            data.append(DataUsed.of_study(study.config.id, count, run.split.train, digest_labels(*labels)))
        if plan.coco is not None and not plan.foot_only:
            coco = load_coco_hands(plan.coco, scheme, folder, ProgressBar(), patients=plan.coco_patients)
            ready.append(coco)
            held_out = pick_held_out([coco], plan)
            if not held_out:
                print_notice(f"{plan.coco.name}: it shows one patient, so none is held out to measure the detector")
            learned = [case for case in coco.cases if case not in held_out]
            data.append(DataUsed.of_coco(plan.coco, len(learned), learned))
        if plan.phantoms:
            seed = plan.training.seed
            if not plan.foot_only:
                ready.append(simulate_hands(plan.phantoms, folder, ProgressBar(), scheme=scheme, seed=seed))
            if with_feet:
                feet.append(simulate_feet(plan.phantoms, folder, ProgressBar(), seed=seed))
            data.append(DataUsed.of_phantoms(seed, plan.phantoms))
        lineages.append(make_lineage("detector", run, plan, tuple(data)))
        return [*ready, *(each for each in feet if each.cases)]

    everything = prepare_in_first(process_group, prepare)
    return everything, process_group.from_first(lambda: lineages[0])


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
    wrist_only: bool = False,
    foot_only: bool = False,
    feet: Sequence[FootSamples] = (),
    feet_validation: Sequence[FootSamples] = (),
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
    wrist_only
        Train only the part for wrists, and keep the finger joints of `weights`.
    foot_only
        Train only the part for feet, on `feet`, and keep all other parts of `weights`; there are no `samples` then.
    feet, feet_validation
        Feet to train on, and to choose the epoch with.
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
    parts = choose_parts(
        refiner_only=refiner_only,
        wrist_only=wrist_only,
        foot_only=foot_only,
        has_weights=weights is not None,
        has_feet=bool(feet),
    )
    torch.manual_seed(plan.seed)
    model = build_detector(weights, backbone)
    prepare_parts(model, parts, samples, feet)
    facts = {
        **(about or {}),
        "model": "detector",
        "seed": plan.seed,
        "backbone": model.backbone_name,
        "near": refiner_only,
        **{str(name): part.has_shape for name, part in model.parts.items()},
        **({"lineage": lineage.to_record()} if lineage else {}),
    }
    if choose_epoch and not validation and not feet_validation and process_group.is_first:
        print("no training case is kept for validation; the last epoch is the result", file=sys.stderr, flush=True)
    validate = None
    if choose_epoch and foot_only and feet_validation:
        validate = make_foot_validation(feet_validation, device)
    elif choose_epoch and validation:
        validate = make_detector_validation(
            validation, device, parts=parts, shape=wrist_shape(model), feet=feet_validation
        )
    if foot_only:
        batches = make_foot_batches(feet, batch, plan.seed, device)
    else:
        batches = make_detector_batches(
            samples, batch, plan.seed, device, parts=parts, shape=wrist_shape(model), feet=feet
        )
    facts = train_in_folder(
        model,
        batches,
        detector_batch_loss,
        plan,
        out,
        device,
        process_group,
        validation=validate,
        resume=resume,
        about=facts,
        label="detector",
    )
    if process_group.is_first:
        if parts.refiner:
            calibrate_detector(model, samples, validation)
        if measure is not None:
            facts = {**facts, "held_out": measure(model)}
            add_held_out(out, facts["held_out"])
            _print_held_out(facts["held_out"])
        save_checkpoint(out / "model.pt", {"model": model.state_dict(), "about": facts})
        # The part for feet has no findings: those of the other parts are as well known as before.
        known = load_domain(weights).known if foot_only and weights else None
        store_domain(out / "model.pt", known or measure_detector_domain(model, samples, validation))
        write_model_card(out, mlflow=plan.mlflow)
    process_group.barrier()
    return model


def _print_held_out(facts: Mapping[str, Any]) -> None:
    hands, patients = format_count(facts["hands"], "hand"), format_count(facts["patients"], "held-out patient")
    print(f"measured on {hands} of {patients}:", file=sys.stderr)
    for name, (value, low, high) in facts["metrics"].items():
        interval = "" if low is None else f" ({low:.3f} to {high:.3f})"
        print(f"  {name}: {value:.3f}{interval}", file=sys.stderr, flush=True)


def detector_batch_loss(model: nn.Module, batch: Any) -> Tensor:
    """Return the loss of the detector `model` on a batch that `make_detector_batches` made."""
    loss: Tensor = model(*batch)
    return loss


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
        wrists=None if samples.wrists is None else samples.wrists[rows],
        frames=tuple(samples.frames[row] for row in rows),
        cases=tuple(samples.cases[row] for row in rows),
        films=tuple(samples.films[row] for row in rows),
        sides=tuple(samples.sides[row] for row in rows),
    )
