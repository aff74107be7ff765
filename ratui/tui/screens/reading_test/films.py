"""The two films of a trial as a case of its own, so that the viewer of the scoring screen can show them."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from ratui.imaging import Film, Orientation
from ratui.phantom import PhantomFilm
from ratui.practice.reading_test import Trial
from ratui.study import Case, FilmRecord
from ratui.tui.graphics.viewport import CaseFilms

__all__ = ["TrialFilms"]

_KEPT = 3
"""Number of trials whose films stay in memory."""
_BITS = 12


class TrialFilms:
    """A source of the films of trials."""

    def __init__(self) -> None:
        self._films: OrderedDict[str, tuple[PhantomFilm, ...]] = OrderedDict()
        self._lock = Lock()

    def add(self, trial: Trial) -> CaseFilms:
        """Simulate the films of `trial`, and return them with the boxes of the joints."""
        case = f"{trial.part}-{trial.draw}"
        films = tuple(trial.render(place) for place in (0, 1))
        with self._lock:
            self._films[case] = films
            while len(self._films) > _KEPT:
                self._films.popitem(last=False)
        records = [
            FilmRecord(
                str(place), place, film.side, "hand", film.pixels.shape[0], film.pixels.shape[1], spacing=film.spacing
            )
            for place, film in enumerate(films)
        ]
        boxes = {
            (site, place): (record, box)
            for place, (record, film) in enumerate(zip(records, films, strict=True))
            for site, box in film.boxes.items()
        }
        return CaseFilms(Case(case, tuple(records)), (0, 1), boxes)

    def film(self, case: str, id: str, orientation: Orientation) -> Film:
        """Return the film `id` of the trial `case`; none of them is turned. Raises KeyError for an earlier trial."""
        assert orientation is Orientation.UPRIGHT
        with self._lock:
            film = self._films[case][int(id)]
        return Film(film.pixels, _BITS, spacing=film.spacing)
