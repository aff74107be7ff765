"""The conversation about one case: which field is asked, what a key says to it, and what is said back.

What may be entered comes from `ratui.reading`, what is pressed from a screen; it draws nothing and knows no film.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from ratui import reading as rd
from ratui.errors import EntryError, Refusal
from ratui.reading import (
    Entry,
    EntryOptions,
    Field,
    FindingEntry,
    GradeEntry,
    NotAssessableEntry,
    Reading,
    UnlikelyEntry,
)
from ratui.tui.entry.autosave import Keeper, now, resumed
from ratui.tui.entry.joint_search import named_site
from ratui.tui.i18n.catalog import Messages
from ratui.tui.i18n.reading_phrases import doubt_text, refusal_text, unknown_key
from ratui.tui.input.actions import Keymap, entry_key, entry_keys, shown_key
from ratui.tui.input.line_editor import TypedLine

__all__ = ["Conversation", "Mode", "Pending"]

Mode = Literal["entry", "reasons", "go_to", "note"]


@dataclass(frozen=True)
class Pending:
    """An unlikely entry that waits for its key once more. `entry` is None for a joint that would be normal."""

    key: str
    field: Field
    entry: Entry | None
    doubt: UnlikelyEntry


class Conversation:
    """Asks for one field after the other and takes the answers.

    A screen gives each key to `key`, and acts itself on what that leaves. `near` is a word that belongs beside the
    waiting field, `told` a sentence; both are about the last key alone. `ended` says that it filled the last open field.
    `aside` is asked for a sentence about each joint that is answered wholly, when it is and when it is come back to; an
    empty one says nothing.
    """

    def __init__(
        self, keeper: Keeper, keymap: Keymap, t: Messages, *, aside: Callable[[Reading, str], str] | None = None
    ) -> None:
        self._keeper = keeper
        self._aside = aside
        self._keymap = keymap
        self.t = t
        self.field: Field = resumed(keeper.reading)
        self.mode: Mode = "entry"
        self._line = TypedLine()
        self.both = False
        """Whether one answer counts for both time points, in what is left of this joint."""
        self.pending: Pending | None = None
        self._again: Pending | None = None
        self.near = ""
        self.told = ""
        self.ended = False
        self._options: tuple[tuple[Reading, Field, bool], EntryOptions] | None = None

    @property
    def reading(self) -> Reading:
        return self._keeper.reading

    @property
    def site(self) -> str:
        """The key of the site that is asked about."""
        return self.field.site

    # What is asked.

    @property
    def waiting(self) -> tuple[Field, ...]:
        """The fields that the next answer fills: one, or that of both time points."""
        return (self.field, *self.reading.counterparts(self.field)) if self.both else (self.field,)

    @property
    def options(self) -> EntryOptions:
        """What may be entered now."""
        asked = (self.reading, self.field, self.both)
        if self._options is None or not _alike(self._options[0], asked):
            self._options = (asked, self._find_options())
        return self._options[1]

    def _find_options(self) -> EntryOptions:
        here = rd.list_options(self.reading, self.field)
        for twin in self.waiting[1:]:
            there = rd.list_options(self.reading, twin)
            here = replace(
                here,
                grades=tuple(grade for grade in here.grades if grade in there.grades),
                findings=tuple(finding for finding in here.findings if finding in there.findings),
                reasons=tuple(reason for reason in here.reasons if reason in there.reasons),
            )
        return here

    @property
    def may_pair(self) -> bool:
        """Whether one answer could count for both time points: the reader knows which is which, and in this field and one
        more of the joint neither has an answer yet, so that it saves a key."""
        reading = self.reading
        if reading.is_blinded or reading.signed_at or len(reading.order) != 2:
            return False
        opened = {field for field in reading.joint_fields(self.site) if field not in reading.values}
        pairs = [field for field in opened if reading.counterparts(field)[0] in opened]
        return self.field in pairs and len(pairs) > 2

    def possible(self, action: str) -> bool:
        """Whether the scoring screen's `action` would do something now."""
        match action:
            case "normal":
                return self.options.can_enter_normal
            case "same":
                return self.both or self.may_pair or self.options.can_copy
            case "reasons":
                return bool(self.options.reasons)
            case "clear":
                return self.options.can_clear
            case "undo":
                return rd.find_undoable(self.reading) is not None
            case _:
                return True

    # Keys.

    def key(self, name: str) -> bool:
        """Takes the key `name` where it answers or is typed into a line; False leaves it to the screen's actions."""
        self.near, self.told, self.ended = "", "", False
        self._again, self.pending = self.pending, None
        if self._keeper.refusal and name != self._keymap.key("scoring.leave"):
            self._keeper.keep(self.reading)
        if self.mode in ("go_to", "note"):
            self._edit(name)
            return True
        if self.mode == "reasons":
            self._reason(name)
            return True
        entry = entry_keys(self.reading.scheme, self.options).get(name)
        if entry is None:
            return False
        self.enter(entry, name)
        return True

    def refuse(self, name: str, instead: str = "") -> None:
        """Says why the character `name`, which nothing has taken, does nothing here; `instead`, if it has another place."""
        scheme = self.reading.scheme
        entries: list[Entry] = [FindingEntry(finding.id) for finding in scheme.findings]
        entries += [GradeEntry(grade) for grade in range(10)]
        for entry in entries:
            if entry_key(scheme, entry) == name:
                refusals = (rd.find_refusal(self.reading, field, entry) for field in self.waiting)
                refusal = next((each for each in refusals if each is not None), None)
                if refusal is not None:
                    self._refused(refusal, name)
                    return
        self.near = self.t("scoring.near.nothing", key=name)
        self.told = instead or unknown_key(self.t, name, self._keymap.shown("scoring.help"))

    def _refused(self, refusal: Refusal, key: str) -> None:
        values = dict(refusal.parameters)
        if "label" in values:
            values["label"] = self.t.of_scheme(str(values["label"]))
        near = f"scoring.near.{refusal.kind}"
        why = refusal_text(self.t, refusal)
        self.near = self.t(near, **values) if near in self.t else why
        self.told = self.t("scoring.refused", key=shown_key(key), why=why)

    # Answers.

    def enter(self, entry: Entry, key: str) -> None:
        """`entry` at the field that is asked, from the key `key`; an unlikely one waits for the same key once more."""
        doubt = None if self.both else rd.find_unlikely(self.reading, self.field, entry)
        if doubt is not None and not self._confirms(key):
            self._doubt(Pending(key, self.field, entry, doubt))
            return
        try:
            reading = rd.enter(self.reading, self.field, entry, timestamp=now(), key=key, confirmed=doubt is not None)
            for twin in self.waiting[1:]:
                reading = rd.copy_entry(reading, twin, timestamp=now(), key=self._keymap.key("scoring.same"))
        except EntryError as error:
            self._refused(error.refusal, key)
            return
        self._go_on(reading)

    def normal(self) -> None:
        """Grade 0 in all open fields of the joint."""
        key = self._keymap.key("scoring.normal")
        doubt = rd.find_unlikely_normal(self.reading, self.site)
        if doubt is not None and not self._confirms(key):
            self._doubt(Pending(key, self.field, None, doubt))
            return
        self._try(
            key, lambda: rd.enter_normal(self.reading, self.site, timestamp=now(), key=key, confirmed=doubt is not None)
        )

    def same(self) -> None:
        """As at the other time point; where nothing stands at either, one answer counts for both from here on."""
        key = self._keymap.key("scoring.same")
        if self.both or self.may_pair:
            self.both = not self.both
            self.told = self.t("scoring.both_on" if self.both else "scoring.both_off", key=shown_key(key))
            return
        self._try(key, lambda: rd.copy_entry(self.reading, self.field, timestamp=now(), key=key))

    def undo(self) -> None:
        """Takes the last entry back and asks for its field again."""
        key = self._keymap.key("scoring.undo")
        last = rd.find_undoable(self.reading)
        try:
            self._keeper.keep(rd.undo(self.reading, timestamp=now(), key=key))
        except EntryError as error:
            self._refused(error.refusal, key)
            return
        self.both = False
        if last is not None and last.changes:
            self.field = last.changes[0].field

    def clear(self) -> None:
        """Empties the field."""
        key = self._keymap.key("scoring.clear")
        self.both = False
        try:
            self._keeper.keep(rd.clear(self.reading, self.field, timestamp=now(), key=key))
        except EntryError as error:
            self._refused(error.refusal, key)

    def ask_why(self) -> None:
        """Asks for the reason why there is no score."""
        if self.options.reasons:
            self.mode = "reasons"
            return
        key = self._keymap.key("scoring.reasons")
        refusal = rd.find_refusal(self.reading, self.field, NotAssessableEntry(self.reading.scheme.reasons[0].id))
        self._refused(refusal or Refusal("no_reason"), key)

    def flag(self) -> None:
        """Marks the joint to come back to, or no longer."""
        key = self._keymap.key("scoring.flag")
        try:
            self._keeper.keep(rd.toggle_flag(self.reading, self.site, timestamp=now(), key=key))
        except EntryError as error:
            self._refused(error.refusal, key)
            return
        self.told = self.t("scoring.flagged" if self.site in self.reading.flags else "scoring.unflagged")

    def _try(self, key: str, change: Callable[[], Reading]) -> None:
        try:
            reading = change()
        except EntryError as error:
            self._refused(error.refusal, key)
        else:
            self._go_on(reading)

    def _go_on(self, reading: Reading) -> None:
        """Saves `reading` and asks for the next open field."""
        self._keeper.keep(reading)
        self._tell_aside()
        upcoming = rd.find_next_open_field(reading, after=self.field)
        if upcoming is None:
            self.ended, self.both = True, False
            return
        twins_open = all(twin not in reading.values for twin in reading.counterparts(upcoming))
        self.both = self.both and upcoming.site == self.field.site and twins_open
        self.field = upcoming

    def _tell_aside(self) -> None:
        answered = all(field in self.reading.values for field in self.reading.joint_fields(self.site))
        if self._aside is not None and answered and (said := self._aside(self.reading, self.site)):
            self.told = said

    def _confirms(self, key: str) -> bool:
        return self._again is not None and (self._again.key, self._again.field) == (key, self.field)

    def _doubt(self, pending: Pending) -> None:
        self.pending = pending
        shown = shown_key(pending.key)
        self.near = self.t("scoring.near.again", key=shown)
        self.told = doubt_text(self.t, pending.doubt, shown)

    # Moving about.

    def visit(self, site: str) -> None:
        """Asks about `site`: for its first open field, or its first."""
        fields = self.reading.joint_fields(site)
        self.both = False
        self.field = next((field for field in fields if field not in self.reading.values), fields[0])
        self._tell_aside()

    def step(self, by: int) -> None:
        """To the joint `by` places further."""
        keys = [site.key for site in self.reading.sites]
        place = keys.index(self.site) + by
        if 0 <= place < len(keys):
            self.visit(keys[place])

    def next_field(self) -> None:
        """To the next field of this joint, and round."""
        fields = self.reading.joint_fields(self.site)
        self.both = False
        self.field = fields[(fields.index(self.field) + 1) % len(fields)]

    # Lines that are typed.

    @property
    def typed(self) -> str:
        """What has been typed of the name or the note so far."""
        return self._line.text

    def ask_where(self) -> None:
        """Asks for the name of a joint to go to."""
        self.mode, self._line = "go_to", TypedLine(limit=rd.MAX_NOTE_LENGTH)

    def ask_note(self) -> None:
        """Asks for the note on this joint."""
        self.mode, self._line = "note", TypedLine(self.reading.notes.get(self.site, ""), rd.MAX_NOTE_LENGTH)

    @property
    def meant(self) -> str | None:
        """The key of the site that the typed name means so far, or None."""
        return named_site(self.reading, self.reading.site(self.site).side, self.typed)

    def _edit(self, name: str) -> None:
        done = self._line.key(name)
        if done == "typing":
            return
        mode, self.mode = self.mode, "entry"
        if done == "taken":
            if mode == "note":
                self._note()
            else:
                self._go_to()

    def _go_to(self) -> None:
        site = self.meant
        if site is None:
            self.told = self.t("scoring.no_joint", name=self.typed.strip())
        else:
            self.visit(site)

    def _note(self) -> None:
        key = self._keymap.key("scoring.note")
        try:
            self._keeper.keep(rd.set_note(self.reading, self.site, self.typed, timestamp=now(), key=key))
        except EntryError as error:
            self._refused(error.refusal, key)

    def _reason(self, name: str) -> None:
        if name in ("escape", self._keymap.key("scoring.reasons")):
            self.mode = "entry"
            return
        for reason in self.options.reasons:
            if reason.key == name:
                self.mode = "entry"
                self.enter(NotAssessableEntry(reason.id), name)
                return
        self.told = self.t("scoring.which_reason", key=shown_key(name))


def _alike(before: tuple[Reading, Field, bool], asked: tuple[Reading, Field, bool]) -> bool:
    return before[0] is asked[0] and before[1:] == asked[1:]
