"""The commands that compare training methods on simulated data: ``compare`` and ``curve``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trainer.cli.engine_options import compute, engine_options
from trainer.cli.options import COUNT, FOLDER, SEED, WEIGHT

if TYPE_CHECKING:
    from trainer.experiments.tasks import Outcome

__all__ = ["compare", "curve"]


@click.command()
@click.option("--out", type=FOLDER, required=True, help="Folder of the patients, the results and the table.")
@click.option("--arm", "arms", multiple=True, help="Training method; may be repeated.  [default: all]")
@click.option("--rater", "kinds", multiple=True, help="Kind of simulated rater; may be repeated.  [default: all]")
@click.option(
    "--size", "sizes", multiple=True, type=COUNT, help="Training patients; may be repeated.  [default: 26, 104, 400]"
)
@click.option("--seeds", type=COUNT, default=3, show_default=True, help="Number of trainings per cell.")
@click.option("--steps", type=COUNT, default=300, show_default=True, help="Training batches per cell.")
@click.option("--pixels", type=click.IntRange(min=16), default=56, show_default=True, help="Side of a crop, in pixels.")
@click.option(
    "--trunk-steps",
    type=click.IntRange(min=0),
    default=0,
    help="Batches to train one trunk for all cells; 0 for no common trunk.",
)
@click.option("--test", type=SEED, default=77, show_default=True, help="Seed of the 100 test patients.")
@click.option("--seconds", type=WEIGHT, help="Stop after this time; run the command again to continue.")
@click.option(
    "--pool", type=COUNT, help="Number of patients from which each seed draws its own.  [default: twice --size]"
)
@click.option(
    "--decision",
    default="chosen",
    show_default=True,
    help="expectation, median, argmax, joint, or chosen: each recipe's best on its training patients.",
)
@engine_options
def compare(
    out: Path,
    arms: tuple[str, ...],
    kinds: tuple[str, ...],
    sizes: tuple[int, ...],
    seeds: int,
    steps: int,
    pixels: int,
    trunk_steps: int,
    test: int,
    seconds: float | None,
    pool: int | None,
    decision: str,
    **options: Any,
) -> None:
    """Compare training methods over kinds of simulated raters and sizes of studies.

    \b
    Each cell of the table is a file, so the same command continues a stopped comparison, and several processes can share it:
      ratui-train compare --out DIR --processes 4
    Or as an array job of your own (Slurm, --array=0-31):
      ratui-train compare --out DIR --part $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT
    """
    from ratui.phantom import RATERS
    from trainer.experiments.arms import ARMS, Budget
    from trainer.experiments.comparison import Comparison

    comparison = Comparison(
        out,
        arms or tuple(ARMS),
        kinds or tuple(RATERS),
        sizes or (26, 104, 400),
        seeds,
        Budget(steps=steps, pixels=pixels),
        trunk_steps,
        decision=decision,
        test=test,
        pool=pool,
    )
    compute(comparison, options, lambda _: comparison.format_table(), seconds=seconds)


@click.command()
@click.option("--out", type=FOLDER, required=True, help="Folder of a comparison with a common trunk.")
@click.option("--arm", default="coupled pair", show_default=True, help="Training method.")
@click.option("--rater", default="shared-shift", show_default=True, help="Kind of simulated rater.")
@click.option("--pool", type=COUNT, default=104, show_default=True, help="Number of patients to choose from.")
@click.option("--seeds", type=COUNT, default=5, show_default=True, help="Number of studies per order.")
@click.option("--steps", type=COUNT, default=300, show_default=True, help="Training batches per training.")
@click.option("--pixels", type=click.IntRange(min=16), default=56, show_default=True, help="Side of a crop, in pixels.")
@click.option(
    "--trunk-steps",
    type=click.IntRange(min=0),
    default=800,
    show_default=True,
    help="Training batches of the common trunk.",
)
@engine_options
def curve(
    out: Path,
    arm: str,
    rater: str,
    pool: int,
    seeds: int,
    steps: int,
    pixels: int,
    trunk_steps: int,
    **options: Any,
) -> None:
    """Compare learning curves: cases with the most uncertain scores first, or cases in random order."""
    from trainer.experiments.arms import Budget
    from trainer.experiments.comparison import Comparison
    from trainer.experiments.learning_curve import LearningCurve, StudyGrowth

    comparison = Comparison(out, (arm,), (rater,), (pool,), seeds, Budget(steps=steps, pixels=pixels), trunk_steps)
    growing = LearningCurve(comparison, StudyGrowth(arm, rater, seeds=seeds))

    def report(outcome: Outcome) -> str:
        if outcome.finished < outcome.total:
            return f"{outcome.finished} of {outcome.total} studies are finished."
        return growing.format_table()

    compute(growing, options, report)
