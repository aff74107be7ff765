"""Tables as plain values, which the terminal, HTML pages and files render alike."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # an import at run time would load scipy, which takes long and which most commands do not need
    from ratui.results.bootstrap import Estimate

__all__ = ["TextTable", "format_count", "format_estimate", "format_number", "protect_id", "protect_text", "replace_nan"]


@dataclass(frozen=True)
class TextTable:
    """A table with a title and a note.

    The first `text_columns` columns contain text, the others numbers. `note` explains how to read the table.
    """

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[object]]
    text_columns: int = 1
    note: str = ""


_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_MISREAD = re.compile(
    r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|n/?an?|null|none|true|false|[+-]?inf(inity)?|\d+[-/.:]\d+([-/.:]\d+)?"
    rf"|{_MONTH}[-. ]?\d+|\d+[-. ]?{_MONTH}|[=+@_-].*",
    re.IGNORECASE,
)
"""Texts that a spreadsheet or pandas would read as a number, a date, a missing value or a formula."""
_FORMULA = re.compile(r"[=@\t\r]|[+-](?!(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$)", re.IGNORECASE)
"""Beginning of a text that a spreadsheet would run as a formula. A number with its sign is none."""


def format_count(count: int, noun: str) -> str:
    """Return a count with its noun, for example ``1 case`` or ``2 cases``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def format_number(value: float, digits: int = 2) -> str:
    """Return `value` with `digits` decimal places; a dash if it is not finite."""
    if not math.isfinite(value):
        return "–"
    shown = f"{value:.{digits}f}"
    # A value that rounds to zero is printed without a minus sign.
    return shown.replace("-", "−") if float(shown) else f"{0:.{digits}f}"


def format_estimate(found: Estimate, digits: int = 2) -> str:
    """Format an estimate with its 95 % interval, for example ``0.85 (0.71 to 0.93)``.

    An estimate without an interval is formatted without the parentheses, one without a value as a dash.

    Parameters
    ----------
    found
        The estimate.
    digits
        Number of decimal places.
    """
    if not math.isfinite(found.low):
        return format_number(found.value, digits)
    value, low, high = (format_number(number, digits) for number in (found.value, found.low, found.high))
    return f"{value} ({low} to {high})"


def replace_nan(value: Any) -> Any:
    """Return `value`, made of plain values, with None in place of every number that is not finite."""
    if isinstance(value, dict):
        return {key: replace_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [replace_nan(each) for each in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def protect_text(value: object) -> object:
    """Return `value`, with an underscore in front if it is a text that a spreadsheet would run as a formula."""
    return f"_{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def protect_id(value: object) -> object:
    """Return an ID, with an underscore in front if a spreadsheet would change it, as it does with ``007`` or ``1e5``."""
    return f"_{value}" if isinstance(value, str) and _MISREAD.fullmatch(value) else protect_text(value)
