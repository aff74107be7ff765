"""One measured figure with its interval and what it stands beside; intervals are drawn over patients, never over joints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["RESAMPLES", "Floats", "Metric"]

Floats: TypeAlias = npt.NDArray[np.float64]
RESAMPLES = 1000
"""Bootstrap resamples of each interval in a report of the trainer."""


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
