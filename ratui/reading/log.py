"""Replay of a reading's log: the state that the log alone leads to, and the origin of each value."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ratui.reading.model import Entry, Field, LogEntry, Reading

__all__ = ["ReplayResult", "find_origins", "replay"]


@dataclass(frozen=True)
class ReplayResult:
    """State after a log was replayed.

    `contradiction` describes the first entry that cannot follow the entries before it. It is empty for a valid log. The
    other attributes are those of `Reading`, up to that entry.
    """

    values: Mapping[Field, Entry]
    flags: frozenset[str]
    notes: Mapping[str, str]
    signed_at: datetime | None
    contradiction: str = ""


def replay(log: Iterable[LogEntry]) -> ReplayResult:
    """Return the state that `log` leads to from an empty reading. Stop at the first contradiction."""
    values: dict[Field, Entry] = {}
    flags: set[str] = set()
    notes: dict[str, str] = {}
    signed_at: datetime | None = None
    undo_stack: list[int] = []
    ineffective: set[int] = set()
    contradiction = ""
    for number, entry in enumerate(log, start=1):
        contradiction = _find_contradiction(entry, number, values) or _find_undo_contradiction(
            entry, undo_stack, ineffective
        )
        if contradiction:
            break
        for field, _, new in entry.changes:
            if new is None:
                del values[field]
            else:
                values[field] = new
        match entry.kind:
            case "enter" | "normal" | "same" | "clear":
                if entry.changes:
                    undo_stack.append(number)
                else:
                    ineffective.add(number)
            case "undo":
                # Format 1 also undid entries that changed nothing; those were never on the stack.
                if entry.undone_number not in ineffective:
                    undo_stack.pop()
            case "flag":
                flags ^= {entry.site}
            case "note":
                notes.pop(entry.site, None)
                if entry.note:
                    notes[entry.site] = entry.note
            case "sign":
                signed_at = entry.timestamp
            case "reopen":
                signed_at = None
            case "films":
                undo_stack.clear()  # the fields of earlier entries may be gone
            case "regions" | "adopt":
                pass
    return ReplayResult(values, frozenset(flags), notes, signed_at, contradiction)


def find_origins(reading: Reading) -> Mapping[Field, LogEntry]:
    """Return for each filled field the log entry that its value comes from.

    An undo restores the origin from before the undone entry.
    """
    origins: dict[Field, LogEntry] = {}
    before: dict[int, dict[Field, LogEntry | None]] = {}
    for entry in reading.log:
        undone = before.get(entry.undone_number, {}) if entry.undone_number is not None else {}
        before[entry.number] = {change.field: origins.get(change.field) for change in entry.changes}
        for field, _, new in entry.changes:
            origin = undone.get(field) if entry.undone_number is not None else entry
            if new is None or origin is None:
                origins.pop(field, None)
            else:
                origins[field] = origin
    return origins


def _find_contradiction(entry: LogEntry, number: int, values: Mapping[Field, Entry]) -> str:
    """Return why `entry` cannot have position `number` in a log that has led to `values`, or an empty text."""
    if entry.number != number:
        return f"entry {number} of the log has the number {entry.number}"
    for field, old, new in entry.changes:
        if values.get(field) != old or old == new:
            return f"entry {number} of the log changes a value that was not there"
    return ""


def _find_undo_contradiction(entry: LogEntry, undo_stack: Sequence[int], ineffective: Container[int]) -> str:
    """Return why `entry` cannot be the undo that it claims to be, or an empty text.

    `undo_stack` contains the numbers of the entries that can still be undone, the latest last. `ineffective` contains
    those of entries that changed nothing: `undo` skips them today, but format 1 undid them too.
    """
    if (entry.kind == "undo") != (entry.undone_number is not None):
        return f"entry {entry.number} of the log is an undo without an undone entry, or the reverse"
    if (
        entry.kind == "undo"
        and entry.undone_number not in ineffective
        and (not undo_stack or undo_stack[-1] != entry.undone_number)
    ):
        return f"entry {entry.number} of the log undoes an entry that was not the last one"
    return ""
