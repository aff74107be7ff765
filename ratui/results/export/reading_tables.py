"""Tables of the readings themselves, which may identify somebody: signing dates with reasons, and the raters' notes."""

from __future__ import annotations

from datetime import datetime

from ratui.reading import Reading
from ratui.results.export.signed_readings import ExportSource
from ratui.results.export.tables import LATE_CHANGE, Column, Table
from ratui.results.missing_data import list_settled_sites

__all__ = ["build_notes_table", "build_readings_table"]

_LEADING = (
    Column("case", "text", "the patient's pseudonym"),
    Column("reader", "id", "ID of the rater, or CONSENSUS for the adjudicator"),
    Column("kind", "text", "a rater's own reading, or the adjudicator's", "rater, consensus"),
)


def build_readings_table(source: ExportSource) -> Table:
    """Return one row per reading: when it was signed, how often and why it was opened again, and the settled joints."""
    columns = (
        *_LEADING,
        Column("begun_at", "text", "time of the first entry, ISO 8601, UTC"),
        Column("signed_at", "text", "time of the present signature, ISO 8601, UTC"),
        Column("first_signed_at", "text", "time of the first signature"),
        Column("reopened", "integer", "number of times that it was opened again after a signature"),
        Column("reopened_after_release", "integer", "1 if every rater of the case had signed before that", "0, 1"),
        Column("reasons", "text", "the reasons to open it again"),
        Column("adjudicated_joints", "text", "sites that the adjudicator answered; empty for a rater"),
        LATE_CHANGE,
    )
    rows = []
    for signed in source.readings():
        reading = signed.reading
        opened = [entry for entry in reading.log if entry.kind == "reopen"]
        rows.append(
            (
                reading.case,
                signed.rater,
                signed.kind,
                _format_time(reading.log[0].timestamp if reading.log else None),
                _format_time(reading.signed_at),
                _first_signature(reading),
                len(opened),
                int(source.find_late_mark(signed) == "reading"),
                "; ".join(entry.note for entry in opened if entry.note) or None,
                " ".join(list_settled_sites(reading)) or None if signed.kind == "consensus" else None,
                source.find_late_mark(signed),
            )
        )
    return Table("readings", "one reading", columns, rows)


def _first_signature(reading: Reading) -> str | None:
    return _format_time(next((entry.timestamp for entry in reading.log if entry.kind == "sign"), None))


def _format_time(at: datetime | None) -> str | None:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else None


def build_notes_table(source: ExportSource) -> Table:
    """Return one row per note of a rater, as it was typed."""
    columns = (*_LEADING, Column("site", "text", "joint with its side"), Column("note", "text", "the note"))
    rows = [
        (signed.reading.case, signed.rater, signed.kind, site.key, signed.reading.notes[site.key])
        for signed in source.readings()
        for site in signed.reading.sites
        if site.key in signed.reading.notes
    ]
    return Table("notes", "one note of a rater about a joint", columns, rows)
