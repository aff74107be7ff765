"""Totals of single readings, for formats with one file per reading. They equal those of the wide table."""

from __future__ import annotations

import numpy as np

from ratui.results.export.signed_readings import ExportSource, SignedReading
from ratui.results.scores import ReadingScores, collect_consensus, collect_scores
from ratui.results.totals import MissingRule, TotalScore, describe_rule

__all__ = ["ReadingTotals"]


class ReadingTotals:
    """Totals of all readings of an export, computed once under `rule`; `statement` describes it in words."""

    def __init__(self, source: ExportSource, rule: MissingRule) -> None:
        self.rule = rule
        raters = collect_scores(source.study, source.released, rule)
        self.statement = describe_rule(rule, raters.surgery)
        consensus = collect_consensus(source.study, source.released, rule)
        scales = (*source.study.scheme.scales, None)
        self._kinds = {
            kind: {scale: _ScaleTotals(scores, scale) for scale in scales}
            for kind, scores in (("rater", raters), ("consensus", consensus))
        }

    def total(self, signed: SignedReading, visit: int, scale: str | None) -> TotalScore:
        """Return the total of a reading at the visit with the number `visit`, of one scale or, with None, of all."""
        return self._kinds[signed.kind][scale].total(signed, visit)


class _ScaleTotals:
    def __init__(self, scores: ReadingScores, scale: str | None) -> None:
        mask = scores.scale_mask(scale)
        exists = scores.has_field[:, :, mask]
        self._cases, self._raters, self._visits = (
            {name: place for place, name in enumerate(names)} for names in (scores.cases, scores.raters, scores.visits)
        )
        self._totals = scores.totals(scale)
        self._assessed = (np.isfinite(scores.values[:, :, mask]) & exists).sum(axis=2)
        self._fields = exists.sum(axis=2)

    def total(self, signed: SignedReading, visit: int) -> TotalScore:
        place = self._cases[signed.reading.case], self._raters[signed.reading.rater], self._visits[visit]
        value = float(self._totals[place])
        known = value if np.isfinite(value) else None
        return TotalScore(known, int(self._assessed[place]), int(self._fields[place]))
