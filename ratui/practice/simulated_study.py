"""A study of simulated patients for practice and for examinations: films, confirmed regions, and no readings."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from ratui.errors import StudyError
from ratui.files import temporary_folder
from ratui.imaging import Box
from ratui.phantom import FilmSide, WrittenFilm, simulate_patient, write_patient_films
from ratui.practice.truth import Truth, truth_from_patient
from ratui.scheme import Scheme
from ratui.study import Case, InProcessConverter, KeyFile, Region, RegionSource, Study, import_films
from ratui.study.campaign.charter_changes import set_charter

__all__ = [
    "ProgressCallback",
    "SimulatedCases",
    "create_simulated_study",
    "import_written_films",
    "save_true_boxes",
]

ProgressCallback = Callable[[str, int, int], None]
"""Function called with (stage, done, total)."""
_FIRST, _INTERVAL = date(2012, 3, 5), timedelta(364)
"""Date of the first visit of every patient, and the time between two visits."""


@dataclass(frozen=True)
class SimulatedCases:
    """Parameters of the cases.

    Attributes
    ----------
    cases
        Number of cases; each is another patient.
    seed
        Seed of everything that is drawn. It determines the truth.
    is_one_sided
        True to show one hand or foot of each patient, drawn at random; otherwise both sides.
    severity
        Severity of every disease, 1 is usual and 0 healthy; drawn for each patient if None.
    size
        (rows, columns) of a film in pixels.
    visits
        Number of visits of each patient, 1 to 8.
    visit_names
        Names of the visits; those of a study without a charter if it is empty.
    """

    cases: int
    seed: int
    is_one_sided: bool = False
    severity: float | None = None
    size: tuple[int, int] = (1250, 1024)
    visits: int = 2
    visit_names: tuple[str, ...] = ()


def create_simulated_study(
    path: Path,
    scheme: Scheme | str,
    raters: Sequence[str],
    simulated: SimulatedCases,
    *,
    title: str,
    blinded: bool = False,
    group: str = "",
    managers: str = "",
    progress: ProgressCallback,
) -> tuple[Study, Truth]:
    """Create a study of simulated patients in the folder `path`, and return it with the truth, which it does not contain.

    `group` is the Unix group that shares the study, and `managers` that of its managers; both are empty for none.
    Raises StudyError or SchemeError if the study cannot be created.
    """
    study = Study.create(path, scheme, raters, title=title, blinded=blinded, group=group, managers=managers)
    if simulated.visit_names:
        set_charter(study, {"visits": list(simulated.visit_names)}, title)
    seeds = np.random.SeedSequence(simulated.seed).spawn(simulated.cases)
    dates = [_FIRST + time * _INTERVAL for time in range(simulated.visits)]
    patients, written = [], []
    with temporary_folder("ratui-practice-") as scratch:
        films, key = scratch / "films", scratch / "key.json"
        KeyFile.create(key, secret=secrets.token_bytes(32)).save(study)
        for number, seed in enumerate(seeds):
            progress("drawing films", number, len(seeds))
            rng = np.random.default_rng(seed)
            patients.append(simulate_patient(rng, study.scheme, severity=simulated.severity, visits=simulated.visits))
            sides: tuple[FilmSide, ...] = (("L", "R")[int(rng.integers(2))],) if simulated.is_one_sided else ("L", "R")
            written.append(
                write_patient_films(
                    patients[-1], films, rng, name=f"{number:04d}", dates=dates, size=simulated.size, sides=sides
                )
            )
        progress("drawing films", len(seeds), len(seeds))
        visits = max(2, simulated.visits)
        names = import_written_films(study, films, written, key=key, progress=progress, visits=visits)
    truth = {}
    for name, patient, own in zip(names, patients, written, strict=True):
        case = study.case(name)
        save_true_boxes(study, case, own, raters[0])
        truth[case.id] = truth_from_patient(patient, case.sites(study.scheme))
    return study, truth


def import_written_films(
    study: Study,
    folder: Path,
    written: Sequence[Sequence[WrittenFilm]],
    *,
    key: Path,
    progress: ProgressCallback,
    visits: int | None = None,
) -> list[str]:
    """Import the films of simulated patients, and return the name of the case of each patient.

    Parameters
    ----------
    study, folder
        The study, and the folder with the films.
    written
        The films of each patient.
    key
        File with the key to the pseudonyms.
    progress
        Called with (stage, done, total).
    visits
        Largest number of visits of a patient, as for `import_films`.

    Raises
    ------
    StudyError
        If a film cannot be stored.
    """
    report = import_films(
        study,
        [folder],
        key=key,
        progress=lambda done, total: progress("importing films", done, total),
        converter=InProcessConverter(),
        visits=visits,
    )
    films = {film.path for own in written for film in own}
    for rejected in (each for each in report.rejected if each.path in films):  # valid films, so the disk is full
        raise StudyError(f"a simulated film can't be imported: {rejected.reason}", study.path, "Free some disk space")
    names = {film.path: film.case for film in report.imported}
    return [names[own[0].path] for own in written]


def save_true_boxes(
    study: Study,
    case: Case,
    written: Sequence[WrittenFilm],
    rater: str,
    vary: Callable[[Box], Box] = lambda box: box,
) -> None:
    """Save the true boxes of the joints, each changed by `vary`, as confirmed by `rater`."""
    films = {(film.number, film.side, study.scheme.views[film.view].part): film.id for film in case.films}
    known = {site.key for site in case.sites(study.scheme)}
    regions = [
        Region(site, films[film.time, film.side, film.part], vary(box), RegionSource.RATER, rater)
        for film in written
        for site, box in film.boxes.items()
    ]
    study.save_regions(case.id, [region for region in regions if region.site in known])
