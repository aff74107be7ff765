"""The wide table: one row per reading, with totals and changes under a rule for fields without a score."""

from __future__ import annotations

from typing import Any

from ratui.results.export.signed_readings import ExportSource, SignedReading
from ratui.results.export.tables import Column, Table
from ratui.results.totals import MissingRule, compute_change, compute_total
from ratui.study import Study
from ratui.study.intact import intact_displays

__all__ = ["build_wide_table"]


def build_wide_table(source: ExportSource, rule: MissingRule) -> Table:
    """Return a table of the totals of all released readings under `rule`."""
    names: list[tuple[str, str | None]] = [(scale, scale) for scale in source.study.scheme.scales]
    names.append(("total", None))
    columns = [
        Column("case", "text", "the patient's pseudonym"),
        Column("reader", "text", "ID of the rater, or CONSENSUS for the adjudicator"),
        Column("kind", "text", "a rater's own reading, or the adjudicator's", "rater, consensus"),
        Column("days", "integer", "days between the two time points; empty if unknown"),
        Column("entries", "integer", "number of entries for which the display was recorded"),
        Column(
            "entries_coarse",
            "integer",
            "number of these entries at a display with too few pixels to judge erosions",
        ),
        Column("missing_rule", "text", f"rule for fields without a score: {rule.meaning}", rule.name),
    ]
    for name, scale in names:
        most = source.study.scheme.max_total(scale)
        scope = "all scales" if scale is None else scale
        for time in (0, 1):
            columns += [
                Column(f"{name}_{time}", "number", f"total of {scope} at time point {time}, 0 to {most}"),
                Column(
                    f"{name}_{time}_assessed",
                    "integer",
                    f"number of scored fields of {scope} at time point {time}",
                ),
                Column(f"{name}_{time}_fields", "integer", f"number of fields of {scope} at time point {time}"),
            ]
        columns.append(Column(f"{name}_change", "number", f"change of the total of {scope} from time point 0 to 1"))
    rows = [_row(source.study, signed, rule, [scale for _, scale in names]) for signed in source.readings()]
    return Table("totals", "one rater's totals of one patient", columns, rows)


def _row(study: Study, signed: SignedReading, rule: MissingRule, scales: list[str | None]) -> list[Any]:
    displays = intact_displays(study, signed.reading.rater, signed.reading.case)
    row: list[Any] = [
        signed.reading.case,
        signed.rater,
        signed.kind,
        signed.case.days_between,
        sum(use.entries for use in displays),
        sum(use.below for use in displays),
        rule.name,
    ]
    for scale in scales:
        for time in (0, 1):
            found = compute_total(signed.reading, time, scale, rule)
            row += [found.value, found.assessed, found.fields]
        row.append(compute_change(signed.reading, scale, rule))
    return row
