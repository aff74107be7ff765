"""Mean totals of each rater, and the number of patients with progression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median, stdev

from ratui.reading import Reading
from ratui.results.released import ReleasedReadings
from ratui.results.text_table import TextTable, format_number
from ratui.results.totals import MissingRule, compute_change, compute_total
from ratui.study import CONSENSUS, Study
from ratui.study.intact import intact_case

__all__ = ["PROGRESSION", "RAPID", "RaterTotals", "rater_totals_table", "summarize_raters"]

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
        Number of patients with both totals and a change under the rule.
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
    """Return the totals of each rater under `rule`, followed by those of the consensus if there is one."""
    found = [
        _summarize_rater(
            study, rater, [readings[rater] for readings in released.readings.values() if rater in readings], rule
        )
        for rater in released.raters
    ]
    if released.consensus:
        found.append(_summarize_rater(study, CONSENSUS, list(released.consensus.values()), rule))
    return tuple(found)


def _summarize_rater(study: Study, rater: str, readings: Sequence[Reading], rule: MissingRule) -> RaterTotals:
    earlier, later, changes, yearly = [], [], [], []
    for reading in readings:
        before, after = (compute_total(reading, time, None, rule).value for time in (0, 1))
        moved = compute_change(reading, None, rule)
        if before is None or after is None or moved is None:
            continue
        earlier.append(before)
        later.append(after)
        changes.append(moved)
        case = intact_case(study, reading.case)
        apart = None if case is None else case.days_between
        if apart is not None and apart > 0:
            yearly.append(moved * _YEAR / apart)
    return RaterTotals(
        rater,
        len(changes),
        len(readings) - len(changes),
        tuple(earlier),
        tuple(later),
        tuple(changes),
        len(yearly),
        sum(each > PROGRESSION for each in yearly),
        sum(each >= RAPID for each in yearly),
    )


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
    note = f"Total over all scales. Fields without a score: {rule.name}, {rule.meaning}. Progression counts dated patients."
    return TextTable("Totals", headers, rows, note=note)


def _format_mean_sd(values: Sequence[float]) -> str:
    if not values:
        return "–"
    return f"{format_number(mean(values), 1)} ({format_number(stdev(values), 1) if len(values) > 1 else '–'})"


def _median(values: Sequence[float]) -> str:
    return format_number(median(values), 1) if values else "–"


def _format_share(count: int, of: int) -> str:
    return f"{count} of {of}" if of else "–"
