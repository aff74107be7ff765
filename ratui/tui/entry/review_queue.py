"""What of a reading still deserves a second look, which of it the rater has kept, and why, in words.

Pure: it decides nothing about scores, and forgets what was kept as soon as the joint is changed again.
"""

from __future__ import annotations

from collections.abc import Hashable

from ratui.reading import Field, NotAssessableEntry, Reading, ReviewItem, review_items
from ratui.tui.i18n.catalog import Messages
from ratui.tui.i18n.reading_phrases import look_text

__all__ = ["Review", "field_to_change", "reasons_text"]


class Review:
    """Which joints the rater has looked at again and kept, as they stood then."""

    def __init__(self) -> None:
        self._kept: dict[str, Hashable] = {}

    def keep(self, reading: Reading, site: str) -> None:
        """The rater has looked at `site` again and lets it stand as it is."""
        self._kept[site] = _standing(reading, site)

    def pending(self, reading: Reading) -> tuple[ReviewItem, ...]:
        """What still deserves a look, worst first: not what was kept as it stands."""
        looks = review_items(reading)
        return tuple(look for look in looks if self._kept.get(look.site) != _standing(reading, look.site))


def _standing(reading: Reading, site: str) -> Hashable:
    values = tuple(reading.values.get(field) for field in reading.joint_fields(site))
    return values, site in reading.flags, reading.notes.get(site, "")


def reasons_text(t: Messages, reading: Reading, look: ReviewItem) -> str:
    """All that speaks for `look`, the worst first, with the rater's own words where they wrote a note."""
    said = []
    for reason in look.reasons:
        text = look_text(t, reason, reading.scheme)
        if reason.kind == "note":
            text = t("second_look.why_note", note=text, text=reading.notes.get(look.site, ""))
        said.append(text)
    return " · ".join(said) or t("second_look.nothing_special")


def field_to_change(reading: Reading, look: ReviewItem) -> Field:
    """The field that a number most likely would change: an open one, the one without a score, or the one that stands out."""
    fields = reading.joint_fields(look.site)
    opened = next((field for field in fields if field not in reading.values), None)
    if opened:
        return opened
    scale = next((reason.scale for reason in look.reasons if reason.scale), "")
    if look.reasons and look.reasons[0].kind == "one_sided":
        return next(field for field in fields if isinstance(reading.values[field], NotAssessableEntry))
    if look.reasons and look.reasons[0].kind == "high":
        return max((f for f in fields if f.scale == scale), key=lambda field: reading.score(field) or 0)
    # Of a change the one that stands right: in a chronological study the later one, in a blinded one either.
    return [field for field in fields if scale in ("", field.scale)][len(reading.order) - 1]
