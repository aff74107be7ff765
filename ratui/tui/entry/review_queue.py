"""The joints of a reading that are still to be reviewed, and the texts of the reasons."""

from __future__ import annotations

from collections.abc import Hashable

from ratui.reading import Field, NotAssessableEntry, Reading, ReviewItem, review_items
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.i18n.reading_phrases import format_review_reason

__all__ = ["ReviewQueue", "find_field_to_change", "format_review_reasons"]


class ReviewQueue:
    """The joints to review. A joint that was reviewed returns to the queue if it is changed afterwards."""

    def __init__(self) -> None:
        self._reviewed: dict[str, Hashable] = {}

    def mark_reviewed(self, reading: Reading, site: str) -> None:
        """Record that the rater has reviewed `site` and leaves it unchanged."""
        self._reviewed[site] = _joint_state(reading, site)

    def pending(self, reading: Reading) -> tuple[ReviewItem, ...]:
        """Return the joints that are still to be reviewed, the most important ones first."""
        items = review_items(reading)
        return tuple(item for item in items if self._reviewed.get(item.site) != _joint_state(reading, item.site))


def _joint_state(reading: Reading, site: str) -> Hashable:
    """Return all of the rater's input at a joint, for comparison with a later state."""
    values = tuple(reading.values.get(field) for field in reading.joint_fields(site))
    return values, site in reading.flags, reading.notes.get(site, "")


def format_review_reasons(t: Catalog, reading: Reading, item: ReviewItem) -> str:
    """Return the reasons to review a joint, the most important one first, with the text of the rater's note."""
    texts = []
    for reason in item.reasons:
        text = format_review_reason(t, reason, reading.scheme)
        if reason.kind == "note":
            text = t("review.note_reason", note=text, text=reading.notes.get(item.site, ""))
        texts.append(text)
    return " · ".join(texts) or t("review.nothing_unusual")


def find_field_to_change(reading: Reading, item: ReviewItem) -> Field:
    """Return the field that the rater most likely wants to change.

    This is the first open field, otherwise the one that is not assessable, otherwise the one with the unusual score.
    """
    fields = reading.joint_fields(item.site)
    opened = next((field for field in fields if field not in reading.values), None)
    if opened:
        return opened
    scale = next((reason.scale for reason in item.reasons if reason.scale), "")
    if item.reasons and item.reasons[0].kind == "one_sided":
        return next(field for field in fields if isinstance(reading.values[field], NotAssessableEntry))
    if item.reasons and item.reasons[0].kind == "high":
        return max((f for f in fields if f.scale == scale), key=lambda field: reading.score(field) or 0)
    # For an unusual change take the film on the right. Its time point is the later one only if the study is not blinded.
    return [field for field in fields if scale in ("", field.scale)][len(reading.order) - 1]
