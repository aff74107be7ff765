"""One measured figure with its interval and what it stands beside; intervals are drawn over patients, never over joints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["RESAMPLES", "Floats", "Metric", "bootstrap"]

Floats: TypeAlias = npt.NDArray[np.float64]
RESAMPLES = 1000


@dataclass(frozen=True)
class Metric:
    """One measured figure with its 95 % interval, and what it stands beside.

    `baseline` is what doing nothing clever gives, `raters` the raters' own figure, `paper` the source's; None where
    there is no such thing. `unit` is ``%`` or empty, `better` is ``higher`` or ``lower``.
    """

    name: str
    value: float
    low: float
    high: float
    better: str
    unit: str = ""
    baseline: float | None = None
    baseline_name: str = ""
    raters: float | None = None
    paper: float | None = None
    note: str = ""


def bootstrap(values: Floats, patients: Sequence[str], rng: np.random.Generator) -> tuple[float, float, float]:
    """The mean of `values` (NaN left out) and its 95 % interval, drawing patients, not joints."""
    ids, index = np.unique(np.asarray(patients), return_inverse=True)
    known = np.isfinite(values)
    if not known.any():
        return float("nan"), float("nan"), float("nan")
    sums = np.bincount(index[known], values[known], len(ids))
    counts = np.bincount(index[known], minlength=len(ids)).astype(np.float64)
    draws = rng.integers(0, len(ids), (RESAMPLES, len(ids)))
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    low, high = np.nanpercentile(means, [2.5, 97.5])
    return float(values[known].mean()), float(low), float(high)
