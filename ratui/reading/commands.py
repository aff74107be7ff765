"""What an entry does: commands from one `Reading` to the next, each refused where `ratui.reading.options` rules it out.

Nothing is entered past them, and each leaves its trace in the log. They know neither screen nor disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from ratui.errors import EntryRefused, Refusal, clean
from ratui.reading.effects import consequences, released
from ratui.reading.log import ENTRIES, logged
from ratui.reading.model import NOTE_LENGTH, Entry, Field, Graded, LogEntry, NotAssessable, Reading, Slot
from ratui.reading.options import can_be_normal, options, refusal, twin_entry
from ratui.reading.plausibility import unlikely, unlikely_normal
from ratui.scheme import Scheme, Site

__all__ = [
    "apply_regions",
    "clear",
    "enter",
    "flag",
    "normal",
    "note",
    "note_text",
    "reopen",
    "same",
    "sign",
    "start",
    "undo",
    "undoable",
]


def start(
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
    at: datetime | None = None,
    key: str = "",
    confirmed: bool = False,
) -> Reading:
    """`reading` with `entry` at `field`, and with everything that follows from it.

    `confirmed` says that the rater gave an unlikely entry once more; the log keeps it, and keeps it only where the
    entry is unlikely. Raises EntryRefused when `options` lacks the entry.
    """
    reading.place(field)
    why = refusal(reading, field, entry)
    if why:
        raise EntryRefused(why, f"{field.site} {field.scale}")
    sure = confirmed and unlikely(reading, field, entry) is not None
    return logged(reading, "enter", consequences(reading, field, entry), at, key, confirmed=sure)


def normal(
    reading: Reading, site: str, *, at: datetime | None = None, key: str = "", confirmed: bool = False
) -> Reading:
    """Grade 0 in every open field of `site`, as one entry; `confirmed` as in `enter`.

    Raises EntryRefused where one of them can't be 0.
    """
    if not can_be_normal(reading, site):
        raise EntryRefused(Refusal("signed" if reading.signed else "not_normal"), site)
    new = {field: Graded(0) for field in reading.joint_fields(site) if field not in reading.values}
    sure = confirmed and unlikely_normal(reading, site) is not None
    return logged(reading, "normal", new, at, key, confirmed=sure)


def same(reading: Reading, field: Field, *, at: datetime | None = None, key: str = "") -> Reading:
    """At `field` what stands at the other time point. Raises EntryRefused where that is nothing, or can't be."""
    reading.place(field)
    entry = twin_entry(reading, field)
    if entry is None:
        why = Refusal("signed" if reading.signed else "nothing_to_take_over")
        raise EntryRefused(why, f"{field.site} {field.scale}")
    return logged(reading, "same", consequences(reading, field, entry), at, key)


def clear(reading: Reading, field: Field, *, at: datetime | None = None, key: str = "") -> Reading:
    """`field` open again, with every field that the same finding or reason filled at that time point."""
    if not options(reading, field).clear:
        raise EntryRefused(Refusal("signed" if reading.signed else "nothing_to_clear"), f"{field.site} {field.scale}")
    return logged(reading, "clear", {field: None, **released(reading, field)}, at, key)


def undoable(reading: Reading) -> LogEntry | None:
    """The entry that `undo` would take back, or None. One that changed nothing is passed over: undo always shows."""
    if reading.signed:
        return None
    undone = {entry.undoes for entry in reading.log}
    for entry in reversed(reading.log):
        if entry.kind in ENTRIES and entry.changes and entry.number not in undone:
            return entry
    return None


def undo(reading: Reading, *, at: datetime | None = None, key: str = "") -> Reading:
    """The last entry that still stands taken back, as an entry of its own. Raises EntryRefused when there is none.

    What the regions have taken off the film since then stays off. Flags and notes stay as they are.
    """
    last = undoable(reading)
    if last is None:
        raise EntryRefused(Refusal("signed" if reading.signed else "nothing_to_undo"), reading.case)
    old = {
        change.field: change.old
        for change in last.changes
        if Slot(change.field.site, change.field.time) not in reading.absent
    }
    return logged(reading, "undo", old, at, key, undoes=last.number)


def flag(reading: Reading, site: str, *, at: datetime | None = None, key: str = "") -> Reading:
    """`site` marked to come back to, or no longer. Raises EntryRefused when the reading is signed."""
    _check_site(reading, site)
    return replace(logged(reading, "flag", {}, at, key, site=site), flags=reading.flags ^ {site})


def note(reading: Reading, site: str, text: str, *, at: datetime | None = None, key: str = "") -> Reading:
    """`text`, as one clean line, as the note on `site`; an empty one removes it. Raises EntryRefused when signed."""
    _check_site(reading, site)
    line = note_text(text)
    if line == reading.notes.get(site, ""):
        return reading
    notes = {each: kept for each, kept in reading.notes.items() if each != site}
    if line:
        notes[site] = line
    return replace(logged(reading, "note", {}, at, key, site=site, note=line), notes=notes)


def note_text(text: str) -> str:
    """`text` as a note is kept: one line of at most NOTE_LENGTH characters that is safe to print."""
    return clean(" ".join(text.split()), NOTE_LENGTH)


def apply_regions(reading: Reading, absent: Iterable[Slot], *, at: datetime | None = None) -> Reading:
    """`reading` with the slots of `absent` not assessable, and those that came back onto their film open again."""
    now = frozenset(Slot(*slot) for slot in absent)
    now = frozenset(slot for slot in now if slot.site in reading.site_keys and slot.time in reading.order)
    if now == reading.absent:
        return reading
    if reading.signed:
        raise EntryRefused(Refusal("signed"), reading.case, "Reopen the reading first")
    outside = NotAssessable(reading.scheme.outside.id)
    new: dict[Field, Entry | None] = {}
    for slot in sorted(reading.absent - now):
        new.update(dict.fromkeys(reading.slot_fields(slot)))
    for slot in sorted(now - reading.absent):
        new.update(dict.fromkeys(reading.slot_fields(slot), outside))
    return replace(logged(reading, "regions", new, at, ""), absent=now)


def sign(reading: Reading, *, at: datetime) -> Reading:
    """`reading` finished and locked. Raises EntryRefused while a field is open, and when it is signed already."""
    if reading.signed:
        raise EntryRefused(Refusal("signed"), reading.case)
    if not reading.complete:
        raise EntryRefused(Refusal("still_open", {"count": len(reading.open_fields)}), reading.case)
    return replace(logged(reading, "sign", {}, at, ""), signed=at)


def reopen(reading: Reading, why: str, *, at: datetime | None = None) -> Reading:
    """A signed reading open again; that it was, and why, stays in its log."""
    if not reading.signed:
        raise EntryRefused(Refusal("not_signed"), reading.case)
    reason = note_text(why)
    if not reason:
        raise EntryRefused(Refusal("needs_reason"), reading.case)
    return replace(logged(reading, "reopen", {}, at, "", note=reason), signed=None)


def _check_site(reading: Reading, site: str) -> None:
    reading.site(site)
    if reading.signed:
        raise EntryRefused(Refusal("signed"), site)
