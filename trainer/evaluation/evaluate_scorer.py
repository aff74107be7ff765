"""What the scorer is worth against raters' signed readings: differences, scores, calibration, and its worst joints.

A score counts where no finding fixes it at either time point, as in the source. Nothing is left out for being bad.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from ratui.results.bootstrap import bootstrap_interval, bootstrap_mean
from trainer.data.pairs import PairSamples
from trainer.evaluation.metrics import RESAMPLES, Floats, Metric
from trainer.inference.decisions import (
    Decision,
    change_probabilities,
    decide,
    expected_change_error,
    expected_grades,
    marginal_probabilities,
)

__all__ = [
    "Calibration",
    "ScalePredictions",
    "WorstJoint",
    "evaluate_by_uncertainty",
    "evaluate_calibration",
    "evaluate_ranking",
    "evaluate_scale",
    "find_worst_joints",
    "match_labels",
]

_CONFIDENCE_BINS = 10


@dataclass(frozen=True)
class ScalePredictions:
    """One scale's answers beside its labels, one row for each joint and rater whose label counts.

    `row` (M,) is the joint's place in the samples; `label` (M, 2) are the raters' scores, `decision` the model's.
    `mean` (M, 2) are its expected grades, `pair_probabilities` (M, G, G) those of each pair of grades, `patients` the cases.
    """

    scale: str
    row: npt.NDArray[np.int64]
    patients: tuple[str, ...]
    label: Floats
    decision: Decision
    mean: Floats
    pair_probabilities: Floats
    all_labels: Floats

    @property
    def change(self) -> Floats:
        """The change that was read, (M,)."""
        return np.asarray(self.label[:, 1] - self.label[:, 0])

    @property
    def errors(self) -> Floats:
        """Errors of the decided difference, said less read, (M,)."""
        return np.asarray(self.decision.change - self.change)


@dataclass(frozen=True)
class Calibration:
    """The model's mean `confidence` and `accuracy` in each bin of confidence, with the `count` of answers.

    `error` is the expected calibration error.
    `target` says of which answers: ``score`` of one time point, or ``change``.
    """

    target: str
    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    count: tuple[int, ...]
    error: Metric


@dataclass(frozen=True)
class WorstJoint:
    """A joint where the model was far off: what the raters read at both time points, and what it said."""

    case: str
    site: str
    row: int
    rater_grades: tuple[tuple[int, int], ...]
    predicted_grades: tuple[int, int]
    change: int
    uncertainty: float


def match_labels(pairs: PairSamples, probabilities: Floats, scale: int, decision: str) -> ScalePredictions:
    """The answers of one scale beside every label that counts: both given, and no finding at either time point."""
    labels = pairs.labels[:, :, scale].astype(np.float64)
    counts = np.asarray((labels >= 0).all(axis=2) & ~pairs.has_finding.any(axis=2))
    rows, raters = np.nonzero(counts)
    said = decide(decision, probabilities)
    return ScalePredictions(
        pairs.scales[scale],
        rows,
        tuple(pairs.cases[row] for row in rows),
        labels[rows, raters],
        Decision(said.grades[rows], said.change[rows]),
        expected_grades(probabilities)[rows],
        probabilities[rows],
        np.where(counts[..., None], labels, np.nan),
    )


def evaluate_scale(answers: ScalePredictions, rng: np.random.Generator) -> tuple[list[Metric], list[Metric]]:
    """The figures of one scale: those that the source has (the difference's error, changes of the wrong sign), and more."""
    name, change, patients = answers.scale, answers.change, answers.patients
    source = name == "ERO"
    error = np.abs(answers.errors)
    raw = np.abs(answers.mean[:, 1] - answers.mean[:, 0] - change)
    status = np.abs(answers.decision.grades - answers.label).mean(axis=1)
    usual = np.median(answers.label, axis=0)
    changed = change != 0
    still = float(np.abs(change).mean())
    raters_change, raters_status = _rater_disagreement(answers.all_labels)

    def make_metric(what: str, values: Floats, better: str = "lower", **facts: Any) -> Metric:
        mean = bootstrap_mean(np.asarray(values, np.float64), patients, rng, RESAMPLES)
        return Metric(f"{name}, {what}", mean.value, mean.low, mean.high, better, **facts)

    no_change: dict[str, Any] = {"baseline_name": "no change"}
    headline = [
        make_metric(
            "mean error of the difference",
            error,
            baseline=still,
            raters=raters_change,
            paper=0.412 if source else None,
            note="in whole grades, as they would be stored",
            **no_change,
        ),
        make_metric(
            "improvement taken for worsening or the reverse",
            (answers.decision.change * change < 0).astype(float),
            unit="%",
            baseline=0.0,
            paper=0.0 if source else None,
            note="of all pairs",
            **no_change,
        ),
    ]
    worse = change > 0
    more = [
        make_metric(
            "mean error of the difference, not rounded", raw, baseline=still, raters=raters_change, **no_change
        ),
        make_metric(
            "mean error of the difference where a change was read",
            np.where(changed, error, np.nan),
            baseline=float(np.abs(change[changed]).mean()) if changed.any() else None,
            **no_change,
        ),
        make_metric(
            "mean error of the difference where no change was read",
            np.where(changed, np.nan, error),
            baseline=0.0,
            **no_change,
        ),
        make_metric(
            "worsening that was read and seen",
            np.where(worse, answers.decision.change > 0, np.nan),
            "higher",
            unit="%",
            baseline=0.0,
            **no_change,
        ),
        make_metric(
            "mean error of the score of one time point",
            status,
            baseline=float(np.abs(answers.label - usual).mean()),
            baseline_name="always the median",
            raters=raters_status,
        ),
    ]
    return headline, more


def evaluate_ranking(
    pairs: PairSamples, answers: ScalePredictions, probabilities: Floats, rng: np.random.Generator
) -> Metric:
    """How well patients are ordered by their total change, which is what a trial reads."""
    labels, mean = answers.all_labels, expected_grades(probabilities)
    known = np.isfinite(labels).all(axis=2)
    safe = np.where(np.isfinite(labels), labels, 0.0)
    count = known.sum(axis=1)
    change = (np.where(known, safe[..., 1] - safe[..., 0], 0.0).sum(axis=1)) / np.maximum(count, 1)
    said = np.where(count > 0, mean[:, 1] - mean[:, 0], 0.0)
    ids = np.array(pairs.cases)
    totals = np.array([[change[ids == case].sum(), said[ids == case].sum()] for case in np.unique(ids)])
    low, high = bootstrap_interval(
        lambda draws: [_spearman(totals[draw]) for draw in draws], len(totals), rng, RESAMPLES
    )
    name = f"{answers.scale}, rank correlation of the patients' total change"
    return Metric(name, _spearman(totals), low, high, "higher", baseline=0.0, baseline_name="no change")


def evaluate_calibration(answers: ScalePredictions, what: str, rng: np.random.Generator) -> Calibration:
    """How sure the model is of what it says, beside how often raters say the same; `what` is ``score`` or ``change``.

    The expected calibration error is the gap between the two, weighed by how many answers are so sure.
    """
    if what == "score":
        probabilities = marginal_probabilities(answers.pair_probabilities).reshape(
            -1, answers.pair_probabilities.shape[1]
        )
        said, read = answers.decision.grades.ravel(), answers.label.ravel()
        patients = np.repeat(np.array(answers.patients), 2)
    else:
        offset = answers.pair_probabilities.shape[1] - 1
        probabilities, said = change_probabilities(answers.pair_probabilities), answers.decision.change + offset
        read, patients = answers.change + offset, np.array(answers.patients)
    sure = probabilities[np.arange(len(said)), said]
    right = (said == read).astype(np.float64)
    place = np.minimum((sure * _CONFIDENCE_BINS).astype(int), _CONFIDENCE_BINS - 1)
    ids, index = np.unique(patients, return_inverse=True)
    shape = (len(ids), _CONFIDENCE_BINS)
    gaps = np.zeros(shape)
    counts = np.zeros(shape)
    np.add.at(gaps, (index, place), right - sure)
    np.add.at(counts, (index, place), 1.0)
    low, high = bootstrap_interval(
        lambda draws: np.abs(gaps[draws].sum(axis=1)).sum(axis=1) / counts[draws].sum(axis=(1, 2)),
        len(ids),
        rng,
        RESAMPLES,
    )
    value = float(np.abs(gaps.sum(axis=0)).sum() / counts.sum())
    filled = counts.sum(axis=0) > 0
    name = f"{answers.scale}, expected calibration error of the {what}"
    metric = Metric(name, value, low, high, "lower", note="how sure less how often right")
    whole = counts.sum(axis=0)[filled]
    says, is_right = (tuple((np.bincount(place, v, _CONFIDENCE_BINS)[filled] / whole).tolist()) for v in (sure, right))
    return Calibration(what, says, is_right, tuple(int(n) for n in whole), metric)


def evaluate_by_uncertainty(answers: ScalePredictions, rng: np.random.Generator) -> tuple[Metric, ...]:
    """The error of the difference in each quarter of the answers, from the least doubted to the most."""
    doubted = expected_change_error(answers.pair_probabilities, answers.decision.change)
    order = np.argsort(doubted, kind="stable")
    quarter = np.empty(len(order), int)
    quarter[order] = np.arange(len(order)) * 4 // max(len(order), 1)
    found = []
    for number, word in enumerate(("least", "second", "third", "most")):
        there = np.where(quarter == number, np.abs(answers.errors), np.nan)
        mean = bootstrap_mean(there, answers.patients, rng, RESAMPLES)
        expects = float(doubted[quarter == number].mean()) if (quarter == number).any() else None
        name = f"{answers.scale}, error of the difference in the {word} doubted quarter"
        found.append(
            Metric(
                name, mean.value, mean.low, mean.high, "lower", baseline=expects, baseline_name="as the model expects"
            )
        )
    return tuple(found)


def find_worst_joints(pairs: PairSamples, answers: ScalePredictions, count: int = 6) -> tuple[WorstJoint, ...]:
    """The joints whose change was most wrongly decided, by the median rater; of equal ones the surest come first."""
    rows = np.unique(answers.row)
    first = {int(row): place for place, row in reversed(list(enumerate(answers.row)))}
    doubted = expected_change_error(answers.pair_probabilities, answers.decision.change)
    ranked = []
    for row in rows:
        labels = answers.all_labels[row]
        labels = labels[np.isfinite(labels).all(axis=1)].astype(int)
        place = first[int(row)]
        said = int(answers.decision.change[place])
        error = abs(said - float(np.median(labels[:, 1] - labels[:, 0])))
        ranked.append((-error, float(doubted[place]), int(row), labels, place))
    ranked.sort(key=lambda item: item[:3])
    return tuple(
        WorstJoint(
            pairs.cases[row],
            pairs.sites[row],
            row,
            tuple((int(a), int(b)) for a, b in labels),
            (int(answers.decision.grades[place, 0]), int(answers.decision.grades[place, 1])),
            int(answers.decision.change[place]),
            round(doubt_, 3),
        )
        for _, doubt_, row, labels, place in ranked[:count]
    )


def _spearman(totals: Floats) -> float:
    if len(totals) < 3 or np.ptp(totals[:, 0]) == 0 or np.ptp(totals[:, 1]) == 0:
        return float("nan")
    return float(spearmanr(totals[:, 0], totals[:, 1]).statistic)


def _rater_disagreement(labels: Floats) -> tuple[float | None, float | None]:
    """The mean absolute disagreement of two raters, of the change and of the score; None with a single rater."""
    change, status = [], []
    for a, b in combinations(range(labels.shape[1]), 2):
        both = np.isfinite(labels[:, a]).all(axis=1) & np.isfinite(labels[:, b]).all(axis=1)
        one, two = labels[both, a], labels[both, b]
        change += list(np.abs((one[:, 1] - one[:, 0]) - (two[:, 1] - two[:, 0])))
        status += list(np.abs(one - two).mean(axis=1))
    return (float(np.mean(change)), float(np.mean(status))) if change else (None, None)
