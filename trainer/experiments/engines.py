"""Engines that compute the tasks of an experiment: this process, several local processes, or jobs of a cluster.

All of them run `compute_tasks`, so they can share one folder, also at the same time. A cluster's jobs are submitted by
submitit, the package of the extra ``cluster``.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from ratui.errors import TrainError, clean_text
from ratui.files import umask_for
from ratui.program import EndedBySignal, run_program
from ratui.progress_bar import ProgressBar
from trainer.experiments.tasks import Experiment, Outcome, Progress, Start, collect_outcome, compute_tasks

__all__ = ["CLUSTERS", "Engine", "parse_cluster_settings", "run_experiment"]

CLUSTERS = ("slurm", "local")
"""Clusters by the name that submitit gives them. ``local`` runs the jobs on this machine, for a trial."""
_POLL = 1.0  # seconds
_DAY = 24 * 60  # minutes
_TIMEOUTS = 1000
_LOGS, _JOBS = "logs", "jobs"


@dataclass(frozen=True)
class Engine:
    """The processes that compute the tasks.

    Attributes
    ----------
    processes
        Number of processes or jobs. 1 without a cluster is this process; 0 computes nothing.
    cluster
        One of `CLUSTERS`, or empty for local processes.
    settings
        Parameters of the jobs, as submitit's ``AutoExecutor.update_parameters`` takes them.
    """

    processes: int = 1
    cluster: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


def run_experiment(experiment: Experiment, start: Start, engine: Engine, progress: Progress) -> Outcome:
    """Compute the open tasks of an experiment's part, and return its state.

    Raises
    ------
    TrainError
        If the settings are not possible, or the experiment can't be prepared.
    """
    experiment.tasks()  # raises for invalid settings before anything is started
    problems: list[tuple[str, str]] = []
    if engine.cluster:
        problems += _run_jobs(experiment, start, engine)
    elif engine.processes == 1:
        compute_tasks(experiment, start, progress)
    elif engine.processes:
        problems += _run_processes(experiment, start, engine.processes)
    outcome = collect_outcome(experiment, start)
    # A process that died in a task is named with the task already.
    return outcome if outcome.failures else Outcome(outcome.finished, outcome.total, tuple(problems), outcome.held)


def parse_cluster_settings(texts: Sequence[str]) -> dict[str, Any]:
    """Return parameters from texts such as ``gpus_per_node=1``. Digits become numbers. Raises TrainError."""
    settings: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name.isidentifier() and equals and value):
            raise TrainError(f"{clean_text(text)} is no setting", "--cluster-setting", "Give NAME=VALUE")
        settings[name] = int(value) if value.isdecimal() else value
    return settings


def _run_processes(experiment: Experiment, start: Start, count: int) -> list[tuple[str, str]]:
    """Compute the tasks in local processes, and return the processes that ended with an error."""
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads of torch can hang
    processes = [
        context.Process(target=_work_in_process, args=(experiment, start, number, os.getpid()))
        for number in range(count)
    ]
    bar = ProgressBar(log_stages=False)  # a log would get a line each second
    try:
        for number, process in enumerate(processes):
            with _environment(_share_machine(number, count)):
                process.start()
        while any(process.is_alive() for process in processes):
            _show(experiment, bar)
            _wait_for_any(processes)
        _show(experiment, bar)
    except (EndedBySignal, KeyboardInterrupt):
        _end(processes)
        raise
    finally:
        bar.close()
    return [
        (f"process {number}", f"it ended with {_describe_end(process.exitcode)}; see {_log(experiment.folder, number)}")
        for number, process in enumerate(processes)
        if process.exitcode
    ]


def _work_in_process(experiment: Experiment, start: Start, number: int, parent: int) -> None:
    """Compute tasks in a process that `_run_processes` started, with messages in a file of its own."""
    log = _log(experiment.folder, number)
    with umask_for(experiment.folder):
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", buffering=1) as opened:
            os.dup2(opened.fileno(), 1)
            os.dup2(opened.fileno(), 2)
        run_program(
            f"process {number}",
            # A process whose parent was killed ends after its task.
            lambda: compute_tasks(experiment, start, _print_title, lambda: os.getppid() != parent),
        )


def _share_machine(number: int, count: int) -> dict[str, str]:
    """Return environment variables that give process `number` of `count` its threads and one of the GPUs."""
    import torch  # not needed by jobs of a cluster, which have a machine of their own

    variables = {"OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // count))}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = visible.split(",") if visible else [str(each) for each in range(torch.cuda.device_count())]
    if gpus:
        variables["CUDA_VISIBLE_DEVICES"] = gpus[number % len(gpus)]
    return variables


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the processes that are started in the ``with`` block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _print_title(title: str, _number: int, _total: int) -> None:
    print(title, file=sys.stderr, flush=True)


def _wait_for_any(processes: Sequence[BaseProcess]) -> None:
    wait([each.sentinel for each in processes if each.is_alive()], timeout=_POLL)


def _end(processes: Sequence[BaseProcess]) -> None:
    """Ask the processes to end, and wait until they have saved their checkpoints."""
    for process in processes:
        if process.pid is not None and process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
    for process in processes:
        if process.pid is not None:
            process.join()


def _describe_end(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def _log(folder: Path, number: int) -> Path:
    return folder / _LOGS / f"process-{number}.log"


def _show(experiment: Experiment, bar: ProgressBar) -> None:
    tasks = experiment.tasks()
    if tasks:
        bar("finished tasks", sum(map(experiment.is_finished, tasks)), len(tasks))


class _Job:
    """The work of a cluster's job. submitit calls `checkpoint` when the job's time is up, and queues the job again."""

    def __init__(self, experiment: Experiment, start: Start) -> None:
        self.experiment = experiment
        self.start = start

    def __call__(self) -> None:
        with umask_for(self.experiment.folder):
            compute_tasks(self.experiment, self.start, _print_title)

    def checkpoint(self) -> Any:
        """Return the same work: the tasks themselves continue where they stopped."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


def _run_jobs(experiment: Experiment, start: Start, engine: Engine) -> list[tuple[str, str]]:
    """Compute the tasks in jobs of a cluster, and return the jobs that failed."""
    try:
        import submitit
    except ModuleNotFoundError as error:
        raise TrainError("submitit is not installed", "--cluster", "pip install 'ratui[cluster]'") from error
    folder = experiment.folder / _JOBS
    try:
        folder.mkdir(parents=True, exist_ok=True)
        executor = submitit.AutoExecutor(folder, engine.cluster, slurm_max_num_timeout=_TIMEOUTS)
        executor.update_parameters(**{"name": "ratui-train", "timeout_min": _DAY, **engine.settings})
        jobs = executor.submit_array([_Job(experiment, start)] * engine.processes)
    except (RuntimeError, ValueError, NameError, AssertionError, OSError) as error:
        raise TrainError(
            f"the jobs can't be submitted: {clean_text(error, 300)}", "--cluster", "Check --cluster-setting"
        ) from error
    names = ", ".join(each.job_id for each in jobs)
    bar = ProgressBar(log_stages=False)  # a log would get a line each second
    print(f"jobs {names}; they go on if this command is stopped", file=sys.stderr, flush=True)
    while not all(each.done() for each in jobs):
        _show(experiment, bar)
        time.sleep(_POLL)
    _show(experiment, bar)
    return [
        (f"job {each.job_id}", f"it ended with an error; see {each.paths.stderr}")
        for each in jobs
        if each.exception() is not None
    ]
