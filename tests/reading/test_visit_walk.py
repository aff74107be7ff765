"""Random walks over readings of three and four visits: each command is compared with the specification.

They use the reduced scheme of the exhaustive search, and readings without a film at one visit. In a blinded study, a reading
whose time points are exchanged gets the same commands, and all visible facts must be exchanged with them.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime

import pytest

from ratui import reading as rd
from ratui.errors import EntryError
from ratui.reading import Field, Reading, Slot
from ratui.scheme import load_scheme
from tests.reading.mirror import image
from tests.reading.search import specs_of_visits
from tests.reading.spec import Spec, State

SPECS = {name: spec for name, spec in specs_of_visits(load_scheme("fingers")).items() if len(spec.order) > 2}
NOW = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = 200


class VisitWalk:
    """A reading of one joint, its mirror image, and the commands that were tried, by name and outcome."""

    def __init__(self, spec: Spec, seed: int) -> None:
        self.spec, self.draw = spec, random.Random(seed)
        self.numbers = tuple(self.draw.sample(sorted(spec.order), len(spec.order)))
        self.reading, self.mirror = (self._start(numbers) for numbers in (tuple(sorted(spec.order)), self.numbers))
        self.outcomes: Counter[tuple[str, bool]] = Counter()

    def _start(self, numbers: tuple[int, ...]) -> Reading:
        spec = self.spec
        order = tuple(numbers[time] for time in spec.order)
        unfilmed = {Slot(spec.site.key, numbers[time]) for time in spec.unfilmed}
        return rd.start_reading(
            spec.scheme, "C", "anna", (spec.site,), order=order, blinded=spec.blinded, unfilmed=unfilmed
        )

    @property
    def state(self) -> State:
        return tuple(self.reading.values.get(field) for field in self.spec.fields)

    @property
    def absent(self) -> frozenset[int]:
        return frozenset(slot.time for slot in self.reading.absent)

    def attempt(self, name: str, wanted: State | None, *arguments: object, **named: object) -> None:
        """Give a command to both readings, and check that it leads to `wanted`, or is refused if that is None."""
        before, command = self.reading, getattr(rd, name)
        is_possible = wanted is not None and before.signed_at is None
        self.outcomes[name, is_possible] += 1
        if not is_possible:
            with pytest.raises(EntryError):
                command(before, *arguments, **named)
            with pytest.raises(EntryError):
                command(self.mirror, *(image(each, self.numbers) for each in arguments), **named)
            return
        self.reading = command(before, *arguments, **named)
        self.mirror = command(self.mirror, *(image(each, self.numbers) for each in arguments), **named)
        assert self.state == wanted

    def step(self) -> None:
        """Try one command that is drawn at random."""
        spec, draw = self.spec, self.draw
        place = draw.randrange(len(spec.fields))
        at: Field = spec.fields[place]
        match draw.choice(("enter",) * 6 + ("clear", "copy", "normal", "undo", "regions", "sign", "reopen")):
            case "enter":
                entry = draw.choice(spec.vocabulary)
                wanted = spec.entered(self.state, place, entry, self.absent)
                if wanted is not None and self.reading.signed_at is None:
                    doubt, found = spec.step(self.state, wanted), rd.find_unlikely(self.reading, at, entry)
                    assert (found and (found.kind, found.size, spec.fields.index(found.field))) == doubt
                self.attempt("enter", wanted, at, entry, confirmed=draw.random() < 0.5)
            case "clear":
                self.attempt("clear", spec.cleared(self.state, place, self.absent), at)
            case "copy":
                self.attempt("copy_entry", spec.same(self.state, place, self.absent), at)
            case "normal":
                self.attempt("enter_normal", spec.normal(self.state), spec.site.key)
            case "undo":
                self.undo()
            case "regions":
                now = {time for time in spec.filmed if draw.random() < 0.2}
                slots = {Slot(spec.site.key, time) for time in now}
                if now == self.absent:
                    assert rd.apply_regions(self.reading, slots) is self.reading
                    return
                wanted = spec.regions(self.state, self.absent - now, now - self.absent)
                self.attempt("apply_regions", wanted, slots)
            case "sign":
                self.attempt("sign", self.state if self.reading.is_complete else None, timestamp=NOW)
            case "reopen" if self.reading.signed_at is not None:
                self.reading, self.mirror = (rd.reopen(each, "again") for each in (self.reading, self.mirror))

    def undo(self) -> None:
        """Undo the last change, which restores the values before it if the films show the joint as they did then."""
        entry = rd.find_undoable(self.reading)
        if entry is None:
            with pytest.raises(EntryError):
                rd.undo(self.reading)
            return
        changed = {field: old for field, old, _ in entry.changes}
        wanted = tuple(
            value if field.time in self.absent else changed.get(field, value)
            for field, value in zip(self.spec.fields, self.state, strict=True)
        )
        self.attempt("undo", wanted)

    def check(self) -> None:
        """Check all that holds after every command."""
        reading = self.reading
        assert rd.find_problems(reading) == ()
        assert self.state in self.spec.valid
        stored = rd.reading_from_document(self.spec.scheme, rd.reading_to_document(reading), order=reading.order)
        # The reduced site is not one of the scheme, so that the whole readings differ.
        assert (stored.values, stored.log, stored.absent) == (reading.values, reading.log, reading.absent)
        if self.spec.blinded:
            assert image(reading.values, self.numbers) == self.mirror.values
            assert rd.list_review_items(reading) == rd.list_review_items(self.mirror)
            following = rd.find_next_open_field(reading)
            assert rd.find_next_open_field(self.mirror) == image(following, self.numbers)


@pytest.mark.parametrize("name", SPECS)
def test_no_sequence_of_commands_makes_an_invalid_reading(name: str) -> None:
    outcomes: Counter[tuple[str, bool]] = Counter()
    for seed in range(2):
        walk = VisitWalk(SPECS[name], seed)
        if not walk.spec.blinded:
            walk.numbers, walk.mirror = tuple(sorted(walk.spec.order)), walk.reading
        for _ in range(STEPS):
            walk.step()
            walk.check()
        outcomes += walk.outcomes
    for command in ("enter", "clear", "enter_normal", "sign"):
        assert outcomes[command, True], f"{command} never succeeded"
        assert outcomes[command, False], f"{command} was never refused"
    assert outcomes["undo", True]
    assert outcomes["apply_regions", True]
    assert bool(outcomes["copy_entry", True]) is not SPECS[name].blinded
