"""The command that trains and measures on a public data set: ``benchmark``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from ratui.errors import TrainError
from ratui.files import umask_for
from ratui.progress_bar import ProgressBar
from trainer.cli.options import COUNT, FOLDER, POSITIVE, SEED, SHARE, FiniteRange

__all__ = ["benchmark"]


@click.command()
@click.argument("name", type=click.Choice(["ram-h1200"]))
@click.argument("folder", type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="Folder of the runs and of the report.")
@click.option("--patients", type=FOLDER, help="CSV table with the patient of each image: columns file and patient.")
@click.option("--skip-unknown", is_flag=True, help="Leave out scores of images that have no boxes.")
@click.option(
    "--held-out", type=SHARE, default=0.25, show_default=True, help="Share of patients without a given split."
)
@click.option(
    "--validation",
    type=FiniteRange(0, 1, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of the training patients kept to choose the best epoch, if the set has no part val.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of split, initialization, bootstrap.")
@click.option("--detector-epochs", type=COUNT, default=30, show_default=True, help="Epochs of the detector.")
@click.option("--detector-batch", type=COUNT, default=16, show_default=True, help="Hands per batch.")
@click.option("--detector-rate", type=POSITIVE, default=5e-4, show_default=True, help="Maximum learning rate.")
@click.option("--detector-weights", default="shipped", show_default=True, help="A model.pt, shipped, or none.")
@click.option("--scorer-epochs", type=COUNT, default=60, show_default=True, help="Epochs of the scorer.")
@click.option("--scorer-batch", type=COUNT, default=64, show_default=True, help="Joints per batch.")
@click.option("--scorer-rate", type=POSITIVE, default=2e-3, show_default=True, help="Maximum learning rate.")
@click.option("--scorer-weights", type=FOLDER, help="Start from this scorer's model.pt.")
@click.option("--loss", default="cumulative", show_default=True, help="ce, soft, marginal, pair, emd or cumulative.")
@click.option("--width", type=COUNT, default=24, show_default=True, help="Channels of the scorer's first layer.")
@click.option("--decision", default="expectation", show_default=True, help="expectation, median, argmax or joint.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
def benchmark(name: str, folder: Path, out: Path, **options: Any) -> None:
    """Train both models on the data set in FOLDER, and measure them on its test, beside published values.

    \b
    ram-h1200: hand radiographs with boxes of the joints (COCO) and scores of ERO and JSN, in the layout of
    RAM-H1200 (arXiv 2605.05616). One time point for each patient, so no change is learned.
    The same command continues an interrupted run.
    """
    from trainer.experiments.benchmark import BenchmarkPlan, run_ram_h1200
    from trainer.experiments.benchmark_report import write_benchmark_report
    from trainer.models.losses import LOSSES
    from trainer.training.loop import TrainingPlan, pick_device
    from trainer.training.runs import RunPlan

    if int(os.environ.get("WORLD_SIZE") or "1") > 1:
        raise TrainError("a benchmark uses one process", "torchrun", "Start it without torchrun")
    if options["loss"] not in LOSSES:
        raise TrainError(f"there is no loss named {options['loss']}", "--loss", f"Take one of {', '.join(LOSSES)}")
    weights = options["detector_weights"]
    common = {"held_out": options["held_out"], "validation": options["validation"], "samples": out / "samples"}

    def plan(model: str, **more: Any) -> RunPlan:
        training = TrainingPlan(epochs=options[f"{model}_epochs"], rate=options[f"{model}_rate"], seed=options["seed"])
        return RunPlan(training, options[f"{model}_batch"], **common, **more)

    settings = BenchmarkPlan(
        plan("detector", weights=None if weights == "none" else Path(weights)),
        # One time point says nothing about a change, so each film is judged by itself.
        plan(
            "scorer", weights=options["scorer_weights"], loss=options["loss"], width=options["width"], pairing="single"
        ),
        options["patients"],
        options["skip_unknown"],
        options["decision"],
    )
    with umask_for(out):
        results = run_ram_h1200(folder, out, settings, pick_device(options["device"]), ProgressBar())
        click.echo(write_benchmark_report(results, out))
