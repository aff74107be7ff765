"""What `ratui.reading` says as kinds and numbers, in the rater's words: refusals, doubts, reasons for a second look.

It adds nothing to what it is given and knows no order of time points, so it can't tell one.
"""

from __future__ import annotations

import unicodedata

from ratui.errors import EntryError, RatuiError
from ratui.reading import Refusal, ReviewReason, UnlikelyEntry
from ratui.scheme import Scheme
from ratui.tui.i18n.catalog import Catalog

__all__ = ["format_error", "format_refusal", "format_review_reason", "format_unknown_key", "format_unlikely"]


def format_refusal(t: Catalog, refusal: Refusal) -> str:
    """Why an entry or a command is ruled out, in a few words."""
    values = {
        name: t.translate_scheme(value) if name == "label" and isinstance(value, str) else value
        for name, value in refusal.parameters.items()
    }
    return t(f"reading.refused.{refusal.kind}", **values)


def format_error(t: Catalog, error: RatuiError) -> str:
    """What `error` says: a refusal in the rater's language, what lies below the readings in English."""
    return format_refusal(t, error.refusal) if isinstance(error, EntryError) else str(error)


def format_unlikely(t: Catalog, doubt: UnlikelyEntry, key: str) -> str:
    """What makes an entry unlikely, and that `key`, as it is printed, enters it all the same."""
    id = f"reading.unlikely.{doubt.kind}"
    if doubt.size == 1 and f"{id}_one" in t:
        id = f"{id}_one"
    return t(id, scale=doubt.field.scale, size=doubt.size, key=key)


def format_review_reason(t: Catalog, reason: ReviewReason, scheme: Scheme) -> str:
    """One reason for a second look, as it stands beside the joint."""
    label = t.translate_scheme(scheme.finding(reason.finding_id).label) if reason.kind == "finding" else ""
    text = t(f"reading.look.{reason.kind}", scale=reason.scale, size=reason.size, label=label)
    return t("reading.look.confirmed", reason=text) if reason.is_confirmed else text


def format_unknown_key(t: Catalog, key: str, help: str) -> str:
    """Why the character `key` does nothing; `help` is the key that shows what does."""
    script = unicodedata.name(key[0], "").split(" ")[0] if key else ""
    kind = "kana" if script in ("HIRAGANA", "KATAKANA", "CJK") else "unknown"
    return t(f"reading.key.{kind}", key=key, help=help)
