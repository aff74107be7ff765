"""Joints to review before signing: selection, order and reasons."""

import pytest

from ratui.reading import (
    DisplayRecord,
    Entry,
    Field,
    FindingEntry,
    GradeEntry,
    NotAssessableEntry,
    Reading,
    ReviewReason,
    enter,
    enter_normal,
    find_field_to_change,
    joint_state,
    list_review_items,
    set_note,
    start_reading,
    toggle_flag,
    undo,
)
from ratui.scheme import load_scheme
from tests.tui.readings import fill_reading

SCHEME = load_scheme("fingers")


def reading(*, blinded: bool = False) -> Reading:
    return start_reading(SCHEME, "C-1", "anna", SCHEME.sites, blinded=blinded)


def put(r: Reading, site: str, scale: str, *grades: int, confirmed: bool = False) -> Reading:
    for time, grade in enumerate(grades):
        r = enter(r, Field(f"L.{site}", scale, time), GradeEntry(grade), confirmed=confirmed)
    return r


def reasons(r: Reading, site: str) -> tuple[ReviewReason, ...]:
    return next((look.reasons for look in list_review_items(r) if look.site == f"L.{site}"), ())


def test_a_normal_joint_needs_no_review() -> None:
    r = reading()
    for site in r.sites:
        r = enter_normal(r, site.key)
    assert list_review_items(r) == ()


def test_every_change_and_every_high_grade_is_reviewed() -> None:
    r = put(put(reading(), "MCP2", "ERO", 1, 2), "MCP3", "JSN", 3, 3)
    assert reasons(r, "MCP2") == (ReviewReason("change", "ERO", 1),)
    assert reasons(r, "MCP3") == (ReviewReason("high", "JSN", 3),)
    assert reasons(put(r, "MCP4", "ERO", 2, 2), "MCP4") == ()


def test_jumps_and_falls_say_whether_they_were_confirmed() -> None:
    r = put(put(reading(), "MCP2", "ERO", 0, 4, confirmed=True), "MCP3", "ERO", 2, 1)
    assert reasons(r, "MCP2")[0] == ReviewReason("jump", "ERO", 4, is_confirmed=True)
    assert reasons(r, "MCP3") == (ReviewReason("fall", "ERO", 1),)


def displayed(seconds: float = 2.0, *greys: str) -> DisplayRecord:
    return DisplayRecord(("a", "b"), "sixel", 6.0, True, greys, seconds, "terminal")


def test_an_answer_after_a_brief_display_is_reviewed() -> None:
    brief = enter_normal(reading(), "L.MCP2", display=displayed(0.69))
    assert reasons(brief, "MCP2") == (ReviewReason("brief"),)
    assert reasons(enter_normal(reading(), "L.MCP2", display=displayed(0.71)), "MCP2") == ()
    again = enter_normal(undo(brief), "L.MCP2", display=displayed(3.0))
    assert reasons(again, "MCP2") == (), "the answer that counts was given after a long display"


def test_an_answer_with_changed_grey_levels_is_reviewed() -> None:
    r = enter_normal(reading(), "L.MCP2", display=displayed(2.0, "invert"))
    assert reasons(r, "MCP2") == (ReviewReason("greys"),)


def test_undo_restores_the_confirmation_of_an_entry() -> None:
    r = put(reading(), "MCP2", "ERO", 0, 4, confirmed=True)
    again = undo(enter(r, Field("L.MCP2", "ERO", 1), GradeEntry(1)))
    assert reasons(again, "MCP2") == reasons(r, "MCP2")
    later = enter(enter(again, Field("L.MCP2", "ERO", 1), GradeEntry(1)), Field("L.MCP2", "ERO", 1), GradeEntry(4))
    assert not reasons(later, "MCP2")[0].is_confirmed  # entered again, this time without confirmation


def test_findings_flags_notes_and_what_one_film_lacks() -> None:
    r = enter(reading(), Field("L.MCP2", "ERO", 0), FindingEntry("ankylosis"))
    r = enter(r, Field("L.MCP2", "ERO", 1), FindingEntry("ankylosis"))
    r = set_note(toggle_flag(r, "L.MCP3"), "L.MCP4", "margin?")
    r = enter(put(r, "MCP5", "ERO", 1), Field("L.MCP5", "ERO", 1), NotAssessableEntry("unreadable"))
    assert reasons(r, "MCP2") == (ReviewReason("finding", finding_id="ankylosis"),)
    assert reasons(r, "MCP3") == (ReviewReason("flag"),)
    assert reasons(r, "MCP4") == (ReviewReason("note"),)
    assert reasons(r, "MCP5") == (ReviewReason("one_sided", places=(1,)),)


def test_absent_on_both_films_or_open_is_not_one_sided() -> None:
    r = enter(reading(), Field("L.MCP5", "ERO", 0), NotAssessableEntry("unreadable"))
    assert reasons(r, "MCP5") == ()
    assert reasons(enter(r, Field("L.MCP5", "ERO", 1), NotAssessableEntry("unreadable")), "MCP5") == ()


def test_the_worst_comes_first() -> None:
    r = put(reading(), "PIP2", "ERO", 3, 3)
    r = put(r, "PIP3", "ERO", 1, 2)
    r = put(r, "PIP4", "ERO", 1, 3)
    r = put(r, "MCP1", "ERO", 0, 3)
    r = put(r, "MCP2", "ERO", 0, 5)
    r = put(r, "MCP3", "ERO", 3, 2)
    r = toggle_flag(r, "L.MCP5")
    order = [look.site for look in list_review_items(r)]
    assert order == ["L.MCP5", "L.MCP3", "L.MCP2", "L.MCP1", "L.PIP4", "L.PIP3", "L.PIP2"]


def test_a_blinded_reader_sees_no_fall_and_no_direction() -> None:
    for grades in ((1, 2), (2, 1)):
        assert reasons(put(reading(blinded=True), "MCP2", "ERO", *grades), "MCP2") == (
            ReviewReason("change", "ERO", 1),
        )
    for grades in ((0, 4), (4, 0)):
        assert reasons(put(reading(blinded=True), "MCP2", "ERO", *grades), "MCP2")[0] == ReviewReason("jump", "ERO", 4)


WORST_FIRST: dict[Field, Entry] = {
    Field("L.PIP2", "ERO", 1): GradeEntry(1),  # a change
    Field("R.MCP2", "ERO", 0): GradeEntry(2),  # a fall
    Field("L.MCP4", "ERO", 1): GradeEntry(4),  # a jump
}
READING = fill_reading(reading(), WORST_FIRST)


def test_a_kept_joint_returns_only_after_a_change() -> None:
    reviewed = {"L.MCP4": joint_state(READING, "L.MCP4")}
    assert [item.site for item in list_review_items(READING, reviewed)] == ["R.MCP2", "L.PIP2"]
    changed = enter(READING, Field("L.MCP4", "JSN", 1), GradeEntry(3))
    assert "L.MCP4" in [item.site for item in list_review_items(changed, reviewed)]


@pytest.mark.parametrize(
    ("special", "site", "field"),
    [
        ({Field("L.MCP4", "JSN", 1): GradeEntry(2)}, "L.MCP4", Field("L.MCP4", "JSN", 1)),
        ({Field("L.MCP4", "ERO", 0): GradeEntry(3)}, "L.MCP4", Field("L.MCP4", "ERO", 1)),
        (
            {Field("L.MCP4", "JSN", time): GradeEntry(3) for time in (0, 1)},
            "L.MCP4",
            Field("L.MCP4", "JSN", 0),
        ),
        (
            {Field("L.MCP4", "ERO", 0): NotAssessableEntry("unreadable")},
            "L.MCP4",
            Field("L.MCP4", "ERO", 0),
        ),
    ],
)
def test_the_cursor_starts_where_a_change_is_likely(special: dict[Field, Entry], site: str, field: Field) -> None:
    r = fill_reading(reading(), special)
    (item,) = list_review_items(r)
    assert item.site == site
    assert find_field_to_change(r, item) == field
