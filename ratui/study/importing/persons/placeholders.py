"""Texts that stand for a patient whom they do not name, such as ANONYMOUS. The rules are in ``docs/intake.md``."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["is_placeholder", "is_placeholder_name"]

_NOBODY = (
    *("anonymous", "anonym", "anon", "anonymized", "anonymised", "anonymus", "anonyme", "anonymise", "anonimo"),
    *("anonymisiert", "anonimizado", "anonimizzato", "anonymisee", "deidentified", "unidentified", "pseudonym"),
    *("unknown", "unbekannt", "inconnu", "inconnue", "desconocido", "desconhecido", "sconosciuto", "onbekend", "none"),
    *("noname", "null", "patient", "test", "dummy", "removed", "deleted", "hidden", "masked", "redacted", "default"),
    *("emergency", "notfall", "urgence", "urgences", "urgencia", "trauma", "phantom", "xxx", "匿名", "匿名化", "不明"),
    *("氏名不明", "身元不明", "テスト"),
)
_NO_NAME = frozenset((*_NOBODY, "name"))
_NO_ID = frozenset(
    (
        *_NOBODY,
        "no",
        "id",
        "noid",
        "nil",
        "na",
        "nan",
        "patientid",
        "undefined",
        "unassigned",
        "tbd",
        "temp",
        "temporary",
    )
)


def is_placeholder(patient: str) -> bool:
    """Return whether a patient ID is a placeholder that belongs to nobody, such as ``0`` or ``ANONYMOUS``."""
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", patient).casefold())
    text = unicodedata.normalize("NFC", re.sub("[\u0300-\u036f]", "", text))
    words = re.findall(r"[^\W_]+", text)
    bare = "".join(words)
    is_repeated = len(set(bare)) == 1 and (len(bare) > 3 or bare[0] == "0")
    return not bare or is_repeated or bare in _NO_ID or set(words) <= _NO_ID


def is_placeholder_name(words: set[str]) -> bool:
    """Return whether the words of a name, in their folded form, are placeholders only."""
    return words <= _NO_NAME
