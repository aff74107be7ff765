"""Small studies of one case with any number of visits, without an import, for tests of the screens."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from ratui.imaging import write_film
from ratui.study import Case, FilmRecord, Study
from tests.films import SIZE, confirm_template

CASE = "C-1"


def make_visits(
    tmp_path: Path,
    visits: int,
    *,
    sides: str = "L",
    blinded: bool = False,
    missing: Collection[tuple[int, str]] = (),
) -> Study:
    """Return a study of finger joints with one case, whose boxes are confirmed.

    `missing` are the visits and sides without a film.
    """
    study = Study.create(tmp_path / "visits", "fingers", ["anna"], blinded=blinded)
    films = []
    for time in range(visits):
        for side in sides:
            if (time, side) not in missing:
                pixels = np.random.default_rng(ord(side)).integers(0, 900, SIZE).astype(np.uint16)
                pixels[60:180, 80:120] += 2500 + 100 * time  # alike, so that they can be aligned
                path = study.film_path(CASE, f"film{time}{side}")
                path.parent.mkdir(parents=True, exist_ok=True)
                write_film(path, pixels, spacing=(0.8, 0.8))
                films.append(FilmRecord(path.stem, time, side, "hand", *SIZE, 365 * time, (0.8, 0.8)))
    study.save_case(Case(CASE, tuple(films)))
    confirm_template(study, CASE, "anna")
    return study
