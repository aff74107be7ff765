"""A terminal for the app without a screen, with a typist whose keys have the times of a simulated clock."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable

from textual.app import App
from textual.events import Key

from ratui.terminal import FENCE, FENCE_ROW
from ratui.tui import RatuiApp
from ratui.tui.screens.film_screen import FilmScreen
from ratui.tui.textual_internals import get_driver

__all__ = ["SimulatedTerminal"]

_IDLE_ROUNDS = 50
"""Number of milliseconds without work of the app after which no frame is expected any more."""
_FENCE = re.compile(rf"\x1b\[{FENCE_ROW};(\d+)H{re.escape(FENCE)}")


class SimulatedTerminal:
    """A terminal that processes the output of a headless app and answers its fences.

    Keys, answers and the painter have one simulated clock, so that a test or a measurement runs as fast as the machine
    allows, and the app decides by the same times as with a person.

    Parameters
    ----------
    app
        The app, which must run already (`textual.app.App.run_test`).
    answer_seconds
        Function that returns the seconds from the output of a fence to its answer.
    """

    def __init__(self, app: RatuiApp, answer_seconds: Callable[[], float] = lambda: 0.005) -> None:
        self._app = app
        self._answer_seconds = answer_seconds
        self.now = time.monotonic()
        """The time of the simulated clock in seconds."""
        self.on_output: Callable[[str], None] = lambda data: None
        """Function to call with each piece of output."""
        self.on_answer: Callable[[int], None] = lambda number: None
        """Function to call with the number of each fence, just before its answer is sent."""
        self._answers: deque[tuple[float, int]] = deque()
        self._last_due = self.now
        app.painter.clock = lambda: self.now
        app.painter.uses_fences = True
        app.key_queue.time_of = lambda key: self.now
        driver = get_driver(app)
        assert driver is not None, "the app does not run"
        driver.write = self._take_output  # type: ignore[method-assign]

    def _take_output(self, data: str) -> None:
        self.on_output(data)
        for found in _FENCE.finditer(data):
            # The terminal answers in the order of the fences.
            self._last_due = max(self._last_due, self.now + self._answer_seconds())
            self._answers.append((self._last_due, int(found[1])))

    def find_fence(self, data: str) -> int | None:
        """Return the number of the last fence in `data`, or None."""
        numbers = [int(found[1]) for found in _FENCE.finditer(data)]
        return numbers[-1] if numbers else None

    def wait(self, seconds: float) -> None:
        """Let `seconds` pass on the simulated clock. Send the answers that are due meanwhile."""
        end = self.now + seconds
        while self._answers and self._answers[0][0] <= end:
            self.now, number = self._answers.popleft()
            self.on_answer(number)
            self._app.painter.record_answer(number, self.now)
        self.now = end

    async def wait_for_films(self) -> None:
        """Wait until the films of the present joint are painted, or cannot be."""
        app: App[None] = self._app
        idle_rounds = 0
        while idle_rounds < _IDLE_ROUNDS and isinstance(app.screen, FilmScreen) and app.screen.is_running:
            if app.screen.display_watch.find_display_problem() != "not_painted":
                return
            if self._answers:
                self.wait(self._answers[0][0] - self.now)
            else:
                idle_rounds = 0 if app.workers else idle_rounds + 1
                await asyncio.sleep(0.001)

    async def press(self, *keys: str) -> None:
        """Press all `keys` at the present time. Wait until the app has handled them."""
        for key in keys:
            self._app.key_queue.put(Key(key, key if len(key) == 1 else None))
        await self._app.key_queue.wait_until_idle()
