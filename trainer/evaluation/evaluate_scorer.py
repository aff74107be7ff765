"""Evaluation of the scorer against signed readings: errors of change and grades, calibration, and the worst joints.

`trainer.evaluation.scale_predictions` says which labels count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from ratui.results.bootstrap import bootstrap_interval, bootstrap_mean
from trainer.data.pairs import PairSamples
from trainer.evaluation.metrics import RESAMPLES, Metric
from trainer.evaluation.scale_predictions import ScalePredictions, StatusPredictions
from trainer.inference.decisions import Floats, change_probabilities, expected_change_error, expected_grades

__all__ = [
    "Calibration",
    "WorstJoint",
    "evaluate_by_uncertainty",
    "evaluate_calibration",
    "evaluate_ranking",
    "evaluate_scale",
    "find_worst_joints",
]

_CONFIDENCE_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """Mean `confidence`, mean `accuracy` and `count` of predictions in each bin of confidence that is not empty.

    `error` is the expected calibration error. `target` is ``score`` (grades of single time points) or ``change``.
    """

    target: str
    confidence: tuple[float, ...]
    accuracy: tuple[float, ...]
    count: tuple[int, ...]
    error: Metric


@dataclass(frozen=True)
class WorstJoint:
    """A joint with a large error of the change.

    `row` is its index in the samples. Grades are those of both time points, `rater_grades` with one pair for each rater;
    `change` is the predicted change, and `uncertainty` its expected absolute error. `visits` are the names of the two
    visits, empty if they are not known.
    """

    case: str
    site: str
    row: int
    rater_grades: tuple[tuple[int, int], ...]
    predicted_grades: tuple[int, int]
    change: int
    uncertainty: float
    visits: tuple[str, str] = ("", "")


def evaluate_scale(predictions: ScalePredictions, rng: np.random.Generator) -> tuple[list[Metric], list[Metric]]:
    """Return the metrics of one scale that the published reference has as well, and the other metrics.

    The first list holds the mean error of the change and the share of changes of the wrong sign. Scores at one time point
    only count for the error of the score, and for nothing else.
    """
    name, change, patients = predictions.scale, predictions.change, predictions.patients
    in_paper = name == "ERO"  # the reference reports ERO only
    error = np.abs(predictions.errors)
    raw = np.abs(predictions.mean[:, 1] - predictions.mean[:, 0] - change)
    status = predictions.status
    status_error = np.abs(status.grade - status.label)
    changed = change != 0
    no_change_error = float(np.abs(change).mean())
    raters_change = _rater_disagreement(predictions.all_labels[..., 1:] - predictions.all_labels[..., :1])

    def make_metric(
        text: str, values: Floats, better: str = "lower", patients: Sequence[str] = patients, **facts: Any
    ) -> Metric:
        mean = bootstrap_mean(np.asarray(values, np.float64), patients, rng, RESAMPLES)
        return Metric(f"{name}, {text}", mean.value, mean.low, mean.high, better, **facts)

    no_change: dict[str, Any] = {"baseline_name": "no change"}
    headline = [
        make_metric(
            "mean error of the difference",
            error,
            baseline=no_change_error,
            raters=raters_change,
            paper=0.412 if in_paper else None,
            note="in whole grades, as stored",
            **no_change,
        ),
        make_metric(
            "change predicted with the wrong sign",
            (predictions.decision.change * change < 0).astype(float),
            unit="%",
            baseline=0.0,
            paper=0.0 if in_paper else None,
            note="of all pairs",
            **no_change,
        ),
    ]
    worse = change > 0
    more = [
        make_metric(
            "mean error of the difference, not rounded",
            raw,
            baseline=no_change_error,
            raters=raters_change,
            **no_change,
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
            "worsening read by the rater and predicted",
            np.where(worse, predictions.decision.change > 0, np.nan),
            "higher",
            unit="%",
            baseline=0.0,
            **no_change,
        ),
        make_metric(
            "mean error of the score of one time point",
            status_error,
            patients=tuple(status.patients),
            baseline=_median_grade_error(status),
            baseline_name="always the median grade",
            raters=_rater_disagreement(status.all_labels),
        ),
    ]
    return headline, more


def evaluate_ranking(
    pairs: PairSamples,
    predictions: ScalePredictions,
    probabilities: Floats,
    rng: np.random.Generator,
    more: Sequence[Floats] = (),
) -> Metric:
    """Return Spearman's rank correlation of the patients' total change, predicted and read.

    Trials evaluate this total. The read change of a joint is the mean over its raters. `probabilities` (N, G, G) are those
    of all joints in `pairs`. If `more` has those of other models, the result is the mean of the models' correlations.
    """
    labels = predictions.all_labels
    known = np.isfinite(labels).all(axis=2)
    safe = np.where(np.isfinite(labels), labels, 0.0)
    count = known.sum(axis=1)
    change = (np.where(known, safe[..., 1] - safe[..., 0], 0.0).sum(axis=1)) / np.maximum(count, 1)
    ids = np.array(pairs.cases)
    totals = []
    for each in (probabilities, *more):
        mean = expected_grades(each)
        predicted = np.where(count > 0, mean[:, 1] - mean[:, 0], 0.0)
        totals.append([[change[ids == case].sum(), predicted[ids == case].sum()] for case in np.unique(ids)])
    by_model = np.array(totals)

    def correlate(draw: npt.NDArray[np.int64]) -> float:
        return float(np.mean([_spearman(each[draw]) for each in by_model]))

    count_of_patients = by_model.shape[1]
    low, high = bootstrap_interval(lambda draws: [correlate(draw) for draw in draws], count_of_patients, rng, RESAMPLES)
    name = f"{predictions.scale}, rank correlation of the patients' total change"
    value = correlate(np.arange(count_of_patients))
    return Metric(name, value, low, high, "higher", baseline=0.0, baseline_name="no change")


def evaluate_calibration(predictions: ScalePredictions, target: str, rng: np.random.Generator) -> Calibration:
    """Compare the model's confidence in its decisions with the share of raters' labels that agree.

    The expected calibration error is the mean absolute difference of both over the bins of confidence, weighted by the
    number of predictions in each bin. `target` is ``score`` or ``change``.
    """
    pair = predictions.pair_probabilities
    if target == "score":
        status = predictions.status
        probabilities, decided, patients = status.probabilities, status.grade, status.patients
        read = status.label
    else:
        offset = pair.shape[1] - 1
        probabilities, decided = change_probabilities(pair), predictions.decision.change + offset
        read, patients = predictions.change + offset, np.array(predictions.patients)
    confidence = probabilities[np.arange(len(decided)), decided]
    correct = (decided == read).astype(np.float64)
    bins = np.minimum((confidence * _CONFIDENCE_BINS).astype(int), _CONFIDENCE_BINS - 1)
    ids, index = np.unique(patients, return_inverse=True)
    shape = (len(ids), _CONFIDENCE_BINS)
    gaps = np.zeros(shape)
    counts = np.zeros(shape)
    # Sums by patient and bin: a resample of patients is then a sum of rows.
    np.add.at(gaps, (index, bins), correct - confidence)
    np.add.at(counts, (index, bins), 1.0)
    low, high = bootstrap_interval(
        lambda draws: np.abs(gaps[draws].sum(axis=1)).sum(axis=1) / counts[draws].sum(axis=(1, 2)),
        len(ids),
        rng,
        RESAMPLES,
    )
    value = float(np.abs(gaps.sum(axis=0)).sum() / counts.sum())
    filled = counts.sum(axis=0) > 0
    name = f"{predictions.scale}, expected calibration error of the {target}"
    metric = Metric(name, value, low, high, "lower", note="difference of confidence and accuracy")
    total = counts.sum(axis=0)[filled]
    mean_confidence, accuracy = (
        tuple((np.bincount(bins, values, _CONFIDENCE_BINS)[filled] / total).tolist())
        for values in (confidence, correct)
    )
    return Calibration(target, mean_confidence, accuracy, tuple(int(n) for n in total), metric)


def evaluate_by_uncertainty(predictions: ScalePredictions, rng: np.random.Generator) -> tuple[Metric, ...]:
    """Return the mean error of the change in each quarter of the predictions, from the least to the most uncertain.

    The baseline of each metric is the error that the model itself expects.
    """
    uncertainty = expected_change_error(predictions.pair_probabilities, predictions.decision.change)
    order = np.argsort(uncertainty, kind="stable")
    quarter = np.empty(len(order), int)
    quarter[order] = np.arange(len(order)) * 4 // max(len(order), 1)
    found = []
    for number, word in enumerate(("least", "second", "third", "most")):
        error = np.where(quarter == number, np.abs(predictions.errors), np.nan)
        mean = bootstrap_mean(error, predictions.patients, rng, RESAMPLES)
        expected = float(uncertainty[quarter == number].mean()) if (quarter == number).any() else None
        ordinal = f"{word} least" if word in ("second", "third") else word
        name = f"{predictions.scale}, error of the difference in the {ordinal} uncertain quarter"
        found.append(
            Metric(
                name, mean.value, mean.low, mean.high, "lower", baseline=expected, baseline_name="expected by the model"
            )
        )
    return tuple(found)


def find_worst_joints(pairs: PairSamples, predictions: ScalePredictions, count: int = 6) -> tuple[WorstJoint, ...]:
    """Return the `count` joints whose decided change differs most from the median rater's.

    Of joints with the same error, the one with the least uncertainty comes first: its error is the more surprising one.
    """
    rows = np.unique(predictions.row)
    # Predictions of a joint are repeated for each rater; the first row of each joint is enough.
    first = {int(row): place for place, row in reversed(list(enumerate(predictions.row)))}
    uncertainty = expected_change_error(predictions.pair_probabilities, predictions.decision.change)
    ranked = []
    for row in rows:
        labels = predictions.all_labels[row]
        labels = labels[np.isfinite(labels).all(axis=1)].astype(int)
        place = first[int(row)]
        change = int(predictions.decision.change[place])
        error = abs(change - float(np.median(labels[:, 1] - labels[:, 0])))
        ranked.append((-error, float(uncertainty[place]), int(row), labels, place))
    ranked.sort(key=lambda item: item[:3])
    return tuple(
        WorstJoint(
            pairs.cases[row],
            pairs.sites[row],
            row,
            tuple((int(a), int(b)) for a, b in labels),
            (int(predictions.decision.grades[place, 0]), int(predictions.decision.grades[place, 1])),
            int(predictions.decision.change[place]),
            round(expected_error, 3),
            pairs.visits.get(row, ("", "")),
        )
        for _, expected_error, row, labels, place in ranked[:count]
    )


def _spearman(totals: Floats) -> float:
    """Return the rank correlation of the two columns, NaN if it is not defined."""
    if len(totals) < 3 or np.ptp(totals[:, 0]) == 0 or np.ptp(totals[:, 1]) == 0:
        return float("nan")
    return float(spearmanr(totals[:, 0], totals[:, 1]).statistic)


def _median_grade_error(status: StatusPredictions) -> float:
    """Return the mean error of always answering the median grade of the time point."""
    error = np.zeros(len(status.label))
    for time in np.unique(status.times):
        rows = status.times == time
        error[rows] = np.abs(status.label[rows] - np.median(status.label[rows]))
    return float(error.mean())


def _rater_disagreement(values: Floats) -> float | None:
    """Return the mean absolute difference of two raters in `values` (N, R, T), NaN where unknown; None without any."""
    pairs = combinations(range(values.shape[1]), 2)
    found = np.array([np.abs(values[:, a] - values[:, b]) for a, b in pairs])
    known = found[np.isfinite(found)]
    return float(known.mean()) if known.size else None
