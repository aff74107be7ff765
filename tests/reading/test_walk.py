"""Walks over the state machine: no sequence of keys makes an invalid reading, and every valid one can be reached."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ratui import reading as rd
from ratui.errors import EntryRefused
from ratui.reading import Entry, Field, Found, Graded, NotAssessable, Reading, Slot
from tests.strategies import tiny_scheme

TINY = tiny_scheme()
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ENTRIES: list[Entry] = [
    *(Graded(grade) for grade in range(-1, 5)),
    *(Found(finding) for finding in ("ankylosis", "luxation", "unheard")),
    *(NotAssessable(reason) for reason in ("outside", "unreadable", "unheard")),
]


class Walk(RuleBasedStateMachine):
    """Any command at any moment, allowed or not; what isn't allowed must raise and change nothing."""

    blinded = False

    def __init__(self) -> None:
        super().__init__()
        self.reading = rd.start(TINY, "C-1", "anna", TINY.sites, blinded=self.blinded)

    def attempt(self, command: object, *arguments: object, **named: object) -> bool:
        try:
            self.reading = command(self.reading, *arguments, **named)  # type: ignore[operator]
        except EntryRefused:
            return False
        return True

    @rule(data=st.data(), entry=st.sampled_from(ENTRIES))
    def enter(self, data: st.DataObject, entry: Entry) -> None:
        field = data.draw(st.sampled_from(self.reading.fields))
        offered = entry in rd.options(self.reading, field).entries
        assert self.attempt(rd.enter, field, entry) == offered
        if offered:
            assert isinstance(entry, Found) or self.reading.values[field] == entry

    @rule(data=st.data(), command=st.sampled_from([rd.clear, rd.same]))
    def at_field(self, data: st.DataObject, command: object) -> None:
        field = data.draw(st.sampled_from(self.reading.fields))
        wanted = getattr(rd.options(self.reading, field), command.__name__)  # type: ignore[attr-defined]
        assert self.attempt(command, field) == wanted

    @rule(site=st.sampled_from([site.key for site in TINY.sites]))
    def normal(self, site: str) -> None:
        offered = rd.options(self.reading, self.reading.joint_fields(site)[0]).normal
        assert self.attempt(rd.normal, site) == offered

    @rule()
    def undo(self) -> None:
        last = rd.undoable(self.reading)
        assert self.attempt(rd.undo) == (last is not None)

    @rule(absent=st.sets(st.sampled_from([Slot(site.key, time) for site in TINY.sites for time in (0, 1)]), max_size=2))
    def regions(self, absent: set[Slot]) -> None:
        self.attempt(rd.apply_regions, absent)

    @rule()
    def sign(self) -> None:
        complete = self.reading.complete and not self.reading.signed
        assert self.attempt(rd.sign, at=NOW) == complete

    @precondition(lambda self: self.reading.signed)
    @rule()
    def reopen(self) -> None:
        assert self.attempt(rd.reopen, "again")

    @invariant()
    def valid(self) -> None:
        assert rd.problems(self.reading) == ()

    @invariant()
    def survives_the_disk(self) -> None:
        assert rd.from_document(TINY, rd.to_document(self.reading)) == self.reading

    @invariant()
    def next_is_open(self) -> None:
        for field in (None, self.reading.fields[0], self.reading.fields[-1]):
            waiting = rd.next_open(self.reading, field)
            assert (waiting is None) == self.reading.complete
            assert waiting is None or waiting not in self.reading.values


class BlindedWalk(Walk):
    blinded = True


TestWalk = pytest.mark.slow(Walk.TestCase)
TestWalk.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestBlindedWalk = pytest.mark.slow(BlindedWalk.TestCase)
TestBlindedWalk.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)


def one_joint(*, blinded: bool) -> Reading:
    site = next(site for site in TINY.sites if site.key == "L.MCP1")
    return rd.start(TINY, "C-1", "anna", [site], blinded=blinded)


@pytest.mark.parametrize("blinded", [False, True])
def test_exhaustive_search_reaches_exactly_the_valid_readings(blinded: bool) -> None:
    """Breadth first over every entry and clearing at one joint, against every combination that `problems` accepts."""
    empty = one_joint(blinded=blinded)
    seen = {frozenset(empty.values.items())}
    queue = deque([empty])
    while queue:
        here = queue.popleft()
        for field in here.fields:
            offered = rd.options(here, field)
            steps = [rd.enter(here, field, entry) for entry in offered.entries]
            if offered.clear:
                steps.append(rd.clear(here, field))
            for step in steps:
                state = frozenset(step.values.items())
                if state not in seen:
                    assert rd.problems(step) == ()
                    seen.add(state)
                    queue.append(Reading(TINY, "C-1", "anna", empty.sites, (0, 1), blinded, dict(step.values)))
    kinds: list[Entry | None] = [
        None,
        *(Graded(grade) for grade in (0, 1, 2)),
        Found("ankylosis"),
        Found("luxation"),
        NotAssessable("outside"),
        NotAssessable("unreadable"),
    ]
    valid = set()
    for values in product(kinds, repeat=len(empty.fields)):
        filled: dict[Field, Entry] = {f: v for f, v in zip(empty.fields, values, strict=True) if v is not None}
        if not rd.problems(Reading(TINY, "C-1", "anna", empty.sites, (0, 1), blinded, filled)):
            valid.add(frozenset(filled.items()))
    assert seen == valid
