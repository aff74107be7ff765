"""Which entries deserve the same key once more: big steps between the time points, and scores that fall.

It refuses nothing: an unlikely entry can be true. In a study blinded to order a step counts the same either way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from ratui.reading.effects import consequences
from ratui.reading.model import Entry, Field, Graded, Reading
from ratui.reading.options import can_be_normal, refusal

__all__ = ["JUMP", "Doubt", "step", "unlikely", "unlikely_normal"]

JUMP = 3
"""The smallest change between two time points, in grades, that is asked for twice."""


@dataclass(frozen=True)
class Doubt:
    """Why an entry is unlikely: a ``jump`` or a ``fall`` of `size` grades between `field` and its other time point.

    `field` is one that the entry changes: not always the one asked for, since a finding sets several.
    """

    kind: Literal["jump", "fall"]
    size: int
    field: Field


def unlikely(reading: Reading, field: Field, entry: Entry) -> Doubt | None:
    """The worst of what makes `entry` at `field` unlikely, or None; whichever time point is entered last.

    None also for an entry that is refused, and for one that changes nothing. Raises EntryRefused for a field that the
    reading lacks.
    """
    reading.place(field)
    if refusal(reading, field, entry) is not None:
        return None
    return _worst(reading, consequences(reading, field, entry))


def unlikely_normal(reading: Reading, site: str) -> Doubt | None:
    """The worst of what makes `site` normal in all its open fields unlikely, or None; None also where it can't be."""
    if not can_be_normal(reading, site):
        return None
    return _worst(reading, {field: Graded(0) for field in reading.joint_fields(site) if field not in reading.values})


def step(reading: Reading, field: Field) -> Doubt | None:
    """What is unlikely about `field` as it stands beside its other time points, or None."""
    here = reading.score(field)
    doubts = []
    for twin in reading.twins(field):
        there = reading.score(twin)
        if here is None or there is None:
            continue
        rise = (here - there) * (1 if field.time > twin.time else -1)
        if rise < 0 and not reading.blinded:
            doubts.append(Doubt("fall", -rise, field))
        elif abs(rise) >= JUMP:
            doubts.append(Doubt("jump", abs(rise), field))
    return max(doubts, key=lambda doubt: doubt.size, default=None)


def _worst(reading: Reading, new: Mapping[Field, Entry | None]) -> Doubt | None:
    """The biggest doubt about what `new` would change."""
    values = dict(reading.values)
    changed = [field for field in sorted(new, key=reading.place) if new[field] != values.get(field)]
    for field in changed:
        value = new[field]
        if value is None:
            values.pop(field, None)
        else:
            values[field] = value
    after = replace(reading, values=values)
    doubts = [doubt for field in changed if (doubt := step(after, field)) is not None]
    return max(doubts, key=lambda doubt: doubt.size, default=None)
