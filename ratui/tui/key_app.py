"""The base class of the apps: the terminal, the keys, the language, and the painter of the films."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from textual.binding import Binding
from textual.driver import Driver
from textual.events import AppFocus, Resize
from textual.geometry import Size
from textual.widgets import Input

from ratui.errors import DisplayError, SettingsError
from ratui.scheme import Scheme
from ratui.terminal import Bandwidth, Display, FrameCache, read_cell_size, remove_image_files
from ratui.tui.command_palette import ClosableCommandPalette, Command, CommandProvider
from ratui.tui.driver import ListeningDriver
from ratui.tui.graphics.client_watch import ClientWatch
from ratui.tui.graphics.painter import Painter
from ratui.tui.i18n.catalog import Catalog, choose_language
from ratui.tui.i18n.reading_phrases import format_error
from ratui.tui.i18n.rich_internals import break_japanese_lines
from ratui.tui.input.actions import ENTRY_SCREENS, Keymap, format_key, list_entry_keys
from ratui.tui.input.key_queue import QueuedApp
from ratui.tui.input.terminal_input import is_reply_tail
from ratui.tui.screens.base import KeyScreen
from ratui.tui.textual_internals import LinuxDriver, get_driver, set_text_colours
from ratui.tui.theme import PALETTES, make_console_theme, make_theme, use_palette
from ratui.tui.tour.tour import Tour
from ratui.tui.user_settings import UserSettings, save_setting
from ratui.tui.widgets.film_view import FilmView

__all__ = ["KeyApp"]


class KeyApp(QueuedApp):
    """An app of screens that the keymap drives.

    Parameters
    ----------
    scheme
        The scheme of the study.
    display
        What the terminal can show, as returned by `ratui.terminal.probe`.
    settings
        The user's language and keys; None for English and the default keys.
    tour
        The introduction to show until the user has seen it; None for no introduction.

    Raises
    ------
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
        self, scheme: Scheme, display: Display, settings: UserSettings | None = None, tour: Tour | None = None
    ) -> None:
        super().__init__()
        break_japanese_lines()
        self.scheme = scheme
        self.settings = settings or UserSettings(language="en")
        self.palette = self.settings.palette or next(iter(PALETTES))
        """The name of the palette."""
        self._use_palette(self.palette)
        self.keymap = Keymap(
            self.settings.keys,
            scheme,
            source=str(self.settings.source or "[keys]"),
            grade_keys=self.settings.grades,
        )
        self.t = Catalog(choose_language(wanted=self.settings.language))
        self.tour = tour
        self.graphics = replace(display, pixel_mm=self.settings.pixel_mm)
        set_text_colours(self, display.colours)
        self.frame_cache = FrameCache()
        self.unsaved_readings: list[str] = []
        """Reports of cases that were closed with entries that could not be saved; a person can read them."""
        self.key_queue.reply_watch.is_tail = self._is_reply_tail
        # The rest of a terminal's reply that lost its start begins with a separator of numbers. No action has this key.
        self.key_queue.reply_watch.begins_tail = lambda name: name == ";" and not self._types_text
        self.key_queue.on_ignored = lambda: self.show_message(self.t("text.input_ignored"))
        self.key_queue.on_paused = lambda: self.show_message(self.t("text.input_paused"))
        self.painter = Painter(self, Bandwidth(display.round_trip, display.rate))
        self._cell_size: tuple[int, int] | None = None
        self._window_size: Size | None = None
        self.client_watch = ClientWatch(self, display, self._change_display)

    def on_mount(self) -> None:
        """Begin to watch the terminal, and open the first screen."""
        self.client_watch.start()
        # Only ListeningDriver passes the answers to fences on to the painter.
        self.painter.uses_fences = (
            isinstance(get_driver(self), ListeningDriver) and self.graphics.round_trip is not None
        )
        self.open_first_screen()

    def open_first_screen(self) -> None:
        """Open the screen with which the app starts."""
        raise NotImplementedError

    def list_commands(self) -> Iterator[Command]:
        """Yield the commands of the app that belong to no screen."""
        yield from ()

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
        self.graphics = replace(display, cell=before.cell, pixel_mm=before.pixel_mm)
        if self.graphics == before:
            if is_attached:  # the new terminal has none of the images
                self.painter.abandon_ahead()
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
            self.handle_lost_films()
        elif isinstance(self.screen, KeyScreen):
            self.screen.show_message(self._describe_change(before))

    def handle_lost_films(self) -> None:
        """Tell the user that this terminal can't show films any more."""
        try:
            self.graphics.require_films()
        except DisplayError as error:
            self.show_message(format_error(self.t, error))

    def _describe_change(self, before: Display) -> str:
        """Return what is different about the films since the capabilities were `before`."""
        display = self.graphics
        if display.protocol == before.protocol:
            return self.t("scoring.few_greys", greys=display.levels, why=display.colours_why)
        id = "text.films_in_half_cells" if display.protocol == "halfcell" else "text.films_as_before"
        return self.t(id, why=display.why, protocol=display.protocol)

    @property
    def _types_text(self) -> bool:
        """True if keys are typed into a line of text now."""
        screen = self.screen
        return screen.types_text if isinstance(screen, KeyScreen) else isinstance(self.focused, Input)

    def _is_reply_tail(self, names: Sequence[str]) -> bool:
        """Return True if keys that arrived together are the rest of a reply of the terminal."""
        keymap, entries = self.keymap, list_entry_keys(self.scheme)
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

    def action_help_quit(self) -> None:
        """Show how to leave, for users who press Ctrl-C. Textual would show an English toast over the films."""
        screen = self.screen
        back = f"{screen.NAME}.leave" if isinstance(screen, KeyScreen) else ""
        keys = {"ctrl_c": format_key("ctrl+c"), "quit": format_key("ctrl+q")}
        if any(action.id == back for action in self.keymap.actions):
            self.show_message(self.t("text.how_to_leave_screen", leave=self.keymap.key_label(back), **keys))
        else:
            self.show_message(self.t("text.how_to_leave", **keys))

    def free_images(self) -> str:
        """Return the sequences that free every image which the terminal holds or is being sent."""
        remove_image_files()
        return self.painter.abandon_uploads() + self.frame_cache.release()

    def action_command_palette(self) -> None:
        """Open the command palette if the screen has commands and no text is being typed."""
        if isinstance(self.screen, KeyScreen) and not isinstance(self.focused, Input):
            self.push_screen(ClosableCommandPalette(placeholder=self.t("commands.search"), id="--command-palette"))

    def _use_palette(self, name: str) -> None:
        """Show everything in the palette `name`."""
        self.palette = name
        use_palette(name)
        self.console.push_theme(make_console_theme(name), inherit=False)
        theme = make_theme(name)
        self.register_theme(theme)
        self.theme = theme.name

    async def change_palette(self, name: str) -> None:
        """Show everything in the palette `name`, and save it in the settings file if there is one."""
        self._use_palette(name)
        await self._draw_anew(name, "palette", "commands.palette_saved")

    async def change_language(self, language: str) -> None:
        """Show all texts in `language`, and save it in the settings file if there is one."""
        self.t = Catalog(language)
        await self._draw_anew(language, "language", "commands.language_saved")

    async def _draw_anew(self, value: str, setting: Literal["language", "palette"], message: str) -> None:
        """Make the texts of all screens again, and save the `value` of `setting` if there is a file for it."""
        for screen in self.screen_stack:
            if isinstance(screen, KeyScreen):
                await screen.retranslate()
        if isinstance(self.screen, KeyScreen) and self.settings.source is not None:
            try:
                save_setting(setting, value, self.settings.source)
                self.screen.show_message(self.t(message))
            except SettingsError as error:
                self.screen.show_message(format_error(self.t, error))
