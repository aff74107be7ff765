"""What the models are worth on cases that neither has learnt from, each figure beside its trivial baseline.

Intervals are bootstrapped over patients, never over joints. Nothing here trains, and nothing is left out for being bad.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import spearmanr
from torchvision.ops import box_iou

from ratui.errors import TrainError
from ratui.study import Study
from trainer.detector import Detection, load_detector
from trainer.find import find_joints
from trainer.hands import KINDS, HandSamples, hand_samples
from trainer.runs import load_split, progress
from trainer.samples import PairSamples, pair_samples, read_cases
from trainer.scorer import load_scorer, predict

__all__ = ["Figure", "Results", "evaluate"]

_Floats = npt.NDArray[np.float64]
_RESAMPLES = 1000
HIT = 0.5
"""A joint counts as found where a box of its kind overlaps it by at least this IoU."""


@dataclass(frozen=True)
class Figure:
    """One measured figure with its 95 % interval, and what it stands beside.

    `baseline` is what doing nothing clever gives, `raters` the raters' own figure, `paper` the source's; None where
    there is no such thing. `unit` is ``%`` or empty, `better` is ``higher`` or ``lower``.
    """

    name: str
    value: float
    low: float
    high: float
    better: str
    unit: str = ""
    baseline: float | None = None
    baseline_name: str = ""
    raters: float | None = None
    paper: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Results:
    """All that an evaluation found. `differences` are errors of the ERO difference, by joint, for the histogram."""

    cases: int
    films: int
    joints: int
    headline: tuple[Figure, ...]
    more: tuple[Figure, ...]
    differences: _Floats
    loss: str
    notes: tuple[str, ...] = field(default=())


def evaluate(study: Study, detector: Path, scorer: Path, out: Path, device: torch.device, *, seed: int = 0) -> Results:
    """Measures the detector's and the scorer's runs on the cases that neither learnt from. Raises TrainError."""
    learnt = set(load_split(detector).train) | set(load_split(scorer).train)
    cases = tuple(case for case in read_cases(study) if case not in learnt)
    if not cases:
        raise TrainError("both models have learnt from every read case", study.path, "Hold some out, or read more")
    rng = np.random.default_rng(seed)
    with study.snapshot() as still:
        hands = hand_samples(still, cases, out / "samples", progress)
        pairs = pair_samples(still, cases, out / "samples", progress)
    found = find_joints(load_detector(detector, device), hands.images, study.scheme)
    headline, more = _detection(hands, found, rng)
    model, about = load_scorer(scorer, device)
    if tuple(about["scales"]) != pairs.scales or tuple(about["group_names"]) != pairs.group_names:
        raise TrainError("the scorer was trained with another scheme", scorer, "Train one on this study's scheme")
    chances = predict(model, pairs.crops, pairs.groups, pairs.tops)
    differences: _Floats = np.zeros(0)
    for scale, name in enumerate(pairs.scales):
        measured = _scoring(pairs, chances[scale], scale, rng)
        if name == "ERO":
            headline += measured[:2]
            differences = _difference_errors(pairs, chances[scale], scale)
            measured = measured[2:]
        more += measured
    return Results(
        len(cases), len(hands.images), len(pairs.crops), tuple(headline), tuple(more), differences, str(about["loss"])
    )


# The detector.


def _detection(
    hands: HandSamples, found: Sequence[Mapping[str, Detection]], rng: np.random.Generator
) -> tuple[list[Figure], list[Figure]]:
    """Overlap, rate, findings; and false boxes, names, sensitivity and specificity."""
    owner, overlap, finding_true, finding_said, named = [], [], [], [], []
    false_boxes, hand_owner = [], []
    for row, joints in enumerate(found):
        detections = list(joints.values())
        names = {joint: index for index, joint in enumerate(joints)}
        matched, used = _match(hands, row, detections)
        for joint, name in enumerate(hands.joints):
            if not np.isfinite(hands.boxes[row, joint]).all():
                continue
            owner.append(hands.cases[row])
            index, iou = matched.get(joint, (None, 0.0))
            overlap.append(iou)
            named.append(index is not None and names.get(name) == index)
            seen = hands.findings[row, joint]
            finding_true.append(np.nan if np.isnan(seen) or index is None else float(seen >= 0.5))
            finding_said.append(np.nan if index is None else float(detections[index].finding >= 0.5))
        false_boxes.append(float(len(detections) - len(used)))
        hand_owner.append(hands.cases[row])
    iou_hit = np.array([value if value >= HIT else np.nan for value in overlap])
    hit = np.array(overlap) >= HIT
    true, said = np.array(finding_true), np.array(finding_said)
    right = np.where(np.isnan(true), np.nan, true == said)
    best_guess = max(float(np.nanmean(true)), 1 - float(np.nanmean(true)))

    def figure(name: str, values: npt.NDArray[np.generic], who: Sequence[str] = owner, **facts: object) -> Figure:
        value, low, high = _bootstrap(np.asarray(values, np.float64), who, rng)
        return Figure(name, value, low, high, **facts)  # type: ignore[arg-type]

    headline = [
        figure(
            "Joint detection, mean IoU", iou_hit, better="higher", paper=0.845, note="over the joints that were found"
        ),
        figure(
            "Joint detection rate",
            hit,
            better="higher",
            unit="%",
            paper=0.946,
            note="a box of its kind, IoU at least 0.5",
        ),
        figure(
            "Special finding, accuracy",
            right,
            better="higher",
            unit="%",
            paper=0.944,
            baseline=best_guess,
            baseline_name="never a finding",
            note="over the joints that were found; read it with the next two",
        ),
        figure(
            "Special finding, sensitivity",
            np.where(true == 1, right, np.nan),
            better="higher",
            unit="%",
            baseline=0.0,
            baseline_name="never a finding",
        ),
        figure(
            "Special finding, specificity",
            np.where(true == 0, right, np.nan),
            better="higher",
            unit="%",
            baseline=1.0,
            baseline_name="never a finding",
        ),
    ]
    more = [
        figure("Mean IoU, a joint not found counting as 0", np.array(overlap), better="higher"),
        figure("Boxes on no joint, for each hand", np.array(false_boxes), hand_owner, better="lower"),
        figure("Joints found and given the right name", np.array(named), better="higher", unit="%"),
    ]
    return headline, more


def _match(
    hands: HandSamples, row: int, detections: Sequence[Detection]
) -> tuple[dict[int, tuple[int, float]], set[int]]:
    """For each joint the box of its kind that overlaps it most, each box once; and the boxes that hit a joint."""
    matched: dict[int, tuple[int, float]] = {}
    if not detections:
        return matched, set()
    boxes = torch.tensor([detection.box for detection in detections], dtype=torch.float32)
    truth = torch.from_numpy(np.nan_to_num(hands.boxes[row], nan=-9.0))
    overlaps = box_iou(truth, boxes).numpy()
    pairs = sorted(((v, j, d) for (j, d), v in np.ndenumerate(overlaps) if v > 0), reverse=True)
    used: set[int] = set()
    for value, joint, index in pairs:
        same = detections[index].candidate.kind == KINDS[hands.kinds[joint]]
        if same and joint not in matched and index not in used:
            matched[joint] = (index, float(value))
            used.add(index)
    return matched, {index for index, value in matched.values() if value >= HIT}


# The scorer.


def _expected(chances: _Floats) -> _Floats:
    """The mean grade, (..., grades) to (...)."""
    return np.asarray(chances @ np.arange(chances.shape[-1]))


def _open(pairs: PairSamples, scale: int) -> tuple[npt.NDArray[np.bool_], _Floats]:
    """Which labels count, (N, raters): both given and no finding at either time point; and the labels, NaN elsewhere."""
    labels = pairs.labels[:, :, scale].astype(np.float64)
    counts = np.asarray((labels >= 0).all(axis=2) & ~pairs.found.any(axis=2))
    return counts, np.where(counts[..., None], labels, np.nan)


def _difference_errors(pairs: PairSamples, chances: _Floats, scale: int) -> _Floats:
    """Errors of the difference, predicted less labelled, for each joint and rater whose label counts."""
    counts, labels = _open(pairs, scale)
    mean = _expected(chances)
    errors = (mean[:, 1] - mean[:, 0])[:, None] - (labels[..., 1] - labels[..., 0])
    return np.asarray(errors[counts])


def _scoring(pairs: PairSamples, chances: _Floats, scale: int, rng: np.random.Generator) -> list[Figure]:
    """The figures of one scale; the first two are the paper's: the difference's error, and changes of the wrong sign."""
    name = pairs.scales[scale]
    counts, labels = _open(pairs, scale)
    rows, raters = np.nonzero(counts)
    owner = [pairs.cases[row] for row in rows]
    label = labels[rows, raters]
    mean = _expected(chances)[rows]
    change, said = label[:, 1] - label[:, 0], mean[:, 1] - mean[:, 0]
    error = np.abs(said - change)
    status_error = np.abs(mean - label).mean(axis=1)
    usual = np.median(label, axis=0)
    rounded = np.abs(np.rint(said) - change)
    reversal = (np.rint(said) * change < 0).astype(float)
    disagreement_change, disagreement = _raters(labels)
    agreed = np.where(change != 0, error, np.nan)

    def figure(what: str, values: _Floats, **facts: object) -> Figure:
        value, low, high = _bootstrap(values, owner, rng)
        return Figure(f"{name}, {what}", value, low, high, **facts)  # type: ignore[arg-type]

    return [
        figure(
            "mean error of the difference",
            error,
            better="lower",
            paper=0.412 if name == "ERO" else None,
            baseline=float(np.abs(change).mean()),
            baseline_name="no change",
            raters=disagreement_change,
        ),
        figure(
            "improvement taken for worsening or the reverse",
            reversal,
            better="lower",
            unit="%",
            paper=0.0 if name == "ERO" else None,
            baseline=0.0,
            baseline_name="no change",
            note="rounded to whole grades, of all pairs",
        ),
        figure(
            "mean error of the difference, rounded to whole grades",
            rounded,
            better="lower",
            baseline=float(np.abs(change).mean()),
            baseline_name="no change",
            raters=disagreement_change,
        ),
        figure(
            "mean error of the difference where a change was read",
            agreed,
            better="lower",
            baseline=float(np.abs(change[change != 0]).mean()) if (change != 0).any() else None,
            baseline_name="no change",
        ),
        figure(
            "mean error of the score of one time point",
            status_error,
            better="lower",
            baseline=float(np.abs(label - usual).mean()),
            baseline_name="always the median",
            raters=disagreement,
        ),
        _rank(pairs, labels, _expected(chances), name, rng),
    ]


def _rank(pairs: PairSamples, labels: _Floats, mean: _Floats, name: str, rng: np.random.Generator) -> Figure:
    """How well patients are ordered by their total change, which is what a trial reads."""
    known = np.isfinite(labels).all(axis=2)
    safe = np.where(np.isfinite(labels), labels, 0.0)
    count = known.sum(axis=1)
    change = (np.where(known, safe[..., 1] - safe[..., 0], 0.0).sum(axis=1)) / np.maximum(count, 1)
    said = np.where(count > 0, mean[:, 1] - mean[:, 0], 0.0)
    ids = np.array(pairs.cases)
    cases = np.unique(ids)
    totals = np.array([[change[ids == case].sum(), said[ids == case].sum()] for case in cases])
    draws = rng.integers(0, len(cases), (_RESAMPLES, len(cases)))
    values = [_spearman(totals[draw]) for draw in draws]
    low, high = np.nanpercentile(values, [2.5, 97.5]) if np.isfinite(values).any() else (np.nan, np.nan)
    return Figure(
        f"{name}, rank correlation of the patients' total change",
        _spearman(totals),
        float(low),
        float(high),
        "higher",
        baseline=0.0,
        baseline_name="no change",
    )


def _spearman(totals: _Floats) -> float:
    if len(totals) < 3 or np.ptp(totals[:, 0]) == 0 or np.ptp(totals[:, 1]) == 0:
        return float("nan")
    return float(spearmanr(totals[:, 0], totals[:, 1]).statistic)


def _raters(labels: _Floats) -> tuple[float | None, float | None]:
    """The mean absolute disagreement of two raters, of the change and of the score; None with a single rater."""
    change, status = [], []
    for a, b in combinations(range(labels.shape[1]), 2):
        both = np.isfinite(labels[:, a]).all(axis=1) & np.isfinite(labels[:, b]).all(axis=1)
        one, two = labels[both, a], labels[both, b]
        change += list(np.abs((one[:, 1] - one[:, 0]) - (two[:, 1] - two[:, 0])))
        status += list(np.abs(one - two).mean(axis=1))
    return (float(np.mean(change)), float(np.mean(status))) if change else (None, None)


def _bootstrap(values: _Floats, owner: Sequence[str], rng: np.random.Generator) -> tuple[float, float, float]:
    """The mean of `values` (NaN left out) and its 95 % interval, drawing patients, not joints."""
    ids, index = np.unique(np.asarray(owner), return_inverse=True)
    known = np.isfinite(values)
    if not known.any():
        return float("nan"), float("nan"), float("nan")
    sums = np.bincount(index[known], values[known], len(ids))
    counts = np.bincount(index[known], minlength=len(ids)).astype(np.float64)
    draws = rng.integers(0, len(ids), (_RESAMPLES, len(ids)))
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    low, high = np.nanpercentile(means, [2.5, 97.5])
    return float(values[known].mean()), float(low), float(high)
