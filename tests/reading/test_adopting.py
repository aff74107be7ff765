"""Adoption: answers on which all readers agree are entered before another reader begins."""

import pytest

from ratui.errors import EntryError
from ratui.reading import (
    Entry,
    Field,
    FindingEntry,
    GradeEntry,
    Slot,
    adopt,
    apply_regions,
    enter,
    find_log_problems,
    find_problems,
    find_undoable,
    reading_from_document,
    reading_to_document,
    start_reading,
    undo,
)
from ratui.scheme import load_scheme

FINGERS = load_scheme("fingers")
EMPTY = start_reading(FINGERS, "C", "consensus", FINGERS.sites)
ENTRIES: dict[Field, Entry] = {Field("L.MCP2", "ERO", 0): GradeEntry(1), Field("L.MCP2", "ERO", 1): GradeEntry(2)}


def test_an_adoption_is_one_log_entry_and_is_stored() -> None:
    reading = adopt(EMPTY, ENTRIES)
    assert dict(reading.values) == ENTRIES
    assert [entry.kind for entry in reading.log] == ["adopt"]
    assert not find_problems(reading)
    assert not find_log_problems(reading)
    assert reading_from_document(FINGERS, reading_to_document(reading)) == reading


def test_undo_skips_an_adoption() -> None:
    reading = adopt(EMPTY, ENTRIES)
    assert find_undoable(reading) is None
    reading = enter(reading, Field("L.PIP2", "ERO", 0), GradeEntry(3))
    assert dict(undo(reading).values) == ENTRIES


def test_existing_entries_stay() -> None:
    reading = enter(EMPTY, Field("L.MCP2", "ERO", 0), GradeEntry(4))
    assert adopt(reading, ENTRIES).values[Field("L.MCP2", "ERO", 0)] == GradeEntry(4)


def test_an_adopted_finding_has_its_effects() -> None:
    both: dict[Field, Entry] = {Field("L.MCP2", "ERO", time): FindingEntry("ankylosis") for time in (0, 1)}
    reading = adopt(EMPTY, both)
    assert reading.values[Field("L.MCP2", "JSN", 1)] == FindingEntry("ankylosis")
    assert not find_problems(reading)


def test_only_answers_that_a_key_could_enter_are_adopted() -> None:
    with pytest.raises(EntryError):
        adopt(EMPTY, {Field("L.MCP2", "ERO", 0): GradeEntry(9)})
    with pytest.raises(EntryError):
        adopt(EMPTY, {Field("L.MCP2", "ERO", 0): FindingEntry("ankylosis"), Field("L.MCP2", "ERO", 1): GradeEntry(0)})
    absent = apply_regions(EMPTY, [Slot("L.MCP2", 0)])
    assert adopt(absent, ENTRIES).score(Field("L.MCP2", "ERO", 0)) is None


def test_an_empty_adoption_is_not_logged() -> None:
    assert adopt(EMPTY, {}) is EMPTY
