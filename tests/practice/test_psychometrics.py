"""The adaptive threshold: its model, the sizes that it chooses, and how often its interval contains the true threshold."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from ratui.practice.psychometrics import AdaptiveThreshold, ThresholdEstimate, compute_probability_correct
from ratui.practice.reading_test import PARTS

SIZES = PARTS[0].sizes


def measure(is_correct: Callable[[float], bool], trials: int = 40) -> ThresholdEstimate:
    method = AdaptiveThreshold(SIZES)
    for _ in range(trials):
        size = method.next_size()
        method.add_answer(size, is_correct=is_correct(size))
    return method.estimate()


def test_three_quarters_are_correct_at_the_threshold_whatever_slope_and_lapse_rate_are() -> None:
    slopes, lapses = np.array([1.0, 3.0, 8.0])[:, None], np.array([0.0, 0.02, 0.05])
    np.testing.assert_allclose(compute_probability_correct(1.3, 1.3, slopes, lapses), 0.75)
    np.testing.assert_allclose(compute_probability_correct(1e-6, 1.3, slopes, lapses), 0.5, atol=1e-6)
    np.testing.assert_allclose(
        compute_probability_correct(1e6, 1.3, slopes, lapses), np.broadcast_to(1 - lapses, (3, 3))
    )
    assert np.all(np.diff(compute_probability_correct(np.geomspace(0.1, 9.0, 50), 1.3, 2.0, 0.02)) > 0)


def test_the_interval_contains_the_threshold_of_most_simulated_observers_and_the_estimate_is_not_biased() -> None:
    rng = np.random.default_rng(5)
    covered, ratios = 0, []
    observers = 60
    for _ in range(observers):
        threshold, slope = float(np.exp(rng.uniform(*np.log([0.4, 4.0])))), float(rng.uniform(1.5, 5.0))
        found = measure(lambda size, t=threshold, s=slope: rng.random() < compute_probability_correct(size, t, s, 0.02))  # type: ignore[misc]
        covered += found.low <= threshold <= found.high
        ratios.append(found.threshold / threshold)
    assert covered >= 0.9 * observers
    assert abs(np.mean(np.log(ratios))) < 0.1
    assert np.std(np.log(ratios)) < 0.35


def test_an_observer_who_guesses_does_not_reach_the_largest_size() -> None:
    rng = np.random.default_rng(2)
    found = [measure(lambda size: rng.random() < 0.5) for _ in range(8)]
    assert all(each.threshold > SIZES[-1] for each in found)
    assert all(each.high > SIZES[-1] for each in found)


def test_an_observer_who_is_always_right_is_below_the_smallest_size() -> None:
    found = measure(lambda size: True)
    assert found.threshold < SIZES[0]
    assert found.low < found.threshold < found.high


def test_the_sizes_surround_the_threshold() -> None:
    method = AdaptiveThreshold(SIZES)
    asked = []
    for _ in range(30):
        asked.append(method.next_size())
        method.add_answer(asked[-1], is_correct=asked[-1] > 1.5)
    assert 1.0 < method.estimate().threshold < 2.2
    assert np.median(asked[10:]) == pytest.approx(1.6, rel=0.4)


@pytest.mark.parametrize("sizes", [[1.0], [0.0, 1.0], [2.0, 1.0], [1.0, 1.0], [-1.0, 1.0]])
def test_impossible_sizes_are_refused(sizes: list[float]) -> None:
    with pytest.raises(ValueError, match="ascending"):
        AdaptiveThreshold(sizes)
