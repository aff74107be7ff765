"""Visits whose films are outside the days that the charter plans, and planned visits without films."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ratui.results.text_table import TextTable, format_count
from ratui.study import Case, Study
from ratui.study.campaign.charter import PlannedVisit
from ratui.study.campaign.repeats import load_repeats
from ratui.study.intact import intact_case

__all__ = ["PatientVisit", "compare_visits", "describe_deviation", "find_deviations", "make_deviation_table"]

_DAY_UNKNOWN, _NO_FILM, _NO_WINDOW, _IN_WINDOW = "day unknown", "no film", "no window", "in window"


@dataclass(frozen=True)
class PatientVisit:
    """A visit of a patient, compared with the plan of the charter.

    Attributes
    ----------
    case
        Name of the case.
    visit
        Number of the visit in the study, from 0.
    name
        Name of the visit.
    films
        Number of films.
    day
        Day of the plan on which the films were made: the days since the baseline, plus the planned day of the baseline. Of
        films of several days, the one that is farthest outside the window counts. None if it is unknown.
    first, last
        First and last day of the window, on the same scale; None if the visit has no window.
    outside
        Days after the last day of the window, negative for days before its first day, 0 within it; None if `day` or the
        window is unknown.
    """

    case: str
    visit: int
    name: str
    films: int
    day: int | None
    first: int | None
    last: int | None
    outside: int | None

    @property
    def status(self) -> str:
        """One of ``in window``, ``early``, ``late``, ``day unknown``, ``no film`` and ``no window``."""
        if not self.films:
            return _NO_FILM
        if self.first is None:
            return _NO_WINDOW
        if self.outside is None:
            return _DAY_UNKNOWN
        return _IN_WINDOW if not self.outside else "late" if self.outside > 0 else "early"

    @property
    def is_deviation(self) -> bool:
        """False if the films were made within the window, or if the visit has none."""
        return self.status not in (_IN_WINDOW, _NO_WINDOW)

    def to_record(self) -> dict[str, Any]:
        """Return the values for JSON."""
        return asdict(self) | {"status": self.status}


def compare_visits(case: Case, plan: Sequence[PlannedVisit]) -> tuple[PatientVisit, ...]:
    """Return the visits of a patient up to the last one with films, compared with the `plan` of the charter.

    As in the import, the baseline is on its planned day, and a plan without days before and after has no window. Days are
    unknown in a case without a dated film of the baseline.
    """
    days: dict[int, list[int]] = {}
    counts: dict[int, int] = {}
    for film in case.films:
        counts[film.number] = counts.get(film.number, 0) + 1
        if film.day is not None:
            days.setdefault(film.number, []).append(film.day)
    start = min(days[0]) - (plan[0].day or 0) if 0 in days and plan else None
    return tuple(
        _compare(case.id, number, planned, counts.get(number, 0), days.get(number, []), start)
        for number, planned in enumerate(plan)
        if number <= max(counts, default=-1)
    )


def _compare(
    case: str, number: int, planned: PlannedVisit, films: int, days: Sequence[int], start: int | None
) -> PatientVisit:
    """Return a visit of a patient; `start` is the day of the case on which the plan begins, None if unknown."""
    window = None
    if planned.day is not None and (planned.before or planned.after):
        window = planned.day - planned.before, planned.day + planned.after
    first, last = window or (None, None)
    if start is None or not days:
        return PatientVisit(case, number, planned.name, films, None, first, last, None)
    if window is None:
        return PatientVisit(case, number, planned.name, films, min(days) - start, first, last, None)
    distances = {day - start: max(day - start - window[1], 0) + min(day - start - window[0], 0) for day in days}
    day = max(sorted(distances), key=lambda each: abs(distances[each]))
    return PatientVisit(case, number, planned.name, films, day, first, last, distances[day])


def find_deviations(study: Study, cases: Iterable[Case] | None = None) -> tuple[PatientVisit, ...]:
    """Return the visits outside their windows, without a day, or without films, of `cases` or of all but hidden repeats.

    A visit without films is one before the patient's last visit: later ones may still come. A charter without visits has no
    deviations. Raises StudyError in a blinded study if the account does not manage it.
    """
    plan = study.config.charter.visits
    if not plan:
        return ()
    if cases is None:
        repeats = load_repeats(study)
        cases = (case for name in study.cases() if name not in repeats and (case := intact_case(study, name)))
    return tuple(visit for case in cases for visit in compare_visits(case, plan) if visit.is_deviation)


def describe_deviation(visit: PatientVisit) -> str:
    """Return a deviation in words, for example ``week 26: day 205, 13 days late (day 152 to 192)``."""
    if visit.outside is None:
        return f"{visit.name}: {visit.status}"
    distance = f"{format_count(abs(visit.outside), 'day')} {visit.status}"
    return f"{visit.name}: day {visit.day}, {distance} (day {visit.first} to {visit.last})"


def make_deviation_table(found: Sequence[PatientVisit]) -> TextTable:
    """Return the deviations as a table."""
    rows = [
        [
            each.case,
            each.name,
            each.status,
            "–" if each.first is None else f"{each.first} to {each.last}",
            "–" if each.day is None else each.day,
            "–" if each.outside is None else abs(each.outside),
        ]
        for each in found
    ]
    note = (
        "Visits whose films were not made on the days that the charter plans. Days count from the "
        "baseline, which is on its planned day. No film: the patient has films of a later visit."
    )
    headers = ["case", "visit", "deviation", "planned days", "day", "days outside"]
    return TextTable("Deviations from the planned visits", headers, rows, text_columns=4, note=note)
