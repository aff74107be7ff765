"""Read and compare the dates and ages in headers: dates of birth, ages, and the date of a film. Values only.

The rules are in ``docs/intake.md``. A date is not taken at face value: a film whose dates are implausible, or differ from
each other, is doubtful.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ratui.study.importing.reader.film_header import FilmHeader

__all__ = [
    "BirthSpan",
    "DatedFilm",
    "are_spans_apart",
    "births_contradict",
    "compute_birth_span",
    "date_film",
    "extract_birth_digits",
    "is_misspelled",
    "may_be_one_birth",
    "parse_date",
    "read_age",
]

BirthSpan = tuple[date, date]
"""First and last possible day of a birth."""
# The time of day is present in type DT only. Old files have points between the numbers, foreign programs hyphens.
_DATE = re.compile(
    r"(?P<year>[0-9]{4})([.\-/]?)(?P<month>[0-9]{2})\2(?P<day>[0-9]{2})"
    r"([0-9]{2}){0,3}(\.[0-9]{1,6})?([+-][0-9]{4})?",
    re.ASCII,
)
_UNITS = {"D": 1.0, "W": 7.0, "M": 30.44, "Y": 365.25}
_OLDEST = 120 * 365.25
# The dates from which an age counts back, the first that is stated.
_DATES_OF_AGE = ("StudyDate", "AcquisitionDate", "AcquisitionDateTime", "SeriesDate", "ContentDate")
_BIRTHS_APART = timedelta(days=366)  # an age may be that of the registration
_DUMMY_DAYS = ("0101", "0615", "0630", "0701", "1231")  # that registries and programs write for an unknown day
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
_DIGITISED = ("DF", "SD", "SI")  # conversion types: digitised film, scanned document, scanned image
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


def parse_date(text: str) -> date | None:
    """Return the date in a DICOM value of type DA or DT, or None if there is no valid one."""
    parts = _DATE.fullmatch(text.strip())
    try:
        return date(int(parts["year"]), int(parts["month"]), int(parts["day"])) if parts else None
    except ValueError:
        return None


def read_age(text: str) -> tuple[float, float] | None:
    """Return the least and the largest age in days that Patient Age states, or None without a plausible one."""
    stated = re.fullmatch(r"([0-9]{3})([DWMY])", text.strip().upper())
    if not stated or int(stated[1]) == 0:
        return None
    unit = _UNITS[stated[2]]
    days = int(stated[1]) * unit
    return (days, days + unit) if days <= _OLDEST else None


def extract_birth_digits(text: str) -> str:
    """Return the known digits of a birth date: 00 is an unknown month or day, 1900 and earlier an unknown year."""
    digits = re.sub(r"[.\-/ ]", "", text)
    if not re.fullmatch(r"[0-9]{4}|[0-9]{6}|[0-9]{8}", digits) or digits[:4] <= "1900":
        return ""
    if digits[4:6] in ("", "00"):
        return digits[:4]
    return digits[:6] if digits[6:] in ("", "00") else digits


def births_contradict(one: str, other: str) -> bool:
    """Return whether the known digits of two birth dates differ. Unknown digits contradict nothing."""
    return bool(one and other) and not (one.startswith(other) or other.startswith(one))


def is_misspelled(one: str, other: str) -> bool:
    """Return whether two complete birth dates differ by one slip: one digit, two neighbours swapped, or day and month.

    Days that registries enter for an unknown one, such as the first of January, are excluded.
    """
    return not (_has_dummy_day(one) or _has_dummy_day(other)) and _differ_by_slip(one, other)


def may_be_one_birth(one: str, other: str) -> bool:
    """Return whether two birth dates that differ may be of one person.

    They differ by one slip, whatever the day, or have the same year, and one of them has an entry for an unknown day.
    """
    has_dummy = _has_dummy_day(one) or _has_dummy_day(other)
    return _differ_by_slip(one, other) or (has_dummy and one[:4] == other[:4])


def _has_dummy_day(text: str) -> bool:
    return len(text) == 8 and text[4:] in _DUMMY_DAYS


def _differ_by_slip(one: str, other: str) -> bool:
    if not all(re.fullmatch("[0-9]{8}", text) for text in (one, other)):
        return False
    places = [place for place in range(8) if one[place] != other[place]]
    is_swapped = len(places) == 2 and places[1] == places[0] + 1 and one[places[0]] == other[places[1]]
    is_swapped = is_swapped and one[places[1]] == other[places[0]]
    is_turned = one[:4] == other[:4] and one[4:6] == other[6:] and one[6:] == other[4:6]
    return len(places) == 1 or is_swapped or is_turned


def compute_birth_span(header: FilmHeader) -> BirthSpan | None:
    """Return the days between which the patient was born by the age and the first date of the film, or None."""
    age = read_age(header.elements.get("PatientAge", ""))
    days = (parse_date(header.dates.get(keyword, "")) for keyword in _DATES_OF_AGE)
    day = next((day for day in days if day), None)
    if not age or not day or day.toordinal() <= age[1]:
        return None
    return day - timedelta(days=age[1]), day - timedelta(days=age[0])


def are_spans_apart(one: BirthSpan | None, one_birth: str, other: BirthSpan | None, other_birth: str) -> bool:
    """Return whether two films state births more than a year apart, at least one of them by an age.

    `one_birth` and `other_birth` are the known digits of the birth dates. A span counts where they are not complete.
    """
    spans = [
        (day, day) if (day := parse_date(digits)) else span for span, digits in ((one, one_birth), (other, other_birth))
    ]
    if (one is None and other is None) or spans[0] is None or spans[1] is None:
        return False
    first, second = sorted((spans[0], spans[1]))
    return second[0] - first[1] > _BIRTHS_APART


def date_film(header: FilmHeader, today: date) -> DatedFilm:
    """Return the date of a film. A film with a doubt has the day that its header states first, if there is one."""
    dates = {keyword: day for keyword in _ORDER if (day := parse_date(header.dates.get(keyword, "")))}
    if not dates:
        return DatedFilm(header.study_uid, None, None, "it has no date to tell its visit")
    dates, doubt = _trust_dates(dates, header, today)
    keyword, day = next(iter(dates.items()))
    moment = _find_moment(keyword, day, header)
    return DatedFilm(header.study_uid, day, moment, doubt)


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


def _find_moment(keyword: str, day: date, header: FilmHeader) -> datetime | None:
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
