"""The wide table: one row per reading, with totals and changes under a rule for fields without a score."""

from __future__ import annotations

from typing import Any

import numpy as np

from ratui.results.export.signed_readings import ExportSource, SignedReading
from ratui.results.export.tables import LATE_CHANGE, Column, Table
from ratui.results.scores import ReadingScores, collect_consensus, collect_scores
from ratui.results.totals import MissingRule

__all__ = ["build_wide_table"]


def build_wide_table(source: ExportSource, rule: MissingRule) -> Table:
    """Return a table of the totals of all released readings under `rule`.

    The columns are named after the numbers of the visits, 0 for the baseline. With two visits there is one change.
    """
    study, released = source.study, source.released
    raters, consensus = collect_scores(study, released, rule), collect_consensus(study, released, rule)
    scales: list[str | None] = [*study.scheme.scales, None]
    columns = [*_leading_columns(rule), *(column for scale in scales for column in _columns(raters, scale))]
    parts = {
        each: [_TotalsOfScale(scores, scale) for scale in scales]
        for each, scores in (("rater", raters), ("consensus", consensus))
    }
    rows = [
        [*_leading_cells(source, signed, rule), *(cell for part in parts[signed.kind] for cell in part.cells(signed))]
        for signed in source.readings()
    ]
    return Table("totals", "one rater's totals of one patient", columns, rows)


def _leading_columns(rule: MissingRule) -> list[Column]:
    return [
        Column("case", "text", "the patient's pseudonym"),
        Column("reader", "id", "ID of the rater, or CONSENSUS for the adjudicator"),
        Column("kind", "text", "a rater's own reading, or the adjudicator's", "rater, consensus"),
        Column("days", "integer", "days between the patient's first and last visit; empty if unknown"),
        Column("entries", "integer", "number of entries for which the display was recorded"),
        Column(
            "entries_coarse",
            "integer",
            "number of these entries at a display with too few pixels to judge erosions",
        ),
        Column("missing_rule", "text", f"rule for fields without a score: {rule.meaning}", rule.name),
        LATE_CHANGE,
    ]


def _leading_cells(source: ExportSource, signed: SignedReading, rule: MissingRule) -> list[Any]:
    displays = source.released.displays[signed.reading.case][signed.reading.rater]
    return [
        signed.reading.case,
        signed.rater,
        signed.kind,
        signed.case.days_from(signed.case.times[0], signed.case.times[-1]) if len(signed.case.times) > 1 else None,
        sum(use.entries for use in displays),
        sum(use.below for use in displays),
        rule.name,
        source.find_late_mark(signed),
    ]


def _columns(scores: ReadingScores, scale: str | None) -> list[Column]:
    most = scores.scheme.max_total(scale)
    name, scope = scale or "total", scale or "all scales"
    columns, labels = [], scores.visits
    for label, at in zip(labels, scores.visit_names, strict=True):
        columns += [
            Column(f"{name}_{label}", "number", f"total of {scope} at {at}, 0 to {most}"),
            Column(f"{name}_{label}_assessed", "integer", f"number of scored fields of {scope} at {at}"),
            Column(f"{name}_{label}_fields", "integer", f"number of fields of {scope} at {at}"),
        ]
    if len(labels) == 2:
        between = f"from {scores.visit_names[0]} to {scores.visit_names[1]}"
        return [*columns, Column(f"{name}_change", "number", f"change of the total of {scope} {between}")]
    return columns + [
        Column(
            f"{name}_change_{labels[each.first]}_{labels[each.last]}",
            "number",
            f"change of the total of {scope} from {scores.visit_names[each.first]} to {scores.visit_names[each.last]}",
        )
        for each in scores.quantities
        if each.first is not None
    ]


class _TotalsOfScale:
    """Totals of one scale of all readings, computed once."""

    def __init__(self, scores: ReadingScores, scale: str | None) -> None:
        mask = scores.scale_mask(scale)
        exists = scores.has_field[:, :, mask]
        self._cases = {case: row for row, case in enumerate(scores.cases)}
        self._raters = {rater: place for place, rater in enumerate(scores.raters)}
        self._totals = scores.totals(scale)
        self._assessed = (np.isfinite(scores.values[:, :, mask]) & exists).sum(axis=2)
        self._fields = exists.sum(axis=2)
        self._changes = [scores.quantity(each, scale) for each in scores.quantities if each.first is not None]

    def cells(self, signed: SignedReading) -> list[Any]:
        """Return the cells of a reading: total, scored fields and fields of each visit, then the changes."""
        place = self._cases[signed.reading.case], self._raters[signed.reading.rater]
        visits = zip(self._totals[place], self._assessed[place], self._fields[place], strict=True)
        cells: list[Any] = [each for total, *counts in visits for each in (_number(total), *map(int, counts))]
        return cells + [_number(changes[place]) for changes in self._changes]


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
