"""The log of a reading: how an entry is written down, and what the log alone says.

Every change of a reading is one entry of its log; nothing here decides whether a change is allowed.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ratui.reading.model import Entry, Field, FieldChange, LogEntry, LogKind, Reading

__all__ = ["ReplayResult", "find_origins", "record_changes", "replay"]

UNDOABLE_KINDS: frozenset[LogKind] = frozenset({"enter", "normal", "same", "clear"})
"""The kinds that `undo` takes back."""


@dataclass(frozen=True)
class ReplayResult:
    """What a log leads to, and the first place where it contradicts itself, in words, or an empty text."""

    values: Mapping[Field, Entry]
    flags: frozenset[str]
    notes: Mapping[str, str]
    signed_at: datetime | None
    contradiction: str = ""


def record_changes(
    reading: Reading,
    kind: LogKind,
    new: Mapping[Field, Entry | None],
    timestamp: datetime | None,
    key: str,
    *,
    undone_number: int | None = None,
    note: str = "",
    site: str = "",
    confirmed: bool = False,
) -> Reading:
    """`reading` with the fields of `new` changed (None opens one) and that written down."""
    values = dict(reading.values)
    changes = []
    for field in sorted(new, key=reading.field_index):
        old, value = values.get(field), new[field]
        if old != value:
            changes.append(FieldChange(field, old, value))
        if value is None:
            values.pop(field, None)
        else:
            values[field] = value
    number = len(reading.log) + 1
    entry = LogEntry(number, timestamp, kind, key, tuple(changes), undone_number, note, site, confirmed)
    return replace(reading, values=values, log=(*reading.log, entry))


def replay(log: Iterable[LogEntry]) -> ReplayResult:
    """What `log` leads to, from an empty reading on. It stops at the first entry that doesn't follow from the others."""
    values: dict[Field, Entry] = {}
    flags: set[str] = set()
    notes: dict[str, str] = {}
    signed: datetime | None = None
    undo_stack: list[int] = []
    ineffective: set[int] = set()
    broken = ""
    for number, entry in enumerate(log, start=1):
        broken = _find_contradiction(entry, number, values) or _find_undo_contradiction(entry, undo_stack, ineffective)
        if broken:
            break
        for field, _, new in entry.changes:
            if new is None:
                del values[field]
            else:
                values[field] = new
        match entry.kind:
            case "undo":
                if entry.undone_number not in ineffective:
                    undo_stack.pop()
            case "flag":
                flags ^= {entry.site}
            case "note":
                notes.pop(entry.site, None)
                if entry.note:
                    notes[entry.site] = entry.note
            case "sign":
                signed = entry.timestamp
            case "reopen":
                signed = None
            case "enter" | "normal" | "same" | "clear":
                if entry.changes:
                    undo_stack.append(number)
                else:
                    ineffective.add(number)
            case "regions" | "adopt":
                pass
    return ReplayResult(values, frozenset(flags), notes, signed, broken)


def find_origins(reading: Reading) -> Mapping[Field, LogEntry]:
    """For each filled field the entry of the log that its value comes from; an undone change counts as never made."""
    here: dict[Field, LogEntry] = {}
    before: dict[int, dict[Field, LogEntry | None]] = {}
    for entry in reading.log:
        undone = before.get(entry.undone_number, {}) if entry.undone_number is not None else {}
        before[entry.number] = {change.field: here.get(change.field) for change in entry.changes}
        for field, _, new in entry.changes:
            source = undone.get(field) if entry.undone_number is not None else entry
            if new is None or source is None:
                here.pop(field, None)
            else:
                here[field] = source
    return here


def _find_contradiction(entry: LogEntry, number: int, values: Mapping[Field, Entry]) -> str:
    """Why `entry` can't be number `number` of a log that has led to `values`, or an empty text."""
    if entry.number != number:
        return f"entry {number} of the log is numbered {entry.number}"
    for field, old, new in entry.changes:
        if values.get(field) != old or old == new:
            return f"entry {number} of the log changes what wasn't there"
    return ""


def _find_undo_contradiction(entry: LogEntry, undo_stack: Sequence[int], ineffective: Container[int]) -> str:
    """Why `entry` can't take back what it says, or an empty text.

    `undo_stack` are the numbers of what can still be undone, the last one first in turn; `ineffective` those of entries that
    changed nothing, which undo passes over today and took back in format 1.
    """
    if (entry.kind == "undo") != (entry.undone_number is not None):
        return f"entry {entry.number} of the log is an undo by half"
    if (
        entry.kind == "undo"
        and entry.undone_number not in ineffective
        and (not undo_stack or undo_stack[-1] != entry.undone_number)
    ):
        return f"entry {entry.number} of the log takes back what wasn't the last entry"
    return ""
