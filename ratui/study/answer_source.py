"""The answers of others that a study may show to whoever has answered a joint: none in a plain study.

`results.adjudication` and `practice` replace these methods.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from ratui.reading import Entry, Field

__all__ = ["AnswerSource", "RevealedAnswers"]

RevealedAnswers: TypeAlias = Literal["", "raters", "truth", "reference"]
"""Whose answers are shown: nobody's, the raters' in an adjudication, and the true or the reference answers in practice."""


class AnswerSource:
    """The part of a study that a rater or an adjudicator sees only after the own answer."""

    reveals: RevealedAnswers = ""
    """Whose answers `other_answers` returns."""

    def other_answers(self, case: str, site: str) -> tuple[Mapping[Field, Entry], ...]:
        """Return what others answered at `site`; empty in a plain study."""
        return ()

    def asked_sites(self, case: str) -> frozenset[str] | None:
        """Return the keys of the sites that a second look may ask about; None for all."""
        return None
