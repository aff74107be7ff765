"""The whole loop without a person: phantom study, simulated readings, both models, report, proposals.

The trainer runs as a program of its own, just as an engineer would call it; nothing of it is imported here.
"""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from ratui.demo.simulate import ProgressCallback, Simulation, simulate_study
from ratui.errors import StudyError

__all__ = ["run_demo"]

RATERS = {"ada": "shared-shift", "ben": "threshold", "cho": "mixed"}
_UNREAD_CASES = 4
"""Cases that nobody has read: what the proposals are for."""


def run_demo(folder: Path, *, patients: int, minutes: float, seed: int, progress: ProgressCallback) -> str:
    """Runs everything into `folder`; returns where things are. Raises StudyError, also where a step of it fails."""
    folder = Path(folder)
    if find_spec("torch") is None or find_spec("torchvision") is None:
        raise StudyError("the trainer is not installed", "ratui demo --headless", "pip install 'ratui[train]'")
    if patients < 8:
        raise StudyError(
            f"{patients} patients are too few to learn from and to hold out", "--patients", "Take 8 or more"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StudyError("there is something already", folder, "Choose a new folder")
    begun = time.monotonic()
    simulation = Simulation(patients + _UNREAD_CASES, RATERS, seed=seed)
    study, runs, report = folder / "study", folder / "study" / "models", folder / "report"
    simulate_study(
        study, simulation, key=folder / "key.json", progress=progress, unread=dict.fromkeys(RATERS, _UNREAD_CASES)
    )
    seconds = 60 * minutes
    common = ("--seed", str(seed))
    detector, scorer = str(runs / "detector"), str(runs / "scorer")
    # From the detector that comes with ratui: minutes are too few to learn from scratch what a hand is.
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
            f"ratui-train {arguments[0]} ended with code {done.returncode}", arguments[1], "Its message stands above"
        )
