"""Conversion between the display of an entry and plain values of a document."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from ratui.reading.model import DisplayRecord, TerminalSize
from ratui.stored_values import as_flag, as_integer, as_list, as_number, as_text, as_word

__all__ = ["display_from_dict", "display_to_dict"]

_Acknowledgement: TypeAlias = Literal["terminal", "multiplexer", "nothing"]
_ACKNOWLEDGED_BY: tuple[_Acknowledgement, ...] = ("terminal", "multiplexer", "nothing")
_MOST_WORDS = 64  # films, and changes of the grey levels
_LONGEST_WORD = 200
"""Characters of a word that a cache may keep, so that no file makes the cache large."""
_MOST_CHARACTERS, _MOST_PIXELS = 100_000, 1000
"""Largest size of a terminal, and of a character."""


def display_to_dict(display: DisplayRecord | None) -> dict[str, Any] | None:
    """Return `display` as plain values; without ``terminal`` if its size is unknown, as earlier versions wrote it."""
    if display is None:
        return None
    values = {**display._asdict(), "films": list(display.films), "greys": list(display.greys)}
    if display.terminal is None:
        del values["terminal"]
    else:
        values["terminal"] = list(display.terminal)
    return values


def display_from_dict(raw: Mapping[str, Any] | None) -> DisplayRecord | None:
    """Return the display in `raw`, the result of `display_to_dict`.

    Raises LookupError, TypeError, ValueError or AttributeError for anything else.
    """
    if raw is None:
        return None
    films, protocol, is_sufficient, greys, acknowledged_by = _make_words(
        tuple(as_list(raw["films"], _MOST_WORDS)),
        raw["protocol"],
        raw["is_sufficient"],
        tuple(as_list(raw["greys"], _MOST_WORDS)),
        raw["acknowledged_by"],
    )
    return DisplayRecord(
        films,
        protocol,
        as_number(raw["pixels_per_mm"]),
        is_sufficient,
        greys,
        as_number(raw["seconds"]),
        acknowledged_by,
        _make_size(tuple(as_list(raw["terminal"], 4))) if "terminal" in raw else None,
    )


@lru_cache(1000, typed=True)  # a reading has most displays many times: they are checked once
def _make_words(
    films: tuple[object, ...], protocol: object, is_sufficient: object, greys: tuple[object, ...], acknowledged: object
) -> tuple[tuple[str, ...], str, bool, tuple[str, ...], _Acknowledgement]:
    return (
        tuple(as_text(film, _LONGEST_WORD) for film in films),
        as_text(protocol, _LONGEST_WORD),
        as_flag(is_sufficient),
        tuple(as_text(grey, _LONGEST_WORD) for grey in greys),
        as_word(acknowledged, _ACKNOWLEDGED_BY),
    )


def _make_size(values: tuple[object, ...]) -> TerminalSize:
    columns, rows, across, down = values
    return TerminalSize(
        as_integer(columns, 1, _MOST_CHARACTERS),
        as_integer(rows, 1, _MOST_CHARACTERS),
        as_integer(across, 1, _MOST_PIXELS),
        as_integer(down, 1, _MOST_PIXELS),
    )
