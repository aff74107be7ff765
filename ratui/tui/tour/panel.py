"""The two lines of the tour above the message line: the key to press next, and how to end the tour.

Where the true grades of the films are known, the panel names that of the marked field, and says if the last entry was
another one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from rich.text import Text
from textual.widgets import Static

from ratui.reading import Field, FieldChange, LogEntry, Reading
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.input.actions import Keymap
from ratui.tui.theme import HEADING, NOTE, QUIET, WAITING
from ratui.tui.tour.tour import STEPS, KnownGrade, Tour, TourStep

__all__ = ["TourPanel", "TourPlace"]

_GRADES = "0–5"
_WITH_ANSWER = ("grade", "undo", "again", "later", "normal")
"""Steps that name the true grade where it is known."""


class TourPlace(NamedTuple):
    """The reading on a screen, and the field that waits for an answer; None if none does."""

    reading: Reading
    field: Field | None


class TourPanel(Static):
    """The lines that show `tour`. `place` returns the reading on the screen and its marked field, if there is one."""

    def __init__(self, tour: Tour, keymap: Keymap, place: Callable[[], TourPlace | None]) -> None:
        super().__init__(markup=False)
        self._tour = tour
        self._keymap = keymap
        self._place = place
        self._seen_entries = len(self._log)
        self._ended = False

    @property
    def _log(self) -> tuple[LogEntry, ...]:
        place = self._place()
        return place.reading.log if place else ()

    def update_step(self, t: Catalog) -> None:
        """Show the present step, or that the tour has ended."""
        step = self._tour.step
        text = Text()
        if step is None:
            text.append(f"{t('tour.ended')}\n", HEADING)
        else:
            text.append(f" {t('tour.place', step=self._tour.number, of=len(STEPS))} ", WAITING)
            text.append(f" {self._describe(step, t)}\n")
            text.append(*self._remark(step, t))
        if self.content != text:
            self.update(text)

    def _remark(self, step: TourStep, t: Catalog) -> tuple[str, str]:
        """Return the second line with its style: the true grade if the last entry is another one, else how to end."""
        place = self._place()
        wrong = self._find_wrong_entry(place.reading) if place and step.name != "undo" else None
        if wrong is None:
            return t("tour.skip"), QUIET
        return t("tour.other_grade", grade=wrong.grade, undo=self._keymap.key_label("scoring.undo")), NOTE

    def _describe(self, step: TourStep, t: Catalog) -> str:
        """Return what `step` asks for; with the true grades if they are known."""
        key = self._keymap.key_label(step.key) if step.key else _GRADES
        place = self._place()
        known = self._tour.known.get(place.reading.case, {}) if place else {}
        if place is None or place.field is None or not known or step.name not in _WITH_ANSWER:
            return t(f"tour.{step.name}", key=key)
        if step.name == "undo":
            wrong = self._find_wrong_entry(place.reading)
            return t("tour.undo_wrong", key=key, grade=wrong.grade) if wrong else t("tour.undo_right", key=key)
        if step.name == "normal":
            open_fields = [each for each in place.reading.joint_fields(place.field.site) if each in known]
            if any(known[each].grade for each in open_fields):
                return t("tour.normal_elsewhere", key=self._keymap.key_label("scoring.next_joint"))
            return t("tour.normal_known", key=key)
        answer = known.get(place.field)
        if answer is None:
            return t("tour.grade", key=key)
        return t(f"tour.{step.name}_known", key=self._keymap.label_answer_key(answer.key), grade=answer.grade)

    def _find_wrong_entry(self, reading: Reading) -> KnownGrade | None:
        """Return the true grade of a field that the last command filled with another one; None if all are right."""
        known = self._tour.known.get(reading.case, {})
        changes = reading.log[-1].changes if reading.log else ()
        wrong = (known[each.field] for each in changes if each.field in known and self._is_wrong(reading, each, known))
        return next(wrong, None)

    @staticmethod
    def _is_wrong(reading: Reading, change: FieldChange, known: Mapping[Field, KnownGrade]) -> bool:
        return change.field in reading.values and reading.score(change.field) != known[change.field].grade

    def note_key(self, key: str, t: Catalog) -> None:
        """Go to the next step if `key`, which the screen has processed, did what the step asks for.

        The key after the last step removes the panel.
        """
        log = self._log
        events: set[str] = {entry.kind for entry in log[self._seen_entries :]}
        self._seen_entries = len(log)
        # A key that made an entry counts by its entry, because the same key may do nothing at another field.
        action = self._keymap.find("scoring", key)
        if action is not None and not events:
            events = {action.id}
        if self._ended:
            self.remove()
            return
        self._ended = self._tour.advance_on(events) and self._tour.step is None
        self.update_step(t)
