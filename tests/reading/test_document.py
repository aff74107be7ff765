"""A reading survives the disk, and a document changed by hand is refused."""

import json
from typing import Any

import pytest

from ratui.errors import StoreError
from ratui.reading import Field, Found, Graded, enter, from_document, normal, start, to_document, undo
from ratui.scheme import load_scheme

SCHEME = load_scheme("mtss-hands")


def document() -> dict[str, Any]:
    r = start(SCHEME, "C-1", "anna", SCHEME.sites)
    r = normal(r, "L.PIP2", key="n")
    r = enter(r, Field("L.MCP2", "ERO", 0), Found("ankylosis"), key="a")
    r = undo(enter(r, Field("L.MCP2", "ERO", 1), Found("collapse"), key="c"), key="u")
    return json.loads(json.dumps(to_document(r)))  # type: ignore[no-any-return]


def test_round_trip_through_json() -> None:
    reading = from_document(SCHEME, document())
    assert to_document(reading) == document()
    assert reading.score(Field("L.MCP2", "JSN", 0)) == 4
    assert [entry.kind for entry in reading.log] == ["normal", "enter", "enter", "undo"]


def test_a_typed_over_score_of_a_fixed_field_is_noticed() -> None:
    changed = document()
    for record in changed["fields"]:
        if record.get("finding") and record["scale"] == "JSN":
            del record["finding"]
            record["grade"] = 1
    with pytest.raises(StoreError, match="ankylosis in some of its fields only"):
        from_document(SCHEME, changed, "anna/C-1.json")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.pop("meta"),
        lambda d: d["meta"].update(format=99),
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
        from_document(SCHEME, changed, "anna/C-1.json")


def test_the_grade_is_stored_not_the_score() -> None:
    """Another convention for a finding can be applied later: its score is nowhere in the file."""
    records = [record for record in document()["fields"] if record["site"] == "L.MCP2"]
    assert all("grade" not in record for record in records)
    assert Graded(5) not in from_document(SCHEME, document()).values.values()
