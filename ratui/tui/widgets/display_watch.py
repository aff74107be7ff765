"""The record of which films of a joint were displayed, since when, and at which resolution."""

from __future__ import annotations

import time
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass

from ratui.terminal import Resolution
from ratui.tui.entry.answer_gate import DisplayProblem
from ratui.tui.widgets.film_view import FilmView

__all__ = ["DisplayWatch", "ExpectedFilm"]


@dataclass(frozen=True)
class ExpectedFilm:
    """A film that a view has to show."""

    view: FilmView
    """The view."""
    place: int
    """The film: 0 the left, 1 the right."""
    key: Hashable
    """Key of its picture."""
    resolution: Resolution | None
    """Resolution of the picture; None if unknown."""

    @property
    def is_displayed(self) -> bool:
        """True if the terminal has processed the picture."""
        return self.view.painted_at is not None and self.view.key == self.key


class DisplayWatch:
    """The films of one joint on the screen, as an `AnswerGate` asks for them.

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

    def expect(
        self,
        site: str,
        expected: Sequence[ExpectedFilm],
        films: Mapping[int, str],
        grey_changes: tuple[str, ...] = (),
        *,
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
        is_difference
            True if the difference of the films is shown instead of the films.
        """
        if site != self._site:
            self._site, self._began = site, time.monotonic()
            self._displayed.clear()
            self._best.clear()
        self._expected, self._films, self.grey_changes = expected, films, grey_changes
        self._is_difference = is_difference
        for film in expected:  # a picture may stay on the screen from before
            self._note(film)

    def note_painted(self, view: FilmView) -> None:
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

    # The answers of `FilmWatch`.

    def find_display_problem(self) -> DisplayProblem | None:
        """Return why the views do not show films of the joint now; None if they do."""
        if self._is_difference:
            return "difference"
        is_complete = bool(self._expected) and all(film.is_displayed for film in self._expected)
        return None if is_complete else "not_painted"

    def displayed_since(self, places: Collection[int]) -> float | None:
        """Return the time since which all films at `places` have been displayed, as `FilmWatch` describes it."""
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
