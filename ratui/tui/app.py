"""The app: objects that all screens share, and the order of the screens. Rules of the score are in `ratui.reading`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from ratui.errors import DisplayError
from ratui.study import AutoSaver, Study
from ratui.terminal import Display
from ratui.tui.command_palette import Command, make_general_command
from ratui.tui.graphics.film_store import FilmStore
from ratui.tui.i18n.reading_phrases import format_error
from ratui.tui.input.actions import format_key
from ratui.tui.key_app import KeyApp
from ratui.tui.screens.base import KeyScreen
from ratui.tui.tour.tour import Tour
from ratui.tui.user_settings import UserSettings

if TYPE_CHECKING:
    from ratui.tui.screens.worklist.screen import WorklistScreen

__all__ = ["RatuiApp"]


class RatuiApp(KeyApp):
    """The app in which one rater reads the cases of one study.

    Parameters
    ----------
    study
        The study to read.
    rater
        The ID of the rater.
    display
        What the terminal can show, as returned by `ratui.terminal.probe`.
    case
        The ID of a case to open at once; None to start in the worklist.
    settings
        The user's language and keys; None for English and the default keys.
    tour
        The introduction to show until the user has seen it; None for no introduction.

    Raises
    ------
    StudyError
        If the study has no such rater.
    SettingsError, SchemeError
        If two actions of a screen have the same key.
    """

    def __init__(
        self,
        study: Study,
        rater: str,
        display: Display,
        *,
        case: str | None = None,
        settings: UserSettings | None = None,
        tour: Tour | None = None,
    ) -> None:
        study.check_rater(rater)
        super().__init__(study.scheme, display, settings, tour)
        self.study = study.as_rater(rater)  # no screen gets to know a time point that the rater must not know
        self.rater = rater
        self.has_reported_greys = False
        """True once a screen has stated how few greys the films have."""
        self.film_store = FilmStore(self.study)
        self.unsaved_warning = ""
        """The last message that says how many entries are not saved."""
        self._warned_of = 0
        """Number of unsaved entries of which the last press of Ctrl-Q has warned."""
        self._initial_case = case

    def handle_lost_films(self) -> None:
        """Leave the open case."""
        self.run_worker(self._leave_case(), exit_on_error=True)

    async def _leave_case(self) -> None:
        """Leave the open case, because films cannot be displayed any more, and show the reason in the worklist."""
        if not await self._leave_screens():
            return
        try:
            self.graphics.require_films()
        except DisplayError as error:
            if isinstance(self.screen, KeyScreen):
                self.screen.show_message(format_error(self.t, error))

    def open_first_screen(self) -> None:
        """Open the worklist, and the case that was asked for."""
        from ratui.tui.screens.worklist.screen import WorklistScreen

        self.push_screen(WorklistScreen(self._initial_case or ""))

    def list_commands(self) -> Iterator[Command]:
        """Yield the commands of the app that belong to no screen: the tour, and the cases."""
        if self.tour is not None:
            yield make_general_command(self.t, "tour", "tour", self.restart_tour)
        for case in self.study.cases():
            text = self.t("commands.go_to_case", case=case)
            yield Command(text, "", partial(self.switch_to_case, case), is_listed=False)

    async def action_quit(self) -> None:
        """Save and leave. Warn once if entries of the open case cannot be saved, and say how many."""
        saver = self.key_queue.open_reading.auto_saver if self.key_queue.open_reading else None
        if saver is not None and not saver.retry() and len(saver.unsaved) != self._warned_of:
            self._warned_of = len(saver.unsaved)
            why = self.t.translate_error(saver.save_error)
            key = format_key("ctrl+q")
            self.unsaved_warning = self.t("text.quitting_unsaved", count=self._warned_of, why=why, key=key)
            self.show_message(self.unsaved_warning)
            return
        if saver is not None and saver.reading.log:
            saver.save(saver.reading)  # with the time spent since the last entry
        self.exit()

    def report_unsaved(self, saver: AutoSaver, *, is_shown: bool = True) -> None:
        """Note the entries of a closed case that are lost, and if `is_shown`, show their number on the screen below."""
        count, case = len(saver.unsaved), saver.reading.case
        entries = "1 entry was" if count == 1 else f"{count} entries were"
        self.unsaved_readings.append(f"{case}: {entries} not saved: {saver.save_error}")
        if not is_shown:
            return
        why = self.t.translate_error(saver.save_error)
        message = self.t("text.left_unsaved", count=count, case=case, why=why)

        def show() -> None:
            if isinstance(self.screen, KeyScreen) and self.screen.takes_messages:  # not while the app ends
                self.screen.show_message(message)

        self.call_later(show)

    async def switch_to_case(self, case: str) -> None:
        """Leave the open screens as Esc does, and open `case`. Stop at a screen that refuses to be left."""
        if await self._leave_screens():
            cast("WorklistScreen", self.screen).open_case(case)

    async def _leave_screens(self) -> bool:
        """Leave all screens above the worklist as Esc does. Return False if one of them refuses to be left."""
        # The first screen of the stack is Textual's default screen.
        worklist = self.screen_stack[1]
        while (screen := self.screen) is not worklist:
            if not isinstance(screen, KeyScreen):
                return False
            screen.perform("leave")
            if self.screen is screen:
                return False
            while screen.is_running:  # a closing screen keeps the lock of its reading until it has ended
                await asyncio.sleep(0.01)
        return True

    def restart_tour(self) -> None:
        """Start the tour from its first step."""
        if self.tour is not None:
            self.tour.restart()
            if isinstance(self.screen, KeyScreen):
                self.screen.show_tour_panel()
