"""The table of hidden repeats: both scores of each field that a rater has scored twice."""

from __future__ import annotations

from datetime import UTC, datetime

from ratui.reading import Field, Reading
from ratui.results.export.signed_readings import ExportSource
from ratui.results.export.tables import LATE_CHANGE, Column, Table
from ratui.results.totals import score_field
from ratui.study.intact import intact_case

__all__ = ["build_repeats_table"]

_COLUMNS = (
    Column("case", "text", "the patient's pseudonym"),
    Column("reader", "id", "ID of the rater"),
    Column(
        "order", "integer", "position of the second reading among those of this rater, by the time of signing, from 1"
    ),
    Column("time", "integer", "number of the visit in the study, 0 the baseline", "0 to 7"),
    Column("site", "text", "joint with its side"),
    Column("scale", "text", "scale"),
    Column("first_score", "integer", "score in the reading of the case; empty without a score"),
    Column("second_score", "integer", "score in the reading of its repeat; empty without a score"),
    Column("first_counted", "integer", "the first score that enters totals: counted, as in scores.csv"),
    Column("second_counted", "integer", "the second score that enters totals"),
    LATE_CHANGE,
)


def build_repeats_table(source: ExportSource) -> Table:
    """Return one row per field of each reading of a hidden repeat that has a first reading; no rows without repeats."""
    pairs: dict[str, list[tuple[datetime, str, Reading, Reading]]] = {}
    for case, seconds in source.released.repeats.items():
        for rater, second in seconds.items():
            first = source.released.readings.get(case, {}).get(rater)
            if first is not None:
                at = second.signed_at or datetime.min.replace(tzinfo=UTC)
                pairs.setdefault(rater, []).append((at, case, first, second))
    rows: list[tuple[object, ...]] = []
    surgery = source.study.config.charter.surgery
    for rater, found in pairs.items():
        for order, (_, case, first, second) in enumerate(sorted(found, key=lambda each: each[:2]), start=1):
            films = intact_case(source.study, case)
            if films is None:  # damaged since the readings were collected
                continue
            late = source.late.mark(case, [rater]) or source.late.mark(second.case, [rater]) or None
            fields = {Field(*field): None for field in (*first.fields, *second.fields)}
            rows += (
                (
                    case,
                    source.name(rater),
                    order,
                    films.visit_numbers[field.time],
                    field.site,
                    field.scale,
                    first.score(field),
                    second.score(field),
                    score_field(first, field, surgery),
                    score_field(second, field, surgery),
                    late,
                )
                for field in fields
            )
    return Table("repeats", "one field of a reading that a rater has made twice", _COLUMNS, rows)
