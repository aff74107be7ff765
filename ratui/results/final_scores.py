"""The final score of each case and visit: one value made of the scores of the raters, or of the adjudicator's.

The rule is that of the study's charter (`ratui.study.campaign.charter.FINAL_RULES`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ratui.results.quantities import Quantity
from ratui.results.released import ReleasedReadings
from ratui.results.scores import ReadingScores, collect_consensus, collect_scores
from ratui.results.statistics import Floats
from ratui.results.totals import MissingRule
from ratui.study import Study

__all__ = ["FINAL_MEANINGS", "FinalScores", "combine_scores", "compute_final_scores"]

FINAL_MEANINGS: Mapping[str, str] = {
    "mean": "the mean of the raters",
    "median": "the median of the raters",
    "consensus": "the consensus of the adjudicator",
    "consensus_or_mean": "the consensus where a case was adjudicated, otherwise the mean of the raters",
}
"""Description of each rule for the final score, by name."""


@dataclass(frozen=True)
class FinalScores:
    """Final scores of the cases that all their raters have signed.

    Attributes
    ----------
    raters, consensus
        Scores of the raters in these cases, and of the adjudicator in some of them.
    rule
        Name of the rule, in `FINAL_MEANINGS`.
    """

    raters: ReadingScores
    consensus: ReadingScores
    rule: str

    @property
    def cases(self) -> tuple[str, ...]:
        """IDs of the cases."""
        return self.raters.cases

    @property
    def sources(self) -> tuple[str, ...]:
        """Origin of each case's final score: ``raters``, ``consensus``, or an empty text if the rule gives none."""
        if self.rule == "consensus":
            return tuple("consensus" if case in self.consensus.cases else "" for case in self.cases)
        if self.rule == "consensus_or_mean":
            return tuple("consensus" if case in self.consensus.cases else "raters" for case in self.cases)
        return ("raters",) * len(self.cases)

    @property
    def readers(self) -> tuple[int, ...]:
        """Number of raters of each case."""
        return tuple(int(count) for count in self.raters.is_read.sum(axis=1))

    def quantity(self, quantity: Quantity, scale: str | None = None) -> Floats:
        """Return a quantity of the final scores, shape (cases,); NaN if there is none.

        There is none if the rule for fields without a score gives one of the raters of the case none. A change is made of
        the changes of the raters, which differ from the differences of the totals under a rule that counts other fields
        in a change than in a total.
        """
        found = combine_scores(self.raters.quantity(quantity, scale), self.raters.is_read, self.rule)
        settled = dict(zip(self.consensus.cases, self.consensus.quantity(quantity, scale)[:, 0], strict=True))
        values = zip(self.cases, self.sources, found, strict=True)
        return np.array(
            [settled[case] if source == "consensus" else value if source else np.nan for case, source, value in values],
            dtype=np.float64,
        )


def combine_scores(values: Floats, is_read: npt.NDArray[np.bool_], rule: str) -> Floats:
    """Return the mean of the raters of each case, or their median for the rule ``median``, shape (cases,).

    Parameters
    ----------
    values
        A score of each case and rater, shape (cases, raters).
    is_read
        Which rater has read which case. The result is NaN if one of these has no score.
    rule
        Name of the rule for the final score.
    """
    known = np.where(is_read, values, np.nan)
    is_whole = (np.isfinite(values) | ~is_read).all(axis=1) & is_read.any(axis=1)
    found = np.full(len(values), np.nan)
    if is_whole.any():
        found[is_whole] = (np.nanmedian if rule == "median" else np.nanmean)(known[is_whole], axis=1)
    return found


def compute_final_scores(study: Study, released: ReleasedReadings, rule: MissingRule) -> FinalScores:
    """Return the final scores by the charter of `study`.

    Parameters
    ----------
    study, released
        The study and its released readings. Cases that a rater has not signed have no final score.
    rule
        Rule for fields without a score.
    """
    complete = [case for of_group in released.complete_groups().values() for case in of_group]
    raters = collect_scores(study, released, rule).select_cases(complete)
    consensus = collect_consensus(study, released, rule).select_cases(complete)
    return FinalScores(raters, consensus, study.config.charter.final)
