"""Progress bars on standard error for commands that take long.

The screens of the app have their own progress display. This module depends on Rich only, which Textual is built on.
"""

from __future__ import annotations

import atexit
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["ProgressBar"]

_MIN_INTERVAL = 0.1
"""Minimum time between two redraws, in seconds: a callback may be called thousands of times."""


class ProgressBar:
    """A callback (stage, done, total) that displays progress on standard error.

    On a terminal it draws one bar per stage. Elsewhere, for example in a log file, it writes one line for each finished
    stage, or nothing if `log_stages` is false.
    """

    def __init__(self, *, log_stages: bool = True) -> None:
        self._log_stages = log_stages
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._stage = ""
        self._drawn_at = 0.0

    @property
    def is_on_terminal(self) -> bool:
        """True if standard error is a terminal, so that bars are drawn."""
        return sys.stderr.isatty()

    def __call__(self, stage: str, done: float, total: float, note: str = "") -> None:
        """Display that `done` of `total` units of `stage` are finished.

        `note` is shown behind the bar instead of the two numbers. The stage ends when `done` reaches `total`.
        """
        if self.is_on_terminal:
            self._draw(stage, done, total, note or f"{done:g}/{total:g}")
        elif self._log_stages and done >= total:
            print(f"{stage}: {total:g}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the current bar, if there is one, and show the cursor again."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
            atexit.unregister(self.close)

    def _draw(self, stage: str, done: float, total: float, note: str) -> None:
        if stage != self._stage:
            self.close()
        if self._progress is None:
            self._start(stage)
        assert self._progress is not None
        assert self._task is not None
        self._progress.update(self._task, completed=done, total=total, note=note)
        now = time.monotonic()
        if done >= total:
            self.close()
        elif now - self._drawn_at >= _MIN_INTERVAL:
            self._progress.refresh()
            self._drawn_at = now

    def _start(self, stage: str) -> None:
        # Importing Rich takes some 50 ms, which a command without a terminal does not need.
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._progress = Progress(
            TextColumn("{task.description:<18}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}", markup=False),
            console=Console(stderr=True),
            # Results on standard output may be piped; they must not be redirected to the bar's console.
            redirect_stdout=False,
            auto_refresh=False,
        )
        self._progress.start()
        # Rich hides the cursor. It must reappear even if an error or Ctrl-C ends the program in the middle of a stage.
        atexit.register(self.close)
        self._stage, self._drawn_at = stage, 0.0
        self._task = self._progress.add_task(stage, total=None, note="")
