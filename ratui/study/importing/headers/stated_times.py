"""Read dates and ages as headers state them."""

from __future__ import annotations

import re
from datetime import date

__all__ = ["parse_date", "read_age"]

# The time of day is present in type DT only. Old files have points between the numbers, foreign programs hyphens.
_DATE = re.compile(
    r"(?P<year>[0-9]{4})([.\-/]?)(?P<month>[0-9]{2})\2(?P<day>[0-9]{2})"
    r"([0-9]{2}){0,3}(\.[0-9]{1,6})?([+-][0-9]{4})?",
    re.ASCII,
)
_UNITS = {"D": 1.0, "W": 7.0, "M": 30.44, "Y": 365.25}
_OLDEST = 120 * 365.25


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
