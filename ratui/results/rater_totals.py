"""Mean totals of each rater, and the number of patients with progression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median, stdev

import numpy as np

from ratui.results.released import ReleasedReadings
from ratui.results.scores import ReadingScores, collect_consensus, collect_scores
from ratui.results.text_table import TextTable, format_number
from ratui.results.totals import MissingRule, describe_rule
from ratui.study import Study
from ratui.study.intact import intact_case

__all__ = ["PROGRESSION", "RAPID", "RaterTotals", "rater_totals_table", "summarize_raters", "years_between"]

PROGRESSION = 0.5
"""Progression is a change of more than this many points per year."""
RAPID = 5.0
"""Rapid progression is a change of at least this many points per year."""
_YEAR = 365.25


@dataclass(frozen=True)
class RaterTotals:
    """Totals of one rater over all scales.

    Attributes
    ----------
    rater
        The rater's ID, or the name of the consensus.
    patients
        Number of patients with totals at the first and the last visit and a change under the rule.
    without_total
        Number of patients without one of them.
    earlier, later, changes
        Totals at the two time points and their changes, one value per patient.
    dated
        Number of patients with a known number of days between their films.
    progressed, rapid
        Number of dated patients with progression, and with rapid progression.
    """

    rater: str
    patients: int
    without_total: int
    earlier: tuple[float, ...]
    later: tuple[float, ...]
    changes: tuple[float, ...]
    dated: int
    progressed: int
    rapid: int


def summarize_raters(study: Study, released: ReleasedReadings, rule: MissingRule) -> tuple[RaterTotals, ...]:
    """Return the totals of each rater under `rule`, followed by those of the consensus if there is one.

    The change is that from the first to the last visit.
    """
    found = _summarize(study, collect_scores(study, released, rule))
    if released.consensus:
        found += _summarize(study, collect_consensus(study, released, rule))
    return tuple(found)


def _summarize(study: Study, scores: ReadingScores) -> list[RaterTotals]:
    if scores.main_change is None:
        return []
    totals, changes, is_read = scores.totals(), scores.quantity(scores.main_change), scores.is_read
    has_all = np.isfinite(totals[..., [0, -1]]).all(axis=-1) & np.isfinite(changes)
    years = np.array([years_between(study, case, scores.visits[0], scores.visits[-1]) for case in scores.cases])
    found = []
    for place, rater in enumerate(scores.raters):
        chosen = has_all[:, place]
        yearly = changes[chosen, place] / years[chosen]
        yearly = yearly[np.isfinite(yearly)]
        found.append(
            RaterTotals(
                rater,
                int(chosen.sum()),
                int((is_read[:, place] & ~chosen).sum()),
                tuple(totals[chosen, place, 0].tolist()),
                tuple(totals[chosen, place, -1].tolist()),
                tuple(changes[chosen, place].tolist()),
                len(yearly),
                int((yearly > PROGRESSION).sum()),
                int((yearly >= RAPID).sum()),
            )
        )
    return found


def years_between(study: Study, case: str, first: int, last: int) -> float:
    """Return the years between two visits of a case, given by their numbers; NaN if a day is unknown."""
    films = intact_case(study, case)
    days = {} if films is None else {film.number: film.day for film in films.films if film.day is not None}
    apart = days[last] - days[first] if {first, last} <= days.keys() else 0
    return apart / _YEAR if apart > 0 else float("nan")


def rater_totals_table(found: Sequence[RaterTotals], rule: MissingRule) -> TextTable:
    """Return the totals as a table, one row per rater."""
    rows = [
        [
            each.rater,
            each.patients,
            each.without_total,
            *(_format_mean_sd(values) for values in (each.earlier, each.later, each.changes)),
            _median(each.changes),
            _format_share(each.progressed, each.dated),
            _format_share(each.rapid, each.dated),
        ]
        for each in found
    ]
    headers = ["rater", "patients", "no total", "earlier, mean (SD)", "later", "change", "median change"]
    headers += [f"over {PROGRESSION:g}/year", f"{RAPID:g}/year or more"]
    note = f"Total over all scales. {describe_rule(rule)} Progression counts dated patients."
    return TextTable("Totals", headers, rows, note=note)


def _format_mean_sd(values: Sequence[float]) -> str:
    if not values:
        return "–"
    return f"{format_number(mean(values), 1)} ({format_number(stdev(values), 1) if len(values) > 1 else '–'})"


def _median(values: Sequence[float]) -> str:
    return format_number(median(values), 1) if values else "–"


def _format_share(count: int, of: int) -> str:
    return f"{count} of {of}" if of else "–"
