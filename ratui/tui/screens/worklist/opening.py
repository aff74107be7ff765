"""The opening of cases above the worklist: to score one, to look at it, or to take it over from another session.

One case may be open from the start, so that the widgets of the worklist are made later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from ratui import reading as rd
from ratui.errors import RatuiError
from ratui.reading import Reading
from ratui.study import CaseState, LockedByOther, LockHolder, ReadingClosed, StudyLocked
from ratui.study.readings.reading_permission import OutsideWindow
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.i18n.lock_phrases import format_closed_case, format_closed_session, format_lock
from ratui.tui.i18n.reading_phrases import format_error
from ratui.tui.screens.list_screen import ListScreen
from ratui.tui.screens.worklist.model import find_case_after
from ratui.tui.widgets.virtual_list import VirtualList

if TYPE_CHECKING:
    from ratui.tui.screens.case_flow import CaseResult
    from ratui.tui.screens.overview.screen import OverviewResult

__all__ = ["CaseOpener", "FirstCaseScreen"]

_LOAD_AFTER = 1.0
"""Seconds after the opening of the first case at which the states of all cases are loaded. Its films are shown by then."""


class FirstCaseScreen(ListScreen[None]):
    """A list of cases, one of which may be open from the start.

    The widgets are then made when that case is left: their making, and the loading of all cases, would delay its films. A
    subclass composes nothing while `is_covered`.

    Parameters
    ----------
    first_case
        The ID of a case to open at once; empty for none.
    """

    def __init__(self, first_case: str = "") -> None:
        super().__init__()
        self._first_case = first_case
        self.is_covered = bool(first_case)
        """True before the widgets are made."""
        self._opened_case = ""
        """The ID of the case that was opened last, and whose state may have changed; empty for none."""
        self.message = ""
        """The message that was shown last. The outcome of the first case comes before the widgets."""

    def open_case(self, case: str, site: str = "") -> None:
        """Open `case` at `site`, or where the rater stopped."""
        raise NotImplementedError

    def load_cases(self) -> None:
        """Load the states of all cases, unless they are known."""
        raise NotImplementedError

    def refresh_case(self, case: str) -> None:
        """Read the state of `case` again."""
        raise NotImplementedError

    def note_opened_case(self, case: str) -> None:
        """Read the state of `case` again when it is left."""
        self._opened_case = case

    def start(self) -> None:
        """Open the first case, or else load and list all cases."""
        if self.is_covered:
            self.call_later(self._open_first_case)
        else:
            self.fill_widgets()
            self.load_cases()

    async def _open_first_case(self) -> None:
        self.open_case(self._first_case)
        if self.app.screen is self:  # it does not open
            await self._make_widgets()
        else:
            self.set_timer(_LOAD_AFTER, self.load_cases)

    def on_screen_resume(self) -> None:
        """Update the case that was open. Make the widgets if it was the first one."""
        if self.is_covered and self._opened_case:
            self.call_next(self._make_widgets)
        elif self._opened_case:
            self._refresh_opened_case()

    async def _make_widgets(self) -> None:
        self.is_covered = False
        await self.recompose()
        self.fill_widgets()
        self.show_message(self.message)
        self.load_cases()
        if self._opened_case:
            self._refresh_opened_case()

    def _refresh_opened_case(self) -> None:
        self.refresh_case(self._opened_case)
        self._opened_case = ""

    @property
    def has_widgets(self) -> bool:
        """False before the widgets are made, and while the app ends."""
        return super().has_widgets and bool(self.query(VirtualList))

    @property
    def takes_messages(self) -> bool:
        """True also before the widgets are made: they show the last message."""
        return self.is_covered or super().takes_messages

    def show_message(self, text: str) -> None:
        """Show `text` in the message line as soon as there is one; clear the line if it is empty."""
        self.message = text
        if self.has_widgets:
            super().show_message(text)


class CaseOpener:
    """Opens cases above the worklist, and shows there why a case does not open.

    Parameters
    ----------
    worklist
        The screen of the worklist.
    on_opening
        Called with the ID of each case that is opened.
    on_changed
        Called with the ID of a case whose reading has been reopened.
    list_states
        Function that returns the states of all cases.
    """

    def __init__(
        self,
        worklist: FirstCaseScreen,
        on_opening: Callable[[str], None],
        on_changed: Callable[[str], None],
        list_states: Callable[[], Sequence[CaseState]],
    ) -> None:
        self._worklist = worklist
        self._on_opening = on_opening
        self._on_changed = on_changed
        self._list_states = list_states
        self.signed_case = ""
        """The ID of the case that was signed last; empty once another case has been opened."""
        self._signed_message = ""
        """The message that reported its signature."""

    def open(self, case: str, site: str = "") -> None:
        """Open `case` at `site`, or where the rater stopped; a signed case opens as its overview."""
        worklist = self._worklist
        self.signed_case = ""
        self._on_opening(case)
        worklist.show_message("")
        try:
            state = worklist.ratui.study.state(worklist.ratui.rater, case)
            if state.stage == "unreadable":
                why = worklist.t.translate_error(state.note)
                worklist.show_message(worklist.t("worklist.unreadable", case=case, why=why))
            elif state.stage == "signed":
                self._open_signed(case, site)
            elif state.stage == "changed":
                self._open_changed(case)
            else:
                self._open_for_scoring(case, site)
        except RatuiError as error:
            self._show_error(error)

    def _open_for_scoring(self, case: str, site: str = "", *, take_over: LockHolder | None = None) -> None:
        """Open `case` for entries, or to look at if it is open elsewhere. Raise RatuiError if that is impossible."""
        app = self._worklist.ratui
        app.graphics.require_films()
        from ratui.tui.screens.scoring.screen import ScoringScreen

        study, resources = app.study, ExitStack()
        try:
            session = resources.enter_context(study.open_reading(app.rater, case, take_over=take_over))
        except LockedByOther as error:
            self._show_error(error)
            self._open_locked(case, site, error)
            return
        except (StudyLocked, OutsideWindow) as error:
            self._show_error(error)
            self._open_closed(case, site, error)
            return
        app.push_screen(ScoringScreen(study.case(case), session, resources, site=site), partial(self._closed, case))

    def _open_signed(self, case: str, site: str) -> None:
        """Show a signed reading: its review at `site`, or else its overview."""
        from ratui.tui.screens.overview.screen import OverviewScreen
        from ratui.tui.screens.review.read_only import make_read_only_review

        app = self._worklist.ratui
        reading = app.study.reading(app.rater, case)
        if reading is None:
            return
        if site in reading.site_keys:
            app.push_screen(make_read_only_review(app.study, reading, site))
        else:
            app.push_screen(OverviewScreen(reading), partial(self._overview_closed, case, "", None))

    def _open_changed(self, case: str) -> None:
        """Show the overview of a signed reading whose films have changed, with the key that reopens it."""
        from ratui.tui.screens.overview.screen import OverviewScreen

        app = self._worklist.ratui
        reading = app.study.reading(app.rater, case)
        if reading is None:
            return
        key = app.keymap.key_label("overview.reopen")
        overview = OverviewScreen(
            reading, notice=lambda t, width: t("overview.films_changed", key=key), has_pictures=False
        )
        app.push_screen(overview, partial(self._overview_closed, case, "", None))

    def _open_locked(self, case: str, site: str, held: LockedByOther) -> None:
        """Show the overview of a reading that is open in another session, with the key that takes it over."""
        from ratui.tui.screens.overview.screen import OverviewScreen

        key = self._worklist.ratui.keymap.key_label("overview.take_over")
        overview = OverviewScreen(
            self._read(case),
            site=site,
            notice=lambda t, width: format_lock(t, held, width, key),
            can_take_over=held.holder is not None and held.holder.can_be_replaced,
        )
        self._worklist.app.push_screen(overview, partial(self._overview_closed, case, site, held.holder))

    def _open_closed(self, case: str, site: str, why: RatuiError) -> None:
        """Show the overview of a reading that can't be changed: in a locked study, or outside of its days of reading."""
        from ratui.tui.screens.overview.screen import OverviewScreen

        overview = OverviewScreen(
            self._read(case), site=site, closed=True, notice=lambda t, width: format_error(t, why, with_location=False)
        )
        self._worklist.app.push_screen(overview, partial(self._overview_closed, case, site, None))

    def _read(self, case: str) -> Reading:
        """Return the reading as last saved, or a new one without entries. Raise RatuiError if it is damaged."""
        study, rater = self._worklist.ratui.study, self._worklist.ratui.rater
        stored = study.reading(rater, case)
        if stored is not None:
            return stored
        films = study.case(case)
        return rd.start_reading(
            study.scheme,
            case,
            rater,
            films.sites(study.scheme),
            order=study.order(rater, case),
            blinded=study.config.blinded,
            unfilmed=films.unfilmed_slots(study.scheme),
        )

    def _overview_closed(self, case: str, site: str, holder: LockHolder | None, result: OverviewResult | None) -> None:
        from ratui.tui.screens.overview.screen import OverviewCommand, Reopen

        try:
            if isinstance(result, Reopen):
                self._reopen(case, result.reason)
            elif result is OverviewCommand.TAKE_OVER:
                self._on_opening(case)
                self._worklist.show_message("")
                self._open_for_scoring(case, site, take_over=holder)
        except RatuiError as error:
            self._show_error(error)

    def _reopen(self, case: str, reason: str) -> None:
        """Reopen a signed reading, with the `reason` in its log, and continue it. Raise RatuiError if that fails."""
        app = self._worklist.ratui
        app.graphics.require_films()
        with app.study.open_reading(app.rater, case) as session:
            session.save(rd.reopen(session.reading, reason, timestamp=datetime.now(UTC)))
        self._on_changed(case)
        self._on_opening(case)
        self._open_for_scoring(case)

    def _closed(self, case: str, result: CaseResult | None) -> None:
        """Show the outcome of a case. If it was closed, show why and what was not saved, and the reading as it is here."""
        from ratui.tui.screens.case_flow import CaseClosed, ScoringResult
        from ratui.tui.screens.overview.screen import OverviewScreen

        worklist = self._worklist
        if result is ScoringResult.SIGNED:
            self.signed_case = case
            self._report_signature()
        elif isinstance(result, CaseClosed):
            error = result.error

            def notice(t: Catalog, width: int) -> str:
                return format_closed_session(t, error, len(result.unsaved), result.unsaved_texts(t), width)

            worklist.show_message(notice(worklist.t, worklist.app.size.width - 2))
            if not isinstance(error, ReadingClosed):  # otherwise the rater may not be permitted to look at the case
                overview = OverviewScreen(
                    result.reading, site=result.site, closed=isinstance(error, StudyLocked), notice=notice
                )
                worklist.app.push_screen(overview)

    def _report_signature(self) -> None:
        """Show that a case is signed, and the next case if the states of the cases are known."""
        worklist, case = self._worklist, self.signed_case
        key, following = worklist.ratui.keymap.key_label("worklist.open"), find_case_after(self._list_states(), case)
        text = "worklist.signed_next" if following else "scoring.signed"
        self._signed_message = worklist.t(text, case=case, next=following, key=key)
        worklist.show_message(self._signed_message)

    def update_message(self) -> None:
        """Name the next case in the message about a signature. Call this when more states are known."""
        if self.signed_case and self._worklist.message == self._signed_message:
            self._report_signature()

    def _show_error(self, error: RatuiError) -> None:
        worklist = self._worklist
        if isinstance(error, LockedByOther):
            keymap, width = worklist.ratui.keymap, worklist.app.size.width - 2
            keys = (keymap.key_label("worklist.open"), keymap.key_label("overview.take_over"))
            worklist.show_message(format_closed_case(worklist.t, error, width, *keys))
        else:
            worklist.show_message(format_error(worklist.t, error))
