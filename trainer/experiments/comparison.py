"""Comparison of recipes: simulate the patients once, train the missing cells, and report the table.

Each cell is a file. So an interrupted comparison can continue, and several processes can fill one table.
"""

from __future__ import annotations

import fcntl
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from ratui.errors import TrainError, clean_text
from trainer.experiments.arms import Budget, Cell, make_cells
from trainer.experiments.cells import AUGMENTED_COPIES, TrunkFeatures, run_cell, save_cell
from trainer.experiments.cohort import Cohort, load_cohort
from trainer.experiments.comparison_table import collect_errors, format_report
from trainer.experiments.learning_curve import StudyGrowth, compute_curve
from trainer.experiments.shared_trunk import extract_trunk_features, load_trunk, train_trunk, trunk_digest
from trainer.inference.decisions import DECISIONS, DEFAULT_DECISION
from trainer.training.loop import load_checkpoint, save_checkpoint

__all__ = ["Comparison", "parse_part", "run_comparison", "run_growth"]

TRAIN, TEST, TRUNK = 11, 77, 55
"""Numbers of the cohorts to train on, to measure on, and to train a fixed trunk on."""

_KNOWN = ", ".join(DECISIONS)
_TRUNK = "trunk.pt"
_TRUNK_UNFINISHED = "the trunk is not finished; run the command again to continue"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Comparison:
    """Settings of a comparison.

    Attributes
    ----------
    arms, kinds, sizes, seeds
        Recipes, kinds of raters, numbers of training patients, and trainings of each cell.
    budget
        Settings that all cells share.
    trunk_steps, trunk_patients
        If `trunk_steps` is not 0, the network's trunk is trained once, in so many steps, on `trunk_patients` other patients,
        and is then the same for all cells.
    part
        The part of the cells that this process trains: its number, and the number of parts.
    seconds
        Stop after this time; None for no limit.
    decision
        Decision whose errors the table shows.
    test
        Number of the cohort to measure on. Recipes that were chosen on one cohort should be measured on another.
    """

    arms: Sequence[str]
    kinds: Sequence[str]
    sizes: Sequence[int]
    seeds: int = 3
    budget: Budget = field(default_factory=Budget)
    trunk_steps: int = 0
    trunk_patients: int = 240
    part: tuple[int, int] = (0, 1)
    seconds: float | None = None
    decision: str = DEFAULT_DECISION
    test: int = TEST


def run_comparison(comparison: Comparison, out: Path, progress: Progress) -> str:
    """Train the missing cells of this part in the folder `out`, and return the table of all finished cells as Markdown.

    Raises TrainError.
    """
    if comparison.decision not in DECISIONS:
        raise TrainError(
            f"there is no decision named {clean_text(comparison.decision)}", "--decision", f"Take one of {_KNOWN}"
        )
    # One thread gives the same result every time, and parallel processes share the cores.
    torch.set_num_threads(1)
    until = time.monotonic() + comparison.seconds if comparison.seconds is not None else float("inf")
    wanted = make_cells(comparison.arms, comparison.kinds, comparison.sizes, comparison.seeds)
    prepared = _prepare_shared_data(comparison, out, progress, until)
    if prepared is None:
        return _TRUNK_UNFINISHED
    trunk = trunk_digest(out / _TRUNK) if comparison.trunk_steps else ""
    measured_on = "" if comparison.test == TEST else f" on {comparison.test}"
    names = [cell.file_name(comparison.budget, trunk + measured_on) for cell in wanted]
    mine = list(zip(wanted, names, strict=True))[comparison.part[0] :: comparison.part[1]]
    missing = [(cell, name) for cell, name in mine if not (out / "cells" / name).exists()]
    _run_cells(missing, prepared, comparison.budget, out / "cells", until, progress)
    found = collect_errors(out / "cells", wanted, names)
    finished = sum((out / "cells" / name).exists() for name in names)
    table = format_report(found, comparison.decision) if found else ""
    return f"{table}\n{finished} of {len(wanted)} cells are finished.\n"


def run_growth(comparison: Comparison, growth: StudyGrowth, out: Path, progress: Progress) -> str:
    """Return the learning curves of two reading orders as Markdown, on the comparison's patients and fixed trunk.

    Raises TrainError, also if `comparison` has no trunk: each round would have to train its own.
    """
    torch.set_num_threads(1)
    until = time.monotonic() + comparison.seconds if comparison.seconds is not None else float("inf")
    if not comparison.trunk_steps:
        raise TrainError("a learning curve needs a fixed trunk", "--trunk-steps", "Give as many steps as for compare")
    prepared = _prepare_shared_data(comparison, out, progress, until)
    if prepared is None or prepared.trunk_features is None:
        return _TRUNK_UNFINISHED
    return compute_curve(
        growth, prepared.train, prepared.test, comparison.budget, prepared.trunk_features, out / "curves", progress
    )


@dataclass(frozen=True)
class _SharedData:
    """The patients to train on and to measure on, and their features if there is a fixed trunk."""

    train: Cohort
    test: Cohort
    trunk_features: TrunkFeatures | None


def _prepare_shared_data(comparison: Comparison, out: Path, progress: Progress, until: float) -> _SharedData | None:
    """Return the data that all cells share. One process makes it while the others wait for the lock.

    None if the trunk is not finished at the time `until`.
    """
    samples, path = out / "cohorts", out / _TRUNK
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / ".preparing").open("w")
    except OSError as error:
        raise TrainError(f"can't be written: {error.strerror}", out, "Give another --out") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if comparison.trunk_steps and not _ensure_trunk(comparison, path, samples, progress, until):
            return None
        train = load_cohort(max(comparison.sizes), TRAIN, samples, progress)
        test = load_cohort(comparison.budget.patients, comparison.test, samples, progress)
        trunk_features = (
            _load_trunk_features(path, train, test, comparison, progress) if comparison.trunk_steps else None
        )
    return _SharedData(train, test, trunk_features)


def _ensure_trunk(comparison: Comparison, path: Path, samples: Path, progress: Progress, until: float) -> bool:
    """Train the trunk if it is not there; return True if it is finished."""
    if path.exists() and int(load_checkpoint(path).get("step", 0)) >= comparison.trunk_steps:
        return True
    plan = replace(comparison.budget, steps=comparison.trunk_steps, batch=128, rate=2e-3)
    people = load_cohort(comparison.trunk_patients, TRUNK, samples, progress)
    return train_trunk(people, plan, path, progress, until=until)


def _load_trunk_features(
    trunk: Path, train: Cohort, test: Cohort, comparison: Comparison, progress: Progress
) -> TrunkFeatures:
    """Return the trunk's features of both cohorts. They are computed once and stored beside the trunk."""
    budget = comparison.budget
    counts = f"{len(train.crops)} {len(test.crops)} {budget.pixels} {AUGMENTED_COPIES} {comparison.test}"
    identity = f"{trunk_digest(trunk)} {counts}"
    path = trunk.with_name(f"views-{hashlib.sha256(identity.encode()).hexdigest()[:12]}.pt")
    if path.exists():
        kept = load_checkpoint(path)["model"]
        return TrunkFeatures(kept["train"], kept["test"])
    trunk_features = extract_trunk_features(load_trunk(trunk, budget), train, test, budget, progress)
    save_checkpoint(path, {"model": {"train": trunk_features.train, "test": trunk_features.test}})
    return trunk_features


def _run_cells(
    missing: Sequence[tuple[Cell, str]],
    shared: _SharedData,
    budget: Budget,
    folder: Path,
    until: float,
    progress: Progress,
) -> None:
    for number, (cell, name) in enumerate(missing):
        if time.monotonic() > until:
            return
        progress(f"{cell.arm}, {cell.kind}, {cell.size} patients, seed {cell.seed}", number, len(missing))
        if (folder / name).exists():  # another process has trained it in the meantime
            continue
        trunk_features = shared.trunk_features
        if trunk_features is not None:
            trunk_features = TrunkFeatures(
                trunk_features.train[:, : len(shared.train.head(cell.size).crops)], trunk_features.test
            )
        save_cell(folder / name, run_cell(cell, shared.train, shared.test, budget, trunk_features))


def parse_part(text: str) -> tuple[int, int]:
    """Return part and number of parts from `text`, (3, 8) from ``3/8``. Parts count from 0. Raises TrainError."""
    first, _, of = text.partition("/")
    try:
        part = int(first), int(of)
    except ValueError:
        part = (-1, 0)
    if not 0 <= part[0] < part[1]:
        raise TrainError(f"{text} is not a part", "--part", "Give I/N, counted from 0: 0/8 to 7/8")
    return part
