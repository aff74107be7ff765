"""Decisions, compared with those computed by hand from the probabilities of each pair."""

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from ratui.errors import TrainError
from trainer.inference.decisions import (
    DECISIONS,
    change_probabilities,
    decide,
    expected_change_error,
    expected_grades,
    marginal_probabilities,
)


def pairs(probabilities: dict[tuple[int, int], float], grades: int = 4) -> npt.NDArray[np.float64]:
    table = np.zeros((1, grades, grades))
    for place, chance in probabilities.items():
        table[0][place] = chance
    assert table.sum() == pytest.approx(1)
    return table


SHIFTED = pairs({(1, 2): 0.4, (2, 3): 0.4, (1, 1): 0.2})
"""Uncertain about the grades, but not much about the change."""


def test_chances_of_grades_and_of_changes() -> None:
    assert marginal_probabilities(SHIFTED)[0].tolist() == [[0, 0.6000000000000001, 0.4, 0], [0, 0.2, 0.4, 0.4]]
    assert change_probabilities(SHIFTED)[0].tolist() == [0, 0, 0, 0.2, 0.8, 0, 0]
    assert expected_grades(SHIFTED)[0].tolist() == pytest.approx([1.4, 2.2])


def test_each_decision_equals_its_definition() -> None:
    said = {name: decide(name, SHIFTED) for name in DECISIONS}
    assert said["expectation"].grades.tolist() == [[1, 2]]
    assert said["expectation"].change.tolist() == [1]
    assert said["median"].grades.tolist() == [[1, 2]]
    assert said["median"].change.tolist() == [1]
    # The likeliest of (0.2, 0.4, 0.4) is the lower one.
    assert said["argmax"].grades.tolist() == [[1, 2]]


def test_the_median_of_the_change_needs_no_agreement_of_the_grades() -> None:
    unsure = pairs({(0, 0): 0.3, (1, 1): 0.3, (3, 3): 0.3, (0, 3): 0.1})
    assert decide("median", unsure).change.tolist() == [0]
    assert decide("expectation", pairs({(0, 0): 0.6, (0, 3): 0.4})).change.tolist() == [1]
    assert decide("median", pairs({(0, 0): 0.6, (0, 3): 0.4})).change.tolist() == [0]


def test_the_joint_decision_counts_the_change_twice() -> None:
    """If the change counted once, the most probable pair (0, 1) would be the cheapest."""
    assert decide("joint", pairs({(0, 0): 0.35, (0, 1): 0.4, (1, 1): 0.25})).grades.tolist() == [[0, 0]]


def test_the_joint_decision_is_the_cheapest_pair() -> None:
    rng = np.random.default_rng(0)
    table = rng.random((20, 4, 4))
    table /= table.sum(axis=(1, 2), keepdims=True)
    said = decide("joint", table)
    for row, probabilities in enumerate(table):

        def cost(a: int, b: int, probabilities: npt.NDArray[np.float64] = probabilities) -> float:
            return sum(
                probabilities[y1, y2] * (abs(a - y1) + abs(b - y2) + 2 * abs((b - a) - (y2 - y1)))
                for y1, y2 in itertools.product(range(4), repeat=2)
            )

        best = min(itertools.product(range(4), repeat=2), key=lambda pair: cost(*pair))
        assert tuple(said.grades[row]) == best
        assert said.change[row] == best[1] - best[0]


def test_uncertainty_is_the_expected_error() -> None:
    assert expected_change_error(SHIFTED, np.array([1])).tolist() == pytest.approx([0.2])
    assert expected_change_error(SHIFTED, np.array([0])).tolist() == pytest.approx([0.8])


def test_an_unknown_decision_is_refused() -> None:
    with pytest.raises(TrainError, match="expectation, median"):
        decide("guess", SHIFTED)
