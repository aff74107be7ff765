"""Commands of a rater: each returns a new `Reading`, or raises EntryError if `ratui.reading.options` refuses it.

Every command adds one entry to the log. The module knows neither screens nor files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from ratui.errors import EntryError, Refusal, clean_text
from ratui.reading.model import (
    MAX_NOTE_LENGTH,
    DisplayRecord,
    Entry,
    Field,
    FieldChange,
    GradeEntry,
    LogEntry,
    LogKind,
    Reading,
    Slot,
)
from ratui.reading.options import (
    can_be_normal,
    find_copyable_entry,
    find_effects,
    find_refusal,
    find_reopened_fields,
    list_options,
)
from ratui.reading.plausibility import find_unlikely, find_unlikely_normal
from ratui.scheme import Scheme, Site

__all__ = [
    "adopt",
    "clear",
    "copy_entry",
    "enter",
    "enter_normal",
    "find_undoable",
    "record_changes",
    "reopen",
    "set_note",
    "sign",
    "start_reading",
    "toggle_flag",
    "undo",
]

_UNDOABLE_KINDS: frozenset[LogKind] = frozenset({"enter", "normal", "same", "clear"})


def start_reading(
    scheme: Scheme,
    case: str,
    rater: str,
    sites: Iterable[Site],
    *,
    order: tuple[int, ...] = (0, 1),
    blinded: bool = False,
    positions: tuple[tuple[str, ...], ...] = (),
    unfilmed: Iterable[Slot] = (),
) -> Reading:
    """Return an empty reading.

    Parameters
    ----------
    scheme
        The scoring method.
    case, rater
        Pseudonym of the patient and ID of the rater.
    sites
        Sites to score, in reading order; usually ``scheme.sites``.
    order
        Time points (0 earliest, then 1, …) in the order of display, left first.
    blinded
        True if the rater must not know which time point is earlier.
    positions
        IDs of the films at each position, left first.
    unfilmed
        Slots of `sites` without a film.
    """
    without = frozenset(Slot(*slot) for slot in unfilmed)
    return Reading(scheme, case, rater, tuple(sites), order, blinded, positions=positions, unfilmed=without)


def enter(
    reading: Reading,
    field: Field,
    entry: Entry,
    *,
    timestamp: datetime | None = None,
    key: str = "",
    confirmed: bool = False,
    display: DisplayRecord | None = None,
) -> Reading:
    """Return `reading` with `entry` at `field` and with all effects of that entry (see `find_effects`).

    Parameters
    ----------
    reading
        The reading to start from; it does not change.
    field
        The field to fill.
    entry
        The grade, finding or reason.
    timestamp
        Time of the entry, for the log.
    key
        The key that the rater pressed, for the log.
    confirmed
        True if the rater confirmed an unlikely value. The log keeps it only if the entry is unlikely.
    display
        The display of the films, for the log.

    Raises
    ------
    EntryError
        If the reading has no such field, or if the field does not accept the entry.
    """
    reading.field_index(field)
    refusal = find_refusal(reading, field, entry)
    if refusal:
        raise EntryError(refusal, f"{field.site} {field.scale}")
    is_unlikely = confirmed and find_unlikely(reading, field, entry) is not None
    new = find_effects(reading, field, entry)
    return record_changes(reading, "enter", new, timestamp, key, confirmed=is_unlikely, display=display)


def enter_normal(
    reading: Reading,
    site: str,
    *,
    timestamp: datetime | None = None,
    key: str = "",
    confirmed: bool = False,
    display: DisplayRecord | None = None,
) -> Reading:
    """Return `reading` with grade 0 in every open field of `site`, as one log entry.

    `timestamp`, `key`, `confirmed` and `display` are those of `enter`. Raises EntryError if one of the open fields does not
    accept 0, or if no field is open.
    """
    if not can_be_normal(reading, site):
        raise EntryError(Refusal("signed" if reading.signed_at else "not_normal"), site)
    new = {field: GradeEntry(0) for field in reading.joint_fields(site) if field not in reading.values}
    is_unlikely = confirmed and find_unlikely_normal(reading, site) is not None
    return record_changes(reading, "normal", new, timestamp, key, confirmed=is_unlikely, display=display)


def copy_entry(
    reading: Reading,
    field: Field,
    *,
    timestamp: datetime | None = None,
    key: str = "",
    display: DisplayRecord | None = None,
) -> Reading:
    """Return `reading` with the entry of the other time point copied to `field`; of several, that of the previous one.

    `timestamp`, `key` and `display` are those of `enter`. Raises EntryError if there is no such entry, if `field` does not
    accept it, and in a blinded study.
    """
    reading.field_index(field)
    entry = find_copyable_entry(reading, field)
    if entry is None:
        refusal = Refusal("signed" if reading.signed_at else "nothing_to_take_over")
        raise EntryError(refusal, f"{field.site} {field.scale}")
    return record_changes(reading, "same", find_effects(reading, field, entry), timestamp, key, display=display)


def clear(reading: Reading, field: Field, *, timestamp: datetime | None = None, key: str = "") -> Reading:
    """Return `reading` with `field` open again, and all fields that the same finding or reason filled.

    Raises EntryError if `field` is open, lies outside its film, or if the reading is signed.
    """
    if not list_options(reading, field).can_clear:
        raise EntryError(Refusal("signed" if reading.signed_at else "nothing_to_clear"), f"{field.site} {field.scale}")
    return record_changes(reading, "clear", {field: None, **find_reopened_fields(reading, field)}, timestamp, key)


def find_undoable(reading: Reading) -> LogEntry | None:
    """Return the log entry that `undo` would take back, or None.

    Entries that changed nothing are skipped, so that each undo has a visible effect.
    """
    if reading.signed_at:
        return None
    undone = {entry.undone_number for entry in reading.log}
    for entry in reversed(reading.log):
        if entry.kind == "films":
            return None  # the fields of earlier entries may be gone
        if entry.kind in _UNDOABLE_KINDS and entry.changes and entry.number not in undone:
            return entry
    return None


def undo(reading: Reading, *, timestamp: datetime | None = None, key: str = "", note: str = "") -> Reading:
    """Return `reading` without the last entry that was not undone before. The undo is a log entry of its own.

    `note` says in the log why the program itself undoes an entry. Flags and notes stay. Slots that the regions have placed
    outside their film since then stay not assessable. Raises EntryError if there is nothing to undo or if the reading is
    signed.
    """
    last = find_undoable(reading)
    if last is None:
        raise EntryError(Refusal("signed" if reading.signed_at else "nothing_to_undo"), reading.case)
    old = {
        change.field: change.old
        for change in last.changes
        if Slot(change.field.site, change.field.time) not in reading.absent
    }
    return record_changes(reading, "undo", old, timestamp, key, undone_number=last.number, note=note)


def toggle_flag(reading: Reading, site: str, *, timestamp: datetime | None = None, key: str = "") -> Reading:
    """Return `reading` with the flag of `site` set, or removed if it was set.

    Raises EntryError if the reading is signed or has no such site.
    """
    _check_site(reading, site)
    return record_changes(reading, "flag", {}, timestamp, key, site=site)._with_state(flags=reading.flags ^ {site})


def set_note(reading: Reading, site: str, text: str, *, timestamp: datetime | None = None, key: str = "") -> Reading:
    """Return `reading` with `text` as the note on `site`. An empty text removes the note.

    The note becomes one printable line of at most `MAX_NOTE_LENGTH` characters. Raises EntryError if the reading is signed
    or has no such site.
    """
    _check_site(reading, site)
    line = _clean_note(text)
    if line == reading.notes.get(site, ""):
        return reading
    notes = {other: note for other, note in reading.notes.items() if other != site}
    if line:
        notes[site] = line
    return record_changes(reading, "note", {}, timestamp, key, site=site, note=line)._with_state(notes=notes)


def adopt(reading: Reading, entries: Mapping[Field, Entry], *, timestamp: datetime | None = None) -> Reading:
    """Return `reading` with `entries` in those of their fields that are open, as one log entry.

    The adjudicator's reading starts this way, with the entries on which the raters agree. `undo` does not take it back.
    `timestamp` is the time for the log. Raises EntryError if a field does not accept its entry.
    """
    result = reading
    for field in sorted(entries, key=reading.field_index):
        # A finding that was adopted before may have filled this field.
        if field in result.values:
            continue
        refusal = find_refusal(result, field, entries[field])
        if refusal:
            raise EntryError(refusal, f"{field.site} {field.scale}")
        result = record_changes(result, "adopt", find_effects(result, field, entries[field]), timestamp, "")
    new = {field: value for field, value in result.values.items() if reading.values.get(field) != value}
    return record_changes(reading, "adopt", new, timestamp, "") if new else reading


def sign(reading: Reading, *, timestamp: datetime) -> Reading:
    """Return `reading` signed at `timestamp`. No command except `reopen` changes a signed reading.

    Raises EntryError if a field is open or if the reading is signed already.
    """
    if reading.signed_at:
        raise EntryError(Refusal("signed"), reading.case)
    if not reading.is_complete:
        raise EntryError(Refusal("still_open", {"count": len(reading.open_fields)}), reading.case)
    return record_changes(reading, "sign", {}, timestamp, "")._with_state(signed_at=timestamp)


def reopen(reading: Reading, reason: str, *, timestamp: datetime | None = None) -> Reading:
    """Return a signed `reading` open again. The log keeps `reason`, cleaned like a note.

    Raises EntryError if the reading is not signed or if `reason` is empty.
    """
    if not reading.signed_at:
        raise EntryError(Refusal("not_signed"), reading.case)
    line = _clean_note(reason)
    if not line:
        raise EntryError(Refusal("needs_reason"), reading.case)
    return record_changes(reading, "reopen", {}, timestamp, "", note=line)._with_state(signed_at=None)


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
    display: DisplayRecord | None = None,
) -> Reading:
    """Return `reading` with the values of `new` (None opens a field) and with one more log entry."""
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
    entry = LogEntry(number, timestamp, kind, key, tuple(changes), undone_number, note, site, confirmed, display)
    return reading._with_state(values=values, log=(*reading.log, entry))


def _clean_note(text: str) -> str:
    """Return `text` as one printable line of at most MAX_NOTE_LENGTH characters."""
    return clean_text(" ".join(text.split()), MAX_NOTE_LENGTH)


def _check_site(reading: Reading, site: str) -> None:
    """Raise EntryError if `reading` has no such site or is signed."""
    reading.site(site)
    if reading.signed_at:
        raise EntryError(Refusal("signed"), site)
