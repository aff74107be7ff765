"""Commands for changes of a case during a reading: its regions were edited, or films were added or withdrawn."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from ratui.errors import EntryError, Refusal
from ratui.reading.commands import record_changes, set_note, toggle_flag
from ratui.reading.model import Entry, Field, NotAssessableEntry, Reading, Slot
from ratui.scheme import Site

__all__ = ["apply_films", "apply_regions"]


def apply_regions(reading: Reading, absent: Iterable[Slot], *, timestamp: datetime | None = None) -> Reading:
    """Return `reading` after the regions were edited.

    Slots in `absent` become not assessable, with the scheme's reason for joints outside the image. Slots that are no
    longer in `absent` become open. Slots without a film, and those of other sites or time points, are ignored.

    Parameters
    ----------
    reading
        The reading to start from.
    absent
        The slots that lie outside their film, all of them.
    timestamp
        Time of the change, for the log.

    Raises
    ------
    EntryError
        If the reading is signed and `absent` differs from before.
    """
    now = frozenset(Slot(*slot) for slot in absent)
    now = frozenset(slot for slot in now if slot.site in reading.site_keys and slot.time in reading.order)
    now -= reading.unfilmed
    if now == reading.absent:
        return reading
    if reading.signed_at:
        raise EntryError(Refusal("signed"), reading.case, "Reopen the reading first")
    off_film = NotAssessableEntry(reading.scheme.off_film_reason.id)
    new: dict[Field, Entry | None] = {}
    for slot in sorted(reading.absent - now):
        new.update(dict.fromkeys(reading.slot_fields(slot)))
    for slot in sorted(now - reading.absent):
        new.update(dict.fromkeys(reading.slot_fields(slot), off_film))
    return record_changes(reading, "regions", new, timestamp, "")._with_state(absent=now)


def apply_films(
    reading: Reading,
    sites: Iterable[Site],
    order: tuple[int, ...],
    positions: tuple[tuple[str, ...], ...],
    lost: Iterable[Slot],
    *,
    unfilmed: Iterable[Slot] = (),
    note: str,
    timestamp: datetime | None = None,
) -> Reading:
    """Return `reading` after films of its case were added or withdrawn.

    Entries at sites that are no longer shown, and at slots whose film is gone or replaced, are removed. Flags and notes of
    sites that are no longer shown are removed first, each by a log entry of its own. `undo` does not go back beyond this
    command.

    Parameters
    ----------
    reading
        The reading to start from.
    sites
        Sites that can now be read, in reading order.
    order
        Time points now, in the order of display.
    positions
        IDs of the films now at each position, left first; none at the position of a visit that is gone.
    lost
        Slots without a film now, or with another one than before.
    unfilmed
        All slots of `sites` without a film now.
    note
        The added and withdrawn films, for the log.
    timestamp
        Time of the change, for the log.

    Raises
    ------
    EntryError
        If the reading is signed.
    """
    if reading.signed_at:
        raise EntryError(Refusal("signed"), reading.case, "Reopen the reading first")
    left = tuple(sites)
    keys = {site.key for site in left}
    for site in [site.key for site in reading.sites if site.key not in keys]:
        if site in reading.flags:
            reading = toggle_flag(reading, site, timestamp=timestamp)
        reading = set_note(reading, site, "", timestamp=timestamp)
    gone = {Slot(*slot) for slot in lost}
    is_lost = {field: field.site not in keys or Slot(field.site, field.time) in gone for field in reading.values}
    new: dict[Field, Entry | None] = {field: None for field, lost_here in is_lost.items() if lost_here}
    changed = record_changes(reading, "films", new, timestamp, "", note=note)
    # A new object: its cached properties depend on the sites.
    return replace(
        changed,
        sites=left,
        order=order,
        positions=positions,
        absent=frozenset(slot for slot in changed.absent if slot.site in keys and slot not in gone),
        unfilmed=frozenset(Slot(*slot) for slot in unfilmed),
    )
