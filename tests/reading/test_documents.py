"""A reading is restored from its document, and a document changed by hand is rejected."""

import json
from typing import Any

import pytest

from ratui.errors import StoreError
from ratui.reading import (
    DisplayRecord,
    Field,
    FindingEntry,
    GradeEntry,
    TerminalSize,
    enter,
    enter_normal,
    reading_from_document,
    reading_to_document,
    replay,
    set_note,
    start_reading,
    toggle_flag,
    undo,
)
from ratui.scheme import load_scheme

SCHEME = load_scheme("mtss-hands")


def document() -> dict[str, Any]:
    r = start_reading(SCHEME, "C-1", "anna", SCHEME.sites)
    r = enter_normal(r, "L.PIP2", key="n")
    r = enter(r, Field("L.MCP2", "ERO", 0), FindingEntry("ankylosis"), key="a")
    r = undo(enter(r, Field("L.MCP2", "ERO", 1), FindingEntry("collapse"), key="c"), key="u")
    r = set_note(toggle_flag(r, "L.MCP3", key="f"), "L.MCP2", "fused?")
    r = enter(
        enter(r, Field("L.MCP4", "ERO", 0), GradeEntry(0)), Field("L.MCP4", "ERO", 1), GradeEntry(4), confirmed=True
    )
    return json.loads(json.dumps(reading_to_document(r)))  # type: ignore[no-any-return]


def test_round_trip_through_json() -> None:
    reading = reading_from_document(SCHEME, document())
    assert reading_to_document(reading) == document()
    assert reading.score(Field("L.MCP2", "JSN", 0)) == 4
    assert [entry.kind for entry in reading.log] == [
        "normal",
        "enter",
        "enter",
        "undo",
        "flag",
        "note",
        "enter",
        "enter",
    ]
    assert reading.flags == {"L.MCP3"}
    assert reading.notes == {"L.MCP2": "fused?"}
    assert [entry.number for entry in reading.log if entry.is_confirmed] == [8]


def test_a_changed_score_of_a_fixed_field_is_detected() -> None:
    changed = document()
    for record in changed["fields"]:
        if record.get("finding") and record["scale"] == "JSN":
            del record["finding"]
            record["grade"] = 1
    with pytest.raises(StoreError, match="ankylosis in some of its fields only"):
        reading_from_document(SCHEME, changed, "anna/C-1.json")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("meta"),
        lambda d: d["meta"].update(format=99),
        lambda d: d["meta"].update(format="2"),
        lambda d: d["meta"].update(flags=["L.NOSE"]),
        lambda d: d["meta"].update(flags=[]),
        lambda d: d["meta"].update(notes={"L.MCP2": "another note"}),
        lambda d: d["meta"].update(notes={"L.MCP2": "two\nlines"}),
        lambda d: d["log"].pop(),
        lambda d: d["log"].pop(0),
        lambda d: d["log"].reverse(),
        lambda d: d["log"][3].update(undoes=1),
        lambda d: d["log"][3].update(undoes=None),
        lambda d: d["log"][0]["changes"][0].update(old={"grade": 3}),
        lambda d: d["log"][0]["changes"][0].update(new={"grade": 3}),
        lambda d: d["meta"].update(sites=["L.NOSE"]),
        lambda d: d["fields"].append({"site": "L.MCP9", "scale": "ERO", "time": 0, "grade": 1}),
        lambda d: d["fields"][0].update(grade=17),
        lambda d: d["log"][0].update(kind="exec"),
        lambda d: d["meta"].update(signed="2026-01-01T00:00:00+00:00"),
    ],
)
def test_damage_is_refused_with_the_place(spoil: Any) -> None:
    changed = document()
    spoil(changed)
    with pytest.raises(StoreError, match=r"anna/C-1\.json"):
        reading_from_document(SCHEME, changed, "anna/C-1.json")


def test_the_grade_is_stored_not_the_score() -> None:
    """Check that the file contains no score of a finding, so that another convention can be applied later."""
    records = [record for record in document()["fields"] if record["site"] == "L.MCP2"]
    assert all("grade" not in record for record in records)
    assert GradeEntry(5) not in reading_from_document(SCHEME, document()).values.values()


def as_format_3(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document of a reading with the order (0, 1) as format 3 had it: its times were equal to the positions."""
    del document["meta"]["positions"]
    document["meta"].update(format=3, order=[0, 1])
    return document


def of_format_1() -> dict[str, Any]:
    """Return a document of the first version: without flags, notes and confirmations."""
    r = enter(start_reading(SCHEME, "C-1", "anna", SCHEME.sites), Field("L.MCP2", "ERO", 0), GradeEntry(1), key="1")
    r = enter(r, Field("L.MCP2", "ERO", 0), GradeEntry(1), key="1")
    old = as_format_3(reading_to_document(r))
    old["meta"]["format"] = 1
    del old["meta"]["flags"], old["meta"]["notes"]
    # The first version could undo an entry without effect, which undo skips today.
    old["log"].append({**old["log"][1], "number": 3, "kind": "undo", "key": "u", "undoes": 2})
    for entry in old["log"]:
        del entry["site"], entry["confirmed"], entry["display"]
    return json.loads(json.dumps(old))  # type: ignore[no-any-return]


def test_a_document_of_format_1_is_read_and_written_as_the_newest() -> None:
    given = of_format_1()
    reading = reading_from_document(SCHEME, given)
    assert given == of_format_1(), "the migration changed what it was given"
    assert (reading.flags, reading.notes) == (frozenset(), {})
    assert reading.score(Field("L.MCP2", "ERO", 0)) == 1
    assert undo(reading).values == {}
    assert reading_to_document(reading)["meta"]["format"] == 4
    assert reading_from_document(SCHEME, reading_to_document(reading)) == reading


def test_a_document_of_format_2_is_read_and_written_as_the_newest() -> None:
    old = as_format_3(document())
    old["meta"]["format"] = 2
    for entry in old["log"]:
        del entry["display"]
    reading = reading_from_document(SCHEME, old)
    assert all(entry.display is None for entry in reading.log)
    assert reading_from_document(SCHEME, reading_to_document(reading)) == reading


def test_the_display_of_an_entry_is_stored() -> None:
    display = DisplayRecord(("ab12", "cd34"), "sixel", 6.25, True, ("invert",), 0.731, "terminal")
    reading = start_reading(SCHEME, "C-1", "anna", SCHEME.sites)
    reading = enter(reading, Field("L.MCP2", "ERO", 0), GradeEntry(1), display=display)
    document = json.loads(json.dumps(reading_to_document(reading)))
    read = reading_from_document(SCHEME, document)
    assert read == reading
    assert read.log[-1].display == display
    # It has no size of the terminal, so that it is as earlier versions wrote it.
    assert document["meta"]["format"] == 4
    assert "terminal" not in document["log"][0]["display"]


def test_the_size_of_the_terminal_is_stored_from_format_6_on() -> None:
    reading = start_reading(SCHEME, "C-1", "anna", SCHEME.sites)
    for site, size in (("L.MCP2", None), ("L.MCP3", TerminalSize(120, 40, 10, 20))):
        display = DisplayRecord(("ab12",), "sixel", 6.25, True, (), 0.731, "terminal", size)
        reading = enter(reading, Field(site, "ERO", 0), GradeEntry(1), display=display)
    document = json.loads(json.dumps(reading_to_document(reading)))
    assert document["meta"]["format"] == 6
    assert document["meta"]["unfilmed"] == []
    assert document["log"][1]["display"]["terminal"] == [120, 40, 10, 20]
    assert reading_from_document(SCHEME, document) == reading
    for odd in (None, [120, 40, 10], [0, 40, 10, 20], [120.0, 40, 10, 20], [True, 40, 10, 20], [10**6, 40, 10, 20]):
        document["log"][1]["display"]["terminal"] = odd
        with pytest.raises(StoreError):
            reading_from_document(SCHEME, document)


def test_a_newer_document_is_refused_with_what_to_do() -> None:
    newer = document()
    newer["meta"]["format"] = 7
    with pytest.raises(StoreError, match=r"has format 7, this version reads up to 6\. Update ratui"):
        reading_from_document(SCHEME, newer, "anna/C-1.json")


def test_the_log_alone_leads_to_the_fields() -> None:
    reading = reading_from_document(SCHEME, document())
    replayed = replay(reading.log)
    assert (replayed.values, replayed.flags, replayed.notes) == (reading.values, reading.flags, reading.notes)
    assert replayed.contradiction == ""
