"""An exhaustive search of one joint: every act in every state, each compared with the specification.

The search is complete for one joint. The walk over several joints checks that joints do not affect each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import combinations, product

from ratui import reading as rd
from ratui.errors import EntryError
from ratui.reading import Entry, Field, GradeEntry, Reading, Slot
from ratui.scheme import Scheme
from tests.reading.mirror import image, mirrored, visible_facts
from tests.reading.spec import Spec, State

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Absent = frozenset[int]
NOWHERE: Absent = frozenset()


def absences(spec: Spec) -> tuple[Absent, ...]:
    """Return every set of time points whose film may lack the joint."""
    counts = range(len(spec.filmed) + 1)
    return tuple(frozenset(times) for count in counts for times in combinations(spec.filmed, count))


@dataclass(frozen=True)
class Found:
    """The result of a search: states of the joint with the time points that lack it, and the number of acts."""

    states: frozenset[tuple[State, Absent]]
    acts: int


def search(spec: Spec) -> Found:
    """Search breadth first from the empty reading over every act. Raises AssertionError if an act breaks the rules."""
    queue = deque([(spec.empty, NOWHERE)])
    seen, acts = set(queue), 0
    while queue:
        state, absent = queue.popleft()
        for reached in _acts(spec, state, absent):
            acts += 1
            if reached not in seen:
                seen.add(reached)
                queue.append(reached)
    return Found(frozenset(seen), acts)


def valid(spec: Spec) -> frozenset[tuple[State, Absent]]:
    """Return every valid state with each set of time points whose film may lack the joint."""
    return frozenset(
        (state, absent) for state in spec.valid for absent in absences(spec) if spec.regions(state, (), absent) == state
    )


@dataclass(frozen=True)
class Judged:
    """Every combination of values at a joint, with the time points that lack it, as `find_problems` judges it."""

    accepted: frozenset[tuple[State, Absent]]
    refused: frozenset[tuple[State, Absent]]


def judge(spec: Spec) -> Judged:
    """Return the result of `find_problems` for all values that a file could contain for one joint."""
    accepted, refused = set(), set()
    for state in product(*(spec.contents(place) for place in range(len(spec.fields)))):
        for absent in absences(spec):
            here = reading(spec, state, absent)
            (refused if rd.find_problems(here) else accepted).add((state, absent))
            assert None not in state or rd.find_problems(replace(here, signed_at=NOW)), "signed with open fields"
    return Judged(frozenset(accepted), frozenset(refused))


def states_by_answering(spec: Spec) -> frozenset[State]:
    """Return every complete state that is reached by answering the active field, without going back."""
    ended: set[State] = set()
    queue: deque[tuple[State, Field | None]] = deque([(spec.empty, None)])
    seen = set(queue)
    while queue:
        state, last = queue.popleft()
        here = reading(spec, state)
        field = rd.find_next_open_field(here, last)
        if field is None:
            ended.add(state)
            continue
        for entry in rd.list_options(here, field).entries:
            after = (values(spec, rd.enter(here, field, entry)), field)
            if after not in seen:
                seen.add(after)
                queue.append(after)
    return frozenset(ended)


def count_states_without_order(spec: Spec) -> int:
    """Return the number of states; raises AssertionError unless their facts are mirrored together with the time points."""
    for state in spec.valid:
        here = reading(spec, state)
        turned = (*spec.order[1:], spec.order[0]) if len(spec.order) > 2 else (1, 0)
        numbers = tuple(turned[spec.order.index(time)] for time in sorted(spec.order))
        one = visible_facts(here, spec.vocabulary)
        assert visible_facts(mirrored(here, numbers), spec.vocabulary) == image(one, numbers), state
    return len(spec.valid)


def reading(spec: Spec, state: State, absent: Absent = NOWHERE) -> Reading:
    """Return a reading of the one joint in `state`, with an empty log."""
    filled: dict[Field, Entry] = {f: v for f, v in zip(spec.fields, state, strict=True) if v is not None}
    slots = frozenset(Slot(spec.site.key, time) for time in absent)
    without = frozenset(Slot(spec.site.key, time) for time in spec.unfilmed)
    return Reading(
        spec.scheme, "C-1", "anna", (spec.site,), spec.order, spec.blinded, filled, absent=slots, unfilmed=without
    )


def values(spec: Spec, of: Reading) -> State:
    """Return the state of `of`."""
    assert set(of.values) <= set(spec.fields)
    return tuple(of.values.get(field) for field in spec.fields)


def _acts(spec: Spec, state: State, absent: Absent) -> Iterator[tuple[State, Absent]]:
    here = reading(spec, state, absent)
    assert rd.find_problems(here) == (), (state, absent)
    assert rd.find_next_open_field(here) == next(
        (f for f, v in zip(spec.fields, state, strict=True) if v is None), None
    )
    for place, field in enumerate(spec.fields):
        offered = rd.list_options(here, field)
        entries = set(offered.entries)
        for entry in spec.vocabulary:
            wanted = spec.entered(state, place, entry, absent)
            assert (entry in entries) == (wanted is not None), (state, absent, field, entry)
            step = spec.step(state, wanted) if wanted else None
            doubt = rd.find_unlikely(here, field, entry)
            assert (doubt and (doubt.kind, doubt.size, spec.fields.index(doubt.field))) == step, (state, field, entry)
            after = _act(spec, here, state, wanted, lambda r, f=field, e=entry: rd.enter(r, f, e, confirmed=True))  # type: ignore[misc]
            if after is not None:
                assert after.log[-1].is_confirmed == (step is not None)
                yield values(spec, after), absent
        for command, allowed, wanted in (
            (rd.clear, offered.can_clear, spec.cleared(state, place, absent)),
            (rd.copy_entry, offered.can_copy, spec.same(state, place, absent)),
        ):
            assert allowed == (wanted is not None), (command.__name__, state, absent, field)
            after = _act(spec, here, state, wanted, lambda r, f=field, c=command: c(r, f))  # type: ignore[misc]
            if after is not None:
                yield values(spec, after), absent
        assert offered.can_enter_normal == (spec.normal(state) is not None)
    wanted = spec.normal(state)
    doubt = rd.find_unlikely_normal(here, spec.site.key)
    step = spec.step(state, wanted) if wanted else None
    assert (doubt and (doubt.kind, doubt.size, spec.fields.index(doubt.field))) == step, ("normal", state)
    after = _act(spec, here, state, wanted, lambda r: rd.enter_normal(r, spec.site.key))
    if after is not None:
        _signing(spec, after, complete=True)
        yield values(spec, after), absent
    for now in absences(spec):
        slots = {Slot(spec.site.key, time) for time in now}
        moved = values(spec, rd.apply_regions(here, slots))
        assert moved == spec.regions(state, absent - now, now - absent), (state, absent, now)
        yield moved, now
    _signing(spec, here, complete=None not in state)


def _act(
    spec: Spec, here: Reading, state: State, wanted: State | None, act: Callable[[Reading], Reading]
) -> Reading | None:
    """Return the reading after `act`; check that it equals `wanted` and that undo restores it, also after other films."""
    try:
        after = act(here)
    except EntryError:
        assert wanted is None, ("refused", state, wanted)
        assert len(here.log) == 0
        return None
    assert wanted is not None, ("not refused", state)
    assert values(spec, after) == wanted, (state, values(spec, after), wanted)
    if wanted == state:
        assert rd.find_undoable(after) is None, "nothing changed, yet it can be undone"
        return after
    undone = rd.undo(after)
    assert values(spec, undone) == state
    assert rd.find_undoable(undone) is None, "one entry was made, and two can be undone"
    absent = {slot.time for slot in here.absent}
    for gone in set(spec.filmed) - absent:
        meanwhile = rd.apply_regions(after, {*here.absent, Slot(spec.site.key, gone)})
        back = rd.undo(meanwhile)
        assert values(spec, back) == spec.regions(state, (), {gone}), ("undone off the film", state, wanted, gone)
        assert values(spec, rd.apply_regions(back, here.absent)) == spec.regions(state, {gone}, ())
    return after


def _signing(spec: Spec, here: Reading, *, complete: bool) -> None:
    """Check that a reading is signed only when complete, and that it rejects every act until it is reopened."""
    try:
        rd.reopen(here, "again")
    except EntryError:
        pass
    else:
        raise AssertionError("what wasn't signed was reopened")
    try:
        signed = rd.sign(here, timestamp=NOW)
    except EntryError:
        assert not complete
        return
    assert complete
    assert rd.find_problems(signed) == ()
    for field in spec.fields:
        assert rd.list_options(signed, field) == rd.EntryOptions()
    key = spec.site.key
    acts: tuple[Callable[[], Reading], ...] = (
        lambda: rd.enter(signed, spec.fields[0], GradeEntry(0)),
        lambda: rd.clear(signed, spec.fields[0]),
        lambda: rd.enter_normal(signed, key),
        lambda: rd.toggle_flag(signed, key),
        lambda: rd.set_note(signed, key, "a line"),
        lambda: rd.undo(signed),
        lambda: rd.sign(signed, timestamp=NOW),
    )
    for act in acts:
        try:
            act()
        except EntryError:
            continue
        raise AssertionError("a signed reading changed")
    assert rd.reopen(signed, "again").signed_at is None


def specs(scheme: Scheme, joint: str) -> tuple[Spec, Spec]:
    """Yield specifications of `joint` on the left side: with known order, and blinded with the later film on the left."""
    site = next(site for site in scheme.sites if site.key == f"L.{joint}")
    return Spec(scheme, site), Spec(scheme, site, order=(1, 0), blinded=True)


def specs_of_visits(scheme: Scheme) -> dict[str, Spec]:
    """Return specifications of joints at one, three and four visits by name, some visits without a film of the joint.

    For several visits the scheme is reduced to three grades, one finding and one reason.
    """
    small, large = (next(site for site in scheme.sites if site.key == f"L.{joint}") for joint in ("IP1", "MCP1"))
    few = replace(
        scheme,
        findings=tuple(finding for finding in scheme.findings if not finding.heals),
        reasons=(scheme.off_film_reason,),
    )
    grades = {scale: tuple(grade for grade in all_ if grade.value != 2) for scale, all_ in small.joint.grades.items()}
    tiny = replace(small, joint=replace(small.joint, grades=grades))
    return {
        "one visit": Spec(scheme, large, order=(0,)),
        "three visits": Spec(few, tiny, order=(0, 1, 2)),
        "three visits, two films": Spec(few, tiny, order=(0, 1, 2), unfilmed=(1,)),
        "four visits, blinded, three films": Spec(few, tiny, order=(2, 0, 3, 1), unfilmed=(3,), blinded=True),
    }
