"""A study of one phantom patient with known true boxes, for tests of the propagation and proposal of boxes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ratui.imaging import Box, write_film
from ratui.phantom import PhantomFilm, PhantomPatient, render, simulate_patient
from ratui.scheme import load_scheme
from ratui.study import Case, FilmRecord, Region, RegionSource, Study

SIZE = (640, 525)


@dataclass(frozen=True)
class PhantomCase:
    """A study with one case; `truth` contains the true box by film id and site."""

    study: Study
    case: Case
    truth: Mapping[str, Mapping[str, Box]]

    def film(self, time: int, side: str) -> FilmRecord:
        return next(film for film in self.case.films if film.time == time and film.side == side)

    def confirm(self, *films: FilmRecord, by: str = "anna") -> None:
        """Confirm the true boxes of `films`."""
        scheme = self.study.scheme
        keys = {site.key for site in self.case.sites(scheme)}
        regions = [
            Region(key, film.id, box, RegionSource.RATER, by)
            for film in films
            for key, box in self.truth[film.id].items()
            if key in keys
        ]
        self.study.save_regions(self.case.id, [*self.study.regions(self.case.id), *regions])

    def distances_from_truth(self, film: FilmRecord, regions: Mapping[str, Region]) -> list[float]:
        """Return the distance of each box of `regions` on `film` from the true box, in box widths."""
        found = []
        for key, region in regions.items():
            if region.box is not None:
                true = self.truth[film.id][key]
                dx, dy = ((region.box[i] + region.box[i + 2] - true[i] - true[i + 2]) / 2 for i in (0, 1))
                found.append(float(np.hypot(dx, dy)) / (true[2] - true[0]))
        return found


def _patient(seed: int) -> PhantomPatient:
    return simulate_patient(np.random.default_rng([91, seed]), load_scheme("mtss-hands"), severity=0.6)


@cache
def _both(seed: int, time: int) -> PhantomFilm:
    rng = np.random.default_rng([92, seed, time, ord("B")])
    return render(_patient(seed), "B", time, rng, size=(SIZE[0], 2 * SIZE[1]))


@cache
def _films(seed: int) -> dict[tuple[int, str], PhantomFilm]:
    who = _patient(seed)
    return {
        (time, side): render(who, side, time, np.random.default_rng([92, seed, time, ord(side)]), size=SIZE)  # type: ignore[arg-type]
        for time in (0, 1)
        for side in ("L", "R")
    }


def phantom_case(
    tmp_path: Path, *, both: bool = False, swapped: bool = False, seed: int = 5, scheme: str = "fingers"
) -> PhantomCase:
    """Return a case with a film for each hand and time point.

    With `both` each time point has one film of both hands; with `swapped` the hands change places on the later film.
    How similar the two hands are depends on `seed`: for some patients no box can be propagated to the other hand.
    """
    study = Study.create(tmp_path / "phantom", scheme, ["anna"])
    films = _films(seed)
    records, truth = [], {}
    for time in (0, 1):
        if both and swapped and time == 1:
            left, right = films[time, "R"], films[time, "L"]
            pixels = np.hstack([left.pixels, right.pixels])
            boxes = dict(left.boxes)
            for key, box in right.boxes.items():
                boxes[key] = box.shift(left.pixels.shape[1], 0)
            shown = [("B", pixels, boxes, left.spacing)]
        elif both:
            film = _both(seed, time)
            shown = [("B", film.pixels, dict(film.boxes), film.spacing)]
        else:
            shown = [(s, films[time, s].pixels, dict(films[time, s].boxes), films[time, s].spacing) for s in "LR"]
        for side, pixels, boxes, spacing in shown:
            id = f"film{time}{side}"
            path = study.film_path("C-1", id)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_film(path, pixels, spacing=spacing)
            records.append(FilmRecord(id, time, side, "hand", *pixels.shape, 400 * time, spacing))
            truth[id] = boxes
    case = Case("C-1", tuple(records))
    study.save_case(case)
    return PhantomCase(study, case, truth)
