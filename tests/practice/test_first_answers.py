"""Only the answers count that were given before the right ones were shown."""

from ratui.practice.first_answers import find_first_scores
from ratui.reading import Field, GradeEntry, NotAssessableEntry, clear, enter, start_reading
from ratui.scheme import load_scheme

FIELDS = [Field("L.PIP2", scale, time) for scale in ("ERO", "JSN") for time in (0, 1)]
OTHER = Field("L.MCP2", "ERO", 0)


def test_changes_after_a_joint_was_filled_do_not_count() -> None:
    scheme = load_scheme("fingers")
    reading = start_reading(scheme, "C-1", "you", scheme.sites)
    reading = enter(reading, FIELDS[0], GradeEntry(3))
    reading = enter(reading, FIELDS[0], GradeEntry(1))  # before the answers are shown, so it counts
    for field in FIELDS[1:3]:
        reading = enter(reading, field, GradeEntry(2))
    assert not find_first_scores(reading)
    reading = enter(reading, OTHER, GradeEntry(5))  # a joint that is not filled
    reading = enter(reading, FIELDS[3], NotAssessableEntry("unreadable"))
    first = find_first_scores(reading)
    seen = enter(clear(reading, FIELDS[0]), FIELDS[0], GradeEntry(0))
    assert find_first_scores(seen) == first
    assert [first[field] for field in FIELDS] == [1.0, 2.0, 2.0, None]
    assert set(first) == set(FIELDS)
