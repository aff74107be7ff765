"""Random walks over readings of three joints of a real scheme: any command at any moment, possible or not.

Each step is compared with the specification. A command that is not possible must be rejected and change nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ratui import reading as rd
from ratui.errors import EntryError
from ratui.reading import Entry, Field, FindingEntry, Reading, Slot
from ratui.scheme import load_scheme
from tests.reading.mirror import image
from tests.reading.spec import Spec, State

SCHEME = load_scheme("fingers")
SITES = tuple(site for site in SCHEME.sites if site.key in ("L.IP1", "L.MCP2", "R.MCP2"))
KEYS = tuple(site.key for site in SITES)
FIELDS = tuple(Field(site.key, scale, time) for site in SITES for scale in site.joint.scales for time in (0, 1))
SLOTS = tuple(Slot(key, time) for key in KEYS for time in (0, 1))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ENTRIES = Spec(SCHEME, SITES[1]).vocabulary
FINDINGS = tuple(entry for entry in ENTRIES if isinstance(entry, FindingEntry))
EVERY = 16
"""Number of steps between two runs of the most expensive checks."""

Kind: TypeAlias = tuple[str, str, int, Entry | None]
"""A joint, a scale, a time point, and the value of that field."""


@dataclass
class Tally:
    """The coverage of a whole run: commands by outcome, and every kind of field value that was reached."""

    outcomes: Counter[tuple[str, bool]] = field(default_factory=Counter)
    kinds: Counter[Kind] = field(default_factory=Counter)
    signed: int = 0
    doubts: Counter[str] = field(default_factory=Counter)

    @property
    def steps(self) -> int:
        """Return the number of commands tried; each was compared with the specification."""
        return self.outcomes.total()


def every_kind(*, blinded: bool) -> set[Kind]:
    """Return all values that the specification allows in a field."""
    kinds: set[Kind] = set()
    for site in SITES:
        spec = Spec(SCHEME, site, blinded=blinded)
        for place, each in enumerate(spec.fields):
            kinds |= {(site.joint.id, each.scale, each.time, value) for value in spec.contents(place)}
    return kinds


@dataclass(frozen=True)
class Past:
    """A state before an entry: the values, and the number of changes of the regions until then."""

    values: Mapping[Field, Entry]
    regions: int


class Walk(RuleBasedStateMachine):
    """A walk in a study whose readers know the order of the time points."""

    blinded = False
    tally = Tally()

    @initialize(order=st.sampled_from([(0, 1), (1, 0)]))
    def begin(self, order: tuple[int, int]) -> None:
        self.reading = rd.start_reading(SCHEME, "C-1", "anna", SITES, order=order, blinded=self.blinded)
        self.mirror = rd.start_reading(SCHEME, "C-1", "anna", SITES, order=(order[1], order[0]), blinded=self.blinded)
        self.specs = {site.key: spec(site.key, order, self.blinded) for site in SITES}
        self.past: list[Past] = []
        self.regions_set = 0
        self.age = 0

    # Apply one command to the reading and, in a blinded study, to its mirror image.

    def attempt(self, command: Callable[..., Reading], *arguments: Any, **named: Any) -> bool:
        before = self.reading
        name = command.__name__
        try:
            self.reading = command(before, *arguments, **named)
            done = True
        except EntryError:
            done = False
        self.tally.outcomes[name, done] += 1
        if self.blinded:
            try:
                self.mirror = command(self.mirror, *map(image, arguments), **named)
                assert done, f"{name} is refused in one order only"
            except EntryError:
                assert not done, f"{name} is refused in one order only"
        if name in ("enter", "clear", "copy_entry", "enter_normal") and done:
            if self.reading.log[-1].changes:
                self.past.append(Past(before.values, self.regions_set))
            for changed, old, new in self.reading.log[-1].changes:
                assert before.values.get(changed) == old
                assert self.reading.values.get(changed) == new
                self.tally.kinds[changed.site.partition(".")[2], changed.scale, changed.time, new] += 1
        return done

    def state(self, site: str) -> State:
        return tuple(self.reading.values.get(each) for each in self.specs[site].fields)

    def absent(self, site: str) -> frozenset[int]:
        return frozenset(slot.time for slot in self.reading.absent if slot.site == site)

    def expect(
        self, site: str, wanted: State | None, command: Callable[..., Reading], *arguments: Any, **named: Any
    ) -> None:
        """Check that `command` leads only `site` to `wanted`, or is rejected if that is None or the reading is signed."""
        before = self.reading
        done = self.attempt(command, *arguments, **named)
        assert done == (wanted is not None and before.signed_at is None)
        if done and wanted is not None:
            changed = dict(zip(self.specs[site].fields, wanted, strict=True))
            expected = {**before.values, **changed}
            assert self.reading.values == {f: value for f, value in expected.items() if value is not None}
        else:
            assert self.reading is before

    # The commands.

    @rule(at=st.sampled_from(FIELDS), entry=st.sampled_from(ENTRIES), confirmed=st.booleans())
    def enter(self, at: Field, entry: Entry, confirmed: bool) -> None:
        spec, state = self.specs[at.site], self.state(at.site)
        wanted = spec.entered(state, spec.fields.index(at), entry, self.absent(at.site))
        open_to = self.reading.signed_at is None
        offered = rd.list_options(self.reading, at)
        assert (entry in offered.entries) == (wanted is not None and open_to)
        step = spec.step(state, wanted) if wanted is not None and open_to else None
        doubt = rd.find_unlikely(self.reading, at, entry)
        assert (doubt and (doubt.kind, doubt.size, spec.fields.index(doubt.field))) == step
        if self.blinded:
            assert rd.list_options(self.mirror, image(at)) == offered
            assert rd.find_unlikely(self.mirror, image(at), entry) == image(doubt)
            assert rd.find_refusal(self.mirror, image(at), entry) == rd.find_refusal(self.reading, at, entry)
        before = self.reading
        self.expect(at.site, wanted, rd.enter, at, entry, confirmed=confirmed)
        if self.reading is not before:
            assert self.reading.log[-1].is_confirmed == (confirmed and step is not None)
            self.tally.doubts[step[0] if step else "none"] += 1

    @rule(at=st.sampled_from(FIELDS), twin=st.booleans())
    def repeat_an_entry(self, at: Field, twin: bool) -> None:
        """Repeat an existing entry, here or at the other time point; random entries rarely do so."""
        entry = self.reading.values.get(at)
        if entry is not None:
            self.enter(at._replace(time=1 - at.time) if twin else at, entry, confirmed=False)

    @rule(site=st.sampled_from(KEYS))
    def clear_all(self, site: str) -> None:
        for at in self.specs[site].fields:
            if at in self.reading.values:
                self.at_field(at, rd.clear)

    @rule(at=st.sampled_from(FIELDS), command=st.sampled_from([rd.clear, rd.copy_entry]))
    def at_field(self, at: Field, command: Callable[..., Reading]) -> None:
        spec, state, absent = self.specs[at.site], self.state(at.site), self.absent(at.site)
        place = spec.fields.index(at)
        wanted = spec.cleared(state, place, absent) if command is rd.clear else spec.same(state, place, absent)
        options = rd.list_options(self.reading, at)
        offered = options.can_clear if command is rd.clear else options.can_copy
        assert offered == (wanted is not None and self.reading.signed_at is None)
        self.expect(at.site, wanted, command, at)

    @rule(at=st.sampled_from(FIELDS))
    def enter_all_in_turn(self, at: Field) -> None:
        """Enter all options of a field in turn, because random draws rarely choose some of them."""
        for entry in rd.list_options(self.reading, at).entries:
            self.enter(at, entry, confirmed=True)

    @rule(at=st.sampled_from(FIELDS), finding=st.sampled_from(FINDINGS))
    def finding_then_normal(self, at: Field, finding: Entry) -> None:
        """Enter a finding, then normal: a field that the finding leaves open must not always become 0."""
        self.enter(at, finding, confirmed=False)
        self.normal(at.site)

    @rule(site=st.sampled_from(KEYS))
    def normal(self, site: str) -> None:
        wanted = self.specs[site].normal(self.state(site))
        offered = rd.list_options(self.reading, self.specs[site].fields[0]).can_enter_normal
        assert offered == (wanted is not None and self.reading.signed_at is None)
        self.expect(site, wanted, rd.enter_normal, site)

    @rule(times=st.integers(1, 4))
    def undo(self, times: int) -> None:
        for _ in range(times):
            self.undo_one()

    @rule()
    def undo_all(self) -> None:
        while self.past and self.reading.signed_at is None:
            self.undo_one()

    def undo_one(self) -> None:
        before = self.reading
        last = rd.find_undoable(before)
        assert (last is not None) == (bool(self.past) and before.signed_at is None)
        done = self.attempt(rd.undo)
        assert done == (last is not None)
        if last is None:
            assert self.reading is before
            return
        past = self.past.pop()
        if past.regions == self.regions_set:
            assert self.reading.values == past.values
        for each, old, _ in last.changes:
            stays = (each.site, each.time) in self.reading.absent
            assert self.reading.values.get(each) == (before.values.get(each) if stays else old)
        assert self.reading.log[:-1] == before.log

    @rule(absent=st.sets(st.sampled_from(SLOTS), max_size=2))
    def regions(self, absent: set[Slot]) -> None:
        before, wanted = self.reading, {}
        for key, spec in self.specs.items():
            was, now = self.absent(key), {time for site, time in absent if site == key}
            wanted.update(zip(spec.fields, spec.regions(self.state(key), was - now, now - was), strict=True))
        if self.attempt(rd.apply_regions, absent):
            assert self.reading.values == {each: value for each, value in wanted.items() if value is not None}
            self.regions_set += self.reading is not before
        else:
            assert before.signed_at is not None

    @rule(site=st.sampled_from(KEYS))
    def flag(self, site: str) -> None:
        before = self.reading
        done = self.attempt(rd.toggle_flag, site)
        assert done == (before.signed_at is None)
        assert (site in self.reading.flags) == ((site in before.flags) != done)
        assert self.reading.values == before.values

    @rule(site=st.sampled_from(KEYS), text=st.sampled_from(["", " ", "doubtful\nmargin", "\x1b[31mred", "x" * 300]))
    def note(self, site: str, text: str) -> None:
        before = self.reading
        done = self.attempt(rd.set_note, site, text)
        assert done == (before.signed_at is None)
        assert self.reading.values == before.values
        if done:
            assert (site in self.reading.notes) == bool(text.strip())
            assert self.reading.notes.get(site, "").isprintable()

    @rule(choice=st.integers(0, 40))
    def answer_all(self, choice: int) -> None:
        """Answer the active field, without going back, until no field is open."""
        last, asked = None, 0
        while self.reading.signed_at is None and (at := rd.find_next_open_field(self.reading, last)) is not None:
            entries = rd.list_options(self.reading, at).entries
            assert entries, "a field is asked for that nothing can fill"
            assert self.attempt(rd.enter, at, entries[choice % len(entries)])
            last, asked, choice = at, asked + 1, choice * 7 + 3
        assert asked <= len(FIELDS)
        assert self.reading.is_complete

    @rule(choice=st.integers(0, 40), again=st.booleans())
    def finish(self, choice: int, again: bool) -> None:
        """Answer all fields, sign, and sometimes reopen the reading."""
        self.answer_all(choice)
        self.sign()
        if again:
            self.reopen("again")

    @rule()
    def sign(self) -> None:
        complete = self.reading.is_complete and self.reading.signed_at is None
        assert self.attempt(rd.sign, timestamp=NOW) == complete
        self.tally.signed += complete

    @rule(why=st.sampled_from(["again", " "]))
    def reopen(self, why: str) -> None:
        allowed = self.reading.signed_at is not None and bool(why.strip())
        assert self.attempt(rd.reopen, why) == allowed

    # Invariants after every step.

    @invariant()
    def counted(self) -> None:
        self.age += 1

    @invariant()
    def valid(self) -> None:
        assert rd.find_problems(self.reading) == ()
        for key, spec in self.specs.items():
            assert self.state(key) in spec.valid

    @invariant()
    def next_is_open(self) -> None:
        at = FIELDS[self.age % len(FIELDS)]
        waiting = rd.find_next_open_field(self.reading, at)
        here = [each for each in self.reading.open_fields if each.site == at.site]
        assert (waiting is None) == self.reading.is_complete
        assert waiting is None or waiting not in self.reading.values
        assert not here or waiting == here[0]
        if self.blinded:
            assert rd.find_next_open_field(self.mirror, image(at)) == image(waiting)

    @invariant()
    def every_so_often(self) -> None:
        if self.age % EVERY:
            return
        looks = rd.list_review_items(self.reading)
        assert self.reading.flags | set(self.reading.notes) <= {look.site for look in looks}
        if self.blinded:
            assert image(self.mirror.values) == self.reading.values
            assert image(self.mirror.log) == self.reading.log
            assert rd.list_review_items(self.mirror) == looks
        self.survives_the_disk()

    def teardown(self) -> None:
        if hasattr(self, "reading"):
            self.survives_the_disk()

    def survives_the_disk(self) -> None:
        document, order = rd.reading_to_document(self.reading), self.reading.order
        assert rd.reading_from_document(SCHEME, document, order=order) == self.reading
        if self.blinded:
            assert rd.to_times(rd.reading_from_document(SCHEME, document), order) == self.reading


class BlindedWalk(Walk):
    """A walk in a study blinded to order, together with its mirror image: all visible facts must be mirrored too."""

    blinded = True


_SPECS: dict[tuple[str, tuple[int, int], bool], Spec] = {}


def spec(key: str, order: tuple[int, int], blinded: bool) -> Spec:
    """Return the specification of one site, created once per process."""
    if (key, order, blinded) not in _SPECS:
        site = next(site for site in SITES if site.key == key)
        _SPECS[key, order, blinded] = Spec(SCHEME, site, order=order, blinded=blinded)
    return _SPECS[key, order, blinded]


def walk(kind: type[Walk], *, runs: int, length: int, repeatable: bool = False) -> Tally:
    """Run `runs` walks of `length` rules each and return their coverage. Raises AssertionError at the first fault.

    A `repeatable` walk takes the same steps every time and does not shrink a failing example.
    """
    tally = Tally()
    machine = type(kind.__name__, (kind,), {"tally": tally})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=length,
            database=None,
            deadline=None,  # a busy machine makes steps slow, which is no fault of a rule
            derandomize=repeatable,
            phases=[Phase.generate] if repeatable else [Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
    return tally
