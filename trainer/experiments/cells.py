"""One cell of a comparison: a scorer trained on simulated readings and measured against the truth of other patients.

All cells have the same budget and see the same joints in the same order. A result holds the errors of each test patient, so
that cells can be compared patient by patient.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ratui.errors import TrainError
from ratui.files import atomic_write
from trainer.data.cohort import Cohort, simulate_readings
from trainer.data.pair_augmentation import augment_pairs
from trainer.data.pairs import PairSamples, drop_fixed_scores
from trainer.experiments.arms import ARMS, Budget, Cell
from trainer.inference.decisions import DECISIONS, decide, expected_grades
from trainer.models.scorer import PairScorer
from trainer.training.loop import Schedule, Training, TrainingPlan
from trainer.training.processes import ProcessGroup
from trainer.training.scorer_training import ScorerBatch, make_batch_loss

__all__ = [
    "AUGMENTED_COPIES",
    "TrunkFeatures",
    "choose_rule",
    "draw_batches",
    "make_training",
    "measure_errors",
    "predict_from_features",
    "resize_crops",
    "run_cell",
    "save_cell",
    "split_rows",
    "train_cell",
]

AUGMENTED_COPIES = 6
"""Number of augmented copies of each training joint for which the features of a fixed trunk are computed."""


@dataclass(frozen=True)
class TrunkFeatures:
    """Features that a fixed trunk extracted.

    `train` (AUGMENTED_COPIES, N, 2, features) belong to augmented crops of the training joints, `test` (M, 2, features) to
    the crops of the test joints.
    """

    train: Tensor
    test: Tensor


def run_cell(
    cell: Cell, pool: Cohort, test: Cohort, budget: Budget, trunk_features: TrunkFeatures | None = None
) -> dict[str, Any]:
    """Train the scorer of `cell` on patients of `pool`, measure it on `test`, and return the result for its file.

    Each seed draws its own patients. With `trunk_features`, those of all patients of `pool`, only the layers after the
    trunk are trained. ``rule`` is the decision rule with the smallest error on the readings of the training patients, and
    the errors ``chosen`` are those of this rule.
    """
    started = time.process_time()
    train, rows = pool.draw(cell.size, cell.seed)
    if trunk_features is not None:
        trunk_features = TrunkFeatures(trunk_features.train[:, torch.from_numpy(rows)], trunk_features.test)
    samples = drop_fixed_scores(simulate_readings(train, cell.kind, budget.raters, cell.seed))
    model = train_cell(cell, samples, budget, trunk_features)
    own = (
        predict_from_features(model, trunk_features.train[0], train)
        if trunk_features
        else _predict(model, train, budget)
    )
    rule = choose_rule(samples, own)
    measured = measure_errors(test, _predict(model, test, budget, trunk_features))
    return {
        "cell": asdict(cell),
        "budget": asdict(budget),
        "seconds": round(time.process_time() - started, 2),
        "rule": rule,
        "measured": {**measured, "chosen": measured[rule]},
    }


def choose_rule(samples: PairSamples, probabilities: list[npt.NDArray[np.float64]]) -> str:
    """Return the name of the decision rule with the smallest error of the ERO change on the raters' labels.

    Of equal rules, the first in `DECISIONS`. `probabilities` is P of each scale, (N, G, G), for the N joints of `samples`.
    """
    scale = samples.scales.index("ERO")
    labels = samples.labels[:, :, scale]
    is_read = (labels >= 0).all(axis=2)
    change = labels[..., 1] - labels[..., 0]
    errors = {
        name: float(np.abs(decide(name, probabilities[scale]).change[:, None] - change)[is_read].sum())
        for name in DECISIONS
    }
    return min(errors, key=lambda name: errors[name])


def train_cell(
    cell: Cell, samples: PairSamples, budget: Budget, trunk_features: TrunkFeatures | None = None
) -> PairScorer:
    """Return the scorer of `cell`, trained on `samples`, in evaluation mode. Raises TrainError if the training fails."""
    arm = ARMS[cell.arm]
    torch.manual_seed(cell.seed)
    model = PairScorer(
        samples.grades,
        len(samples.group_names),
        pairing=arm.pairing,
        rater_model=arm.rater_model,
        raters=budget.raters,
        width=budget.width,
    )
    labels, max_grades, groups = (torch.from_numpy(a) for a in (samples.labels, samples.max_grades, samples.groups))

    def make_inputs(rows: Tensor, generator: torch.Generator) -> Tensor:
        if trunk_features is not None:
            copies = torch.randint(len(trunk_features.train), (len(rows),), generator=generator)
            return trunk_features.train[copies, rows]
        crops = torch.from_numpy(samples.crops[rows.numpy()]).float() / 255
        return augment_pairs(crops, generator, side=budget.pixels)

    def batches(epoch: int, _: ProcessGroup) -> Iterable[ScorerBatch]:
        for _step, rows, generator in draw_batches(len(labels), budget, cell.seed, epoch):
            yield ScorerBatch(make_inputs(rows, generator), groups[rows], labels[rows], max_grades[rows])

    training = make_training(model, budget, warm_up_tenth, name=cell.arm)
    training.run(batches, make_batch_loss(model, arm.loss, arm.difference))
    return model


def make_training(model: PairScorer, budget: Budget, schedule: Schedule, *, name: str) -> Training:
    """Return a training of `model` on the CPU for the steps of `budget`.

    The settings differ from those of ``ratui-train scorer`` where stored cells need it: other settings would change their
    results.
    """
    plan = TrainingPlan(
        epochs=budget.steps,  # never reached before `steps`, since an epoch has at least one step
        steps=budget.steps,
        rate=budget.rate,
        weight_decay=1e-3,
        reseed_epochs=False,
        channels_last=False,
    )
    return Training(model, plan, torch.device("cpu"), schedule=schedule, name=name)


def draw_batches(count: int, budget: Budget, seed: int, epoch: int) -> Iterator[tuple[int, Tensor, torch.Generator]]:
    """Yield the steps of an epoch: their numbers over all epochs, their rows, and generators for their augmentation.

    They depend on `count`, `seed` and the batch size only, so every recipe meets the same joints in the same order.
    """
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed * 7_919 + epoch))
    parts = split_rows(order, budget)
    for step, part in enumerate(parts, start=epoch * len(parts)):
        if step < budget.steps:
            yield step, part, torch.Generator().manual_seed(seed * 1_000_003 + step)


def split_rows(order: Tensor, budget: Budget) -> list[Tensor]:
    """Return the batches of an epoch, without a last one of a single joint: batch norm needs two."""
    return [part for part in torch.split(order, budget.batch) if len(part) > 1]


def warm_up_tenth(done: float, total: float) -> float:
    """Return the learning rate's share of its maximum: a linear warm-up over a tenth of the steps, then half a cosine."""
    share = done / total
    return 0.1 + 9 * share if share < 0.1 else max(0.5 * (1 + math.cos(math.pi * (share - 0.1) / 0.9)), 0.01)


@torch.inference_mode()
def _predict(
    model: PairScorer, test: Cohort, budget: Budget, trunk_features: TrunkFeatures | None = None
) -> list[npt.NDArray[np.float64]]:
    if trunk_features is not None:
        return predict_from_features(model, trunk_features.test, test)
    starts = range(0, len(test.crops), 256)
    features = torch.cat(
        [model.extract_features(resize_crops(test.crops[start : start + 256], budget.pixels)) for start in starts]
    )
    return predict_from_features(model, features, test)


@torch.inference_mode()
def predict_from_features(model: PairScorer, features: Tensor, people: Cohort) -> list[npt.NDArray[np.float64]]:
    """Return, for each scale, the probability of each pair of grades, (N, G, G), from the `features` of all joints."""
    max_grades, groups = torch.from_numpy(people.max_grades), torch.from_numpy(people.groups)
    return [pair[:, 0].double().exp().numpy() for pair in model.predict_pairs(features, groups, max_grades)]


def resize_crops(crops: npt.NDArray[np.uint8], pixels: int) -> Tensor:
    """Return crops (N, 2, S, S) uint8 as the scorer takes them: from 0 to 1, `pixels` square."""
    images = torch.from_numpy(np.ascontiguousarray(crops)).float() / 255
    if images.shape[-1] == pixels:
        return images
    return torch.nn.functional.interpolate(images, size=(pixels, pixels), mode="bilinear", align_corners=False)


def measure_errors(test: Cohort, probabilities: list[npt.NDArray[np.float64]]) -> dict[str, Any]:
    """Return sums of ERO errors against the truth for each test patient, over joints without a finding.

    Keys of the result are the number of joints, the errors of the answer "no change", the errors of the expected grades
    (``raw``), the negative log likelihood, the number of changed joints, and for each decision the errors of change, change
    of changed joints and grades, and the number of changes with the wrong sign.
    """
    scale = test.scheme.scales.index("ERO")
    is_counted = np.asarray(~test.has_finding.any(axis=1))
    truth, pair = test.true_grades[:, scale], probabilities[scale]
    change = truth[:, 1] - truth[:, 0]

    def by_patient(values: npt.NDArray[Any], which: npt.NDArray[np.bool_] | None = None) -> list[float]:
        where = is_counted if which is None else is_counted & which
        return [round(v, 5) for v in np.bincount(test.patient_index[where], values[where], len(test.patients)).tolist()]

    mean = expected_grades(pair)
    found: dict[str, Any] = {
        "joints": by_patient(np.ones(len(change))),
        "no change": by_patient(np.abs(change)),
        "raw": by_patient(np.abs(mean[:, 1] - mean[:, 0] - change)),
        "raw status": by_patient(np.abs(mean - truth).mean(axis=1)),
        "likelihood": by_patient(-np.log(np.maximum(_probability_of_truth(pair, truth), 1e-9))),
        "changed joints": by_patient((change != 0).astype(float)),
    }
    for name in DECISIONS:
        decision = decide(name, pair)
        error = np.abs(decision.change - change)
        found[name] = {
            "difference": by_patient(error),
            "changed": by_patient(error, change != 0),
            "status": by_patient(np.abs(decision.grades - truth).mean(axis=1)),
            "reversed": by_patient((decision.change * change < 0).astype(float)),
        }
    return found


def _probability_of_truth(pair: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.asarray(pair[np.arange(len(pair)), truth[:, 0], truth[:, 1]])


def save_cell(path: Path, result: dict[str, Any]) -> None:
    """Write a cell's file by rename, so that a killed comparison leaves only whole cells. Raises TrainError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(result), encoding="utf-8")
    except OSError as error:
        raise TrainError(f"the cell can't be written: {error.strerror}", path, "Free some disk space") from error
