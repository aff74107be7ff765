"""Tasks of an experiment, such as the cells of a comparison, and the loop in which a process computes them.

The files in the experiment's folder are all that processes share. So any number of processes on any machine can work on one
experiment, a stopped experiment can be continued, and it does not matter who computed which task.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ratui.bounded_parsing import parse_json, read_bounded
from ratui.crash_report import record_fault
from ratui.errors import RatuiError, TrainError, clean_text
from ratui.files import atomic_write
from trainer.experiments.claims import hold_claim, read_holder

__all__ = [
    "Experiment",
    "Outcome",
    "Progress",
    "Start",
    "Task",
    "collect_outcome",
    "compute_tasks",
    "hold_lock",
    "parse_part",
]

Progress = Callable[[str, int, int], None]
_CLAIMS, _FAILURES, _LOCK = "claims", "failures", ".preparing"
_PREPARATION = "preparation"
_KILLED = "the process that computed it was killed"
_LARGEST_FAILURE = 20_000  # bytes


@dataclass(frozen=True)
class Task:
    """A part of an experiment that one process computes: a `name` that can be a file's, and a `title` for messages."""

    name: str
    title: str


class Experiment(Protocol):
    """Tasks with a common folder. An experiment is sent to other processes, so it can be pickled."""

    @property
    def folder(self) -> Path:
        """The folder with all files of the experiment."""

    def tasks(self) -> Sequence[Task] | None:
        """Return all tasks, or None if they are not known before `prepare`. Raises TrainError for invalid settings."""

    def prepare(self, until: float, progress: Progress) -> None:
        """Make what all tasks share, if it is not there yet. Raises TrainError.

        It may stop at the time `until` of `time.monotonic` without having made everything. One process at a time calls it.
        """

    def is_finished(self, task: Task) -> bool:
        """Return whether the result of `task` is there."""

    def run(self, task: Task) -> None:
        """Compute `task`, or continue it where a stopped process left it. Raises TrainError."""


@dataclass(frozen=True)
class Start:
    """One start of the program, whose tasks several processes may share.

    Attributes
    ----------
    part
        The part of the tasks to compute: its number, and the number of parts.
    seconds
        Begin no task after this time; None for no limit.
    name
        Random name of the start.
    """

    part: tuple[int, int] = (0, 1)
    seconds: float | None = None
    name: str = field(default_factory=lambda: secrets.token_hex(8))

    def select(self, tasks: Sequence[Task]) -> Sequence[Task]:
        """Return the tasks of this part."""
        return tasks[self.part[0] :: self.part[1]]


def parse_part(text: str) -> tuple[int, int]:
    """Return part and number of parts from `text`, (3, 8) from ``3/8``. Parts count from 0. Raises TrainError."""
    first, _, of = text.partition("/")
    try:
        part = int(first), int(of)
    except ValueError:
        part = (-1, 0)
    if not 0 <= part[0] < part[1]:
        raise TrainError(f"{clean_text(text)} is not a part", "--part", "Give I/N, counted from 0: 0/8 to 7/8")
    return part


@dataclass(frozen=True)
class Outcome:
    """The state of an experiment after a start.

    Attributes
    ----------
    finished, total
        Numbers of finished tasks and of all tasks; both are 0 if the preparation is not finished.
    failures
        Title and error of each task that failed in this start.
    held
        Title of each open task that another process holds, with that process.
    """

    finished: int
    total: int
    failures: tuple[tuple[str, str], ...] = ()
    held: tuple[tuple[str, str], ...] = ()


def compute_tasks(
    experiment: Experiment, start: Start, progress: Progress, should_stop: Callable[[], bool] = lambda: False
) -> None:
    """Compute the open tasks of a part that no other process holds, one after the other.

    A task that fails does not end the others; `collect_outcome` returns its error. If a process dies in a task, no other
    process of the same start tries it.

    Parameters
    ----------
    experiment, start
        The tasks, and the part to compute.
    progress
        Called with the title of a task, its number and the number of tasks.
    should_stop
        Asked before each task.

    Raises
    ------
    TrainError
        If the experiment can't be prepared, or its folder can't be written.
    """
    until = time.monotonic() + start.seconds if start.seconds is not None else float("inf")
    folder = experiment.folder
    experiment.tasks()  # raises for invalid settings; it may take the lock itself
    try:
        with hold_lock(folder):
            experiment.prepare(until, progress)
    except RatuiError as error:
        _write_failure(folder, _PREPARATION, start.name, str(error))
        raise
    tasks = start.select(experiment.tasks() or ())
    for number, task in enumerate(tasks):
        if should_stop() or time.monotonic() > until:
            return
        if not _is_open(experiment, task, start.name):
            continue
        with hold_claim(folder / _CLAIMS / task.name, start.name) as claim:
            if not claim.is_own or not _is_open(experiment, task, start.name):
                continue
            if claim.was_abandoned:
                _write_failure(folder, task.name, start.name, _KILLED)
                continue
            progress(task.title, number, len(tasks))
            failure = _run(experiment, task)
            if failure:
                _write_failure(folder, task.name, start.name, failure)


def collect_outcome(experiment: Experiment, start: Start) -> Outcome:
    """Return the state of the experiment, with the failures of this start.

    Raises TrainError if the preparation failed in another process of this start.
    """
    folder = experiment.folder
    problem = _read_failure(folder, _PREPARATION, start.name)
    if problem:
        raise TrainError(problem)
    tasks = experiment.tasks() or ()
    failures, held = [], []
    for task in start.select(tasks):
        if experiment.is_finished(task):
            continue
        error = _read_failure(folder, task.name, start.name)
        if error:
            failures.append((task.title, error))
            continue
        holder = read_holder(folder / _CLAIMS / task.name)
        if holder is not None and holder.start == start.name:  # all processes of this start have ended
            failures.append((task.title, _KILLED))
        elif holder is not None:
            held.append((task.title, f"process {holder.process} on {holder.host}"))
    return Outcome(sum(map(experiment.is_finished, tasks)), len(tasks), tuple(failures), tuple(held))


@contextmanager
def hold_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of an experiment's preparation; wait until no other process holds it. Raises TrainError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / _LOCK).open("w")
    except OSError as error:
        raise TrainError(f"can't be written: {error.strerror}", folder, "Give another --out") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_open(experiment: Experiment, task: Task, start: str) -> bool:
    return not experiment.is_finished(task) and not _read_failure(experiment.folder, task.name, start)


def _run(experiment: Experiment, task: Task) -> str:
    """Compute the task and return its error, or empty text."""
    try:
        experiment.run(task)
    except RatuiError as error:
        return str(error)
    except Exception as error:  # the other tasks may have no such fault
        log = record_fault(error)
        where = f"; the log is at {log}" if log else ""
        return f"a fault of the program ({type(error).__name__}){where}"
    return ""


def _write_failure(folder: Path, name: str, start: str, error: str) -> None:
    path = folder / _FAILURES / f"{name}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps({"start": start, "error": error}), encoding="utf-8")
    except OSError as problem:
        raise TrainError(f"can't be written: {problem.strerror}", path, "Free some disk space") from problem


def _read_failure(folder: Path, name: str, start: str) -> str:
    """Return the error of the task in this start of the program; empty if there was none."""
    try:
        found = parse_json(read_bounded(folder / _FAILURES / f"{name}.json", _LARGEST_FAILURE))
        return clean_text(found["error"], 1000) if found["start"] == start else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""
