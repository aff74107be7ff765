"""Statistics of rater agreement: intraclass correlation, weighted kappa, limits of agreement, detectable change.

Pure functions of arrays; they depend on neither study nor scheme. Intervals are exact where a formula exists. Otherwise
they are bootstrapped over patients, not over joints, because the joints of one patient are not independent.

Sources: Shrout and Fleiss 1979 and McGraw and Wong 1996 (intraclass correlation and its intervals); Cohen 1968, Fleiss
and Cohen 1973 (weighted kappa); Bland and Altman 1986, 1999 and Carkeet 2015 (limits of agreement and their exact
intervals); Bruynesteyn and others 2005 (smallest detectable change).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.results.bootstrap import CONFIDENCE, Estimate, percentile_interval
from ratui.results.optional_dependencies import require

__all__ = [
    "LEAST_PATIENTS",
    "BlandAltman",
    "Floats",
    "bland_altman",
    "compute_finite_mean",
    "contingency_tables",
    "count_raters_of_mean",
    "error_variance",
    "icc_agreement",
    "icc_consistency",
    "icc_one_way",
    "mean_weighted_kappa",
    "quadratic_kappa",
    "smallest_detectable_change",
]

Floats: TypeAlias = npt.NDArray[np.float64]
LEAST_PATIENTS = 3
"""Least number of patients of an intraclass correlation.

With two, ICC(2,1) has no interval and can lie far below 0, because it divides by a variance of two values.
"""
_NAN = float("nan")


def _distributions() -> Any:
    """Return scipy.stats; raise StudyError if scipy is not installed."""
    return require("scipy.stats", "agreement")


# Intraclass correlation.


@dataclass(frozen=True)
class _MeanSquares:
    """Mean squares of a two-way analysis of variance of `n` targets and `k` raters without replication."""

    n: int
    k: int
    targets: float
    raters: float
    residual: float


def _mean_squares(ratings: Floats) -> _MeanSquares | None:
    """Return the mean squares of `ratings` (targets × raters); None for fewer than two targets or raters."""
    n, k = ratings.shape
    if n < 2 or k < 2:
        return None
    mean, rows, columns = ratings.mean(), ratings.mean(axis=1), ratings.mean(axis=0)
    residual = ratings - rows[:, None] - columns[None, :] + mean
    square = float((residual**2).sum()) / ((n - 1) * (k - 1))
    # Identical raters leave a residual of rounding errors only. Set it to zero, else the interval would be noise.
    if square <= 1e-12 * max(float(np.ptp(ratings)) ** 2, 1e-300):
        square = 0.0
    between = k * float(((rows - mean) ** 2).sum()) / (n - 1)
    return _MeanSquares(n, k, between, n * float(((columns - mean) ** 2).sum()) / (k - 1), square)


def icc_agreement(ratings: Floats) -> Estimate:
    """Return ICC(2,1): absolute agreement of single raters, with raters as a random sample.

    Value and interval follow McGraw and Wong 1996, case 2A; the interval uses Satterthwaite's degrees of freedom.

    Parameters
    ----------
    ratings
        Shape (targets, raters), without NaN.

    Returns
    -------
    Estimate
        NaN for fewer than `LEAST_PATIENTS` targets or two raters, or if all ratings are equal. It has no interval if the
        approximate limits do not enclose the value.
    """
    squares = _mean_squares(ratings)
    if squares is None or squares.n < LEAST_PATIENTS:
        return Estimate(_NAN)
    n, k, rows, columns, residual = squares.n, squares.k, squares.targets, squares.raters, squares.residual
    denominator = rows + (k - 1) * residual + k * (columns - residual) / n
    if denominator <= 0:
        return Estimate(_NAN)
    value = (rows - residual) / denominator
    if residual == 0 or value >= 1:
        return Estimate(value)
    # `a` and `b` are named as in McGraw and Wong 1996.
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    variance = (a * columns) ** 2 / (k - 1) + (b * residual) ** 2 / ((n - 1) * (k - 1))
    if variance <= 0:
        return Estimate(value)
    degrees_of_freedom = (a * columns + b * residual) ** 2 / variance
    stats = _distributions()
    tail = 1 - (1 - CONFIDENCE) / 2
    upper, lower = stats.f.ppf(tail, n - 1, degrees_of_freedom), stats.f.ppf(tail, degrees_of_freedom, n - 1)
    error = k * columns + (k * n - k - n) * residual
    with np.errstate(over="ignore", invalid="ignore"):
        low = n * (rows - upper * residual) / (upper * error + n * rows)
        high = n * (lower * rows - residual) / (error + n * lower * rows)
    # With raters who differ more than the targets, the approximate limits may not enclose the value.
    return Estimate(value, float(low), float(high)) if low <= value <= high else Estimate(value)


def icc_consistency(ratings: Floats) -> Estimate:
    """Return ICC(3,1): consistency of single, fixed raters, which ignores a constant shift of a rater.

    Value and interval follow Shrout and Fleiss 1979. `ratings` has the shape (targets, raters), without NaN. NaN for fewer
    than `LEAST_PATIENTS` targets.
    """
    squares = _mean_squares(ratings)
    if squares is None or squares.n < LEAST_PATIENTS or squares.targets + squares.residual <= 0:
        return Estimate(_NAN)
    n, k, rows, residual = squares.n, squares.k, squares.targets, squares.residual
    value = (rows - residual) / (rows + (k - 1) * residual)
    if residual == 0:
        return Estimate(value)
    stats = _distributions()
    tail, ratio = 1 - (1 - CONFIDENCE) / 2, rows / residual
    denominator = ratio / stats.f.ppf(tail, n - 1, (n - 1) * (k - 1))
    above = ratio * stats.f.ppf(tail, (n - 1) * (k - 1), n - 1)
    return Estimate(value, float((denominator - 1) / (denominator + k - 1)), float((above - 1) / (above + k - 1)))


# Weighted kappa.


def contingency_tables(
    first: Floats, second: Floats, patient: npt.NDArray[np.int64], patients: int, grades: int
) -> Floats:
    """Return each patient's contingency table of two raters' grades.

    Parameters
    ----------
    first, second
        Grades of the two raters from 0 to `grades` − 1, shape (ratings,); NaN where there is no score.
    patient
        Index of the patient of each rating, shape (ratings,).
    patients, grades
        Numbers of patients and of grades.

    Returns
    -------
    array
        Counts, shape (patients, grades, grades); the first rater's grades are rows.
    """
    known = np.isfinite(first) & np.isfinite(second)
    tables = np.zeros((patients, grades, grades))
    np.add.at(tables, (patient[known], first[known].astype(int), second[known].astype(int)), 1.0)
    return tables


def quadratic_kappa(tables: Floats) -> Floats:
    """Return Cohen's kappa with quadratic weights of each table.

    The shape goes from (..., grades, grades) to (...). Kappa is NaN if chance alone would give perfect agreement.
    """
    grades = tables.shape[-1]
    place = np.arange(grades)
    weights = (place[:, None] - place[None, :]) ** 2
    count = tables.sum(axis=(-2, -1))
    observed = (weights * tables).sum(axis=(-2, -1))
    expected = np.einsum("...i,ij,...j->...", tables.sum(axis=-1), weights.astype(float), tables.sum(axis=-2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(expected > 0, 1 - observed * count / expected, _NAN))


def mean_weighted_kappa(pairs: Floats, resample_counts: Floats | None = None) -> Estimate:
    """Return the mean quadratic-weighted kappa over pairs of raters.

    Parameters
    ----------
    pairs
        Contingency tables, shape (pairs, patients, grades, grades).
    resample_counts
        Result of `count_draws`, for a percentile bootstrap interval over patients; None for no interval.

    Returns
    -------
    Estimate
        NaN if kappa is undefined for every pair. It has no interval if fewer than two patients have ratings.
    """
    value = compute_finite_mean(quadratic_kappa(pairs.sum(axis=1)))
    if resample_counts is None or not np.isfinite(value) or np.count_nonzero(pairs.sum(axis=(0, 2, 3))) < 2:
        return Estimate(value)
    drawn = np.stack([np.tensordot(resample_counts, pair, axes=(1, 0)) for pair in pairs], axis=1)
    kappas = quadratic_kappa(drawn)
    finite = np.isfinite(kappas)
    # Kappa is undefined in a resample in which all grades are equal. The interval uses the other resamples.
    with np.errstate(invalid="ignore"):
        means = np.where(finite, kappas, 0.0).sum(axis=1) / finite.sum(axis=1)
    low, high = percentile_interval(means)
    return Estimate(value, low, high)


def compute_finite_mean(values: Floats) -> float:
    """Return the mean of the values that are not NaN; NaN if there is none."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else _NAN


# Differences.


@dataclass(frozen=True)
class BlandAltman:
    """Limits of agreement of two raters on `n` patients.

    Differences are the first rater's value minus the second's. `bias` is their mean, `deviation` their standard
    deviation; 95 % of them lie between `lower` and `upper`. The intervals are exact for normally distributed
    differences.
    """

    n: int
    bias: Estimate
    deviation: float
    lower: Estimate
    upper: Estimate


def bland_altman(first: Floats, second: Floats) -> BlandAltman:
    """Return the limits of agreement of two raters' values for the same patients.

    `first` and `second` have the shape (patients,). With fewer than two patients all results are NaN.
    """
    differences = np.asarray(first - second, dtype=np.float64)
    n = len(differences)
    if n < 2:
        nothing = Estimate(_NAN)
        return BlandAltman(n, nothing, _NAN, nothing, nothing)
    mean, deviation = float(differences.mean()), float(differences.std(ddof=1))
    stats = _distributions()
    tail, z = (1 - CONFIDENCE) / 2, float(stats.norm.ppf(1 - (1 - CONFIDENCE) / 2))
    root = math.sqrt(n)
    half = float(stats.t.ppf(1 - tail, n - 1)) * deviation / root
    # Exact limits of a normal quantile by the noncentral t distribution (Carkeet 2015), not Bland and Altman's
    # approximation, which is too narrow for small samples.
    inner, outer = (float(stats.nct.ppf(p, n - 1, z * root)) / root for p in (tail, 1 - tail))
    return BlandAltman(
        n,
        Estimate(mean, mean - half, mean + half),
        deviation,
        Estimate(mean - z * deviation, mean - outer * deviation, mean - inner * deviation),
        Estimate(mean + z * deviation, mean + inner * deviation, mean + outer * deviation),
    )


def error_variance(ratings: Floats) -> tuple[float, int]:
    """Return the variance of one rater's measurement error, and its degrees of freedom.

    If every rater has rated every target, this is the residual mean square of a two-way analysis of variance (half of the
    squared SD of the difference of two raters). If the targets have different raters, it is the mean square within
    targets of a one-way analysis, which contains the constant shifts of the raters, because these then add to the
    differences between targets.

    Parameters
    ----------
    ratings
        Shape (targets, raters); NaN where a rater has not rated a target. Targets with fewer than two ratings are left
        out.
    """
    known = np.isfinite(ratings)
    rated = ratings[known.sum(axis=1) > 1]
    if not len(rated):
        return _NAN, 0
    if np.isfinite(rated).all():
        squares = _mean_squares(rated)
        return (_NAN, 0) if squares is None else (squares.residual, (squares.n - 1) * (squares.k - 1))
    counts = np.isfinite(rated).sum(axis=1)
    within = float(np.nansum((rated - np.nanmean(rated, axis=1, keepdims=True)) ** 2))
    return within / int((counts - 1).sum()), int((counts - 1).sum())


def icc_one_way(ratings: Floats) -> Estimate:
    """Return ICC(1,1): agreement of single raters if different raters have rated different targets.

    Value and interval follow Shrout and Fleiss 1979; with unequal numbers of ratings, k is Snedecor's mean number
    (k0 = (N − Σn²/N) / (targets − 1)), and the interval is approximate.

    Parameters
    ----------
    ratings
        Shape (targets, raters); NaN where a rater has not rated a target. Targets with fewer than two ratings are left
        out.

    Returns
    -------
    Estimate
        NaN for fewer than `LEAST_PATIENTS` targets, or if all ratings are equal.
    """
    rated = ratings[np.isfinite(ratings).sum(axis=1) > 1]
    n = len(rated)
    if n < LEAST_PATIENTS:
        return Estimate(_NAN)
    counts = np.isfinite(rated).sum(axis=1).astype(np.float64)
    means, total = np.nanmean(rated, axis=1), float(np.nansum(rated))
    every = float(counts.sum())
    between = float((counts * (means - total / every) ** 2).sum()) / (n - 1)
    within = float(np.nansum((rated - means[:, None]) ** 2)) / (every - n)
    k = (every - float((counts**2).sum()) / every) / (n - 1)
    if between + (k - 1) * within <= 0:
        return Estimate(_NAN)
    value = (between - within) / (between + (k - 1) * within)
    if within <= 0:
        return Estimate(value)
    stats = _distributions()
    tail, ratio = 1 - (1 - CONFIDENCE) / 2, between / within
    low = ratio / stats.f.ppf(tail, n - 1, every - n)
    high = ratio * stats.f.ppf(tail, every - n, n - 1)
    return Estimate(value, float((low - 1) / (low + k - 1)), float((high - 1) / (high + k - 1)))


def smallest_detectable_change(changes: Floats, raters: float, level: float = CONFIDENCE) -> Estimate:
    """Return the smallest change that exceeds the measurement error of the mean of `raters` raters.

    It is z · SD / (√2 · √raters), where SD is the standard deviation of the difference of two raters' changes
    (Bruynesteyn and others 2005), and z is 1.96 at the level of 95 % and 1.28 at 80 %. With more than two raters, SD² is
    twice the error variance (see `error_variance`). The interval is exact for normally distributed errors.

    Parameters
    ----------
    changes
        Changes of each patient by each rater, shape (patients, raters), in points of the score; NaN where a rater has
        not read a patient.
    raters
        Number of raters whose mean is used.
    level
        Share of the unchanged patients that lie within the smallest detectable change.
    """
    variance, degrees_of_freedom = error_variance(changes)
    if not degrees_of_freedom:
        return Estimate(_NAN)
    stats = _distributions()
    z, tail = float(stats.norm.ppf(1 - (1 - level) / 2)), (1 - CONFIDENCE) / 2
    value = z * math.sqrt(variance / raters)
    low, high = (
        math.sqrt(degrees_of_freedom / float(stats.chi2.ppf(p, degrees_of_freedom))) * value for p in (1 - tail, tail)
    )
    return Estimate(value, low, high)


def count_raters_of_mean(values: Floats) -> float:
    """Return the number of raters in the mean of a target: the harmonic mean over the targets with two or more.

    The error variance of the mean of k raters is the error variance of one rater divided by k, so that the harmonic mean
    gives the mean error variance. `values` has the shape (targets, raters), with NaN where a rater has not rated.
    """
    counts = np.isfinite(values).sum(axis=1)
    counts = counts[counts > 1]
    return float(1 / (1 / counts).mean()) if counts.size else _NAN
