"""Adaptive measurement of a threshold by forced choices: psychometric function, choice of stimuli, and the estimate.

An observer chooses between two alternatives, one of which has the signal. The probability of a correct answer is a
Weibull function of the signal's size, with a guess rate of 1/2, a lapse rate, and a slope. The threshold is the size at
which 75 % of the answers are correct.

The posterior distribution of threshold, slope and lapse rate is kept on a grid. The next size is the one that is expected
to leave the least entropy in the posterior of the threshold: the psi-marginal method (Kontsevich and Tyler, Vision Res
1999; 39: 2729; Prins, J Vis 2013; 13(7): 3). Pure: it knows no films and no screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["CORRECT_AT_THRESHOLD", "AdaptiveThreshold", "ThresholdEstimate", "compute_probability_correct"]

CORRECT_AT_THRESHOLD = 0.75
"""Share of correct answers that defines the threshold."""
_GUESS_RATE = 0.5
_SLOPES = np.geomspace(1.0, 8.0, 9)
_LAPSE_RATES = np.array([0.0, 0.02, 0.05])
_THRESHOLD_STEPS = 81
_BEYOND = 4.0
"""Factor by which the threshold may be smaller than the smallest size, or larger than the largest one."""
_TAIL = 0.025

Array = npt.NDArray[np.float64]


def compute_probability_correct(
    size: Array | float, threshold: Array | float, slope: Array | float, lapse: Array | float
) -> Array:
    """Return the probability of a correct answer.

    Parameters
    ----------
    size, threshold
        Size of the signal, and the size at which 75 % of the answers are correct; both in the same unit and above 0.
    slope
        Exponent of the Weibull function.
    lapse
        Lapse rate: the share of answers that are guesses although the signal is large is twice this value.

    Returns
    -------
    ndarray
        Values from 0.5 to 1, of the shape that the parameters broadcast to.
    """
    at_threshold = -np.log1p(-(CORRECT_AT_THRESHOLD - _GUESS_RATE) / (1 - _GUESS_RATE - np.asarray(lapse, float)))
    power = np.minimum(np.asarray(slope) * np.log(np.asarray(size) / np.asarray(threshold)), 50.0)
    seen = -np.expm1(-at_threshold * np.exp(power))
    return np.asarray(_GUESS_RATE + (1 - _GUESS_RATE - np.asarray(lapse)) * seen)


@dataclass(frozen=True)
class ThresholdEstimate:
    """A threshold with its 95 % credible interval, in the unit of the sizes.

    Attributes
    ----------
    threshold
        Median of the posterior.
    low, high
        2.5 % and 97.5 % quantiles of the posterior.
    """

    threshold: float
    low: float
    high: float


class AdaptiveThreshold:
    """Chooses the sizes of the signal, and estimates the threshold from the answers.

    The prior is uniform in the logarithm of the threshold, in the logarithm of the slope (1 to 8), and over three lapse
    rates (0, 2 and 5 %).

    Parameters
    ----------
    sizes
        The possible sizes, ascending, all above 0.
    """

    def __init__(self, sizes: Sequence[float]) -> None:
        self.sizes = np.asarray(sizes, float)
        if len(self.sizes) < 2 or self.sizes[0] <= 0 or not np.all(np.diff(self.sizes) > 0):
            raise ValueError("sizes must be positive and ascending")
        self._thresholds = np.geomspace(self.sizes[0] / _BEYOND, self.sizes[-1] * _BEYOND, _THRESHOLD_STEPS)
        # Shape (sizes, thresholds, slopes, lapse rates).
        self._correct = compute_probability_correct(
            self.sizes[:, None, None, None],
            self._thresholds[None, :, None, None],
            _SLOPES[None, None, :, None],
            _LAPSE_RATES[None, None, None, :],
        )
        self._posterior = np.full(self._correct.shape[1:], 1 / self._correct[0].size)

    def next_size(self) -> float:
        """Return the size whose answer is expected to reduce the uncertainty of the threshold most."""
        correct = np.einsum("sabc,abc->sa", self._correct, self._posterior)
        wrong = self._posterior.sum(axis=(1, 2)) - correct
        expected = sum(_expected_entropy(np.maximum(each, 0.0)) for each in (correct, wrong))
        return float(self.sizes[int(np.argmin(expected))])

    def add_answer(self, size: float, *, is_correct: bool) -> None:
        """Take the answer to a signal of `size`, one of `sizes`, into account."""
        place = int(np.argmin(np.abs(self.sizes - size)))
        likelihood = self._correct[place] if is_correct else 1 - self._correct[place]
        self._posterior = self._posterior * likelihood
        self._posterior /= self._posterior.sum()

    def estimate(self) -> ThresholdEstimate:
        """Return the estimate from all answers so far."""
        cumulative = np.cumsum(self._posterior.sum(axis=(1, 2)))
        # The mass of each grid point lies around it, so half of it lies below.
        middle = cumulative - np.diff(cumulative, prepend=0.0) / 2
        low, median, high = np.exp(np.interp([_TAIL, 0.5, 1 - _TAIL], middle, np.log(self._thresholds)))
        return ThresholdEstimate(float(median), float(low), float(high))


def _expected_entropy(joint: Array) -> Array:
    """Return the entropy of the rows of `joint`, each multiplied by its sum; shape (sizes, thresholds)."""
    total = joint.sum(axis=1, keepdims=True)
    share = joint / np.maximum(total, 1e-300)
    return np.asarray(-(total * share * np.log(np.maximum(share, 1e-300))).sum(axis=1))
