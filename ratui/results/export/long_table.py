"""The long table: one row per field of each reading, with the entry and its score."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ratui.garbage_collection import pause_collection
from ratui.reading import DisplayRecord, Field, FindingEntry, GradeEntry, NotAssessableEntry, Slot
from ratui.reading.log import find_origins
from ratui.results.export.signed_readings import ExportSource, SignedReading
from ratui.results.export.tables import LATE_CHANGE, Column, Table
from ratui.results.totals import score_field
from ratui.scheme import Scheme
from ratui.study.campaign.charter import Charter

__all__ = ["build_long_table"]


@pause_collection()
def build_long_table(source: ExportSource) -> Table:
    """Return a table of all fields of all released readings."""
    charter = source.study.config.charter
    rows = [
        (*row, mark)
        for signed in source.readings()
        for mark in [source.find_late_mark(signed)]
        for row in _rows(signed, charter)
    ]
    return Table("scores", "one field: a scale of a site at a visit, of one rater", _columns(source.study.scheme), rows)


def _columns(scheme: Scheme) -> tuple[Column, ...]:
    return (
        Column("case", "text", "the patient's pseudonym"),
        Column("reader", "id", "ID of the rater, or CONSENSUS for the adjudicator"),
        Column("kind", "text", "a rater's own reading, or the adjudicator's", "rater, consensus"),
        Column("time", "integer", "number of the visit in the study, 0 the baseline", "0 to 7"),
        Column("visit", "id", "name of the visit"),
        Column("day", "integer", "days from the patient's first film to this one; empty if unknown"),
        Column("film", "id", "the film's id in the study"),
        Column("site", "text", "joint with its side"),
        Column("side", "text", "the patient's side", "L, R"),
        Column("joint", "id", "the joint", ", ".join(joint.id for joint in scheme.joints)),
        Column("part", "text", "part of the body", ", ".join(part.id for part in scheme.parts)),
        Column("scale", "text", "the scale", ", ".join(scheme.scales)),
        Column(
            "entry",
            "text",
            "kind of the entry; empty if it was excluded; not filmed if only films of other visits show the joint",
            "grade, finding, not assessable, not filmed",
        ),
        Column("grade", "integer", "the grade; empty for another kind of entry"),
        Column(
            "finding", "id", "the finding; empty for another kind of entry", ", ".join(f.id for f in scheme.findings)
        ),
        Column(
            "reason",
            "id",
            "reason why there is no score; empty if there is one",
            ", ".join(reason.id for reason in scheme.reasons),
        ),
        Column(
            "score", "integer", "the grade, or the score that the scheme sets for the finding; empty if not assessable"
        ),
        Column(
            "counted",
            "integer",
            "the score that enters totals: score, or the maximum after surgery if the charter of the study says so",
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
        Column(
            "terminal_columns",
            "integer",
            "width of the terminal in characters; empty for entries of earlier versions, as the next columns",
        ),
        Column("terminal_rows", "integer", "height of the terminal in characters"),
        Column("cell_width", "integer", "width of a character in pixels"),
        Column("cell_height", "integer", "height of a character in pixels"),
        LATE_CHANGE,
    )


def _rows(signed: SignedReading, charter: Charter) -> Iterator[tuple[Any, ...]]:
    reading, scheme = signed.reading, signed.reading.scheme
    origins, numbers, values = find_origins(reading), signed.case.visit_numbers, reading.values
    for time in sorted(reading.order):
        number = numbers[time]
        visit = charter.visit_name(number)
        for site in reading.sites:
            key, side, joint, part = site.key, site.side, site.joint, site.part
            film = signed.case.film(time, side, part, scheme)
            day, film_id = (film.day, film.id) if film else (None, None)
            for scale in joint.scales:
                field = Field(key, scale, time)
                entry = values.get(field)
                grade: int | None = None
                score: int | None = None
                kind = finding = reason = None
                match entry:
                    case GradeEntry(given):
                        kind, grade, score = "grade", given, given
                    case FindingEntry(id):
                        kind, finding, score = "finding", id, reading.score(field)
                    case NotAssessableEntry(id):
                        kind, reason = "not assessable", id
                    case None if Slot(key, time) in reading.unfilmed:
                        kind = "not filmed"
                yield (
                    reading.case,
                    signed.rater,
                    signed.kind,
                    number,
                    visit,
                    day,
                    film_id,
                    key,
                    side,
                    joint.id,
                    part,
                    scale,
                    kind,
                    grade,
                    finding,
                    reason,
                    score,
                    score if grade is not None else score_field(reading, field, charter.surgery),
                    joint.max_grade(scale),
                    *_display_cells(None if entry is None else origins[field].display),
                )


def _display_cells(display: DisplayRecord | None) -> tuple[Any, ...]:
    """Return the cells of the columns about the display."""
    if display is None:
        return (None,) * 10
    greys = ", ".join(display.greys) or "none"
    return (
        display.protocol,
        display.pixels_per_mm,
        int(not display.is_sufficient),
        greys,
        display.seconds,
        display.acknowledged_by,
        *(display.terminal or (None,) * 4),
    )
