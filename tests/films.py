"""Small films and studies for tests: real DICOM files that are quick to create and imported by the usual way."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from ratui.imaging import write_film
from ratui.regions.initial import make_initial_regions
from ratui.scheme import Scheme
from ratui.study import Case, InProcessConverter, Region, Study, import_films

SIZE = (240, 200)


def real_films() -> Path | None:
    """Return the folder of real films beside the checkout, or None."""
    folders = (parent / "shared" / "data" for parent in Path(__file__).resolve().parents)
    return next((folder for folder in folders if folder.is_dir()), None)


def film_file(
    path: Path, *, patient: str = "P1", day: str = "20200302", side: str = "L", seed: int = 0, **more: object
) -> Path:
    """Write a DICOM film of noise and a bright bar."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 900, SIZE).astype(np.uint16)
    pixels[60:180, 80:120] += 2500
    path.parent.mkdir(parents=True, exist_ok=True)
    attributes = {"PatientID": patient, "PatientName": f"Doe^{patient}", "StudyDate": day, **more}
    write_film(path, pixels, spacing=(0.8, 0.8), laterality=side, attributes=attributes)
    return path


def hospital(folder: Path, patients: int = 1, sides: str = "LR") -> Path:
    """Create a folder with films of both time points."""
    for patient in range(patients):
        for time, day in enumerate(("20200302", "20210504")):
            for side in sides:
                name = f"P{patient}"
                seed = 100 * patient + 10 * time + ord(side)
                film_file(folder / f"{name}_{time}_{side}.dcm", patient=name, day=day, side=side, seed=seed)
    return folder


def without_pairs(case: Case) -> Case:
    """Return `case` with one film at each time point, of different sides, so that it can't be read."""
    first, last = case.films[0], case.films[-1]
    return replace(case, films=(first, last if last.side != first.side else replace(last, side="R")))


def make_study(
    tmp_path: Path,
    *,
    scheme: Scheme | str = "fingers",
    raters: tuple[str, ...] = ("anna", "bert"),
    blinded: bool = False,
    patients: int = 1,
    sides: str = "LR",
    regions: bool = True,
) -> Study:
    """Create a study with imported films and, by default, confirmed boxes of the template; films and key are beside it.

    One study of each kind is created and then copied, because an import takes most of the time of many tests.
    """
    shutil.copytree(_made_study(scheme, raters, blinded, patients, sides, regions), tmp_path, dirs_exist_ok=True)
    return Study.open(tmp_path / "study")


@cache
def _made_study(
    scheme: Scheme | str, raters: tuple[str, ...], blinded: bool, patients: int, sides: str, regions: bool
) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="ratui-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    study = Study.create(folder / "study", scheme, raters, blinded=blinded)
    films = hospital(folder / "hospital", patients, sides)
    import_films(study, [films], key=folder / "key.json", converter=InProcessConverter())
    if regions:
        for case in study.cases():
            confirm_template(study, case, raters[0])
    return folder


def exchange_positions(study: Study, case: str, rater: str, order: tuple[int, int]) -> None:
    """Show the time points of `case` to `rater` in the given order, instead of the order that was drawn."""
    positions = dict(study.positions(case))
    if study.order(rater, case) != order:
        positions[rater] = positions[rater][::-1]
        study.save_case(study.case(case), positions=positions)


def confirm_template(study: Study, case_id: str, rater: str) -> None:
    """Confirm the template's boxes on every film of a case."""
    case = study.case(case_id)
    found = []
    for film in case.films:
        sites = [s for s in case.sites(study.scheme) if s.side in film.sides]
        regions = make_initial_regions(study.scheme, film, sites, confirmed={}, proposed={}, other={})
        found += [Region(r.site, r.film, r.box, r.source, rater) for r in regions.values()]
    study.save_regions(case_id, found)
