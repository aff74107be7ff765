"""Texts of the rows at the bottom of a screen, which list its keys and what they do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from ratui.tui.i18n.catalog import Catalog
from ratui.tui.theme import KEY, PLAIN

__all__ = ["KeyItem", "drop_to_fit", "format_key_rows", "format_typing_keys", "shorten_to_fit"]

_GAP = 2
"""Number of spaces between two keys of a row."""
_BREAKS = (" ", "：", "、", "（")
"""Signs at which a label is cut."""
_LEFT_OUT = " ,:;："
"""Signs that do not stand before an ellipsis."""


class KeyItem(NamedTuple):
    """A key as it is printed, and the label behind it. Either may be empty."""

    key: str
    label: str


def format_key_rows(*rows: Sequence[KeyItem]) -> Text:
    """Return `rows` of keys as text, one line for each row."""
    text = Text(no_wrap=True)
    for number, row in enumerate(rows):
        text.append("\n" if number else "")
        for place, (key, label) in enumerate(row):
            text.append(" " * (_GAP if place else 0))
            if key:
                text.append(f" {key}", KEY)
            if label:
                text.append(f" {label}", PLAIN)
    return text


def format_typing_keys(t: Catalog, accept: str = "") -> Text:
    """Return the keys that end a line of text; `accept` is the label of Enter if it is not the usual one."""
    return format_key_rows([KeyItem("Enter", accept or t("text.line_accept")), KeyItem("Esc", t("text.line_cancel"))])


def shorten_to_fit(items: Sequence[KeyItem], width: int, row_count: int = 1) -> list[list[KeyItem]]:
    """Return `items` in exactly `row_count` rows of at most `width` cells.

    If they do not fit, all labels are cut to the longest length that does, between words or clauses where it can be.
    """
    longest = max((cell_len(label) for _, label in items), default=0)
    for limit in range(longest, -1, -1):
        rows = _break_rows([KeyItem(key, _shorten(label, limit)) for key, label in items], width)
        if len(rows) <= row_count:
            break
    return _pad_rows(rows, row_count)


def drop_to_fit(items: Sequence[KeyItem], width: int, *, keep: str, row_count: int = 1) -> list[list[KeyItem]]:
    """Return `items` in exactly `row_count` rows of at most `width` cells.

    If they do not fit, items are dropped from the end, but never the one whose key is `keep`.
    """
    kept = list(items)
    while len(rows := _break_rows(kept, width)) > row_count and len(kept) > 1:
        del kept[-2 if kept[-1].key == keep else -1]
    return _pad_rows(rows, row_count)


def _break_rows(items: Sequence[KeyItem], width: int) -> list[list[KeyItem]]:
    rows: list[list[KeyItem]] = []
    room = 0
    for item in items:
        needed = sum(cell_len(part) + 1 for part in item if part)
        if not rows or needed > room:
            rows.append([])
            room = width
        rows[-1].append(item)
        room -= needed + _GAP
    return rows


def _pad_rows(rows: list[list[KeyItem]], row_count: int) -> list[list[KeyItem]]:
    return rows[:row_count] + [[] for _ in range(row_count - len(rows))]


def _shorten(label: str, limit: int) -> str:
    """Return `label` in at most `limit` cells, cut between two words or clauses if the first one fits."""
    if cell_len(label) <= limit:
        return label
    if limit <= 0:
        return ""
    cut = set_cell_size(label, limit - 1).rstrip()  # a space stands for half of a wide character
    if not label.startswith(_BREAKS, len(cut)):
        cut = cut[: max(map(cut.rfind, _BREAKS))] if any(sign in cut for sign in _BREAKS) else cut
    return f"{cut.rstrip(_LEFT_OUT)}…"
