"""A reading as a document of plain values, ready for JSON, and back.

What comes back is checked as a whole, so that a file that was changed by hand can't bring in what no key could enter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, get_args

from ratui.errors import EntryRefused, SchemeError, StoreError, clean
from ratui.reading.invariants import history_problems, problems
from ratui.reading.log import replay
from ratui.reading.model import (
    Change,
    Entry,
    Field,
    Found,
    Graded,
    LogEntry,
    LogKind,
    NotAssessable,
    Reading,
    Slot,
)
from ratui.scheme import Scheme

__all__ = ["FORMAT", "from_document", "from_log", "to_document"]

FORMAT = 2
"""Written by this version. Format 1 had neither flags nor notes and did not say what was confirmed."""


def to_document(reading: Reading) -> dict[str, Any]:
    """`reading` as ``{"meta": {...}, "fields": [...], "log": [...]}`` of plain values."""
    return {
        "meta": {
            "format": FORMAT,
            "scheme": reading.scheme.name,
            "case": reading.case,
            "rater": reading.rater,
            "sites": [site.key for site in reading.sites],
            "order": list(reading.order),
            "blinded": reading.blinded,
            "absent": [list(slot) for slot in sorted(reading.absent)],
            "signed": _time_out(reading.signed),
            "flags": sorted(reading.flags),
            "notes": dict(sorted(reading.notes.items())),
        },
        "fields": [
            {**_field_out(field), **(_entry_out(value) or {})}
            for field in reading.fields
            if (value := reading.values.get(field)) is not None
        ],
        "log": [
            {
                "number": entry.number,
                "at": _time_out(entry.at),
                "kind": entry.kind,
                "key": entry.key,
                "undoes": entry.undoes,
                "note": entry.note,
                "site": entry.site,
                "confirmed": entry.confirmed,
                "changes": [
                    {**_field_out(change.field), "old": _entry_out(change.old), "new": _entry_out(change.new)}
                    for change in entry.changes
                ],
            }
            for entry in reading.log
        ],
    }


def from_document(scheme: Scheme, document: Mapping[str, Any], where: object = "") -> Reading:
    """The reading that `document` holds, of this format or an older one.

    Raises StoreError, naming `where`, for a newer format and for what can't be a reading of `scheme`.
    """
    return _made(scheme, document, where, lambda reading: reading)


def from_log(scheme: Scheme, document: Mapping[str, Any], where: object = "") -> Reading:
    """The reading that the log of `document` leads to, whatever else the document says of fields, flags and notes.

    Raises StoreError, naming `where`, also for a log that leads to no reading of `scheme`.
    """

    def led_to(reading: Reading) -> Reading:
        told = replay(reading.log)
        return replace(reading, values=told.values, flags=told.flags, notes=told.notes, signed=told.signed)

    return _made(scheme, {**document, "fields": []}, where, led_to)


def _made(
    scheme: Scheme, document: Mapping[str, Any], where: object, completed: Callable[[Reading], Reading]
) -> Reading:
    try:
        document = _migrated(document, where)
        meta = document["meta"]
        reading = completed(
            Reading(
                scheme=scheme,
                case=str(meta["case"]),
                rater=str(meta["rater"]),
                sites=tuple(scheme.site(key) for key in meta["sites"]),
                order=tuple(int(time) for time in meta["order"]),
                blinded=bool(meta["blinded"]),
                values={_field_in(raw): _entry_in(raw) for raw in document["fields"]},
                log=tuple(_log_in(raw) for raw in document["log"]),
                absent=frozenset(Slot(str(site), int(time)) for site, time in meta["absent"]),
                signed=_time_in(meta["signed"]),
                flags=frozenset(str(site) for site in meta["flags"]),
                notes={str(site): str(text) for site, text in meta["notes"].items()},
            )
        )
        wrong = problems(reading) or history_problems(reading)
    except (KeyError, TypeError, ValueError, AttributeError, EntryRefused, SchemeError) as error:
        raise StoreError(
            f"not a reading: {type(error).__name__} {error}", where, "Restore it from its backup copy"
        ) from error
    if wrong:
        raise StoreError(f"the reading contradicts itself: {wrong[0]}", where, "Restore it from its backup copy")
    return reading


def _migrated(document: Mapping[str, Any], where: object) -> Mapping[str, Any]:
    """`document` in this version's format; what is given stays as it is. Raises StoreError for a newer format."""
    meta = document["meta"]
    found = meta["format"]
    if found == FORMAT:
        return document
    if found != 1:
        raise StoreError(
            f"the reading has format {clean(found)}, this version reads up to {FORMAT}", where, "Update ratui"
        )
    return {
        **document,
        "meta": {**meta, "format": FORMAT, "flags": [], "notes": {}},
        "log": [{**entry, "site": "", "confirmed": False} for entry in document["log"]],
    }


def _field_out(field: Field) -> dict[str, Any]:
    return {"site": field.site, "scale": field.scale, "time": field.time}


def _field_in(raw: Mapping[str, Any]) -> Field:
    return Field(str(raw["site"]), str(raw["scale"]), int(raw["time"]))


def _entry_out(entry: Entry | None) -> dict[str, Any] | None:
    match entry:
        case Graded(grade):
            return {"grade": grade}
        case Found(finding):
            return {"finding": finding}
        case NotAssessable(reason):
            return {"reason": reason}
        case None:
            return None


def _entry_in(raw: Mapping[str, Any]) -> Entry:
    if "grade" in raw:
        return Graded(int(raw["grade"]))
    if "finding" in raw:
        return Found(str(raw["finding"]))
    return NotAssessable(str(raw["reason"]))


def _log_in(raw: Mapping[str, Any]) -> LogEntry:
    if raw["kind"] not in get_args(LogKind):
        raise ValueError(f"unknown log entry {clean(raw['kind'])}")
    return LogEntry(
        number=int(raw["number"]),
        at=_time_in(raw["at"]),
        kind=raw["kind"],
        key=str(raw["key"]),
        changes=tuple(
            Change(
                _field_in(change),
                _entry_in(change["old"]) if change["old"] else None,
                _entry_in(change["new"]) if change["new"] else None,
            )
            for change in raw["changes"]
        ),
        undoes=raw["undoes"],
        note=str(raw["note"]),
        site=str(raw["site"]),
        confirmed=raw["confirmed"] is True,
    )


def _time_out(at: datetime | None) -> str | None:
    return at.isoformat(timespec="milliseconds") if at else None


def _time_in(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
