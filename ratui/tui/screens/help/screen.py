"""The help screen: the keys of a screen that do something now, and the meaning of grades and findings."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.events import Key, Resize
from textual.screen import Screen
from textual.widgets import Static

from ratui.tui.screens.help.text import Section
from ratui.tui.theme import BRIGHT, HEADING

__all__ = ["HelpScreen"]

_WIDE = 112
"""Number of columns from which keys and meanings stand side by side."""


class HelpScreen(Screen[None]):
    """The help with the sections `keys` and `meanings`, and the line `foot`. Every key that does not scroll closes it."""

    def __init__(self, keys: Section, meanings: Iterable[Section], foot: str) -> None:
        super().__init__()
        self._keys = keys
        self._meanings = tuple(meanings)
        self._foot = foot

    def compose(self) -> ComposeResult:
        """Make the widgets: the sections, and the foot line."""
        with VerticalScroll(id="help"), Horizontal(id="columns"):
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
        self.query_one("#columns").set_class(self.app.size.width < _WIDE, "narrow")


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
