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

from ratui.errors import TrainError, clean
from trainer.experiments.arms import Budget, Cell, cells
from trainer.experiments.cells import VIEWS, Views, run_cell, save_cell
from trainer.experiments.cohort import Cohort, cohort
from trainer.experiments.comparison_table import collect, report
from trainer.experiments.learning_curve import Growth, curve
from trainer.experiments.shared_trunk import fixed_views, learn_trunk, load_trunk, name_of
from trainer.inference.decisions import DECISIONS, DEFAULT_DECISION
from trainer.training.loop import load_checkpoint, save_checkpoint

__all__ = ["Comparison", "compare", "grow_studies", "parse_part"]

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


def compare(what: Comparison, out: Path, progress: Progress) -> str:
    """Fills this part's empty cells in `out` and returns the table of all that are full, as Markdown. Raises TrainError."""
    if what.decision not in DECISIONS:
        raise TrainError(f"there is no decision named {clean(what.decision)}", "--decision", f"Take one of {_KNOWN}")
    torch.set_num_threads(1)  # processes side by side share the machine; and one thread gives the same every time
    until = time.monotonic() + what.seconds if what.seconds is not None else float("inf")
    wanted = cells(what.arms, what.kinds, what.sizes, what.seeds)
    prepared = _prepare(what, out, progress, until)
    if prepared is None:
        return _LEARNING
    trunk = name_of(out / _TRUNK) if what.trunk_steps else ""
    measured_on = "" if what.test == TEST else f" on {what.test}"
    names = [cell.file(what.budget, trunk + measured_on) for cell in wanted]
    mine = list(zip(wanted, names, strict=True))[what.part[0] :: what.part[1]]
    empty = [(cell, name) for cell, name in mine if not (out / "cells" / name).exists()]
    _fill(empty, prepared, what.budget, out / "cells", until, progress)
    found = collect(out / "cells", wanted, names)
    full = sum((out / "cells" / name).exists() for name in names)
    table = report(found, what.decision) if found else ""
    return f"{table}\n{full} of {len(wanted)} cells are full.\n"


def grow_studies(what: Comparison, growth: Growth, out: Path, progress: Progress) -> str:
    """Whether the order of reading teaches, on the comparison's patients and its trunk; the table as Markdown.

    Raises TrainError, also without a trunk: each round would have to learn one anew.
    """
    torch.set_num_threads(1)
    until = time.monotonic() + what.seconds if what.seconds is not None else float("inf")
    if not what.trunk_steps:
        raise TrainError("studies grow over a fixed trunk", "--trunk-steps", "Give as many steps as for compare")
    prepared = _prepare(what, out, progress, until)
    if prepared is None or prepared.views is None:
        return _LEARNING
    return curve(growth, prepared.train, prepared.test, what.budget, prepared.views, out / "curves", progress)


@dataclass(frozen=True)
class _Prepared:
    """The patients to learn from and to measure on, and what a fixed trunk sees of them where there is one."""

    train: Cohort
    test: Cohort
    views: Views | None


def _prepare(what: Comparison, out: Path, progress: Progress, until: float) -> _Prepared | None:
    """All that the cells share, made by one process while the others wait; None where the trunk isn't done by `until`."""
    samples, path = out / "cohorts", out / _TRUNK
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / ".preparing").open("w")
    except OSError as error:
        raise TrainError(f"can't be written: {error.strerror}", out, "Give another --out") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if what.trunk_steps and not _trunk(what, path, samples, progress, until):
            return None
        train = cohort(max(what.sizes), TRAIN, samples, progress)
        test = cohort(what.budget.patients, what.test, samples, progress)
        views = _views(path, train, test, what, progress) if what.trunk_steps else None
    return _Prepared(train, test, views)


def _trunk(what: Comparison, path: Path, samples: Path, progress: Progress, until: float) -> bool:
    """Sees to it that the trunk is there; says whether it is."""
    if path.exists() and int(load_checkpoint(path).get("step", 0)) >= what.trunk_steps:
        return True
    plan = replace(what.budget, steps=what.trunk_steps, batch=128, rate=2e-3)
    people = cohort(what.trunk_patients, TRUNK, samples, progress)
    return learn_trunk(people, plan, path, progress, until=until)


def _views(trunk: Path, train: Cohort, test: Cohort, asked: Comparison, progress: Progress) -> Views:
    """What the trunk sees of both cohorts; looked at once, and kept beside it for whoever goes on."""
    budget = asked.budget
    what = f"{name_of(trunk)} {len(train.crops)} {len(test.crops)} {budget.pixels} {VIEWS} {asked.test}"
    path = trunk.with_name(f"views-{hashlib.sha256(what.encode()).hexdigest()[:12]}.pt")
    if path.exists():
        kept = load_checkpoint(path)["model"]
        return Views(kept["train"], kept["test"])
    views = fixed_views(load_trunk(trunk, budget), train, test, budget, progress)
    save_checkpoint(path, {"model": {"train": views.train, "test": views.test}})
    return views


def _fill(
    empty: Sequence[tuple[Cell, str]],
    shared: _Prepared,
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
        views = shared.views
        if views is not None:
            views = Views(views.train[:, : len(shared.train.first(cell.size).crops)], views.test)
        save_cell(folder / name, run_cell(cell, shared.train, shared.test, budget, views))


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
