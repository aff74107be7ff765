"""One case read by keys from the worklist to the signature, for `benchmarks.read_by_keys`.

At the first joints the person uses grades, undo, findings, corrections, the zoom, the alternation, notes, reasons, the
overview, the difference, unlikely entries, and the help; the others are answered as normal. In the end everything that was
stored is compared with what was typed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.simulated_reader import Failure, Outcome, SimulatedReader
from ratui.reading import Entry, Field, FindingEntry, GradeEntry, NotAssessableEntry, Reading, Slot, list_review_items

__all__ = ["Run"]

PROTOCOLS = {"xterm": "sixel", "kitty": "kitty", "tmux": "halfcell"}
"""The protocol that each terminal has to be read with."""
NOTE = "cyst or erosion?"
_MOST_FILMS = 20
"""Number of keys after which the regions of a case have to be confirmed."""


class Run(SimulatedReader):
    """One case, read from the worklist to the signature. The parameters are those of `SimulatedReader`."""

    def read(self) -> Outcome:
        """Read the case to its signature, and check what was stored."""
        with self._terminal:
            try:
                self._open_case()
                self._score()
                self._review_and_sign()
            except Failure as failure:
                self._look("failure")
                self.outcome.faults.append(str(failure))
        self._check()
        return self.outcome

    # The stages of a case.

    def _open_case(self) -> None:
        self._look("opened", at_least=3.0)
        self._go_to_case()
        study, case = self._study(), self._case.case
        for _ in range(_MOST_FILMS):
            if study.are_regions_complete(study.case(case)):
                break
            self._command("regions", "A")
            self._command("regions-confirmed", "Return")
        else:
            raise Failure("the regions were not confirmed")
        self._look("first-joint", at_least=1.0)

    def _go_to_case(self) -> None:
        """Go from the first screen to the case."""
        if self._case.name == "demo":
            self._command("tour-ended", "Escape")
        else:
            self._command("case", "Return")

    def _score(self) -> None:
        """Answer all joints."""
        place = 0
        while True:
            reading = self._reading()
            site = next((each.key for each in reading.sites if self._count_open(reading, each.key)), None)
            if site is None:
                return
            begun = time.monotonic()
            self._site = site
            self._look_at_joint()
            self._act_at_joint(place)
            if self._open_fields():
                self._answer_normal()
            self.outcome.joint_seconds[site] = time.monotonic() - begun
            self._site = ""
            place += 1

    def _act_at_joint(self, place: int) -> None:
        """Do what the person does at the joint number `place`, counted from 0, before the rest is answered as normal."""
        if place < len(SCRIPTS) and not self._is_normal:
            SCRIPTS[place](self)

    @staticmethod
    def _count_open(reading: Reading, site: str) -> int:
        return sum(each not in reading.values for each in reading.joint_fields(site))

    def _review_and_sign(self) -> None:
        self._look("all-answered", at_least=1.0)
        items = list_review_items(self._reading())
        if items:
            self._command("S-in-review", "S")
        for number, _ in enumerate(items, 1):
            self._command(f"review-{number}", "Return")
        # Where not all visits fit on the screen, Enter goes to the next film of a joint before it keeps the joint.
        for _ in range(1 + len(items) * len(self._reading().order)):
            self._press("S")
            if self._wait_until(self._is_signed):
                break
            self._command("review-more", "Return")
        else:
            raise Failure("S did not sign the reading")
        self._look("signed", at_least=1.0)

    def _is_signed(self) -> bool:
        return self._reading().signed_at is not None

    # What is done at single joints.

    def _normals(self) -> dict[Field, Entry]:
        return {each: GradeEntry(0) for each in self._open_fields()}

    def _answer_normal(self) -> None:
        self._answer("n", self._normals())

    def _do_grades(self) -> None:
        """Answer each field by a digit."""
        for grade, each in enumerate(self._open_fields()):
            self._answer(str(grade % 2), {each: GradeEntry(grade % 2)})

    def _do_undo(self) -> None:
        """Answer, take it back, answer again."""
        first = self._open_fields()[0]
        self._answer("2", {first: GradeEntry(2)})
        count = len(self._reading().log)
        self._press_until("u", lambda: len(self._reading().log) > count, "undo")
        if first in self._reading().values:
            self.outcome.faults.append(f"{first} has a value after its undo")
        self._look("undone")
        self._answer("1", {first: GradeEntry(1)})

    def _do_finding(self) -> None:
        """Enter an ankylosis at all visits."""
        self._enter_finding("a", "ankylosis")

    def _enter_finding(self, key: str, finding: str) -> None:
        while self._open_fields():
            first = self._open_fields()[0]
            scales = self._reading().scheme.finding(finding).sets
            slot = [each for each in self._open_fields() if each.time == first.time and each.scale in scales]
            self._answer(key, {each: FindingEntry(finding) for each in slot})

    def _do_correction(self) -> None:
        """Answer all, go back to the joint, and correct the first field."""
        first = self._open_fields()[0]
        self._answer_normal()
        self._command("back-at-joint", "Left")
        self._answer("1", {first: GradeEntry(1)})

    def _do_zoom(self) -> None:
        """Zoom through all steps."""
        self._command("zoom-1", "z")
        self._command("zoom-2", "z")
        self._command("zoom-3", "z")

    def _do_blink(self) -> None:
        """Answer in the alternation of the films."""
        self._command("blink", "b")
        self._command("blink-other", "b")
        self._command("side-by-side", "Escape")

    def _do_note(self) -> None:
        """Write a note and flag the joint."""
        self._command("note", "m")
        self._terminal.type(NOTE)
        self._look("note-typed")
        self._press_until("Return", lambda: self._site in self._reading().notes, "note")
        self._notes[self._site] = NOTE
        self._press_until("f", lambda: self._site in self._reading().flags, "flag")
        self._flags.add(self._site)
        self._look("flagged")

    def _do_reason(self) -> None:
        """Say that the joint is not assessable at the first visit."""
        first = self._open_fields()[0]
        slot = [each for each in self._open_fields() if each.time == first.time]
        self._command("reasons", "x")
        self._answer("u", {first: NotAssessableEntry("unreadable")} if len(slot) == 1 else {})
        changed = {change.field for change in self._reading().log[-1].changes}
        self._expected.update({each: NotAssessableEntry("unreadable") for each in changed})

    def _do_overview(self) -> None:
        """Look at the overview and come back."""
        self._command("overview", "o")
        self._command("back-from-overview", "Return")

    def _do_difference(self) -> None:
        """Look at the difference, at the whole film, and at other grey levels."""
        self._command("difference", "d")
        self._command("no-difference", "d")
        self._command("whole-film", "v")
        self._command("joint-again", "v")
        self._command("inverted", "i")
        self._command("greys-reset", "W")

    def _do_unlikely(self) -> None:
        """Enter a large change, which is asked about, and the same grade at the visits after it."""
        is_blinded = self._reading().is_blinded  # then each visit is compared with all others
        first, *others = self._open_fields()
        self._answer("0", {first: GradeEntry(0)})
        for number, each in enumerate(others):
            if each.scale != first.scale:
                break
            self._answer("4", {each: GradeEntry(4)}, confirm=number == 0 or is_blinded)

    def _do_help(self) -> None:
        """Look at the help, the lens and the list of commands."""
        self._command("help", "question")
        self._command("help-closed", "Escape")
        self._command("commands", "ctrl+p")
        self._command("commands-closed", "Escape")
        self._command("lens", "g")
        self._command("lens-off", "g")

    # The outcome.

    def _check(self) -> None:
        """Compare what was stored with what was typed."""
        faults, reading = self.outcome.faults, self._reading()
        if reading.signed_at is None:
            faults.append("the reading is not signed")
        for each in reading.fields:
            stored, typed = reading.values.get(each), self._expected.get(each)
            if Slot(each.site, each.time) not in reading.absent and stored != typed:
                faults.append(f"{each}: typed {typed}, stored {stored}")
        if dict(reading.notes) != self._notes:
            faults.append(f"notes: typed {self._notes}, stored {dict(reading.notes)}")
        if set(reading.flags) != self._flags:
            faults.append(f"flags: typed {self._flags}, stored {set(reading.flags)}")
        for entry in reading.log:
            if entry.kind not in ("enter", "normal", "same"):
                continue
            display = entry.display
            if display is None or not display.films:
                faults.append(f"entry {entry.number} was made without a film")
            elif display.protocol != PROTOCOLS[self._kind]:
                faults.append(f"entry {entry.number} was made with {display.protocol}")


SCRIPTS: tuple[Callable[[Run], None], ...] = (
    Run._do_grades,
    Run._do_undo,
    Run._do_finding,
    Run._do_correction,
    Run._do_zoom,
    Run._do_blink,
    Run._do_note,
    Run._do_reason,
    Run._do_overview,
    Run._do_difference,
    Run._do_unlikely,
    Run._do_help,
)
"""Actions at the first joints, beside the answer *normal*. All others are answered as normal."""
