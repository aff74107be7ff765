"""Totals of a study, reader by reader: what they come to, and in how many patients they say that damage progressed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median, stdev

from ratui.reading import Reading
from ratui.results.released import Released
from ratui.results.text_table import Sheet, number
from ratui.results.totals import Rule, change, total
from ratui.study import CONSENSUS, Study

__all__ = ["PROGRESSION", "RAPID", "ReaderSummary", "summaries", "summary_sheet"]

PROGRESSION = 0.5
"""More points a year than this is progression."""
RAPID = 5.0
"""At least so many points a year are rapid progression."""
_YEAR = 365.25


@dataclass(frozen=True)
class ReaderSummary:
    """One reader's totals over all scales: of the `patients` that have one under the rule, `without` others have none.

    `dated` of them have days between their films; of those `progressed` and `rapid` count patients by points a year.
    """

    reader: str
    patients: int
    without: int
    earlier: tuple[float, ...]
    later: tuple[float, ...]
    changes: tuple[float, ...]
    dated: int
    progressed: int
    rapid: int


def summaries(study: Study, told: Released, rule: Rule) -> tuple[ReaderSummary, ...]:
    """Each rater's totals under `rule`, then those of the consensus where there is one."""
    found = [
        _summary(study, rater, [readings[rater] for readings in told.readings.values() if rater in readings], rule)
        for rater in told.raters
    ]
    if told.consensus:
        found.append(_summary(study, CONSENSUS, list(told.consensus.values()), rule))
    return tuple(found)


def _summary(study: Study, reader: str, readings: Sequence[Reading], rule: Rule) -> ReaderSummary:
    earlier, later, changes, yearly = [], [], [], []
    for reading in readings:
        before, after = (total(reading, time, None, rule).value for time in (0, 1))
        moved = change(reading, None, rule)
        if before is None or after is None or moved is None:
            continue
        earlier.append(before)
        later.append(after)
        changes.append(moved)
        apart = study.case(reading.case).days_between
        if apart is not None and apart > 0:
            yearly.append(moved * _YEAR / apart)
    return ReaderSummary(
        reader,
        len(changes),
        len(readings) - len(changes),
        tuple(earlier),
        tuple(later),
        tuple(changes),
        len(yearly),
        sum(each > PROGRESSION for each in yearly),
        sum(each >= RAPID for each in yearly),
    )


def summary_sheet(found: Sequence[ReaderSummary], rule: Rule) -> Sheet:
    """The totals as a table."""
    rows = [
        [
            each.reader,
            each.patients,
            each.without,
            *(_spread(values) for values in (each.earlier, each.later, each.changes)),
            _median(each.changes),
            _part(each.progressed, each.dated),
            _part(each.rapid, each.dated),
        ]
        for each in found
    ]
    heads = ["reader", "patients", "no total", "earlier, mean (SD)", "later", "change", "median change"]
    heads += [f"over {PROGRESSION:g}/year", f"{RAPID:g}/year or more"]
    note = f"Total over all scales. Fields without a score: {rule.name}, {rule.meaning}. Progression counts dated patients."
    return Sheet("Totals", heads, rows, note=note)


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "–"
    return f"{number(mean(values), 1)} ({number(stdev(values), 1) if len(values) > 1 else '–'})"


def _median(values: Sequence[float]) -> str:
    return number(median(values), 1) if values else "–"


def _part(count: int, of: int) -> str:
    return f"{count} of {of}" if of else "–"
