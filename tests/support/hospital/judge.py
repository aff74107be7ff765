"""Comparison of an import with the truth about each file."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from tests.support.hospital.truth import Outcome, Truth

__all__ = ["Decided", "Judged", "Placement", "Verdict", "judge"]


class Decided(StrEnum):
    """The decision of the import on a file that it did not take."""

    LEFT_OUT = "left out"
    ASKED = "asked"
    ASKED_DATES = "asked for two of the dates"
    OTHER_DATES = "two other dates were chosen"
    UNLISTED = "not listed"


@dataclass(frozen=True)
class Placement:
    """The place of a film in the study: its case, time point and side, the part, and the scheme's name of the view."""

    case: str
    time: int
    side: str
    part: str
    view: str


class Verdict(StrEnum):
    """The verdict on one file."""

    PLACED = "placed correctly without a person"
    PLACED_DATES = "placed correctly after the choice of two dates"
    OTHER_DATES = "of a date that was not chosen"
    NEEDLESS_QUESTION = "asked although decidable"
    LOST = "left out although wanted"
    WRONG = "wrongly placed"
    GUESSED = "taken although undecidable"
    SUBSTITUTE = "film of the wrist taken in place of the hand film"
    ASKED = "asked correctly"
    NOT_ASKED = "left out without the question"
    LEFT_OUT = "left out correctly"
    QUESTION_UNWANTED = "asked about a film that is not wanted"
    UNLISTED = "not listed at all"


@dataclass(frozen=True)
class Judged:
    """The verdict on one file with its truth and, for a wrong placement, an explanation."""

    truth: Truth
    verdict: Verdict
    detail: str = ""


def judge(
    truths: Iterable[Truth],
    placements: Mapping[str, Placement],
    decisions: Mapping[str, Decided],
    awaited: frozenset[str] = frozenset(),
) -> list[Judged]:
    """Return the verdict on each file.

    Parameters
    ----------
    truths
        The truth about all files.
    placements
        The films in the study, by file.
    decisions
        Decisions on the other files.
    awaited
        Films that were taken after a person chose two of the dates of their patient.
    """
    truths = list(truths)
    faults = _find_faults(truths, placements)
    groups: dict[str, list[Truth]] = defaultdict(list)
    for truth in truths:
        groups[truth.one_of].append(truth)
    done = []
    for name, group in groups.items():
        if not name:
            done += [_judge_one(truth, placements, decisions, faults, awaited) for truth in group]
        else:
            done += _judge_group(group, placements, decisions, faults, awaited)
    return done


def _judge_group(
    group: list[Truth],
    placements: Mapping[str, Placement],
    decisions: Mapping[str, Decided],
    faults: Mapping[str, str],
    awaited: frozenset[str],
) -> list[Judged]:
    """Return the verdicts on files of which exactly one is to be taken."""
    taken = [truth for truth in group if truth.path in placements]
    chosen = taken[0] if taken else group[0]
    done = [_judge_one(chosen, placements, decisions, faults, awaited)]
    for truth in group:
        if truth is chosen:
            continue
        if truth.path in placements:
            done.append(Judged(truth, Verdict.WRONG, "one exposure was taken twice"))
        elif decisions.get(truth.path, Decided.UNLISTED) is Decided.UNLISTED:
            done.append(Judged(truth, Verdict.UNLISTED))
        else:
            done.append(Judged(truth, Verdict.LEFT_OUT))
    return done


def _judge_one(
    truth: Truth,
    placements: Mapping[str, Placement],
    decisions: Mapping[str, Decided],
    faults: Mapping[str, str],
    awaited: frozenset[str],
) -> Judged:
    path = truth.path
    if path in placements:
        if truth.part == "wrist" and placements[path].view == "wrist":
            return Judged(truth, Verdict.SUBSTITUTE)
        if path in faults:
            return Judged(truth, Verdict.WRONG, faults[path])
        if truth.outcome is Outcome.TAKE:
            return Judged(truth, Verdict.PLACED_DATES if path in awaited else Verdict.PLACED)
        return Judged(truth, Verdict.GUESSED, f"{truth.reason}; the content is right by chance")
    decided = decisions.get(path, Decided.UNLISTED)
    if decided is Decided.UNLISTED:
        return Judged(truth, Verdict.UNLISTED)
    table = {
        Outcome.TAKE: {
            Decided.LEFT_OUT: Verdict.LOST,
            Decided.ASKED: Verdict.NEEDLESS_QUESTION,
            Decided.ASKED_DATES: Verdict.NEEDLESS_QUESTION,
            Decided.OTHER_DATES: Verdict.OTHER_DATES,
        },
        Outcome.LEAVE: {
            Decided.LEFT_OUT: Verdict.LEFT_OUT,
            Decided.OTHER_DATES: Verdict.LEFT_OUT,
        },
        Outcome.ASK: {Decided.LEFT_OUT: Verdict.NOT_ASKED, Decided.OTHER_DATES: Verdict.NOT_ASKED},
    }
    otherwise = Verdict.QUESTION_UNWANTED if truth.outcome is Outcome.LEAVE else Verdict.ASKED
    return Judged(truth, table[truth.outcome].get(decided, otherwise))


def _find_faults(truths: list[Truth], placements: Mapping[str, Placement]) -> dict[str, str]:
    """Return what is wrong about each wrongly placed film."""
    placed = [(truth, placements[truth.path]) for truth in truths if truth.path in placements]
    faults: dict[str, str] = {}
    films = []
    for truth, place in placed:
        if truth.part == "wrist" == place.view:
            continue
        content = f"the film shows {truth.part} {truth.side} {truth.view}"
        if truth.part != place.part:
            faults[truth.path] = f"part: {content}, the study says {place.part}"
        elif truth.view != "FRONTAL":
            faults[truth.path] = f"view: {content}"
        elif truth.side != place.side:
            faults[truth.path] = f"side: {content}, the study says {place.side}"
        elif truth.outcome is Outcome.LEAVE:
            faults[truth.path] = f"not wanted: {truth.reason}"
        else:
            films.append((truth, place))
    _add_person_faults(films, faults)
    return faults


def _add_person_faults(films: list[tuple[Truth, Placement]], faults: dict[str, str]) -> None:
    """Add films in a case of another person, in a second case of the person, or at a wrong time point to `faults`."""
    by_case: dict[str, Counter[str]] = defaultdict(Counter)
    by_person: dict[str, Counter[str]] = defaultdict(Counter)
    for truth, place in films:
        by_case[place.case][truth.person] += 1
        by_person[truth.person][place.case] += 1
    owner = {case: found.most_common(1)[0][0] for case, found in by_case.items()}
    home = {person: found.most_common(1)[0][0] for person, found in by_person.items()}
    in_order: dict[str, list[tuple[Truth, Placement]]] = defaultdict(list)
    for truth, place in films:
        if owner[place.case] != truth.person:
            faults[truth.path] = "person: the case is of another person"
        elif home[truth.person] != place.case:
            faults[truth.path] = "person: the person has two cases"
        else:
            in_order[place.case].append((truth, place))
    for group in in_order.values():
        _add_time_faults(group, faults)


def _add_time_faults(films: list[tuple[Truth, Placement]], faults: dict[str, str]) -> None:
    """Add films of one case whose time points differ from the order of its examinations to `faults`."""
    times: dict[int, Counter[int]] = defaultdict(Counter)
    for truth, place in films:
        times[truth.examination][place.time] += 1
    usual = {examination: found.most_common(1)[0][0] for examination, found in sorted(times.items())}
    order = list(usual.values())
    is_ascending = all(earlier < later for earlier, later in pairwise(order))
    for truth, place in films:
        if place.time != usual[truth.examination]:
            faults[truth.path] = "examination: another time point than the other films of the examination"
        elif not is_ascending:
            faults[truth.path] = "examination: the time points contradict the order of the examinations"
