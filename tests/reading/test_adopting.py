"""What several readers entered alike, taken over before another begins."""

import pytest

from ratui.errors import EntryRefused
from ratui.reading import (
    Entry,
    Field,
    Found,
    Graded,
    Slot,
    adopt,
    apply_regions,
    enter,
    from_document,
    history_problems,
    problems,
    start,
    to_document,
    undo,
    undoable,
)
from ratui.scheme import load_scheme

FINGERS = load_scheme("fingers")
EMPTY = start(FINGERS, "C", "consensus", FINGERS.sites)
ENTRIES: dict[Field, Entry] = {Field("L.MCP2", "ERO", 0): Graded(1), Field("L.MCP2", "ERO", 1): Graded(2)}


def test_it_is_one_entry_of_the_log_and_survives_the_disk() -> None:
    reading = adopt(EMPTY, ENTRIES)
    assert dict(reading.values) == ENTRIES
    assert [entry.kind for entry in reading.log] == ["adopt"]
    assert not problems(reading)
    assert not history_problems(reading)
    assert from_document(FINGERS, to_document(reading)) == reading


def test_undo_passes_over_it() -> None:
    reading = adopt(EMPTY, ENTRIES)
    assert undoable(reading) is None
    reading = enter(reading, Field("L.PIP2", "ERO", 0), Graded(3))
    assert dict(undo(reading).values) == ENTRIES


def test_what_was_entered_stays() -> None:
    reading = enter(EMPTY, Field("L.MCP2", "ERO", 0), Graded(4))
    assert adopt(reading, ENTRIES).values[Field("L.MCP2", "ERO", 0)] == Graded(4)


def test_a_finding_brings_what_follows_from_it() -> None:
    both: dict[Field, Entry] = {Field("L.MCP2", "ERO", time): Found("ankylosis") for time in (0, 1)}
    reading = adopt(EMPTY, both)
    assert reading.values[Field("L.MCP2", "JSN", 1)] == Found("ankylosis")
    assert not problems(reading)


def test_nothing_is_taken_over_that_no_key_could_enter() -> None:
    with pytest.raises(EntryRefused):
        adopt(EMPTY, {Field("L.MCP2", "ERO", 0): Graded(9)})
    with pytest.raises(EntryRefused):
        adopt(EMPTY, {Field("L.MCP2", "ERO", 0): Found("ankylosis"), Field("L.MCP2", "ERO", 1): Graded(0)})
    absent = apply_regions(EMPTY, [Slot("L.MCP2", 0)])
    assert adopt(absent, ENTRIES).score(Field("L.MCP2", "ERO", 0)) is None


def test_nothing_to_take_over_leaves_no_trace() -> None:
    assert adopt(EMPTY, {}) is EMPTY
