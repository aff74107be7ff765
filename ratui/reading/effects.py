"""What follows from an entry: every field that changes with it. It decides nothing about what may be entered."""

from __future__ import annotations

from collections.abc import Mapping

from ratui.reading.holds import held_whole, may_follow_lasting
from ratui.reading.model import Entry, Field, Found, NotAssessable, Reading, Slot

__all__ = ["consequences", "released"]


def consequences(reading: Reading, field: Field, entry: Entry) -> Mapping[Field, Entry | None]:
    """Every field that changes when `entry` is made at `field`, with its new value; None opens one.

    A finding fixes its scores at that time point and replaces what stood there. A lasting finding at the first time
    point reopens what it rules out at the second, unless the study is blinded.
    """
    slot = Slot(field.site, field.time)
    fields = reading.slot_fields(slot)
    new: dict[Field, Entry | None] = dict(released(reading, field))
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


def released(reading: Reading, field: Field) -> Mapping[Field, None]:
    """The fields that were filled together with `field` and can't stay when it changes."""
    value = reading.values.get(field)
    if not held_whole(reading, value):
        return {}
    slot = Slot(field.site, field.time)
    return {each: None for each in reading.slot_fields(slot) if reading.values.get(each) == value}
