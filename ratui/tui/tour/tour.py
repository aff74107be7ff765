"""Six keys, shown one after the other to whoever opens the demo for the first time, while they read.

It never stands in the way: every key does what it always does, and Esc ends it. What was seen is kept in a file, so that
the tour is shown once.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ratui.files import atomic_write

__all__ = ["STEPS", "Tour", "TourStep"]


@dataclass(frozen=True)
class TourStep:
    """One key. `wants` is what ends the step: the kind of a log entry, or the id of an action; `key` is the key's action, or
    empty for the grades."""

    name: str
    completed_by: str
    key: str = ""


STEPS = (
    TourStep("grade", "enter"),
    TourStep("undo", "undo", "scoring.undo"),
    TourStep("normal", "normal", "scoring.normal"),
    TourStep("zoom", "scoring.zoom", "scoring.zoom"),
    TourStep("overview", "scoring.overview", "scoring.overview"),
    TourStep("help", "scoring.help", "scoring.help"),
)


class Tour:
    """Where a rater is in the tour. `file` keeps it; without one, or where it can't be written, the tour begins anew."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._done = _read(file)

    @property
    def step(self) -> TourStep | None:
        """What is to be shown now; None when the tour is over."""
        return next((step for step in STEPS if step.name not in self._done), None)

    @property
    def number(self) -> int:
        """The number of the step, from 1."""
        step = self.step
        return STEPS.index(step) + 1 if step else len(STEPS)

    def advance_on(self, happened: Iterable[str]) -> bool:
        """Goes on where the present step wanted one of what `happened`; whether it did."""
        step = self.step
        if step is None or step.completed_by not in happened:
            return False
        self._save({*self._done, step.name})
        return True

    def end(self) -> None:
        """Ends the tour for good."""
        self._save({step.name for step in STEPS})

    def restart(self) -> None:
        """Begins anew."""
        self._save(set())

    def _save(self, done: set[str]) -> None:
        self._done = done
        if self._file is not None:
            with contextlib.suppress(OSError), atomic_write(self._file) as temporary:
                temporary.write_text(json.dumps(sorted(done)), encoding="utf-8")


def _read(file: Path | None) -> set[str]:
    try:
        seen = json.loads(file.read_text(encoding="utf-8")) if file else []
    except (OSError, ValueError):
        return set()
    return {name for name in seen if isinstance(name, str)} if isinstance(seen, list) else set()
