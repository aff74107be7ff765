"""Decide which films of a person belong to one examination. Values only; the rules are in ``docs/intake.md``.

A date is not taken at face value: a film whose dates are implausible, or differ from each other, is doubtful.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import TypeVar

from ratui.study.importing.headers.stated_times import parse_date, read_age
from ratui.study.importing.reader.film_header import FilmHeader

__all__ = ["FEWEST_DAYS", "DatedFilm", "Examination", "date_film", "group_examinations", "parse_date"]

Film = TypeVar("Film", bound=Hashable)
# The first of these that states a valid date decides. The later ones must agree with it.
_ORDER = (
    "AcquisitionDateTime",
    "AcquisitionDate",
    "StudyDate",
    "ContentDate",
    "SeriesDate",
    "PerformedProcedureStepStartDate",
    "DateOfSecondaryCapture",
)
_EXPOSURE = _ORDER[:-1]
"""Elements with the date of the exposure. The last one has that of a digitisation or copy."""
_WITNESSES = 2  # elements that must agree to overrule another one
_TIMES = {"AcquisitionDate": "AcquisitionTime", "ContentDate": "ContentTime"}  # of an exposure, not of a study's begin
_FIRST_YEAR = 1950
_CLOCK_STARTS = frozenset({date(1969, 12, 31), date(1970, 1, 1), date(1980, 1, 1), date(2000, 1, 1)})
"""Dates that a clock without power shows; west of Greenwich, 1970 begins on the evening before."""
_MOST_DAYS_APART = 2
_ONE_VISIT = timedelta(hours=6)
_DIGITISED = ("DF", "SD", "SI")  # conversion types: digitised film, scanned document, scanned image
FEWEST_DAYS = timedelta(days=8)  # between two time points
_AGE_TOLERANCE = 2 * 365.25  # days; an age may be that of the registration


@dataclass(frozen=True)
class DatedFilm:
    """The date of one film.

    Attributes
    ----------
    study_uid
        Study Instance UID.
    day
        Date of the examination according to the first valid element, or None.
    moment
        Date and time of the exposure, or None if a value is missing.
    doubt
        Reason why a person must decide the time point, or empty.
    """

    study_uid: str = ""
    day: date | None = None
    moment: datetime | None = None
    doubt: str = ""


@dataclass(frozen=True)
class Examination:
    """The days on which the films of one visit were made, in order, and a reason why the visit is doubtful, or empty."""

    days: tuple[date, ...]
    doubt: str = ""


def date_film(header: FilmHeader, today: date) -> DatedFilm:
    """Return the date of a film. A film with a doubt has the day that its header states first, if there is one."""
    dates = {keyword: day for keyword in _ORDER if (day := parse_date(header.dates.get(keyword, "")))}
    if not dates:
        return DatedFilm(header.study_uid, None, None, "it has no date to tell its visit")
    dates, doubt = _trust_dates(dates, header, today)
    keyword, day = next(iter(dates.items()))
    moment = _moment(keyword, day, header)
    return DatedFilm(header.study_uid, day, moment, doubt)


def group_examinations(films: Mapping[Film, DatedFilm]) -> dict[Film, Examination]:
    """Return the examination of each film of one person. Films with a doubt, or without a day, are left out.

    Films belong to one examination if they have the same day; if they have the same Study Instance UID and successive days;
    or if they were exposed on successive days within six hours. The result does not depend on the order of the films.
    """
    by_day: dict[date, list[DatedFilm]] = defaultdict(list)
    for film in films.values():
        if film.day and not film.doubt:
            by_day[film.day].append(film)
    runs: list[list[date]] = []
    for day in sorted(by_day):
        if runs and _are_one_visit(by_day[runs[-1][-1]], by_day[day]):
            runs[-1].append(day)
        else:
            runs.append([day])
    doubts = [_SPAN if len(run) > 2 else "" for run in runs]
    for place, (run, after) in enumerate(pairwise(runs)):
        if after[0] - run[-1] < FEWEST_DAYS:
            doubts[place] = doubts[place] or _NEXT_DAY
            doubts[place + 1] = _NEXT_DAY
    found = {day: Examination(tuple(run), doubt) for run, doubt in zip(runs, doubts, strict=True) for day in run}
    return {key: found[film.day] for key, film in films.items() if film.day and not film.doubt}


_SPAN = "films with its study UID are from more than two days in a row"
_NEXT_DAY = "its patient has films of two dates within a week, which may be one visit"


def _trust_dates(dates: Mapping[str, date], header: FilmHeader, today: date) -> tuple[dict[str, date], str]:
    """Return the dates that count, in order, and a reason why they can't be trusted, or an empty text.

    One wrong date does not count if two elements of the exposure contradict it: a default, or the date of a copy.
    """
    certain = {key: day for key, day in dates.items() if key in _EXPOSURE and not _find_fault(day, header, today)}
    fixed = {key: day for key, day in certain.items() if key != "ContentDate"}
    elements = {key.replace("DateTime", "Date") for key in certain}
    if len(elements) >= _WITNESSES and not _are_apart(certain.values()):
        dates = {key: day for key, day in dates.items() if key not in _EXPOSURE or key in certain}
    elif len({key.replace("DateTime", "Date") for key in fixed}) >= _WITNESSES and not _are_apart(fixed.values()):
        copied = certain["ContentDate"] > max(fixed.values())
        dates = {key: day for key, day in dates.items() if key not in _EXPOSURE or key in fixed} if copied else dates
    scanned = dates.get("DateOfSecondaryCapture")
    exposed = {key: day for key, day in dates.items() if key in _EXPOSURE}
    latest = max(exposed.values(), default=None)
    is_older = bool(scanned and latest and scanned - latest > timedelta(days=_MOST_DAYS_APART))
    for keyword, day in dates.items():
        if fault := _find_fault(day, header, today):
            return dict(dates), f"its {keyword} {fault}"
    if not exposed:
        return dict(dates), "its only date is that of its digitisation or copy"
    counted = exposed if is_older else dates
    if _are_apart(counted.values()):
        early, late = min(counted, key=counted.__getitem__), max(counted, key=counted.__getitem__)
        return dict(dates), f"its {early} and {late} are more than {_MOST_DAYS_APART} days apart"
    if _is_digitised(header) and not is_older:
        return dict(dates), "it was digitised, so its date may be that of the digitisation"
    if _find_change(header) == "REMOVED":
        return dict(dates), "its header says that its dates were removed"
    return dict(exposed), ""


def _find_change(header: FilmHeader) -> str:
    """Return how an anonymising program changed the dates: MODIFIED, REMOVED, or an empty text."""
    change = header.elements.get("LongitudinalTemporalInformationModified", "").upper()
    return change if change in ("MODIFIED", "REMOVED") else ""


def _is_digitised(header: FilmHeader) -> bool:
    is_scan = bool(header.elements.get("NominalScannedPixelSpacing")) or header.modality.upper() == "HC"
    return is_scan or header.elements.get("ConversionType", "").upper() in _DIGITISED


def _find_fault(day: date, header: FilmHeader, today: date) -> str:
    """Return a reason why `day` is implausible, or an empty text."""
    birth = parse_date(header.birth_date)
    if day > today + timedelta(days=1):  # a time zone can be a day ahead
        return "is in the future"
    if day.year < _FIRST_YEAR:
        return f"is before {_FIRST_YEAR}"
    if day in _CLOCK_STARTS:
        return "is the day on which a clock without power starts"
    if (day.month, day.day) == (1, 1) and _find_change(header):
        return "is a 1 January, as anonymising programs write it for any day of a year"
    if birth is None:
        return ""
    if day <= birth:
        return "is not after the birth of the patient"
    age, lived = read_age(header.elements.get("PatientAge", "")), (day - birth).days
    if age and not age[0] - _AGE_TOLERANCE <= lived <= age[1] + _AGE_TOLERANCE:
        return "does not fit the age of the patient"
    return ""


def _are_apart(days: Collection[date]) -> bool:
    return max(days) - min(days) > timedelta(days=_MOST_DAYS_APART)


def _moment(keyword: str, day: date, header: FilmHeader) -> datetime | None:
    if keyword == "AcquisitionDateTime":
        text = header.dates[keyword].strip()[8:14]
    else:
        text = header.dates.get(_TIMES.get(keyword, ""), "").replace(":", "")[:6]
    if not re.match(r"[0-9]{4}", text):
        return None
    try:
        return datetime(day.year, day.month, day.day, int(text[:2]), int(text[2:4]))
    except ValueError:
        return None


def _are_one_visit(before: list[DatedFilm], after: list[DatedFilm]) -> bool:
    """Return whether films of two days belong to one examination."""
    one, other = before[0].day, after[0].day
    assert one is not None
    assert other is not None
    if other - one != timedelta(days=1):
        return False
    if {film.study_uid for film in before if film.study_uid} & {film.study_uid for film in after}:
        return True
    ends = [film.moment for film in before if film.moment]
    starts = [film.moment for film in after if film.moment]
    return bool(ends and starts) and min(starts) - max(ends) <= _ONE_VISIT
