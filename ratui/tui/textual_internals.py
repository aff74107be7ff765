"""All uses of undocumented parts of Textual: its driver for Unix terminals, its parser, an app's driver, written strips.

A new version of Textual may change any of them. ``tests/tui/test_textual_internals.py`` finds the one that broke.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.segment import Segment
from textual._xterm_parser import _MAX_SEQUENCE_SEARCH_THRESHOLD as LONGEST_SEQUENCE
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.strip import Strip

__all__ = [
    "LONGEST_SEQUENCE",
    "WRITTEN_FOR",
    "LinuxDriver",
    "NotifyingStrip",
    "TerminalDriver",
    "XTermParser",
    "get_driver",
]

WRITTEN_FOR = "textual 8.2"
# LONGEST_SEQUENCE is in characters. Textual reports a longer control sequence as keys, one for each character.


def get_driver(app: App[Any]) -> Driver | None:
    """Return the driver through which `app` writes to its terminal, or None if the app is not running."""
    return app._driver


class TerminalDriver(LinuxDriver):
    """Textual's driver for Unix terminals, with access for a subclass that reads the input itself."""

    @property
    def owner(self) -> App[Any]:
        """The app of the driver."""
        return self._app

    @property
    def is_stopping(self) -> bool:
        """True when Textual wants the input thread to end."""
        return self.exit_event.is_set()

    def make_parser(self) -> XTermParser:
        """Return a new parser for the terminal's input, with the settings of this driver."""
        return XTermParser(self._debug)

    def call_in_app(self, function: Callable[..., object], *arguments: object) -> None:
        """Schedule a call of `function` in the app's thread."""
        self._loop.call_soon_threadsafe(function, *arguments)

    def run_input_thread(self) -> None:
        """Read the input. Textual calls this in a separate thread."""
        self.read_input(self.fileno)

    def read_input(self, descriptor: int) -> None:
        """Read the file `descriptor` until `is_stopping`, and pass each message to `process_message`."""
        raise NotImplementedError


class NotifyingStrip(Strip):
    """A strip of cells that calls `written` when it is written to the terminal.

    Textual asks a widget for its lines far more often than it writes them: at each update it composes whole lines,
    and writes only the parts that changed.
    """

    __slots__ = ("_written",)

    def __init__(self, segments: Iterable[Segment], width: int, written: Callable[[], None]) -> None:
        super().__init__(segments, width)
        self._written = written

    def render(self, console: Console) -> str:
        """Return the strip as text for the terminal."""
        self._written()
        return super().render(console)

    def __iter__(self) -> Iterator[Segment]:
        self._written()  # Textual iterates over the segments when it writes a part of a line
        return super().__iter__()

    def crop(self, start: int, end: int | None = None) -> Strip:
        """Return the cells from `start` to `end`, which notify as well."""
        return self._notifying(super().crop(start, end))

    def divide(self, cuts: Iterable[int]) -> Sequence[Strip]:
        """Return the strip cut at `cuts`; the parts notify as well."""
        return [self._notifying(strip) for strip in super().divide(cuts)]

    def _notifying(self, strip: Strip) -> Strip:
        if isinstance(strip, NotifyingStrip):
            return strip
        return NotifyingStrip(strip._segments, strip.cell_length, self._written)
