"""The active field of a reading, what can be entered there, and the answers of others at its joint.

It depends on no widget and enters nothing. The answers of others appear after the rater's own answer and stay until the
rater goes on: in an adjudication those of the raters, in practice the true ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from ratui import reading as rd
from ratui.reading import Entry, EntryOptions, Field, Reading
from ratui.study import AutoSaver
from ratui.tui.entry.visit_names import UNNAMED
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.actions import map_keys_to_entries

__all__ = ["AnswerReveal", "FieldCursor", "OtherAnswers"]

OtherAnswers: TypeAlias = Sequence[Mapping[Field, Entry]]
"""The answers of several persons at one joint, by field."""


class AnswerReveal:
    """The joint at which answers of others are shown, if there is one.

    Parameters
    ----------
    load
        Function that returns the answers of others at the joint with the given site key; None if there are never any.
    """

    def __init__(self, load: Callable[[str], OtherAnswers] | None = None) -> None:
        self._load = load
        self.site = ""
        """Key of the site whose answers are shown; empty if none are."""
        self.answers: OtherAnswers = ()
        """The answers that are shown; empty if none are."""
        self.may_change = False
        """True once the rater has selected a field of the joint to change the answer.

        Before that a grade has no effect: it may have been typed for the next joint, before the answers were shown.
        """

    @property
    def is_available(self) -> bool:
        """True in an adjudication and in practice."""
        return self._load is not None

    def show(self, site: str) -> bool:
        """Show the answers at `site`; return False if there are none. Answers that are shown already stay as they are."""
        if site != self.site:
            self.hide()
            self.answers = self._load(site) if self._load is not None else ()
            self.site = site if self.answers else ""
        return bool(self.answers)

    def hide(self) -> None:
        """Hide the answers."""
        self.site, self.answers, self.may_change = "", (), False


@dataclass(frozen=True)
class _Choice:
    """The entries that are possible in one state of the reading."""

    reading: Reading
    field: Field
    is_paired: bool
    options: EntryOptions
    by_key: Mapping[str, Entry]
    """The grades and findings among `options`, by key."""


class FieldCursor:
    """The active field of a reading, and what can be entered there.

    Parameters
    ----------
    auto_saver
        The reading, with its storage on the disk.
    load_answers
        Function that returns the answers of others at the joint with the given site key; None if there are never any.
    """

    def __init__(self, auto_saver: AutoSaver, load_answers: Callable[[str], OtherAnswers] | None = None) -> None:
        self._auto_saver = auto_saver
        self.reveal = AnswerReveal(load_answers)
        """The answers of others at the joint, in an adjudication and in practice."""
        self.field: Field = rd.find_resume_field(auto_saver.reading)
        """The active field."""
        self.is_paired = False
        """True if each answer fills both of two time points, until the end of this joint."""
        self.visits = UNNAMED
        """The names of the case's visits."""
        self._cached_choice: _Choice | None = None

    @property
    def reading(self) -> Reading:
        """Present state of the reading."""
        return self._auto_saver.reading

    @property
    def site(self) -> str:
        """Key of the site of the active field."""
        return self.field.site

    def name_visits(self, t: Catalog, *fields: Field) -> tuple[str, ...]:
        """Return the names of the visits of `fields` in order of time, or by position if blinded; empty for two."""
        reading = self.reading
        times = sorted(field.time for field in fields) if len(reading.order) > 2 else ()
        return tuple(self.visits.name(t, reading.order, time, blinded=reading.is_blinded) for time in times)

    @property
    def waiting_fields(self) -> tuple[Field, ...]:
        """Fields that the next answer fills: the active one, and if paired the one of the other time point."""
        return (self.field, *self.reading.counterparts(self.field)) if self.is_paired else (self.field,)

    @property
    def options(self) -> EntryOptions:
        """Entries that are possible now."""
        return self._choice.options

    @property
    def entries_by_key(self) -> Mapping[str, Entry]:
        """The grades and findings that are possible now, by their keys in the scheme. Reasons have a separate choice."""
        return self._choice.by_key

    @property
    def _choice(self) -> _Choice:
        """The possible entries, computed once for each state: the screen lists them before one of their keys is pressed."""
        known = self._cached_choice
        # Readings are immutable, and a comparison of their values would be slow.
        if (
            known is None
            or known.reading is not self.reading
            or (known.field, known.is_paired) != (self.field, self.is_paired)
        ):
            options = self._compute_options()
            by_key = map_keys_to_entries(self.reading.scheme, options)
            known = self._cached_choice = _Choice(self.reading, self.field, self.is_paired, options, by_key)
        return known

    def _compute_options(self) -> EntryOptions:
        here = rd.list_options(self.reading, self.field)
        for counterpart in self.waiting_fields[1:]:
            there = rd.list_options(self.reading, counterpart)
            here = replace(
                here,
                grades=tuple(grade for grade in here.grades if grade in there.grades),
                findings=tuple(finding for finding in here.findings if finding in there.findings),
                reasons=tuple(reason for reason in here.reasons if reason in there.reasons),
            )
        return here

    @property
    def can_pair(self) -> bool:
        """True if answers may fill both of two time points.

        The study must not be blinded to order, and at least two scales of the joint must be open at both time points:
        otherwise pairing would save no key.
        """
        reading = self.reading
        if reading.is_blinded or reading.signed_at or len(reading.order) != 2:
            return False
        opened = {field for field in reading.joint_fields(self.site) if field not in reading.values}
        pairs = [field for field in opened if reading.counterparts(field)[0] in opened]
        return self.field in pairs and len(pairs) > 2

    def go_to_site(self, site: str) -> None:
        """Make the first open field of `site` the active one; the first field if none is open."""
        fields = self.reading.joint_fields(site)
        self.is_paired = False
        self.reveal.hide()
        self.field = next((field for field in fields if field not in self.reading.values), fields[0])

    def move_by(self, by: int) -> None:
        """Go to the joint `by` places further, or backwards if negative. Stay at the ends."""
        keys = [site.key for site in self.reading.sites]
        place = keys.index(self.site) + by
        if 0 <= place < len(keys):
            self.go_to_site(keys[place])

    def next_field(self) -> None:
        """Go to the next field of the joint; from the last field to the first."""
        fields = self.reading.joint_fields(self.site)
        self.select_field(fields[(fields.index(self.field) + 1) % len(fields)])

    def select_field(self, field: Field) -> None:
        """Make `field` the active one, which may be of another joint. Its answer may be changed while others are shown."""
        if field.site != self.site:
            self.reveal.hide()
        self.reveal.may_change = True
        self.is_paired = False
        self.field = field

    def go_to_next_open_field(self) -> bool:
        """Go to the next open field, and hide the answers of others; return False if every field is filled."""
        self.reveal.hide()
        upcoming = rd.find_next_open_field(self.reading, after=self.field)
        if upcoming is None:
            self.is_paired = False
            return False
        both_open = all(counterpart not in self.reading.values for counterpart in self.reading.counterparts(upcoming))
        self.is_paired = self.is_paired and upcoming.site == self.field.site and both_open
        self.field = upcoming
        return True

    # The answers of others.

    @property
    def is_answered(self) -> bool:
        """True if all fields of the joint are filled."""
        return all(field in self.reading.values for field in self.reading.joint_fields(self.site))

    @property
    def is_comparing(self) -> bool:
        """True while the answers of others at the joint are shown."""
        return self.reveal.site == self.site and self.is_answered

    def toggle_answers(self) -> None:
        """Show the answers of others at a joint that the rater has answered, or hide them."""
        if self.is_comparing:
            self.reveal.hide()
        elif self.is_answered:
            self.reveal.show(self.site)
