"""What may be entered now, and why the rest may not: the only source of both.

Pure questions to a `Reading`; it changes nothing. In a study blinded to order no answer looks at which time point
came first.
"""

from __future__ import annotations

from dataclasses import dataclass

from ratui.errors import Refusal
from ratui.reading.holds import held_whole, lasting_before, may_follow_lasting
from ratui.reading.model import Entry, Field, Found, Graded, NotAssessable, Reading, Slot
from ratui.scheme import Finding, Grade, Reason

__all__ = ["Options", "can_be_normal", "next_open", "options", "refusal", "twin_entry"]


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
        clear=not reading.signed and field in reading.values and Slot(field.site, field.time) not in reading.absent,
        normal=can_be_normal(reading, field.site),
        same=twin_entry(reading, field) is not None,
    )


def refusal(reading: Reading, field: Field, entry: Entry) -> Refusal | None:
    """Why `entry` can't be made at `field`, or None when it can."""
    if reading.signed:
        return Refusal("signed")
    slot = Slot(field.site, field.time)
    if slot in reading.absent:
        return Refusal("absent")
    joint = reading.site(field.site).joint
    match entry:
        case Graded(grade):
            if grade not in {each.value for each in joint.grades[field.scale]}:
                return Refusal("out_of_range", {"scale": field.scale, "maximum": joint.maximum(field.scale)})
            held = held_whole(reading, reading.values.get(field))
            if held:
                return Refusal("fixed", {"id": held.id, "label": held.label})
        case Found(id):
            if id not in {each.id for each in reading.scheme.findings}:
                return Refusal("no_finding")
            if not joint.fixed_by(reading.scheme.finding(id)):
                return Refusal("sets_nothing")
        case NotAssessable(id):
            if id not in {each.id for each in reading.scheme.reasons}:
                return Refusal("no_reason")
    lasting = lasting_before(reading, slot)
    if lasting and not may_follow_lasting(reading.scheme, entry):
        return Refusal("does_not_heal", {"id": lasting.id, "label": lasting.label})
    return None


def next_open(reading: Reading, after: Field | None = None) -> Field | None:
    """The open field to ask for next: in the joint of `after` first, then behind it, then from the start."""
    opened = reading.open_fields
    if after is not None:
        here = [field for field in opened if field.site == after.site]
        behind = [field for field in opened if reading.place(field) > reading.place(after)]
        opened = (*here, *behind, *opened)
    return opened[0] if opened else None


def can_be_normal(reading: Reading, site: str) -> bool:
    """Whether `site` has open fields, and each of them may be 0."""
    opened = [field for field in reading.joint_fields(site) if field not in reading.values]
    return bool(opened) and all(refusal(reading, field, Graded(0)) is None for field in opened)


def twin_entry(reading: Reading, field: Field) -> Entry | None:
    """What stands at the other time point and may be entered at `field` too; None in a blinded study."""
    if reading.blinded or len(reading.order) != 2:
        return None
    entry = reading.values.get(reading.twins(field)[0])
    if entry is None or entry == reading.values.get(field) or refusal(reading, field, entry) is not None:
        return None
    return entry
