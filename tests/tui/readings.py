"""Readings made without a screen, for tests of the screens that show them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from ratui.reading import Entry, Field, GradeEntry, Reading, enter, find_next_open_field, set_note, sign, toggle_flag
from ratui.study import Study

AT = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)


def fill_reading(
    reading: Reading,
    special: Mapping[Field, Entry] | None = None,
    *,
    flags: tuple[str, ...] = (),
    notes: Mapping[str, str] | None = None,
    joints: int | None = None,
) -> Reading:
    """Return `reading` with the entries in `special`, and 0 in all other fields of its first `joints` sites."""
    for field, entry in (special or {}).items():
        reading = enter(reading, field, entry, timestamp=AT, key="?")
    wanted = {site.key for site in reading.sites[:joints]}
    for field in reading.fields:
        if field.site in wanted and field not in reading.values:
            reading = enter(reading, field, GradeEntry(0), timestamp=AT, key="0")
    for site in flags:
        reading = toggle_flag(reading, site, timestamp=AT, key="f")
    for site, text in (notes or {}).items():
        reading = set_note(reading, site, text, timestamp=AT, key="N")
    return reading


def store_reading(
    study: Study,
    case: str,
    special: Mapping[Field, Entry] | None = None,
    *,
    rater: str = "anna",
    signed: bool = False,
    seconds: float = 120.0,
    flags: tuple[str, ...] = (),
    notes: Mapping[str, str] | None = None,
    joints: int | None = None,
) -> Reading:
    """Store a reading made by `fill_reading` as the reading of `case` by `rater`."""
    with study.open_reading(rater, case) as session:
        reading = fill_reading(session.reading, special, flags=flags, notes=notes, joints=joints)
        assert joints is not None or find_next_open_field(reading) is None
        reading = sign(reading, timestamp=AT) if signed else reading
        session.save(reading, seconds=seconds)
    return reading
