"""A table with its title, as values: what the terminal, a page and a file all show, so that they say the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # whoever only counts cases doesn't wait for scipy
    from ratui.results.statistics import Estimate

__all__ = ["Sheet", "counted", "interval", "number"]


@dataclass(frozen=True)
class Sheet:
    """`rows` under `heads`, of which the first `words` columns are words; `note` says how to read it."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[object]]
    words: int = 1
    note: str = ""


def counted(count: int, what: str) -> str:
    """``1 case``, ``2 cases``."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def number(value: float, digits: int = 2) -> str:
    """`value` with `digits` places, a dash where there is no figure."""
    if not math.isfinite(value):
        return "–"
    shown = f"{value:.{digits}f}"
    return shown.replace("-", "−") if float(shown) else f"{0:.{digits}f}"


def interval(found: Estimate, digits: int = 2) -> str:
    """A figure with its interval."""
    if not math.isfinite(found.low):
        return number(found.value, digits)
    return f"{number(found.value, digits)} ({number(found.low, digits)} to {number(found.high, digits)})"
