"""Compare the ages of patients with dates: an anonymised film often has an age and no birth date."""

from __future__ import annotations

from datetime import date, timedelta

from ratui.study.importing.headers.stated_times import parse_date, read_age
from ratui.study.importing.reader.film_header import FilmHeader

__all__ = ["BirthSpan", "are_spans_apart", "birth_span"]

BirthSpan = tuple[date, date]
"""First and last possible day of a birth."""
_DATES = ("StudyDate", "AcquisitionDate", "AcquisitionDateTime", "SeriesDate", "ContentDate")
_TOLERANCE = timedelta(days=366)  # an age may be that of the registration


def birth_span(header: FilmHeader) -> BirthSpan | None:
    """Return the days between which the patient was born by the age and the first date of the film, or None."""
    age = read_age(header.elements.get("PatientAge", ""))
    days = (parse_date(header.dates.get(keyword, "")) for keyword in _DATES)
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
    return second[0] - first[1] > _TOLERANCE
