"""What several readers entered alike, taken over into a reading of its own before its reader begins.

It fills open fields only, and each entry passes the same rule as a key would.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ratui.errors import EntryRefused
from ratui.reading.effects import consequences
from ratui.reading.log import logged
from ratui.reading.model import Entry, Field, Reading
from ratui.reading.options import refusal

__all__ = ["adopt"]


def adopt(reading: Reading, entries: Mapping[Field, Entry], *, at: datetime | None = None) -> Reading:
    """`reading` with `entries` in those of their fields that are open, as one entry of the log that undo passes over.

    Raises EntryRefused when one of them can't be made there.
    """
    taken = reading
    for field in sorted(entries, key=reading.place):
        if field in taken.values:
            continue
        why = refusal(taken, field, entries[field])
        if why:
            raise EntryRefused(why, f"{field.site} {field.scale}")
        taken = logged(taken, "adopt", consequences(taken, field, entries[field]), at, "")
    new = {field: value for field, value in taken.values.items() if reading.values.get(field) != value}
    return logged(reading, "adopt", new, at, "") if new else reading
