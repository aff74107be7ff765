"""A metric with its confidence interval and the values to compare it with."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RESAMPLES", "Metric"]

RESAMPLES = 1000
"""Number of bootstrap resamples for each interval of an evaluation."""


@dataclass(frozen=True)
class Metric:
    """A metric with its 95 % interval from a bootstrap over patients.

    `baseline` is the value of the trivial answer that `baseline_name` describes, `raters` the value of raters compared with
    each other, `paper` the value of the published reference; each is None if there is no such value. `unit` is ``%`` (for
    values from 0 to 1) or empty; `better` is ``higher`` or ``lower``.
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
