"""Runs a comparison: draws the patients once, fills the cells that are still empty, and tells the table.

A cell is a file, so a comparison goes on where it was cut off, and many processes fill one table side by side.
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
"""The cohorts' numbers: patients to learn from, to measure on, and those that a fixed trunk has seen."""

_KNOWN = ", ".join(DECISIONS)
_TRUNK = "trunk.pt"
_LEARNING = "the trunk is still learning; run it again to go on"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Comparison:
    """What is asked for. `part` is (which, of how many) for processes side by side; `seconds` when to stop, if ever.

    `test` numbers the cohort to measure on: recipes that were chosen on one are to be held against another.

    With `trunk_steps` the trunk is learnt once, in that many steps, from `trunk_patients` other patients, and held fixed.
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


def run_comparison(what: Comparison, out: Path, progress: Progress) -> str:
    """Fills this part's empty cells in `out` and returns the table of all that are full, as Markdown. Raises TrainError."""
    if what.decision not in DECISIONS:
        raise TrainError(
            f"there is no decision named {clean_text(what.decision)}", "--decision", f"Take one of {_KNOWN}"
        )
    torch.set_num_threads(1)  # processes side by side share the machine; and one thread gives the same every time
    until = time.monotonic() + what.seconds if what.seconds is not None else float("inf")
    wanted = make_cells(what.arms, what.kinds, what.sizes, what.seeds)
    prepared = _prepare_shared_data(what, out, progress, until)
    if prepared is None:
        return _LEARNING
    trunk = trunk_digest(out / _TRUNK) if what.trunk_steps else ""
    measured_on = "" if what.test == TEST else f" on {what.test}"
    names = [cell.file_name(what.budget, trunk + measured_on) for cell in wanted]
    mine = list(zip(wanted, names, strict=True))[what.part[0] :: what.part[1]]
    empty = [(cell, name) for cell, name in mine if not (out / "cells" / name).exists()]
    _run_cells(empty, prepared, what.budget, out / "cells", until, progress)
    found = collect_errors(out / "cells", wanted, names)
    full = sum((out / "cells" / name).exists() for name in names)
    table = format_report(found, what.decision) if found else ""
    return f"{table}\n{full} of {len(wanted)} cells are full.\n"


def run_growth(what: Comparison, growth: StudyGrowth, out: Path, progress: Progress) -> str:
    """Whether the order of reading teaches, on the comparison's patients and its trunk; the table as Markdown.

    Raises TrainError, also without a trunk: each round would have to learn one anew.
    """
    torch.set_num_threads(1)
    until = time.monotonic() + what.seconds if what.seconds is not None else float("inf")
    if not what.trunk_steps:
        raise TrainError("studies grow over a fixed trunk", "--trunk-steps", "Give as many steps as for compare")
    prepared = _prepare_shared_data(what, out, progress, until)
    if prepared is None or prepared.trunk_features is None:
        return _LEARNING
    return compute_curve(
        growth, prepared.train, prepared.test, what.budget, prepared.trunk_features, out / "curves", progress
    )


@dataclass(frozen=True)
class _SharedData:
    """The patients to learn from and to measure on, and what a fixed trunk sees of them where there is one."""

    train: Cohort
    test: Cohort
    trunk_features: TrunkFeatures | None


def _prepare_shared_data(what: Comparison, out: Path, progress: Progress, until: float) -> _SharedData | None:
    """All that the cells share, made by one process while the others wait; None where the trunk isn't done by `until`."""
    samples, path = out / "cohorts", out / _TRUNK
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / ".preparing").open("w")
    except OSError as error:
        raise TrainError(f"can't be written: {error.strerror}", out, "Give another --out") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if what.trunk_steps and not _ensure_trunk(what, path, samples, progress, until):
            return None
        train = load_cohort(max(what.sizes), TRAIN, samples, progress)
        test = load_cohort(what.budget.patients, what.test, samples, progress)
        trunk_features = _load_trunk_features(path, train, test, what, progress) if what.trunk_steps else None
    return _SharedData(train, test, trunk_features)


def _ensure_trunk(what: Comparison, path: Path, samples: Path, progress: Progress, until: float) -> bool:
    """Sees to it that the trunk is there; says whether it is."""
    if path.exists() and int(load_checkpoint(path).get("step", 0)) >= what.trunk_steps:
        return True
    plan = replace(what.budget, steps=what.trunk_steps, batch=128, rate=2e-3)
    people = load_cohort(what.trunk_patients, TRUNK, samples, progress)
    return train_trunk(people, plan, path, progress, until=until)


def _load_trunk_features(
    trunk: Path, train: Cohort, test: Cohort, asked: Comparison, progress: Progress
) -> TrunkFeatures:
    """What the trunk sees of both cohorts; looked at once, and kept beside it for whoever goes on."""
    budget = asked.budget
    what = f"{trunk_digest(trunk)} {len(train.crops)} {len(test.crops)} {budget.pixels} {AUGMENTED_COPIES} {asked.test}"
    path = trunk.with_name(f"views-{hashlib.sha256(what.encode()).hexdigest()[:12]}.pt")
    if path.exists():
        kept = load_checkpoint(path)["model"]
        return TrunkFeatures(kept["train"], kept["test"])
    trunk_features = extract_trunk_features(load_trunk(trunk, budget), train, test, budget, progress)
    save_checkpoint(path, {"model": {"train": trunk_features.train, "test": trunk_features.test}})
    return trunk_features


def _run_cells(
    empty: Sequence[tuple[Cell, str]],
    shared: _SharedData,
    budget: Budget,
    folder: Path,
    until: float,
    progress: Progress,
) -> None:
    for number, (cell, name) in enumerate(empty):
        if time.monotonic() > until:
            return
        progress(f"{cell.arm}, {cell.kind}, {cell.size} patients, seed {cell.seed}", number, len(empty))
        if (folder / name).exists():  # somebody else was here meanwhile
            continue
        trunk_features = shared.trunk_features
        if trunk_features is not None:
            trunk_features = TrunkFeatures(
                trunk_features.train[:, : len(shared.train.head(cell.size).crops)], trunk_features.test
            )
        save_cell(folder / name, run_cell(cell, shared.train, shared.test, budget, trunk_features))


def parse_part(text: str) -> tuple[int, int]:
    """``3/8`` as (3, 8), counted from 0. Raises TrainError."""
    first, _, of = text.partition("/")
    try:
        part = int(first), int(of)
    except ValueError:
        part = (-1, 0)
    if not 0 <= part[0] < part[1]:
        raise TrainError(f"{text} is no part", "--part", "Give which of how many, from 0: 0/8 to 7/8")
    return part
