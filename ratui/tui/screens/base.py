"""The base class of ratui's screens: keys from the keymap, the key bar, the message line, the tour, the language."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.events import Key, Paste
from textual.screen import Screen, ScreenResultType
from textual.widgets import Static

from ratui.errors import RatuiError
from ratui.study import LockedByOther
from ratui.tui.i18n.catalog import Catalog
from ratui.tui.i18n.lock_phrases import format_busy
from ratui.tui.i18n.reading_phrases import format_error
from ratui.tui.input.actions import ENTRY_SCREENS, Action, normalize_key
from ratui.tui.input.key_rows import KeyItem, format_key_rows, format_typing_keys, shorten_to_fit
from ratui.tui.tour.panel import TourPanel, TourPlace
from ratui.tui.widgets.film_view import FilmView
from ratui.tui.widgets.plain_widgets import KeyBar
from ratui.tui.widgets.text_line import TextLine, join_lines

if TYPE_CHECKING:
    from ratui.tui.app import RatuiApp
    from ratui.tui.key_app import KeyApp
    from ratui.tui.screens.help.text import Section

__all__ = ["KeyScreen"]

# Textual's own `action_page_up` and `action_page_down` scroll a widget, so ours have other names.
_METHODS = {"page_up": "previous_page", "page_down": "next_page"}


class KeyScreen(Screen[ScreenResultType]):
    """A screen driven by the keymap.

    The action `name` of the keymap calls the method ``action_name``. A subclass composes a `KeyBar`, and a `Static` with
    the id ``message``.
    """

    AUTO_FOCUS: ClassVar[str | None] = ""  # the screen handles the keys, except while text is typed
    NAME: ClassVar[str] = ""
    """The name of the screen in the keymap."""
    HAS_TOUR: ClassVar[bool] = False
    """True for a screen that shows the tour."""

    @property
    def ratui(self) -> RatuiApp:
        """The app of a rater, for the screens that run in it."""
        return cast("RatuiApp", self.app)

    @property
    def key_app(self) -> KeyApp:
        """The app that the screen runs in."""
        return cast("KeyApp", self.app)

    @property
    def t(self) -> Catalog:
        """The texts in the user's language."""
        return self.key_app.t

    # Keys.

    def on_key(self, event: Key) -> None:
        """Do what the pressed key stands for; leave other keys to Textual."""
        name = normalize_key(event.character, event.key)
        if self._type_text(event):
            return
        if self._close_tour(name) or self.process_key(name):
            event.stop()
            event.prevent_default()
        for panel in self.query_children(TourPanel):
            panel.note_key(name, self.t)

    def _type_text(self, event: Key) -> bool:
        """Leave `event` to the open line of text, if there is one and the key does not close it."""
        lines = self.query(TextLine) if self.types_text else ()
        line = next((line for line in lines if line.is_open), None)
        if line is None or event.key == "escape":
            return False
        if self.focused is not line.input:
            # The line has lost the focus. The key must not do anything else.
            self.set_focus(line.input, scroll_visible=False)
            if event.is_printable:
                line.input.insert_text_at_cursor(event.character or "")
            event.stop()
        return True

    def on_text_line_accepted(self) -> None:
        """Process Enter, which has ended the line of text."""
        self.process_key("enter")

    def on_text_line_toggled(self) -> None:
        """List the keys that end the line of text, or those of the screen again."""
        if self.has_widgets:
            self.update_key_bar()

    def on_paste(self, event: Paste) -> None:
        """Take the pasted text, or tell the rater that it was ignored. Text must never become commands or scores."""
        event.stop()
        if not self.accept_paste(join_lines(event.text)):
            self.show_message(self.t("text.paste_ignored"))

    def accept_paste(self, text: str) -> bool:
        """Use the pasted line `text`; return False if the screen has no use for it now."""
        return False

    def process_key(self, name: str) -> bool:
        """Do what the key `name` stands for; return False if it stands for nothing here."""
        action = self.key_app.keymap.find(self.NAME, name)
        if action is None:
            return False
        self.perform(action.name)
        return True

    @property
    def has_widgets(self) -> bool:
        """False before the widgets are made, and while the app ends: Textual removes widgets before it ends callbacks."""
        return self.is_mounted and bool(self.children)

    @property
    def takes_messages(self) -> bool:
        """True if a message can be shown; false while the app ends."""
        return self.has_widgets

    def perform(self, name: str) -> None:
        """Perform the action `name`; show a RatuiError as a message."""
        try:
            getattr(self, f"action_{_METHODS.get(name, name)}")()
        except LockedByOther as error:
            self.show_message(format_busy(self.t, error, self.app.size.width - 2))
        except RatuiError as error:
            self.show_message(format_error(self.t, error))

    def check_action(self, action: str, parameters: tuple[object, ...] = ()) -> bool:
        """Return whether `action` is possible now; the key bar, the help and the command palette leave out the others."""
        return True

    @property
    def is_asking(self) -> bool:
        """True while the screen asks for something that Esc cancels, so that Esc does nothing else."""
        return False

    @property
    def types_text(self) -> bool:
        """True while characters are text, such as a note, and not commands."""
        return False

    @property
    def accept_label(self) -> str:
        """The label of Enter while a line of text is typed; empty for the usual one."""
        return ""

    # The key bar.

    def list_key_items(self, *, only_possible: bool = True) -> list[KeyItem]:
        """Return the keys of the actions that have a label and, if `only_possible`, are possible now, as in the keymap."""
        return [
            KeyItem(self.key_app.keymap.key_label(action.id), label)
            for action in self.key_app.keymap.list_actions(self.NAME)
            if (label := self.label_of(action)) and (self.check_action(action.name) or not only_possible)
        ]

    def label_of(self, action: Action) -> str:
        """Return the label of `action` in the key bar; empty if the key bar leaves it out."""
        return action.label(self.t)

    @property
    def help_key(self) -> str:
        """The key of the help, as it is printed."""
        return self.key_app.keymap.key_label(f"{self.NAME}.help")

    def format_keys(self) -> Text:
        """Return the rows of the key bar: by default the possible actions in one row, their labels cut to fit."""
        return format_key_rows(*shorten_to_fit(self.list_key_items(), self.app.size.width))

    def update_key_bar(self) -> None:
        """Show the keys that are possible now."""
        is_typing = self.types_text and any(line.is_open for line in self.query(TextLine))
        self.query_one(KeyBar).show_rows(
            format_typing_keys(self.t, self.accept_label) if is_typing else self.format_keys()
        )

    # Help and messages.

    def action_help(self) -> None:
        """Show all keys that are possible now and, where scores are entered, the meaning of the grades."""
        from ratui.tui.screens.help.keyboard import list_caps
        from ratui.tui.screens.help.screen import HelpScreen
        from ratui.tui.screens.help.text import (
            film_section,
            key_section,
            measurement_section,
            mouse_section,
            scheme_sections,
        )

        keymap = self.key_app.keymap
        keys = key_section(self.NAME, keymap, self.t, self.check_action)
        scheme, t = self.key_app.scheme, self.t
        meanings: tuple[Section, ...] = ()
        if self.NAME in ENTRY_SCREENS:
            films = (film_section(self.NAME, keymap, t), measurement_section(t), mouse_section(t))
            meanings = (*scheme_sections(scheme, keymap, t), *films)
        elif self.NAME == "overview":
            meanings = (measurement_section(t),)
        caps = list_caps(self.NAME, keymap, t, scheme if self.NAME in ENTRY_SCREENS else None, self.check_action)
        self.app.push_screen(HelpScreen(keys, meanings, t("help.footer"), caps, t, self.NAME))

    def show_message(self, text: str) -> None:
        """Show `text` in the message line; clear the line if it is empty."""
        self.query_one("#message", Static).update("\n".join(f" {line}" for line in text.split("\n") if line))

    # The tour.

    def tour_place(self) -> TourPlace | None:
        """Return the reading on the screen and its marked field; None if no field is marked."""
        return None

    @property
    def is_touring(self) -> bool:
        """True while the screen shows the tour, during which it shows no warning about the terminal."""
        tour = self.key_app.tour
        return self.HAS_TOUR and tour is not None and tour.step is not None

    def show_tour_panel(self) -> None:
        """Show the tour if this screen has it and the rater has not seen it."""
        tour = self.key_app.tour
        for panel in self.query_children(TourPanel):
            panel.remove()
        if tour is not None and self.is_touring:
            panel = TourPanel(tour, self.key_app.keymap, self.tour_place)
            self.mount(panel, before="#message")
            panel.update_step(self.t)

    def _close_tour(self, name: str) -> bool:
        """End the tour if the key `name` is Esc and means nothing else; return whether it did."""
        panels = self.query_children(TourPanel) if name == "escape" and not self.is_asking else ()
        for panel in panels:
            if self.key_app.tour is not None:
                self.key_app.tour.end()
            panel.remove()
        return bool(panels)

    # The language.

    async def retranslate(self) -> None:
        """Make the widgets again in the app's present language, and fill them."""
        await self.recompose()
        self.fill_widgets()
        self.show_tour_panel()

    def fill_widgets(self) -> None:
        """Fill the widgets that `compose` has made."""

    # Other screens above this one. Textual calls the handler of every class of an object, so that a subclass which has
    # such a handler too must not call this one.

    def on_screen_suspend(self) -> None:
        """Hide the films, because a terminal draws its images above the cells of the next screen."""
        for view in self.query(FilmView):
            view.hide_image()

    def on_screen_resume(self) -> None:
        """Show the films again, and the tour if it is due."""
        for view in self.query(FilmView):
            view.show_again()
        if not self.query_children(TourPanel):
            self.show_tour_panel()
