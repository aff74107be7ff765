"""Strict conversion of values from a stored document, which somebody may have written on purpose.

A file with a valid seal can contain any JSON value at any place. Each function here returns a value of exactly one type and
raises ValueError for everything else: a text in place of a number, a number without end, a text that can't be printed.
`ODD_VALUE_ERRORS` are all errors that a wrong form can cause while a document is taken apart.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, TypeVar

from ratui.errors import clean_text

__all__ = [
    "LONGEST_TEXT",
    "ODD_VALUE_ERRORS",
    "as_flag",
    "as_integer",
    "as_list",
    "as_number",
    "as_text",
    "as_time",
    "as_word",
]

LONGEST_TEXT = 10_000
"""Default limit of a text, in characters."""
ODD_VALUE_ERRORS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""Errors that values of a wrong type, size or nesting cause. LookupError includes KeyError and IndexError."""
_Word = TypeVar("_Word", bound=str)
_LISTS = (list, tuple)
_YEARS = range(1970, 9000)
"""Years of a time. The limits of `datetime` itself cannot be converted to every time zone."""


def as_text(value: object, longest: int = LONGEST_TEXT) -> str:
    """Return `value`, a text of at most `longest` characters without lone surrogates. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError(f"{_describe(value)} in place of a text")
    if len(value) > longest:
        raise ValueError(f"a text of {len(value)} characters")
    if not value.isascii():
        value.encode()  # raises UnicodeEncodeError, a ValueError, for a lone surrogate
    return value


def as_integer(value: object, least: int, most: int) -> int:
    """Return `value`, an integer from `least` to `most`; a truth value is no integer. Raises ValueError."""
    if type(value) is not int:
        raise ValueError(f"{_describe(value)} in place of an integer")
    if not least <= value <= most:
        raise ValueError(f"an integer that is not between {least} and {most}")
    return value


def as_number(value: object, least: float = -1e12, most: float = 1e12) -> float:
    """Return `value`, a finite number from `least` to `most`, as a float. Raises ValueError."""
    if type(value) not in (int, float):
        raise ValueError(f"{_describe(value)} in place of a number")
    if not least <= value <= most:  # type: ignore[operator]
        raise ValueError(f"a number that is not between {least:g} and {most:g}")
    number = float(value)  # type: ignore[arg-type]
    if not math.isfinite(number):
        raise ValueError("a number that is not finite")
    return number


def as_flag(value: object) -> bool:
    """Return `value`, which is True or False. Raises ValueError."""
    if not isinstance(value, bool):
        raise ValueError(f"{_describe(value)} in place of true or false")
    return value


def as_word(value: object, words: tuple[_Word, ...]) -> _Word:
    """Return the one of `words` that `value` is. Raises ValueError."""
    for word in words:
        if value == word:
            return word
    raise ValueError(f"an unknown word, {clean_text(value, 20)}")


def as_list(value: object, most: int | None = None) -> list[Any]:
    """Return `value`, a list of at most `most` items. Raises ValueError; a text is no list of its characters."""
    if not isinstance(value, _LISTS):
        raise ValueError(f"{_describe(value)} in place of a list")
    if most is not None and len(value) > most:
        raise ValueError(f"a list of {len(value)} items")
    return list(value)


def as_time(value: object) -> datetime:
    """Return the time in `value`, an ISO 8601 text with a time zone. Raises ValueError."""
    time = datetime.fromisoformat(as_text(value, 40))
    if time.tzinfo is None or time.year not in _YEARS:
        raise ValueError("a time without its time zone, or of an impossible year")
    return time


def _describe(value: object) -> str:
    """Return a few words for an error message. Huge values are not written out."""
    if value is None:
        return "nothing"
    if isinstance(value, bool | int | float | str):
        kind = "truth value" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
        short = value if not isinstance(value, int) or -(10**15) < value < 10**15 else "…"
        return f"the {kind} {clean_text(short, 20)}"
    return "a list or a record"
