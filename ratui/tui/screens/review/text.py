"""Texts of the review screen."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from ratui.reading import Reading, ReviewItem
from ratui.tui.entry.model_comparison import AnyPrediction, format_model_scores
from ratui.tui.entry.visit_names import VisitNames
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.i18n.reading_phrases import format_review_reasons
from ratui.tui.theme import BRIGHT, NOTE

__all__ = ["format_reasons"]


def format_reasons(
    t: Catalog, reading: Reading, item: ReviewItem, visits: VisitNames, predictions: Sequence[AnyPrediction]
) -> Text:
    """Return the line of reasons to review the joint `item`, and what `predictions` of models say of it."""
    names = visits.name_all(t, reading.order, blinded=reading.is_blinded)
    text = Text(f" {format_review_reasons(t, reading, item, names)}", BRIGHT, no_wrap=True, overflow="ellipsis")
    if predictions:
        text.append(f"   {format_model_scores(t, reading, predictions)}", NOTE)
    return text
