"""Average precision (AP) of detected boxes, as the COCO evaluation defines it, with a bootstrap over patients.

AP is the mean precision at 101 levels of recall, for boxes in the order of their scores. A box is right if its IoU with a
true box of its kind, which no box with a higher score has taken, reaches a threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ratui.results.bootstrap import Estimate, count_draws, draw_resamples, percentile_interval
from trainer.evaluation.metrics import RESAMPLES
from trainer.inference.decisions import Floats

__all__ = ["IOU_THRESHOLDS", "ImageBoxes", "average_precision", "bootstrap_average_precision"]

IOU_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
"""Thresholds of COCO's AP50:95. The first one is that of AP50."""
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class ImageBoxes:
    """The boxes on one image of a patient.

    Attributes
    ----------
    patient
        The patient's ID.
    true_boxes, true_kinds
        True boxes as corners (x0, y0, x1, y1), shape (T, 4), and their kinds, shape (T,).
    boxes, kinds, scores
        Detected boxes, shape (D, 4), their kinds and their scores, shape (D,).
    """

    patient: str
    true_boxes: Floats
    true_kinds: npt.NDArray[np.int64]
    boxes: Floats
    kinds: npt.NDArray[np.int64]
    scores: Floats


@dataclass(frozen=True)
class _Ranking:
    """All detected boxes of one kind, best first.

    `is_right` (10, M) at each threshold, `patients` (M,) by index; `true_counts` (patients,) counts the true boxes.
    """

    is_right: npt.NDArray[np.bool_]
    patients: npt.NDArray[np.int64]
    true_counts: Floats


def average_precision(images: Sequence[ImageBoxes]) -> Floats:
    """Return the AP at each of `IOU_THRESHOLDS`, the mean over the kinds of which there is a true box; NaN without any."""
    return _mean_over_kinds(_rank(images), None)


def bootstrap_average_precision(images: Sequence[ImageBoxes], rng: np.random.Generator) -> tuple[Estimate, Estimate]:
    """Return AP50 and AP50:95 with their intervals from a bootstrap over patients."""
    rankings = _rank(images)
    draws = draw_resamples(len({image.patient for image in images}), rng, RESAMPLES)
    resampled = np.array([_mean_over_kinds(rankings, weights) for weights in count_draws(draws)])
    values = _mean_over_kinds(rankings, None)
    return (
        Estimate(float(values[0]), *percentile_interval(resampled[:, 0])),
        Estimate(float(values.mean()), *percentile_interval(resampled.mean(axis=1))),
    )


def _rank(images: Sequence[ImageBoxes]) -> list[_Ranking]:
    patients = {patient: number for number, patient in enumerate(dict.fromkeys(image.patient for image in images))}
    rankings = []
    for kind in sorted({int(kind) for image in images for kind in image.true_kinds}):
        counts = np.zeros(len(patients))
        right, scores, owners = [np.zeros((len(IOU_THRESHOLDS), 0), bool)], [np.zeros(0)], [np.zeros(0, np.int64)]
        for image in images:
            truth, is_kind = image.true_boxes[image.true_kinds == kind], image.kinds == kind
            order = np.argsort(-image.scores[is_kind], kind="stable")
            counts[patients[image.patient]] += len(truth)
            right.append(_match(image.boxes[is_kind][order], truth))
            scores.append(image.scores[is_kind][order])
            owners.append(np.full(len(order), patients[image.patient]))
        order = np.argsort(-np.concatenate(scores), kind="stable")
        rankings.append(_Ranking(np.concatenate(right, axis=1)[:, order], np.concatenate(owners)[order], counts))
    return rankings


def _match(boxes: Floats, truth: Floats) -> npt.NDArray[np.bool_]:
    """Return which of `boxes` (D, 4), best first, is right at each threshold, (10, D). Each true box is taken once."""
    overlaps = _intersection_over_union(boxes, truth)
    is_right = np.zeros((len(IOU_THRESHOLDS), len(boxes)), bool)
    for row, threshold in enumerate(IOU_THRESHOLDS):
        is_free = np.ones(len(truth), bool)
        for column, overlap in enumerate(overlaps):
            candidates = np.where(is_free, overlap, -1.0)
            if len(truth) and candidates.max() >= threshold:
                is_free[candidates.argmax()] = False
                is_right[row, column] = True
    return is_right


def _intersection_over_union(boxes: Floats, truth: Floats) -> Floats:
    """Return the IoU of each of `boxes` (D, 4) with each of `truth` (T, 4), shape (D, T)."""
    low, high = np.maximum(boxes[:, None, :2], truth[:, :2]), np.minimum(boxes[:, None, 2:], truth[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=2)
    areas, true_areas = (np.prod(each[:, 2:] - each[:, :2], axis=1) for each in (boxes, truth))
    union: Floats = shared / np.maximum(areas[:, None] + true_areas - shared, 1e-12)
    return union


def _mean_over_kinds(rankings: Sequence[_Ranking], weights: Floats | None) -> Floats:
    """Return the AP at each threshold; `weights` (patients,) says how often each patient counts, once if None."""
    values = [
        _compute_precision(ranking, np.ones_like(ranking.true_counts) if weights is None else weights)
        for ranking in rankings
    ]
    counted = [value for value in values if value is not None]
    return np.mean(counted, axis=0) if counted else np.full(len(IOU_THRESHOLDS), np.nan)


def _compute_precision(ranking: _Ranking, weights: Floats) -> Floats | None:
    total = float(weights @ ranking.true_counts)
    if not total:
        return None
    each = weights[ranking.patients]
    hits = (ranking.is_right * each).cumsum(axis=1)
    recall, precision = hits / total, hits / np.maximum(each.cumsum(), 1e-12)
    # The best precision at this recall or a higher one.
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    padded = np.concatenate([envelope, np.zeros((len(envelope), 1))], axis=1)
    places = [np.searchsorted(row, _RECALLS) for row in recall]
    return np.array([row[place].mean() for row, place in zip(padded, places, strict=True)])
