"""Conversion of a `Reading` to a document of plain values, ready for JSON; `document_reader` reads it.

A document contains positions on the screen in place of time points, so that its file does not reveal which film is the
earlier one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ratui.reading.model import (
    DisplayRecord,
    Entry,
    Field,
    FindingEntry,
    GradeEntry,
    LogEntry,
    NotAssessableEntry,
    Reading,
)
from ratui.reading.positions import to_positions

__all__ = ["field_to_record", "log_entry_to_record", "meta_to_record", "reading_to_document", "with_positions"]


def reading_to_document(reading: Reading) -> dict[str, Any]:
    """Return `reading` as ``{"meta": {...}, "fields": [...], "log": [...]}`` of plain values.

    ``fields`` contains the filled fields only. Every ``time`` in it is a position, 0 for the left film. Dates are ISO 8601
    texts with milliseconds.
    """
    reading = with_positions(reading)
    return {
        "meta": meta_to_record(reading),
        "fields": [field_to_record(field, entry) for field, entry in reading.filled_fields],
        "log": [log_entry_to_record(entry) for entry in reading.log],
    }


def with_positions(reading: Reading) -> Reading:
    """Return `reading` with positions in place of time points."""
    # A rater's own reading usually contains positions already, but not where the log names visits that are gone.
    if reading.order == reading.filmed_positions and all(reading.positions):
        return reading
    return to_positions(reading)


def meta_to_record(reading: Reading) -> dict[str, Any]:
    """Return all of a reading of positions but its fields and its log."""
    number = _choose_format(reading)
    return {
        "format": number,
        "scheme": reading.scheme.name,
        "case": reading.case,
        "rater": reading.rater,
        "sites": [site.key for site in reading.sites],
        "positions": [list(films) for films in reading.positions or [()] * len(reading.order)],
        "blinded": reading.is_blinded,
        "absent": [list(slot) for slot in sorted(reading.absent)],
        **({} if number == 4 else {"unfilmed": [list(slot) for slot in sorted(reading.unfilmed)]}),
        "signed": _format_time(reading.signed_at),
        "flags": sorted(reading.flags),
        "notes": dict(sorted(reading.notes.items())),
    }


def _choose_format(reading: Reading) -> int:
    """Return the earliest format that can hold `reading`; see `document_reader.FORMAT_VERSION`."""
    if any(entry.display is not None and entry.display.terminal is not None for entry in reading.log):
        return 6
    return 5 if reading.unfilmed or not all(reading.positions) else 4


def field_to_record(field: Field, entry: Entry) -> dict[str, Any]:
    """Return a filled field."""
    return {**_field_to_dict(field), **_entry_to_dict(entry)}


def log_entry_to_record(entry: LogEntry) -> dict[str, Any]:
    """Return an entry of the log."""
    return {
        "number": entry.number,
        "at": _format_time(entry.timestamp),
        "kind": entry.kind,
        "key": entry.key,
        "undoes": entry.undone_number,
        "note": entry.note,
        "site": entry.site,
        "confirmed": entry.is_confirmed,
        "display": None if entry.display is None else _display_to_dict(entry.display),
        "changes": [
            {
                **_field_to_dict(field),
                "old": None if old is None else _entry_to_dict(old),
                "new": None if new is None else _entry_to_dict(new),
            }
            for field, old, new in entry.changes
        ],
    }


def _field_to_dict(field: Field) -> dict[str, Any]:
    return {"site": field.site, "scale": field.scale, "time": field.time}


def _entry_to_dict(entry: Entry) -> dict[str, Any]:
    match entry:
        case GradeEntry(grade):
            return {"grade": grade}
        case FindingEntry(finding):
            return {"finding": finding}
        case NotAssessableEntry(reason):
            return {"reason": reason}


def _display_to_dict(display: DisplayRecord) -> dict[str, Any]:
    """Return `display` as plain values; without ``terminal`` if its size is unknown, as earlier versions wrote it."""
    values = {**display._asdict(), "films": list(display.films), "greys": list(display.greys)}
    if display.terminal is None:
        del values["terminal"]
    else:
        values["terminal"] = list(display.terminal)
    return values


def _format_time(at: datetime | None) -> str | None:
    return at.isoformat(timespec="milliseconds") if at else None
