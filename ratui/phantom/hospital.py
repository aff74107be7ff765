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
from ratui.phantom.film import FilmPart, FilmSide, render
from ratui.phantom.truth import PhantomPatient

__all__ = ["WrittenFilm", "write_patient_films"]


@dataclass(frozen=True)
class WrittenFilm:
    """A film that was written: its file, side, time point and part, and the true boxes by site key in pixels."""

    path: Path
    side: FilmSide
    time: int
    boxes: dict[str, Box]
    part: FilmPart = "hand"


def write_patient_films(
    patient: PhantomPatient,
    folder: Path,
    rng: np.random.Generator,
    *,
    name: str,
    dates: Sequence[date] = (date(2020, 3, 2), date(2021, 5, 4)),
    size: tuple[int, int] = (1250, 1024),
    both_hands: bool = False,
    sides: Sequence[FilmSide] = (),
) -> list[WrittenFilm]:
    """Write films of `patient` at the time point of each date, and ``<name>_truth.json``, into `folder`.

    They show both hands, or both feet, or all of them: what the patient's scheme scores.

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
        Dates of the time points, the earliest first; at most as many as the patient has visits.
    size
        (rows, columns) of a film of one hand or foot.
    both_hands
        Write one film of both hands per time point, and one of both feet, with twice the number of columns.
    sides
        Sides of the films; those that the other parameters say if it is empty.

    Returns
    -------
    list of WrittenFilm
        The films, first those of hands, by time point and side.
    """
    folder.mkdir(parents=True, exist_ok=True)
    films = []
    sides = sides or (("B",) if both_hands else ("L", "R"))
    shape = (size[0], 2 * size[1]) if both_hands else size
    scored = {site.joint.part for site in patient.scheme.sites}
    # Feet have a generator of their own, so that the hands do not depend on them.
    generators: dict[FilmPart, np.random.Generator] = {"hand": rng, "foot": rng.spawn(1)[0]}
    for part, own in generators.items():
        if part not in scored:
            continue
        for time, when in enumerate(dates):
            for side in sides:
                film = render(patient, side, time, own, size=shape, part=part)
                inverted = bool(own.random() < 0.15)
                path = folder / f"{name}_{when:%Y%m%d}_{'' if part == 'hand' else 'foot_'}{side}.dcm"
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
                        "StudyDescription": f"SIMULATED {part.upper()}",
                        "BodyPartExamined": part.upper(),
                        "ViewPosition": "PA" if part == "hand" else "AP",
                        "Manufacturer": "ratui phantom",
                    },
                )
                films.append(WrittenFilm(path, side, time, dict(film.boxes), part))
    truth = {
        "severity": patient.severity,
        "age": patient.age,
        "grades": [[*key, grade] for key, grade in patient.grades.items()],
        "findings": [[*key, finding] for key, finding in patient.findings.items()],
        "films": [
            {"file": f.path.name, "part": f.part, "side": f.side, "time": f.time, "boxes": f.boxes} for f in films
        ],
    }
    (folder / f"{name}_truth.json").write_text(json.dumps(truth), encoding="utf-8")
    return films
