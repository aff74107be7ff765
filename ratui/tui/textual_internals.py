"""All uses of undocumented parts of Textual.

These are its driver for Unix terminals, its parser, an app's driver, written strips, the app of a thread, and the end of an
app after a fault.
A new version of Textual may change any of them. ``tests/tui/test_textual_internals.py`` finds the one that broke.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from contextvars import copy_context
from typing import Any

from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.segment import Segment
from textual._ansi_sequences import SYNC_END, SYNC_START
from textual._xterm_parser import _MAX_SEQUENCE_SEARCH_THRESHOLD as LONGEST_SEQUENCE
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.dom import DOMNode
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.strip import Strip
from textual.worker import Worker, WorkerFailed, active_worker, get_current_worker

from ratui.crash_report import EXIT_FAULT

__all__ = [
    "LONGEST_SEQUENCE",
    "SYNC_END",
    "SYNC_START",
    "WRITTEN_FOR",
    "GuardedApp",
    "LinuxDriver",
    "NotifyingStrip",
    "TerminalDriver",
    "XTermParser",
    "get_driver",
    "has_synchronized_updates",
    "run_in_thread",
    "set_text_colours",
]

WRITTEN_FOR = "textual 8.2"
_COLOUR_SYSTEMS = {"truecolor": ColorSystem.TRUECOLOR, "256": ColorSystem.EIGHT_BIT}
# LONGEST_SEQUENCE is in characters. Textual reports a longer control sequence as keys, one for each character.


def get_driver(app: App[Any]) -> Driver | None:
    """Return the driver through which `app` writes to its terminal, or None if the app is not running."""
    return app._driver


def has_synchronized_updates(app: App[Any]) -> bool:
    """Return True if the terminal of `app` has said that it supports synchronized updates (mode 2026)."""
    return app._sync_available


def run_in_thread(node: DOMNode, work: Callable[[], None], *, group: str) -> Worker[None]:
    """Run `work` for `node` in a thread of its own, and cancel the earlier work of `node` in `group`.

    A thread cannot be stopped: `work` has to check ``get_current_worker().is_cancelled`` itself. An exception that `work`
    raises ends the app.

    Parameters
    ----------
    node
        The screen or widget that the work is for.
    work
        A function without arguments.
    group
        The name of the kind of work. At most one work of a group counts for each node.

    Returns
    -------
    Worker
        Textual's worker.
    """
    # Textual's thread workers search for the app through the node's parents. A widget that was removed has no parents,
    # and the failed search would end the app. The context of this call contains the app.
    context = copy_context()

    def run() -> None:
        worker = get_current_worker()

        def inside() -> None:
            active_worker.set(worker)
            work()

        context.run(inside)

    return node.run_worker(run, thread=True, exclusive=True, group=group)


def set_text_colours(app: App[Any], colours: str) -> None:
    """Make `app` write its texts with ``truecolor``, ``256`` or ``16`` colours; ``none`` counts as 16.

    Textual guesses from the environment alone. Call it before the app runs.
    """
    app.console._color_system = _COLOUR_SYSTEMS.get(colours, ColorSystem.STANDARD)


class GuardedApp(App[None]):
    """An app that ends after a fault without Textual's report, which shows the values of local variables.

    `fault` is the first fault; who runs the app reports it. Faults of message handlers, timers, workers, rendering and of
    callbacks of the event loop count.
    """

    fault: BaseException | None = None
    on_fault: Callable[[], None] | None = None
    """Called after each fault, in the app's thread."""
    on_terminal_gone: Callable[[], None] | None = None
    """Called when the terminal is found to be gone, in the thread that reads it."""

    def on_load(self) -> None:
        """Handle the faults of tasks and callbacks that run outside of Textual, from now on."""
        asyncio.get_running_loop().set_exception_handler(self._handle_loop_fault)

    def end_after_fault(self, error: BaseException) -> None:
        """End the app because of `error`. Call it in the app's thread."""
        if isinstance(error, WorkerFailed):
            error = error.error
        if self.fault is None:
            self.fault = error
        self._return_code = EXIT_FAULT
        if self._exception is None and isinstance(error, Exception):  # what Textual's `run_test` raises
            self._exception = error
            self._exception_event.set()
        self._close_messages_no_wait()
        if self.on_fault is not None:
            self.on_fault()

    def panic(self, *renderables: RenderableType) -> None:
        """End the app. `renderables` describe a fault with its values and are not shown."""
        self.end_after_fault(RuntimeError())

    def _handle_exception(self, error: Exception) -> None:
        self.end_after_fault(error)

    def _handle_loop_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        # Python may call this in any thread. Without an exception it is a warning, such as one of a task that was left.
        if error is not None and self.is_running:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self.end_after_fault, error)


class _LosableTerminal:
    """The output of a driver. After the terminal is gone, what is written is dropped: otherwise the driver would hang."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._is_lost = False

    def write(self, text: str) -> None:
        self._try(lambda: self._file.write(text))

    def flush(self) -> None:
        self._try(self._file.flush)

    def fileno(self) -> int:
        return int(self._file.fileno())

    def _try(self, function: Callable[[], object]) -> None:
        if not self._is_lost:
            try:
                function()
            except (OSError, ValueError):
                self._is_lost = True


class TerminalDriver(LinuxDriver):
    """Textual's driver for Unix terminals, with access for a subclass that reads the input itself."""

    holds_terminal = False
    """True while the terminal is in the mode of the app, until the sequences that restore it have been written."""

    def __init__(self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None):
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._file = _LosableTerminal(self._file)  # type: ignore[assignment]

    def start_application_mode(self) -> None:
        """Put the terminal into the mode of the app."""
        self.holds_terminal = True
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def stop_application_mode(self) -> None:
        """Restore the terminal, at the app's end and while it is suspended."""
        self.write("\x1b[?2026l\x1b[?1016l")  # which Textual may leave on: a synchronized update, the mouse in pixels
        super().stop_application_mode()
        self.holds_terminal = False

    def note_continued(self) -> None:
        """Do what is needed when the program continues after a stop (SIGCONT). By default nothing."""

    def _sigcont_application(self, *_: object) -> None:
        self.note_continued()
        if not self.holds_terminal:
            super()._sigcont_application(*_)
            return
        # The program was stopped without Ctrl-Z, or the terminal is gone. The signal may have interrupted a write, and
        # another one would wait for its lock for ever.
        with suppress(RuntimeError):  # the app has ended
            self.call_in_app(self._renew_application_mode)

    def _renew_application_mode(self) -> None:
        """Put the terminal into the mode of the app again: the shell may have changed it during a stop."""
        if self.holds_terminal:  # otherwise the app ends already
            # Textual would start a second thread that reads the input.
            self.suspend_application_mode()
            self._must_signal_resume = True
            super()._sigcont_application()

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

    def report_terminal_gone(self) -> None:
        """End the app because its terminal is gone. Call it in the thread that reads the terminal.

        The signal that says so is ignored where the program was started with ``nohup``.
        """
        self.call_in_app(self._app.exit, None, 128 + signal.SIGHUP)
        if isinstance(self._app, GuardedApp) and self._app.on_terminal_gone is not None:
            self._app.on_terminal_gone()

    def run_input_thread(self) -> None:
        """Read the input. Textual calls this in a separate thread."""
        try:
            self.read_input(self.fileno)
        except BaseException as error:
            with suppress(RuntimeError):  # the app has ended
                self.call_in_app(self._app._handle_exception, error)

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
