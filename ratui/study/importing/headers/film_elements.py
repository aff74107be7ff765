"""Read the statements of all elements of a header, each element on its own.

The rules between the elements are in `identification`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from ratui.study.importing.headers.film_codes import CODES, LATERALITIES, SCHEMES, VIEW_POSITIONS
from ratui.study.importing.headers.film_statements import Both, Rank, Statement, combine_projections, parse_words
from ratui.study.importing.headers.film_words import PARTS, PROJECTIONS
from ratui.study.importing.reader.film_header import CodedTerm, FilmHeader

__all__ = ["read_statements"]


def _split(words: str) -> list[str]:
    return [word.strip() for word in words.split(",")]


_CODE_INDEX = {value: meaning.split() for meaning, values in CODES.items() for value in _split(values)}
_CODE_INDEX |= {value: [meaning] for meaning, values in CODES.items() if meaning in PARTS for value in _split(values)}
_POSITIONS = {value: meaning for meaning, values in VIEW_POSITIONS.items() for value in _split(values)}


def read_statements(header: FilmHeader) -> list[Statement]:
    """Return the statements of all elements of `header` that name something, the most specific first."""
    found = []
    for keyword, rank, read in _ELEMENTS:
        for statement in read(header, keyword):
            named = replace(statement, element=statement.element or keyword, rank=rank)
            says_nothing = not (named.parts or named.sides or named.projections)
            if not says_nothing or named.is_unknown or named.has_unknown_words or named.may_be_oblique:
                found.append(named)
    return found


def _read_description(header: FilmHeader, keyword: str) -> Iterator[Statement]:
    yield parse_words(header.elements.get(keyword, ""))


def _read_laterality(header: FilmHeader, keyword: str) -> Iterator[Statement]:
    text = header.elements.get(keyword, "")
    words, side = parse_words(text), LATERALITIES.get(text.upper(), "")
    sides = frozenset(side) if side else words.sides
    both = Both.NO if side else words.both
    yield Statement("", Rank.IMAGE, is_code=True, sides=sides, both=both)


def _read_body_part(header: FilmHeader, keyword: str) -> Iterator[Statement]:
    words = parse_words(header.elements.get(keyword, ""))
    is_unknown = (words.has_unknown_words or words.may_be_oblique) and not words.parts
    words = replace(words, is_code=True, projections=frozenset(), may_be_oblique=False)
    yield replace(words, has_unknown_words=is_unknown)


def _read_view_position(header: FilmHeader, keyword: str) -> Iterator[Statement]:
    projections: frozenset[str] = frozenset()
    is_unknown = False
    for text in header.elements.get(keyword, "").split("\\"):  # one value by the standard
        meaning, words = _POSITIONS.get(text.upper(), ""), parse_words(text)
        stated = words.projections if not meaning else frozenset((meaning,)) & frozenset(PROJECTIONS)
        projections |= stated
        is_unknown = is_unknown or (bool(text) and not meaning and (not stated or words.has_unknown_words))
    yield Statement("", Rank.IMAGE, is_code=True, projections=projections, is_unknown=is_unknown)


def _read_view_codes(header: FilmHeader, keyword: str) -> Iterator[Statement]:
    terms = _list_terms(header, keyword)
    projections = combine_projections(set().union(*map(_find_code_meanings, terms)) & set(PROJECTIONS))
    yield Statement("", Rank.IMAGE, is_code=True, projections=frozenset(projections))
    meaning = parse_words(" ".join(term.meaning for term in terms))
    is_unclear = bool(terms) and not projections and not meaning.projections
    yield Statement(f"{keyword} (meaning)", Rank.IMAGE, projections=meaning.projections, has_unknown_words=is_unclear)


def _read_codes(header: FilmHeader, keyword: str) -> Iterator[Statement]:
    terms = _list_terms(header, keyword)
    meanings = set().union(*map(_find_code_meanings, terms))
    yield Statement(
        "",
        Rank.IMAGE,
        is_code=True,
        parts=frozenset(meanings & set(PARTS)),
        sides=frozenset("B") if meanings >= {"L", "R"} else frozenset(meanings & {"L", "R", "B"}),
        projections=frozenset(combine_projections(meanings & set(PROJECTIONS))),
    )
    words = parse_words(", ".join(term.meaning for term in terms))
    yield Statement(
        f"{keyword} (meaning)",
        Rank.IMAGE,
        parts=words.parts,
        sides=words.sides,
        projections=words.projections,
        both=words.both,
    )


def _list_terms(header: FilmHeader, keyword: str) -> list[CodedTerm]:
    """Return the terms of a sequence and of its modifiers."""
    return [
        term for key, terms in header.codes.items() if key == keyword or key.startswith(f"{keyword}.") for term in terms
    ]


def _find_code_meanings(term: CodedTerm) -> set[str]:
    return set(_CODE_INDEX.get(term.value, ())) if term.scheme.upper() in SCHEMES else set()


_ELEMENTS: tuple[tuple[str, Rank, Callable[[FilmHeader, str], Iterator[Statement]]], ...] = (
    ("ImageLaterality", Rank.IMAGE, _read_laterality),
    ("FrameLaterality", Rank.IMAGE, _read_laterality),
    ("ViewPosition", Rank.IMAGE, _read_view_position),
    ("ViewCodeSequence", Rank.IMAGE, _read_view_codes),
    ("AnatomicRegionSequence", Rank.IMAGE, _read_codes),
    ("PrimaryAnatomicStructureSequence", Rank.IMAGE, _read_codes),
    ("AcquisitionDeviceProcessingDescription", Rank.SERIES, _read_description),
    ("Laterality", Rank.SERIES, _read_laterality),
    ("BodyPartExamined", Rank.SERIES, _read_body_part),
    ("SeriesDescription", Rank.SERIES, _read_description),
    ("ProtocolName", Rank.PROTOCOL, _read_description),
    ("AcquisitionProtocolName", Rank.PROTOCOL, _read_description),
    ("PerformedProcedureStepDescription", Rank.PROTOCOL, _read_description),
    ("RequestAttributesSequence.ScheduledProcedureStepDescription", Rank.PROTOCOL, _read_description),
    ("PerformedProtocolCodeSequence", Rank.PROTOCOL, _read_codes),
    ("RequestAttributesSequence.ScheduledProtocolCodeSequence", Rank.PROTOCOL, _read_codes),
    ("RequestedProcedureDescription", Rank.STUDY, _read_description),
    ("RequestAttributesSequence.RequestedProcedureDescription", Rank.STUDY, _read_description),
    ("StudyDescription", Rank.STUDY, _read_description),
    ("RequestedProcedureCodeSequence", Rank.STUDY, _read_codes),
    ("RequestAttributesSequence.RequestedProcedureCodeSequence", Rank.STUDY, _read_codes),
    ("ProcedureCodeSequence", Rank.STUDY, _read_codes),
)
