"""What an entry does: commands from one `Reading` to the next, each refused where `ratui.reading.options` rules it out.

Nothing is entered past them, and each leaves its trace in the log. They know neither screen nor disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from ratui.errors import EntryError, Refusal, clean_text
from ratui.reading.effects import effects_of, find_reopened_fields
from ratui.reading.log import UNDOABLE_KINDS, record_changes
from ratui.reading.model import MAX_NOTE_LENGTH, Entry, Field, GradeEntry, LogEntry, NotAssessableEntry, Reading, Slot
from ratui.reading.options import can_be_normal, find_copyable_entry, find_refusal, list_options
from ratui.reading.plausibility import find_unlikely, find_unlikely_normal
from ratui.scheme import Scheme, Site

__all__ = [
    "apply_regions",
    "clean_note",
    "clear",
    "copy_entry",
    "enter",
    "enter_normal",
    "find_undoable",
    "reopen",
    "set_note",
    "sign",
    "start_reading",
    "toggle_flag",
    "undo",
]


def start_reading(
    scheme: Scheme,
    case: str,
    rater: str,
    sites: Iterable[Site],
    *,
    order: tuple[int, ...] = (0, 1),
    blinded: bool = False,
) -> Reading:
    """An empty reading of `sites`; `order` is the time points as shown, left first."""
    return Reading(scheme, case, rater, tuple(sites), order, blinded)


def enter(
    reading: Reading,
    field: Field,
    entry: Entry,
    *,
    timestamp: datetime | None = None,
    key: str = "",
    confirmed: bool = False,
) -> Reading:
    """`reading` with `entry` at `field`, and with everything that follows from it.

    `confirmed` says that the rater gave an unlikely entry once more; the log keeps it, and keeps it only where the
    entry is unlikely. Raises EntryError when `options` lacks the entry.
    """
    reading.field_index(field)
    why = find_refusal(reading, field, entry)
    if why:
        raise EntryError(why, f"{field.site} {field.scale}")
    is_unlikely = confirmed and find_unlikely(reading, field, entry) is not None
    return record_changes(reading, "enter", effects_of(reading, field, entry), timestamp, key, confirmed=is_unlikely)


def enter_normal(
    reading: Reading, site: str, *, timestamp: datetime | None = None, key: str = "", confirmed: bool = False
) -> Reading:
    """Grade 0 in every open field of `site`, as one entry; `confirmed` as in `enter`.

    Raises EntryError where one of them can't be 0.
    """
    if not can_be_normal(reading, site):
        raise EntryError(Refusal("signed" if reading.signed_at else "not_normal"), site)
    new = {field: GradeEntry(0) for field in reading.joint_fields(site) if field not in reading.values}
    is_unlikely = confirmed and find_unlikely_normal(reading, site) is not None
    return record_changes(reading, "normal", new, timestamp, key, confirmed=is_unlikely)


def copy_entry(reading: Reading, field: Field, *, timestamp: datetime | None = None, key: str = "") -> Reading:
    """At `field` what stands at the other time point. Raises EntryError where that is nothing, or can't be."""
    reading.field_index(field)
    entry = find_copyable_entry(reading, field)
    if entry is None:
        why = Refusal("signed" if reading.signed_at else "nothing_to_take_over")
        raise EntryError(why, f"{field.site} {field.scale}")
    return record_changes(reading, "same", effects_of(reading, field, entry), timestamp, key)


def clear(reading: Reading, field: Field, *, timestamp: datetime | None = None, key: str = "") -> Reading:
    """`field` open again, with every field that the same finding or reason filled at that time point."""
    if not list_options(reading, field).can_clear:
        raise EntryError(Refusal("signed" if reading.signed_at else "nothing_to_clear"), f"{field.site} {field.scale}")
    return record_changes(reading, "clear", {field: None, **find_reopened_fields(reading, field)}, timestamp, key)


def find_undoable(reading: Reading) -> LogEntry | None:
    """The entry that `undo` would take back, or None. One that changed nothing is passed over: undo always shows."""
    if reading.signed_at:
        return None
    undone = {entry.undone_number for entry in reading.log}
    for entry in reversed(reading.log):
        if entry.kind in UNDOABLE_KINDS and entry.changes and entry.number not in undone:
            return entry
    return None


def undo(reading: Reading, *, timestamp: datetime | None = None, key: str = "") -> Reading:
    """The last entry that still stands taken back, as an entry of its own. Raises EntryError when there is none.

    What the regions have taken off the film since then stays off. Flags and notes stay as they are.
    """
    last = find_undoable(reading)
    if last is None:
        raise EntryError(Refusal("signed" if reading.signed_at else "nothing_to_undo"), reading.case)
    old = {
        change.field: change.old
        for change in last.changes
        if Slot(change.field.site, change.field.time) not in reading.absent
    }
    return record_changes(reading, "undo", old, timestamp, key, undone_number=last.number)


def toggle_flag(reading: Reading, site: str, *, timestamp: datetime | None = None, key: str = "") -> Reading:
    """`site` marked to come back to, or no longer. Raises EntryError when the reading is signed."""
    _check_site(reading, site)
    return replace(record_changes(reading, "flag", {}, timestamp, key, site=site), flags=reading.flags ^ {site})


def set_note(reading: Reading, site: str, text: str, *, timestamp: datetime | None = None, key: str = "") -> Reading:
    """`text`, as one clean line, as the note on `site`; an empty one removes it. Raises EntryError when signed."""
    _check_site(reading, site)
    line = clean_note(text)
    if line == reading.notes.get(site, ""):
        return reading
    notes = {each: kept for each, kept in reading.notes.items() if each != site}
    if line:
        notes[site] = line
    return replace(record_changes(reading, "note", {}, timestamp, key, site=site, note=line), notes=notes)


def clean_note(text: str) -> str:
    """`text` as a note is kept: one line of at most MAX_NOTE_LENGTH characters that is safe to print."""
    return clean_text(" ".join(text.split()), MAX_NOTE_LENGTH)


def apply_regions(reading: Reading, absent: Iterable[Slot], *, timestamp: datetime | None = None) -> Reading:
    """`reading` with the slots of `absent` not assessable, and those that came back onto their film open again."""
    now = frozenset(Slot(*slot) for slot in absent)
    now = frozenset(slot for slot in now if slot.site in reading.site_keys and slot.time in reading.order)
    if now == reading.absent:
        return reading
    if reading.signed_at:
        raise EntryError(Refusal("signed"), reading.case, "Reopen the reading first")
    outside = NotAssessableEntry(reading.scheme.off_film_reason.id)
    new: dict[Field, Entry | None] = {}
    for slot in sorted(reading.absent - now):
        new.update(dict.fromkeys(reading.slot_fields(slot)))
    for slot in sorted(now - reading.absent):
        new.update(dict.fromkeys(reading.slot_fields(slot), outside))
    return replace(record_changes(reading, "regions", new, timestamp, ""), absent=now)


def sign(reading: Reading, *, timestamp: datetime) -> Reading:
    """`reading` finished and locked. Raises EntryError while a field is open, and when it is signed already."""
    if reading.signed_at:
        raise EntryError(Refusal("signed"), reading.case)
    if not reading.is_complete:
        raise EntryError(Refusal("still_open", {"count": len(reading.open_fields)}), reading.case)
    return replace(record_changes(reading, "sign", {}, timestamp, ""), signed_at=timestamp)


def reopen(reading: Reading, why: str, *, timestamp: datetime | None = None) -> Reading:
    """A signed reading open again; that it was, and why, stays in its log."""
    if not reading.signed_at:
        raise EntryError(Refusal("not_signed"), reading.case)
    reason = clean_note(why)
    if not reason:
        raise EntryError(Refusal("needs_reason"), reading.case)
    return replace(record_changes(reading, "reopen", {}, timestamp, "", note=reason), signed_at=None)


def _check_site(reading: Reading, site: str) -> None:
    reading.site(site)
    if reading.signed_at:
        raise EntryError(Refusal("signed"), site)
