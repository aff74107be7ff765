"""From the chances of a pair of grades to an answer, by name: what is said of each time point and of their difference.

Pure functions of chances; nothing here knows of a model, and nothing is learnt.
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
    "change_probabilities",
    "decide",
    "expected_change_error",
    "expected_grades",
    "marginal_probabilities",
]

_Floats: TypeAlias = npt.NDArray[np.float64]
_Whole: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Decision:
    """Whole grades (N, 2), and the change (N,) in whole grades, which needn't be the difference of the two."""

    grades: _Whole
    change: _Whole


def marginal_probabilities(pair: _Floats) -> _Floats:
    """The chance of each grade at each time point, (N, 2, G), from those of pairs, (N, G, G)."""
    return np.stack([pair.sum(axis=2), pair.sum(axis=1)], axis=1)


def change_probabilities(pair: _Floats) -> _Floats:
    """The chance of each change from −(G − 1) to G − 1, (N, 2G − 1)."""
    grades = pair.shape[1]
    return np.stack([np.trace(pair, d, axis1=1, axis2=2) for d in range(1 - grades, grades)], axis=1)


def expected_grades(pair: _Floats) -> _Floats:
    """The mean grade at each time point, (N, 2); the mean change is their difference."""
    return np.asarray(marginal_probabilities(pair) @ np.arange(pair.shape[1]))


def expected_change_error(pair: _Floats, change: _Whole) -> _Floats:
    """The error that is to be expected of `change`, (N,), in grades."""
    grades = pair.shape[1]
    changes = np.arange(1 - grades, grades)
    return np.asarray((change_probabilities(pair) * np.abs(changes - change[:, None])).sum(axis=1))


def _median(probabilities: _Floats) -> _Whole:
    """The least value up to which half of the chance lies, along the last axis."""
    return np.asarray((probabilities.cumsum(axis=-1) < 0.5 - 1e-9).sum(axis=-1))


def _expectation(pair: _Floats) -> Decision:
    """Rounded means, and the rounded mean change."""
    mean = expected_grades(pair)
    return Decision(np.rint(mean).astype(np.int64), np.rint(mean[:, 1] - mean[:, 0]).astype(np.int64))


def _medians(pair: _Floats) -> Decision:
    """Medians of each time point and of the change: each has the least mean error by itself, if the chances are right."""
    return Decision(_median(marginal_probabilities(pair)), _median(change_probabilities(pair)) - (pair.shape[1] - 1))


def _argmax(pair: _Floats) -> Decision:
    """The likeliest grade of each time point, and the difference of the two."""
    grades = marginal_probabilities(pair).argmax(axis=2)
    return Decision(grades, grades[:, 1] - grades[:, 0])


def _joint(pair: _Floats) -> Decision:
    """The pair of grades with the least expected error of both grades and, as much again, of their difference."""
    grades = pair.shape[1]
    place = np.arange(grades)
    apart = np.abs(place[:, None] - place).astype(np.float64)
    changes = np.arange(1 - grades, grades)
    of_change = change_probabilities(pair) @ np.abs(changes[:, None] - changes)
    both = marginal_probabilities(pair) @ apart
    wanted = place[None, :] - place[:, None] + grades - 1
    cost = both[:, 0, :, None] + both[:, 1, None, :] + 2.0 * of_change[:, wanted]
    best = cost.reshape(len(pair), -1).argmin(axis=1)
    found = np.stack([best // grades, best % grades], axis=1)
    return Decision(found, found[:, 1] - found[:, 0])


DECISIONS: dict[str, Callable[[_Floats], Decision]] = {
    "expectation": _expectation,
    "median": _medians,
    "argmax": _argmax,
    "joint": _joint,
}

DEFAULT_DECISION = "expectation"


def decide(name: str, pair: _Floats) -> Decision:
    """What the decision called `name` makes of the chances of pairs, (N, G, G). Raises TrainError for an unknown name."""
    if name not in DECISIONS:
        raise TrainError(
            f"there is no decision named {clean_text(name)}", "--decision", f"Take one of {', '.join(DECISIONS)}"
        )
    return DECISIONS[name](pair)
