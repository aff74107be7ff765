"""Generation of the sample study: ``python -m ratui.demo.make_sample FOLDER [--detector RUN]``.

It is only needed to change the sample study in the package.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import click

from ratui.demo.sample import SAMPLE_RATER, TRUTH_FILE, format_known_grades
from ratui.demo.simulate import Simulation, simulate_study
from ratui.practice.truth import truth_from_patient

__all__ = ["main"]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--detector", type=click.Path(path_type=Path), help="Run that proposes regions, or: shipped.")
@click.option("--seed", default=7, show_default=True)
def main(folder: Path, detector: Path | None, seed: int) -> None:
    """Generate a study of four simulated patients, and beside it the file with their true grades.

    All raters have read two of them; the rater has yet to read one; no rater has read the last.
    """
    raters = {SAMPLE_RATER: "shared-shift", "ada": "threshold", "ben": "mixed"}
    simulation = Simulation(4, raters, size=(800, 656), seed=seed, title="Sample: phantom hands")
    with tempfile.TemporaryDirectory() as keys:
        unread = {SAMPLE_RATER: 2, "ada": 1, "ben": 1}
        simulated = simulate_study(
            folder, simulation, key=Path(keys) / "key.json", progress=lambda *_: None, unread=unread
        )
    study = simulated.study
    truth = {
        case: truth_from_patient(patient, study.case(case).sites(study.scheme))
        for case, patient in simulated.patients.items()
    }
    folder.with_name(TRUTH_FILE).write_text(format_known_grades(truth, study.scheme), encoding="utf-8")
    if detector is not None:
        subprocess.run(
            [sys.executable, "-m", "trainer", "propose", folder, "--detector", detector, "--name", "phantom-ssd"],
            check=True,
        )
    for leftover in (each for kind in ("lock", "bak", "takeover") for each in folder.rglob(f"*.{kind}")):
        leftover.unlink()


if __name__ == "__main__":
    main()
