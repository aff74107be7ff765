"""The long table: one row per field of each reading, with the entry and its score."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ratui.reading import DisplayRecord, FindingEntry, GradeEntry, NotAssessableEntry
from ratui.reading.log import find_origins
from ratui.results.export.signed_readings import ExportSource, SignedReading
from ratui.results.export.tables import Column, Table
from ratui.scheme import Scheme

__all__ = ["build_long_table"]


def build_long_table(source: ExportSource) -> Table:
    """Return a table of all fields of all released readings."""
    rows = [row for signed in source.readings() for row in _rows(signed)]
    return Table(
        "scores", "one field: a scale of a site at a time point, of one rater", _columns(source.study.scheme), rows
    )


def _columns(scheme: Scheme) -> tuple[Column, ...]:
    return (
        Column("case", "text", "the patient's pseudonym"),
        Column("reader", "text", "ID of the rater, or CONSENSUS for the adjudicator"),
        Column("kind", "text", "a rater's own reading, or the adjudicator's", "rater, consensus"),
        Column("time", "integer", "the time point, 0 the earlier", "0, 1"),
        Column("day", "integer", "days from the patient's first film to this one; empty if unknown"),
        Column("film", "text", "the film's id in the study"),
        Column("site", "text", "joint with its side"),
        Column("side", "text", "the patient's side", "L, R"),
        Column("joint", "text", "the joint", ", ".join(joint.id for joint in scheme.joints)),
        Column("part", "text", "part of the body", ", ".join(part.id for part in scheme.parts)),
        Column("scale", "text", "the scale", ", ".join(scheme.scales)),
        Column("entry", "text", "kind of the entry; empty if it was excluded", "grade, finding, not assessable"),
        Column("grade", "integer", "the grade; empty for another kind of entry"),
        Column(
            "finding", "text", "the finding; empty for another kind of entry", ", ".join(f.id for f in scheme.findings)
        ),
        Column(
            "reason",
            "text",
            "reason why there is no score; empty if there is one",
            ", ".join(reason.id for reason in scheme.reasons),
        ),
        Column(
            "score", "integer", "the grade, or the score that the scheme sets for the finding; empty if not assessable"
        ),
        Column("maximum", "integer", "the highest grade of this scale at this joint"),
        Column(
            "protocol",
            "text",
            "how the terminal drew the films at the entry; empty if not recorded, as the next columns",
        ),
        Column("pixels_per_mm", "number", "pixels of the screen per millimetre of bone, on the coarser film"),
        Column("coarse", "integer", "1 if the films were displayed too coarsely to judge erosions", "0, 1"),
        Column("greys", "text", "changes to the grey levels, such as invert; none if as acquired"),
        Column("seconds", "number", "seconds between the display of the films and the key"),
        Column(
            "acknowledged",
            "text",
            "what has confirmed that the films were painted; a multiplexer answers before its terminal has painted",
            "terminal, multiplexer, nothing",
        ),
    )


def _rows(signed: SignedReading) -> Iterator[tuple[Any, ...]]:
    reading, scheme = signed.reading, signed.reading.scheme
    origins = find_origins(reading)
    for field in sorted(reading.fields, key=lambda field: (field.time, reading.field_index(field))):
        site = reading.site(field.site)
        film = signed.case.film(field.time, site.side, site.part, scheme)
        grade: int | None = None
        kind = finding = reason = None
        match reading.values.get(field):
            case GradeEntry(given):
                kind, grade = "grade", given
            case FindingEntry(id):
                kind, finding = "finding", id
            case NotAssessableEntry(id):
                kind, reason = "not assessable", id
        yield (
            reading.case,
            signed.rater,
            signed.kind,
            field.time,
            film.day if film else None,
            film.id if film else None,
            field.site,
            site.side,
            site.joint.id,
            site.part,
            field.scale,
            kind,
            grade,
            finding,
            reason,
            reading.score(field),
            site.joint.max_grade(field.scale),
            *_display_cells(origins[field].display if field in reading.values else None),
        )


def _display_cells(display: DisplayRecord | None) -> tuple[Any, ...]:
    """Return the cells of the columns about the display."""
    if display is None:
        return (None,) * 6
    greys = ", ".join(display.greys) or "none"
    return (
        display.protocol,
        display.pixels_per_mm,
        int(not display.is_sufficient),
        greys,
        display.seconds,
        display.acknowledged_by,
    )
