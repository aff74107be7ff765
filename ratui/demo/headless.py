"""The whole process without a user: simulated study and readings, training of both models, report and proposals.

The trainer runs as a separate program, as on the command line, because ratui must not import it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from ratui.demo.simulate import Simulation, simulate_study
from ratui.errors import StudyError
from ratui.practice.simulated_study import ProgressCallback
from ratui.train_program import find_conflict

__all__ = ["run_demo"]

RATERS = {"ada": "shared-shift", "ben": "threshold", "cho": "mixed"}
"""Kind of rater in `ratui.phantom.RATERS` by rater ID."""
_UNREAD_CASES = 4
"""Number of cases that no rater reads; the detector proposes their regions."""


def run_demo(folder: Path, *, patients: int, minutes: float, seed: int, progress: ProgressCallback) -> str:
    """Run all steps into a new folder and return a summary with the paths of the results.

    Parameters
    ----------
    folder
        Folder to create; it may exist if it is empty.
    patients
        Number of patients to train and evaluate on, 8 or more.
    minutes
        Training time of both models together.
    seed
        Seed of patients, raters and training.
    progress
        Called with (stage, done, total).

    Raises
    ------
    StudyError
        If the trainer is not installed, an argument is invalid, or a step fails.
    """
    folder = Path(folder)
    if find_spec("torch") is None or find_spec("torchvision") is None:
        raise StudyError("the trainer is not installed", "ratui demo --headless", "pip install 'ratui[train]'")
    if conflict := find_conflict():
        raise StudyError(conflict, "ratui demo --headless", "Install ratui in an environment of its own")
    if patients < 8:
        raise StudyError(f"{patients} patients are too few to train and to evaluate", "--patients", "Take 8 or more")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StudyError("the folder is not empty", folder, "Choose a new folder")
    begun = time.monotonic()
    simulation = Simulation(patients + _UNREAD_CASES, RATERS, seed=seed)
    study, runs, report = folder / "study", folder / "study" / "models", folder / "report"
    simulate_study(
        study, simulation, key=folder / "key.json", progress=progress, unread=dict.fromkeys(RATERS, _UNREAD_CASES)
    )
    seconds = 60 * minutes
    common = ("--seed", str(seed))
    detector, scorer = str(runs / "detector"), str(runs / "scorer")
    # Start from the detector in the package: a few minutes are not enough to train one from scratch.
    start = ("--weights", "shipped", "--rate", "0.001")
    _trainer("detector", str(study), "--out", detector, "--seconds", f"{0.5 * seconds:.0f}", *start, *common)
    _trainer("scorer", str(study), "--out", scorer, "--seconds", f"{0.5 * seconds:.0f}", *common)
    _trainer(
        "evaluate", str(study), "--detector", detector, "--scorer", scorer, "--out", str(report), "--to-study", *common
    )
    _trainer("propose", str(study), "--detector", detector, "--name", "detector")
    elapsed = time.monotonic() - begun
    return (
        f"\ndone in {elapsed / 60:.1f} minutes\n"
        f"report     {report / 'report.html'} (in ratui: Ctrl-E on the worklist)\n"
        f"study      {study} ({_UNREAD_CASES} cases are unread, with proposed regions: ratui read {study} --rater ada)\n"
    )


def _trainer(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "trainer", *arguments], check=False)
    if done.returncode:
        raise StudyError(
            f"ratui-train {arguments[0]} ended with code {done.returncode}", arguments[1], "See its message above"
        )
