"""The tour: six keys, shown one after the other to a rater who opens the demo for the first time.

The tour changes no key: each does what it always does, and Esc ends the tour. A file records the steps that a rater has
seen, so that the tour is shown once. Where the true grades of the films are known, the steps name them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

from ratui.bounded_parsing import parse_json, read_bounded
from ratui.files import atomic_write
from ratui.reading import Field

__all__ = ["STEPS", "KnownGrade", "KnownGrades", "Tour", "TourStep"]


class KnownGrade(NamedTuple):
    """The true grade of a field of a simulated film, and the key that enters it."""

    key: str
    grade: int


KnownGrades: TypeAlias = Mapping[str, Mapping[Field, KnownGrade]]
"""The true grades by name of the case and by field."""
_MAX_BYTES = 10_000


@dataclass(frozen=True)
class TourStep:
    """One step of the tour: a key to press."""

    name: str
    completed_by: str
    """The event that ends the step: the kind of a log entry, or the id of an action."""
    key: str = ""
    """The id of the action whose key is shown; empty for the grades."""


STEPS = (
    TourStep("grade", "enter"),
    TourStep("undo", "undo", "scoring.undo"),
    TourStep("again", "enter"),
    TourStep("later", "enter"),
    TourStep("normal", "normal", "scoring.normal"),
    TourStep("zoom", "scoring.zoom", "scoring.zoom"),
    TourStep("overview", "scoring.overview", "scoring.overview"),
    TourStep("help", "scoring.help", "scoring.help"),
)


class Tour:
    """The progress of a rater in the tour.

    `file` records it. Without a file, or if it cannot be written, the tour begins again the next time. `known` are the
    true grades of the films.
    """

    def __init__(self, file: Path | None = None, known: KnownGrades | None = None) -> None:
        self._file = file
        self.known: KnownGrades = known or {}
        self._done = _read_names(file)

    @property
    def step(self) -> TourStep | None:
        """The step to show now; None when the tour is over."""
        return next((step for step in STEPS if step.name not in self._done), None)

    @property
    def number(self) -> int:
        """Number of the step to show now, from 1."""
        step = self.step
        return STEPS.index(step) + 1 if step else len(STEPS)

    def advance_on(self, events: Iterable[str]) -> bool:
        """Go to the next step if one of `events` completes the present one; return whether it did."""
        step = self.step
        if step is None or step.completed_by not in events:
            return False
        self._save({*self._done, step.name})
        return True

    def end(self) -> None:
        """End the tour for good."""
        self._save({step.name for step in STEPS})

    def restart(self) -> None:
        """Begin the tour again."""
        self._save(set())

    def _save(self, done: set[str]) -> None:
        self._done = done
        if self._file is not None:
            with contextlib.suppress(OSError), atomic_write(self._file) as temporary:
                temporary.write_text(json.dumps(sorted(done)), encoding="utf-8")


def _read_names(file: Path | None) -> set[str]:
    try:
        seen = parse_json(read_bounded(file, _MAX_BYTES)) if file else []
    except (OSError, ValueError):
        return set()
    return {name for name in seen if isinstance(name, str)} if isinstance(seen, list) else set()
