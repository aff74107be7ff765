"""Unlikely entries that need a confirmation."""

import pytest

from ratui.errors import EntryError
from ratui.reading import (
    Entry,
    Field,
    FindingEntry,
    GradeEntry,
    NotAssessableEntry,
    Reading,
    UnlikelyEntry,
    enter,
    enter_normal,
    find_unlikely,
    find_unlikely_normal,
    start_reading,
    undo,
)
from ratui.scheme import load_scheme

SCHEME = load_scheme("fingers")
ANKYLOSIS, SUBLUXATION = FindingEntry("ankylosis"), FindingEntry("subluxation")


def at(scale: str, time: int) -> Field:
    return Field("L.MCP2", scale, time)


def reading_with(values: dict[Field, Entry], *, blinded: bool = False) -> Reading:
    r = start_reading(SCHEME, "C-1", "anna", SCHEME.sites, blinded=blinded)
    for field, entry in values.items():
        r = enter(r, field, entry)
    return r


def unlikely(
    before: dict[Field, Entry], field: Field, entry: Entry, *, blinded: bool = False
) -> tuple[str, int] | None:
    found = find_unlikely(reading_with(before, blinded=blinded), field, entry)
    return (found.kind, found.size) if found else None


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        (0, 2, None),
        (0, 3, ("jump", 3)),
        (1, 5, ("jump", 4)),
        (2, 2, None),
        (2, 1, None),
        (2, 0, ("fall", 2)),
        (5, 0, ("fall", 5)),
    ],
)
def test_a_jump_or_a_fall_needs_a_confirmation_in_either_order_of_entry(
    earlier: int, later: int, expected: tuple[str, int] | None
) -> None:
    assert unlikely({at("ERO", 0): GradeEntry(earlier)}, at("ERO", 1), GradeEntry(later)) == expected
    assert unlikely({at("ERO", 1): GradeEntry(later)}, at("ERO", 0), GradeEntry(earlier)) == expected


@pytest.mark.parametrize(("one", "other", "expected"), [(0, 3, ("jump", 3)), (2, 1, None), (1, 2, None)])
def test_a_blinded_reader_is_asked_the_same_either_way(one: int, other: int, expected: tuple[str, int] | None) -> None:
    assert unlikely({at("ERO", 0): GradeEntry(one)}, at("ERO", 1), GradeEntry(other), blinded=True) == expected
    assert unlikely({at("ERO", 0): GradeEntry(other)}, at("ERO", 1), GradeEntry(one), blinded=True) == expected


def test_a_finding_counts_by_the_scores_that_it_sets_on_every_scale() -> None:
    before: dict[Field, Entry] = {at("JSN", 0): GradeEntry(1), at("ERO", 0): GradeEntry(3)}
    found = find_unlikely(reading_with(before), at("ERO", 1), ANKYLOSIS)
    assert found == UnlikelyEntry("jump", 3, at("JSN", 1), at("JSN", 0))  # ERO 3 → 5 is no jump, JSN 1 → 4 is
    assert unlikely({at("JSN", 0): GradeEntry(4)}, at("ERO", 1), SUBLUXATION) is None  # JSN 4 → 3 falls by one grade


def test_a_field_reopened_by_a_lasting_finding_is_not_compared() -> None:
    """Enter ankylosis late for the earlier film: the later grade is opened again, so there is no fall."""
    assert unlikely({at("ERO", 1): GradeEntry(1)}, at("ERO", 0), ANKYLOSIS) is None


def test_a_field_without_a_score_needs_no_confirmation() -> None:
    assert unlikely({at("ERO", 0): GradeEntry(5)}, at("ERO", 1), NotAssessableEntry("replaced")) is None
    assert unlikely({at("ERO", 0): NotAssessableEntry("unreadable")}, at("ERO", 1), GradeEntry(5)) is None
    assert unlikely({}, at("ERO", 1), GradeEntry(5)) is None


def test_an_existing_entry_needs_no_confirmation() -> None:
    before: dict[Field, Entry] = {at("ERO", 0): GradeEntry(0), at("ERO", 1): GradeEntry(5)}
    assert unlikely(before, at("ERO", 1), GradeEntry(5)) is None
    assert unlikely(before, at("ERO", 1), GradeEntry(4)) == ("jump", 4)


def test_a_rejected_entry_needs_no_confirmation() -> None:
    assert unlikely({at("ERO", 0): GradeEntry(0)}, at("ERO", 1), GradeEntry(9)) is None
    with pytest.raises(EntryError):
        find_unlikely(reading_with({}), Field("L.NOSE", "ERO", 0), GradeEntry(0))


def test_normal_needs_a_confirmation_where_it_is_a_fall() -> None:
    r = reading_with({at("ERO", 0): GradeEntry(2)})
    found = find_unlikely_normal(r, "L.MCP2")
    assert found == UnlikelyEntry("fall", 2, at("ERO", 1), at("ERO", 0))
    assert enter_normal(r, "L.MCP2", confirmed=True).log[-1].is_confirmed
    assert find_unlikely_normal(reading_with({}), "L.MCP2") is None
    assert find_unlikely_normal(reading_with({at("ERO", 0): ANKYLOSIS}), "L.MCP2") is None  # it is impossible


def test_the_log_records_confirmations_only() -> None:
    r = reading_with({at("ERO", 0): GradeEntry(0)})
    assert enter(r, at("ERO", 1), GradeEntry(4), confirmed=True).log[-1].is_confirmed
    assert not enter(r, at("ERO", 1), GradeEntry(4)).log[-1].is_confirmed
    assert not enter(r, at("ERO", 1), GradeEntry(1), confirmed=True).log[-1].is_confirmed
    assert undo(enter(r, at("ERO", 1), GradeEntry(4), confirmed=True)).values == r.values
