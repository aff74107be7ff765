"""What every screen shares: the app it runs in, keys through one table, films hidden while another screen is up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.events import Key
from textual.screen import Screen

from ratui.errors import RatuiError
from ratui.tui.actions import key_name
from ratui.tui.messages import Messages
from ratui.tui.widgets.film_view import FilmView

if TYPE_CHECKING:
    from ratui.tui.app import RatuiApp

__all__ = ["KeyScreen"]


class KeyScreen(Screen[Any]):
    """A screen driven by the keymap: the action `name` calls the method ``do_name``."""

    NAME: ClassVar[str] = ""

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
        if self.pressed(name):
            event.stop()
            event.prevent_default()

    def pressed(self, name: str) -> bool:
        """Acts on the key `name`; whether there was anything to do."""
        action = self.ratui.keymap.find(self.NAME, name)
        if action is None:
            return False
        try:
            getattr(self, f"do_{action.name}")()
        except RatuiError as error:
            self.say(str(error))
        return True

    def do_help(self) -> None:
        from ratui.tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(self.NAME, self.ratui.study.scheme, self.ratui.keymap, self.t))

    def say(self, text: str) -> None:
        """Tells the rater something, in the way of the screen."""
        self.notify(text, markup=False)

    def on_screen_suspend(self) -> None:
        for view in self.query(FilmView):
            view.conceal()

    def on_screen_resume(self) -> None:
        for view in self.query(FilmView):
            view.refresh()
