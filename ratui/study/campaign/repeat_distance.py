"""The distance between a hidden repeat and its original in the lists of cases, so that neither is a reminder of the other.

Pure functions of names. A distance is that in the list of each rater who reads both, so cases of other raters do not count.
"""

from __future__ import annotations

import random
from bisect import bisect
from collections.abc import Collection, Mapping, Sequence

__all__ = ["MIN_DISTANCE", "find_shortest_distance", "is_apart", "move_apart"]

# A choice of this project: with about ten minutes a case, ten cases are more than an hour of reading.
MIN_DISTANCE = 10
"""Smallest distance in places between a repeat and its original; in a list too short for it, as much as is possible."""
_JITTER = 10
"""Largest number of places that are added at random, so that the distance itself does not reveal the pairs."""


def is_apart(name: str, original: str, lists: Collection[Sequence[str]]) -> bool:
    """Return whether the new case `name` is far enough from `original` in each sorted list of cases that has `original`.

    In lists of fewer than 30 cases a third of them is enough, so that each study has such names.
    """
    for cases in lists:
        place, of_name = cases.index(original), bisect(cases, name)
        distance = of_name - place if of_name > place else place + 1 - of_name
        if distance < min(MIN_DISTANCE, len(cases) // 3):
            return False
    return True


def find_shortest_distance(cases: Sequence[str], originals: Mapping[str, str]) -> int:
    """Return the shortest distance in `cases` between a repeat and its original; `MIN_DISTANCE` if none is shorter.

    `originals` has the name of the original by that of its repeat. Pairs of which `cases` lacks one do not count.
    """
    places = {case: place for place, case in enumerate(cases)}
    pairs = [pair for pair in originals.items() if places.keys() >= {*pair}]
    return min([MIN_DISTANCE, *(abs(places[repeat] - places[original]) for repeat, original in pairs)])


def move_apart(
    cases: Sequence[str], originals: Mapping[str, str], raters: Mapping[str, Collection[str]]
) -> tuple[str, ...]:
    """Return `cases` in their order, but with the second of each pair moved back until it is far enough from the first.

    Parameters
    ----------
    cases
        Names of cases, in the order of reading.
    originals
        Name of the original by that of its repeat.
    raters
        Raters of each case of a pair, and of any other case.
    """
    partners = {**originals, **{original: repeat for repeat, original in originals.items()}}
    found: list[str] = []
    waiting: dict[str, int] = {}
    draw = random.SystemRandom()

    def distance(case: str, begin: int, end: int) -> int:
        """Return how many places `case` would be from its partner, if the cases between them are those from begin to end."""
        between = found[begin:end]
        return 1 + min((sum(rater in raters[each] for each in between) for rater in raters[case]), default=len(between))

    for case in cases:
        if partners.get(case) in found:
            waiting[case] = MIN_DISTANCE + draw.randint(0, _JITTER)
        else:
            found.append(case)
        for each, wanted in [*waiting.items()]:
            if distance(each, found.index(partners[each]) + 1, len(found)) >= wanted:
                found.append(each)
                del waiting[each]
    for case in waiting:  # the list ends too early: before its partner, or as far from it as the list allows
        place = found.index(partners[case])
        if distance(case, place + 1, len(found)) >= MIN_DISTANCE:
            found.append(case)
            continue
        before = next((at for at in range(place, -1, -1) if distance(case, at, place) >= MIN_DISTANCE), None)
        if before is None:
            before = 0 if distance(case, 0, place) >= distance(case, place + 1, len(found)) else len(found)
        found.insert(before, case)
    return tuple(found)
