"""Simulated films as files of a hospital: DICOM with a name, dates and a side, ready for import.

The names are marked as simulated. The truth is written to a separate file, not into the films.
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
    """A film that was written: its file, side and time point, and the true boxes by site key in pixels."""

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
    """Write films of both hands of `patient` at both time points, and ``<name>_truth.json``, into `folder`.

    Parameters
    ----------
    patient
        The patient.
    folder
        Folder to write to; it is created if needed.
    rng
        Generator of pose, exposure and noise.
    name
        Beginning of the file names, and part of the patient's name and ID in the films.
    dates
        Dates of the two time points.
    size
        (rows, columns) of a film of one hand.
    both_hands
        Write one film of both hands per time point, with twice the number of columns.

    Returns
    -------
    list of WrittenFilm
        The films, by time point and side.
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
