"""The app: objects that all screens share, and the order of the screens. Rules of the score are in `ratui.reading`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from textual.binding import Binding
from textual.driver import Driver
from textual.events import AppFocus, Event, Key, MouseDown, MouseUp, Paste, Resize
from textual.geometry import Size
from textual.widgets import Input

from ratui.errors import DisplayError, SettingsError
from ratui.study import AutoSaver, Study
from ratui.terminal import Bandwidth, Display, FrameCache, read_cell_size
from ratui.tui.command_palette import CommandProvider, Palette
from ratui.tui.driver import ListeningDriver
from ratui.tui.graphics.client_watch import ClientWatch
from ratui.tui.graphics.film_store import FilmStore
from ratui.tui.graphics.painter import Painter
from ratui.tui.i18n.catalog import Catalog, choose_language
from ratui.tui.i18n.reading_phrases import format_error
from ratui.tui.input.actions import ENTRY_SCREENS, Keymap, format_key, list_entry_keys
from ratui.tui.input.key_queue import KeyBurst, KeyQueue
from ratui.tui.input.terminal_input import is_reply_tail
from ratui.tui.screens.base import KeyScreen
from ratui.tui.textual_internals import GuardedApp, LinuxDriver, get_driver, set_text_colours
from ratui.tui.theme import THEME
from ratui.tui.tour.tour import Tour
from ratui.tui.user_settings import UserSettings, save_language
from ratui.tui.widgets.film_view import FilmView

if TYPE_CHECKING:
    from ratui.tui.screens.worklist.screen import WorklistScreen

__all__ = ["RatuiApp"]


class RatuiApp(GuardedApp):
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

    CSS_PATH = "app.tcss"
    COMMANDS = {CommandProvider}  # noqa: RUF012 - Textual declares it without ClassVar
    # A drag with the mouse selects text only where text is typed. With Shift the terminal itself selects, everywhere.
    ALLOW_SELECT = False
    BINDINGS = [  # noqa: RUF012
        Binding("ctrl+q", "quit", "quit", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", "suspend", show=False, priority=True),
    ]
    TITLE = "ratui"

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
        super().__init__()
        self.register_theme(THEME)
        self.theme = THEME.name
        study.check_rater(rater)
        settings = settings or UserSettings(language="en")
        self.keymap = Keymap(settings.keys, study.scheme, source=str(settings.source or "[keys]"))
        self.t = Catalog(choose_language(wanted=settings.language))
        self.study = study.as_rater(rater)  # no screen gets to know a time point that the rater must not know
        self.rater = rater
        self.graphics = display
        set_text_colours(self, display.colours)
        self.has_reported_greys = False
        """True once a screen has stated how few greys the films have."""
        self.film_store = FilmStore(self.study)
        self.frame_cache = FrameCache()
        self.tour = tour
        self.settings = settings
        self.unsaved_readings: list[str] = []
        """Reports of cases that were closed with entries that could not be saved; a person can read them."""
        self.unsaved_warning = ""
        """The last message that says how many entries are not saved."""
        self._warned_of = 0
        """Number of unsaved entries of which the last press of Ctrl-Q has warned."""
        self.key_queue = KeyQueue(self)
        self.key_queue.reply_watch.is_tail = self._is_reply_tail
        # The rest of a terminal's reply that lost its start begins with a separator of numbers. No action has this key.
        self.key_queue.reply_watch.begins_tail = lambda name: name == ";" and not self._types_text
        self.key_queue.on_ignored = lambda: self.show_message(self.t("text.input_ignored"))
        self.key_queue.on_paused = lambda: self.show_message(self.t("text.input_paused"))
        self.painter = Painter(self, Bandwidth(display.round_trip, display.rate))
        self._initial_case = case
        self._cell_size: tuple[int, int] | None = None
        self._window_size: Size | None = None
        self.client_watch = ClientWatch(self, display, self._change_display)

    def get_driver_class(self) -> type[Driver]:
        """Return the driver that separates terminal replies from keys, or Textual's own if this is no Unix terminal."""
        found = super().get_driver_class()
        return ListeningDriver if found is LinuxDriver else found

    def on_resize(self, event: Resize) -> None:
        """Draw the films anew if the size of a cell in pixels has changed.

        A change of the font may leave the number of rows and columns as it is. Textual's widgets are then not resized.
        """
        before_resize, self._window_size = self._window_size, event.size
        if before_resize not in (None, event.size):  # the first size is no change
            self.key_queue.reply_watch.pause(event.time)
        self.client_watch.check()
        if self.is_headless or not sys.__stdin__:
            return
        pixels, cells = event.pixel_size, event.size
        if pixels and cells.width and cells.height:
            cell: tuple[int, int] | None = (pixels.width // cells.width, pixels.height // cells.height)
        else:
            cell = read_cell_size(sys.__stdin__.fileno())
        before, self._cell_size = self._cell_size, cell
        if cell is not None and before is not None and cell != before and min(*cell, *before) > 1:
            # The terminal's own answer may be in finer pixels than the system's, as on Retina displays.
            across, down = self.graphics.cell
            self.graphics = replace(
                self.graphics, cell=(round(across * cell[0] / before[0]), round(down * cell[1] / before[1]))
            )
            for view in self._list_film_views():
                view.on_resize()

    def on_app_focus(self, event: AppFocus) -> None:
        """Check which terminals are attached: the focus also comes when tmux is attached again."""
        self.key_queue.reply_watch.pause(event.time)
        self.client_watch.check()

    def _list_film_views(self) -> list[FilmView]:
        return [view for screen in self.screen_stack for view in screen.query(FilmView)]

    def _change_display(self, display: Display, is_attached: bool) -> None:
        """Draw the films for the terminals that are attached to tmux now, and tell the rater what has changed."""
        before = self.graphics
        self.graphics = replace(display, cell=before.cell)
        if self.graphics == before:
            if is_attached:  # the new terminal has none of the images
                self.frame_cache.mark_lost()
                for view in self._list_film_views():
                    view.redraw()
            return
        views = self._list_film_views()
        for view in views:
            view.on_resize()
            view.refresh()
        self.frame_cache.clear()
        if before.can_show_films and not self.graphics.can_show_films:
            self.run_worker(self._leave_case(), exit_on_error=True)
        elif isinstance(self.screen, KeyScreen):
            self.screen.show_message(self._describe_change(before))

    def _describe_change(self, before: Display) -> str:
        """Return what is different about the films since the capabilities were `before`."""
        display = self.graphics
        if display.protocol == before.protocol:
            return self.t("scoring.few_greys", greys=display.levels, why=display.colours_why)
        id = "text.films_in_half_cells" if display.protocol == "halfcell" else "text.films_as_before"
        return self.t(id, why=display.why, protocol=display.protocol)

    async def _leave_case(self) -> None:
        """Leave the open case, because films cannot be displayed any more, and show the reason in the worklist."""
        if not await self._leave_screens():
            return
        try:
            self.graphics.require_films()
        except DisplayError as error:
            if isinstance(self.screen, KeyScreen):
                self.screen.show_message(format_error(self.t, error))

    def on_mount(self) -> None:
        """Open the worklist, and the case that was asked for."""
        self.client_watch.start()
        # Only ListeningDriver passes the answers to fences on to the painter.
        self.painter.uses_fences = (
            isinstance(get_driver(self), ListeningDriver) and self.graphics.round_trip is not None
        )
        from ratui.tui.screens.worklist.screen import WorklistScreen

        worklist = WorklistScreen()
        self.push_screen(worklist)
        if self._initial_case is not None:
            self.call_after_refresh(worklist.open_case, self._initial_case)

    async def on_event(self, event: Event) -> None:
        """Put keys, pasted text and mouse buttons into the queue, which returns each one as an event when it is due."""
        if isinstance(event, KeyBurst):
            self.key_queue.put_burst(event)
        elif (
            isinstance(event, Key | Paste | MouseDown | MouseUp)
            and not event.is_forwarded
            and not self.key_queue.is_due(event)
        ):
            self.key_queue.put(event)
        else:
            await super().on_event(event)

    @property
    def _types_text(self) -> bool:
        """True if keys are typed into a line of text now."""
        screen = self.screen
        return screen.types_text if isinstance(screen, KeyScreen) else isinstance(self.focused, Input)

    def _is_reply_tail(self, names: Sequence[str]) -> bool:
        """Return True if keys that arrived together are the rest of a reply of the terminal."""
        keymap, entries = self.keymap, list_entry_keys(self.study.scheme)
        screen = self.screen.NAME if isinstance(self.screen, KeyScreen) else ""
        here = {action.key for action in keymap.list_actions(screen)} | (
            entries if screen in ENTRY_SCREENS else frozenset()
        )
        return is_reply_tail(
            names,
            in_text=self._types_text,
            here=here,
            known=entries | {action.key for action in keymap.actions},
            opens_help={action.key for action in keymap.actions if action.name == "help"},
            opens_text={keymap.key(id) for id in ("scoring.go_to", "scoring.note", "review.note")},
        )

    def show_message(self, text: str) -> None:
        """Show `text` in the message line of the uppermost screen that has one; Textual's toasts would cover the films."""
        screens = [screen for screen in self.screen_stack if isinstance(screen, KeyScreen)]
        if screens:
            screens[-1].show_message(text)

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

    def report_unsaved(self, saver: AutoSaver) -> None:
        """Note the entries of a closed case that are lost, and show it on the screen below."""
        count, case = len(saver.unsaved), saver.reading.case
        entries = "1 entry was" if count == 1 else f"{count} entries were"
        self.unsaved_readings.append(f"{case}: {entries} not saved: {saver.save_error}")
        why = self.t.translate_error(saver.save_error)
        message = self.t("text.left_unsaved", count=count, case=case, why=why)

        def show() -> None:
            if isinstance(self.screen, KeyScreen) and self.screen.has_widgets:  # not while the app ends
                self.screen.show_message(message)

        self.call_later(show)

    def action_help_quit(self) -> None:
        """Show how to leave, for users who press Ctrl-C. Textual would show an English toast over the films."""
        screen = self.screen
        back = f"{screen.NAME}.leave" if isinstance(screen, KeyScreen) else ""
        keys = {"ctrl_c": format_key("ctrl+c"), "quit": format_key("ctrl+q")}
        if any(action.id == back for action in self.keymap.actions):
            self.show_message(self.t("text.how_to_leave_screen", leave=self.keymap.key_label(back), **keys))
        else:
            self.show_message(self.t("text.how_to_leave", **keys))

    def on_unmount(self) -> None:
        """Stop handing on keys."""
        self.key_queue.close()

    def free_images(self) -> str:
        """Return the sequences that free every image which the terminal holds or is being sent."""
        return self.painter.abandon_uploads() + self.frame_cache.release()

    def action_command_palette(self) -> None:
        """Open the command palette if the screen has commands and no text is being typed."""
        if isinstance(self.screen, KeyScreen) and not isinstance(self.focused, Input):
            self.push_screen(Palette(placeholder=self.t("commands.search"), id="--command-palette"))

    async def change_language(self, language: str) -> None:
        """Show all texts in `language`, and save it in the settings file if there is one."""
        self.t = Catalog(language)
        for screen in self.screen_stack:
            if isinstance(screen, KeyScreen):
                await screen.retranslate()
        if isinstance(self.screen, KeyScreen) and self.settings.source is not None:
            try:
                save_language(language, self.settings.source)
                self.screen.show_message(self.t("commands.language_saved"))
            except SettingsError as error:
                self.screen.show_message(format_error(self.t, error))

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
