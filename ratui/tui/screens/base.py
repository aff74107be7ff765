"""What every screen shares: the app it runs in, keys through one table, films hidden while another screen is up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.text import Text
from textual.events import Key
from textual.screen import Screen

from ratui.errors import RatuiError
from ratui.reading import LogEntry
from ratui.tui.entry.text import fitted, items_text
from ratui.tui.i18n.catalog import Messages
from ratui.tui.i18n.reading_phrases import error_text
from ratui.tui.input.actions import TAKES_ENTRIES, key_name
from ratui.tui.tour.panel import TourPanel
from ratui.tui.widgets.film_view import FilmView

if TYPE_CHECKING:
    from ratui.tui.app import RatuiApp

__all__ = ["KeyScreen"]


class KeyScreen(Screen[Any]):
    """A screen driven by the keymap: the action `name` calls the method ``do_name``."""

    NAME: ClassVar[str] = ""
    GUIDED: ClassVar[bool] = False
    """Whether the tour goes through this screen."""

    @property
    def ratui(self) -> RatuiApp:
        return cast("RatuiApp", self.app)

    @property
    def t(self) -> Messages:
        """The texts, in the rater's language."""
        return self.ratui.t

    def on_key(self, event: Key) -> None:
        """Calls what the pressed key stands for; other keys go where they would have gone."""
        name = key_name(event.character, event.key)
        if self._ended_tour(name) or self.pressed(name):
            event.stop()
            event.prevent_default()
        for panel in self.query(TourPanel):
            panel.after(name, self.t)

    def pressed(self, name: str) -> bool:
        """Acts on the key `name`; whether there was anything to do."""
        action = self.ratui.keymap.find(self.NAME, name)
        if action is None:
            return False
        self.perform(action.name)
        return True

    def perform(self, name: str) -> None:
        """Does the action `name`; an error is said, not raised."""
        try:
            getattr(self, f"do_{name}")()
        except RatuiError as error:
            self.say(error_text(self.t, error))

    def possible(self, name: str) -> bool:
        """Whether the action `name` makes sense now: help and the list of commands leave out what doesn't."""
        return True

    def key_line(self) -> Text:
        """The keys that do something now and have a label, on one line."""
        actions = [action for action in self.ratui.keymap.of(self.NAME) if self.possible(action.name)]
        items = [(self.ratui.keymap.shown(action.id), label) for action in actions if (label := action.label(self.t))]
        return items_text(fitted(items, self.app.size.width))

    def do_help(self) -> None:
        from ratui.tui.screens.help.screen import HelpScreen
        from ratui.tui.screens.help.text import key_section, scheme_sections

        keymap = self.ratui.keymap
        keys = key_section(self.NAME, keymap, self.t, self.possible)
        entered = self.NAME in TAKES_ENTRIES
        meanings = scheme_sections(self.ratui.study.scheme, keymap, self.t) if entered else ()
        self.app.push_screen(HelpScreen(keys, meanings, self.t("help.foot")))

    def say(self, text: str) -> None:
        """Tells the rater something, in the way of the screen."""
        self.notify(text, markup=False)

    @property
    def asking(self) -> bool:
        """Whether the screen asks something that Esc takes back, before Esc means anything else."""
        return False

    @property
    def types_text(self) -> bool:
        """Whether characters are text now, such as a note, and not commands."""
        return False

    def entries(self) -> tuple[LogEntry, ...]:
        """The log of the reading on the screen; empty where there is none."""
        return ()

    def guide(self) -> None:
        """Shows the tour, on a screen that is part of it, where it hasn't been seen."""
        tour = self.ratui.tour
        for panel in self.query(TourPanel):
            panel.remove()
        if self.GUIDED and tour is not None and tour.step is not None:
            panel = TourPanel(tour, self.ratui.keymap, self.entries)
            self.mount(panel, before="#message")
            panel.tell(self.t)

    def _ended_tour(self, name: str) -> bool:
        """Whether `name` was Esc to end the tour."""
        panels = self.query(TourPanel) if name == "escape" and not self.asking else ()
        for panel in panels:
            if self.ratui.tour is not None:
                self.ratui.tour.end()
            panel.remove()
        return bool(panels)

    async def retell(self) -> None:
        """Says everything anew, in another language: the widgets are made again, then filled."""
        await self.recompose()
        self.refill()
        self.guide()

    def refill(self) -> None:
        """Fills the widgets that `compose` made."""

    def on_screen_suspend(self) -> None:
        for view in self.query(FilmView):
            view.conceal()

    def on_screen_resume(self) -> None:
        for view in self.query(FilmView):
            view.refresh()
        if not self.query(TourPanel):
            self.guide()
