"""Training of the detector: hands from a study, from COCO boxes and from the simulator, then calibration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torchvision.ops import box_iou

from ratui.errors import TrainError
from ratui.progress_bar import ProgressBar
from ratui.scheme import load_scheme
from ratui.study import Study
from trainer.data.augmentation import augment_hands, downsample
from trainer.data.coco import load_coco_hands
from trainer.data.device import copy_to_device, fits_on_gpu
from trainer.data.hands import JOINT_KINDS, HandSamples, load_hand_samples
from trainer.data.phantoms import simulate_hands
from trainer.models.detector import JointDetector, build_detector, detect, make_targets
from trainer.models.refiner import draw_joint_crops
from trainer.training.loop import Batches, ProcessGroup, TrainingPlan, save_checkpoint
from trainer.training.runs import RunPlan, start_run, take_turns, train_in_folder

__all__ = [
    "calibrate_detector",
    "detector_batch_loss",
    "fit_detector",
    "make_detector_batches",
    "measure_box_sizes",
    "pick_threshold",
    "split_validation",
    "train_detector",
]

HANDS_PER_EPOCH = 512
"""Largest number of hands in an epoch, so that progress, checkpoints and a stop never take long."""
_MIN_BOXES = 30  # fewer do not tell a bias of the sizes from chance
_VALIDATION_SHARE = 0.1  # of the training cases, for calibration
_TARGET_SPECIFICITY = 0.994
"""Specificity of findings to reach on the calibration cases; a little above the aim, because it is an estimate."""


def train_detector(
    study: Study | None, out: Path, plan: RunPlan, device: torch.device, process_group: ProcessGroup
) -> None:
    """Train the detector on the study's training cases, COCO boxes and simulated hands, as far as `plan` asks for them.

    The folder `out` receives the run. A tenth of the training cases is kept for calibration. Raises TrainError.
    """
    if study is None and plan.coco is None and not plan.phantoms:
        raise TrainError("there are no training data", "STUDY", "Give a study, --coco FILE or --phantoms N")
    if study is not None:
        study.check_manager("train models on it")
    split = start_run("detector", study, out, plan, process_group)
    folder = plan.samples or out / "samples"
    ready: list[HandSamples] = []
    with take_turns(process_group):
        if study is not None:
            with study.snapshot() as frozen:  # raters may go on scoring in the meantime
                ready.append(load_hand_samples(frozen, split.train, folder, ProgressBar()))
        scheme = study.scheme if study is not None else load_scheme("mtss-hands")
        if plan.coco is not None:
            ready.append(load_coco_hands(plan.coco, scheme, folder, ProgressBar()))
        if plan.phantoms:
            ready.append(simulate_hands(plan.phantoms, folder, ProgressBar(), scheme=scheme, seed=plan.training.seed))
    parts = [split_validation(each, _VALIDATION_SHARE) for each in ready]
    training = [train for train, _ in parts]
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
        about={"joints": list(training[0].joints)},
    )


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
    about: dict[str, Any] | None = None,
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
    about
        Additional facts for the run's description.

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
    }
    train_in_folder(
        model,
        make_detector_batches(samples, batch, plan.seed, device, refiner_only=refiner_only),
        detector_batch_loss,
        plan,
        out,
        device,
        process_group,
        resume=resume,
        about=facts,
        label="detector",
    )
    if process_group.is_first:
        calibrate_detector(model, samples, validation)
        save_checkpoint(out / "model.pt", {"model": model.state_dict(), "about": facts})
    process_group.barrier()
    return model


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
        self._boxes = torch.from_numpy(np.concatenate([each.boxes for each in samples]))
        self._findings = torch.from_numpy(np.concatenate([each.findings for each in samples]))
        self._on_gpu: Tensor | None = None
        if fits_on_gpu(sum(each.images.nbytes for each in samples), device):
            self._on_gpu = torch.cat([torch.from_numpy(np.array(each.images)).to(device) for each in samples])

    def __len__(self) -> int:
        return len(self._boxes)

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return images (N, FINE_SIZE, FINE_SIZE) uint8, boxes and findings of `rows`."""
        boxes, findings = (copy_to_device(values[rows], self._device) for values in (self._boxes, self._findings))
        if self._on_gpu is not None:
            return self._on_gpu[copy_to_device(rows, self._device)], boxes, findings
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


def calibrate_detector(model: JointDetector, samples: Sequence[HandSamples], validation: Sequence[HandSamples]) -> None:
    """Set the calibrated buffers of `model`: `habit` from `samples`, `threshold` and `bias` from `validation`."""
    model.habit.copy_(torch.tensor(measure_box_sizes(samples)))
    if not validation:
        return
    model.threshold.fill_(0.5)
    model.bias.fill_(0.0)
    predicted, true, sizes = _predict_findings(model, validation)
    model.threshold.fill_(pick_threshold(predicted, true))
    if len(sizes) >= _MIN_BOXES:
        model.bias.fill_(float(np.median(sizes)))


def measure_box_sizes(samples: Sequence[HandSamples]) -> tuple[float, float]:
    """Return the logarithm of MCP size to PIP size, and the standard deviation of single boxes' log sizes within a kind.

    The default is (0.21, 1.0) if no hand has two joints of each kind.
    """
    larger, left = [], []
    for each in samples:
        with np.errstate(invalid="ignore"):
            sizes = np.log((each.boxes[..., 2:] - each.boxes[..., :2]).mean(axis=2))
        for row in sizes:
            known = np.isfinite(row)
            kinds = [row[known & (each.kinds == kind)] for kind in range(len(JOINT_KINDS))]
            if all(len(kind) >= 2 for kind in kinds):
                larger.append(float(np.median(kinds[1]) - np.median(kinds[0])))
                left += [float(value - np.median(kind)) for kind in kinds for value in kind]
    return (float(np.median(larger)), float(np.std(left))) if larger else (0.21, 1.0)


def _predict_findings(
    model: JointDetector, samples: Sequence[HandSamples], part: int = 64
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Return the predicted probability and the truth of findings, and the log ratio of found to true box sizes.

    Only joints that are found count, for findings only those with a reading.
    """
    predicted, true, larger = [], [], []
    for each in samples:
        for start in range(0, len(each.images), part):
            for row, detections in enumerate(detect(model, each.images[start : start + part]), start):
                known = np.isfinite(each.boxes[row]).all(axis=1)
                if not detections or not known.any():
                    continue
                boxes = torch.tensor([detection.box for detection in detections])
                best, which = box_iou(torch.from_numpy(each.boxes[row, known]), boxes).max(dim=1)
                for iou, index, box, ill in zip(
                    best.tolist(), which.tolist(), each.boxes[row, known], each.findings[row, known], strict=True
                ):
                    if iou >= 0.5:
                        larger.append(np.log(detections[index].candidate.size / np.mean(box[2:] - box[:2])))
                        if np.isfinite(ill):
                            predicted.append(detections[index].finding)
                            true.append(ill >= 0.5)
    return np.array(predicted, np.float64), np.array(true, bool), np.array(larger, np.float64)


def pick_threshold(predicted: npt.NDArray[np.float64], true: npt.NDArray[np.bool_]) -> float:
    """Return the lowest threshold on the `predicted` probabilities that reaches the target specificity.

    `true` (N,) tells which joints have a finding. The result is 0.5 if all have one or none has.
    """
    if not true.any() or true.all():
        return 0.5
    without = np.sort(predicted[~true])
    edge = float(without[min(int(np.ceil(_TARGET_SPECIFICITY * len(without))), len(without) - 1)])
    above = predicted[true & (predicted > edge)]
    # Halfway to the next joint with a finding, so that both have the same distance from the threshold.
    return float(np.clip((edge + above.min()) / 2 if len(above) else edge, 0.01, 0.99))


def split_validation(samples: HandSamples, share: float) -> tuple[HandSamples, HandSamples]:
    """Return `samples` without the last `share` of their cases, for training, and those, for calibration."""
    cases = list(dict.fromkeys(samples.cases))
    validation = set(cases[len(cases) - max(round(share * len(cases)), 1) :]) if len(cases) > 1 else set()
    return tuple(_select_cases(samples, keep) for keep in (set(cases) - validation, validation))  # type: ignore[return-value]


def _select_cases(samples: HandSamples, cases: set[str]) -> HandSamples:
    rows = [row for row, case in enumerate(samples.cases) if case in cases]
    where = slice(rows[0], rows[-1] + 1) if rows and rows == list(range(rows[0], rows[-1] + 1)) else rows
    return replace(
        samples,
        images=samples.images[where],
        boxes=samples.boxes[rows],
        findings=samples.findings[rows],
        frames=tuple(samples.frames[row] for row in rows),
        cases=tuple(samples.cases[row] for row in rows),
        films=tuple(samples.films[row] for row in rows),
        sides=tuple(samples.sides[row] for row in rows),
    )
