"""Rows in the style of CDISC's MK domain (musculoskeletal findings, SDTM 3.4), one per field of each reading.

MKLOC, MKLAT, MKMETHOD and MKSTAT use CDISC controlled terminology where it has a term. It has no test codes for these
scores, so MKTESTCD contains the scheme's scale; a sponsor has to map it before submission.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ratui.reading import FindingEntry, GradeEntry, NotAssessableEntry
from ratui.results.export.signed_readings import ExportSource, SignedReading
from ratui.results.export.tables import LATE_CHANGE, Column, Table
from ratui.study import Study

__all__ = ["build_mk_table"]

_SIDES = {"L": "LEFT", "R": "RIGHT"}
_COLUMNS = (
    Column("STUDYID", "id", "the study's id"),
    Column("DOMAIN", "text", "the domain", "MK"),
    Column("USUBJID", "text", "the study's id and the patient's pseudonym"),
    Column("MKSEQ", "integer", "number of the row within the patient"),
    Column("MKREFID", "id", "the film's id in the study"),
    Column("MKTESTCD", "text", "the scale"),
    Column("MKTEST", "text", "the scale in words"),
    Column("MKORRES", "text", "the entry: a grade or a finding"),
    Column("MKSTRESC", "text", "the score"),
    Column("MKSTRESN", "integer", "the score as a number"),
    Column("MKSTAT", "text", "status; NOT DONE if there is no score", "NOT DONE"),
    Column("MKREASND", "text", "reason why there is no score"),
    Column("MKLOC", "text", "the joint, as a term of the terminology if there is one"),
    Column("MKLAT", "text", "the patient's side", "LEFT, RIGHT"),
    Column("MKMETHOD", "text", "method of examination", "X-RAY"),
    Column("MKEVAL", "text", "role of the evaluator", "INDEPENDENT ASSESSOR, ADJUDICATOR"),
    Column("MKEVALID", "text", "ID of the evaluator", "READER 1, READER 2, …, ADJUDICATOR 1"),
    Column("VISITNUM", "integer", "number of the visit in the study, counted from 1"),
    Column("VISIT", "id", "name of the visit"),
    Column("MKDY", "integer", "day of the film, the patient's first film being day 1; empty if unknown"),
    Column("LATECHFL", "text", f"whether there is a late change; for SUPPMK. {LATE_CHANGE.meaning}", "Y"),
)
_TESTS = {"ERO": "Erosion Score", "JSN": "Joint Space Narrowing Score"}


def build_mk_table(source: ExportSource) -> Table:
    """Return the MK rows of all released readings. Raters are numbered, as the terminology for MKEVALID requires."""
    rows: list[tuple[Any, ...]] = []
    for _, readings in source.by_case():
        of_case = (
            (*row, "Y" if source.find_late_mark(signed) else None)
            for signed in readings
            for row in _rows(source.study, signed)
        )
        rows += ((*row[:3], number, *row[3:]) for number, row in enumerate(of_case, start=1))
    return Table("mk", "one field of one reading, in the style of SDTM's MK domain", _COLUMNS, rows)


def _rows(study: Study, signed: SignedReading) -> Iterator[tuple[Any, ...]]:
    reading, scheme = signed.reading, signed.reading.scheme
    charter, numbers = study.config.charter, signed.case.visit_numbers
    # Visit by visit: in a blinded study the order of the fields is that of the films on the rater's screen.
    for field in sorted(reading.fields, key=lambda each: numbers[each.time]):
        site = reading.site(field.site)
        film = signed.case.film(field.time, site.side, site.part, scheme)
        score = reading.score(field)
        given = reason = None
        match reading.values.get(field):
            case GradeEntry(grade):
                given = str(grade)
            case FindingEntry(id):
                given = scheme.finding(id).label.upper()
            case NotAssessableEntry(id):
                reason = scheme.reason(id).label.upper()
        yield (
            study.config.id,
            "MK",
            f"{study.config.id}-{reading.case}",
            film.id if film else None,
            field.scale[:8].upper(),
            _TESTS.get(field.scale, field.scale),
            given,
            None if score is None else str(score),
            score,
            "NOT DONE" if reason else None,
            reason,
            site.joint.mkloc or site.joint.label.upper(),
            _SIDES[site.side],
            "X-RAY",
            "INDEPENDENT ASSESSOR" if signed.number else "ADJUDICATOR",
            f"READER {signed.number}" if signed.number else "ADJUDICATOR 1",
            numbers[field.time] + 1,
            charter.visit_name(numbers[field.time]),
            film.day + 1 if film and film.day is not None else None,
        )
