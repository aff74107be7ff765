"""Conversion of readings between positions on the screen and time points.

A position is a place on the screen, 0 for the left one. A stored reading contains positions only, so that its file does
not reveal which film is the earlier one. Pure functions: `to_times` and `to_positions` reverse each other.

The positions of a reading never change. A visit that is added to the case gets the next position. If all films of a visit
are withdrawn, its position stays without films, and only earlier entries of the log name it: by `GONE` and the position
where others are named by time points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ratui.reading.model import Field, FieldChange, Reading, Slot

__all__ = ["GONE", "to_positions", "to_times"]

GONE = 8
"""Added to the position of a visit that is gone: more than any time point."""


def to_times(reading: Reading, order: Sequence[int]) -> Reading:
    """Return a reading of positions with the time points in their place.

    Parameters
    ----------
    reading
        A reading whose `time` values are positions; its `order` is ``filmed_positions``: ``(0, 1, …)``.
    order
        Time point of each of these positions. A case may have other time points that the reading lacks.

    Raises
    ------
    ValueError
        If `reading` is not one of positions, or `order` is not an order of as many time points.
    """
    places = reading.filmed_positions
    if reading.order != places:
        raise ValueError("the reading contains time points already")
    if len(order) != len(places) or len(set(order)) < len(order):
        raise ValueError(f"{list(order)} is not an order of {len(places)} time points")
    gone = {place: GONE + place for place in range(len(reading.positions)) if place not in places}
    return _renumber(reading, {**gone, **dict(zip(places, order, strict=True))}, tuple(order))


def to_positions(reading: Reading) -> Reading:
    """Return `reading` with each time point replaced by the position at which it was shown."""
    places = reading.filmed_positions
    gone = {GONE + place: place for place in range(len(reading.positions)) if place not in places}
    return _renumber(reading, {**gone, **dict(zip(reading.order, places, strict=True))}, places)


def _renumber(reading: Reading, numbers: Mapping[int, int], order: tuple[int, ...]) -> Reading:
    if all(old == new for old, new in numbers.items()):
        return reading if reading.order == order else replace(reading, order=order)
    # Most fields occur several times: renumber each once. Only the log may name other positions than `numbers` has.
    fields = {field: Field(field.site, field.scale, numbers[field.time]) for field in reading.values}
    for entry in reading.log:
        for field, _, _ in entry.changes:
            if field not in fields:
                fields[field] = Field(field.site, field.scale, numbers.get(field.time, field.time))
    return replace(
        reading,
        order=order,
        values={fields[field]: value for field, value in reading.values.items()},
        log=tuple(
            [
                entry._replace(
                    changes=tuple([FieldChange(fields[field], old, new) for field, old, new in entry.changes])
                )
                if entry.changes
                else entry
                for entry in reading.log
            ]
        ),
        absent=frozenset(Slot(slot.site, numbers[slot.time]) for slot in reading.absent),
        unfilmed=frozenset(Slot(slot.site, numbers[slot.time]) for slot in reading.unfilmed),
    )
