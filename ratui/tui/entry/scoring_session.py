"""The scoring session of one case: the active field, the effect of each key, and the messages to the rater.

The rules for entries are in `ratui.reading`. This module depends on no widget and no film.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal

from ratui import reading as rd
from ratui.errors import EntryError, Refusal
from ratui.reading import (
    Entry,
    Field,
    FindingEntry,
    GradeEntry,
    NotAssessableEntry,
    Reading,
    UnlikelyEntry,
)
from ratui.study import AutoSaver
from ratui.study.readings.reading_session import now
from ratui.tui.entry.answer_gate import AnswerGate
from ratui.tui.entry.field_cursor import FieldCursor, OtherAnswers
from ratui.tui.entry.joint_search import find_site_by_name
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.i18n.reading_phrases import format_refusal, format_unknown_key, format_unlikely
from ratui.tui.input.actions import Keymap, format_key, key_for_entry
from ratui.tui.input.unpressed_keys import WithdrawalReason

__all__ = ["EntryMode", "PendingEntry", "ScoringSession"]

CONFIRM_KEY = "enter"
"""Key that confirms an unlikely entry. It makes no entry itself, so that an entry for the next field confirms nothing."""

EntryMode = Literal["entry", "reasons", "go_to", "note"]
"""Meaning of the keys: answers, a choice of reasons, the name of a joint, the text of a note."""

_WITHDRAWALS: dict[WithdrawalReason, tuple[str, str]] = {
    "held": ("the key was held down", "scoring.withdrawn"),
    "reply": ("the terminal sent the key", "scoring.withdrawn_reply"),
}
"""By reason for a withdrawal: the note in the log, and the id of the message."""


@dataclass(frozen=True)
class PendingEntry:
    """An unlikely entry, which `CONFIRM_KEY` confirms. Any other key discards it."""

    key: str
    field: Field
    entry: Entry | None
    """The entry; None for grade 0 in all open fields of the joint."""
    unlikely: UnlikelyEntry
    """The reason why the entry is unlikely."""


class ScoringSession(FieldCursor):
    """The entry of scores, field after field.

    A screen passes each key to `process_key`, and handles the keys that are not taken there.

    Parameters
    ----------
    auto_saver
        The reading, with its storage on the disk.
    keymap
        The keys of the actions.
    t
        The texts.
    gate
        Decides whether a key can be an answer to the films on the screen.
    load_answers
        Function that returns the answers of others at the joint with the given site key. They are shown when all fields of
        the joint are answered, until `CONFIRM_KEY`. None if there are never any.
    """

    def __init__(
        self,
        auto_saver: AutoSaver,
        keymap: Keymap,
        t: Catalog,
        gate: AnswerGate,
        *,
        load_answers: Callable[[str], OtherAnswers] | None = None,
    ) -> None:
        super().__init__(auto_saver, load_answers)
        self._gate = gate
        self._keymap = keymap
        self.t = t
        self.mode: EntryMode = "entry"
        self.typed_text = ""
        """Text of the name or the note so far."""
        self.pending: PendingEntry | None = None
        """Entry that the next key may confirm."""
        self.field_hint = ""
        """A few words to show beside the active field, about the last key."""
        self.message = ""
        """Sentence to the rater about the last key."""
        self.is_finished = False
        """True if the last key has filled the last open field."""

    def is_possible(self, action: str) -> bool:
        """Return True if the scoring screen's `action` has an effect now."""
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
            case "answers":
                return self.reveal.is_available and self.is_answered
            case _:
                return True

    def process_key(self, name: str) -> bool:
        """Process the key `name`. Return False if it is neither an answer nor text, so that the screen can handle it."""
        self.field_hint, self.message, self.is_finished = "", "", False
        pending, self.pending = self.pending, None
        # After a failed save, each key tries again. The action that leaves the screen has its own attempt and warning.
        if name != self._keymap.key("scoring.leave"):
            self._auto_saver.retry()
        if self.mode in ("go_to", "note"):
            self._end_line(name)
            return True
        if self.mode == "reasons":
            self._choose_reason(name)
            return True
        if pending is not None and name == CONFIRM_KEY:
            self._confirm(pending)
            return True
        if self.is_comparing and name == CONFIRM_KEY:
            self._go_on()
            return True
        key = self._keymap.find_answer_key(name)
        entry = self.entries_by_key.get(key)
        if entry is None:
            return False
        self.enter(entry, key)
        return True

    def explain_refusal(self, name: str, instead: str = "") -> None:
        """Set the message why the character `name` has no effect here. `instead` replaces the message for an unknown key."""
        scheme = self.reading.scheme
        entries: list[Entry] = [FindingEntry(finding.id) for finding in scheme.findings]
        entries += [GradeEntry(grade) for grade in range(10)]
        for entry in entries:
            if key_for_entry(scheme, entry) == self._keymap.find_answer_key(name):
                refusals = (rd.find_refusal(self.reading, field, entry) for field in self.waiting_fields)
                refusal = next((each for each in refusals if each is not None), None)
                if refusal is not None:
                    self._show_refusal(refusal, name)
                    return
        self.field_hint = self.t("scoring.field_hint.nothing", key=name)
        self.message = instead or format_unknown_key(self.t, name, self._keymap.key_label("scoring.help"))

    def _show_refusal(self, refusal: Refusal, key: str) -> None:
        values = dict(refusal.parameters)
        if "label" in values:
            values["label"] = self.t.translate_scheme(str(values["label"]))
        hint_id = f"scoring.field_hint.{refusal.kind}"
        why = format_refusal(self.t, refusal)
        self.field_hint = self.t(hint_id, **values) if hint_id in self.t else why
        self.message = self.t("scoring.refused", key=format_key(key), why=why)

    def enter(self, entry: Entry, key: str, *, confirmed: bool = False) -> None:
        """Enter `entry`, which `key` stands for, in the active field. An unlikely entry must be `confirmed`."""
        if self.refuses_key(self.waiting_fields):
            return
        unlikely = None if self.is_paired else rd.find_unlikely(self.reading, self.field, entry)
        if unlikely is not None and not confirmed:
            self._ask_confirmation(PendingEntry(key, self.field, entry, unlikely))
            return
        display = self._gate.record_display(self.reading, self.waiting_fields)
        try:
            reading = rd.enter(
                self.reading,
                self.field,
                entry,
                timestamp=now(),
                key=key,
                confirmed=unlikely is not None,
                display=display,
            )
            for counterpart in self.waiting_fields[1:]:
                same = self._keymap.key("scoring.same")
                reading = rd.copy_entry(reading, counterpart, timestamp=now(), key=same, display=display)
        except EntryError as error:
            self._show_refusal(error.refusal, key)
            return
        self._advance(reading)

    def enter_normal(self, *, confirmed: bool = False) -> None:
        """Enter grade 0 in all open fields of the joint. An unlikely entry must be `confirmed`."""
        key = self._keymap.key("scoring.normal")
        fields = [field for field in self.reading.joint_fields(self.site) if field not in self.reading.values]
        if self.refuses_key(fields, shows_unseen=True):
            return
        unlikely = rd.find_unlikely_normal(self.reading, self.site)
        if unlikely is not None and not confirmed:
            self._ask_confirmation(PendingEntry(key, self.field, None, unlikely))
            return
        display = self._gate.record_display(self.reading, fields)
        self._apply(
            key,
            lambda: rd.enter_normal(
                self.reading, self.site, timestamp=now(), key=key, confirmed=unlikely is not None, display=display
            ),
        )

    def enter_same(self) -> None:
        """Copy the answer of the previous time point, or of the other one of two. If both are open, answer both at once."""
        key = self._keymap.key("scoring.same")
        if self.is_paired or self.can_pair:
            self.is_paired = not self.is_paired
            self.message = self.t("scoring.both_on" if self.is_paired else "scoring.both_off", key=format_key(key))
            return
        source = rd.find_copy_source(self.reading, self.field)
        fields = (self.field,) if source is None else (self.field, source)
        if self.refuses_key(fields):
            return
        display = self._gate.record_display(self.reading, fields)
        self._apply(key, lambda: rd.copy_entry(self.reading, self.field, timestamp=now(), key=key, display=display))

    def refuses_key(self, fields: Collection[Field], *, shows_unseen: bool = False) -> bool:
        """Return True, with a message, if the present key cannot be an answer to the films of `fields`.

        If a film was not displayed yet, `shows_unseen` makes the field on it the active one, so that it is displayed now.
        """
        if self.is_comparing and not self.reveal.may_change:
            keys = {"go_on": format_key(CONFIRM_KEY), "change": self._keymap.key_label("scoring.next_field")}
            self.message = self.t("scoring.ignored_comparing", **keys)
            self.field_hint = self.t("scoring.field_hint.ignored")
            return True
        refusal = self._gate.find_refusal(self.reading, fields)
        if refusal == "unseen":
            unseen = self._gate.find_unseen_field(self.reading, fields) if shows_unseen else None
            self.field = unseen or self.field
            self.message = self.t("scoring.ignored_unseen" if unseen else "scoring.ignored_unseen_film")
        elif refusal is not None:
            self.field_hint = self.t("scoring.field_hint.ignored")
            self.message = self.t(f"scoring.ignored_{refusal}", leave=self._keymap.key_label("scoring.leave"))
        return refusal is not None

    def withdraw(self, numbers: Collection[int], reason: WithdrawalReason) -> None:
        """Take back the last answers, as long as `numbers` contains their log numbers. The log states the reason."""
        reading = self.reading
        field = self.field
        note, message = _WITHDRAWALS[reason]
        while (last := rd.find_undoable(reading)) is not None and last.number in numbers:
            field = last.changes[0].field
            reading = rd.undo(reading, timestamp=now(), note=note)
        self._auto_saver.save(reading)
        self.message = self.t(message)
        self.field, self.is_paired, self.is_finished, self.pending = field, False, False, None

    def undo(self) -> None:
        """Undo the last entry, and make its field the active one."""
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
        """Clear the active field."""
        key = self._keymap.key("scoring.clear")
        self.is_paired = False
        try:
            self._auto_saver.save(rd.clear(self.reading, self.field, timestamp=now(), key=key))
        except EntryError as error:
            self._show_refusal(error.refusal, key)

    def ask_reason(self) -> None:
        """Ask for the reason why the joint is not assessable."""
        if self.options.reasons:
            self.mode = "reasons"
            return
        key = self._keymap.key("scoring.reasons")
        refusal = rd.find_refusal(self.reading, self.field, NotAssessableEntry(self.reading.scheme.reasons[0].id))
        self._show_refusal(refusal or Refusal("no_reason"), key)

    def toggle_flag(self) -> None:
        """Flag the joint for a review, or remove the flag."""
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
        """Save `reading`, and make the next open field the active one."""
        for entry in reading.log[len(self.reading.log) :]:
            self._gate.note_answer(entry.number)
        self._auto_saver.save(reading)
        if self.is_answered and self.reveal.show(self.site):
            self.is_paired = False
        else:
            self._go_on()

    def _go_on(self) -> None:
        self.is_finished = not self.go_to_next_open_field()

    def _confirm(self, pending: PendingEntry) -> None:
        if pending.entry is None:
            self.enter_normal(confirmed=True)
        else:
            self.enter(pending.entry, pending.key, confirmed=True)

    def _ask_confirmation(self, pending: PendingEntry) -> None:
        self.pending = pending
        shown = format_key(CONFIRM_KEY)
        self.field_hint = self.t("scoring.field_hint.confirm", key=shown)
        visits = self.name_visits(self.t, pending.unlikely.field, pending.unlikely.other)
        self.message = format_unlikely(self.t, pending.unlikely, shown, visits)

    def select_field(self, field: Field) -> None:
        """Make `field` the active one, which may be of another joint. Discard a pending entry."""
        self.field_hint, self.message, self.pending = "", "", None
        super().select_field(field)

    def discard_pending(self) -> None:
        """Discard the entry that waits for confirmation, with its message."""
        if self.pending is not None:
            self.field_hint, self.message, self.pending = "", "", None

    def ask_joint(self) -> None:
        """Ask for the name of a joint to go to. Set `typed_text`; Enter ends it."""
        self.mode, self.typed_text = "go_to", ""

    def ask_note(self) -> None:
        """Ask for the note on this joint. Set `typed_text`; Enter ends it."""
        self.mode, self.typed_text = "note", self.reading.notes.get(self.site, "")

    @property
    def matched_site(self) -> str | None:
        """Key of the site that the typed text names, or None."""
        return find_site_by_name(self.reading, self.reading.site(self.site).side, self.typed_text)

    def _end_line(self, name: str) -> None:
        """Use the typed text if the key `name` is Enter, discard it if it is Esc. Any other key is part of the text."""
        if name not in ("enter", "escape"):
            return
        mode, self.mode = self.mode, "entry"
        if name == "enter":
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
            if reason.key in (name, self._keymap.find_answer_key(name)):
                self.mode = "entry"
                self.enter(NotAssessableEntry(reason.id), name)
                return
        self.message = self.t("scoring.which_reason", key=format_key(name))
