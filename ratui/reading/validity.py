"""Whether a reading as a whole is one that can be: the definition that stored files and tests are held against.

Written apart from the rules of entry, so that the one proves the other.
"""

from __future__ import annotations

from collections.abc import Iterable

from ratui.reading.holds import lasting_before, may_follow_lasting
from ratui.reading.model import Found, Graded, NotAssessable, Reading, Slot

__all__ = ["problems"]


def problems(reading: Reading) -> tuple[str, ...]:
    """What is wrong with `reading` as a whole, in words; empty for every reading that the functions here can make."""
    found: list[str] = []
    known = set(reading.fields)
    for field, value in reading.values.items():
        name = f"{field.site} {field.scale} at {field.time}"
        if field not in known:
            found.append(f"{name} is not a field of this reading")
            continue
        joint = reading.site(field.site).joint
        if isinstance(value, Graded) and value.grade not in {grade.value for grade in joint.grades[field.scale]}:
            found.append(f"{name} has no grade {value.grade}")
        if isinstance(value, Found) and reading.score(field) is None:
            found.append(f"{name} is not set by {value.finding}")
    if found:
        return tuple(found)
    for slot in (Slot(site.key, time) for site in reading.sites for time in reading.order):
        found.extend(_slot_problems(reading, slot))
    if reading.signed and not reading.complete:
        found.append("signed with open fields")
    return tuple(found)


def _slot_problems(reading: Reading, slot: Slot) -> Iterable[str]:
    joint = reading.site(slot.site).joint
    values = {field.scale: reading.values.get(field) for field in reading.slot_fields(slot)}
    findings = {value.finding for value in values.values() if isinstance(value, Found)}
    name = f"{slot.site} at {slot.time}"
    if len(findings) > 1:
        yield f"{name} has two findings"
    for finding in findings:
        fixed = joint.fixed_by(reading.scheme.finding(finding))
        if {scale for scale, value in values.items() if value == Found(finding)} != set(fixed):
            yield f"{name} holds {finding} in some of its fields only"
    whole = {v for v in values.values() if isinstance(v, NotAssessable) and reading.scheme.reason(v.reason).whole_joint}
    if whole and len(set(values.values())) > 1:
        yield f"{name} is not assessable in some of its fields only"
    if slot in reading.absent and set(values.values()) != {NotAssessable(reading.scheme.outside.id)}:
        yield f"{name} is not on its film, yet has an entry"
    lasting = lasting_before(reading, slot)
    if lasting and any(v is not None and not may_follow_lasting(reading.scheme, v) for v in values.values()):
        yield f"{name} follows {lasting.id}, which does not heal"
