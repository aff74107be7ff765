"""A table with its title, as values: what the terminal, a page and a file all show, so that they say the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # whoever only counts cases doesn't wait for scipy
    from ratui.results.statistics import Estimate

__all__ = ["TextTable", "format_count", "format_estimate", "format_number"]


@dataclass(frozen=True)
class TextTable:
    """`rows` under `headers`, of which the first `text_columns` columns are words; `note` says how to read it."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[object]]
    text_columns: int = 1
    note: str = ""


def format_count(count: int, what: str) -> str:
    """``1 case``, ``2 cases``."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def format_number(value: float, digits: int = 2) -> str:
    """`value` with `digits` places, a dash where there is no figure."""
    if not math.isfinite(value):
        return "–"
    shown = f"{value:.{digits}f}"
    return shown.replace("-", "−") if float(shown) else f"{0:.{digits}f}"


def format_estimate(found: Estimate, digits: int = 2) -> str:
    """A figure with its interval."""
    if not math.isfinite(found.low):
        return format_number(found.value, digits)
    value, low, high = (format_number(number, digits) for number in (found.value, found.low, found.high))
    return f"{value} ({low} to {high})"
