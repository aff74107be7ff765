"""The key bar: rows that fit the screen, and the key that is never left out."""

import pytest
from rich.cells import cell_len

from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.actions import Keymap
from ratui.tui.input.key_rows import KeyItem, drop_to_fit, format_key_rows, shorten_to_fit

ITEMS = [KeyItem("Enter", "open"), KeyItem("", "type to filter"), KeyItem("?", "help"), KeyItem("Ctrl-Q", "quit")]
WIDE = 80


def lines(rows: list[list[KeyItem]]) -> list[str]:
    return format_key_rows(*rows).plain.split("\n")


def test_all_keys_stand_in_one_row_that_is_wide_enough() -> None:
    expected = [" Enter open   type to filter   ? help   Ctrl-Q quit"]
    assert lines(drop_to_fit(ITEMS, WIDE, keep="?")) == expected
    assert lines(shorten_to_fit(ITEMS, WIDE)) == expected


@pytest.mark.parametrize("width", range(8, 60))
def test_the_help_stays_whatever_has_to_be_dropped(width: int) -> None:
    (row,) = drop_to_fit(ITEMS, width, keep="?")
    assert KeyItem("?", "help") in row
    assert cell_len(lines([row])[0]) <= width
    assert row == [item for item in ITEMS if item in row], "in their order"


def test_a_row_may_reach_the_edge_of_the_screen() -> None:
    width = cell_len(lines([ITEMS])[0])
    assert drop_to_fit(ITEMS, width, keep="?") == [ITEMS]
    assert drop_to_fit(ITEMS, width - 1, keep="?") == [ITEMS[:3]]
    assert shorten_to_fit(ITEMS, width) == [ITEMS]


@pytest.mark.parametrize("width", range(25, 60))
def test_labels_are_cut_so_that_all_keys_fit(width: int) -> None:
    (row,) = shorten_to_fit(ITEMS, width)
    assert [item.key for item in row] == [item.key for item in ITEMS]
    assert cell_len(lines([row])[0]) <= width


def test_the_longest_label_is_cut_first() -> None:
    assert lines(shorten_to_fit(ITEMS, 45)) == [" Enter open   type to…   ? help   Ctrl-Q quit"]


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("screen", ["contact", "evaluation"])
def test_80_columns_have_room_for_all_keys_of_a_screen(screen: str, language: str) -> None:
    t, keymap = Catalog(language), Keymap()
    items = [KeyItem(keymap.key_label(action.id), action.label(t)) for action in keymap.list_actions(screen)]
    items = [item for item in items if item.label]
    assert shorten_to_fit(items, WIDE) == [items]


def test_a_label_of_several_words_is_cut_between_them() -> None:
    items = [KeyItem("3", "less than 50 % left, or subluxation"), KeyItem("4", "ankylosis")]
    assert [lines(shorten_to_fit(items, width)) for width in (46, 39, 30)] == [
        [" 3 less than 50 % left, or…   4 ankylosis"],
        [" 3 less than 50 % left…   4 ankylosis"],
        [" 3 less than 50…   4 ankylosis"],
    ]


def test_a_japanese_label_is_cut_between_clauses() -> None:
    assert lines(shorten_to_fit([KeyItem("1", "10点中1：片側に小さなびらん"), ITEMS[2]], 24)) == [
        " 1 10点中1…   ? help"
    ]


def test_the_rows_are_as_many_as_asked_for() -> None:
    assert shorten_to_fit(ITEMS[:1], WIDE, 3) == [ITEMS[:1], [], []]
    assert drop_to_fit([], WIDE, keep="?", row_count=2) == [[], []]
