"""The gate for answers: a key answers only for films that were displayed before it was pressed.

An entry in a reading states that a person has looked at the joint on the film. A key that was pressed before the film was
painted, or that the keyboard repeats, does not state this. `DisplayWatch` records what was displayed, and `AnswerGate` has
the rule. Both depend on no widget. Times are in seconds of a monotonic clock.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from ratui.reading import DisplayRecord, Field, Reading, TerminalSize
from ratui.terminal import Display, Resolution
from ratui.tui.input.unpressed_keys import KeyRepeats

__all__ = [
    "REACTION_SECONDS",
    "AnswerGate",
    "DisplayProblem",
    "DisplayWatch",
    "ExpectedFilm",
    "GateRefusal",
    "PaintedView",
    "name_acknowledgement",
    "name_film",
]

REACTION_SECONDS = 0.15
"""Seconds between the painting of a film and the first key that can be an answer to it. No person reacts faster."""

DisplayProblem: TypeAlias = Literal["not_painted", "difference"]
"""Reason why a film is not displayed: it is not painted completely, or the difference is shown in its place."""
GateRefusal: TypeAlias = DisplayProblem | Literal["unseen", "too_early", "held"]
"""Reason why a key is no answer: the above, one of more than two films was not displayed yet, the key was pressed before the
film was displayed, or the key is held down."""


class PaintedView(Protocol):
    """A view of a film, such as a `ratui.tui.widgets.film_view.FilmView`."""

    key: Hashable
    """Key of its picture."""
    painted_at: float | None
    """Time at which the terminal had processed the picture; None before that."""
    painted_shrink: int
    """Factor by which the painted picture has fewer pixels in each direction than the view; 1 for all pixels."""


@dataclass(frozen=True)
class ExpectedFilm:
    """A film that a view has to show."""

    view: PaintedView
    """The view."""
    place: int
    """The place of the film, 0 for the leftmost."""
    key: Hashable
    """Key of its picture."""
    resolution: Resolution | None
    """Resolution of the picture; None if unknown."""

    @property
    def is_displayed(self) -> bool:
        """True if the terminal has processed the picture."""
        return self.view.painted_at is not None and self.view.key == self.key


class DisplayWatch:
    """The record of which films of a joint were displayed, since when, and at which resolution.

    The viewer calls `expect` whenever the pictures change, and `note_painted` when a view was painted. A key thus costs no
    computation of viewports.
    """

    def __init__(self) -> None:
        self._site = ""
        self._began = 0.0
        """Time at which the present visit of the joint began."""
        self._expected: Sequence[ExpectedFilm] = ()
        self._films: Mapping[int, str] = {}
        self._is_difference = False
        self._displayed: dict[int, float] = {}
        """By place, the time since which its film was displayed during this visit of the joint."""
        self._best: dict[int, Resolution] = {}
        """By place, the best resolution at which its film was displayed during this visit."""
        self.grey_changes: tuple[str, ...] = ()
        """Changes to the grey levels of the films; empty if they are shown as acquired."""
        self.display: Display | None = None
        """Capabilities of the terminal for which the pictures are made; None before there are any."""
        self.terminal_size: tuple[int, int] | None = None
        """Width and height in characters of the terminal for which the pictures are made; None before there are any."""

    def expect(
        self,
        site: str,
        expected: Sequence[ExpectedFilm],
        films: Mapping[int, str],
        grey_changes: tuple[str, ...] = (),
        *,
        display: Display | None = None,
        terminal_size: tuple[int, int] | None = None,
        is_difference: bool = False,
    ) -> None:
        """Set what has to be on the screen.

        Parameters
        ----------
        site
            Key of the site; empty for none. Another site than before begins another visit.
        expected
            The films that the views have to show.
        films
            The ids of the films that show the site, by place.
        grey_changes
            Changes to their grey levels.
        display
            Capabilities of the terminal for which the pictures are made.
        terminal_size
            Its width and height in characters.
        is_difference
            True if the difference of the films is shown instead of the films.
        """
        if site != self._site:
            self._site, self._began = site, time.monotonic()
            self._displayed.clear()
            self._best.clear()
        self._expected, self._films, self.grey_changes = expected, films, grey_changes
        self.display, self.terminal_size, self._is_difference = display, terminal_size, is_difference
        for film in expected:  # a picture may stay on the screen from before
            self._note(film)

    def note_painted(self, view: PaintedView) -> None:
        """Record that the terminal has processed the picture in `view`."""
        for film in self._expected:
            if film.view is view:
                self._note(film)

    def _note(self, film: ExpectedFilm) -> None:
        if self._is_difference or not film.is_displayed or film.view.painted_at is None:
            return
        self._displayed.setdefault(film.place, max(film.view.painted_at, self._began))
        found, shrink = film.resolution, film.view.painted_shrink
        if found is None:
            return
        if shrink > 1:
            found = Resolution(found.pixels_per_mm / shrink, is_sufficient=False)
        known = [each for each in (self._best.get(film.place), found) if each is not None]
        self._best[film.place] = max(known, key=lambda each: (each.is_sufficient, each.pixels_per_mm))

    def find_display_problem(self) -> DisplayProblem | None:
        """Return why the views do not show films of the joint now; None if they do."""
        if self._is_difference:
            return "difference"
        is_complete = bool(self._expected) and all(film.is_displayed for film in self._expected)
        return None if is_complete else "not_painted"

    def displayed_since(self, places: Collection[int]) -> float | None:
        """Return the time since which all films at `places`, 0 for the leftmost, have been displayed.

        Only the present visit of the joint counts. A film that does not show the joint is left out. None if a film was not
        displayed.
        """
        needed = [place for place in places if place in self._films]
        if any(place not in self._displayed for place in needed):
            return None
        return max((self._displayed[place] for place in needed), default=float("-inf"))

    def displayed_resolution(self, places: Collection[int]) -> Resolution | None:
        """Return the best resolution during this visit of the joint on the coarser of the films at `places`, or None."""
        known = [self._best[place] for place in places if place in self._best]
        return min(known, key=lambda each: (each.is_sufficient, each.pixels_per_mm), default=None)

    def displayed_films(self, places: Collection[int]) -> tuple[str, ...]:
        """Return the ids of the films at `places` that show the joint, the left one first."""
        return tuple(self._films[place] for place in sorted(places) if place in self._films)


class AnswerGate:
    """Decides whether the present key can be an answer.

    Parameters
    ----------
    watch
        The films on the screen.
    repeats
        The keys that are held down. It has noted the present key.
    """

    def __init__(self, watch: DisplayWatch, repeats: KeyRepeats) -> None:
        self._watch = watch
        self._repeats = repeats

    def find_refusal(self, reading: Reading, fields: Collection[Field]) -> GateRefusal | None:
        """Return why the present key cannot fill `fields`, which belong to the joint on the screen; None if it can."""
        return self.find_refusal_at(_places(reading, fields), has_more_films=len(reading.order) > 2)

    def find_refusal_at(self, places: Collection[int], *, has_more_films: bool = False) -> GateRefusal | None:
        """Return why the present key cannot be an answer to the films at `places`, 0 for the leftmost; None if it can.

        `has_more_films` is true if not all films of the joint stand side by side.
        """
        if self._repeats.is_held:
            return "held"
        problem = self._watch.find_display_problem()
        if problem is not None:
            return problem
        since = self._watch.displayed_since(places)
        if since is None:
            # All films that stand side by side are painted. Of more than two, others may wait to be shown.
            return "unseen" if has_more_films else "not_painted"
        if self._repeats.key_time < since + REACTION_SECONDS:
            return "too_early"
        # The run began at another joint: a person would have stopped to look at this one.
        return "held" if self._repeats.run_began < since else None

    def find_unseen_field(self, reading: Reading, fields: Collection[Field]) -> Field | None:
        """Return the first of `fields` whose film was not displayed during this visit of the joint; None if all were."""
        return next((each for each in fields if self._watch.displayed_since(_places(reading, [each])) is None), None)

    def record_display(self, reading: Reading, fields: Collection[Field]) -> DisplayRecord | None:
        """Return the record for the log of an answer that fills `fields`; None if no film shows the joint."""
        places = _places(reading, fields)
        watch, display = self._watch, self._watch.display
        since, resolution = watch.displayed_since(places), watch.displayed_resolution(places)
        if since is None or resolution is None or display is None:
            return None
        return DisplayRecord(
            films=tuple(name_film(reading.rater, reading.case, film) for film in watch.displayed_films(places)),
            protocol=display.protocol,
            pixels_per_mm=round(resolution.pixels_per_mm, 2),
            is_sufficient=resolution.is_sufficient,
            greys=watch.grey_changes,
            seconds=round(self._repeats.key_time - since, 3),
            acknowledged_by=name_acknowledgement(display),
            terminal=None if watch.terminal_size is None else TerminalSize(*watch.terminal_size, *display.cell),
        )

    def note_answer(self, number: int) -> None:
        """Record that the present key has made the answer with the number `number` in the log."""
        self._repeats.note_answer(number)


def name_acknowledgement(display: Display) -> Literal["terminal", "multiplexer", "nothing"]:
    """Return what confirms that `display` has drawn films."""
    return "nothing" if display.round_trip is None else "multiplexer" if display.multiplexer else "terminal"


def name_film(rater: str, case: str, film: str) -> str:
    """Return the name in the log of the film with the id `film`, the same for each entry of one rater in one case."""
    key = hashlib.sha256(f"{rater}/{case}".encode()).digest()
    return hashlib.blake2b(film.encode(), digest_size=6, key=key).hexdigest()


def _places(reading: Reading, fields: Collection[Field]) -> set[int]:
    """Return the places of the films of `fields`, 0 for the leftmost."""
    return {reading.order.index(field.time) for field in fields}
