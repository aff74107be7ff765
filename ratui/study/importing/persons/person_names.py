"""Compare the names of patients as hospitals write them. Values only; the rules are in ``docs/intake.md``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ratui.study.importing.persons.placeholders import is_placeholder_name

__all__ = ["NameParts", "PersonName", "names_contradict", "names_equal", "parse_name"]

_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "þ": "th", "ı": "i"})
_JOINED_SCRIPTS = ("CJK", "KATAKANA")
"""Scripts whose names are often written without a space between family name and given name."""


@dataclass(frozen=True)
class NameParts:
    """The words of a name in one script.

    Attributes
    ----------
    words
        All words, folded.
    given
        Words of the given names, a part of `words`. It is empty if the text does not separate them from the family name.
    """

    words: frozenset[str]
    given: frozenset[str]


@dataclass(frozen=True)
class PersonName:
    """The name of a patient; `scripts` maps each script, such as ``LATIN`` or ``CJK``, to the words in it."""

    scripts: Mapping[str, NameParts] = field(default_factory=dict, hash=False)

    def __hash__(self) -> int:
        return hash(frozenset(self.scripts.items()))

    def map_words(self, digest: Callable[[str], str]) -> PersonName:
        """Return the name with `digest` of each word. Initials are left out, because their digests match no full name."""
        scripts = {}
        for script, parts in self.scripts.items():
            long = [word for word in parts.words if not _is_initial(word, script)]
            given = frozenset(digest(word) for word in parts.given if word in long)
            scripts[script] = NameParts(frozenset(map(digest, long)), given)
        return PersonName(scripts)


def parse_name(text: str, patient_id: str = "") -> PersonName:
    """Return the name in a DICOM value of type PN. A placeholder such as ANONYMOUS, or the patient's ID, is no name."""
    words: dict[str, set[str]] = {}
    given: dict[str, set[str]] = {}
    if _fold(text) in (_fold(patient_id), ""):
        return PersonName()
    for group in text.split("=")[:3]:
        parts = group.split("^") if "^" in group else group.split(",")
        families, givens = _words(parts[0]), [word for part in parts[1:3] for word in _words(part)]
        if is_placeholder_name({*families, *givens}):
            continue
        for script in {_script(word) for word in (*families, *givens)}:
            family = [word for word in families if _script(word) == script]
            first = [word for word in givens if _script(word) == script]
            if script in _JOINED_SCRIPTS:
                family, first = ["".join(family + first)], ["".join(first)] if first else []
            words.setdefault(script, set()).update(family, () if script in _JOINED_SCRIPTS else first)
            given.setdefault(script, set()).update(first)
    return PersonName({script: NameParts(frozenset(words[script]), frozenset(given[script])) for script in words})


def names_contradict(one: PersonName, other: PersonName, *, same_birth_date: bool) -> bool:
    """Return whether two names can't belong to one person.

    Names are compared in each script that both have. Order, case, accents, missing words and initials make no
    difference. With the same birth date, a different family name is accepted if the given names agree: a married name.
    """
    return any(
        _parts_contradict(parts, other.scripts[script], script, same_birth_date=same_birth_date)
        for script, parts in one.scripts.items()
        if script in other.scripts
    )


def names_equal(one: PersonName, other: PersonName) -> bool:
    """Return whether two names have the same words, family and given names, in a script that both have."""
    return any(
        parts == other.scripts.get(script) and bool(parts.given) and (parts.words != parts.given)
        for script, parts in one.scripts.items()
    )


def _parts_contradict(one: NameParts, other: NameParts, script: str, *, same_birth_date: bool) -> bool:
    if _is_part(one.words, other.words, script) or _is_part(other.words, one.words, script):
        return False
    agree = _is_part(one.given, other.given, script) or _is_part(other.given, one.given, script)
    return not (same_birth_date and one.given and other.given and agree)


def _is_part(few: frozenset[str], many: frozenset[str], script: str) -> bool:
    """Return whether each of `few` words is one of `many`, or its initial, or in a joined script its beginning."""
    return all(any(_matches(word, each, script) or _matches(each, word, script) for each in many) for word in few)


def _matches(short: str, long: str, script: str) -> bool:
    if short == long:
        return True
    return long.startswith(short) if script in _JOINED_SCRIPTS else _is_initial(short, script) and long[0] == short


def _is_initial(word: str, script: str) -> bool:
    return len(word) == 1 and script not in (*_JOINED_SCRIPTS, "HANGUL")


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s\-.,_/・=^]+", _fold_case(text).replace("'", "").replace("’", "")) if word]


def _fold(text: str) -> str:
    return "".join(_words(text))


def _fold_case(text: str) -> str:
    """Return `text` in small letters, without accents, with one spelling of umlauts and one kana."""
    text = unicodedata.normalize("NFKC", text).casefold().translate(_LETTERS)
    text = "".join(chr(ord(c) + 0x60) if "ぁ" <= c <= "ゖ" else c for c in text)  # Hiragana becomes Katakana
    bare = "".join(c for c in unicodedata.normalize("NFD", text) if not "\u0300" <= c <= "\u036f")
    return re.sub("([aou])e", r"\1", unicodedata.normalize("NFC", bare))


def _script(word: str) -> str:
    first = unicodedata.name(word[0], "OTHER").split()[0].split("-")[0]
    return "KATAKANA" if first == "HIRAGANA" else first
