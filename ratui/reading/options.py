"""Rules of entry: the entries that a field accepts now, and the fields that an entry changes.

No other module decides what a rater may enter. The functions are pure. In a study that is blinded to order, no result
depends on which time point is earlier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ratui.errors import Refusal
from ratui.reading.model import Entry, Field, FindingEntry, GradeEntry, NotAssessableEntry, Reading, Slot
from ratui.scheme import Finding, Grade, Reason, Scheme

__all__ = [
    "EntryOptions",
    "can_be_normal",
    "find_copy_source",
    "find_copyable_entry",
    "find_effects",
    "find_next_open_field",
    "find_refusal",
    "find_reopened_fields",
    "find_resume_field",
    "list_options",
]


@dataclass(frozen=True)
class EntryOptions:
    """Entries and commands that one field accepts now.

    Attributes
    ----------
    grades, findings, reasons
        The accepted entries, in the scheme's order.
    can_clear
        True if `clear` can open the field again.
    can_enter_normal
        True if `enter_normal` can fill the open fields of the site with grade 0.
    can_copy
        True if `copy_entry` can copy the entry of the other time point, or of the previous one of several.
    """

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
    """Return the entries and commands that `field` accepts now.

    Raises EntryError if the reading has no such field.

    Examples
    --------
    Ankylosis at the earlier time point (0) does not heal, so no grade can follow at the later one (1):

    >>> from ratui.reading import Field, FindingEntry, enter, list_options, start_reading
    >>> from ratui.scheme import load_scheme
    >>> scheme = load_scheme("mtss")
    >>> reading = start_reading(scheme, "C-1", "anna", scheme.sites)
    >>> [grade.value for grade in list_options(reading, Field("L.MCP2", "ERO", 1)).grades]
    [0, 1, 2, 3, 4, 5]
    >>> reading = enter(reading, Field("L.MCP2", "ERO", 0), FindingEntry("ankylosis"))
    >>> options = list_options(reading, Field("L.MCP2", "ERO", 1))
    >>> options.grades
    ()
    >>> [finding.id for finding in options.findings]
    ['ankylosis', 'collapse']
    """
    reading.field_index(field)
    joint = reading.site(field.site).joint

    def is_allowed(entry: Entry) -> bool:
        return find_refusal(reading, field, entry) is None

    return EntryOptions(
        grades=tuple(grade for grade in joint.grades[field.scale] if is_allowed(GradeEntry(grade.value))),
        findings=tuple(finding for finding in reading.scheme.findings if is_allowed(FindingEntry(finding.id))),
        reasons=tuple(reason for reason in reading.scheme.reasons if is_allowed(NotAssessableEntry(reason.id))),
        can_clear=not reading.signed_at
        and field in reading.values
        and Slot(field.site, field.time) not in reading.absent,
        can_enter_normal=can_be_normal(reading, field.site),
        can_copy=find_copyable_entry(reading, field) is not None,
    )


def find_refusal(reading: Reading, field: Field, entry: Entry) -> Refusal | None:
    """Return the reason why `field` rejects `entry`, or None if it accepts it.

    A field accepts the grades that the scheme lists for its site and scale (in the modified total Sharp score, van der
    Heijde: erosion 0–5 in hands and 0–10 in feet, joint space narrowing 0–4). A score that a finding sets cannot be typed
    over. After a finding that does not heal, the later time points accept only such a finding or *not assessable*. A
    score may fall otherwise, because repair is real. The last rule needs the order of the time points, so it does not
    apply in a blinded study.
    """
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
            cause = _find_joint_wide_cause(reading, reading.values.get(field))
            if cause:
                return Refusal("fixed", {"id": cause.id, "label": cause.label})
        case FindingEntry(id):
            if id not in {each.id for each in reading.scheme.findings}:
                return Refusal("no_finding")
            if not joint.scales_fixed_by(reading.scheme.finding(id)):
                return Refusal("sets_nothing")
        case NotAssessableEntry(id):
            if id not in {each.id for each in reading.scheme.reasons}:
                return Refusal("no_reason")
    irreversible = _find_irreversible_before(reading, slot)
    if irreversible and not _can_follow_irreversible(reading.scheme, entry):
        return Refusal("does_not_heal", {"id": irreversible.id, "label": irreversible.label})
    return None


def find_next_open_field(reading: Reading, after: Field | None = None) -> Field | None:
    """Return the open field to ask for next, or None if all are filled.

    Reading order decides. With `after`, its site comes first, then the fields behind it, then those before it.
    """
    open_fields = reading.open_fields
    if after is not None:
        here = [field for field in open_fields if field.site == after.site]
        behind = [field for field in open_fields if reading.field_index(field) > reading.field_index(after)]
        open_fields = (*here, *behind, *open_fields)
    return open_fields[0] if open_fields else None


def find_resume_field(reading: Reading) -> Field:
    """Return the field to continue with when a reading is opened again.

    This is the first open field after the last entry of the log; the field itself if it was undone or cleared; the first
    field if all are answered.
    """
    for entry in reversed(reading.log):
        # Changed regions, other films and adopted answers are not the rater's last position.
        if entry.kind in ("regions", "films", "adopt"):
            continue
        # Films of an entry may have been withdrawn since.
        field = next((change.field for change in entry.changes if reading.has_field(change.field)), None)
        if field is None:
            continue
        if entry.kind in ("undo", "clear") and field not in reading.values:
            return field
        return find_next_open_field(reading, after=field) or field
    return find_next_open_field(reading) or reading.fields[0]


def can_be_normal(reading: Reading, site: str) -> bool:
    """Return True if `site` has open fields and each of them accepts grade 0."""
    open_fields = [field for field in reading.joint_fields(site) if field not in reading.values]
    return bool(open_fields) and all(find_refusal(reading, field, GradeEntry(0)) is None for field in open_fields)


def find_copyable_entry(reading: Reading, field: Field) -> Entry | None:
    """Return the entry at the time point to copy from if `field` accepts it and differs from it, else None.

    With two time points that is the other one. With more it is the previous one with a film of the site. None also in a
    blinded study: a finding that does not heal can be copied forward but not always backward, so the command would show
    the order.
    """
    source = None if reading.is_blinded else find_copy_source(reading, field)
    entry = None if source is None else reading.values.get(source)
    if entry is None or entry == reading.values.get(field) or find_refusal(reading, field, entry) is not None:
        return None
    return entry


def find_copy_source(reading: Reading, field: Field) -> Field | None:
    """Return the field whose entry `copy_entry` copies to `field`, or None if there is none. It may be open."""
    others = reading.counterparts(field)
    if len(reading.order) > 2:
        others = tuple(sorted(other for other in others if other.time < field.time))
    return others[-1] if others else None


def find_effects(reading: Reading, field: Field, entry: Entry) -> Mapping[Field, Entry | None]:
    """Return every field that changes when `entry` is made at `field`, with its new value. None opens a field.

    The function does not check whether `field` accepts `entry`.

    A finding fills every scale that it sets at that time point, and replaces earlier entries there. A finding that does
    not heal also opens entries at all later time points that cannot follow it, except in a blinded study.
    """
    slot = Slot(field.site, field.time)
    fields = reading.slot_fields(slot)
    new: dict[Field, Entry | None] = dict(find_reopened_fields(reading, field))
    match entry:
        case FindingEntry(id):
            finding = reading.scheme.finding(id)
            fixed = reading.site(field.site).joint.scales_fixed_by(finding)
            for each in fields:
                if each.scale in fixed:
                    new[each] = entry
                elif _find_joint_wide_cause(reading, reading.values.get(each)):
                    # The new finding leaves this scale open (subluxation sets JSN only); the old finding must not stay
                    # in half of the joint.
                    new[each] = None
            if not finding.heals and not reading.is_blinded:
                for later in (Slot(slot.site, time) for time in reading.order if time > slot.time):
                    for each in reading.slot_fields(later):
                        value = reading.values.get(each)
                        if value is not None and not _can_follow_irreversible(reading.scheme, value):
                            new[each] = None
        case NotAssessableEntry(id) if reading.scheme.reason(id).whole_joint:
            new.update(dict.fromkeys(fields, entry))
        case _:
            new[field] = entry
    return new


def find_reopened_fields(reading: Reading, field: Field) -> Mapping[Field, None]:
    """Return the fields that open when `field` changes, because one finding or reason filled them together."""
    value = reading.values.get(field)
    if not _find_joint_wide_cause(reading, value):
        return {}
    slot = Slot(field.site, field.time)
    return {each: None for each in reading.slot_fields(slot) if reading.values.get(each) == value}


def _find_joint_wide_cause(reading: Reading, value: Entry | None) -> Finding | Reason | None:
    """Return the finding, or the reason for the whole joint, that `value` names. None for other values."""
    match value:
        case FindingEntry(id):
            return reading.scheme.finding(id)
        case NotAssessableEntry(id) if (reason := reading.scheme.reason(id)).whole_joint:
            return reason
        case _:
            return None


def _find_irreversible_before(reading: Reading, slot: Slot) -> Finding | None:
    """Return the finding at an earlier time point that cannot have healed by `slot`. None in a blinded study."""
    if reading.is_blinded:
        return None
    for time in sorted(time for time in reading.order if time < slot.time):
        finding = reading.finding(Slot(slot.site, time))
        if finding and not finding.heals:
            return finding
    return None


def _can_follow_irreversible(scheme: Scheme, entry: Entry) -> bool:
    """Return True if `entry` can come after a finding that does not heal."""
    match entry:
        case FindingEntry(finding):
            return not scheme.finding(finding).heals
        case NotAssessableEntry():
            return True
        case _:
            return False
