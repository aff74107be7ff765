"""The widths at which the scoring screen changes its layout. The reading test has the same, so that films are as large."""

from __future__ import annotations

__all__ = ["MAP_FROM", "count_key_rows"]

MAP_FROM = 140
"""The map is shown on screens of at least so many columns; on smaller ones the films need the room."""
_TWO_ROWS_FROM = 160
"""Screens of at least so many columns list the keys in two rows instead of four."""


def count_key_rows(width: int) -> int:
    """Return the number of rows that list the keys on a screen of `width` columns."""
    return 2 if width >= _TWO_ROWS_FROM else 4
