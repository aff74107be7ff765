"""Displays for tests without a screen."""

from __future__ import annotations

from collections.abc import Collection

from ratui.terminal import Display, Resolution
from ratui.tui.entry.answer_gate import AnswerGate, DisplayProblem
from ratui.tui.input.key_repeat import KeyRepeats

__all__ = ["ScriptedFilms", "make_gate"]


class ScriptedFilms:
    """Films that were displayed since the times in `since`, by place (0 left, 1 right)."""

    def __init__(self, since: dict[int, float] | None = None) -> None:
        self.since = {0: 0.0, 1: 0.0} if since is None else since
        self.problem: DisplayProblem | None = None
        self.resolution = Resolution(6.0, is_sufficient=True)
        self.grey_changes: tuple[str, ...] = ()

    def find_display_problem(self) -> DisplayProblem | None:
        return self.problem

    def displayed_since(self, places: Collection[int]) -> float | None:
        if any(place not in self.since for place in places):
            return None
        return max(self.since[place] for place in places)

    def displayed_resolution(self, places: Collection[int]) -> Resolution | None:
        return self.resolution

    def displayed_films(self, places: Collection[int]) -> tuple[str, ...]:
        return tuple(f"film-{place}" for place in sorted(places))


class _Times:
    """A clock that goes on by one second each time it is read."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def make_gate(films: ScriptedFilms | None = None) -> AnswerGate:
    """Return a gate for keys that arrive one second apart, by default in front of films that are displayed."""
    repeats = KeyRepeats()
    watch = films or ScriptedFilms()
    return AnswerGate(lambda: watch, repeats, _Times(), lambda: Display("sixel", round_trip=0.01))
