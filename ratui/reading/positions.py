"""Conversion of readings between positions on the screen and time points, and of documents of earlier formats.

A position is a place on the screen, 0 for the left one. A stored reading contains positions only, so that its file does
not reveal which film is the earlier one. Pure functions: `to_times` and `to_positions` reverse each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ratui.reading.model import Reading, Slot
from ratui.stored_values import as_integer, as_list, as_text

__all__ = ["replace_times_in_document", "to_positions", "to_times"]


def to_times(reading: Reading, order: Sequence[int]) -> Reading:
    """Return a reading of positions with the time points in their place.

    Parameters
    ----------
    reading
        A reading whose `time` values are positions; its `order` is ``(0, 1, …)``.
    order
        Time point shown at each position, left first.

    Raises
    ------
    ValueError
        If `reading` is not one of positions, or `order` is not an order of as many time points.
    """
    positions = tuple(range(len(reading.order)))
    if reading.order != positions:
        raise ValueError("the reading contains time points already")
    if sorted(order) != list(positions):
        raise ValueError(f"{list(order)} is not an order of {len(positions)} time points")
    return _renumber(reading, dict(enumerate(order)), tuple(order))


def to_positions(reading: Reading) -> Reading:
    """Return `reading` with each time point replaced by the position at which it was shown."""
    return _renumber(
        reading, {time: position for position, time in enumerate(reading.order)}, tuple(range(len(reading.order)))
    )


def _renumber(reading: Reading, numbers: Mapping[int, int], order: tuple[int, ...]) -> Reading:
    if all(old == new for old, new in numbers.items()):
        return reading if reading.order == order else replace(reading, order=order)
    return replace(
        reading,
        order=order,
        values={field._replace(time=numbers[field.time]): value for field, value in reading.values.items()},
        log=tuple(
            replace(
                entry,
                changes=tuple(
                    change._replace(field=change.field._replace(time=numbers[change.field.time]))
                    for change in entry.changes
                ),
            )
            if entry.changes
            else entry
            for entry in reading.log
        ),
        absent=frozenset(Slot(slot.site, numbers[slot.time]) for slot in reading.absent),
        unfilmed=frozenset(Slot(slot.site, numbers[slot.time]) for slot in reading.unfilmed),
    )


def replace_times_in_document(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document of format 3 in format 4: positions replace time points and the order.

    The argument is not changed. The films at each position are unknown: ``positions`` has an empty list for each.
    Raises an error of `ODD_VALUE_ERRORS` if the document has another form.
    """
    meta = dict(document["meta"])
    order = [as_integer(time, 0, 1) for time in as_list(meta.pop("order"))]
    if sorted(order) != list(range(len(order))):
        raise ValueError(f"{order} is not an order of time points")
    position = {time: place for place, time in enumerate(order)}

    def convert(record: Mapping[str, Any]) -> dict[str, Any]:
        return {**record, "time": position[record["time"]]}

    return {
        **document,
        "meta": {
            **meta,
            "format": 4,
            "positions": [[] for _ in order],
            "absent": sorted([as_text(site), position[time]] for site, time in as_list(meta["absent"])),
        },
        "fields": [convert(record) for record in document["fields"]],
        "log": [{**entry, "changes": [convert(change) for change in entry["changes"]]} for entry in document["log"]],
    }
