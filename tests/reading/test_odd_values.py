"""Documents with values of a wrong type, size or form are refused with a StoreError, never with another error."""

from __future__ import annotations

from typing import Any

import pytest

from ratui.errors import StoreError
from ratui.reading import reading_from_document, reading_from_log
from ratui.stored_values import as_flag, as_integer, as_list, as_number, as_text, as_time
from tests.reading.test_documents import SCHEME, document

ODD = (
    None,
    True,
    -1,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    "1",
    "\ud800",
    [],
    {},
    [[]],
    [{}],
    ["x"] * 3,
    {"a": {}},
)


def with_display() -> dict[str, Any]:
    """Return the document of a reading whose first entry records the display."""
    display = {"films": ["a"], "protocol": "sixel", "pixels_per_mm": 6.0, "is_sufficient": True, "greys": []}
    odd = document()
    odd["log"][0]["display"] = {**display, "seconds": 1.0, "acknowledged_by": "terminal"}
    return odd


PLACES = (
    ("meta",), ("meta", "case"), ("meta", "rater"), ("meta", "sites"), ("meta", "positions"), ("meta", "absent"),
    ("meta", "signed"), ("meta", "flags"), ("meta", "notes"), ("meta", "blinded"), ("fields",), ("fields", 0),
    ("fields", 0, "site"), ("fields", 0, "time"), ("log",), ("log", 0), ("log", 0, "number"), ("log", 0, "at"),
    ("log", 0, "kind"), ("log", 0, "changes"), ("log", 0, "confirmed"), ("log", 0, "note"),
)  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=lambda place: ".".join(map(str, place)))
def test_an_odd_value_anywhere_is_a_store_error(place: tuple[Any, ...]) -> None:
    refused = 0
    for value in ODD:
        odd = document()
        container: Any = odd
        for key in place[:-1]:
            container = container[key]
        container[place[-1]] = value
        for read in (reading_from_document, reading_from_log):
            try:
                read(SCHEME, odd)
            except StoreError:
                refused += 1
    assert refused >= len(ODD)


@pytest.mark.parametrize(
    ("convert", "values"),
    [
        (lambda value: as_integer(value, 0, 9), (True, 1.0, "1", -1, 10, 10**400, None, [1])),
        (as_number, (True, "1", float("nan"), float("inf"), 10**400, 1e300, None, [1])),
        (as_text, (1, None, ["a"], "\ud800", "a" * 20_000)),
        (as_flag, (0, 1, "true", None)),
        (as_list, ("ab", {"a": 1}, None, 3)),
        (as_time, (None, 0, "", "2026-01-01T00:00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:00:00-23:00")),
    ],
)
def test_values_of_another_kind_are_refused(convert: Any, values: tuple[object, ...]) -> None:
    for value in values:
        with pytest.raises(ValueError, match=r"place of|not|characters|between|zone|Invalid|surrogates"):
            convert(value)


def test_plain_values_are_returned() -> None:
    assert as_integer(9, 0, 9) == 9
    assert as_number(2) == 2.0
    assert as_text("ü") == "ü"
    assert as_list([1]) == [1]
    assert as_flag(False) is False
    assert as_time("2026-01-01T00:00:00+01:00").isoformat() == "2026-01-01T00:00:00+01:00"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("log", 0, "changes", 0, "site"), "L.PIP2" * 40),
        (("log", 0, "changes", 0, "scale"), "ERO" * 80),
        (("log", 0, "key"), "k" * 201),
        (("log", 0, "site"), "L" * 201),
        (("log", 0, "display", "films"), ["a"] * 65),
        (("log", 0, "display", "films"), ["a" * 201]),
        (("log", 0, "display", "greys"), ["a"] * 65),
        (("log", 0, "display", "greys"), ["a" * 201]),
        (("log", 0, "display", "protocol"), "a" * 201),
        (("meta", "unfilmed"), [["a" * 201, 0]]),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_no_value_that_a_cache_keeps_is_long(place: tuple[Any, ...], value: object) -> None:
    odd = with_display()
    odd["meta"].update(format=5, unfilmed=[])
    reading_from_document(SCHEME, odd)
    container: Any = odd
    for key in place[:-1]:
        container = container[key]
    container[place[-1]] = value
    with pytest.raises(StoreError, match=r"characters|a list of 65 items"):
        reading_from_document(SCHEME, odd)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("log", 0, "confirmed"), 0),
        (("log", 0, "changes", 0, "time"), 0.0),
        (("log", 0, "display", "is_sufficient"), 1),
        (("fields", 0, "time"), False),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else repr(value),
)
def test_a_value_of_another_type_is_refused_also_after_an_equal_one_was_accepted(
    place: tuple[Any, ...], value: object
) -> None:
    odd = with_display()
    reading_from_document(SCHEME, odd)
    container: Any = odd
    for key in place[:-1]:
        container = container[key]
    assert container[place[-1]] == value, "0 is False, and 1 is True"
    container[place[-1]] = value
    with pytest.raises(StoreError):
        reading_from_document(SCHEME, odd)
