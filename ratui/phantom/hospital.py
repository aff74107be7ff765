"""Simulated films as a hospital sends them: DICOM files with a name, dates and a side.

The names are invented and say so. The truth is written beside the films, never into them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from ratui.imaging import Box, write_film
from ratui.phantom.film import FilmSide, render
from ratui.phantom.truth import PhantomPatient

__all__ = ["WrittenFilm", "write_patient_films"]


@dataclass(frozen=True)
class WrittenFilm:
    """A film on disk: its file, its content, and the true boxes by site key in pixels."""

    path: Path
    side: FilmSide
    time: int
    boxes: dict[str, Box]


def write_patient_films(
    patient: PhantomPatient,
    folder: Path,
    rng: np.random.Generator,
    *,
    name: str,
    dates: Sequence[date] = (date(2020, 3, 2), date(2021, 5, 4)),
    size: tuple[int, int] = (1250, 1024),
    both_hands: bool = False,
) -> list[WrittenFilm]:
    """Write both hands of `patient` at both time points into `folder`, with ``truth.json`` beside them.

    A film has `size` (rows, columns). With `both_hands` one film shows both hands, twice as wide.
    """
    folder.mkdir(parents=True, exist_ok=True)
    films = []
    sides: tuple[FilmSide, ...] = ("B",) if both_hands else ("L", "R")
    shape = (size[0], 2 * size[1]) if both_hands else size
    for time, when in enumerate(dates):
        for side in sides:
            film = render(patient, side, time, rng, size=shape)
            inverted = bool(rng.random() < 0.15)
            path = folder / f"{name}_{when:%Y%m%d}_{side}.dcm"
            write_film(
                path,
                4095 - film.pixels if inverted else film.pixels,
                spacing=film.spacing,
                laterality=side,
                inverted=inverted,
                attributes={
                    "PatientName": f"PHANTOM^{name}",
                    "PatientID": f"PHANTOM-{name}",
                    "StudyDate": f"{when:%Y%m%d}",
                    "StudyDescription": "SIMULATED HAND",
                    "Manufacturer": "ratui phantom",
                },
            )
            films.append(WrittenFilm(path, side, time, dict(film.boxes)))
    truth = {
        "severity": patient.severity,
        "age": patient.age,
        "grades": [[*key, grade] for key, grade in patient.grades.items()],
        "findings": [[*key, finding] for key, finding in patient.findings.items()],
        "films": [{"file": f.path.name, "side": f.side, "time": f.time, "boxes": f.boxes} for f in films],
    }
    (folder / f"{name}_truth.json").write_text(json.dumps(truth), encoding="utf-8")
    return films
