"""Studies for tests of the worklist, and what is selected there."""

from dataclasses import replace
from pathlib import Path

from textual.pilot import Pilot

from ratui.study import Study
from tests.films import make_study
from tests.tui.conftest import rows


def study_of(tmp_path: Path, patients: int, *, blinded: bool = False) -> Study:
    return make_study(tmp_path, patients=patients, blinded=blinded, sides="L")


def study_of_many(tmp_path: Path, count: int) -> Study:
    """Create a study of `count` cases with records but without films."""
    study = study_of(tmp_path, 1)
    (first,) = study.cases()
    model = study.case(first)
    for number in range(1, count):
        study.save_case(replace(model, id=f"X-{number:04d}"))
    return study


def selected(pilot: Pilot[None]) -> str:
    """Return the name of the case under the cursor."""
    (line,) = [line for line in rows(pilot) if line.startswith("▸")]
    return line[1:].split()[0]
