"""Benchmark on a folder in the layout of RAM-H1200: both models are trained, and measured on the patients of the test.

There is one time point for each patient, so the scorer learns grades and no change. Each model has a run folder in which an
interrupted training continues.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from ratui.detection.finger_joints import list_finger_joints
from ratui.detection.hand_finder import find_joints
from ratui.errors import TrainError, clean_text
from ratui.imaging import Box
from ratui.results.statistics import quadratic_kappa
from ratui.scheme import Scheme, load_scheme
from trainer.data.coco import make_hand_samples
from trainer.data.hands import HandSamples
from trainer.data.pairs import PairSamples
from trainer.data.ram_h1200 import RamImage, RamSet, read_ram_h1200
from trainer.data.ram_samples import make_status_samples
from trainer.evaluation.evaluate_detector import evaluate_named_boxes
from trainer.evaluation.evaluate_status import evaluate_status
from trainer.evaluation.metrics import Metric
from trainer.inference.decisions import DEFAULT_DECISION, decide
from trainer.inference.scoring import TrainedScorer, load_scorers, score_samples
from trainer.models.detector import load_detector
from trainer.training.detector_training import fit_detector
from trainer.training.lineage import DataUsed, Lineage, digest_labels, digest_of_file
from trainer.training.model_card import CARD
from trainer.training.processes import SINGLE_PROCESS
from trainer.training.runs import Run, RunPlan, make_lineage, start_run
from trainer.training.scorer_training import fit_scorer

__all__ = ["PUBLISHED", "BenchmarkPlan", "BenchmarkResults", "JointAgreement", "run_ram_h1200"]

Progress = Callable[[str, int, int], None]
Integers: TypeAlias = npt.NDArray[np.int64]
PUBLISHED: Mapping[str, Mapping[str, float]] = {
    "ERO": {"quadratic weighted kappa": 0.591, "accuracy": 0.739},
    "JSN": {"quadratic weighted kappa": 0.634, "accuracy": 0.755},
}
"""Best published values on the real set by scale and measure (arXiv 2605.05616): DINOv2 ViT-S/14, cumulative loss."""
_SCHEME = "mtss-hands"


@dataclass(frozen=True)
class BenchmarkPlan:
    """Settings of a benchmark.

    `detector` and `scorer` are the settings of the trainings; seed, held-out share and validation share of the split are
    those of the detector. `patients` and `skip_unknown` are as for `trainer.data.ram_h1200.read_ram_h1200`. `decision` is
    the name of the decision rule.
    """

    detector: RunPlan
    scorer: RunPlan
    patients: Path | None = None
    skip_unknown: bool = False
    decision: str = DEFAULT_DECISION


@dataclass(frozen=True)
class JointAgreement:
    """Agreement at one joint on one scale, both sides together: number of films, weighted kappa and mean error."""

    joint: str
    scale: str
    count: int
    kappa: float
    error: float


@dataclass(frozen=True)
class BenchmarkResults:
    """Results of a benchmark.

    Attributes
    ----------
    data
        The images, with the split and what was left out.
    all_joints
        Agreement at all joints with a score, in the boxes of the folder.
    fingers_true, fingers_found
        Agreement at the finger joints that the detector found: in the boxes of the folder, and in those of the detector.
    found, wanted
        Number of these joints, and number of all finger joints with a score, in the test.
    detector
        Metrics of the detector.
    joints
        Agreement at each joint, in the boxes of the folder.
    loss, decision
        Loss of the scorer, and decision rule.
    """

    data: RamSet
    all_joints: tuple[Metric, ...]
    fingers_true: tuple[Metric, ...]
    fingers_found: tuple[Metric, ...]
    found: int
    wanted: int
    detector: tuple[Metric, ...]
    joints: tuple[JointAgreement, ...]
    loss: str
    decision: str


def run_ram_h1200(
    folder: Path, out: Path, plan: BenchmarkPlan, device: torch.device, progress: Progress
) -> BenchmarkResults:
    """Train a detector and a scorer on a folder in the layout of RAM-H1200, and measure both on its test.

    The runs are in ``detector`` and ``scorer`` in `out`. The same call continues a run that was interrupted.

    Parameters
    ----------
    folder
        The data set; see `trainer.data.ram_h1200`.
    out
        Folder of the runs and of the cached crops.
    plan
        Settings.
    device
        Device for the networks.
    progress
        Called with a text, the number done and the total.

    Raises
    ------
    TrainError
        If the folder or a setting can't be used, weights to start from have learned from patients of the test, `out` has
        runs of other settings or data, or a training fails.
    EndedBySignal
        After SIGTERM, once the checkpoint is written.
    """
    decide(plan.decision, np.ones((1, 1, 1)))  # an unknown rule is refused before the training
    scheme, settings = load_scheme(_SCHEME), plan.detector
    data = read_ram_h1200(
        folder,
        scheme,
        patients=plan.patients,
        skip_unknown=plan.skip_unknown,
        seed=settings.training.seed,
        held_out=settings.held_out,
        validation=settings.validation,
    )
    files = _digest_files(data, plan.patients)
    finished = [
        (out / model / "last.pt").exists() and (out / model / CARD).exists() for model in ("detector", "scorer")
    ]
    # Both are begun at first, so that a wrong setting of the scorer does not show after the detector was trained.
    begun = [
        _begin(model, data, out / model, plan_, files)
        for model, plan_ in (("detector", settings), ("scorer", plan.scorer))
    ]
    if not finished[0]:
        _train_detector(data, scheme, out, settings, begun[0], files, device, progress)
    learned = _load_learned(data, scheme, out, progress)
    if not finished[1]:
        _train_scorer(learned, data, out, plan.scorer, begun[1], files, device)
    return _evaluate(data, learned, scheme, out, plan, device, progress)


def _digest_files(data: RamSet, patients: Path | None) -> str:
    """Return a digest of everything that decides about samples and split, apart from the settings and the images."""
    parts = [digest_of_file(file) for file in (*data.files, *((patients,) if patients else ()))]
    return hashlib.sha256(" ".join((*parts, *(image.part for image in data.images))).encode()).hexdigest()[:40]


def _begin(model: str, data: RamSet, out: Path, plan: RunPlan, files: str) -> Run:
    return start_run(
        model, None, out, replace(plan, resume=True), SINGLE_PROCESS.count, split=data.split, data={"RAM-H1200": files}
    )


def _make_lineage(model: str, run: Run, plan: RunPlan, data: RamSet, files: str, *, count: int, digest: str) -> Lineage:
    """Return the lineage of a model. Raises TrainError if the weights it starts from have seen patients of the test."""
    used = DataUsed.of_ram_h1200(files, count, data.split.train, digest)
    lineage = make_lineage(model, run, plan, (used,))
    seen = lineage.parent.seen_patients(data.split.test) if lineage.parent else frozenset()
    if seen:
        raise TrainError(
            f"these weights have learned from {len(seen)} patients of the test: {clean_text(min(seen), 40)}",
            plan.weights or "",
            "Start from others",
        )
    return lineage


def _train_detector(
    data: RamSet,
    scheme: Scheme,
    out: Path,
    plan: RunPlan,
    run: Run,
    files: str,
    device: torch.device,
    progress: Progress,
) -> None:
    samples = {
        part: _make_hands(data.part(part), scheme, out, progress) for part in ("train", "val") if data.part(part)
    }
    hands = samples["train"]
    lineage = _make_lineage(
        "detector",
        run,
        plan,
        data,
        files,
        count=sum(len(each.images) for each in samples.values()),
        digest=digest_labels(hands.boxes),
    )
    validation = [samples["val"]] if "val" in samples else []
    fit_detector(
        [hands],
        validation,
        plan.training,
        out / "detector",
        device,
        SINGLE_PROCESS,
        batch=plan.batch,
        backbone=plan.backbone,
        weights=plan.weights,
        resume=True,
        choose_epoch=bool(validation),
        about={"joints": list(hands.joints), "validation_cases": len(data.patients("val"))},
        lineage=lineage,
    )


def _make_hands(images: Sequence[RamImage], scheme: Scheme, out: Path, progress: Progress) -> HandSamples:
    return make_hand_samples([image.hand for image in images], scheme, out / "samples", progress, name="ram-hands")


def _load_learned(data: RamSet, scheme: Scheme, out: Path, progress: Progress) -> PairSamples:
    """Return the samples that the scorer learns from, those to choose the epoch with included."""
    images = [image for image in data.part("train", "val") if image.grades]
    return make_status_samples(images, [image.boxes for image in images], scheme, out / "samples", progress)


def _train_scorer(
    samples: PairSamples,
    data: RamSet,
    out: Path,
    plan: RunPlan,
    run: Run,
    files: str,
    device: torch.device,
) -> None:
    is_kept = np.isin(np.array(samples.cases), data.patients("val"))
    lineage = _make_lineage(
        "scorer", run, plan, data, files, count=len(samples.crops), digest=digest_labels(samples.labels)
    )
    rows = torch.arange(len(samples.crops))
    kept = torch.from_numpy(is_kept)
    fit_scorer(
        samples,
        rows[~kept],
        rows[kept],
        out / "scorer",
        replace(plan, resume=True),
        device,
        SINGLE_PROCESS,
        lineage=lineage,
    )


def _evaluate(
    data: RamSet,
    learned: PairSamples,
    scheme: Scheme,
    out: Path,
    plan: BenchmarkPlan,
    device: torch.device,
    progress: Progress,
) -> BenchmarkResults:
    rng = np.random.default_rng(plan.scorer.training.seed)
    images = data.part("test")
    hands = _make_hands(images, scheme, out, progress)
    network = load_detector(out / "detector", device)
    found = []
    for row in range(len(images)):
        progress("finding joints", row, len(images))
        found += find_joints(network, hands.images[row : row + 1], scheme)
    progress("finding joints", len(images), len(images))
    scored = [number for number, image in enumerate(images) if image.grades]
    chosen, true = [images[number] for number in scored], [images[number].boxes for number in scored]
    detected = [
        {joint: image.hand.frame.to_film(Box(*each.box)) for joint, each in found[number].items() if joint in boxes}
        for number, image, boxes in zip(scored, chosen, true, strict=True)
    ]
    same = [
        {joint: box for joint, box in boxes.items() if joint in here}
        for boxes, here in zip(true, detected, strict=True)
    ]
    fingers = {joint.id for joint in list_finger_joints(scheme)}
    scorers = load_scorers((out / "scorer",), device)

    def load(boxes: Sequence[Mapping[str, Box]]) -> PairSamples | None:
        """Return the scored joints in these boxes, or None if there is none."""
        pairs = zip(chosen, boxes, strict=True)
        if not any(joint in here for image, here in pairs for joint, _ in image.grades):
            return None
        return make_status_samples(chosen, boxes, scheme, out / "samples", progress)

    def measure(samples: PairSamples | None, *, published: bool = False) -> tuple[Metric, ...]:
        return () if samples is None else _measure(samples, learned, scorers, plan.decision, rng, published=published)

    everything, in_true, in_found = load(true), load(same), load(detected)
    return BenchmarkResults(
        data,
        measure(everything, published=True),
        measure(in_true),
        measure(in_found),
        len(in_found.crops) if in_found else 0,
        sum(site.partition(".")[2] in fingers for site in everything.sites) if everything else 0,
        tuple(evaluate_named_boxes(hands, found, rng)),
        _measure_joints(everything, scorers, plan.decision) if everything else (),
        plan.scorer.loss,
        plan.decision,
    )


def _predict(
    samples: PairSamples, scorers: Sequence[TrainedScorer], decision: str
) -> Iterator[tuple[str, int, Integers, Integers, Integers]]:
    """Yield for each scale its name, its number of grades, and the rows with a grade, the read and the predicted grades."""
    for column, pairs in enumerate(score_samples(scorers, samples)):
        read = samples.labels[:, 0, column, 0]
        rows = np.flatnonzero(read >= 0)
        if len(rows):
            yield samples.scales[column], pairs.shape[1], rows, read[rows], decide(decision, pairs).grades[rows, 0]


def _measure(
    samples: PairSamples,
    learned: PairSamples,
    scorers: Sequence[TrainedScorer],
    decision: str,
    rng: np.random.Generator,
    *,
    published: bool,
) -> tuple[Metric, ...]:
    """Return the agreement on each scale. The baseline is the most frequent grade of the samples in `learned`."""
    found: list[Metric] = []
    for scale, grades, rows, read, predicted in _predict(samples, scorers, decision):
        before = learned.labels[:, 0, learned.scales.index(scale), 0]
        usual = int(np.bincount(before[before >= 0]).argmax()) if (before >= 0).any() else None
        patients = [samples.cases[row] for row in rows]
        values = PUBLISHED[scale] if published else None
        found += evaluate_status(scale, read, predicted, patients, grades, rng, usual=usual, published=values)
    return tuple(found)


def _measure_joints(
    samples: PairSamples, scorers: Sequence[TrainedScorer], decision: str
) -> tuple[JointAgreement, ...]:
    found = []
    for scale, grades, rows, read, predicted in _predict(samples, scorers, decision):
        joints = np.array([samples.sites[row].partition(".")[2] for row in rows])
        for joint in dict.fromkeys(joints.tolist()):
            here = joints == joint
            table = np.zeros((grades, grades))
            np.add.at(table, (read[here], predicted[here]), 1.0)
            error = float(np.abs(read[here] - predicted[here]).mean())
            found.append(JointAgreement(joint, scale, int(here.sum()), float(quadratic_kappa(table)), error))
    return tuple(found)
