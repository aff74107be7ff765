"""Bootstrap over patients: confidence intervals for values that were measured on many joints of each patient.

Whole patients are drawn, never joints, because the joints of one patient are not independent. The module needs numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "CONFIDENCE",
    "RESAMPLES",
    "Estimate",
    "bootstrap_interval",
    "bootstrap_mean",
    "count_draws",
    "draw_resamples",
    "percentile_interval",
]

Floats: TypeAlias = npt.NDArray[np.float64]
Draws: TypeAlias = npt.NDArray[np.int64]
"""Resamples, shape (resamples, patients): in each row as many patients by index as there are, with repetition."""

CONFIDENCE = 0.95
"""Confidence level of all intervals."""
_PERCENTILES = (2.5, 97.5)
RESAMPLES = 2000
"""Number of bootstrap resamples."""
_NAN = float("nan")


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; NaN if the data do not determine it, for example if all ratings are equal."""

    value: float
    low: float = _NAN
    high: float = _NAN


def draw_resamples(patients: int, rng: np.random.Generator, resamples: int = RESAMPLES) -> Draws:
    """Return `resamples` random draws of `patients` patients with replacement, shape (resamples, patients)."""
    return rng.integers(0, patients, (resamples, patients))


def count_draws(draws: Draws) -> Floats:
    """Count how often each patient was drawn in each resample.

    The product of the counts and a matrix of values per patient gives the sums of all resamples at once.

    Parameters
    ----------
    draws
        Indices of the drawn patients, shape (resamples, patients), from `draw_resamples`.

    Returns
    -------
    array of float
        Counts, shape (resamples, patients). Each row sums to the number of patients.
    """
    rows, patients = draws.shape
    flat = (draws + patients * np.arange(rows)[:, None]).ravel()
    return np.bincount(flat, minlength=rows * patients).reshape(rows, patients).astype(np.float64)


def percentile_interval(values: Floats) -> tuple[float, float]:
    """Return the 95 % percentile interval of the `values` of all resamples.

    Resamples whose value is undefined (NaN) are left out; the interval is NaN if none is defined.
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return _NAN, _NAN
    low, high = np.percentile(known, _PERCENTILES)
    return float(low), float(high)


def bootstrap_interval(
    statistic: Callable[[Draws], npt.ArrayLike], patients: int, rng: np.random.Generator, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of a statistic, from resamples of patients.

    Parameters
    ----------
    statistic
        Function that takes indices of patients, shape (resamples, patients), one resample per row, and returns the
        statistic of each resample, shape (resamples,). NaN where it is undefined; such resamples are left out.
    patients
        Number of patients.
    rng
        Random generator that draws the patients.
    resamples
        Number of resamples.

    Returns
    -------
    tuple of float
        Lower and upper limit; both NaN if the statistic is undefined in all resamples.
    """
    draws = draw_resamples(patients, rng, resamples)
    with np.errstate(invalid="ignore", divide="ignore"):
        return percentile_interval(np.asarray(statistic(draws), np.float64))


def bootstrap_mean(
    values: Floats,
    patients: Sequence[object] | npt.NDArray[np.generic],
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Return the mean of `values` and its 95 % interval.

    Parameters
    ----------
    values
        Measured values, shape (N,). NaN is left out.
    patients
        The patient of each value, shape (N,), by name or number.
    rng
        Generator of the draws.
    resamples
        Number of draws.
    """
    ids, index = np.unique(np.asarray(patients), return_inverse=True)
    known = np.isfinite(values)
    if not known.any():
        return Estimate(_NAN)
    sums = np.bincount(index[known], values[known], len(ids))
    counts = np.bincount(index[known], minlength=len(ids)).astype(np.float64)
    low, high = bootstrap_interval(
        lambda draws: sums[draws].sum(axis=1) / counts[draws].sum(axis=1), len(ids), rng, resamples
    )
    return Estimate(float(values[known].mean()), low, high)
