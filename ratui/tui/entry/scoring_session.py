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
from ratui.tui.entry.autosave import AutoSaver, find_resume_field, now
from ratui.tui.entry.joint_search import find_site_by_name
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.i18n.reading_phrases import format_refusal, format_unknown_key, format_unlikely
from ratui.tui.input.actions import Keymap, format_key, key_for_entry, map_keys_to_entries
from ratui.tui.input.line_editor import LineEditor

__all__ = ["EntryMode", "PendingEntry", "ScoringSession"]

EntryMode = Literal["entry", "reasons", "go_to", "note"]


@dataclass(frozen=True)
class PendingEntry:
    """An unlikely entry that waits for its key once more. `entry` is None for a joint that would be normal."""

    key: str
    field: Field
    entry: Entry | None
    unlikely: UnlikelyEntry


class ScoringSession:
    """Asks for one field after the other and takes the answers.

    A screen gives each key to `key`, and acts itself on what that leaves. `near` is a word that belongs beside the
    waiting field, `told` a sentence; both are about the last key alone. `ended` says that it filled the last open field.
    `hint` is asked for a sentence about each joint that is answered wholly, when it is and when it is come back to; an
    empty one says nothing.
    """

    def __init__(
        self, auto_saver: AutoSaver, keymap: Keymap, t: Catalog, *, hint: Callable[[Reading, str], str] | None = None
    ) -> None:
        self._auto_saver = auto_saver
        self._hint = hint
        self._keymap = keymap
        self.t = t
        self.field: Field = find_resume_field(auto_saver.reading)
        self.mode: EntryMode = "entry"
        self._line_editor = LineEditor()
        self.is_paired = False
        """Whether one answer counts for both time points, in what is left of this joint."""
        self.pending: PendingEntry | None = None
        self._unconfirmed: PendingEntry | None = None
        self.field_hint = ""
        self.message = ""
        self.is_finished = False
        self._cached_options: tuple[tuple[Reading, Field, bool], EntryOptions] | None = None

    @property
    def reading(self) -> Reading:
        return self._auto_saver.reading

    @property
    def site(self) -> str:
        """The key of the site that is asked about."""
        return self.field.site

    # What is asked.

    @property
    def waiting_fields(self) -> tuple[Field, ...]:
        """The fields that the next answer fills: one, or that of both time points."""
        return (self.field, *self.reading.counterparts(self.field)) if self.is_paired else (self.field,)

    @property
    def options(self) -> EntryOptions:
        """What may be entered now."""
        asked = (self.reading, self.field, self.is_paired)
        if self._cached_options is None or not _is_same_question(self._cached_options[0], asked):
            self._cached_options = (asked, self._compute_options())
        return self._cached_options[1]

    def _compute_options(self) -> EntryOptions:
        here = rd.list_options(self.reading, self.field)
        for twin in self.waiting_fields[1:]:
            there = rd.list_options(self.reading, twin)
            here = replace(
                here,
                grades=tuple(grade for grade in here.grades if grade in there.grades),
                findings=tuple(finding for finding in here.findings if finding in there.findings),
                reasons=tuple(reason for reason in here.reasons if reason in there.reasons),
            )
        return here

    @property
    def can_pair(self) -> bool:
        """Whether one answer could count for both time points: the reader knows which is which, and in this field and one
        more of the joint neither has an answer yet, so that it saves a key."""
        reading = self.reading
        if reading.is_blinded or reading.signed_at or len(reading.order) != 2:
            return False
        opened = {field for field in reading.joint_fields(self.site) if field not in reading.values}
        pairs = [field for field in opened if reading.counterparts(field)[0] in opened]
        return self.field in pairs and len(pairs) > 2

    def is_possible(self, action: str) -> bool:
        """Whether the scoring screen's `action` would do something now."""
        match action:
            case "normal":
                return self.options.can_enter_normal
            case "same":
                return self.is_paired or self.can_pair or self.options.can_copy
            case "reasons":
                return bool(self.options.reasons)
            case "clear":
                return self.options.can_clear
            case "undo":
                return rd.find_undoable(self.reading) is not None
            case _:
                return True

    # Keys.

    def process_key(self, name: str) -> bool:
        """Takes the key `name` where it answers or is typed into a line; False leaves it to the screen's actions."""
        self.field_hint, self.message, self.is_finished = "", "", False
        self._unconfirmed, self.pending = self.pending, None
        if self._auto_saver.save_error and name != self._keymap.key("scoring.leave"):
            self._auto_saver.save(self.reading)
        if self.mode in ("go_to", "note"):
            self._edit_line(name)
            return True
        if self.mode == "reasons":
            self._choose_reason(name)
            return True
        entry = map_keys_to_entries(self.reading.scheme, self.options).get(name)
        if entry is None:
            return False
        self.enter(entry, name)
        return True

    def explain_refusal(self, name: str, instead: str = "") -> None:
        """Says why the character `name`, which nothing has taken, does nothing here; `instead`, if it has another place."""
        scheme = self.reading.scheme
        entries: list[Entry] = [FindingEntry(finding.id) for finding in scheme.findings]
        entries += [GradeEntry(grade) for grade in range(10)]
        for entry in entries:
            if key_for_entry(scheme, entry) == name:
                refusals = (rd.find_refusal(self.reading, field, entry) for field in self.waiting_fields)
                refusal = next((each for each in refusals if each is not None), None)
                if refusal is not None:
                    self._show_refusal(refusal, name)
                    return
        self.field_hint = self.t("scoring.near.nothing", key=name)
        self.message = instead or format_unknown_key(self.t, name, self._keymap.key_label("scoring.help"))

    def _show_refusal(self, refusal: Refusal, key: str) -> None:
        values = dict(refusal.parameters)
        if "label" in values:
            values["label"] = self.t.translate_scheme(str(values["label"]))
        near = f"scoring.near.{refusal.kind}"
        why = format_refusal(self.t, refusal)
        self.field_hint = self.t(near, **values) if near in self.t else why
        self.message = self.t("scoring.refused", key=format_key(key), why=why)

    # Answers.

    def enter(self, entry: Entry, key: str) -> None:
        """`entry` at the field that is asked, from the key `key`; an unlikely one waits for the same key once more."""
        unlikely = None if self.is_paired else rd.find_unlikely(self.reading, self.field, entry)
        if unlikely is not None and not self._is_confirmed(key):
            self._ask_confirmation(PendingEntry(key, self.field, entry, unlikely))
            return
        try:
            reading = rd.enter(
                self.reading, self.field, entry, timestamp=now(), key=key, confirmed=unlikely is not None
            )
            for twin in self.waiting_fields[1:]:
                reading = rd.copy_entry(reading, twin, timestamp=now(), key=self._keymap.key("scoring.same"))
        except EntryError as error:
            self._show_refusal(error.refusal, key)
            return
        self._advance(reading)

    def enter_normal(self) -> None:
        """Grade 0 in all open fields of the joint."""
        key = self._keymap.key("scoring.normal")
        unlikely = rd.find_unlikely_normal(self.reading, self.site)
        if unlikely is not None and not self._is_confirmed(key):
            self._ask_confirmation(PendingEntry(key, self.field, None, unlikely))
            return
        self._apply(
            key,
            lambda: rd.enter_normal(self.reading, self.site, timestamp=now(), key=key, confirmed=unlikely is not None),
        )

    def enter_same(self) -> None:
        """As at the other time point; where nothing stands at either, one answer counts for both from here on."""
        key = self._keymap.key("scoring.same")
        if self.is_paired or self.can_pair:
            self.is_paired = not self.is_paired
            self.message = self.t("scoring.both_on" if self.is_paired else "scoring.both_off", key=format_key(key))
            return
        self._apply(key, lambda: rd.copy_entry(self.reading, self.field, timestamp=now(), key=key))

    def undo(self) -> None:
        """Takes the last entry back and asks for its field again."""
        key = self._keymap.key("scoring.undo")
        last = rd.find_undoable(self.reading)
        try:
            self._auto_saver.save(rd.undo(self.reading, timestamp=now(), key=key))
        except EntryError as error:
            self._show_refusal(error.refusal, key)
            return
        self.is_paired = False
        if last is not None and last.changes:
            self.field = last.changes[0].field

    def clear(self) -> None:
        """Empties the field."""
        key = self._keymap.key("scoring.clear")
        self.is_paired = False
        try:
            self._auto_saver.save(rd.clear(self.reading, self.field, timestamp=now(), key=key))
        except EntryError as error:
            self._show_refusal(error.refusal, key)

    def ask_reason(self) -> None:
        """Asks for the reason why there is no score."""
        if self.options.reasons:
            self.mode = "reasons"
            return
        key = self._keymap.key("scoring.reasons")
        refusal = rd.find_refusal(self.reading, self.field, NotAssessableEntry(self.reading.scheme.reasons[0].id))
        self._show_refusal(refusal or Refusal("no_reason"), key)

    def toggle_flag(self) -> None:
        """Marks the joint to come back to, or no longer."""
        key = self._keymap.key("scoring.flag")
        try:
            self._auto_saver.save(rd.toggle_flag(self.reading, self.site, timestamp=now(), key=key))
        except EntryError as error:
            self._show_refusal(error.refusal, key)
            return
        self.message = self.t("scoring.flagged" if self.site in self.reading.flags else "scoring.unflagged")

    def _apply(self, key: str, change: Callable[[], Reading]) -> None:
        try:
            reading = change()
        except EntryError as error:
            self._show_refusal(error.refusal, key)
        else:
            self._advance(reading)

    def _advance(self, reading: Reading) -> None:
        """Saves `reading` and asks for the next open field."""
        self._auto_saver.save(reading)
        self._show_hint()
        upcoming = rd.find_next_open_field(reading, after=self.field)
        if upcoming is None:
            self.is_finished, self.is_paired = True, False
            return
        twins_open = all(twin not in reading.values for twin in reading.counterparts(upcoming))
        self.is_paired = self.is_paired and upcoming.site == self.field.site and twins_open
        self.field = upcoming

    def _show_hint(self) -> None:
        answered = all(field in self.reading.values for field in self.reading.joint_fields(self.site))
        if self._hint is not None and answered and (said := self._hint(self.reading, self.site)):
            self.message = said

    def _is_confirmed(self, key: str) -> bool:
        return self._unconfirmed is not None and (self._unconfirmed.key, self._unconfirmed.field) == (key, self.field)

    def _ask_confirmation(self, pending: PendingEntry) -> None:
        self.pending = pending
        shown = format_key(pending.key)
        self.field_hint = self.t("scoring.near.again", key=shown)
        self.message = format_unlikely(self.t, pending.unlikely, shown)

    # Moving about.

    def go_to_site(self, site: str) -> None:
        """Asks about `site`: for its first open field, or its first."""
        fields = self.reading.joint_fields(site)
        self.is_paired = False
        self.field = next((field for field in fields if field not in self.reading.values), fields[0])
        self._show_hint()

    def move_by(self, by: int) -> None:
        """To the joint `by` places further."""
        keys = [site.key for site in self.reading.sites]
        place = keys.index(self.site) + by
        if 0 <= place < len(keys):
            self.go_to_site(keys[place])

    def next_field(self) -> None:
        """To the next field of this joint, and round."""
        fields = self.reading.joint_fields(self.site)
        self.is_paired = False
        self.field = fields[(fields.index(self.field) + 1) % len(fields)]

    # Lines that are typed.

    @property
    def typed_text(self) -> str:
        """What has been typed of the name or the note so far."""
        return self._line_editor.text

    def ask_joint(self) -> None:
        """Asks for the name of a joint to go to."""
        self.mode, self._line_editor = "go_to", LineEditor(limit=rd.MAX_NOTE_LENGTH)

    def ask_note(self) -> None:
        """Asks for the note on this joint."""
        self.mode, self._line_editor = "note", LineEditor(self.reading.notes.get(self.site, ""), rd.MAX_NOTE_LENGTH)

    @property
    def matched_site(self) -> str | None:
        """The key of the site that the typed name means so far, or None."""
        return find_site_by_name(self.reading, self.reading.site(self.site).side, self.typed_text)

    def _edit_line(self, name: str) -> None:
        done = self._line_editor.process_key(name)
        if done == "typing":
            return
        mode, self.mode = self.mode, "entry"
        if done == "accepted":
            if mode == "note":
                self._save_note()
            else:
                self._go_to_matched_site()

    def _go_to_matched_site(self) -> None:
        site = self.matched_site
        if site is None:
            self.message = self.t("scoring.no_joint", name=self.typed_text.strip())
        else:
            self.go_to_site(site)

    def _save_note(self) -> None:
        key = self._keymap.key("scoring.note")
        try:
            self._auto_saver.save(rd.set_note(self.reading, self.site, self.typed_text, timestamp=now(), key=key))
        except EntryError as error:
            self._show_refusal(error.refusal, key)

    def _choose_reason(self, name: str) -> None:
        if name in ("escape", self._keymap.key("scoring.reasons")):
            self.mode = "entry"
            return
        for reason in self.options.reasons:
            if reason.key == name:
                self.mode = "entry"
                self.enter(NotAssessableEntry(reason.id), name)
                return
        self.message = self.t("scoring.which_reason", key=format_key(name))


def _is_same_question(before: tuple[Reading, Field, bool], asked: tuple[Reading, Field, bool]) -> bool:
    return before[0] is asked[0] and before[1:] == asked[1:]
