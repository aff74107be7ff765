"""Unlikely entries, which the rater must confirm: large changes between the time points, and scores that fall.

No entry is refused here, because an unlikely entry can be true. In a study that is blinded to order, a change counts
the same in both directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ratui.reading.model import Entry, Field, GradeEntry, NotAssessableEntry, Reading
from ratui.reading.options import can_be_normal, find_effects, find_refusal

__all__ = ["MIN_JUMP", "UnlikelyEntry", "find_unlikely", "find_unlikely_change", "find_unlikely_normal"]

# A choice of this project, not a rule of the score: change of a single joint is rare, and a wrong key often makes a
# large one.
MIN_JUMP = 3
"""Smallest change between two time points, in grades, that the rater must confirm."""
MIN_CONFIRMED_FALL = 2
"""Smallest fall, in grades, that the rater must confirm. A smaller one does not interrupt; the review shows it."""


@dataclass(frozen=True)
class UnlikelyEntry:
    """An unlikely change: a ``jump`` or a ``fall`` of `size` grades between `field` and the same field at another visit.

    `field` is one of the fields that the entry changes. It can differ from the field that was asked for, because a
    finding sets several scores. `other` is the field at the other visit.
    """

    kind: Literal["jump", "fall"]
    size: int
    field: Field
    other: Field

    def find_other_time(self, time: int) -> int | None:
        """Return the other of the two time points of this change; None if `time` is neither of them."""
        times = {self.field.time, self.other.time}
        return (times - {time}).pop() if time in times else None


def find_unlikely(reading: Reading, field: Field, entry: Entry) -> UnlikelyEntry | None:
    """Return the largest unlikely change that `entry` at `field` would make and the rater must confirm, or None.

    The result does not depend on which time point is entered last. It is None if the entry is refused or changes nothing.

    Raises
    ------
    EntryError
        If the reading has no such field.
    """
    reading.field_index(field)
    if find_refusal(reading, field, entry) is not None:
        return None
    return _find_largest(reading, find_effects(reading, field, entry))


def find_unlikely_normal(reading: Reading, site: str) -> UnlikelyEntry | None:
    """Return the largest unlikely change that `enter_normal` at `site` would make, or None.

    None also if `enter_normal` would be refused. Raises EntryError if the reading has no such site.
    """
    if not can_be_normal(reading, site):
        return None
    return _find_largest(
        reading, {field: GradeEntry(0) for field in reading.joint_fields(site) if field not in reading.values}
    )


def find_unlikely_change(reading: Reading, field: Field) -> UnlikelyEntry | None:
    """Return the largest unlikely change between the score of `field` and those at the visits beside it, or None.

    These are the previous and the next visit with a film of the site; visits at which the field is not assessable are
    skipped. In a study that is blinded to order they are all other visits. Of equal changes a fall counts first.
    """
    here = reading.score(field)
    changes = []
    for other in reading.counterparts(field) if reading.is_blinded else _find_neighbours(reading, field):
        there = reading.score(other)
        if here is None or there is None:
            continue
        rise = (here - there) * (1 if field.time > other.time else -1)
        if rise < 0 and not reading.is_blinded:
            changes.append(UnlikelyEntry("fall", -rise, field, other))
        elif abs(rise) >= MIN_JUMP:
            changes.append(UnlikelyEntry("jump", abs(rise), field, other))
    return max(changes, key=lambda change: (change.size, change.kind == "fall"), default=None)


def _find_neighbours(reading: Reading, field: Field) -> tuple[Field, ...]:
    """Return `field` at the previous and the next visit at which it is not *not assessable*."""
    others = sorted(
        other for other in reading.counterparts(field) if not isinstance(reading.values.get(other), NotAssessableEntry)
    )
    before = [other for other in others if other.time < field.time]
    return tuple(before[-1:] + [other for other in others if other.time > field.time][:1])


def _find_largest(reading: Reading, new: Mapping[Field, Entry | None]) -> UnlikelyEntry | None:
    """Return the largest change to confirm after the values of `new` are set."""
    values = dict(reading.values)
    changed = [field for field in sorted(new, key=reading.field_index) if new[field] != values.get(field)]
    for field in changed:
        value = new[field]
        if value is None:
            values.pop(field, None)
        else:
            values[field] = value
    after = reading._with_state(values=values)
    changes = [
        change
        for field in changed
        if (change := find_unlikely_change(after, field)) is not None and change.size >= MIN_CONFIRMED_FALL
    ]
    return max(changes, key=lambda change: (change.size, change.kind == "fall"), default=None)
