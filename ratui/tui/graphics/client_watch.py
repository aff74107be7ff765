"""Observation of the terminals that are attached to tmux, which may be exchanged while the app runs."""

from __future__ import annotations

import os
from collections.abc import Callable

from textual.app import App

from ratui.terminal import Display, TmuxState, adapt_to_clients, read_tmux
from ratui.tui.textual_internals import run_in_thread

__all__ = ["ClientWatch"]

_INTERVAL = 3.0
"""Seconds between two checks. A second terminal of the same size attaches without any event in the app."""


class ClientWatch:
    """A watch over the terminals attached to the tmux in which the app runs; outside tmux it does nothing.

    Parameters
    ----------
    app
        The app.
    display
        The capabilities of the terminal at the start.
    on_change
        Function that is called in the app's thread if the capabilities have changed, or if a terminal was attached. Its
        arguments are the capabilities, and True if a terminal was attached, which has none of the images sent before.
    """

    def __init__(self, app: App[None], display: Display, on_change: Callable[[Display, bool], None]) -> None:
        self._app = app
        self._first = self._present = display
        self._on_change = on_change
        self._clients: frozenset[tuple[str, int]] | None = None
        self._is_reading = False
        self._is_active = False

    def start(self) -> None:
        """Check now and then, and whenever `check` is called."""
        self._is_active = self._first.multiplexer == "tmux" and bool(os.environ.get("TMUX"))
        if self._is_active:
            self._app.set_interval(_INTERVAL, self.check)
            self.check()

    def check(self) -> None:
        """Ask tmux in a thread, and report a change."""
        if self._is_active and not self._is_reading:
            self._is_reading = True
            run_in_thread(self._app, self._read, group="tmux")

    def _read(self) -> None:
        state = read_tmux(os.environ)
        self._app.call_later(self._compare, state)

    def _compare(self, state: TmuxState | None) -> None:
        """Report a change between the last state and `state`. Nobody sees the app while no terminal is attached."""
        self._is_reading = False
        if state is None or not state.clients:
            return
        clients = frozenset((client.tty, client.process) for client in state.clients)
        before, self._clients = self._clients, clients
        is_new = before is not None and not clients <= before
        display = adapt_to_clients(self._first, state, os.environ)
        if display != self._present or is_new:
            self._present = display
            self._on_change(display, is_new)
