"""Statements of texts and codes of a header: the parts, sides and projections that they name.

`film_elements` reads the elements. The rules between the elements are in `identification`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise

from ratui.study.importing.headers.film_words import CJK_WORDS, LANGUAGES, NEUTRAL_WORDS, PARTS, PROJECTIONS, WEAK_WORDS
from ratui.study.importing.headers.harmless_words import HARMLESS_WORDS, REJECTION_WORDS, UNCLEAR_REJECTION_WORDS

__all__ = ["FRONTAL", "Both", "Rank", "Statement", "combine_projections", "find_rejection_words", "parse_words"]

FRONTAL = frozenset(("PA", "AP", "frontal"))
"""Frontal projections."""
_PLURALS = {"hands": "hand", "wrists": "wrist", "feet": "foot"}
_SPECIAL = frozenset(("Norgaard", "Brewerton", "scaphoid", "tangential"))
_SEPARATORS = re.compile(r"[,;/+&|\\・、]")
_JOINING_GAP = re.compile(r"[ _\-‐–]*")
_CJK = r"[\u3041-\u30fa\u30fc-\u30ff\u3400-\u9fff\u3005]"
_TOKEN = re.compile(rf"[a-z]+|\d+|{_CJK}+")
_VIEW_LETTERS = "er"
"""Letters after a digit that mean views: Ebenen, and Richtungen in Japan."""
_TIME_LETTERS = "dwmy"
"""Letters after a digit that mean days, weeks, months and years."""
_LETTERS = str.maketrans({"°": " degree ", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l"})


class Rank(IntEnum):
    """Ranks of elements; the smallest number is the most specific."""

    IMAGE = 1
    SERIES = 2
    PROTOCOL = 3
    STUDY = 4


class Both(IntEnum):
    """Strength with which words name both sides: not at all, by a plural or a list of parts, or expressly."""

    NO = 0
    PLURAL = 1
    EXPRESS = 2


@dataclass(frozen=True)
class Statement:
    """The values that one element names.

    Attributes
    ----------
    element
        Keyword of the element; the meaning of a code has ``(meaning)`` after it.
    rank, is_code
        Rank of the element, and whether it contains a code or a defined term.
    parts, sides, projections
        Values that it names; several mean that it does not describe one film. `sides` has ``L``, ``R`` and ``B``.
    both
        Strength with which words name both sides; `sides` is then ``L`` and ``R``.
    is_unknown
        The element has a value of View Position that is in no table.
    has_unknown_words
        The element contains words that are in no table, not even among the harmless ones.
    may_be_oblique
        The element contains 3/4 without a word of a language in which that means an oblique projection.
    """

    element: str
    rank: Rank
    is_code: bool = False
    parts: frozenset[str] = frozenset()
    sides: frozenset[str] = frozenset()
    projections: frozenset[str] = frozenset()
    both: Both = Both.NO
    is_unknown: bool = False
    has_unknown_words: bool = False
    may_be_oblique: bool = False


def _split(words: str) -> list[str]:
    return [word.strip() for word in words.split(",")]


def _index_words(languages: Mapping[str, Mapping[str, str]]) -> dict[str, set[tuple[str, str]]]:
    """Return pairs of language and meaning by word; words of several parts have one space between them."""
    found: dict[str, set[tuple[str, str]]] = {}
    for language, meanings in languages.items():
        for meaning, words in meanings.items():
            for word in _split(words):
                for form in {word, word.replace(" ", "")}:
                    found.setdefault(form, set()).add((language, meaning))
    return found


_WORDS = _index_words(LANGUAGES)
_WEAK = _index_words(WEAK_WORDS)
_CJK_INDEX = _index_words({"Japanese": CJK_WORDS})
_FRACTION = "troisquart"
_NEUTRAL = frozenset(_split(NEUTRAL_WORDS))
_HARMLESS = frozenset(word for words in HARMLESS_WORDS.values() for word in _split(words))
_REJECTIONS = frozenset(_split(REJECTION_WORDS))
_UNCLEAR_REJECTIONS = frozenset(_split(UNCLEAR_REJECTION_WORDS))


@dataclass
class _Word:
    """A word of an element: its meanings with their languages, its text, and whether a separator is before it."""

    text: str
    meanings: set[tuple[str, str]]
    begins_phrase: bool = False
    is_harmless: bool = False


@lru_cache(maxsize=4096)  # the films of one study share most of their descriptions
def parse_words(text: str) -> Statement:
    """Return the values that the words of `text` name, as a statement without an element."""
    text = _normalize(text)
    words = _read_words(text)
    languages = {language for word in words for language, meaning in word.meanings if _is_part_or_side(meaning)}
    for number, word in enumerate(words):
        if not word.meanings and not (number == 0 and word.text == "dx"):  # DX is also the name of the modality
            word.meanings = {pair for pair in _WEAK.get(word.text, ()) if pair[0] in languages}
    parts: set[str] = set()
    sides: set[str] = set()
    projections: set[str] = set()
    plural = express = False
    for phrase in _split_phrases(words):
        meanings = [{meaning for _, meaning in word.meanings} for word in phrase]
        named = _find_named_parts(meanings)
        parts |= {_PLURALS.get(meaning, meaning) for meaning in named}
        plural = plural or any(meaning in _PLURALS for meaning in named)
        every = set().union(*meanings) if meanings else set()
        express = express or "both" in every
        sides |= every & {"L", "R"}
        projections |= combine_projections(every & set(PROJECTIONS))
    if _names_several_views(words):
        projections |= {"frontal", "lateral", "oblique"}
    both = Both.NO
    if express or len(sides) == 2:
        both = Both.EXPRESS if express or len(parts) < 2 else Both.PLURAL
    elif plural and not sides:
        both = Both.PLURAL
    unknown = {word.text for word in words if not (word.meanings or word.is_harmless)}
    return Statement(
        "",
        Rank.STUDY,
        parts=frozenset(parts),
        sides=frozenset("LR") if both else frozenset(sides),
        projections=frozenset(projections),
        both=both,
        has_unknown_words=_has_unread_letters(text) or bool(unknown - {_FRACTION}),
        may_be_oblique=_FRACTION in unknown,
    )


def find_rejection_words(text: str) -> tuple[bool, bool]:
    """Return whether `text` contains a word for a rejected exposure, and whether it is clear.

    It is not clear beside a word for a repeat or a negation, or a question mark: "repeat of a rejected film".
    """
    words = {token[0] for token in _TOKEN.finditer(_normalize(text))}
    is_marked = not words.isdisjoint(_REJECTIONS)
    return is_marked, is_marked and words.isdisjoint(_UNCLEAR_REJECTIONS) and "?" not in text


def _has_unread_letters(text: str) -> bool:
    """Return True for letters of other scripts, and for Japanese ones at which no word begins."""
    for token in _TOKEN.finditer(text):
        place = 0
        while not token[0].isascii() and place < len(token[0]):
            at = token[0][place:]
            length = next((n for n in range(5, 0, -1) if at[:n] in _CJK_INDEX or at[:n] in _HARMLESS), 0)
            if not length:
                return True
            place += length
    return any(character.isalpha() for character in _TOKEN.sub("", text))


def _normalize(text: str) -> str:
    """Return `text` in small letters without accents, with a space at changes from small to capital letters."""
    text = unicodedata.normalize("NFKC", text)
    text = re.sub(r"(?<=[a-zß-ÿ])(?=[A-Z])", " ", text).casefold().translate(_LETTERS)
    text = re.sub(r"[\u0300-\u036f]", "", unicodedata.normalize("NFKD", text))
    text = unicodedata.normalize("NFC", text)
    text = re.sub(r"\br/o\b", " ", text)  # rule out
    text = text.replace("3\u20444", " three quarters ")  # NFKC of "¾"
    text = re.sub(r"\bw/", " with ", text)
    text = re.sub(r"(?<![0-9/])3/4(?![0-9/])", f" {_FRACTION} ", text)  # a French oblique projection
    text = re.sub(r"\b[ld]['’](?=[a-z])", " ", text)  # the French article before a vowel
    return re.sub(r"\b([adp])\. ?([apv])\.", r"\1\2 ", text)  # a.p., p.a., d.p. and d.v.


def _read_words(text: str) -> list[_Word]:
    """Return the words of `text` in order; words of several parts are one word."""
    tokens = list(_TOKEN.finditer(text))
    words: list[_Word] = []
    begins, place = False, 0
    while place < len(tokens):
        token = tokens[place]
        gap = text[tokens[place - 1].end() if place else 0 : token.start()]
        begins = begins or bool(_SEPARATORS.search(gap))
        count = 1
        if "a" <= token[0][0] <= "z":
            count, found = _find_longest_word(text, tokens, place)
            if len(token[0]) == 1:
                found = _read_letter(text, token) or found
            added = [found]
        elif token[0].isascii():
            added = [_Word(token[0], set(), is_harmless=True)]
        else:
            added = list(_read_cjk(token[0]))
        for word in added:
            word.begins_phrase, begins = begins, False
            words.append(word)
        place += count
    return words


def _find_longest_word(text: str, tokens: list[re.Match[str]], place: int) -> tuple[int, _Word]:
    """Return the number of tokens of the longest known word at `place`, and the word."""
    for count in (3, 2, 1):
        group = tokens[place : place + count]
        gaps = [text[one.end() : other.start()] for one, other in pairwise(group)]
        if len(group) < count or not all(map(_JOINING_GAP.fullmatch, gaps)):
            continue
        word = " ".join(token[0] for token in group)
        if word in _NEUTRAL:
            return count, _Word(word, set(), is_harmless=True)
        if word in _WORDS:
            return count, _Word(word, set(_WORDS[word]))
    return 1, _Word(tokens[place][0], set(), is_harmless=tokens[place][0] in _HARMLESS)


def _read_letter(text: str, token: re.Match[str]) -> _Word | None:
    """Return the meaning of a single letter directly beside a digit, or None: "3V", "2E" and "2R" are numbers of views."""
    is_after = text[max(token.start() - 1, 0) : token.start()].isdigit()
    is_before = text[token.end() : token.end() + 1].isdigit()
    letter = token[0]
    if not (is_after or is_before):
        return None
    if letter == "v" or (letter in _VIEW_LETTERS and is_after and not is_before):
        return _Word(letter, {("English", "views")})
    return _Word(letter, set(), is_harmless=is_before or letter in _TIME_LETTERS)


def _read_cjk(text: str) -> Iterator[_Word]:
    place = 0
    while place < len(text):
        length = next((n for n in range(5, 0, -1) if text[place : place + n] in _CJK_INDEX), 0)
        if length:
            word = text[place : place + length]
            yield _Word(word, set(_CJK_INDEX[word]))
        place += max(length, 1)


def _is_part_or_side(meaning: str) -> bool:
    return meaning in PARTS or meaning in _PLURALS or meaning in ("L", "R", "both")


def _split_phrases(words: Iterable[_Word]) -> Iterator[list[_Word]]:
    """Yield the words between separators; a word for "and" is a separator."""
    phrase: list[_Word] = []
    for word in words:
        is_and = any(meaning == "and" for _, meaning in word.meanings)
        if word.begins_phrase or is_and:
            yield phrase
            phrase = []
        if not is_and:
            phrase.append(word)
    yield phrase


def _find_named_parts(meanings: list[set[str]]) -> set[str]:
    """Return the parts of a phrase, without a part that it adds by "with"."""
    named: set[str] = set()
    for each in meanings:
        if "with" in each and named:
            break
        named |= {meaning for meaning in each if meaning in PARTS or meaning in _PLURALS}
    return named


def combine_projections(named: set[str]) -> set[str]:
    """Return the projections of one phrase: "PA oblique" is an oblique projection."""
    if named & _SPECIAL:
        return named & _SPECIAL
    if "oblique" in named and not (named & FRONTAL and "lateral" in named):
        return {"oblique"}
    return named


def _names_several_views(words: list[_Word]) -> bool:
    """Return True if a number of views above one is named."""
    for one, other in pairwise(words):
        many = (one.text.isdigit() and 2 <= int(one.text) <= 9) or any(m == "two" for _, m in one.meanings)
        is_plane = other.text == "e" and other is words[-1]  # "in 2 E": Ebenen
        if many and (is_plane or any(meaning == "views" for _, meaning in other.meanings)):
            return True
    return False
