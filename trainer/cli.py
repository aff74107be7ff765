"""The ``ratui-train`` command: train, evaluate, propose. Errors become one message and an exit code that isn't 0."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from ratui.errors import RatuiError
from ratui.study import Study

__all__ = ["main"]

_FOLDER = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ratui", prog_name="ratui-train")
def commands() -> None:
    """Learn from the signed readings of a ratui study.

    \b
    ratui-train detector [STUDY] --out RUN      finds the joints and their special findings
    ratui-train scorer   STUDY --out RUN        gives ERO and JSN at both time points
    ratui-train evaluate STUDY --detector RUN --scorer RUN --out DIR
    ratui-train propose  STUDY --detector RUN   regions for the films that have none yet

    Under torchrun the trainings use every process:  torchrun --nproc-per-node 8 -m trainer detector …
    """


def _training(function: Any, *, study_needed: bool = True) -> Any:
    """The options that both trainings share."""
    for option in reversed(
        (
            click.argument("study", type=_FOLDER, required=study_needed),
            click.option("--out", type=_FOLDER, required=True, help="The run's folder."),
            click.option("--epochs", default=60, show_default=True, help="How many times to see every case."),
            click.option("--seconds", type=float, help="Stop after this time; the learning rate follows the clock."),
            click.option("--rate", default=2e-3, show_default=True, help="The highest learning rate."),
            click.option("--seed", default=0, show_default=True, help="Of the split, the start and the augmentation."),
            click.option("--held-out", default=0.25, show_default=True, help="The share of cases not learnt from."),
            click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda."),
            click.option("--amp/--no-amp", default=True, help="Mixed precision, on a GPU."),
            click.option("--weights", type=_FOLDER, help="Start from this model.pt (a detector: or shipped)."),
            click.option("--resume", is_flag=True, help="Go on with the run in --out."),
        )
    ):
        function = option(function)
    return function


@commands.command()
@partial(_training, study_needed=False)
@click.option("--batch", default=16, show_default=True, help="Hands in a batch, over all processes.")
@click.option("--backbone", default="small", show_default=True, help="small, ssd300-vgg16 or ssdlite; see --weights.")
@click.option("--coco", type=_FOLDER, help="Learn from the boxes of this COCO file, too; its films lie beside it.")
@click.option("--phantoms", default=0, help="Learn from this many simulated hands, too.")
def detector(study: Path | None, out: Path, batch: int, **options: Any) -> None:
    """Train the detector of finger joints, from the confirmed regions of STUDY, COCO boxes and simulated hands.

    \b
    --weights takes a run's model.pt, or for the backbones ssd300-vgg16 and ssdlite a file of
    torchvision's: of a whole SSD, or of VGG16 alone. A pass (--epochs) sees at most 512 hands.
    """
    from trainer.runs import train_detector

    more = {name: options.pop(name) for name in ("backbone", "coco", "phantoms")}
    _train(train_detector, study, out, batch, options, **more)


@commands.command()
@_training
@click.option("--batch", default=64, show_default=True, help="Joints in a batch, over all processes.")
@click.option("--loss", default="marginal", show_default=True, help="ce, soft or marginal.")
@click.option("--difference", default=1.0, show_default=True, help="The weight of the squared difference error.")
@click.option("--paired/--single", default=True, help="Judge both time points together, or each alone.")
def scorer(study: Path, out: Path, batch: int, loss: str, difference: float, paired: bool, **options: Any) -> None:
    """Train the scorer of joints at two time points."""
    from trainer.runs import train_scorer

    _train(train_scorer, study, out, batch, options, loss=loss, difference=difference, paired=paired)


@commands.command()
@click.argument("study", type=_FOLDER)
@click.option("--detector", type=_FOLDER, required=True, help="The folder of a detector's run.")
@click.option("--scorer", type=_FOLDER, required=True, help="The folder of a scorer's run.")
@click.option("--out", type=_FOLDER, required=True, help="Where the report goes.")
@click.option("--seed", default=0, show_default=True, help="Of the bootstrap.")
@click.option("--device", default="auto", show_default=True)
def evaluate(study: Path, detector: Path, scorer: Path, out: Path, seed: int, device: str) -> None:
    """Measure both models on the cases that neither has learnt from."""
    from trainer.evaluate import evaluate as measure
    from trainer.loop import pick_device
    from trainer.report import write_report

    results = measure(Study.open(study), detector, scorer, out, pick_device(device), seed=seed)
    click.echo(write_report(results, out))


@commands.command()
@click.argument("study", type=_FOLDER)
@click.option("--detector", type=_FOLDER, required=True, help="The folder of a detector's run.")
@click.option("--name", help="The model's name in the study; the run folder's by default.")
@click.option("--all", "every", is_flag=True, help="Also for films whose regions are confirmed.")
@click.option("--device", default="auto", show_default=True)
def propose(study: Path, detector: Path, name: str | None, every: bool, device: str) -> None:
    """Propose regions for the films that have none confirmed."""
    from trainer.loop import pick_device
    from trainer.propose import propose as run

    done = run(Study.open(study), detector, name or detector.resolve().name, pick_device(device), every=every)
    click.echo(f"{done.joints} joints proposed on {done.hands} hands of {done.cases} cases")
    for skipped in done.skipped:
        click.echo(f"  no proposal: {skipped}", err=True)
    for doubt in done.doubts:
        click.echo(f"  to check: {doubt}", err=True)


def _train(train: Any, study: Path | None, out: Path, batch: int, options: dict[str, Any], **more: Any) -> None:
    from trainer.loop import Fit, pick_device, processes
    from trainer.runs import RunPlan

    device = pick_device(options["device"])
    fit = Fit(
        epochs=10**9 if options["seconds"] else options["epochs"],
        seconds=options["seconds"],
        rate=options["rate"],
        seed=options["seed"],
        amp=options["amp"],
    )
    plan = RunPlan(fit, batch, options["held_out"], weights=options["weights"], resume=options["resume"], **more)
    with processes(device) as here:
        train(Study.open(study) if study else None, out, plan, device, here)


def main() -> None:
    """Runs the command line; a `RatuiError` ends it with its message and exit code 1."""
    try:
        commands()
    except RatuiError as error:
        click.echo(f"ratui-train: {error}", err=True)
        sys.exit(1)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "torchvision", "matplotlib"):
            raise
        click.echo(f"ratui-train: {error.name} is not installed. pip install 'ratui[train]'", err=True)
        sys.exit(1)
