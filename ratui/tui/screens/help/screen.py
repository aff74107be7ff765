"""All keys of a screen that do something now, and what the grades and findings mean. It changes nothing."""

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
"""From this many columns on, keys and grades stand side by side."""


class HelpScreen(Screen[None]):
    """Shows `keys` and `meanings`; any key but those that scroll closes it."""

    def __init__(self, keys: Section, meanings: Iterable[Section], foot: str) -> None:
        super().__init__()
        self._keys = keys
        self._meanings = tuple(meanings)
        self._foot = foot

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="help"), Horizontal(id="columns"):
            yield Static(_drawn([self._keys]))
            if self._meanings:
                yield Static(_drawn(self._meanings))
        yield Static(f" {self._foot}", classes="line title", markup=False)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()
        self._arrange()

    def on_resize(self, event: Resize) -> None:
        self._arrange()

    def on_key(self, event: Key) -> None:
        if event.key not in ("up", "down", "pageup", "pagedown", "home", "end"):
            event.stop()
            self.dismiss()

    def _arrange(self) -> None:
        self.query_one("#columns").set_class(self.app.size.width < _WIDE, "narrow")


def _drawn(sections: Iterable[Section]) -> Group:
    """Sections one under the other. The keys have a column of their own, as wide as the widest, in cells."""
    drawn: list[Text | Table] = []
    for section in sections:
        table = Table.grid(padding=(0, 2, 0, 1), expand=False)
        table.add_column(no_wrap=True, min_width=4, style=BRIGHT)
        table.add_column(overflow="fold")
        for key, meaning in section.rows:
            table.add_row(Text(key), Text(meaning))
        drawn += [Text(section.heading, HEADING), table, Text()]
    return Group(*drawn)
