"""Conversion of a document of plain values to the `Reading` in it; `document_writer` writes such documents.

A document is checked as a whole when it is read. So a file that was edited by hand cannot contain values that no key
could enter. Documents of earlier formats are converted first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, TypeAlias, get_args

from ratui.errors import EntryError, SchemeError, StoreError, clean_text
from ratui.reading.invariants import find_log_problems, find_problems
from ratui.reading.log import replay
from ratui.reading.model import (
    DisplayRecord,
    Entry,
    Field,
    FieldChange,
    FindingEntry,
    GradeEntry,
    LogEntry,
    LogKind,
    NotAssessableEntry,
    Reading,
    Slot,
    TerminalSize,
)
from ratui.reading.positions import to_times
from ratui.scheme import Scheme
from ratui.stored_values import ODD_VALUE_ERRORS, as_flag, as_integer, as_list, as_number, as_text, as_time, as_word

__all__ = [
    "FORMAT_VERSION",
    "POSITION_FORMATS",
    "migrate_document",
    "reading_from_document",
    "reading_from_log",
]

FORMAT_VERSION = 6
"""Latest format that this version reads and writes.

Format 1 had no flags, no notes and no mark on confirmed entries. Format 2 did not record the display of the films. Up to
format 3 a document contained time points and their order of display. From format 4 on it contains positions instead, so
that it does not reveal which film is the earlier one. Format 5 can have slots without a film, and positions that have
lost their films. Format 6 records the size of the terminal at an entry. A reading without these is written in format 4, one
without the last in format 5, so that earlier versions can read it too.
"""
POSITION_FORMATS = (4, 5, 6)
"""Formats whose documents contain positions in place of time points."""
_MOST_POSITIONS = 64  # more than visits: a visit that is gone keeps its position
_MOST_ENTRIES = 1_000_000
_LONGEST_WORD = 200
"""Characters of a word that a cache may keep, so that no file makes the cache large."""
_LOG_KINDS: tuple[LogKind, ...] = get_args(LogKind)
_Acknowledgement: TypeAlias = Literal["terminal", "multiplexer", "nothing"]
_ACKNOWLEDGED_BY: tuple[_Acknowledgement, ...] = get_args(_Acknowledgement)
_MOST_WORDS = 64  # films of a display, and changes of their grey levels
_MOST_CHARACTERS, _MOST_PIXELS = 100_000, 1000
"""Largest size of a terminal, and of a character."""


def reading_from_document(
    scheme: Scheme, document: Mapping[str, Any], where: object = "", order: Sequence[int] | None = None
) -> Reading:
    """Return the reading in `document`, which may have this format or an older one.

    Parameters
    ----------
    scheme
        The scheme that the reading was made with.
    document
        Result of `document_writer.reading_to_document`, for example from a JSON file.
    where
        Place of the document, for error messages.
    order
        Time point shown at each position, left first. A document up to format 3 states its own order, which is used
        instead. Without `order` the result contains positions in place of time points.

    Raises
    ------
    StoreError
        If the format is newer than this version, or if the document is not a valid reading of `scheme`.
    """
    return _build_reading(scheme, document, where, lambda reading: reading, order)


def reading_from_log(
    scheme: Scheme, document: Mapping[str, Any], where: object = "", order: Sequence[int] | None = None
) -> Reading:
    """Return the reading that the log in `document` leads to.

    Fields, flags, notes and signature of the document are ignored. Use it to repair a document whose tables contradict
    each other. Parameters and errors are those of `reading_from_document`.
    """

    def restore_from_log(reading: Reading) -> Reading:
        replayed = replay(reading.log)
        return replace(
            reading, values=replayed.values, flags=replayed.flags, notes=replayed.notes, signed_at=replayed.signed_at
        )

    return _build_reading(scheme, {**document, "fields": []}, where, restore_from_log, order)


def _build_reading(
    scheme: Scheme,
    document: Mapping[str, Any],
    where: object,
    finish: Callable[[Reading], Reading],
    order: Sequence[int] | None,
) -> Reading:
    """Return the reading in `document` after `finish`. Raises StoreError if the result is not valid."""
    try:
        own_order = document["meta"]["order"] if document["meta"]["format"] in (1, 2, 3) else None
        document = migrate_document(document, where)
        meta = document["meta"]
        positions = tuple(tuple(map(as_text, as_list(films))) for films in as_list(meta["positions"], _MOST_POSITIONS))
        order_there = tuple(place for place, films in enumerate(positions) if films or not any(positions))
        reading = finish(
            Reading(
                scheme=scheme,
                case=as_text(meta["case"]),
                rater=as_text(meta["rater"]),
                sites=tuple(scheme.site(as_text(key)) for key in _distinct(meta["sites"])),
                order=order_there,
                is_blinded=as_flag(meta["blinded"]),
                values={
                    _make_field(raw["site"], raw["scale"], raw["time"]): _entry_from_dict(raw)
                    for raw in document["fields"]
                },
                log=tuple(map(_log_entry_from_dict, document["log"])),
                absent=_slots_from_list(meta["absent"]),
                signed_at=_parse_time(meta["signed"]),
                flags=frozenset(map(as_text, as_list(meta["flags"]))),
                notes={as_text(site): as_text(text) for site, text in meta["notes"].items()},
                positions=positions if any(positions) else (),
                unfilmed=_slots_from_list(meta["unfilmed"]),
            )
        )
        if order is not None:
            shown = to_times(reading, order)  # also compares the number of time points
            reading = shown if own_order is None else to_times(reading, list(map(_as_position, as_list(own_order))))
        wrong = find_problems(reading) or find_log_problems(reading)
    except (*ODD_VALUE_ERRORS, EntryError, SchemeError) as error:
        raise StoreError(
            f"this is not a reading: {type(error).__name__} {clean_text(error)}",
            where,
            "Restore it from its backup copy",
        ) from error
    if wrong:
        raise StoreError(f"the reading contradicts itself: {wrong[0]}", where, "Restore it from its backup copy")
    return reading


def migrate_document(document: Mapping[str, Any], where: object = "") -> Mapping[str, Any]:
    """Return `document` in this version's format, without changing the argument.

    Raises
    ------
    StoreError
        If the format is newer or unknown.
    LookupError, TypeError, ValueError, AttributeError, ArithmeticError
        If the document has another form.
    """
    meta = document["meta"]
    found = meta["format"]
    if found == FORMAT_VERSION:
        return document
    if found not in (1, 2, 3, 4, 5):
        raise StoreError(
            f"the reading has format {clean_text(found)}, this version reads up to {FORMAT_VERSION}",
            where,
            "Update ratui",
        )
    if found < 4:
        document = _replace_earlier(document)
    if found < 5:
        document = {**document, "meta": {**document["meta"], "unfilmed": []}}
    return {**document, "meta": {**document["meta"], "format": FORMAT_VERSION}}


def _replace_earlier(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a document of format 1, 2 or 3 in format 4."""
    meta, found = document["meta"], document["meta"]["format"]
    log: Iterable[Mapping[str, Any]] = document["log"]
    if found == 1:
        meta = {**meta, "flags": [], "notes": {}}
        log = [{**entry, "site": "", "confirmed": False} for entry in log]
    if found <= 2:
        log = [{**entry, "display": None} for entry in log]
    return _replace_times({**document, "meta": meta, "log": log})


def _replace_times(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document of format 3 in format 4: positions replace time points and the order.

    The films at each position are unknown: ``positions`` has an empty list for each.
    """
    meta = dict(document["meta"])
    order = [as_integer(time, 0, 1) for time in as_list(meta.pop("order"))]
    if sorted(order) != list(range(len(order))):
        raise ValueError(f"{order} is not an order of time points")
    position = {time: place for place, time in enumerate(order)}

    def convert(record: Mapping[str, Any]) -> dict[str, Any]:
        return {**record, "time": position[record["time"]]}

    return {
        **document,
        "meta": {
            **meta,
            "format": 4,
            "positions": [[] for _ in order],
            "absent": sorted([as_text(site), position[time]] for site, time in as_list(meta["absent"])),
        },
        "fields": [convert(record) for record in document["fields"]],
        "log": [{**entry, "changes": [convert(change) for change in entry["changes"]]} for entry in document["log"]],
    }


def _slots_from_list(value: object) -> frozenset[Slot]:
    return frozenset(Slot(as_text(site, _LONGEST_WORD), _as_position(time)) for site, time in as_list(value))


@lru_cache(20_000, typed=True)  # typed: True is not 1
def _make_field(site: object, scale: object, time: object) -> Field:
    return Field(as_text(site, _LONGEST_WORD), as_text(scale, _LONGEST_WORD), _as_position(time))


def _entry_from_dict(raw: Mapping[str, Any]) -> Entry:
    if "grade" in raw:
        return _make_grade(raw["grade"])
    if "finding" in raw:
        return FindingEntry(as_text(raw["finding"]))
    return NotAssessableEntry(as_text(raw["reason"]))


@lru_cache(100, typed=True)
def _make_grade(grade: object) -> GradeEntry:
    return GradeEntry(as_integer(grade, 0, 1000))


def _log_entry_from_dict(raw: Mapping[str, Any]) -> LogEntry:
    changes = tuple(
        [
            FieldChange(
                _make_field(change["site"], change["scale"], change["time"]),
                None if (old := change["old"]) is None else _entry_from_dict(old),
                None if (new := change["new"]) is None else _entry_from_dict(new),
            )
            for change in as_list(raw["changes"])
        ]
    )
    at, undoes, display = raw["at"], raw["undoes"], raw["display"]
    kind, key, note, site, is_confirmed = _make_log_words(
        raw["kind"], raw["key"], raw["note"], raw["site"], raw["confirmed"]
    )
    return LogEntry(
        as_integer(raw["number"], 1, _MOST_ENTRIES),
        None if at is None else as_time(at),
        kind,
        key,
        changes,
        None if undoes is None else as_integer(undoes, 1, _MOST_ENTRIES),
        note,
        site,
        is_confirmed,
        None if display is None else _display_from_dict(display),
    )


@lru_cache(1000, typed=True)
def _make_log_words(
    kind: object, key: object, note: object, site: object, confirmed: object
) -> tuple[LogKind, str, str, str, bool]:
    """Return the values of a log entry that are the same in most entries: checked once, not for each of 100 entries."""
    key, site = as_text(key, _LONGEST_WORD), as_text(site, _LONGEST_WORD)
    return as_word(kind, _LOG_KINDS), key, as_text(note), site, as_flag(confirmed)


def _display_from_dict(raw: Mapping[str, Any]) -> DisplayRecord:
    films, protocol, is_sufficient, greys, acknowledged_by = _make_display_words(
        tuple(as_list(raw["films"], _MOST_WORDS)),
        raw["protocol"],
        raw["is_sufficient"],
        tuple(as_list(raw["greys"], _MOST_WORDS)),
        raw["acknowledged_by"],
    )
    return DisplayRecord(
        films,
        protocol,
        as_number(raw["pixels_per_mm"]),
        is_sufficient,
        greys,
        as_number(raw["seconds"]),
        acknowledged_by,
        _make_size(tuple(as_list(raw["terminal"], 4))) if "terminal" in raw else None,
    )


@lru_cache(1000, typed=True)  # a reading has most displays many times: they are checked once
def _make_display_words(
    films: tuple[object, ...], protocol: object, is_sufficient: object, greys: tuple[object, ...], acknowledged: object
) -> tuple[tuple[str, ...], str, bool, tuple[str, ...], _Acknowledgement]:
    return (
        tuple(as_text(film, _LONGEST_WORD) for film in films),
        as_text(protocol, _LONGEST_WORD),
        as_flag(is_sufficient),
        tuple(as_text(grey, _LONGEST_WORD) for grey in greys),
        as_word(acknowledged, _ACKNOWLEDGED_BY),
    )


def _make_size(values: tuple[object, ...]) -> TerminalSize:
    columns, rows, across, down = values
    return TerminalSize(
        as_integer(columns, 1, _MOST_CHARACTERS),
        as_integer(rows, 1, _MOST_CHARACTERS),
        as_integer(across, 1, _MOST_PIXELS),
        as_integer(down, 1, _MOST_PIXELS),
    )


def _parse_time(text: object) -> datetime | None:
    return None if text is None else as_time(text)


def _as_position(value: object) -> int:
    return as_integer(value, 0, _MOST_POSITIONS - 1)


def _distinct(value: object) -> list[Any]:
    """Return the list `value` if no item occurs twice. Raises ValueError, or TypeError for items of a wrong kind."""
    items = as_list(value)
    if len(set(items)) < len(items):
        raise ValueError("an item that occurs twice")
    return items
