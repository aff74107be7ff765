"""The way of a case around the asking for its fields: regions before, the second look, the overview and the signature after.

It asks for no field itself; what a screen shows of that is its own business.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from ratui import reading as rd
from ratui.errors import EntryError
from ratui.reading import Field, LogEntry, Reading
from ratui.study import Case, ReadingSession
from ratui.tui.entry.autosave import Keeper, now
from ratui.tui.entry.other_answers import others_text
from ratui.tui.entry.review_queue import Review
from ratui.tui.entry.scoring_session import Conversation
from ratui.tui.graphics.viewport import CaseFilms, case_films
from ratui.tui.i18n.reading_phrases import error_text
from ratui.tui.input.actions import shown_key
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.film_screen import LookingScreen
from ratui.tui.screens.overview.screen import LOOK_AGAIN, SIGN, OverviewScreen

__all__ = ["CaseFlow"]


class CaseFlow(LookingScreen):
    """A screen that has one case open, from where it was left or from `site` on. `held` closes with the screen, and with
    it the reading's lock."""

    def __init__(self, case: Case, session: ReadingSession, held: ExitStack, *, site: str = "") -> None:
        super().__init__()
        self._case = case
        self._site = site
        self._held = held
        self._keeper = Keeper(session)
        self._notice = session.notice
        self._films: CaseFilms | None = None
        self._talk: Conversation | None = None
        self._review = Review()
        self._warned = False

    def on_mount(self) -> None:
        self.ratui.keyboard.watch = self._keeper.touched
        self._begin()

    def on_unmount(self) -> None:
        if self.ratui.keyboard.watch == self._keeper.touched:  # the next case may be open already
            self.ratui.keyboard.watch = None
        self._held.close()

    @property
    def reading(self) -> Reading:
        """The reading as it stands."""
        return self._keeper.reading

    @property
    def field(self) -> Field | None:
        """The field that waits for an answer; None before the joints have regions."""
        return self._talk.field if self._talk else None

    @property
    def place_asked(self) -> int:
        return self.reading.order.index(self.field.time) if self.field else 0

    @property
    def talk(self) -> Conversation:
        """The conversation; there is one as soon as the joints have regions."""
        assert self._talk is not None
        return self._talk

    def entries(self) -> tuple[LogEntry, ...]:
        return self.reading.log

    # Before and after.

    def _begin(self) -> None:
        study = self.ratui.study
        if not study.are_regions_complete(self._case):
            self._correct_regions()
            return
        self._films = case_films(study, self._case, self.reading.order)
        try:
            reading = rd.apply_regions(self.reading, study.absent_slots(self._case), timestamp=now())
            if reading is not self.reading:
                self._keeper.keep(reading)
        except EntryError as error:
            self.say(error_text(self.t, error))
        if self._talk is None:
            self._talk = Conversation(self._keeper, self.ratui.keymap, self.t, aside=self._aside)
            self.joint_films.sight = self.remembered()
            self._said = self._said or self._notice
            if self._site in self.reading.site_keys:
                self._talk.visit(self._site)
        self.redraw()
        if not self.reading.open_fields and not self._site:
            self._finish()

    def _aside(self, reading: Reading, site: str) -> str:
        """What is said of an answered joint: in an adjudication what the raters had answered, else nothing."""
        return others_text(self.t, reading, self.ratui.study.other_answers(reading.case, site), site)

    def _correct_regions(self) -> None:
        from ratui.tui.screens.regions.screen import RegionsScreen

        self.app.push_screen(RegionsScreen(self._case, self.reading.order), self._regions_done)

    def _regions_done(self, result: object) -> None:
        if self.ratui.study.are_regions_complete(self._case):
            self._begin()
        else:
            self.dismiss()

    def _finish(self) -> None:
        """Every field is filled: once more through what deserves it, then the overview."""
        if not self._look_again(self._review.pending(self.reading)):
            self._overview_comes()

    def _overview_comes(self) -> None:
        """Shows the overview unasked: so nothing that was typed before anybody can have seen it counts there."""
        self.ratui.keyboard.guard(lambda name: self._enters(name) or self._answers(name, "overview"), self._typed_ahead)
        self.do_overview()

    def _enters(self, name: str) -> bool:
        """Whether the key `name` makes an entry somewhere on this screen."""
        findings = {finding.key for finding in self.reading.scheme.findings}
        commands = {self.ratui.keymap.key(f"scoring.{action}") for action in ("normal", "same", "reasons")}
        return name.isdecimal() or name in findings or name in commands

    def _answers(self, name: str, screen: str) -> bool:
        """Whether the key `name` signs, keeps or opens something on `screen`."""
        action = self.ratui.keymap.find(screen, name)
        return action is not None and action.name in ("sign", "keep", "go")

    def _typed_ahead(self, name: str) -> None:
        if isinstance(self.app.screen, KeyScreen):
            self.app.screen.say(self.t("scoring.typed_ahead", keys=shown_key(name)))

    def do_regions(self) -> None:
        self._correct_regions()

    def _look_again(self, looks: Sequence[rd.ReviewItem]) -> bool:
        """Begins the second look at `looks`; False where there is nothing to look at."""
        from ratui.tui.screens.review.screen import SecondLookScreen

        if not looks or self._films is None:
            return False
        self.ratui.keyboard.guard(
            lambda name: self._enters(name) or self._answers(name, "second_look"), self._typed_ahead
        )
        screen = SecondLookScreen(self._films, self.reading, looks, keeper=self._keeper, review=self._review)
        self.app.push_screen(screen, self._looked_again)
        return True

    def _looked_again(self, site: str | None) -> None:
        """After the second look: at `site` the rater left it, None where it is done."""
        if site is None:
            self._overview_comes()
        else:
            self.talk.visit(site)
            self.redraw()

    def do_overview(self) -> None:
        reading = self.reading
        pending = len(self._review.pending(reading)) if reading.is_complete else 0
        screen = OverviewScreen(reading, site=self.talk.site, writable=True, pending=pending)
        self.app.push_screen(screen, self._overview_done)

    def _overview_done(self, result: object) -> None:
        if result == SIGN:
            before = self.reading
            if self._keeper.keep(rd.sign(before, timestamp=now())):
                self.dismiss(self.t("scoring.signed", case=self._case.id))
                return
            self._keeper.reading = before
        elif result == LOOK_AGAIN:
            if self._look_again(self._review.pending(self.reading) or rd.review_items(self.reading)):
                return
            self.do_overview()
        elif isinstance(result, str) and result:
            self.talk.visit(result)
        self.redraw()

    def do_leave(self) -> None:
        if self.back_to_both():
            return
        if self._keeper.refusal and not self._keeper.keep(self.reading) and not self._warned:
            self._warned = True
            self._said = self.t("scoring.leaving_unsaved", key=self.ratui.keymap.shown("scoring.leave"))
            return
        if not self._keeper.refusal and self.reading.log:
            self._keeper.keep(self.reading)
        self.dismiss()
