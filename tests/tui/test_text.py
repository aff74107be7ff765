"""The texts of the screens."""

import pytest

from ratui.errors import SchemeError
from ratui.reading import Field, FindingEntry, GradeEntry, Slot, apply_regions, enter, list_options, start_reading
from ratui.scheme import MAX_GRADES, load_scheme, parse_scheme
from ratui.tui.entry import text
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.actions import ACTIONS, Keymap, key_for_entry, map_keys_to_entries, normalize_key
from ratui.tui.input.key_rows import KeyItem
from tests.strategies import TINY_TOML

SCHEME = load_scheme("mtss")
T = Catalog("en")


def test_the_keys_fit_on_three_lines() -> None:
    reading = start_reading(SCHEME, "C", "anna", SCHEME.sites)
    labels = {"n": "all normal", "u": "undo", "z": "zoom", "/": "go to", "o": "overview", "?": "help"}
    commands = [KeyItem(*item) for item in labels.items()]
    for width in (60, 80, 120):
        for field in reading.fields:
            options = list_options(reading, field)
            keys = text.format_option_keys(
                T, SCHEME, options, commands, width, keymap=Keymap(), reasons_key="x", row_count=3
            )
            lines = keys.plain.split("\n")
            assert len(lines) == 3
            assert all(len(line) <= width for line in lines)
            assert all(f" {key} " in lines[0] or lines[0].endswith(key) for key in "012")


def test_grade_ten_of_a_foot_has_a_key_of_its_own() -> None:
    reading = start_reading(SCHEME, "C", "anna", SCHEME.sites)
    keys = map_keys_to_entries(SCHEME, list_options(reading, Field("L.MTP1", "ERO", 0)))
    assert keys["t"] == GradeEntry(10)
    assert keys["9"] == GradeEntry(9)


def test_every_grade_that_a_scheme_may_have_has_a_key_of_its_own() -> None:
    keys = [key_for_entry(SCHEME, GradeEntry(grade)) for grade in range(MAX_GRADES)]
    assert len(set(keys)) == MAX_GRADES


@pytest.mark.parametrize("name", ["fingers", "mtss-hands", "mtss"])
def test_no_scheme_key_is_also_a_command(name: str) -> None:
    assert Keymap(scheme=load_scheme(name)).list_actions("scoring")


def test_a_scheme_whose_key_is_taken_is_refused() -> None:
    scheme = parse_scheme(TINY_TOML.replace('key = "a"', 'key = "u"', 1), "x.toml")
    with pytest.raises(SchemeError, match="'u' of ankylosis"):
        Keymap(scheme=scheme)


def test_the_keys_of_grades_ten_and_eleven_are_free_where_no_grade_is_that_high() -> None:
    Keymap(scheme=parse_scheme(TINY_TOML.replace('key = "a"', 'key = "t"', 1), "x.toml"))
    with pytest.raises(SchemeError, match="'t' of ankylosis"):
        Keymap(scheme=parse_scheme(SCHEME.toml_text.replace('key = "a"', 'key = "t"', 1), "x.toml"))


def test_every_key_of_a_screen_is_there_once() -> None:
    pairs = [(action.screen, action.key) for action in ACTIONS]
    assert len(pairs) == len(set(pairs))


def test_a_finding_stands_beside_its_score() -> None:
    reading = start_reading(SCHEME, "C", "anna", SCHEME.sites)
    field = Field("L.MCP2", "ERO", 0)
    reading = enter(reading, field, FindingEntry("ankylosis"))
    assert text.format_field(T, reading, field) == "5 ankylosis"
    last = text.format_last_entry(T, reading, reading.log[-1])
    assert last == "LEFT MCP2 ERO earlier: · → ankylosis and 1 more"


def test_an_answer_that_follows_from_the_regions_is_not_the_last_entry() -> None:
    outside = apply_regions(start_reading(SCHEME, "C", "anna", SCHEME.sites), frozenset({Slot("L.MCP2", 0)}))
    assert outside.values
    assert text.format_last_entry(T, outside, outside.log[-1]) == ""


def test_the_last_entry_names_its_film_but_not_the_order_in_a_blinded_study() -> None:
    field = Field("L.MCP2", "ERO", 1)
    plain = enter(start_reading(SCHEME, "C", "anna", SCHEME.sites), field, GradeEntry(2))
    assert text.format_last_entry(T, plain, plain.log[-1]) == "LEFT MCP2 ERO later: · → 2"
    for order, film in (((0, 1), "right film"), ((1, 0), "left film")):
        start = start_reading(SCHEME, "C", "anna", SCHEME.sites, blinded=True, order=order)
        blinded = enter(start, field, GradeEntry(2))
        assert text.format_last_entry(T, blinded, blinded.log[-1]) == f"LEFT MCP2 ERO {film}: · → 2"


def test_blinded_titles_are_arrows() -> None:
    assert [text.format_time_point(T, (1, 0), place, True, 400) for place in (0, 1)] == ["◀", "▶"]
    assert text.format_time_point(T, (0, 1), 1, False, 426) == "later · +14 months"


def test_keys_of_input_methods_are_read_as_plain() -> None:
    assert normalize_key("\uff11", "fullwidth_digit_one") == "1"
    assert normalize_key("\r", "enter") == "enter"
    assert normalize_key(None, "left") == "left"
