"""Published formulas of agreement and description, written for `benchmarks.recompute` without ratui, and their check in R.

`Formulas` computes with numpy and scipy and keeps what it has computed; `Formulas.check_with_r` computes all of it again in
R (package psych for the intraclass correlations and the weighted kappa).
"""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

__all__ = ["Formulas", "Interval", "has_r"]

Interval = tuple[float, float, float]
"""An estimate with the limits of its 95 % interval; NaN where there is none."""
Floats = npt.NDArray[np.float64]

NONE: Interval = (math.nan, math.nan, math.nan)
LEAST_CASES = 3
"""Least number of cases of an intraclass correlation."""
_Z = {0.95: float(stats.norm.ppf(0.975)), 0.8: float(stats.norm.ppf(0.9))}


def has_r() -> bool:
    """Return whether R with the package psych can be run."""
    program = shutil.which("Rscript")
    return program is not None and not subprocess.run([program, "-e", "library(psych)"], capture_output=True).returncode


class Formulas:
    """Formulas that remember what they computed."""

    def __init__(self) -> None:
        """Begin without any computed value."""
        self.calls: list[tuple[str, tuple[float, ...]]] = []

    def _keep(self, expression: str, *values: float) -> None:
        if all(math.isfinite(value) for value in values):
            self.calls.append((expression, values))

    def mean(self, values: Sequence[float]) -> float:
        """Return the mean, NaN of nothing."""
        if not values:
            return math.nan
        found = math.fsum(values) / len(values)
        self._keep(f"mean({_vector(values)})", found)
        return found

    def sd(self, values: Sequence[float]) -> float:
        """Return the standard deviation with n - 1, NaN of fewer than two values."""
        if len(values) < 2:
            return math.nan
        found = float(np.std(values, ddof=1))
        self._keep(f"sd({_vector(values)})", found)
        return found

    def quantile(self, values: Sequence[float], share: float) -> float:
        """Return the quantile of type 7, NaN of nothing."""
        if not values:
            return math.nan
        found = float(np.quantile(values, share))
        self._keep(f"quantile({_vector(values)}, {share}, names = FALSE, type = 7)", found)
        return found

    def mean_interval(self, values: Sequence[float]) -> Interval:
        """Return the mean with its interval by Student's t, NaN of fewer than two values."""
        if len(values) < 2:
            return NONE
        mean, sd, count = self.mean(values), self.sd(values), len(values)
        half = float(stats.t.ppf(0.975, count - 1)) * sd / math.sqrt(count)
        if sd:
            self._keep(f"t.test({_vector(values)})$conf.int", mean - half, mean + half)
        return mean, mean - half, mean + half

    def limits(self, values: Sequence[float]) -> tuple[Interval, Interval]:
        """Return the limits of agreement (Bland and Altman 1999) with exact intervals by the noncentral t (Carkeet 2015)."""
        if len(values) < 2:
            return NONE, NONE
        mean, sd, count = self.mean(values), self.sd(values), len(values)
        z, root = _Z[0.95], math.sqrt(count)
        low, high = (float(stats.nct.ppf(share, count - 1, z * root)) / root for share in (0.025, 0.975))
        if sd:
            self._keep(f"qt(c(.025, .975), {count - 1}, {z * root:.12g}) / sqrt({count})", low, high)
        upper = mean + z * sd, mean + low * sd, mean + high * sd
        lower = mean - z * sd, mean - high * sd, mean - low * sd
        return lower, upper

    def one_way(self, groups: Sequence[Sequence[float]]) -> tuple[Interval, float, int]:
        """Return ICC(1,1) with its interval, the mean square within groups, and its degrees of freedom.

        Source: Shrout and Fleiss 1979; with groups of different sizes, Snedecor's mean size.
        """
        n, sizes = len(groups), [len(group) for group in groups]
        total = sum(sizes)
        if n < 2:
            within = sum(float(np.var(group)) * len(group) for group in groups)
            return NONE, within / (total - n) if total > n else math.nan, total - n
        grand = math.fsum(value for group in groups for value in group) / total
        means = [math.fsum(group) / len(group) for group in groups]
        between = sum(size * (mean - grand) ** 2 for size, mean in zip(sizes, means, strict=True)) / (n - 1)
        inside = sum((value - mean) ** 2 for group, mean in zip(groups, means, strict=True) for value in group)
        df = total - n
        within = inside / df
        size = (total - sum(each**2 for each in sizes) / total) / (n - 1)
        if n < LEAST_CASES or between + (size - 1) * within == 0:
            return NONE, within, df
        icc = (between - within) / (between + (size - 1) * within)
        if not within:
            return (icc, math.nan, math.nan), within, df
        ratio = between / within
        low = ratio / float(stats.f.ppf(0.975, n - 1, df))
        high = ratio * float(stats.f.ppf(0.975, df, n - 1))
        limits = (low - 1) / (low + size - 1), (high - 1) / (high + size - 1)
        if len(set(sizes)) == 1:
            self._keep(f"one({_matrix(groups)})", icc, *limits)
        return (icc, *limits), within, df

    def two_way(self, table: Sequence[Sequence[float]]) -> tuple[Interval, Interval, float, int]:
        """Return ICC(2,1) and ICC(3,1) with intervals, the residual mean square, and its degrees of freedom.

        Source: McGraw and Wong 1996.
        """
        x = np.asarray(table, dtype=float)
        n, k = x.shape
        if n < 2:
            return NONE, NONE, math.nan, 0
        grand = x.mean()
        rows = k * float(((x.mean(axis=1) - grand) ** 2).sum()) / (n - 1)
        columns = n * float(((x.mean(axis=0) - grand) ** 2).sum()) / (k - 1)
        df = (n - 1) * (k - 1)
        residuals = x - x.mean(axis=1, keepdims=True) - x.mean(axis=0, keepdims=True) + grand
        error = float((residuals**2).sum()) / df
        if n < LEAST_CASES:
            return NONE, NONE, error, df
        below = rows + (k - 1) * error + k * (columns - error) / n
        icc2 = (rows - error) / below if below else math.nan
        icc3 = (rows - error) / (rows + (k - 1) * error) if rows + error else math.nan
        if error < 1e-12 * max(rows, columns, 1e-300):
            return (icc2, math.nan, math.nan), (icc3, math.nan, math.nan), error, df
        a, b = k * icc2 / (n * (1 - icc2)), 1 + k * icc2 * (n - 1) / (n * (1 - icc2))
        v = (a * columns + b * error) ** 2 / ((a * columns) ** 2 / (k - 1) + (b * error) ** 2 / df)
        lower, upper = float(stats.f.ppf(0.975, n - 1, v)), float(stats.f.ppf(0.975, v, n - 1))
        spread = k * columns + (k * n - k - n) * error
        low2 = n * (rows - lower * error) / (lower * spread + n * rows)
        high2 = n * (upper * rows - error) / (spread + n * upper * rows)
        ratio = rows / error
        low, high = ratio / float(stats.f.ppf(0.975, n - 1, df)), ratio * float(stats.f.ppf(0.975, df, n - 1))
        two = icc2, low2, high2
        three = icc3, (low - 1) / (low + k - 1), (high - 1) / (high + k - 1)
        self._keep(f"two({_matrix(table)})", *two, *three)
        if not two[1] <= icc2 <= two[2]:
            two = icc2, math.nan, math.nan
        return two, three, error, df

    def detectable(self, variance: float, df: int, raters: float, level: float = 0.95) -> Interval:
        """Return the smallest detectable change of the mean of `raters`, with limits by chi-square.

        Source: Bruynesteyn and others 2005.
        """
        if not df or math.isnan(variance):
            return NONE
        value = _Z[level] * math.sqrt(variance / raters)
        scale = [math.sqrt(df / float(stats.chi2.ppf(share, df))) for share in (0.975, 0.025)]
        self._keep(f"sqrt({df} / qchisq(c(.975, .025), {df}))", *scale)
        return value, value * scale[0], value * scale[1]

    def kappa(self, table: Floats) -> float:
        """Return the kappa with quadratic weights of a table of counts (Cohen 1968); NaN if all grades are equal."""
        found = kappa_of(table)
        if math.isfinite(found):
            self._keep(f"weighted({_matrix(table.tolist())})", found)
        return found

    def check_with_r(self) -> tuple[int, list[str]]:
        """Compute everything again in R, and return the number of values and one line for each that differs."""
        calls = list(dict(self.calls).items())
        lines = [_R_FUNCTIONS, *(f"show({expression})" for expression, _ in calls)]
        done = subprocess.run(
            ["Rscript", "-"], input="\n".join(lines), capture_output=True, encoding="utf-8", check=True
        )
        found = [[float(word) for word in line.split()] for line in done.stdout.splitlines()]
        wrong = [
            f"R: {expression[:100]}: {values} here, {other} in R"
            for (expression, values), other in zip(calls, found, strict=True)
            if len(values) != len(other) or not np.allclose(values, other, rtol=1e-6, atol=1e-8)
        ]
        return sum(len(values) for _, values in calls), wrong


def kappa_of(table: Floats) -> float:
    """Return the kappa with quadratic weights of a (grades, grades) table of counts."""
    total = float(table.sum())
    if not total:
        return math.nan
    grades = np.arange(len(table))
    weights = (grades[:, None] - grades[None, :]) ** 2
    expected = float((weights * np.outer(table.sum(axis=1), table.sum(axis=0))).sum()) / total
    return 1 - float((weights * table).sum()) / expected if expected else math.nan


def _vector(values: Sequence[float]) -> str:
    return f"c({', '.join(f'{value:.12g}' for value in values)})"


def _matrix(table: Sequence[Sequence[float]]) -> str:
    return f"matrix({_vector([value for row in table for value in row])}, {len(table)}, byrow = TRUE)"


_R_FUNCTIONS = """
suppressMessages(library(psych))
show <- function(x) cat(sprintf("%.10g", x), "\\n")
icc <- function(x, rows) {
  found <- suppressWarnings(suppressMessages(ICC(x, lmer = FALSE)))$results[rows, c("ICC", "lower bound", "upper bound")]
  as.vector(t(as.matrix(found)))
}
one <- function(x) icc(x, 1)
two <- function(x) icc(x, 2:3)
weighted <- function(x) suppressWarnings(cohen.kappa(x))$weighted.kappa
"""
