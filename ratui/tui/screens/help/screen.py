"""The help screen: the keys of a screen that do something now, and the meaning of grades and findings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.events import Key, Resize
from textual.screen import Screen
from textual.widgets import Static

from ratui.tui.i18n.catalog import Catalog
from ratui.tui.screens.help.keyboard import KeyCap, draw_keyboard
from ratui.tui.screens.help.text import Section
from ratui.tui.theme import BRIGHT, HEADING

__all__ = ["HelpScreen"]

_WIDE = 112
"""Number of columns from which keys and meanings stand side by side."""
_MARGINS = 3
"""Columns beside the keyboard: margins and the scroll bar."""
_LEAST_LIST = 4
"""Rows of the screen that the keyboard leaves to margins, the first line of the list, and the last line."""


class HelpScreen(Screen[None]):
    """The help: where there is room a drawn keyboard with `caps`, then the sections `keys` and `meanings` as a list.

    `foot` is the last line, and `t` has the texts of the keyboard. `name` is that of the screen
    below. Every key that does not scroll closes the help.
    """

    def __init__(
        self,
        keys: Section,
        meanings: Iterable[Section],
        foot: str,
        caps: Sequence[KeyCap] = (),
        t: Catalog | None = None,
        name: str = "",
    ) -> None:
        super().__init__()
        self._caps = tuple(caps)
        self._t = t or Catalog()
        self._screen_name = name
        self._keys = keys
        self._meanings = tuple(meanings)
        self._foot = foot

    def compose(self) -> ComposeResult:
        """Make the widgets: the sections, and the foot line."""
        with VerticalScroll(id="help"):
            yield Static(id="keyboard")
            with Horizontal(id="columns"):
                yield Static(_render([self._keys]))
                if self._meanings:
                    yield Static(_render(self._meanings))
        yield Static(f" {self._foot}", classes="line title", markup=False)

    def on_mount(self) -> None:
        """Let the keys scroll the help."""
        self.query_one(VerticalScroll).focus()
        self._arrange()

    def on_resize(self, event: Resize) -> None:
        """Arrange the sections for the new width."""
        self._arrange()

    def on_key(self, event: Key) -> None:
        """Close the help unless the key scrolls it."""
        if event.key not in ("up", "down", "pageup", "pagedown", "home", "end"):
            event.stop()
            self.dismiss()

    def _arrange(self) -> None:
        width, height = self.app.size
        self.query_one("#columns").set_class(width < _WIDE, "narrow")
        # The list begins on the screen, so that everybody sees that it follows below.
        drawn = draw_keyboard(self._caps, width - _MARGINS, self._t, self._screen_name) if self._caps else None
        drawn = drawn if drawn and len(drawn) + _LEAST_LIST <= height else None
        keyboard = self.query_one("#keyboard", Static)
        keyboard.display = drawn is not None
        if drawn:
            legend, *rows = drawn
            keyboard.update(
                Text("\n").join([Text.assemble((self._keys.heading, HEADING), "   ", legend), *rows, Text()])
            )


def _render(sections: Iterable[Section]) -> Group:
    """Return `sections` one below the other, each with its keys in one column and their meanings in the other."""
    rendered: list[Text | Table] = []
    for section in sections:
        table = Table.grid(padding=(0, 2, 0, 1), expand=False)
        table.add_column(no_wrap=True, min_width=4, style=BRIGHT)
        table.add_column(overflow="fold")
        for key, meaning in section.rows:
            table.add_row(Text(key), Text(meaning))
        rendered += [Text(section.heading, HEADING), table, Text()]
    return Group(*rendered)
