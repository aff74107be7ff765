"""Agreement of each rater with themselves, from hidden repeats: coefficients, detectable change, and drift over time.

The difference is always the second reading minus the first. Neither of the two is taken as correct.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from ratui.results.bootstrap import Estimate
from ratui.results.released import ReleasedReadings
from ratui.results.scores import ReadingScores, collect_second_scores
from ratui.results.statistics import bland_altman, icc_agreement, smallest_detectable_change
from ratui.results.totals import MissingRule
from ratui.study import Study

__all__ = ["LEAST_REPEATS", "ControlChart", "Repeatability", "draw_control_chart", "measure_repeatability"]

TOTAL = "total"
_MEAN_RANGE = 1.128  # d2 of two values: the mean range of two normal values in SD
_LIMIT = 3.0  # SD
_RUN = 8  # values on one side of the mean
LEAST_REPEATS = 8
"""Least number of repeats for limits of control: that of a run. With fewer, the mean moving range estimates the SD badly."""


@dataclass(frozen=True)
class ControlChart:
    """An individuals chart of a rater's differences, in the order of the second readings.

    Attributes
    ----------
    cases
        Names of the repeated cases, in order.
    times
        When the second readings were signed, ISO 8601.
    differences
        Second reading minus first, in points.
    centre, lower, upper
        Mean of the differences, and the limits of control, 3 SD from it. The SD is the mean moving range divided by
        1.128, so that a drift does not widen the limits (Shewhart 1931). The limits are NaN for fewer than `LEAST_REPEATS`
        repeats, the mean for fewer than two.
    outside
        Cases beyond a limit.
    runs
        Cases at which at least eight successive differences lie on one side of the mean (Western Electric 1956, rule 4).
    """

    cases: tuple[str, ...]
    times: tuple[str, ...]
    differences: tuple[float, ...]
    centre: float
    lower: float
    upper: float
    outside: tuple[str, ...]
    runs: tuple[str, ...]

    @property
    def has_limits(self) -> bool:
        """True if there are enough repeats for limits and runs."""
        return len(self.cases) >= LEAST_REPEATS


@dataclass(frozen=True)
class Repeatability:
    """Agreement of one rater with themselves in one quantity.

    Attributes
    ----------
    rater, scale, quantity
        The rater, the scale or ``total``, and the status or change, by name.
    patients
        Number of repeated cases with a total in both readings.
    icc
        ICC(2,1), absolute agreement.
    bias
        Mean difference, second reading minus first, in points.
    detectable
        Smallest detectable change of this rater alone, in points.
    chart
        Differences over time; only for the main quantity of all scales.
    """

    rater: str
    scale: str
    quantity: str
    patients: int
    icc: Estimate
    bias: Estimate
    detectable: Estimate
    chart: ControlChart | None = None


def draw_control_chart(
    cases: Sequence[str], times: Sequence[datetime], differences: Sequence[float]
) -> ControlChart:  # fmt: skip
    """Return the control chart of differences, which it sorts by time; all arguments have the same length."""
    order = sorted(range(len(cases)), key=lambda place: (times[place], cases[place]))
    names = tuple(cases[place] for place in order)
    values = np.array([differences[place] for place in order], dtype=np.float64)
    centre = lower = upper = float("nan")
    outside: tuple[str, ...] = ()
    runs = []
    if len(values) > 1:
        centre = float(values.mean())
    if len(values) >= LEAST_REPEATS:
        half = _LIMIT * float(np.abs(np.diff(values)).mean()) / _MEAN_RANGE
        lower, upper = centre - half, centre + half
        outside = tuple(name for name, value in zip(names, values, strict=True) if not lower <= value <= upper)
        length, side = 0, 0
        for name, value in zip(names, values, strict=True):
            now = int(np.sign(value - centre))
            length = length + 1 if now == side and now else 1
            side = now
            if length >= _RUN:
                runs.append(name)
    ordered = tuple(times[place].isoformat(timespec="seconds") for place in order)
    return ControlChart(names, ordered, tuple(map(float, values)), centre, lower, upper, outside, tuple(runs))


def measure_repeatability(
    study: Study, released: ReleasedReadings, rule: MissingRule
) -> tuple[Repeatability, ...]:  # fmt: skip
    """Return the agreement of each rater with themselves; empty if no repeat was read twice.

    Parameters
    ----------
    study
        The study.
    released
        The readings, with those of the repeats.
    rule
        Rule for totals of fields without a score.
    """
    found = []
    for rater in released.raters:
        scores = collect_second_scores(study, released, rater, rule)
        if scores.cases:
            signed = {case: released.repeats[case][rater].signed_at for case in scores.cases}
            found += _measure_rater(rater, scores, {case: at for case, at in signed.items() if at is not None})
    return tuple(found)


def _measure_rater(rater: str, scores: ReadingScores, signed: Mapping[str, datetime]) -> list[Repeatability]:
    main = scores.main_change or scores.quantities[-1]
    found = []
    for scale in (None, *scores.scheme.scales):
        for quantity in scores.quantities:
            values = scores.quantity(quantity, scale)
            is_known = np.asarray(np.isfinite(values).all(axis=1))
            known = values[is_known]
            chart = None
            if scale is None and quantity == main:
                cases = [case for case, known_here in zip(scores.cases, is_known.tolist(), strict=True) if known_here]
                chart = draw_control_chart(cases, [signed[case] for case in cases], list(known[:, 1] - known[:, 0]))
            found.append(
                Repeatability(
                    rater,
                    scale or TOTAL,
                    quantity.name,
                    len(known),
                    icc_agreement(known),
                    bland_altman(known[:, 1], known[:, 0]).bias,
                    smallest_detectable_change(known, 1),
                    chart,
                )
            )
    return found
