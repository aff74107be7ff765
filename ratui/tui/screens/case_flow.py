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
from ratui.tui.entry.autosave import AutoSaver, now
from ratui.tui.entry.other_answers import format_other_answers
from ratui.tui.entry.review_queue import ReviewQueue
from ratui.tui.entry.scoring_session import ScoringSession
from ratui.tui.graphics.viewport import CaseFilms, load_case_films
from ratui.tui.i18n.reading_phrases import format_error
from ratui.tui.input.actions import format_key
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.film_screen import FilmScreen
from ratui.tui.screens.overview.screen import GoToSite, OverviewCommand, OverviewResult, OverviewScreen

__all__ = ["CaseFlow"]


class CaseFlow(FilmScreen[str]):
    """A screen that has one case open, from where it was left or from `site` on.

    `resources` closes with the screen, and with it the reading's lock.
    """

    def __init__(self, case: Case, session: ReadingSession, resources: ExitStack, *, site: str = "") -> None:
        super().__init__()
        self._case = case
        self._site = site
        self._resources = resources
        self._auto_saver = AutoSaver(session)
        self._notice = session.notice
        self._films: CaseFilms | None = None
        self._scoring_session: ScoringSession | None = None
        self._review_queue = ReviewQueue()
        self._warned = False

    def on_mount(self) -> None:
        self.ratui.key_queue.before_key = self._auto_saver.count_time
        self._start()

    def on_unmount(self) -> None:
        if self.ratui.key_queue.before_key == self._auto_saver.count_time:  # the next case may be open already
            self.ratui.key_queue.before_key = None
        self._resources.close()

    @property
    def reading(self) -> Reading:
        """The reading as it stands."""
        return self._auto_saver.reading

    @property
    def field(self) -> Field | None:
        """The field that waits for an answer; None before the joints have regions."""
        return self._scoring_session.field if self._scoring_session else None

    @property
    def asked_place(self) -> int:
        return self.reading.order.index(self.field.time) if self.field else 0

    @property
    def scoring_session(self) -> ScoringSession:
        """The conversation; there is one as soon as the joints have regions."""
        assert self._scoring_session is not None
        return self._scoring_session

    def log_entries(self) -> tuple[LogEntry, ...]:
        return self.reading.log

    # Before and after.

    def _start(self) -> None:
        study = self.ratui.study
        if not study.are_regions_complete(self._case):
            self._open_regions()
            return
        self._films = load_case_films(study, self._case, self.reading.order)
        try:
            reading = rd.apply_regions(self.reading, study.absent_slots(self._case), timestamp=now())
            if reading is not self.reading:
                self._auto_saver.save(reading)
        except EntryError as error:
            self.show_message(format_error(self.t, error))
        if self._scoring_session is None:
            self._scoring_session = ScoringSession(self._auto_saver, self.ratui.keymap, self.t, hint=self._make_hint)
            self.joint_viewer.view_settings = self.load_view_settings()
            self._message = self._message or self._notice
            if self._site in self.reading.site_keys:
                self._scoring_session.go_to_site(self._site)
        self.redraw()
        if not self.reading.open_fields and not self._site:
            self._finish()

    def _make_hint(self, reading: Reading, site: str) -> str:
        """What is said of an answered joint: in an adjudication what the raters had answered, else nothing."""
        return format_other_answers(self.t, reading, self.ratui.study.other_answers(reading.case, site), site)

    def _open_regions(self) -> None:
        from ratui.tui.screens.regions.screen import RegionsScreen

        self.app.push_screen(RegionsScreen(self._case, self.reading.order), self._regions_closed)

    def _regions_closed(self, result: bool | None) -> None:
        if self.ratui.study.are_regions_complete(self._case):
            self._start()
        else:
            self.dismiss()

    def _finish(self) -> None:
        """Every field is filled: once more through what deserves it, then the overview."""
        if not self._start_review(self._review_queue.pending(self.reading)):
            self._show_overview_unasked()

    def _show_overview_unasked(self) -> None:
        """Shows the overview unasked: so nothing that was typed before anybody can have seen it counts there."""
        self.ratui.key_queue.drop_typed_ahead(
            lambda name: self._is_entry_key(name) or self._is_answer_key(name, "overview"), self._report_dropped_key
        )
        self.action_overview()

    def _is_entry_key(self, name: str) -> bool:
        """Whether the key `name` makes an entry somewhere on this screen."""
        findings = {finding.key for finding in self.reading.scheme.findings}
        commands = {self.ratui.keymap.key(f"scoring.{action}") for action in ("normal", "same", "reasons")}
        return name.isdecimal() or name in findings or name in commands

    def _is_answer_key(self, name: str, screen: str) -> bool:
        """Whether the key `name` signs, keeps or opens something on `screen`."""
        action = self.ratui.keymap.find(screen, name)
        return action is not None and action.name in ("sign", "keep", "go")

    def _report_dropped_key(self, name: str) -> None:
        if isinstance(self.app.screen, KeyScreen):
            self.app.screen.show_message(self.t("scoring.typed_ahead", keys=format_key(name)))

    def action_regions(self) -> None:
        self._open_regions()

    def _start_review(self, items: Sequence[rd.ReviewItem]) -> bool:
        """Begins the second look at `items`; False where there is nothing to look at."""
        from ratui.tui.screens.review.screen import ReviewScreen

        if not items or self._films is None:
            return False
        self.ratui.key_queue.drop_typed_ahead(
            lambda name: self._is_entry_key(name) or self._is_answer_key(name, "second_look"), self._report_dropped_key
        )
        screen = ReviewScreen(
            self._films, self.reading, items, auto_saver=self._auto_saver, review_queue=self._review_queue
        )
        self.app.push_screen(screen, self._review_closed)
        return True

    def _review_closed(self, site: str | None) -> None:
        """After the second look: at `site` the rater left it, None where it is done."""
        if site is None:
            self._show_overview_unasked()
        else:
            self.scoring_session.go_to_site(site)
            self.redraw()

    def action_overview(self) -> None:
        reading = self.reading
        pending = len(self._review_queue.pending(reading)) if reading.is_complete else 0
        screen = OverviewScreen(reading, site=self.scoring_session.site, writable=True, pending=pending)
        self.app.push_screen(screen, self._overview_closed)

    def _overview_closed(self, result: OverviewResult | None) -> None:
        if result is OverviewCommand.SIGN:
            before = self.reading
            if self._auto_saver.save(rd.sign(before, timestamp=now())):
                self.dismiss(self.t("scoring.signed", case=self._case.id))
                return
            self._auto_saver.reading = before
        elif result is OverviewCommand.REVIEW:
            if self._start_review(self._review_queue.pending(self.reading) or rd.review_items(self.reading)):
                return
            self.action_overview()
        elif isinstance(result, GoToSite):
            self.scoring_session.go_to_site(result.site)
        self.redraw()

    def action_leave(self) -> None:
        if self.return_to_pair():
            return
        if self._auto_saver.save_error and not self._auto_saver.save(self.reading) and not self._warned:
            self._warned = True
            self._message = self.t("scoring.leaving_unsaved", key=self.ratui.keymap.key_label("scoring.leave"))
            return
        if not self._auto_saver.save_error and self.reading.log:
            self._auto_saver.save(self.reading)
        self.dismiss()
