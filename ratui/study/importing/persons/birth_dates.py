"""Compare birth dates as hospitals write them. Values only; the rules are in ``docs/intake.md``."""

from __future__ import annotations

import re

__all__ = ["birth_digits", "births_contradict", "is_misspelled", "may_be_one_birth"]

_DUMMY_DAYS = ("0101", "0615", "0630", "0701", "1231")  # that registries and programs write for an unknown day


def birth_digits(text: str) -> str:
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
