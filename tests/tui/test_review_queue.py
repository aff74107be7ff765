"""The queue of joints to review, and the first active field at a joint, without a screen."""

import pytest

from ratui.reading import Entry, Field, GradeEntry, NotAssessableEntry, enter, review_items, start_reading
from ratui.scheme import load_scheme
from ratui.tui.entry.review_queue import ReviewQueue, find_field_to_change
from tests.tui.readings import fill_reading

SCHEME = load_scheme("fingers")
WORST_FIRST: dict[Field, Entry] = {
    Field("L.PIP2", "ERO", 1): GradeEntry(1),  # a change
    Field("R.MCP2", "ERO", 0): GradeEntry(2),  # a fall
    Field("L.MCP4", "ERO", 1): GradeEntry(4),  # a jump
}
READING = fill_reading(start_reading(SCHEME, "C", "anna", SCHEME.sites), WORST_FIRST)


def test_a_kept_joint_returns_only_after_a_change() -> None:
    review_queue = ReviewQueue()
    review_queue.mark_reviewed(READING, "L.MCP4")
    assert [item.site for item in review_queue.pending(READING)] == ["R.MCP2", "L.PIP2"]
    changed = enter(READING, Field("L.MCP4", "JSN", 1), GradeEntry(3))
    assert "L.MCP4" in [item.site for item in review_queue.pending(changed)]


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
    reading = fill_reading(start_reading(SCHEME, "C", "anna", SCHEME.sites), special)
    (item,) = review_items(reading)
    assert item.site == site
    assert find_field_to_change(reading, item) == field
