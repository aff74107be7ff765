"""Stored readings contain positions on the screen, and documents of formats 1 to 3 are read as they were."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratui import reading as rd
from ratui.errors import EntryError, StoreError
from ratui.reading import Field, Reading, Slot
from ratui.scheme import load_scheme
from tests.reading.spec import Spec

FINGERS = load_scheme("fingers")
SITES = FINGERS.sites[:4]
FIELDS = tuple(Field(site.key, scale, time) for site in SITES for scale in site.joint.scales for time in (0, 1))
ENTRIES = tuple(entry for entry in Spec(FINGERS, SITES[1]).vocabulary if "unheard" not in repr(entry))
SLOTS = tuple(Slot(site.key, time) for site in SITES for time in (0, 1))
AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
COMMANDS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.sampled_from(FIELDS), st.sampled_from(ENTRIES)),
        st.tuples(st.just("undo")),
        st.tuples(st.just("copy_entry"), st.sampled_from(FIELDS)),
        st.tuples(st.just("apply_regions"), st.sets(st.sampled_from(SLOTS), max_size=2)),
        st.tuples(st.just("toggle_flag"), st.sampled_from([site.key for site in SITES])),
    ),
    max_size=15,
)
ORDERS = st.sampled_from([(0, 1), (1, 0)])


def make(commands: list[tuple[Any, ...]], order: tuple[int, int], blinded: bool) -> Reading:
    """Return the reading after `commands`; one that the rules refuse is left out."""
    positions = (("film-a", "film-c"), ("film-b", "film-d"))
    reading = rd.start_reading(FINGERS, "C-1", "anna", SITES, order=order, blinded=blinded, positions=positions)
    for name, *arguments in commands:
        try:
            reading = getattr(rd, name)(reading, *arguments, timestamp=AT)
        except EntryError:
            continue
    return reading


def old_document(reading: Reading, number: int) -> dict[str, Any]:
    """Write `reading` as the versions with the formats 1 to 3 did, with time points and their order."""

    def entry(value: rd.Entry | None) -> dict[str, Any] | None:
        match value:
            case rd.GradeEntry(grade):
                return {"grade": grade}
            case rd.FindingEntry(finding):
                return {"finding": finding}
            case rd.NotAssessableEntry(reason):
                return {"reason": reason}
            case _:
                return None

    def place(field: Field) -> dict[str, Any]:
        return {"site": field.site, "scale": field.scale, "time": field.time}

    meta: dict[str, Any] = {
        "format": number,
        "scheme": reading.scheme.name,
        "case": reading.case,
        "rater": reading.rater,
        "sites": [site.key for site in reading.sites],
        "order": list(reading.order),
        "blinded": reading.is_blinded,
        "absent": [list(slot) for slot in sorted(reading.absent)],
        "signed": None,
    }
    log = []
    for each in reading.log:
        record = {
            "number": each.number,
            "at": each.timestamp.isoformat(timespec="milliseconds") if each.timestamp else None,
            "kind": each.kind,
            "key": each.key,
            "undoes": each.undone_number,
            "note": each.note,
            "changes": [
                {**place(change.field), "old": entry(change.old), "new": entry(change.new)} for change in each.changes
            ],
        }
        if number > 1:
            record |= {"site": each.site, "confirmed": each.is_confirmed}
        if number > 2:
            record["display"] = None
        log.append(record)
    if number > 1:
        meta |= {"flags": sorted(reading.flags), "notes": dict(reading.notes)}
    values = [(field, reading.values[field]) for field in reading.fields if field in reading.values]
    return {"meta": meta, "fields": [{**place(field), **(entry(value) or {})} for field, value in values], "log": log}


@given(commands=COMMANDS, order=ORDERS, blinded=st.booleans())
@settings(max_examples=150)
def test_positions_and_times_reverse_each_other(
    commands: list[tuple[Any, ...]], order: tuple[int, int], blinded: bool
) -> None:
    reading = make(commands, order, blinded)
    shown = rd.to_positions(reading)
    assert shown.order == (0, 1)
    assert rd.to_times(shown, order) == reading
    assert rd.to_positions(shown) == shown
    for position, time in enumerate(order):
        assert {(f.site, f.scale, value) for f, value in shown.values.items() if f.time == position} == {
            (f.site, f.scale, value) for f, value in reading.values.items() if f.time == time
        }
    assert shown.positions == reading.positions, "the films at each position are the same whatever a time is called"


@given(commands=COMMANDS, order=ORDERS)
@settings(max_examples=150)
def test_a_document_is_the_same_whichever_film_is_earlier(
    commands: list[tuple[Any, ...]], order: tuple[int, int]
) -> None:
    """Two raters press the same keys at the same films; for one of them the left film is the earlier one."""
    reading = make(commands, order, blinded=True)
    exchanged = rd.to_times(rd.to_positions(reading), (order[1], order[0]))
    document = rd.reading_to_document(reading)
    assert rd.reading_to_document(exchanged) == document
    assert "order" not in document["meta"]
    assert document["meta"]["positions"] == [["film-a", "film-c"], ["film-b", "film-d"]]
    assert rd.reading_from_document(FINGERS, document, order=order) == reading


@given(commands=COMMANDS, order=ORDERS, number=st.sampled_from([1, 2, 3]))
@settings(max_examples=200)
def test_documents_of_older_formats_are_read_as_before(
    commands: list[tuple[Any, ...]], order: tuple[int, int], number: int
) -> None:
    if number == 1:  # format 1 had no flags
        commands = [command for command in commands if command[0] != "toggle_flag"]
    reading = make(commands, order, blinded=True)
    before = old_document(reading, number)
    given_document = copy.deepcopy(before)
    # The order of the caller does not count: the document states its own.
    for other in ((0, 1), (1, 0)):
        read = rd.reading_from_document(FINGERS, given_document, order=other)
        assert rd.reading_from_document(FINGERS, rd.reading_to_document(read), order=order) == read
        assert (read.order, read.values, read.log) == (reading.order, reading.values, reading.log)
        assert (read.absent, read.flags, read.positions) == (reading.absent, reading.flags, ())
    assert given_document == before, "the document that was read was changed"
    # A rater's view has the same answers at the positions where the films stood.
    shown = rd.reading_from_document(FINGERS, given_document)
    assert shown.values == rd.to_positions(reading).values
    assert shown.order == (0, 1)


@pytest.mark.parametrize("order", [[0, 0], [0], [0, 2], [1, 0, 2], None])
def test_an_impossible_order_is_rejected(order: object) -> None:
    document = old_document(make([], (0, 1), True), 3)
    document["meta"]["order"] = order
    with pytest.raises(StoreError, match="this is not a reading"):
        rd.reading_from_document(FINGERS, document, order=(0, 1))


@pytest.mark.parametrize("positions", [[], [["a"]], [["a"], ["b"], ["c"]], None, 3])
def test_a_document_with_other_positions_than_the_case_is_rejected(positions: object) -> None:
    document = rd.reading_to_document(make([], (0, 1), True))
    document["meta"]["positions"] = positions
    with pytest.raises(StoreError, match="this is not a reading"):
        rd.reading_from_document(FINGERS, document, order=(0, 1))


def test_times_are_not_converted_twice() -> None:
    with pytest.raises(ValueError, match="contains time points already"):
        rd.to_times(make([], (1, 0), True), (1, 0))


def test_a_value_at_a_position_that_the_reading_lacks_is_rejected() -> None:
    """Position 2 does not exist, and must not be taken for the time point 2."""
    document = rd.reading_to_document(make([("enter", FIELDS[0], rd.GradeEntry(1))], (0, 1), True))
    document["fields"][0]["time"] = document["log"][0]["changes"][0]["time"] = 2
    with pytest.raises(StoreError, match="this is not a reading"):
        rd.reading_from_document(FINGERS, document, order=(1, 2))
