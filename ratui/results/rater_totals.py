"""Mean totals of each rater at each visit and their changes, and the number of patients with progression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median, stdev

import numpy as np
import numpy.typing as npt

from ratui.results.quantities import Quantity
from ratui.results.released import ReleasedReadings
from ratui.results.scores import ReadingScores, collect_consensus, collect_scores
from ratui.results.statistics import Floats
from ratui.results.text_table import TextTable, format_number
from ratui.results.totals import MissingRule, describe_rule
from ratui.study import Study

__all__ = [
    "PROGRESSION",
    "RAPID",
    "RaterTotals",
    "compute_years_between",
    "make_rater_totals_table",
    "summarize_raters",
]

PROGRESSION = 0.5
"""Progression is a change of more than this many points per year."""
RAPID = 5.0
"""Rapid progression is a change of at least this many points per year."""
_YEAR = 365.25


@dataclass(frozen=True)
class RaterTotals:
    """Totals of one rater at one visit, or their changes between two visits.

    Attributes
    ----------
    rater
        The rater's ID, or the name of the consensus.
    quantity
        The visit or the change, by name.
    patients
        Number of patients with a total over all scales.
    without_total
        Number of the other patients with films of the visits.
    values
        Totals over all scales, or their changes, one per patient.
    by_scale
        Totals of the same patients by scale. Under a rule that counts other fields in a change, a scale may have fewer.
    dated
        Number of patients with a change and a known number of days between the visits; 0 for a status.
    progressed, rapid
        Number of dated patients with progression, and with rapid progression.
    """

    rater: str
    quantity: str
    patients: int
    without_total: int
    values: tuple[float, ...]
    by_scale: Mapping[str, tuple[float, ...]]
    dated: int = 0
    progressed: int = 0
    rapid: int = 0


def summarize_raters(study: Study, released: ReleasedReadings, rule: MissingRule) -> tuple[RaterTotals, ...]:
    """Return the totals of each rater under `rule`, followed by those of the consensus if there is one.

    Each rater has the status at each visit, the change from the first visit to each later one, and the changes between
    successive visits.
    """
    found = _summarize(collect_scores(study, released, rule))
    if released.consensus:
        found += _summarize(collect_consensus(study, released, rule))
    return tuple(found)


def _summarize(scores: ReadingScores) -> list[RaterTotals]:
    scales = scores.scheme.scales
    values = {(scale, each): scores.quantity(each, scale) for scale in (None, *scales) for each in scores.quantities}
    has_visit = np.asarray(scores.has_field.any(axis=2))
    return [
        _summarize_rater(scores, values, has_visit, place, quantity)
        for place in range(len(scores.raters))
        for quantity in scores.quantities
    ]


def _summarize_rater(
    scores: ReadingScores,
    values: Mapping[tuple[str | None, Quantity], Floats],
    has_visit: npt.NDArray[np.bool_],
    place: int,
    quantity: Quantity,
) -> RaterTotals:
    totals, visits = values[None, quantity][:, place], [quantity.last]
    visits += [] if quantity.first is None else [quantity.first]
    chosen = np.isfinite(totals)
    by_scale = {scale: values[scale, quantity][chosen, place] for scale in scores.scheme.scales}
    yearly = np.array([])
    if quantity.first is not None:
        yearly = (totals / compute_years_between(scores.days, quantity.first, quantity.last))[chosen]
        yearly = yearly[np.isfinite(yearly)]
    return RaterTotals(
        scores.raters[place],
        quantity.name,
        int(chosen.sum()),
        int((has_visit[:, place, visits].all(axis=1) & ~chosen).sum()),
        tuple(totals[chosen].tolist()),
        {scale: tuple(each[np.isfinite(each)].tolist()) for scale, each in by_scale.items()},
        len(yearly),
        int((yearly > PROGRESSION).sum()),
        int((yearly >= RAPID).sum()),
    )


def compute_years_between(days: Floats, first: int, last: int) -> Floats:
    """Return the years between two columns of `days`, shape (cases,); NaN if a day is not known or they do not rise."""
    apart = days[:, last] - days[:, first]
    return np.asarray(np.where(apart > 0, apart, np.nan) / _YEAR)


def make_rater_totals_table(found: Sequence[RaterTotals], rule: MissingRule) -> TextTable:
    """Return the totals as a table, one row per rater and quantity."""
    scales = [*found[0].by_scale] if found and len(found[0].by_scale) > 1 else []
    rows, last = [], ""
    for each in found:
        rows.append(
            [
                "" if each.rater == last else each.rater,
                each.quantity,
                each.patients,
                each.without_total,
                _format_mean_sd(each.values),
                _median(each.values),
                *(_format_mean_sd(each.by_scale[scale]) for scale in scales),
                _format_share(each.progressed, each.dated),
                _format_share(each.rapid, each.dated),
            ]
        )
        last = each.rater
    headers = [
        "rater",
        "of",
        "patients",
        "no total",
        "mean (SD)",
        "median",
        *(f"{scale}, mean (SD)" for scale in scales),
    ]
    headers += [f"over {PROGRESSION:g}/year", f"{RAPID:g}/year or more"]
    about = "Total over all scales, and of each scale in the same patients." if scales else "Total over all scales."
    note = (
        f"{about} No total: patients with films of the visits. {describe_rule(rule)} Progression counts dated patients."
    )
    return TextTable("Totals", headers, rows, text_columns=2, note=note)


def _format_mean_sd(values: Sequence[float]) -> str:
    if not values:
        return "–"
    return f"{format_number(mean(values), 1)} ({format_number(stdev(values), 1) if len(values) > 1 else '–'})"


def _median(values: Sequence[float]) -> str:
    return format_number(median(values), 1) if values else "–"


def _format_share(count: int, of: int) -> str:
    return f"{count} of {of}" if of else "–"
