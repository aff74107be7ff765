"""The outcome of a study: distribution of the final scores, and patients with progression by several definitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ratui.results.agreement import TOTAL
from ratui.results.bootstrap import CONFIDENCE, Estimate
from ratui.results.final_scores import FINAL_MEANINGS, FinalScores
from ratui.results.quantities import Quantity
from ratui.results.rater_totals import PROGRESSION, RAPID, compute_years_between
from ratui.results.statistics import Floats, count_raters_of_mean, smallest_detectable_change
from ratui.results.text_table import TextTable, format_number
from ratui.results.totals import describe_rule

__all__ = [
    "LOWER_LEVEL",
    "POINTS",
    "FinalSummary",
    "Progression",
    "count_progression",
    "describe_final_rule",
    "make_final_score_table",
    "make_progression_table",
    "summarize_final",
]

POINTS = 5.0
"""Points of change from which a patient counts as progressed, whatever the time between the films."""
LOWER_LEVEL = 0.8
"""Level of the smaller of the two smallest detectable changes."""


@dataclass(frozen=True)
class FinalSummary:
    """Distribution of a quantity of the final scores of one scale.

    `quartiles` are the 25th, 50th and 75th percentiles, interpolated linearly (type 7 of Hyndman and Fan 1996).
    """

    scale: str
    quantity: str
    patients: int
    mean: float
    deviation: float
    quartiles: tuple[float, float, float]
    smallest: float
    largest: float


@dataclass(frozen=True)
class Progression:
    """Patients with progression on one scale.

    Attributes
    ----------
    scale, quantity
        The scale and the change.
    patients
        Number of patients with a final change.
    detectable, detectable_lower
        Smallest detectable change of the mean of the raters at the levels of 95 % and of 80 %.
    over, over_lower
        Number of patients whose change is larger than each of these.
    improved
        Number of patients whose change is below the negative of the first of these.
    over_points
        Number of patients with a change of at least `POINTS`.
    dated
        Number of patients with a known number of days between the visits.
    over_yearly, rapid
        Number of dated patients with a change of more than `PROGRESSION`, and of at least `RAPID` points per year.
    """

    scale: str
    quantity: str
    patients: int
    detectable: Estimate
    detectable_lower: Estimate
    over: int
    over_lower: int
    improved: int
    over_points: int
    dated: int
    over_yearly: int
    rapid: int


def _scales(final: FinalScores) -> Sequence[str | None]:
    scales = final.raters.scheme.scales
    return [None, *scales] if len(scales) > 1 else [*scales]


def summarize_final(final: FinalScores) -> tuple[FinalSummary, ...]:
    """Return the distribution of each quantity, of all scales together and of each scale."""
    return tuple(
        _summarize(scale or TOTAL, quantity.name, final.quantity(quantity, scale))
        for scale in _scales(final)
        for quantity in final.raters.quantities
    )


def _summarize(scale: str, quantity: str, values: Floats) -> FinalSummary:
    known = values[np.isfinite(values)]
    if not len(known):
        nan = float("nan")
        return FinalSummary(scale, quantity, 0, nan, nan, (nan, nan, nan), nan, nan)
    first, middle, third = (float(each) for each in np.percentile(known, [25, 50, 75]))
    deviation = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
    ends = float(known.min()), float(known.max())
    return FinalSummary(
        scale, quantity, len(known), float(known.mean()), deviation, (first, middle, third), ends[0], ends[1]
    )


def count_progression(final: FinalScores) -> tuple[Progression, ...]:
    """Return the patients with progression, for each scale and each change. Raises StudyError if scipy is missing."""
    return tuple(
        _count(final, scale, quantity, compute_years_between(final.raters.days, quantity.first, quantity.last))
        for scale in _scales(final)
        for quantity in final.raters.quantities
        if quantity.first is not None
    )


def _count(final: FinalScores, scale: str | None, quantity: Quantity, years: Floats) -> Progression:
    changes, of_raters = final.quantity(quantity, scale), final.raters.complete_quantity(quantity, scale)
    number = count_raters_of_mean(of_raters)
    detectable, lower = (smallest_detectable_change(of_raters, number, level) for level in (CONFIDENCE, LOWER_LEVEL))
    yearly = changes / years
    return Progression(
        scale or TOTAL,
        quantity.name,
        int(np.isfinite(changes).sum()),
        detectable,
        lower,
        int((changes > detectable.value).sum()),
        int((changes > lower.value).sum()),
        int((changes < -detectable.value).sum()),
        int((changes >= POINTS).sum()),
        int(np.isfinite(yearly).sum()),
        int((yearly > PROGRESSION).sum()),
        int((yearly >= RAPID).sum()),
    )


def describe_final_rule(final: FinalScores) -> str:
    """Return the sentences that state the rules below a table of final scores."""
    settled = final.sources.count("consensus")
    text = f"Final score: {final.rule}, {FINAL_MEANINGS[final.rule]}"
    if "consensus" in final.rule:
        text += f" ({settled} of {len(final.cases)} cases by consensus)"
    return f"{text}. {describe_rule(final.raters.rule, final.raters.surgery)}"


def make_final_score_table(final: FinalScores) -> TextTable:
    """Return the distribution of the final scores as a table."""
    rows = [
        [
            each.scale,
            each.quantity,
            each.patients,
            f"{format_number(each.mean)} ({format_number(each.deviation)})" if each.patients else "–",
            format_number(each.quartiles[1]),
            _format_range(each.quartiles[0], each.quartiles[2]),
            _format_range(each.smallest, each.largest),
        ]
        for each in summarize_final(final)
    ]
    headers = ["scale", "of", "patients", "mean (SD)", "median", "quartiles", "range"]
    return TextTable("Final scores", headers, rows, text_columns=2, note=describe_final_rule(final))


def _format_range(low: float, high: float) -> str:
    return f"{format_number(low)} to {format_number(high)}" if np.isfinite(low) else "–"


def make_progression_table(final: FinalScores) -> TextTable:
    """Return the patients with progression as a table. Raises StudyError if scipy is missing."""
    found = count_progression(final)
    rows = [
        [
            each.scale,
            each.quantity,
            each.patients,
            _format_over(each.over, each, each.detectable),
            _format_over(each.over_lower, each, each.detectable_lower),
            f"{each.improved} of {each.patients}" if _is_known(each, each.detectable) else "–",
            f"{each.over_points} of {each.patients}" if each.patients else "–",
            f"{each.over_yearly} of {each.dated}" if each.dated else "–",
            f"{each.rapid} of {each.dated}" if each.dated else "–",
        ]
        for each in found
    ]
    headers = ["scale", "of", "patients", "over SDC 95 %", "over SDC 80 %", "below −SDC 95 %", f"{POINTS:g} or more"]
    headers += [f"over {PROGRESSION:g}/year", f"{RAPID:g}/year or more"]
    note = (
        "Patients whose final change is larger than the smallest detectable change of the mean of the raters of a case, "
        "z · SD of the difference of two raters' changes / (√2 · √k), z = 1.96 or 1.28 (Bruynesteyn and others 2005); of "
        f"at least {POINTS:g} points; and per year of 365.25 days, of the patients with known days. "
        f"{describe_final_rule(final)}"
    )
    return TextTable("Progression", headers, rows, text_columns=2, note=note)


def _format_over(count: int, each: Progression, detectable: Estimate) -> str:
    return f"{format_number(detectable.value)}: {count} of {each.patients}" if _is_known(each, detectable) else "–"


def _is_known(each: Progression, detectable: Estimate) -> bool:
    return bool(each.patients and np.isfinite(detectable.value))
