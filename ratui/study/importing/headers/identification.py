"""Identify the part of the body, the side and the projection of a film from all elements of its header.

The rules are those of docs/intake.md, "What a film shows". A specific element decides before a general one. Nothing is
guessed: where elements of equal weight contradict each other, a person must decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ratui.scheme import View
from ratui.study.importing.headers.film_elements import read_statements
from ratui.study.importing.headers.film_statements import (
    FRONTAL,
    Both,
    Rank,
    Statement,
    find_rejection_words,
    parse_words,
)
from ratui.study.importing.headers.film_words import PARTS
from ratui.study.importing.headers.radiograph_check import find_capture_doubt, find_object_kind
from ratui.study.importing.reader.film_header import FilmHeader

__all__ = ["FilmIdentity", "identify"]

_SIDES = {"L": "left", "R": "right", "B": "both sides"}
_PROTOCOLS = ("ProtocolName", "AcquisitionProtocolName")
_UNKNOWN_POSITION = "its View Position has a value that ratui does not know"
_EXAMINED = "BodyPartExamined"
_OWN_TEXTS = ("AcquisitionDeviceProcessingDescription", "SeriesDescription", *_PROTOCOLS)
"""Descriptions of the exposure itself; those of steps of a procedure often describe an order of several views."""
_COMMENTED = ("ImageComments", "SeriesDescription", *_PROTOCOLS)


@dataclass(frozen=True)
class FilmIdentity:
    """The part, side and projection of a film, and the elements that state them.

    The texts name elements and values of closed lists only, so that they can be shown and stored.

    Attributes
    ----------
    part
        Part of the body, such as ``hand`` or ``knee``; empty if unknown.
    view
        Id of the scheme's view of that part, or empty.
    side
        ``L``, ``R``, ``B`` or empty.
    projection
        ``PA``, ``AP``, ``frontal``, ``lateral``, ``oblique``, ``Norgaard``, ``Brewerton``, ``scaphoid``, ``tangential``, or
        empty if no element states it.
    decided_by
        Element that decided each of ``part``, ``side`` and ``projection``.
    contradictions
        Statements of other elements that differ and did not decide, and other remarks for a person.
    doubts
        Reasons why a person must decide. A film with a doubt is not imported without a manifest.
    rejection
        Reason why the file is no film of the scheme, or empty.
    marks, unclear_marks
        Elements with words that say that the exposure was rejected; unclear ones also name a repeat, or negate it.
    may_be_oblique
        Element with 3/4, which may name an oblique projection or number the films, or empty.
    """

    part: str = ""
    view: str = ""
    side: str = ""
    projection: str = ""
    decided_by: Mapping[str, str] = field(default_factory=dict, hash=False)
    contradictions: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    rejection: str = ""
    marks: tuple[str, ...] = ()
    unclear_marks: tuple[str, ...] = ()
    may_be_oblique: str = ""

    @property
    def is_certain(self) -> bool:
        """True if the film can be imported as the part and the side of this identity without a person."""
        return not (self.rejection or self.doubts or self.marks or self.unclear_marks or self.may_be_oblique)


@dataclass(frozen=True)
class _Decision:
    value: str = ""
    element: str = ""
    contradictions: tuple[str, ...] = ()
    doubt: str = ""


def identify(header: FilmHeader, views: Mapping[str, View]) -> FilmIdentity:
    """Return what the film with this `header` shows.

    Parameters
    ----------
    header
        Header of the film.
    views
        Views of the scheme by id.
    """
    kind = find_object_kind(header)
    if kind:
        return FilmIdentity(rejection=f"it is {kind}, not a radiograph")
    if not header.rows or not header.columns:
        return FilmIdentity(rejection="it contains no image")
    statements = read_statements(header)
    part, side, projection = (
        _decide_part(statements),
        _decide_side(statements, is_wide=header.columns > header.rows),
        _decide_projection(statements),
    )
    decisions = {"part": part, "side": side, "projection": projection}
    matching = _find_views(part.value, views)
    rejection, doubts = "", [decision.doubt for decision in decisions.values()]
    if len(matching) > 1:
        doubts.append(f"the scheme has several views of the {part.value}")
    doubts.append(find_capture_doubt(header))
    marks = {keyword: find_rejection_words(header.elements.get(keyword, "")) for keyword in _COMMENTED}
    doubts += _compare_comment(header, decisions)
    contrary = _find_wanted_part(part, statements, views)
    is_other_part = bool(part.value) and not matching
    if is_other_part and contrary:
        doubts.append(contrary)
    if is_other_part and not contrary:
        rejection = f"it shows the {part.value}, and the scheme has no view of it"
    elif projection.value and projection.value not in FRONTAL:
        rejection = f"its projection is {projection.value}; only frontal films are scored"
    return FilmIdentity(
        part.value,
        matching[0] if len(matching) == 1 else "",
        side.value,
        projection.value,
        {name: decision.element for name, decision in decisions.items() if decision.element},
        tuple(text for decision in decisions.values() for text in decision.contradictions),
        tuple(filter(None, doubts)),
        rejection,
        tuple(keyword for keyword, (_, is_clear) in marks.items() if is_clear),
        tuple(keyword for keyword, (is_marked, is_clear) in marks.items() if is_marked and not is_clear),
        next((each.element for each in statements if each.may_be_oblique and each.rank < Rank.STUDY), ""),
    )


def _find_views(part: str, views: Mapping[str, View]) -> list[str]:
    """Return the view with the name of the part, else all views of the part."""
    if part in views:
        return [part]
    return [id for id, view in views.items() if view.part == part and id not in PARTS]


def _find_wanted_part(part: _Decision, statements: list[Statement], views: Mapping[str, View]) -> str:
    """Return the contradiction of an element of the film or its protocol that names a part of the scheme, or ""."""
    named = [(each, each.parts) for each in statements if each.parts and each.rank < Rank.STUDY]
    others = [pair for pair in named if part.value not in pair[1] and any(_find_views(each, views) for each in pair[1])]
    deciding = [pair for pair in named if pair[0].element == part.element]
    return f"{_quote(*deciding[0])}, {_quote(*others[0])}" if deciding and others else ""


def _decide_part(statements: list[Statement]) -> _Decision:
    named = [(each, each.parts) for each in statements if each.parts]
    if not named:
        return _Decision(doubt="its header doesn't say which part of the body it shows")
    decision = _decide(named)
    if not decision.value and not decision.doubt:
        return _Decision(doubt=f"its elements name several parts: {_quote(*named[0])}")
    examined = [each for each in statements if each.element == _EXAMINED and each.has_unknown_words]
    if examined and not any(each.rank <= Rank.SERIES for each, _ in named):
        return _Decision(doubt="its Body Part Examined has a value that ratui does not know")
    return decision


def _compare_comment(header: FilmHeader, decisions: Mapping[str, _Decision]) -> list[str]:
    """Return the contradictions between the comment on the image and the decisions. A comment decides nothing."""
    comment = replace(parse_words(header.elements.get("ImageComments", "")), element="ImageComments")
    stated = {"part": comment.parts, "side": comment.sides, "projection": _merge_frontal(comment.projections)}
    found = []
    for name, values in stated.items():
        decision = decisions[name]
        value = "frontal" if decision.value in FRONTAL else decision.value
        if values and value not in values and not decision.doubt:
            said = _quote(comment, values)
            other = f"{decision.element} says {_SIDES.get(value, value)}"
            found.append(f"{said}, {other}" if value else f"{said}, no other element states it")
    return found


def _merge_frontal(projections: Iterable[str]) -> frozenset[str]:
    return frozenset("frontal" if value in FRONTAL else value for value in projections)


def _decide_projection(statements: list[Statement]) -> _Decision:
    named = [(each, _merge_frontal(each.projections)) for each in statements if each.projections]
    is_unknown = any(each.is_unknown for each in statements)
    is_unknown = is_unknown and all(each.element == "ViewPosition" or each.rank == Rank.STUDY for each, _ in named)
    if is_unknown and not any(each.rank < Rank.STUDY for each, _ in named):
        return _Decision(doubt=_UNKNOWN_POSITION)
    unread = [
        each for each in statements if each.has_unknown_words and each.rank < Rank.STUDY and each.element != _EXAMINED
    ]
    if unread and not any(each.rank < Rank.STUDY for each, _ in named):
        return _Decision(
            doubt=f"{unread[0].element} has words that ratui does not know, and no other element states the projection"
        )
    if not named:
        return _Decision(contradictions=("its header doesn't state the projection",))
    own = [each for each in unread if each.element in _OWN_TEXTS]
    if own and all(_may_be_default(each) for each, _ in named if each.rank < Rank.STUDY):
        return _Decision(
            doubt=f"{own[0].element} has words that ratui does not know, and only ViewPosition states the projection"
        )
    default, described = _find_default(named)
    film = [pair for pair in named if pair[0].rank < Rank.STUDY and pair[0] is not default]
    if film and all(len(values) == 1 and "frontal" not in values for _, values in film):
        first, values = min(film, key=lambda pair: pair[0].rank)
        return _Decision(next(iter(values)), first.element)  # others may name another one, but none a frontal one
    if is_unknown:
        return _Decision(doubt=_UNKNOWN_POSITION)
    if default is not None:
        remark = f"{_quote(default, frozenset(('frontal',)))}, {_quote(*described[0])}"
        decision = _decide([pair for pair in named if pair[0] is not default])
        decision = replace(decision, contradictions=(remark, *decision.contradictions))
    else:
        decision = _decide(named)
    if decision.doubt:
        return decision
    if not decision.value:
        return _Decision(doubt=f"its elements name several projections: {_quote(*named[0])}")
    others = [
        pair for pair in named if pair[0].rank < Rank.STUDY and decision.value not in pair[1] and pair[0] is not default
    ]
    if others:
        deciding = next(pair for pair in named if pair[0].element == decision.element)
        return _Decision(doubt=f"{_quote(*deciding)}, {_quote(*others[0])}")
    if decision.value == "frontal":
        values = next(each.projections for each in statements if each.element == decision.element)
        value = next((each for each in ("PA", "AP") if values == {each}), "frontal")
        return _Decision(value, decision.element, decision.contradictions)
    return decision


_Named = list[tuple[Statement, frozenset[str]]]


def _find_default(named: _Named) -> tuple[Statement | None, _Named]:
    """Return a View Position that is the default of its device, and the descriptions of the film that differ from it.

    Many devices write PA or AP into each film, unless somebody chooses another value.
    """
    film = [pair for pair in named if pair[0].rank < Rank.STUDY]
    positions = [each for each, _ in film if _may_be_default(each)]
    others = [pair for pair in film if pair[0].element != "ViewPosition"]
    described = [pair for pair in others if not pair[0].is_code and pair[0].rank > Rank.IMAGE and len(pair[1]) == 1]
    if not positions or not described or any("frontal" in values for _, values in others):
        return None, []
    return positions[0], described


def _may_be_default(statement: Statement) -> bool:
    return statement.element == "ViewPosition" and statement.projections in ({"PA"}, {"AP"})


def _decide_side(statements: list[Statement], *, is_wide: bool) -> _Decision:
    named = [(each, each.sides) for each in statements if each.sides]
    if not named:
        return _Decision(doubt="it doesn't say which side it shows")
    both = [each for each in statements if each.both]
    decision = _decide([(each, each.sides | {"B"} if each.both else each.sides) for each, _ in named])
    if decision.doubt:
        return decision
    if decision.value:
        rank = next(each.rank for each in statements if each.element == decision.element)
        for each in both:
            # Words for both sides describe one film only where they belong to it: in the image or its series.
            is_near = each.rank <= Rank.SERIES and (each.rank < rank or (each.rank == rank and is_wide))
            if is_near and decision.value != "B" and (each.both is Both.EXPRESS or is_wide):
                deciding = next(pair for pair in named if pair[0].element == decision.element)
                return _Decision(doubt=f"{_quote(each, frozenset('B'))}, {_quote(*deciding)}")
        return decision
    if not both:
        return _Decision(doubt=f"its elements name several sides: {_quote(*named[0])}")
    first = both[0]
    single = [each.element for each in statements if _is_singular(each) and each.rank < first.rank]
    if single:
        return _Decision(doubt=f"{first.element} names both sides, {single[0]} describes one film without a side")
    is_of_film = first.rank <= Rank.SERIES or first.element in _PROTOCOLS
    if is_wide or (first.both is Both.EXPRESS and is_of_film):
        return _Decision("B", first.element)
    return _Decision(doubt=f"{first.element} names both sides, and the image is not wider than high: it may show one")


def _is_singular(statement: Statement) -> bool:
    """Return True for a description of the film that names a part in the singular and no side."""
    is_menu = statement.element in ("AcquisitionDeviceProcessingDescription",) or "(meaning)" in statement.element
    return bool(statement.parts) and not statement.sides and not statement.is_code and not is_menu


def _decide(named: list[tuple[Statement, frozenset[str]]]) -> _Decision:
    """Return the decision between statements in the order of their rank: the first with a single value decides.

    The decision is empty if each statement has several values.
    """
    single = [pair for pair in named if len(pair[1]) == 1]
    if not single:
        return _Decision()
    first = min(single, key=lambda pair: pair[0].rank)
    (value,) = first[1]
    contradictions = []
    for other, values in named:
        if value in values:
            continue
        text = f"{_quote(*first)}, {_quote(other, values)}"
        # The elements of the image and of its series describe the same film, and none of them is always right.
        if other.rank <= max(first[0].rank, Rank.SERIES):
            return _Decision(doubt=text)
        contradictions.append(text)
    return _Decision(value, first[0].element, tuple(contradictions))


def _quote(statement: Statement, values: Iterable[str]) -> str:
    return f"{statement.element} says {' or '.join(sorted(_SIDES.get(value, value) for value in values))}"
