"""Options of the commands that compute many trainings: the processes, the jobs of a cluster, and the part of the work."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ratui.errors import TrainError, clean_text
from ratui.files import umask_for

__all__ = ["compute", "engine_options"]


def engine_options(function: Any) -> Any:
    """Add the options from which `compute` makes an engine."""
    for option in reversed(
        (
            click.option(
                "--processes",
                type=click.IntRange(min=0),
                default=1,
                show_default=True,
                help="Number of processes, or jobs with --cluster; 0 only reports what is finished.",
            ),
            click.option(
                "--cluster",
                type=click.Choice(["slurm", "local"]),
                help="Submit the processes as jobs: slurm, or local for a trial on this machine. Needs submitit.",
            ),
            click.option(
                "--cluster-setting",
                "cluster_settings",
                multiple=True,
                metavar="NAME=VALUE",
                help="Parameter of the jobs for submitit, such as gpus_per_node=1 or slurm_partition=gpu; may be repeated.",
            ),
            click.option(
                "--part",
                default="0/1",
                show_default=True,
                help="Part of the work that this command computes, I/N.",
            ),
        )
    ):
        function = option(function)
    return function


def compute(
    experiment: Any,
    options: dict[str, Any],
    report: Callable[[Any], str],
    *,
    seconds: float | None = None,
) -> None:
    """Compute an experiment with the engine of `options`, and print the report and what failed.

    Parameters
    ----------
    experiment
        A `trainer.experiments.tasks.Experiment`.
    options
        Values of the options of `engine_options`, by name.
    report
        Function that returns the report from a `trainer.experiments.tasks.Outcome`.
    seconds
        Begin no task after this time.

    Raises
    ------
    TrainError
        If the settings are not possible.
    SystemExit
        With exit code 1, if a task failed.
    """
    from trainer.experiments.engines import Engine, parse_cluster_settings, run_experiment
    from trainer.experiments.tasks import Start, parse_part

    settings = parse_cluster_settings(options["cluster_settings"])
    if settings and not options["cluster"]:
        raise TrainError("there is no cluster", "--cluster-setting", "Give --cluster as well")
    engine = Engine(options["processes"], options["cluster"] or "", settings)
    start = Start(parse_part(options["part"]), seconds)
    folder: Path = experiment.folder
    with umask_for(folder):
        outcome = run_experiment(experiment, start, engine, _print_step)
        click.echo(report(outcome))
    for title, holder in outcome.held:
        click.echo(f"open: {clean_text(title)}, held by {clean_text(holder)}", err=True)
    for title, error in outcome.failures:
        click.echo(f"failed: {clean_text(title)}: {clean_text(error, 1000)}", err=True)
    if outcome.failures:
        raise SystemExit(1)


def _print_step(title: str, number: int, total: int) -> None:
    print(title if number == total else f"{title} ({number + 1} of {total})", file=sys.stderr, flush=True)
