"""Definition of a valid reading, independent of the rules of entry.

Stored files and the tests of the rules are checked against it. It shares only the value classes with the rules, so
that each can prove the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ratui.errors import clean_text
from ratui.reading.log import replay
from ratui.reading.model import (
    MAX_NOTE_LENGTH,
    Entry,
    Field,
    FindingEntry,
    GradeEntry,
    NotAssessableEntry,
    Reading,
    Slot,
)

__all__ = ["find_log_problems", "find_problems"]


def find_problems(reading: Reading) -> tuple[str, ...]:
    """Return descriptions of all contradictions in the values of `reading`.

    Empty for every reading that the commands can make.
    """
    found: list[str] = []
    grades = reading.layout.grades
    special = {*reading.absent}
    for field, value in reading.values.items():
        possible = grades.get(field)
        if possible is None:
            found.append(f"{_describe(field)} is not a field of this reading")
        elif isinstance(value, GradeEntry):
            if value.grade not in possible:
                found.append(f"{_describe(field)} has no grade {value.grade}")
        else:
            special.add(Slot(field.site, field.time))
            if isinstance(value, FindingEntry) and reading.score(field) is None:
                found.append(f"{_describe(field)} is not set by {value.finding}")
    found.extend(_find_unfilmed_problems(reading))
    if found:
        return tuple(found)
    # Grades alone contradict nothing, so only sites with other values are looked at.
    special_sites = {slot.site for slot in special}
    for site in reading.sites:
        if site.key in special_sites:
            for time in reading.order:
                found.extend(_find_slot_problems(reading, Slot(site.key, time)))
            if not reading.is_blinded:
                found.extend(_find_order_problems(reading, site.key))
    if reading.signed_at and not reading.is_complete:
        found.append("it is signed, but fields are open")
    known_sites = reading.site_keys
    found.extend(
        f"{clean_text(site)} is flagged, but is not a site of this reading" for site in reading.flags - known_sites
    )
    for key, text in reading.notes.items():
        if key not in known_sites:
            found.append(f"{clean_text(key)} has a note, but is not a site of this reading")
        if not text or text != clean_text(text, MAX_NOTE_LENGTH):
            found.append(f"the note on {clean_text(key)} is not one printable line")
    return tuple(found)


def _describe(field: Field) -> str:
    return f"{field.site} {field.scale} at {field.time}"


def find_log_problems(reading: Reading) -> tuple[str, ...]:
    """Return descriptions of the differences between `reading` and the state that its log leads to.

    Empty for every reading that the commands can make.
    """
    replayed = replay(reading.log)
    if replayed.contradiction:
        return (replayed.contradiction,)
    pairs: dict[str, tuple[object, object]] = {
        "fields": (replayed.values, dict(reading.values)),
        "flags": (replayed.flags, reading.flags),
        "notes": (replayed.notes, dict(reading.notes)),
        "signature": (replayed.signed_at, reading.signed_at),
    }
    return tuple(f"the log does not reproduce its {name}" for name, (one, other) in pairs.items() if one != other)


def _find_unfilmed_problems(reading: Reading) -> Iterable[str]:
    """Yield contradictions of slots without a film. Each site needs films of two time points, or of the only one."""
    if not reading.unfilmed:
        return
    known = {Slot(site.key, time) for site in reading.sites for time in reading.order}
    for slot in sorted(reading.unfilmed - known):
        yield f"{clean_text(slot.site)} at {slot.time} is without a film, but is not a slot of this reading"
    for slot in sorted(reading.unfilmed & reading.absent):
        yield f"{slot.site} at {slot.time} is without a film, but also outside it"
    for site in reading.sites:
        filmed = sum(Slot(site.key, time) not in reading.unfilmed for time in reading.order)
        if filmed < min(2, len(reading.order)):
            yield f"{site.key} has films of too few time points"


def _find_slot_problems(reading: Reading, slot: Slot) -> Iterable[str]:
    """Yield contradictions among the fields of one site at one time point."""
    joint = reading.site(slot.site).joint
    values = {field.scale: reading.values.get(field) for field in reading.slot_fields(slot)}
    findings = {value.finding for value in values.values() if isinstance(value, FindingEntry)}
    name = f"{slot.site} at {slot.time}"
    if len(findings) > 1:
        yield f"{name} has two findings"
    for finding in findings:
        fixed = joint.scales_fixed_by(reading.scheme.finding(finding))
        if {scale for scale, value in values.items() if value == FindingEntry(finding)} != set(fixed):
            yield f"{name} has {finding} in some of its fields only"
    whole = {
        v for v in values.values() if isinstance(v, NotAssessableEntry) and reading.scheme.reason(v.reason).whole_joint
    }
    if whole and len(set(values.values())) > 1:
        yield f"{name} is not assessable in some of its fields only"
    if slot in reading.absent and set(values.values()) != {NotAssessableEntry(reading.scheme.off_film_reason.id)}:
        yield f"{name} is not on its film, but has an entry"


def _find_order_problems(reading: Reading, site: str) -> Iterable[str]:
    """Yield entries that cannot follow an earlier finding that does not heal.

    Only another such finding or *not assessable* can follow.
    """
    irreversible: Mapping[str, bool] = {finding.id: not finding.heals for finding in reading.scheme.findings}

    def is_irreversible(value: Entry | None) -> bool:
        return isinstance(value, FindingEntry) and irreversible[value.finding]

    for early in reading.order:
        fields = reading.slot_fields(Slot(site, early))
        has_irreversible = any(is_irreversible(reading.values.get(field)) for field in fields)
        for late in reading.order:
            if early < late and has_irreversible:
                for field in reading.slot_fields(Slot(site, late)):
                    value = reading.values.get(field)
                    if value is not None and not is_irreversible(value) and not isinstance(value, NotAssessableEntry):
                        yield f"{site} {field.scale} at {late} follows an irreversible finding"
