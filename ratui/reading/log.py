"""The log of a reading: how an entry is written down, and what the log alone says.

Every change of a reading is one entry of its log; nothing here decides whether a change is allowed.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ratui.reading.model import Change, Entry, Field, LogEntry, LogKind, Reading

__all__ = ["Replay", "logged", "replay", "setters"]

ENTRIES: frozenset[LogKind] = frozenset({"enter", "normal", "same", "clear"})
"""The kinds that `undo` takes back."""


@dataclass(frozen=True)
class Replay:
    """What a log leads to, and the first place where it contradicts itself, in words, or an empty text."""

    values: Mapping[Field, Entry]
    flags: frozenset[str]
    notes: Mapping[str, str]
    signed: datetime | None
    broken: str = ""


def logged(
    reading: Reading,
    kind: LogKind,
    new: Mapping[Field, Entry | None],
    at: datetime | None,
    key: str,
    *,
    undoes: int | None = None,
    note: str = "",
    site: str = "",
    confirmed: bool = False,
) -> Reading:
    """`reading` with the fields of `new` changed (None opens one) and that written down."""
    values = dict(reading.values)
    changes = []
    for field in sorted(new, key=reading.place):
        old, value = values.get(field), new[field]
        if old != value:
            changes.append(Change(field, old, value))
        if value is None:
            values.pop(field, None)
        else:
            values[field] = value
    number = len(reading.log) + 1
    entry = LogEntry(number, at, kind, key, tuple(changes), undoes, note, site, confirmed)
    return replace(reading, values=values, log=(*reading.log, entry))


def replay(log: Iterable[LogEntry]) -> Replay:
    """What `log` leads to, from an empty reading on. It stops at the first entry that doesn't follow from the others."""
    values: dict[Field, Entry] = {}
    flags: set[str] = set()
    notes: dict[str, str] = {}
    signed: datetime | None = None
    waiting: list[int] = []
    idle: set[int] = set()
    broken = ""
    for number, entry in enumerate(log, start=1):
        broken = _contradiction(entry, number, values) or _wrong_undo(entry, waiting, idle)
        if broken:
            break
        for field, _, new in entry.changes:
            if new is None:
                del values[field]
            else:
                values[field] = new
        match entry.kind:
            case "undo":
                if entry.undoes not in idle:
                    waiting.pop()
            case "flag":
                flags ^= {entry.site}
            case "note":
                notes.pop(entry.site, None)
                if entry.note:
                    notes[entry.site] = entry.note
            case "sign":
                signed = entry.at
            case "reopen":
                signed = None
            case "enter" | "normal" | "same" | "clear":
                if entry.changes:
                    waiting.append(number)
                else:
                    idle.add(number)
            case "regions" | "adopt":
                pass
    return Replay(values, frozenset(flags), notes, signed, broken)


def setters(reading: Reading) -> Mapping[Field, LogEntry]:
    """For each filled field the entry of the log that its value comes from; an undone change counts as never made."""
    here: dict[Field, LogEntry] = {}
    before: dict[int, dict[Field, LogEntry | None]] = {}
    for entry in reading.log:
        undone = before.get(entry.undoes, {}) if entry.undoes is not None else {}
        before[entry.number] = {change.field: here.get(change.field) for change in entry.changes}
        for field, _, new in entry.changes:
            source = undone.get(field) if entry.undoes is not None else entry
            if new is None or source is None:
                here.pop(field, None)
            else:
                here[field] = source
    return here


def _contradiction(entry: LogEntry, number: int, values: Mapping[Field, Entry]) -> str:
    """Why `entry` can't be number `number` of a log that has led to `values`, or an empty text."""
    if entry.number != number:
        return f"entry {number} of the log is numbered {entry.number}"
    for field, old, new in entry.changes:
        if values.get(field) != old or old == new:
            return f"entry {number} of the log changes what wasn't there"
    return ""


def _wrong_undo(entry: LogEntry, waiting: Sequence[int], idle: Container[int]) -> str:
    """Why `entry` can't take back what it says, or an empty text.

    `waiting` are the numbers of what can still be undone, the last one first in turn; `idle` those of entries that
    changed nothing, which undo passes over today and took back in format 1.
    """
    if (entry.kind == "undo") != (entry.undoes is not None):
        return f"entry {entry.number} of the log is an undo by half"
    if entry.kind == "undo" and entry.undoes not in idle and (not waiting or waiting[-1] != entry.undoes):
        return f"entry {entry.number} of the log takes back what wasn't the last entry"
    return ""
