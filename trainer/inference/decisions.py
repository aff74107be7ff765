"""Decision rules: turn the probabilities of pairs of grades into whole grades and a change.

All functions are pure functions of probabilities; nothing here depends on a model or is trained. An array `pair` has the
shape (N, G, G): `pair[n, a, b]` is the probability that joint n has grade a at the earlier and grade b at the later time
point. G is the number of grades; each (G, G) table sums to 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.errors import TrainError, clean_text

__all__ = [
    "DECISIONS",
    "DEFAULT_DECISION",
    "Decision",
    "Floats",
    "change_probabilities",
    "check_decision",
    "decide",
    "expected_change_error",
    "expected_grade_error",
    "expected_grades",
    "marginal_probabilities",
]

Floats: TypeAlias = npt.NDArray[np.float64]
"""Probabilities, expectations and the like."""
_Integers: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Decision:
    """Whole grades of both time points (N, 2) and the change in whole grades (N,).

    Some rules decide the change by itself: it may differ from the difference of the two grades.
    """

    grades: _Integers
    change: _Integers


def marginal_probabilities(pair: Floats) -> Floats:
    """Return the probability of each grade at each time point, shape (N, 2, G)."""
    return np.stack([pair.sum(axis=2), pair.sum(axis=1)], axis=1)


def change_probabilities(pair: Floats) -> Floats:
    """Return the probability of each change from −(G − 1) to G − 1, shape (N, 2G − 1)."""
    grades = pair.shape[1]
    # A diagonal of the table holds all pairs with the same change.
    return np.stack([np.trace(pair, d, axis1=1, axis2=2) for d in range(1 - grades, grades)], axis=1)


def expected_grades(pair: Floats) -> Floats:
    """Return the mean grade at each time point, shape (N, 2); the mean change is their difference."""
    return np.asarray(marginal_probabilities(pair) @ np.arange(pair.shape[1]))


def expected_change_error(pair: Floats, change: _Integers) -> Floats:
    """Return the expected absolute error of `change` (N,), in grades, shape (N,)."""
    grades = pair.shape[1]
    changes = np.arange(1 - grades, grades)
    return np.asarray((change_probabilities(pair) * np.abs(changes - change[:, None])).sum(axis=1))


def expected_grade_error(probabilities: Floats, grade: _Integers) -> Floats:
    """Return the expected absolute error of `grade` (N,), in grades, shape (N,), from the probabilities (N, G)."""
    return np.asarray((probabilities * np.abs(np.arange(probabilities.shape[1]) - grade[:, None])).sum(axis=1))


def _median(probabilities: Floats) -> _Integers:
    """Return the median index along the last axis; of two medians the lower one."""
    # The tolerance keeps a sum of exactly one half from being missed through rounding.
    return np.asarray((probabilities.cumsum(axis=-1) < 0.5 - 1e-9).sum(axis=-1))


def _decide_by_expectation(pair: Floats) -> Decision:
    """Decide for the rounded mean grades and the rounded mean change."""
    mean = expected_grades(pair)
    return Decision(np.rint(mean).astype(np.int64), np.rint(mean[:, 1] - mean[:, 0]).astype(np.int64))


def _decide_by_median(pair: Floats) -> Decision:
    """Decide for the medians of both time points and of the change.

    A median has the least expected absolute error, provided that the probabilities are right.
    """
    return Decision(_median(marginal_probabilities(pair)), _median(change_probabilities(pair)) - (pair.shape[1] - 1))


def _decide_by_argmax(pair: Floats) -> Decision:
    """Decide for the most probable grade of each time point, and the difference of the two."""
    grades = marginal_probabilities(pair).argmax(axis=2)
    return Decision(grades, grades[:, 1] - grades[:, 0])


def _decide_jointly(pair: Floats) -> Decision:
    """Decide for the pair of grades with the least expected error of both grades plus twice that of the change."""
    count = pair.shape[1]
    grades = np.arange(count)
    grade_distance = np.abs(grades[:, None] - grades).astype(np.float64)
    changes = np.arange(1 - count, count)
    change_error = change_probabilities(pair) @ np.abs(changes[:, None] - changes)
    grade_error = marginal_probabilities(pair) @ grade_distance
    change_index = grades[None, :] - grades[:, None] + count - 1
    # The factor 2 gives the change the same weight as both grades together.
    cost = grade_error[:, 0, :, None] + grade_error[:, 1, None, :] + 2.0 * change_error[:, change_index]
    best = cost.reshape(len(pair), -1).argmin(axis=1)
    decided = np.stack([best // count, best % count], axis=1)
    return Decision(decided, decided[:, 1] - decided[:, 0])


DECISIONS: dict[str, Callable[[Floats], Decision]] = {
    "expectation": _decide_by_expectation,
    "median": _decide_by_median,
    "argmax": _decide_by_argmax,
    "joint": _decide_jointly,
}
"""Decision rules by the name that ``--decision`` takes."""

DEFAULT_DECISION = "expectation"
"""Name of the default decision rule."""


def decide(name: str, pair: Floats) -> Decision:
    """Apply the decision rule `name` to the probabilities `pair`.

    Parameters
    ----------
    name
        A key of `DECISIONS`.
    pair
        Probabilities of the pairs of grades, shape (N, G, G).

    Raises
    ------
    TrainError
        If there is no rule of this name.
    """
    check_decision(name)
    return DECISIONS[name](pair)


def check_decision(name: str) -> None:
    """Raise TrainError if there is no decision rule of this name."""
    if name not in DECISIONS:
        raise TrainError(
            f"there is no decision named {clean_text(name)}", "--decision", f"Take one of {', '.join(DECISIONS)}"
        )
