"""Count the days of films from the first examination of their patient, so that the study contains no date."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import date
from pathlib import Path

from ratui.errors import FilmError, RatuiError
from ratui.study.case import MOST_DAYS, Case
from ratui.study.importing.persons.pseudonyms import KeyFile
from ratui.study.importing.planning.import_plan import ImportPlan, PlanRow
from ratui.study.importing.planning.manifest_checks import split_visits
from ratui.study.study import Study

__all__ = ["check_day", "count_days", "has_first_visits_only"]


def count_days(plan: ImportPlan, keys: KeyFile) -> dict[Path, int | None]:
    """Return the day of each film to take, None if it is unknown, and record the first days in `keys`.

    A day that a manifest states is counted in the manifest's own way. Otherwise the day is that of the film's date, unless
    the dates of the patient's films contradict the time points.
    """
    rows: dict[str, list[PlanRow]] = defaultdict(list)
    for row in plan.taken:
        rows[row.patient].append(row)
    days: dict[Path, int | None] = {}
    for patient, group in rows.items():
        if keys.has_day_count(patient) or (keys.first_date(patient) is None and any(r.day is not None for r in group)):
            days |= _count_as_manifest(patient, group, keys)
        else:
            days |= _count_from_dates(patient, group, plan, keys)
    return days


def check_day(
    case: Case, time: int, day: int | None, others: Collection[int | None], path: Path, *, is_override: bool
) -> None:
    """Raise FilmError if the day of a new film contradicts the films of its case that are in the study.

    A day that a film list can't contain is an error in any case.

    Parameters
    ----------
    case
        The case in the study.
    time, day
        Time point and day of the new film.
    others
        Days of all new films of that time point.
    path
        The film's file, for the error.
    is_override
        True if a person stated that the day is right in spite of a contradiction.
    """
    if day is None:
        return
    if abs(day) > MOST_DAYS:
        problem = f"its day is more than {MOST_DAYS} days from the first film of its patient"
        raise FilmError(problem, path, "Correct its row in the manifest")
    stored = [(film.number, film.day) for film in case.films if film.day is not None]
    same = {there for number, there in stored if number == time}
    visit = next(
        days for days in split_visits(each for each in (*same, *others, day) if each is not None) if day in days
    )
    is_reversed = any(there == day or (number < time) != (there < day) for number, there in stored if number != time)
    if not is_override and (is_reversed or (same and same.isdisjoint(visit))):
        remedy = "Correct its row in the manifest, or write yes in its column override"
        raise FilmError("its day contradicts the visits of its case", path, remedy)


def has_first_visits_only(study: Study, case_id: str, count: int) -> bool:
    """Return whether a case has films of each of its first `count` visits and of no other one, also no withdrawn ones."""
    try:
        case = study.case(case_id)
    except RatuiError:  # a damaged case gets no further visit; its own films report the damage
        return False
    first = {*range(count)}
    return {film.number for film in case.films} == first and all(time in first for _, time in case.withdrawn)


def _count_as_manifest(patient: str, rows: list[PlanRow], keys: KeyFile) -> dict[Path, int | None]:
    """Return the days as a manifest counts them; dates are counted likewise if one film has both."""
    offsets = {row.exam_date.toordinal() - row.day for row in rows if row.exam_date and row.day is not None}
    counted: dict[Path, int | None] = {}
    for row in rows:
        counted[row.path] = row.day
        if row.day is None and row.exam_date and len(offsets) == 1:
            counted[row.path] = row.exam_date.toordinal() - next(iter(offsets))
    return {
        path: None if day is None else keys.count_days(patient, day)
        for path, day in sorted(counted.items(), key=lambda item: item[1] or 0)
    }


def _count_from_dates(patient: str, rows: list[PlanRow], plan: ImportPlan, keys: KeyFile) -> dict[Path, int | None]:
    """Return the days between the dates of the films and the first date of the patient."""
    dates = _find_dates(rows)
    if not dates or not _are_in_order(dates.values()):
        return dict.fromkeys((row.path for row in rows), None)
    planned = plan.dates.get(patient, ())
    if planned and all(time < len(planned) and planned[time] == day for time, day in dates.items()):
        keys.record_days(patient, planned)
    elif not keys.days(patient) and set(dates) == set(range(len(dates))):
        keys.record_days(patient, dates.values())
    first = keys.first_date(patient) or min(dates.values())
    keys.record_first_date(patient, first)
    return {row.path: (row.exam_date - first).days if row.exam_date else None for row in rows}


def _find_dates(rows: Iterable[PlanRow]) -> dict[int, date]:
    """Return the first date of each time point, in the order of the time points."""
    dates: dict[int, date] = {}
    for row in rows:
        if row.exam_date and row.time is not None:
            dates[row.time] = min(row.exam_date, dates.get(row.time, row.exam_date))
    return dict(sorted(dates.items()))


def _are_in_order(dates: Iterable[date]) -> bool:
    dates = list(dates)
    return dates == sorted(set(dates))
