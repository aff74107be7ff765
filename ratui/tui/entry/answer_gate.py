"""The gate for answers: a key answers only for films that were displayed before it was pressed.

An entry in a reading states that a person has looked at the joint on the film. A key that was pressed before the film was
painted, or that the keyboard repeats, does not state this. Times are in seconds of a monotonic clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from typing import Literal, Protocol, TypeAlias

from ratui.reading import DisplayRecord, Field, Reading
from ratui.terminal import Display, Resolution
from ratui.tui.input.key_repeat import KeyRepeats

__all__ = ["REACTION_SECONDS", "AnswerGate", "DisplayProblem", "FilmWatch", "GateRefusal", "name_film"]

REACTION_SECONDS = 0.15
"""Seconds between the painting of a film and the first key that can be an answer to it. No person reacts faster."""

DisplayProblem: TypeAlias = Literal["not_painted", "difference"]
"""Reason why a film is not displayed: it is not painted completely, or the difference is shown in its place."""
GateRefusal: TypeAlias = DisplayProblem | Literal["too_early", "held"]
"""Reason why a key is no answer: the above, the key was pressed before the film was displayed, or the key is held down."""


class FilmWatch(Protocol):
    """The films on the screen, as `ratui.tui.widgets.display_watch.DisplayWatch` records them."""

    def find_display_problem(self) -> DisplayProblem | None:
        """Return why the views do not show films of the joint now; None if they do."""

    def displayed_since(self, places: Collection[int]) -> float | None:
        """Return the time since which all films at `places` (0 left, 1 right) have been displayed.

        Only the present visit of the joint counts. A film that does not show the joint is left out. None if a film was not
        displayed.
        """

    def displayed_resolution(self, places: Collection[int]) -> Resolution | None:
        """Return the best resolution during this visit of the joint on the coarser of the films at `places`, or None."""

    def displayed_films(self, places: Collection[int]) -> tuple[str, ...]:
        """Return the ids of the films at `places` that show the joint, the left one first."""

    @property
    def grey_changes(self) -> tuple[str, ...]:
        """Changes to the grey levels of the films; empty if they are shown as acquired."""


class AnswerGate:
    """Decides whether the present key can be an answer.

    Parameters
    ----------
    watch
        Function that returns the films on the screen. A change of the language makes other widgets with another watch.
    repeats
        The keys that are held down. It has noted the present key.
    key_time
        Function that returns the time at which the present key arrived.
    display
        Function that returns the capabilities of the terminal.
    """

    def __init__(
        self,
        watch: Callable[[], FilmWatch],
        repeats: KeyRepeats,
        key_time: Callable[[], float],
        display: Callable[[], Display],
    ) -> None:
        self._watch = watch
        self._repeats = repeats
        self._key_time = key_time
        self._display = display

    def find_refusal(self, reading: Reading, fields: Collection[Field]) -> GateRefusal | None:
        """Return why the present key cannot fill `fields`, which belong to the joint on the screen; None if it can."""
        if self._repeats.is_held:
            return "held"
        problem = self._watch().find_display_problem()
        if problem is not None:
            return problem
        since = self._watch().displayed_since(_places(reading, fields))
        if since is None:
            return "not_painted"
        if self._key_time() < since + REACTION_SECONDS:
            return "too_early"
        # The run began at another joint: a person would have stopped to look at this one.
        return "held" if self._repeats.run_began < since else None

    def record_display(self, reading: Reading, fields: Collection[Field]) -> DisplayRecord | None:
        """Return the record for the log of an answer that fills `fields`; None if no film shows the joint."""
        places = _places(reading, fields)
        since, resolution = self._watch().displayed_since(places), self._watch().displayed_resolution(places)
        if since is None or resolution is None:
            return None
        display = self._display()
        return DisplayRecord(
            films=tuple(name_film(reading.rater, reading.case, film) for film in self._watch().displayed_films(places)),
            protocol=display.protocol,
            pixels_per_mm=round(resolution.pixels_per_mm, 2),
            is_sufficient=resolution.is_sufficient,
            greys=self._watch().grey_changes,
            seconds=round(self._key_time() - since, 3),
            acknowledged_by=(
                "nothing" if display.round_trip is None else "multiplexer" if display.multiplexer else "terminal"
            ),
        )

    def note_answer(self, number: int) -> None:
        """Record that the present key has made the answer with the number `number` in the log."""
        self._repeats.note_answer(number)


def name_film(rater: str, case: str, film: str) -> str:
    """Return the name in the log of the film with the id `film`, the same for each entry of one rater in one case."""
    key = hashlib.sha256(f"{rater}/{case}".encode()).digest()
    return hashlib.blake2b(film.encode(), digest_size=6, key=key).hexdigest()


def _places(reading: Reading, fields: Collection[Field]) -> set[int]:
    """Return the places of the films of `fields`: 0 left, 1 right."""
    return {reading.order.index(field.time) for field in fields}
