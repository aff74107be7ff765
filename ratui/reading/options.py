"""What may be entered now, and why the rest may not: the only source of both.

Pure questions to a `Reading`; it changes nothing. In a study blinded to order no answer looks at which time point
came first.
"""

from __future__ import annotations

from dataclasses import dataclass

from ratui.errors import Refusal
from ratui.reading.holds import can_follow_irreversible, find_irreversible_before, find_joint_wide_cause
from ratui.reading.model import Entry, Field, FindingEntry, GradeEntry, NotAssessableEntry, Reading, Slot
from ratui.scheme import Finding, Grade, Reason

__all__ = [
    "EntryOptions",
    "can_be_normal",
    "find_copyable_entry",
    "find_next_open_field",
    "find_refusal",
    "list_options",
]


@dataclass(frozen=True)
class EntryOptions:
    """What may be entered at one field now. The booleans say which commands make sense there."""

    grades: tuple[Grade, ...] = ()
    findings: tuple[Finding, ...] = ()
    reasons: tuple[Reason, ...] = ()
    can_clear: bool = False
    can_enter_normal: bool = False
    can_copy: bool = False

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every entry that `enter` accepts."""
        return (
            *(GradeEntry(grade.value) for grade in self.grades),
            *(FindingEntry(finding.id) for finding in self.findings),
            *(NotAssessableEntry(reason.id) for reason in self.reasons),
        )


def list_options(reading: Reading, field: Field) -> EntryOptions:
    """What may be entered at `field` now. Raises EntryError for a field that the reading lacks."""
    reading.field_index(field)
    joint = reading.site(field.site).joint

    def allowed(entry: Entry) -> bool:
        return find_refusal(reading, field, entry) is None

    return EntryOptions(
        grades=tuple(grade for grade in joint.grades[field.scale] if allowed(GradeEntry(grade.value))),
        findings=tuple(finding for finding in reading.scheme.findings if allowed(FindingEntry(finding.id))),
        reasons=tuple(reason for reason in reading.scheme.reasons if allowed(NotAssessableEntry(reason.id))),
        can_clear=not reading.signed_at
        and field in reading.values
        and Slot(field.site, field.time) not in reading.absent,
        can_enter_normal=can_be_normal(reading, field.site),
        can_copy=find_copyable_entry(reading, field) is not None,
    )


def find_refusal(reading: Reading, field: Field, entry: Entry) -> Refusal | None:
    """Why `entry` can't be made at `field`, or None when it can."""
    if reading.signed_at:
        return Refusal("signed")
    slot = Slot(field.site, field.time)
    if slot in reading.absent:
        return Refusal("absent")
    joint = reading.site(field.site).joint
    match entry:
        case GradeEntry(grade):
            if grade not in {each.value for each in joint.grades[field.scale]}:
                return Refusal("out_of_range", {"scale": field.scale, "maximum": joint.max_grade(field.scale)})
            held = find_joint_wide_cause(reading, reading.values.get(field))
            if held:
                return Refusal("fixed", {"id": held.id, "label": held.label})
        case FindingEntry(id):
            if id not in {each.id for each in reading.scheme.findings}:
                return Refusal("no_finding")
            if not joint.scales_fixed_by(reading.scheme.finding(id)):
                return Refusal("sets_nothing")
        case NotAssessableEntry(id):
            if id not in {each.id for each in reading.scheme.reasons}:
                return Refusal("no_reason")
    lasting = find_irreversible_before(reading, slot)
    if lasting and not can_follow_irreversible(reading.scheme, entry):
        return Refusal("does_not_heal", {"id": lasting.id, "label": lasting.label})
    return None


def find_next_open_field(reading: Reading, after: Field | None = None) -> Field | None:
    """The open field to ask for next: in the joint of `after` first, then behind it, then from the start."""
    opened = reading.open_fields
    if after is not None:
        here = [field for field in opened if field.site == after.site]
        behind = [field for field in opened if reading.field_index(field) > reading.field_index(after)]
        opened = (*here, *behind, *opened)
    return opened[0] if opened else None


def can_be_normal(reading: Reading, site: str) -> bool:
    """Whether `site` has open fields, and each of them may be 0."""
    opened = [field for field in reading.joint_fields(site) if field not in reading.values]
    return bool(opened) and all(find_refusal(reading, field, GradeEntry(0)) is None for field in opened)


def find_copyable_entry(reading: Reading, field: Field) -> Entry | None:
    """What stands at the other time point and may be entered at `field` too; None in a blinded study."""
    if reading.is_blinded or len(reading.order) != 2:
        return None
    entry = reading.values.get(reading.counterparts(field)[0])
    if entry is None or entry == reading.values.get(field) or find_refusal(reading, field, entry) is not None:
        return None
    return entry
