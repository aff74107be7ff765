"""What may be entered, and what an entry does: the only source of both.

Pure functions from a `Reading` to a new one. A screen draws its keys from `options`; nothing is entered past `enter`.
In a study blinded to order no rule looks at which time point came first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from ratui.errors import EntryRefused
from ratui.reading.holds import held_whole, lasting_before, may_follow_lasting
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
from ratui.scheme import Finding, Grade, Reason, Scheme, Site

__all__ = [
    "Options",
    "apply_regions",
    "clear",
    "enter",
    "next_open",
    "normal",
    "options",
    "refusal",
    "reopen",
    "same",
    "sign",
    "start",
    "undo",
    "undoable",
]


@dataclass(frozen=True)
class Options:
    """What may be entered at one field now. `clear`, `normal` and `same` say whether those commands make sense here."""

    grades: tuple[Grade, ...] = ()
    findings: tuple[Finding, ...] = ()
    reasons: tuple[Reason, ...] = ()
    clear: bool = False
    normal: bool = False
    same: bool = False

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every entry that `enter` accepts."""
        return (
            *(Graded(grade.value) for grade in self.grades),
            *(Found(finding.id) for finding in self.findings),
            *(NotAssessable(reason.id) for reason in self.reasons),
        )


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


def options(reading: Reading, field: Field) -> Options:
    """What may be entered at `field` now. Raises EntryRefused for a field that the reading lacks."""
    reading.place(field)
    joint = reading.site(field.site).joint

    def allowed(entry: Entry) -> bool:
        return refusal(reading, field, entry) is None

    return Options(
        grades=tuple(grade for grade in joint.grades[field.scale] if allowed(Graded(grade.value))),
        findings=tuple(finding for finding in reading.scheme.findings if allowed(Found(finding.id))),
        reasons=tuple(reason for reason in reading.scheme.reasons if allowed(NotAssessable(reason.id))),
        clear=not reading.signed and field in reading.values and _slot(field) not in reading.absent,
        normal=_can_be_normal(reading, field.site),
        same=_twin_entry(reading, field) is not None,
    )


def refusal(reading: Reading, field: Field, entry: Entry) -> str | None:
    """Why `entry` can't be made at `field`, in a few words, or None when it can."""
    if reading.signed:
        return "signed"
    slot = _slot(field)
    if slot in reading.absent:
        return "not on this film"
    joint = reading.site(field.site).joint
    held = held_whole(reading, reading.values.get(field))
    match entry:
        case Graded(grade):
            if grade not in {each.value for each in joint.grades[field.scale]}:
                return f"{field.scale} here goes from 0 to {joint.maximum(field.scale)}"
            if held:
                return f"fixed by {held}"
        case Found(id):
            if id not in {each.id for each in reading.scheme.findings}:
                return "no such finding"
            if not joint.fixed_by(reading.scheme.finding(id)):
                return "sets no score here"
        case NotAssessable(id):
            if id not in {each.id for each in reading.scheme.reasons}:
                return "no such reason"
    lasting = lasting_before(reading, slot)
    if lasting and not may_follow_lasting(reading.scheme, entry):
        return f"{lasting.label} does not heal"
    return None


def enter(reading: Reading, field: Field, entry: Entry, *, at: datetime | None = None, key: str = "") -> Reading:
    """`reading` with `entry` at `field`, and with everything that follows from it.

    A finding fixes its scores at that time point and replaces what stood there. A lasting finding at the
    first time point reopens what it rules out at the second, unless the study is blinded. Raises EntryRefused when
    `options` lacks it.
    """
    reading.place(field)
    why = refusal(reading, field, entry)
    if why:
        raise EntryRefused(why, f"{field.site} {field.scale}")
    return _logged(reading, "enter", _consequences(reading, field, entry), at, key)


def normal(reading: Reading, site: str, *, at: datetime | None = None, key: str = "") -> Reading:
    """Grade 0 in every open field of `site`, as one entry. Raises EntryRefused where one of them can't be 0."""
    if not _can_be_normal(reading, site):
        raise EntryRefused("not normal in all its open fields", site)
    new = {field: Graded(0) for field in reading.joint_fields(site) if field not in reading.values}
    return _logged(reading, "normal", new, at, key)


def same(reading: Reading, field: Field, *, at: datetime | None = None, key: str = "") -> Reading:
    """At `field` what stands at the other time point. Raises EntryRefused where that is nothing, or can't be."""
    entry = _twin_entry(reading, field)
    if entry is None:
        raise EntryRefused("nothing to take over", f"{field.site} {field.scale}")
    return _logged(reading, "same", _consequences(reading, field, entry), at, key)


def clear(reading: Reading, field: Field, *, at: datetime | None = None, key: str = "") -> Reading:
    """`field` open again, with every field that the same finding or reason filled at that time point."""
    if not options(reading, field).clear:
        raise EntryRefused("nothing to clear", f"{field.site} {field.scale}")
    return _logged(reading, "clear", {field: None, **_released(reading, field)}, at, key)


def undoable(reading: Reading) -> LogEntry | None:
    """The entry that `undo` would take back, or None."""
    if reading.signed:
        return None
    undone = {entry.undoes for entry in reading.log}
    for entry in reversed(reading.log):
        if entry.kind in ("enter", "normal", "same", "clear") and entry.number not in undone:
            return entry
    return None


def undo(reading: Reading, *, at: datetime | None = None, key: str = "") -> Reading:
    """The last entry that still stands taken back, as an entry of its own. Raises EntryRefused when there is none.

    What the regions have taken off the film since then stays off.
    """
    last = undoable(reading)
    if last is None:
        raise EntryRefused("signed" if reading.signed else "nothing to undo", reading.case)
    old = {change.field: change.old for change in last.changes if _slot(change.field) not in reading.absent}
    return _logged(reading, "undo", old, at, key, undoes=last.number)


def apply_regions(reading: Reading, absent: Iterable[Slot], *, at: datetime | None = None) -> Reading:
    """`reading` with the slots of `absent` not assessable, and those that came back onto their film open again."""
    now = frozenset(Slot(*slot) for slot in absent)
    now = frozenset(slot for slot in now if slot.site in reading._sites and slot.time in reading.order)
    if now == reading.absent:
        return reading
    if reading.signed:
        raise EntryRefused("signed", reading.case, "Reopen the reading first")
    outside = NotAssessable(reading.scheme.outside.id)
    new: dict[Field, Entry | None] = {}
    for slot in sorted(reading.absent - now):
        new.update(dict.fromkeys(reading.slot_fields(slot)))
    for slot in sorted(now - reading.absent):
        new.update(dict.fromkeys(reading.slot_fields(slot), outside))
    return replace(_logged(reading, "regions", new, at, ""), absent=now)


def sign(reading: Reading, *, at: datetime) -> Reading:
    """`reading` finished and locked. Raises EntryRefused while a field is open, and when it is signed already."""
    if reading.signed:
        raise EntryRefused("signed already", reading.case)
    if not reading.complete:
        missing = len(reading.open_fields)
        raise EntryRefused(f"{missing} field{'s are' if missing > 1 else ' is'} still open", reading.case)
    return replace(_logged(reading, "sign", {}, at, ""), signed=at)


def reopen(reading: Reading, why: str, *, at: datetime | None = None) -> Reading:
    """A signed reading open again; that it was, and why, stays in its log."""
    if not reading.signed:
        raise EntryRefused("not signed", reading.case)
    if not why.strip():
        raise EntryRefused("a reason is needed to reopen", reading.case)
    return replace(_logged(reading, "reopen", {}, at, "", note=why), signed=None)


def next_open(reading: Reading, after: Field | None = None) -> Field | None:
    """The open field to ask for next: in the joint of `after` first, then behind it, then from the start."""
    opened = reading.open_fields
    if after is not None:
        here = [field for field in opened if field.site == after.site]
        behind = [field for field in opened if reading.place(field) > reading.place(after)]
        opened = (*here, *behind, *opened)
    return opened[0] if opened else None


def _slot(field: Field) -> Slot:
    return Slot(field.site, field.time)


def _released(reading: Reading, field: Field) -> dict[Field, Entry | None]:
    """The fields of the slot that were filled together with `field` and can't stay when it changes, each open."""
    value = reading.values.get(field)
    if not held_whole(reading, value):
        return {}
    return {each: None for each in reading.slot_fields(_slot(field)) if reading.values.get(each) == value}


def _consequences(reading: Reading, field: Field, entry: Entry) -> dict[Field, Entry | None]:
    """Every field that changes when `entry` is made at `field`, with its new value."""
    slot = _slot(field)
    fields = reading.slot_fields(slot)
    new = _released(reading, field)
    match entry:
        case Found(id):
            finding = reading.scheme.finding(id)
            fixed = reading.site(field.site).joint.fixed_by(finding)
            for each in fields:
                if each.scale in fixed:
                    new[each] = entry
                elif held_whole(reading, reading.values.get(each)):
                    new[each] = None
            if not finding.heals and not reading.blinded:
                for later in (Slot(slot.site, time) for time in reading.order if time > slot.time):
                    for each in reading.slot_fields(later):
                        value = reading.values.get(each)
                        if value is not None and not may_follow_lasting(reading.scheme, value):
                            new[each] = None
        case NotAssessable(id) if reading.scheme.reason(id).whole_joint:
            new.update(dict.fromkeys(fields, entry))
        case _:
            new[field] = entry
    return new


def _can_be_normal(reading: Reading, site: str) -> bool:
    opened = [field for field in reading.joint_fields(site) if field not in reading.values]
    return bool(opened) and all(refusal(reading, field, Graded(0)) is None for field in opened)


def _twin_entry(reading: Reading, field: Field) -> Entry | None:
    """What stands at the other time point and may be entered at `field` too; None in a blinded study."""
    if reading.blinded or len(reading.order) != 2:
        return None
    twin = field._replace(time=next(time for time in reading.order if time != field.time))
    entry = reading.values.get(twin)
    if entry is None or entry == reading.values.get(field) or refusal(reading, field, entry) is not None:
        return None
    return entry


def _logged(
    reading: Reading,
    kind: LogKind,
    new: Mapping[Field, Entry | None],
    at: datetime | None,
    key: str,
    *,
    undoes: int | None = None,
    note: str = "",
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
    entry = LogEntry(len(reading.log) + 1, at, kind, key, tuple(changes), undoes, note)
    return replace(reading, values=values, log=(*reading.log, entry))
