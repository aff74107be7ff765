"""Texts for results of `ratui.reading`: refused entries, unlikely entries, reasons for a review.

The functions do not know the order of the time points, so that no text can reveal it in a blinded study.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from ratui.errors import EntryError, RatuiError
from ratui.reading import Reading, Refusal, ReviewItem, ReviewReason, UnlikelyEntry
from ratui.scheme import Scheme
from ratui.tui.i18n.catalog import Catalog

__all__ = [
    "format_error",
    "format_refusal",
    "format_review_reason",
    "format_review_reasons",
    "format_unknown_key",
    "format_unlikely",
]


def format_refusal(t: Catalog, refusal: Refusal) -> str:
    """Return the reason why an entry or a command is refused."""
    values = {
        name: t.translate_scheme(value) if name == "label" and isinstance(value, str) else value
        for name, value in refusal.parameters.items()
    }
    return t(f"reading.refused.{refusal.kind}", **values)


def format_error(t: Catalog, error: RatuiError, *, with_location: bool = True) -> str:
    """Return the message of `error` in the rater's language, with its location unless that is left out."""
    if isinstance(error, EntryError):
        return format_refusal(t, error.refusal)
    text = t.translate_error(error.problem)
    if error.location and with_location:
        text = t("reading.error.with_location", location=t.translate_error(error.location), problem=text)
    return (
        t("reading.error.with_remedy", problem=text, remedy=t.translate_error(error.remedy)) if error.remedy else text
    )


def format_unlikely(t: Catalog, entry: UnlikelyEntry, key: str, visits: Sequence[str] = ()) -> str:
    """Return the reason why an entry is unlikely, and the hint that `key` confirms it.

    `visits` are the names of the two visits between which it is a change; they are left out where there are no others.
    """
    if not visits:
        return t(f"reading.unlikely.{entry.kind}", scale=entry.field.scale, size=entry.size, key=key)
    first, second = visits
    return t(
        f"reading.unlikely.{entry.kind}_between",
        scale=entry.field.scale,
        size=entry.size,
        first=first,
        second=second,
        key=key,
    )


_OF_FIELDS = ("high", "finding", "brief", "greys")
"""Kinds of reasons that concern fields, so that the text names their visits; others concern a change or the whole joint."""


def format_review_reason(t: Catalog, reason: ReviewReason, scheme: Scheme, visits: Sequence[str] = ()) -> str:
    """Return the text of a reason to review a joint. `visits` are the names of the visits by place, the left one first."""
    label = t.translate_scheme(scheme.finding(reason.finding_id).label) if reason.kind == "finding" else ""
    names = [visits[place] for place in reason.places] if visits else []
    between = f"reading.review_reason.{reason.kind}_between"
    if names and between in t:
        first, second = names
        text = t(between, scale=reason.scale, size=reason.size, first=first, second=second)
    else:
        kind = "partly_assessable" if reason.kind == "one_sided" and not names else reason.kind
        text = t(f"reading.review_reason.{kind}", scale=reason.scale, size=reason.size, label=label)
        if names:
            text = t("reading.review_reason.at", reason=text, visits=t("reading.review_reason.and").join(names))
        elif len(visits) > 2 and reason.kind in _OF_FIELDS:
            text = t("reading.review_reason.at_all", reason=text)
    return t("reading.review_reason.confirmed", reason=text) if reason.is_confirmed else text


def format_review_reasons(t: Catalog, reading: Reading, item: ReviewItem, visits: Sequence[str] = ()) -> str:
    """Return the reasons to review a joint, the most important one first, with the text of the rater's note.

    `visits` are the names of the visits by place, see `format_review_reason`.
    """
    texts = []
    for reason in item.reasons:
        text = format_review_reason(t, reason, reading.scheme, visits)
        if reason.kind == "note":
            text = t("review.note_reason", note=text, text=reading.notes.get(item.site, ""))
        texts.append(text)
    return " · ".join(texts) or t("review.nothing_unusual")


def format_unknown_key(t: Catalog, key: str, help: str) -> str:
    """Return the reason why the character `key` does nothing; `help` is the key that opens the help."""
    # Characters of an input method need another hint: the user has to switch it off.
    script = unicodedata.name(key[0], "").split(" ")[0] if key else ""
    kind = "kana" if script in ("HIRAGANA", "KATAKANA", "CJK") else "unknown"
    return t(f"reading.key.{kind}", key=key, help=help)
