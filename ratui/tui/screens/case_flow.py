"""The steps of one case around the scoring of its fields: regions, review, overview and signature.

`CaseFlow` opens the screens of these steps above the scoring screen. It asks for no field and draws nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from ratui import reading as rd
from ratui.errors import EntryError
from ratui.reading import LogEntry, Reading
from ratui.study import AutoSaver, Case, ReadingSession
from ratui.study.readings.reading_session import now
from ratui.tui.entry.field_cursor import OtherAnswers
from ratui.tui.entry.scoring_session import ScoringSession
from ratui.tui.entry.text import format_last_entry
from ratui.tui.entry.visit_names import UNNAMED, VisitNames
from ratui.tui.graphics.viewport import CaseFilms, load_case_films
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.i18n.reading_phrases import format_error
from ratui.tui.input.actions import format_key
from ratui.tui.input.key_queue import ClosingError, OpenReading
from ratui.tui.input.unpressed_keys import WithdrawalReason
from ratui.tui.screens.base import KeyScreen
from ratui.tui.screens.film_screen import FilmScreen

if TYPE_CHECKING:
    from ratui.tui.screens.overview.screen import OverviewResult
    from ratui.tui.screens.review.screen import ReviewResult

__all__ = ["CaseClosed", "CaseFlow", "CaseResult", "ScoringResult"]

_CHECK_SECONDS = 0.5
"""Seconds between two checks that no other session has taken the reading over."""


class ScoringResult(Enum):
    """The state of a case at the time when its scoring screen was closed."""

    SIGNED = "signed"
    LEFT = "left"
    """The reading is not signed; it can be continued later."""


@dataclass(frozen=True)
class CaseClosed:
    """The end of a case whose reading this session can't change any more; `error` has the reason.

    `reading` is the reading as it was here, `unsaved` has the entries at the end of its log that are not on the disk,
    `site` is the key of the site that was shown, and `visits` has the names of the case's visits.
    """

    error: ClosingError
    reading: Reading
    unsaved: tuple[LogEntry, ...]
    site: str
    visits: VisitNames = UNNAMED

    def unsaved_texts(self, t: Catalog) -> list[str]:
        """Return the texts of the entries that were not saved; a note or a flag has none."""
        return [text for entry in self.unsaved if (text := format_last_entry(t, self.reading, entry, self.visits))]


CaseResult: TypeAlias = ScoringResult | CaseClosed
"""The result of the scoring screen."""


class CaseFlow:
    """The steps of one case, with its reading, its films and its scoring session.

    Parameters
    ----------
    screen
        The scoring screen. It is dismissed when the case is signed, or when the rater leaves it without regions.
    case
        The case to score.
    session
        The rater's reading of the case, open for writing.
    resources
        Closed together with the flow. They hold the lock of the reading.
    site
        The key of the site to begin at. If it is empty, scoring begins where the rater stopped.
    """

    def __init__(
        self,
        screen: FilmScreen[CaseResult],
        case: Case,
        session: ReadingSession,
        resources: ExitStack,
        *,
        site: str = "",
    ) -> None:
        self._screen = screen
        self._site = site
        self._resources = resources
        self._session = session
        self._notice = session.notice
        self._reviewed: dict[str, Hashable] = {}
        """States of the reviewed joints by site, see `ratui.reading.list_review_items`."""
        self._is_closed = False
        """True once the case has been closed because this session can save nothing more."""
        self.case = case
        self.auto_saver = AutoSaver(session)
        self._open_reading = OpenReading(session, self.auto_saver, self._close_case, self._withdraw)
        self.films: CaseFilms | None = None
        """The films with their regions; None while regions are missing."""
        self.scoring_session: ScoringSession | None = None
        """The session that asks for the fields; None while regions are missing."""

    @property
    def reading(self) -> Reading:
        """The reading as it stands."""
        return self.auto_saver.reading

    def open(self) -> None:
        """Begin to count the time and to watch the lock, and open the first step that is not done."""
        self._screen.ratui.key_queue.open_reading = self._open_reading
        self._lock_timer = self._screen.set_interval(_CHECK_SECONDS, self._open_reading.check_lock)
        self._start_scoring()

    def close(self) -> None:
        """Release the lock of the reading, after a last attempt to save what is not on the disk."""
        if not self.auto_saver.retry():
            self._screen.ratui.report_unsaved(self.auto_saver, is_shown=not self._is_closed)
        key_queue = self._screen.ratui.key_queue
        if key_queue.open_reading is self._open_reading:  # the next case may have been opened already
            key_queue.open_reading = None
        self._resources.close()

    def _withdraw(self, numbers: Collection[int], reason: WithdrawalReason) -> None:
        """Withdraw the last answers if `numbers` contains their log numbers, and show the joint of the first one."""
        last = rd.find_undoable(self.reading)
        if self.scoring_session is None or last is None or last.number not in numbers:
            return
        self._close_screens_above()
        self.scoring_session.withdraw(numbers, reason)
        self._screen.redraw()
        self._screen.show_message(self.scoring_session.message)  # in place of the message that input was ignored

    def _close_screens_above(self) -> None:
        app = self._screen.app
        while app.screen is not self._screen and self._screen in app.screen_stack:
            app.pop_screen()

    def _close_case(self, error: ClosingError) -> None:
        """Leave all screens of the case, and report the entries that were not saved."""
        self._lock_timer.stop()
        screen, reading = self._screen, self.reading
        app, stack = screen.app, screen.app.screen_stack
        if screen not in stack or self._is_closed:
            return
        self._is_closed = True
        screen.ratui.key_queue.discard()
        while app.screen is not screen:
            app.pop_screen()
        site = self.scoring_session.site if self.scoring_session is not None else self._site
        visits = self.films.visits if self.films else UNNAMED
        screen.dismiss(CaseClosed(error, reading, self.auto_saver.unsaved, site, visits))

    # Regions and scoring.

    def _start_scoring(self) -> None:
        """Start or continue the scoring; open the regions first if some are missing."""
        screen, study = self._screen, self._screen.ratui.study
        if not study.are_regions_complete(self.case):
            self.open_regions()
            return
        self.films = load_case_films(study, self.case, self.reading.order)
        message = self._apply_regions()
        is_first_time = self.scoring_session is None
        if self.scoring_session is None:
            message = message or screen.t.translate_error(self._notice)
            load = self._load_answers if study.reveals else None
            self.scoring_session = ScoringSession(
                self.auto_saver, screen.ratui.keymap, screen.t, screen.make_gate(), load_answers=load
            )
            self.scoring_session.visits = self.films.visits
            if self._site in self.reading.site_keys:
                self.scoring_session.go_to_site(self._site)
        if message:
            screen.show_message(message)
        screen.redraw()
        # After a correction of the regions, the rater returns to the joint, even if every field is filled.
        if is_first_time and not self.reading.open_fields and not self._site:
            self.finish_scoring()

    def _apply_regions(self) -> str:
        """Enter "not on film" at the sites that no film shows; return the error message if the entries contradict it."""
        study, screen = self._screen.ratui.study, self._screen
        try:
            reading = rd.apply_regions(self.reading, study.absent_slots(self.case), timestamp=now())
        except EntryError as error:
            return format_error(screen.t, error)
        if reading is not self.reading:
            self.auto_saver.save(reading)
        return ""

    def _load_answers(self, site: str) -> OtherAnswers:
        """Return the answers of others at the joint `site`, in an adjudication or in practice."""
        return self._screen.ratui.study.load_other_answers(self.reading.case, site)

    def open_regions(self) -> None:
        """Open the regions: at the joint that is scored, or else at the first that is missing.

        The scoring continues at the same joint when they are closed.
        """
        from ratui.tui.screens.regions.screen import RegionsScreen

        film, site = "", ""
        if self.scoring_session is not None:
            site = self.scoring_session.site
            asked = self.reading.site(site)
            time, scheme = self.scoring_session.field.time, self._screen.ratui.study.scheme
            record = self.case.film(time, asked.side, asked.part, scheme)
            film = record.id if record else ""
        screen = RegionsScreen(self.case, self.reading.order, film=film, site=site, writing=self._session.writing)
        self._screen.app.push_screen(screen, self._regions_closed)

    def _regions_closed(self, result: None) -> None:
        self.case = self._screen.ratui.study.case(self.case.id)  # a film may have been turned
        if self._screen.ratui.study.are_regions_complete(self.case):
            self._start_scoring()
        else:
            self._screen.dismiss(ScoringResult.LEFT)

    def finish_scoring(self) -> None:
        """Open the review of the joints that need one, or else the overview. Call it when every field is filled."""
        if not self._start_review(self._list_review_items(self._reviewed)):
            self._open_overview_unasked()

    # Review.

    def _list_review_items(self, reviewed: Mapping[str, Hashable] | None = None) -> tuple[rd.ReviewItem, ...]:
        """Return the joints to review: in an adjudication only those in dispute, see `ratui.reading.list_review_items`."""
        asked = self._screen.ratui.study.list_review_sites(self.case.id)
        items = rd.list_review_items(self.reading, reviewed)
        return items if asked is None else tuple(item for item in items if item.site in asked)

    def _start_review(self, items: Sequence[rd.ReviewItem]) -> bool:
        """Open the review of `items`; return False if there are none."""
        from ratui.tui.screens.review.screen import ReviewScreen

        if not items or self.films is None:
            return False
        self._drop_typed_ahead("review")
        review = ReviewScreen(self.films, self.reading, items, auto_saver=self.auto_saver, reviewed=self._reviewed)
        self._screen.app.push_screen(review, self._review_closed)
        return True

    def _review_closed(self, result: ReviewResult | None) -> None:
        if result is None or result.is_finished:
            self._open_overview_unasked()
        else:
            self._go_to_site(result.site)

    def _go_to_site(self, site: str) -> None:
        if self.scoring_session is not None:
            self.scoring_session.go_to_site(site)
        self._screen.redraw()

    # Overview and signature.

    def open_overview(self, notice: Callable[[Catalog, int], str] | None = None) -> None:
        """Open the overview, from which the reading is signed. `notice` returns a message to show there."""
        from ratui.tui.screens.overview.screen import OverviewScreen

        reading = self.reading
        pending = len(self._list_review_items(self._reviewed)) if reading.is_complete else 0
        site = self.scoring_session.site if self.scoring_session is not None else self._site
        overview = OverviewScreen(reading, site=site, writable=True, pending=pending, notice=notice)
        self._screen.app.push_screen(overview, self._overview_closed)

    def _open_overview_unasked(self) -> None:
        self._drop_typed_ahead("overview")
        self.open_overview()

    def _overview_closed(self, result: OverviewResult | None) -> None:
        from ratui.tui.screens.overview.screen import GoToSite, OverviewCommand

        match result:
            case OverviewCommand.SIGN:
                self._sign()
                return
            case OverviewCommand.REVIEW:
                if self._start_review(self._list_review_items(self._reviewed) or self._list_review_items()):
                    return
                self.open_overview()
            case GoToSite(site):
                self._go_to_site(site)
        self._screen.redraw()

    def _sign(self) -> None:
        """Sign the reading and close the case; if the disk refuses, open the overview again with the reason."""
        before = self.reading
        if self.auto_saver.save(rd.sign(before, timestamp=now())):
            self._screen.dismiss(ScoringResult.SIGNED)
            return
        why = self.auto_saver.save_error
        self.auto_saver.save(before)  # the step that failed may have come after the signature had reached the disk
        key = self._screen.ratui.keymap.key_label("overview.sign")

        def notice(t: Catalog, width: int) -> str:
            state = t("overview.entries_saved") if not self.auto_saver.unsaved else ""
            return f"{t('overview.not_signed', why=t.translate_error(why), key=key)}\n{state}".rstrip()

        self.open_overview(notice)

    # Keys that were typed before a screen appeared which the rater did not ask for. Such keys must not sign or keep
    # anything there, and an entry meant for the last joint must not become an entry at another.

    def _drop_typed_ahead(self, screen: str) -> None:
        """Ignore keys typed before `screen`, a name in the keymap, can have been seen, if they would decide something."""
        self._screen.ratui.key_queue.drop_typed_ahead(
            lambda name: self._is_entry_key(name) or self._is_decision_key(name, screen), self._report_dropped_key
        )

    def _is_entry_key(self, name: str) -> bool:
        """Return whether the key `name` makes an entry at some field."""
        findings = {finding.key for finding in self.reading.scheme.findings}
        keymap = self._screen.ratui.keymap
        commands = {keymap.key(f"scoring.{action}") for action in ("normal", "same", "reasons")}
        return name.isdecimal() or name in findings or name in commands

    def _is_decision_key(self, name: str, screen: str) -> bool:
        """Return whether the key `name` signs, keeps or opens something on `screen`."""
        action = self._screen.ratui.keymap.find(screen, name)
        return action is not None and action.name in ("sign", "keep", "go")

    def _report_dropped_key(self, name: str) -> None:
        screen = self._screen.app.screen
        if isinstance(screen, KeyScreen):
            screen.show_message(self._screen.t("scoring.typed_ahead", keys=format_key(name)))
