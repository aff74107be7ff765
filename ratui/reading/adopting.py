"""What several readers entered alike, result over into a reading of its own before its reader begins.

It fills open fields only, and each entry passes the same rule as a key would.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ratui.errors import EntryError
from ratui.reading.effects import effects_of
from ratui.reading.log import record_changes
from ratui.reading.model import Entry, Field, Reading
from ratui.reading.options import find_refusal

__all__ = ["adopt"]


def adopt(reading: Reading, entries: Mapping[Field, Entry], *, timestamp: datetime | None = None) -> Reading:
    """`reading` with `entries` in those of their fields that are open, as one entry of the log that undo passes over.

    Raises EntryError when one of them can't be made there.
    """
    result = reading
    for field in sorted(entries, key=reading.field_index):
        if field in result.values:
            continue
        why = find_refusal(result, field, entries[field])
        if why:
            raise EntryError(why, f"{field.site} {field.scale}")
        result = record_changes(result, "adopt", effects_of(result, field, entries[field]), timestamp, "")
    new = {field: value for field, value in result.values.items() if reading.values.get(field) != value}
    return record_changes(reading, "adopt", new, timestamp, "") if new else reading
