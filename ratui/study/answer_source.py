"""The answers of others that a study may show to a rater who has answered a joint: none in a plain study.

`results.adjudication` and `practice` replace these methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ratui.reading import Entry, Field, Reading

__all__ = ["AnswerSource", "AnswerSummary", "RevealedAnswers"]

RevealedAnswers: TypeAlias = Literal["", "raters", "truth", "reference"]
"""Origin of the answers that are shown: the raters in an adjudication, the truth or a reference in practice; or none."""


@dataclass(frozen=True)
class AnswerSummary:
    """The agreement of all answers so far with the known ones.

    Attributes
    ----------
    joints
        Number of joints answered.
    kappa
        Quadratic-weighted kappa, the mean over the scales; None if it is not defined yet.
    difference
        Mean of the rater's minus the known score, in grades; None before the first score.
    """

    joints: int
    kappa: float | None
    difference: float | None


class AnswerSource:
    """The part of a study that rater or adjudicator see only after they have answered."""

    reveals: RevealedAnswers = ""
    """Origin of the answers that `other_answers` returns."""

    def other_answers(self, case: str, site: str) -> tuple[Mapping[Field, Entry], ...]:
        """Return what others answered at `site`; empty in a plain study."""
        return ()

    def asked_sites(self, case: str) -> frozenset[str] | None:
        """Return the keys of the sites that the review before signing may list; None for all."""
        return None

    def summarize_answers(self, reading: Reading) -> AnswerSummary | None:
        """Return the agreement so far, with `reading` as it stands now; None outside practice."""
        return None
