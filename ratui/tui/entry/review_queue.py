"""What of a reading still deserves a second look, which of it the rater has kept, and why, in words.

Pure: it decides nothing about scores, and forgets what was kept as soon as the joint is changed again.
"""

from __future__ import annotations

from collections.abc import Hashable

from ratui.reading import Field, NotAssessableEntry, Reading, ReviewItem, review_items
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.i18n.reading_phrases import format_review_reason

__all__ = ["ReviewQueue", "find_field_to_change", "format_review_reasons"]


class ReviewQueue:
    """Which joints the rater has looked at again and kept, as they stood then."""

    def __init__(self) -> None:
        self._reviewed: dict[str, Hashable] = {}

    def mark_reviewed(self, reading: Reading, site: str) -> None:
        """The rater has looked at `site` again and lets it stand as it is."""
        self._reviewed[site] = _joint_state(reading, site)

    def pending(self, reading: Reading) -> tuple[ReviewItem, ...]:
        """What still deserves a look, worst first: not what was kept as it stands."""
        items = review_items(reading)
        return tuple(item for item in items if self._reviewed.get(item.site) != _joint_state(reading, item.site))


def _joint_state(reading: Reading, site: str) -> Hashable:
    values = tuple(reading.values.get(field) for field in reading.joint_fields(site))
    return values, site in reading.flags, reading.notes.get(site, "")


def format_review_reasons(t: Catalog, reading: Reading, item: ReviewItem) -> str:
    """All that speaks for `item`, the worst first, with the rater's own words where they wrote a note."""
    said = []
    for reason in item.reasons:
        text = format_review_reason(t, reason, reading.scheme)
        if reason.kind == "note":
            text = t("second_look.why_note", note=text, text=reading.notes.get(item.site, ""))
        said.append(text)
    return " · ".join(said) or t("second_look.nothing_special")


def find_field_to_change(reading: Reading, item: ReviewItem) -> Field:
    """The field that a number most likely would change: an open one, the one without a score, or the one that stands out."""
    fields = reading.joint_fields(item.site)
    opened = next((field for field in fields if field not in reading.values), None)
    if opened:
        return opened
    scale = next((reason.scale for reason in item.reasons if reason.scale), "")
    if item.reasons and item.reasons[0].kind == "one_sided":
        return next(field for field in fields if isinstance(reading.values[field], NotAssessableEntry))
    if item.reasons and item.reasons[0].kind == "high":
        return max((f for f in fields if f.scale == scale), key=lambda field: reading.score(field) or 0)
    # Of a change the one that stands right: in a chronological study the later one, in a blinded one either.
    return [field for field in fields if scale in ("", field.scale)][len(reading.order) - 1]
