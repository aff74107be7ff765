"""Displays for tests without a screen."""

from __future__ import annotations

from collections.abc import Collection

from ratui.terminal import Display, Resolution
from ratui.tui.entry.answer_gate import AnswerGate, DisplayProblem, DisplayWatch
from ratui.tui.input.unpressed_keys import KeyRepeats

__all__ = ["ScriptedFilms", "make_gate"]


class ScriptedFilms(DisplayWatch):
    """Films that were displayed since the times in `since`, by place (0 left, 1 right)."""

    def __init__(self, since: dict[int, float] | None = None) -> None:
        super().__init__()
        self.display = Display("sixel", round_trip=0.01)
        self.terminal_size = (120, 40)
        self.since = {0: 0.0, 1: 0.0} if since is None else since
        self.problem: DisplayProblem | None = None
        self.resolution = Resolution(6.0, is_sufficient=True)

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


def make_gate(films: ScriptedFilms | None = None) -> AnswerGate:
    """Return a gate for a key that was pressed alone, by default in front of films that are displayed."""
    repeats = KeyRepeats()
    repeats.note_key("", 100.0)
    return AnswerGate(films or ScriptedFilms(), repeats)
