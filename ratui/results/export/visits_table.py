"""Table of the patients' visits, compared with the visits that the charter plans."""

from __future__ import annotations

from ratui.results.export.signed_readings import ExportSource
from ratui.results.export.tables import Column, Table
from ratui.results.visit_deviations import compare_visits

__all__ = ["build_visits_table"]

_COLUMNS = (
    Column("case", "text", "the patient's pseudonym"),
    Column("time", "integer", "number of the visit in the study, 0 the baseline", "0 to 7"),
    Column("visit", "id", "name of the visit"),
    Column("films", "integer", "number of films; 0 for a visit before the patient's last one that has none"),
    Column(
        "plan_day",
        "integer",
        "days since the baseline, plus the planned day of the baseline; of films of several days, the one that is farthest "
        "outside the window; empty if unknown",
    ),
    Column("window_first", "integer", "first planned day; empty if the visit has no days before and after"),
    Column("window_last", "integer", "last planned day; empty if the visit has no days before and after"),
    Column(
        "days_outside",
        "integer",
        "days after the last planned day; negative for days before the first one; 0 within the window; empty if unknown",
    ),
    Column("status", "text", "the same in words", "in window, early, late, day unknown, no film, no window"),
)


def build_visits_table(source: ExportSource) -> Table:
    """Return one row per patient and visit, up to the patient's last one; empty if the charter plans no visits."""
    plan = source.study.config.charter.visits
    rows = [
        (
            each.case,
            each.visit,
            each.name,
            each.films,
            each.day,
            each.first,
            each.last,
            each.outside,
            each.status,
        )
        for case, _ in source.by_case()
        for each in compare_visits(case, plan)
    ]
    return Table("visits", "one visit of one patient, compared with the charter", _COLUMNS, rows)
