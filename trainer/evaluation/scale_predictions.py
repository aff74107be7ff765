"""The scorer's predictions of one scale beside the labels of the raters that count.

As in the published reference, joints are left out if a special finding fixes their score at one of the time points. No
other joint is left out. A joint with a score at one time point only counts for the error of the score, not of the change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trainer.data.pairs import PairSamples
from trainer.inference.decisions import Decision, Floats, decide, expected_grades, marginal_probabilities

__all__ = ["ScalePredictions", "StatusPredictions", "match_labels"]


@dataclass(frozen=True)
class StatusPredictions:
    """Predictions and labels of single time points, one row for each joint, rater and time point with a score that counts.

    Attributes
    ----------
    patients
        ID of the case of each row, shape (K,).
    times
        Time point, shape (K,).
    label, grade
        Grade by the rater and by the model, shape (K,).
    probabilities
        Probability of each grade, shape (K, G).
    all_labels
        As in `ScalePredictions`, but also with scores whose other time point has none.
    """

    patients: npt.NDArray[np.str_]
    times: npt.NDArray[np.int64]
    label: Floats
    grade: npt.NDArray[np.int64]
    probabilities: Floats
    all_labels: Floats

    @property
    def single(self) -> int:
        """Number of scores whose other time point has no score by the same rater."""
        known = np.isfinite(self.all_labels)
        return int((known.sum(axis=2) == 1).sum())


@dataclass(frozen=True)
class ScalePredictions:
    """Predictions and labels of one scale, one row for each joint and rater with scores at both time points that count.

    Attributes
    ----------
    scale
        ``ERO`` or ``JSN``.
    row
        Index of the joint in the samples, shape (M,).
    patients
        IDs of the cases, length M.
    label
        Grades by the rater at both time points, shape (M, 2).
    decision
        Grades and change by the model.
    mean
        Expected grades by the model, shape (M, 2).
    pair_probabilities
        Probabilities of the pairs of grades, shape (M, G, G).
    all_labels
        Grades of all joints in the samples by rater and time point, shape (N, R, 2); NaN where a label does not count.
    status
        The same for single time points, and for scores at one time point only.
    """

    scale: str
    row: npt.NDArray[np.int64]
    patients: tuple[str, ...]
    label: Floats
    decision: Decision
    mean: Floats
    pair_probabilities: Floats
    all_labels: Floats
    status: StatusPredictions

    @property
    def change(self) -> Floats:
        """Change by the rater, in grades, shape (M,)."""
        return np.asarray(self.label[:, 1] - self.label[:, 0])

    @property
    def errors(self) -> Floats:
        """Error of the decided change, predicted minus read, in grades, shape (M,)."""
        return np.asarray(self.decision.change - self.change)


def match_labels(pairs: PairSamples, probabilities: Floats, scale: int, decision: str) -> ScalePredictions:
    """Match the predictions of one scale with the labels that count.

    A label counts if the rater graded both time points and saw a special finding at neither. The grade of a single time
    point counts for the status if the rater saw no special finding at either time point.

    Parameters
    ----------
    pairs
        Samples with the labels.
    probabilities
        Probabilities of the pairs of grades, shape (N, G, G).
    scale
        Index of the scale in ``pairs.scales``.
    decision
        Name of the decision rule.
    """
    labels = pairs.labels[:, :, scale].astype(np.float64)
    counts = np.asarray((labels >= 0).all(axis=2) & ~pairs.has_finding.any(axis=2))
    rows, raters = np.nonzero(counts)
    decided = decide(decision, probabilities)
    has_finding = np.asarray(pairs.has_finding.any(axis=2))
    has_status = (labels >= 0) & ~has_finding[..., None]
    seen, readers, times = np.nonzero(has_status)
    status = StatusPredictions(
        np.array(pairs.cases)[seen],
        times,
        labels[seen, readers, times],
        decided.grades[seen, times],
        marginal_probabilities(probabilities)[seen, times],
        np.where(has_status, labels, np.nan),
    )
    return ScalePredictions(
        pairs.scales[scale],
        rows,
        tuple(pairs.cases[row] for row in rows),
        labels[rows, raters],
        Decision(decided.grades[rows], decided.change[rows]),
        expected_grades(probabilities)[rows],
        probabilities[rows],
        np.where(counts[..., None], labels, np.nan),
        status,
    )
