"""A slow implementation of "What a film shows" in docs/intake.md, written from that page and its tables of words."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path

from ratui.study.importing import FilmHeader
from tests.study.importing.intake_tables import read_tables

FRONTAL = {"PA", "AP", "frontal"}
PROJECTIONS = {*FRONTAL, "lateral", "oblique", "Norgaard", "Brewerton", "scaphoid", "tangential"}
PLURALS = {"hands": "hand", "wrists": "wrist", "feet": "foot"}
OTHERS = {"L", "R", "B", "both", "with", "and", "views", "two", "nothing", *PROJECTIONS, *PLURALS}
SEPARATORS = ",;/+&|\\・、"


TABLES = read_tables((Path(__file__).parents[3] / "docs" / "intake-words.md").read_text(encoding="utf-8"))
LANGUAGES = [name for name in TABLES if name not in ("codes", "positions", "weak words", "harmless", "rejection")]
PARTS = {meaning for name in LANGUAGES for meaning, _ in TABLES[name]} - OTHERS
NEUTRAL = ("right handed", "left handed")
PROTOCOLS = ("ProtocolName", "AcquisitionProtocolName")


def listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


HARMLESS = {word for _, text in TABLES["harmless"] for word in listed(text)}


@cache
def meanings_of(word: str, *, weak: bool = False) -> list[tuple[str, str]]:
    """Return all (language, meaning) of a word, written with single spaces or as one."""
    found = []
    if weak:
        for language, text in TABLES["weak words"]:
            for part in text.split(";"):
                meaning, words = part.strip().split(": ")
                found += [(language, meaning) for each in listed(words) if each == word]
        return found
    for language in LANGUAGES:
        for meaning, text in TABLES[language]:
            found += [(language, meaning) for each in listed(text) if word in (each, each.replace(" ", ""))]
    return found


@dataclass
class Said:
    """The values that one element states."""

    element: str
    rank: int
    code: bool
    parts: set[str] = field(default_factory=set)
    sides: set[str] = field(default_factory=set)
    projections: set[str] = field(default_factory=set)
    express: bool = False
    weak: bool = False
    unknown: bool = False
    unread: bool = False
    fraction: bool = False


def common_form(text: str) -> str:
    text = unicodedata.normalize("NFKC", text)
    spaced = ""
    for number, letter in enumerate(text):
        before = text[number - 1] if number else ""
        if "A" <= letter <= "Z" and ("a" <= before <= "z" or "ß" <= before <= "ÿ"):
            spaced += " "
        spaced += letter
    text = spaced.casefold()
    for one, other in (("°", " degree "), ("ø", "o"), ("æ", "ae"), ("œ", "oe"), ("ł", "l")):
        text = text.replace(one, other)
    decomposed = unicodedata.normalize("NFKD", text)
    text = unicodedata.normalize("NFC", "".join(c for c in decomposed if not "\u0300" <= c <= "\u036f"))
    text = re.sub(r"\br/o\b", " ", text)
    text = text.replace("3\u20444", " three quarters ")
    text = re.sub(r"\bw/", " with ", text)
    text = re.sub(r"(^|[^0-9/])3/4(?=$|[^0-9/])", r"\1 troisquart ", text)
    text = re.sub(r"\b[ld]['’](?=[a-z])", " ", text)
    return re.sub(r"\b([adp])\. ?([apv])\.", r"\1\2 ", text)


def kind_of(character: str) -> str:
    if "a" <= character <= "z":
        return "letter"
    if character.isdecimal():
        return "digit"
    is_japanese = "\u3041" <= character <= "\u30ff" and character != "・"
    return "japanese" if is_japanese or "\u3400" <= character <= "\u9fff" or character == "々" else "other"


def groups_of(text: str) -> list[tuple[int, int, str]]:
    groups: list[tuple[int, int, str]] = []
    for number, character in enumerate(text):
        kind = kind_of(character)
        if kind == "other":
            continue
        if groups and groups[-1][1] == number and groups[-1][2] == kind:
            groups[-1] = (groups[-1][0], number + 1, kind)
        else:
            groups.append((number, number + 1, kind))
    return groups


def words_of(text: str) -> list[tuple[str, list[tuple[str, str]], bool, bool]]:
    """Return words with their meanings, whether a separator is before them, and whether they are harmless."""
    groups, words, place, end = groups_of(text), [], 0, 0
    separated = False
    while place < len(groups):
        start, stop, kind = groups[place]
        separated = separated or any(character in SEPARATORS for character in text[end:start])
        if kind == "japanese":
            at = start
            while at < stop:
                sizes = [n for n in range(stop - at, 0, -1) if ("Japanese" in dict(meanings_of(text[at : at + n])))]
                if sizes:
                    word = text[at : at + sizes[0]]
                    words.append((word, [pair for pair in meanings_of(word) if pair[0] == "Japanese"], separated, True))
                    separated = False
                at += sizes[0] if sizes else 1
            end, place = stop, place + 1
            continue
        taken, found = 1, (text[start:stop], [], separated, kind == "digit" or text[start:stop] in HARMLESS)
        if kind == "letter":
            single = stop - start == 1
            after, before = start > 0 and text[start - 1].isdigit(), text[stop : stop + 1].isdigit()
            if single and (after or before):
                letter = text[start]
                views = letter == "v" or (letter in "er" and after and not before)
                found = (letter, [("English", "views")] if views else [], separated, before or letter in "dwmy")
            else:
                for count in (3, 2, 1):
                    some = groups[place : place + count]
                    between = [text[a[1] : b[0]] for a, b in pairwise(some)]
                    if len(some) < count or any(gap.strip(" -_‐–") for gap in between):
                        continue
                    word = " ".join(text[a:b] for a, b, _ in some)
                    if word in NEUTRAL or meanings_of(word):
                        known = [] if word in NEUTRAL else [p for p in meanings_of(word) if p[0] != "Japanese"]
                        taken, found = count, (word, known, separated, word in NEUTRAL)
                        break
        words.append(found)
        separated = False
        end, place = groups[place + taken - 1][1], place + taken
    return words


def has_unread_japanese(text: str) -> bool:
    while text:
        starts = {text[:n]: n for n in range(1, len(text) + 1)}
        sizes = [n for word, n in starts.items() if "Japanese" in dict(meanings_of(word)) or word in HARMLESS][::-1]
        if not sizes:
            return True
        text = text[sizes[0] :]
    return False


def said_by_words(text: str) -> Said:
    said = Said("", 0, False)
    form = common_form(text)
    words = words_of(form)
    said.unread = any(kind_of(character) == "other" and character.isalpha() for character in form)
    japanese = [form[start:stop] for start, stop, kind in groups_of(form) if kind == "japanese"]
    said.unread = said.unread or any(map(has_unread_japanese, japanese))
    spoken = {
        language
        for _, meanings, _, _ in words
        for language, meaning in meanings
        if meaning in PARTS or meaning in PLURALS or meaning in ("L", "R", "both")
    }
    named: list[tuple[str, set[str], bool]] = []
    for number, (word, meanings, separated, harmless) in enumerate(words):
        known = {meaning for _, meaning in meanings}
        if not known and not (number == 0 and word == "dx"):
            known = {meaning for language, meaning in meanings_of(word, weak=True) if language in spoken}
        said.fraction = said.fraction or (word == "troisquart" and not known)
        said.unread = said.unread or not (known or harmless or word == "troisquart")
        named.append((word, known, separated))
    phrases: list[list[set[str]]] = [[]]
    for _, known, separated in named:
        if separated or "and" in known:
            phrases.append([])
        if "and" not in known:
            phrases[-1].append(known)
    plural = both = False
    for phrase in phrases:
        parts_here: set[str] = set()
        projections: set[str] = set()
        for number, known in enumerate(phrase):
            projections |= known & PROJECTIONS
            said.sides |= known & {"L", "R"}
            both = both or "both" in known
            earlier_with = [
                n
                for n in range(number + 1)
                if "with" in phrase[n] and any(k & (PARTS | set(PLURALS)) for k in phrase[:n])
            ]
            if not earlier_with:
                parts_here |= known & PARTS | {PLURALS[each] for each in known if each in PLURALS}
                plural = plural or bool(known & set(PLURALS))
        said.parts |= parts_here
        special = projections & {"Norgaard", "Brewerton", "scaphoid", "tangential"}
        if special:
            projections = special
        elif "oblique" in projections and not (projections & FRONTAL and "lateral" in projections):
            projections = {"oblique"}
        said.projections |= projections
    for one, other in pairwise(named):
        is_number = one[0].isdigit() and 2 <= int(one[0]) <= 9
        last_e = other is named[-1] and other[0] == "e"
        if (is_number or "two" in one[1]) and ("views" in other[1] or last_e):
            said.projections |= {"frontal", "lateral", "oblique"}
    if both or said.sides == {"L", "R"}:
        said.express = both or len(said.parts) <= 1
        said.weak = not said.express
    elif plural and not said.sides:
        said.weak = True
    if said.express or said.weak:
        said.sides = {"L", "R"}
    return said


def meaning_of_code(scheme: str, value: str) -> set[str]:
    if scheme.upper() not in ("SCT", "SRT", "SNM3", "99SDM", "RADLEX"):
        return set()
    found: set[str] = set()
    for meaning, values in TABLES["codes"]:
        if value in listed(values):
            side, _, part = meaning.partition(" ")
            found |= {side, part} if side in ("L", "R") and part else {meaning}
    return found


ORDER = (
    (1, "side", ("ImageLaterality", "FrameLaterality")),
    (1, "position", ("ViewPosition",)),
    (1, "view codes", ("ViewCodeSequence",)),
    (1, "codes", ("AnatomicRegionSequence", "PrimaryAnatomicStructureSequence")),
    (2, "words", ("AcquisitionDeviceProcessingDescription",)),
    (2, "side", ("Laterality",)),
    (2, "part", ("BodyPartExamined",)),
    (2, "words", ("SeriesDescription",)),
    (3, "words", ("ProtocolName", "AcquisitionProtocolName", "PerformedProcedureStepDescription")),
    (3, "words", ("RequestAttributesSequence.ScheduledProcedureStepDescription",)),
    (3, "codes", ("PerformedProtocolCodeSequence", "RequestAttributesSequence.ScheduledProtocolCodeSequence")),
    (4, "words", ("RequestedProcedureDescription", "RequestAttributesSequence.RequestedProcedureDescription")),
    (4, "words", ("StudyDescription",)),
    (4, "codes", ("RequestedProcedureCodeSequence", "RequestAttributesSequence.RequestedProcedureCodeSequence")),
    (4, "codes", ("ProcedureCodeSequence",)),
)


def all_said(header: FilmHeader) -> list[Said]:
    found: list[Said] = []
    for rank, kind, elements in ORDER:
        for element in elements:
            text = header.elements.get(element, "")
            said = said_by_words(text)
            said.element, said.rank, said.code = element, rank, kind != "words"
            is_unread_part = kind == "part" and not said.parts and (said.unread or said.fraction)
            said.unread = is_unread_part or (kind == "words" and said.unread)
            said.fraction = said.fraction and kind == "words"
            if kind == "side":
                said.parts, said.projections = set(), set()
                if text.upper() in ("L", "R", "B"):
                    said.sides, said.express, said.weak = {text.upper()}, False, False
            elif kind == "part":
                said.projections = set()
            elif kind == "position":
                said = Said(element, rank, True)
                for value in text.split("\\"):
                    known = [meaning for meaning, values in TABLES["positions"] if value.upper() in listed(values)]
                    words = said_by_words(value)
                    said.projections |= {known[0]} & PROJECTIONS if known else words.projections
                    if value and not known and (words.unread or not words.projections):
                        said.unknown = True
            elif kind in ("codes", "view codes"):
                terms = [t for key, many in header.codes.items() if (key + ".").startswith(element + ".") for t in many]
                every = set().union(*(meaning_of_code(term.scheme, term.value) for term in terms))
                projections = every & PROJECTIONS
                special = projections & {"Norgaard", "Brewerton", "scaphoid", "tangential"}
                if special:
                    projections = special
                elif "oblique" in projections and not (projections & FRONTAL and "lateral" in projections):
                    projections = {"oblique"}
                sides = {"B"} if {"L", "R"} <= every else every & {"L", "R", "B"}
                said = Said(element, rank, True, every & PARTS, sides, projections)
                joined = (" " if kind == "view codes" else ", ").join(term.meaning for term in terms)
                meaning = said_by_words(joined)
                meaning.element, meaning.rank, meaning.fraction = f"{element} (meaning)", rank, False
                if kind == "view codes":
                    meaning.unread = bool(terms) and not said.projections and not meaning.projections
                    said.parts, said.sides = set(), set()
                    meaning.parts, meaning.sides, meaning.express, meaning.weak = set(), set(), False, False
                else:
                    meaning.unread = False
                found += [said, meaning]
                continue
            found.append(said)
    return found


DOUBT = "doubt"


def decide(said: list[tuple[Said, set[str]]]) -> tuple[Said | None, str]:
    """Return the deciding statement and its value, or the word for a doubt."""
    spoken = [(each, values) for each, values in said if values]
    for rank in (1, 2, 3, 4):
        for each, values in spoken:
            if each.rank == rank and len(values) == 1:
                (value,) = values
                for other, its in spoken:
                    if value not in its and other.rank <= max(rank, 2):
                        return each, DOUBT
                return each, value
    return None, ""


def without_default(grouped: list[tuple[Said, set[str]]]) -> list[tuple[Said, set[str]]]:
    """Leave out a View Position that is the default of the device."""
    others = [(each, values) for each, values in grouped if each.rank <= 3 and each.element != "ViewPosition"]
    described = [each for each, values in others if each.rank >= 2 and not each.code and len(values) == 1]
    if not described or any("frontal" in values for _, values in others):
        return grouped
    return [p for p in grouped if p[0].element != "ViewPosition" or p[0].projections not in ({"PA"}, {"AP"})]


def describes_one_film(said: Said) -> bool:
    """Return True for a description of the film that states a part and no side."""
    menu = said.element == "AcquisitionDeviceProcessingDescription" or said.element.endswith("(meaning)")
    return bool(said.parts) and not said.sides and not said.code and not menu


def identify(header: FilmHeader, views: tuple[str, ...]) -> tuple[str, str, str, bool, bool]:
    """Return part, side, projection, whether a person must decide, and whether the film is rejected.

    A value in doubt is empty. The header is that of a radiograph.
    """
    said = all_said(header)
    wide = header.columns > header.rows
    _, part = decide([(each, each.parts) for each in said])
    unexamined = any(each.element == "BodyPartExamined" and each.unread for each in said)
    if unexamined and part and not any(each.parts and each.rank <= 2 for each in said):
        part = DOUBT
    unclear = part in ("", DOUBT)
    known = part in views
    if not unclear and not known:
        wanted = [each for each in said if each.rank <= 3 and part not in each.parts and each.parts & set(views)]
        unclear = bool(wanted)

    grouped = [(each, {"frontal" if value in FRONTAL else value for value in each.projections}) for each in said]
    all_near = [each for each, values in grouped if values and each.rank <= 3]
    grouped = without_default([(each, values) for each, values in grouped if values])
    first, projection = decide(grouped)
    near = [values for each, values in sorted(grouped, key=lambda pair: pair[0].rank) if each.rank <= 3]
    is_unknown = any(each.unknown for each in said) and not [n for n in all_near if n.element != "ViewPosition"]
    unread = {each.element for each in said if each.unread and each.rank <= 3} - {"BodyPartExamined"}
    own = unread & {"AcquisitionDeviceProcessingDescription", "SeriesDescription", *PROTOCOLS}
    defaults = [each.element == "ViewPosition" and each.projections in ({"PA"}, {"AP"}) for each in all_near]
    is_unread = (not near and bool(unread)) or (bool(own) and any(defaults) and all(defaults))
    is_contrary = projection != DOUBT and any(projection not in values for values in near)
    if is_unknown or is_unread or is_contrary or (projection == "" and grouped):
        projection = DOUBT
    if near and all(len(values) == 1 and "frontal" not in values for values in near):
        (projection,) = near[0]
    elif projection == "frontal" and first is not None and first.projections in ({"PA"}, {"AP"}):
        (projection,) = first.projections
    two = [each for each in said if each.express or each.weak]
    first, side = decide([(each, each.sides | ({"B"} if each in two else set())) for each in said])
    if side in ("L", "R") and first is not None:
        for each in two:
            if each.rank < first.rank and each.rank <= 2 and (each.express or wide):
                side = DOUBT
            if each.rank == first.rank and each.rank <= 2 and wide:
                side = DOUBT
    elif not side:
        side = DOUBT
        if two and not any(describes_one_film(each) and each.rank < two[0].rank for each in said):
            of_film = two[0].rank <= 2 or two[0].element in PROTOCOLS
            if wide or (two[0].express and of_film):
                side = "B"

    comment = said_by_words(header.elements.get("ImageComments", ""))
    shown = "frontal" if projection in FRONTAL else projection
    views_said = {"frontal" if value in FRONTAL else value for value in comment.projections}
    compared = ((part, comment.parts), (side, comment.sides), (shown, views_said))
    marked = any(value != DOUBT and its and value not in its for value, its in compared)
    doubtful = unclear or marked or DOUBT in (projection, side)
    wrong_view = projection not in ("", DOUBT) and projection not in FRONTAL
    rejected = (not unclear and not known) or wrong_view
    clean = ["" if value == DOUBT else value for value in (part, side, projection)]
    return clean[0], clean[1], clean[2], doubtful, rejected
