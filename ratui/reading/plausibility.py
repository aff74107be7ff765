"""Which entries deserve the same key once more: big steps between the time points, and scores that fall.

It refuses nothing: an unlikely entry can be true. In a study blinded to order a step counts the same either way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ratui.reading.effects import effects_of
from ratui.reading.model import Entry, Field, GradeEntry, Reading
from ratui.reading.options import can_be_normal, find_refusal

__all__ = ["MIN_JUMP", "UnlikelyEntry", "find_unlikely", "find_unlikely_normal", "find_unlikely_step"]

MIN_JUMP = 3
"""The smallest change between two time points, in grades, that is asked for twice."""


@dataclass(frozen=True)
class UnlikelyEntry:
    """Why an entry is unlikely: a ``jump`` or a ``fall`` of `size` grades between `field` and its other time point.

    `field` is one that the entry changes: not always the one asked for, since a finding sets several.
    """

    kind: Literal["jump", "fall"]
    size: int
    field: Field


def find_unlikely(reading: Reading, field: Field, entry: Entry) -> UnlikelyEntry | None:
    """The worst of what makes `entry` at `field` unlikely, or None; whichever time point is entered last.

    None also for an entry that is refused, and for one that changes nothing. Raises EntryError for a field that the
    reading lacks.
    """
    reading.field_index(field)
    if find_refusal(reading, field, entry) is not None:
        return None
    return _find_worst(reading, effects_of(reading, field, entry))


def find_unlikely_normal(reading: Reading, site: str) -> UnlikelyEntry | None:
    """The worst of what makes `site` normal in all its open fields unlikely, or None; None also where it can't be."""
    if not can_be_normal(reading, site):
        return None
    return _find_worst(
        reading, {field: GradeEntry(0) for field in reading.joint_fields(site) if field not in reading.values}
    )


def find_unlikely_step(reading: Reading, field: Field) -> UnlikelyEntry | None:
    """What is unlikely about `field` as it stands beside its other time points, or None."""
    here = reading.score(field)
    steps = []
    for counterpart in reading.counterparts(field):
        there = reading.score(counterpart)
        if here is None or there is None:
            continue
        rise = (here - there) * (1 if field.time > counterpart.time else -1)
        if rise < 0 and not reading.is_blinded:
            steps.append(UnlikelyEntry("fall", -rise, field))
        elif abs(rise) >= MIN_JUMP:
            steps.append(UnlikelyEntry("jump", abs(rise), field))
    return max(steps, key=lambda step: step.size, default=None)


def _find_worst(reading: Reading, new: Mapping[Field, Entry | None]) -> UnlikelyEntry | None:
    """The biggest doubt about what `new` would change."""
    values = dict(reading.values)
    changed = [field for field in sorted(new, key=reading.field_index) if new[field] != values.get(field)]
    for field in changed:
        value = new[field]
        if value is None:
            values.pop(field, None)
        else:
            values[field] = value
    after = replace(reading, values=values)
    steps = [step for field in changed if (step := find_unlikely_step(after, field)) is not None]
    return max(steps, key=lambda step: step.size, default=None)
