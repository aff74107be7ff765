"""What follows from an entry: every field that changes with it. It decides nothing about what may be entered."""

from __future__ import annotations

from collections.abc import Mapping

from ratui.reading.holds import can_follow_irreversible, find_joint_wide_cause
from ratui.reading.model import Entry, Field, FindingEntry, NotAssessableEntry, Reading, Slot

__all__ = ["effects_of", "find_reopened_fields"]


def effects_of(reading: Reading, field: Field, entry: Entry) -> Mapping[Field, Entry | None]:
    """Every field that changes when `entry` is made at `field`, with its new value; None opens one.

    A finding fixes its scores at that time point and replaces what stood there. A lasting finding at the first time
    point reopens what it rules out at the second, unless the study is blinded.
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
                elif find_joint_wide_cause(reading, reading.values.get(each)):
                    new[each] = None
            if not finding.heals and not reading.is_blinded:
                for later in (Slot(slot.site, time) for time in reading.order if time > slot.time):
                    for each in reading.slot_fields(later):
                        value = reading.values.get(each)
                        if value is not None and not can_follow_irreversible(reading.scheme, value):
                            new[each] = None
        case NotAssessableEntry(id) if reading.scheme.reason(id).whole_joint:
            new.update(dict.fromkeys(fields, entry))
        case _:
            new[field] = entry
    return new


def find_reopened_fields(reading: Reading, field: Field) -> Mapping[Field, None]:
    """The fields that were filled together with `field` and can't stay when it changes."""
    value = reading.values.get(field)
    if not find_joint_wide_cause(reading, value):
        return {}
    slot = Slot(field.site, field.time)
    return {each: None for each in reading.slot_fields(slot) if reading.values.get(each) == value}
