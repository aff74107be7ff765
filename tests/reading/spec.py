"""A second, independent specification of one joint: an entry leads to the closest valid state.

It shares only the value types with `ratui.reading`. Valid states are built up instead of tested, and the effect of an
entry is found by trying all changes. It is slow and simple on purpose, because the rules are checked against it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from itertools import combinations, product
from typing import TypeAlias

from ratui.reading import Entry, Field, FindingEntry, GradeEntry, NotAssessableEntry
from ratui.scheme import Finding, Scheme, Site

State: TypeAlias = tuple[Entry | None, ...]
"""The values of a joint's fields, in the order in which they are asked for."""
Step: TypeAlias = tuple[str, int, int]
"""A step between time points that needs a confirmation: kind, size, and the place of the field in question."""


class Spec:
    """One joint at the time points in `order`, but those in `unfilmed`, in a study with known order or blinded to order."""

    def __init__(
        self,
        scheme: Scheme,
        site: Site,
        *,
        order: tuple[int, ...] = (0, 1),
        unfilmed: Collection[int] = (),
        blinded: bool = False,
    ) -> None:
        self.scheme, self.site, self.order, self.blinded = scheme, site, order, blinded
        self.unfilmed = frozenset(unfilmed)
        self.filmed = tuple(time for time in order if time not in self.unfilmed)
        self.fields = tuple(Field(site.key, scale, time) for scale in site.joint.grades for time in self.filmed)
        self._findings = {finding.id: finding for finding in scheme.findings}
        self._whole = {reason.id for reason in scheme.reasons if reason.whole_joint}
        self._outside = NotAssessableEntry(next(r.id for r in scheme.reasons if r == scheme.off_film_reason))
        self._at = {time: tuple(i for i, f in enumerate(self.fields) if f.time == time) for time in self.filmed}
        self.entered = lru_cache(maxsize=None)(self._entered)
        self.cleared = lru_cache(maxsize=None)(self._cleared)
        self.valid = frozenset(self._valid())

    @property
    def empty(self) -> State:
        return (None,) * len(self.fields)

    @property
    def vocabulary(self) -> tuple[Entry, ...]:
        """Return everything that a rater could try to enter, and some entries that no scheme knows."""
        grades = {grade.value for scale in self.site.joint.grades.values() for grade in scale}
        return (
            *(GradeEntry(grade) for grade in sorted(grades | {-1, max(grades) + 1})),
            *(FindingEntry(id) for id in (*self._findings, "unheard")),
            *(NotAssessableEntry(reason.id) for reason in self.scheme.reasons),
            NotAssessableEntry("unheard"),
        )

    def contents(self, place: int) -> frozenset[Entry | None]:
        """Return all values of field `place` in valid states."""
        return frozenset(state[place] for state in self.valid)

    # Effects of acts; None if the act must be rejected.

    def _entered(self, state: State, place: int, entry: Entry, absent: frozenset[int]) -> State | None:
        time = self.fields[place].time
        if time in absent or (isinstance(entry, GradeEntry) and self._held(state[place])):
            return None
        free = {
            i: {state[i], None, entry} if field.time == time else {state[i], None}
            for i, field in enumerate(self.fields)
            if field.time == time or (field.time > time and not self.blinded and field.time not in absent)
        }
        wanted = self._at[time] if isinstance(entry, FindingEntry) else (place,)
        return self._closest(state, free, lambda new: any(new[i] == entry for i in wanted))

    def _cleared(self, state: State, place: int, absent: frozenset[int]) -> State | None:
        if state[place] is None or self.fields[place].time in absent:
            return None
        free = {i: {state[i], None} for i in self._at[self.fields[place].time]}
        return self._closest(state, free, lambda new: new[place] is None)

    def normal(self, state: State) -> State | None:
        filled = tuple(GradeEntry(0) if value is None else value for value in state)
        return filled if filled != state and filled in self.valid else None

    def same(self, state: State, place: int, absent: frozenset[int]) -> State | None:
        twins = self.twins(place)
        if len(self.order) > 2:  # only the visit before
            twins = [twin for twin in twins if self.fields[twin].time < self.fields[place].time][-1:]
        twin = state[twins[0]] if twins else None
        if self.blinded or twin is None or twin == state[place]:
            return None
        return self.entered(state, place, twin, absent)

    def regions(self, state: State, before: Collection[int], now: Collection[int]) -> State:
        """Return `state` after the films lack the joint at the time points `now`, after `before` earlier."""
        return tuple(
            self._outside if field.time in now else None if field.time in before else value
            for field, value in zip(self.fields, state, strict=True)
        )

    def step(self, before: State, after: State) -> Step | None:
        """Return the largest step from `before` to `after` that needs a confirmation; of equal steps the first one asked."""
        worst: Step | None = None
        for place, field in enumerate(self.fields):
            for twin in self.twins(place):
                here, there = self.score(after, place), self.score(after, twin)
                if before[place] == after[place] or here is None or there is None:
                    continue
                first, last = sorted((field.time, self.fields[twin].time))
                between = [after[i] for i in self.twins(place) if first < self.fields[i].time < last]
                if not self.blinded and not all(isinstance(value, NotAssessableEntry) for value in between):
                    continue
                size = abs(here - there)
                fell = (here < there) if field.time > self.fields[twin].time else (here > there)
                kind = "fall" if fell and not self.blinded else "jump"
                if size < (2 if kind == "fall" else 3):
                    continue
                if worst is None or (size, kind == "fall") > (worst[1], worst[0] == "fall"):
                    worst = (kind, size, place)
        return worst

    def score(self, state: State, place: int) -> int | None:
        value, scale = state[place], self.fields[place].scale
        if isinstance(value, GradeEntry):
            return value.grade
        if isinstance(value, FindingEntry):
            sets = self._findings[value.finding].sets[scale]
            return max(grade.value for grade in self.site.joint.grades[scale]) if sets == "max" else sets
        return None

    def twins(self, place: int) -> list[int]:
        """Return the places of the same scale at the other time points, the earliest first."""
        scale = self.fields[place].scale
        others = [i for i, field in enumerate(self.fields) if field.scale == scale and i != place]
        return sorted(others, key=lambda i: self.fields[i].time)

    # Valid states.

    def _valid(self) -> Iterator[State]:
        times, scales = sorted(self.filmed), list(self.site.joint.grades)
        for values in product(self._slot(), repeat=len(times)):
            slots = dict(zip(times, values, strict=True))
            pairs = [(slots[one], slots[other]) for one, other in combinations(times, 2)]
            if self.blinded or all(not self._lasts(one) or self._may_follow(other) for one, other in pairs):
                yield tuple(slots[field.time][scales.index(field.scale)] for field in self.fields)

    def _slot(self) -> Iterator[tuple[Entry | None, ...]]:
        """Yield all values that the fields of one time point can have together, scale by scale."""
        alone: list[list[Entry | None]] = [
            [
                None,
                *(GradeEntry(grade.value) for grade in grades),
                *(NotAssessableEntry(reason.id) for reason in self.scheme.reasons if not reason.whole_joint),
            ]
            for grades in self.site.joint.grades.values()
        ]
        yield from product(*alone)
        for finding in self.scheme.findings:
            sets = [scale in finding.sets for scale in self.site.joint.grades]
            if any(sets):
                yield from product(
                    *([FindingEntry(finding.id)] if s else one for s, one in zip(sets, alone, strict=True))
                )
        for reason in self._whole:
            yield tuple(NotAssessableEntry(reason) for _ in alone)

    def _lasting(self, value: Entry | None) -> Finding | None:
        found = self._findings[value.finding] if isinstance(value, FindingEntry) else None
        return found if found and not found.heals else None

    def _lasts(self, slot: Iterable[Entry | None]) -> bool:
        return any(self._lasting(value) for value in slot)

    def _may_follow(self, slot: Iterable[Entry | None]) -> bool:
        return all(value is None or isinstance(value, NotAssessableEntry) or self._lasting(value) for value in slot)

    def _held(self, value: Entry | None) -> bool:
        return isinstance(value, FindingEntry) or (
            isinstance(value, NotAssessableEntry) and value.reason in self._whole
        )

    def _closest(self, state: State, free: dict[int, set[Entry | None]], wanted: object) -> State | None:
        """Return the valid state nearest to `state` that is `wanted` and differs in `free` fields only, or None.

        Nearest means: fewest fields changed, then fewest of them filled rather than opened. The nearest state is unique.
        """
        choices = [free.get(place, {value}) for place, value in enumerate(state)]
        reached = [new for new in product(*choices) if new in self.valid and wanted(new)]  # type: ignore[operator]

        def distance(new: State) -> tuple[int, int]:
            changed = [new[i] for i in range(len(state)) if new[i] != state[i]]
            return len(changed), sum(value is not None for value in changed)

        nearest = sorted(reached, key=distance)
        assert len(nearest) < 2 or distance(nearest[0]) < distance(nearest[1]), "two readings are equally close"
        return nearest[0] if nearest else None
