"""Restore a terminal that an app left in its own mode, even a terminal that takes no more output or is gone."""

from __future__ import annotations

import os
import select
import signal
import termios
import time
from contextlib import suppress
from typing import Any

__all__ = ["RESTORE", "SavedTerminal"]

RESTORE = (
    "\x18\x1b\\"  # cancel an unfinished sequence; end an unfinished image
    "\x1b[?2026l"  # end a synchronized update
    "\x1b[?2004l\x1b[?2048l\x1b[?7h"  # no bracketed paste, no reports of the window's size, wrapped lines
    "\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l"  # no reports of the mouse
    "\x1b[<u"  # the Kitty keyboard protocol, before leaving the alternate screen, which has one of its own
    "\x1b[?1049l\x1b[?25h\x1b[?1004l\x1b[m"  # the main screen, the cursor, no reports of focus, plain text
)
"""The sequences that undo everything that Textual's driver switches on."""
_PATIENCE = 1.0
"""Longest wait in seconds for a terminal that takes no output."""


class SavedTerminal:
    """The state of the controlling terminal, to be restored after an app. Create it before the app starts."""

    def __init__(self) -> None:
        self._attributes: list[Any] | None = None
        with suppress(OSError, termios.error):
            terminal = _open_terminal()
            try:
                self._attributes = termios.tcgetattr(terminal)
            finally:
                os.close(terminal)

    def restore(self, before: str = "") -> None:
        """Write `before`, such as sequences that free images, then leave the app's screen and restore echo and line mode.

        Never waits for more than a second and never raises: there may be no terminal any more.
        """
        with suppress(OSError):
            terminal = _open_terminal()
            try:
                _write(terminal, (before + RESTORE).encode(errors="replace"))
                self._restore_attributes(terminal)
            finally:
                os.close(terminal)

    def print_line(self, text: str) -> None:
        """Write `text` as a line, without waiting for long and without raising."""
        with suppress(OSError):
            terminal = _open_terminal()
            try:
                _write(terminal, f"{text}\n".encode(errors="replace"))
            finally:
                os.close(terminal)

    def _restore_attributes(self, terminal: int) -> None:
        if self._attributes is None:
            return
        # A process in the background would be stopped here.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        try:
            with suppress(termios.error):
                termios.tcsetattr(terminal, termios.TCSANOW, self._attributes)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _open_terminal() -> int:
    return os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)


def _write(terminal: int, data: bytes) -> None:
    """Write `data` as far as the terminal takes it in time. Raises OSError if it is gone."""
    deadline = time.monotonic() + _PATIENCE
    left = memoryview(data)
    while left and (wait := deadline - time.monotonic()) > 0:
        if select.select([], [terminal], [], wait)[1]:
            with suppress(BlockingIOError):
                left = left[os.write(terminal, left) :]
