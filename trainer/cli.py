"""Command line of ``ratui-train``: train, evaluate and apply models. An error gives one message and a non-zero exit code.

Each command imports torch and the modules that need it when it runs, so that ``--help`` works without the extra ``train``.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click

from ratui.errors import TrainError, clean_text
from ratui.files import umask_for
from ratui.program import run_commands, run_program
from ratui.progress_bar import ProgressBar
from ratui.study import Study

__all__ = ["main"]

_FOLDER = click.Path(path_type=Path)
_EARLIER_OPTIONS = {"crowd": "rater-model", "near": "refiner-only"}
_ACCEPT_EARLIER_OPTIONS = {"token_normalize_func": lambda name: _EARLIER_OPTIONS.get(name, name)}
"""Context settings of click: scripts may use the names of earlier versions, which ``--help`` does not list."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ratui", prog_name="ratui-train")
def commands() -> None:
    """Train models on the signed readings of a ratui study.

    \b
    ratui-train detector [STUDY] --out RUN      finds the joints and their special findings
    ratui-train scorer   STUDY --out RUN        predicts ERO and JSN at both time points
    ratui-train evaluate STUDY --detector RUN --scorer RUN --out DIR
    ratui-train propose  STUDY --detector RUN   proposes regions for films without any
    ratui-train compare  --out DIR              compares losses, raters and study sizes on simulated data

    Under torchrun, training uses all processes:  torchrun --nproc-per-node 8 -m trainer detector …
    """


def _training_options(function: Any, *, study_needed: bool = True) -> Any:
    """Add the options that both training commands share."""
    # Decorators apply from the bottom up: in reversed order, --help lists the options as they stand here.
    for option in reversed(
        (
            click.argument("study", type=_FOLDER, required=study_needed),
            click.option("--out", type=_FOLDER, required=True, help="Folder of the run."),
            click.option("--epochs", default=60, show_default=True, help="Number of passes over the training cases."),
            click.option("--seconds", type=float, help="Stop after this time; the learning rate follows the clock."),
            click.option("--rate", default=2e-3, show_default=True, help="Maximum learning rate."),
            click.option("--seed", default=0, show_default=True, help="Seed of split, initialization, augmentation."),
            click.option("--held-out", default=0.25, show_default=True, help="Proportion of cases not trained on."),
            click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda."),
            click.option("--amp/--no-amp", default=True, help="Automatic mixed precision, on a GPU."),
            click.option("--deterministic", is_flag=True, help="Use deterministic algorithms only."),
            click.option("--compile", "compiled", is_flag=True, help="Compile the network with torch.compile."),
            click.option("--tensorboard", is_flag=True, help="Write event files for TensorBoard as well."),
            click.option("--samples", type=_FOLDER, help="Folder that caches crops; runs can share it."),
            click.option("--weights", type=_FOLDER, help="Start from this model.pt; for a detector also: shipped."),
            click.option("--resume", is_flag=True, help="Resume the run in --out."),
        )
    ):
        function = option(function)
    return function


@commands.command(context_settings=_ACCEPT_EARLIER_OPTIONS)
@partial(_training_options, study_needed=False)
@click.option("--batch", default=16, show_default=True, help="Hands per batch, over all processes.")
@click.option("--backbone", default="small", show_default=True, help="small, ssd300-vgg16 or ssdlite; see --weights.")
@click.option("--coco", type=_FOLDER, help="Also train on the boxes of this COCO file; the films are in its folder.")
@click.option("--phantoms", default=0, help="Also train on this number of simulated hands.")
@click.option("--refiner-only", is_flag=True, help="Train only the refiner; keep the other weights of --weights.")
def detector(study: Path | None, out: Path, batch: int, **options: Any) -> None:
    """Train the detector of finger joints on the confirmed regions of STUDY, COCO boxes and simulated hands.

    \b
    --weights takes a run's model.pt or, for the backbones ssd300-vgg16 and ssdlite, a weights file
    of torchvision: of a whole SSD, or of VGG16 only. An epoch contains at most 512 hands.
    """
    from trainer.training.detector_training import train_detector

    more = {name: options.pop(name) for name in ("backbone", "coco", "phantoms", "refiner_only")}
    _train(train_detector, study, out, batch, options, **more)


@commands.command(context_settings=_ACCEPT_EARLIER_OPTIONS)
@_training_options
@click.option("--batch", default=64, show_default=True, help="Joints per batch, over all processes.")
@click.option("--loss", default="pair", show_default=True, help="ce, soft, marginal, pair, emd or cumulative.")
@click.option("--difference", default=0.0, show_default=True, help="Weight λ of the squared error of the change.")
@click.option(
    "--pairing",
    default="coupled",
    show_default=True,
    type=click.Choice(["single", "paired", "coupled"]),
    help="Combination of the two time points in the network.",
)
@click.option(
    "--rater-model",
    default="none",
    show_default=True,
    help="Model of the raters: none, confusion or leaning.",
)
@click.option(
    "--width", default=24, show_default=True, help="Channels of the first layer; twice as many cost four times as much."
)
def scorer(study: Path, out: Path, batch: int, **options: Any) -> None:
    """Train the scorer of joints at two time points.

    --weights takes another scorer's model.pt or the trunk of a comparison; layers that don't fit are initialized anew.
    """
    from trainer.training.scorer_training import train_scorer

    recipe = {name: options.pop(name) for name in ("loss", "difference", "pairing", "rater_model", "width")}
    _train(train_scorer, study, out, batch, options, **recipe)


@commands.command()
@click.argument("study", type=_FOLDER)
@click.option("--detector", type=_FOLDER, help="Run of a detector; without it only the scorer is evaluated.")
@click.option("--scorer", type=_FOLDER, required=True, help="Run of a scorer.")
@click.option("--out", type=_FOLDER, required=True, help="Folder of the report.")
@click.option("--decision", default="expectation", show_default=True, help="expectation, median, argmax or joint.")
@click.option("--to-study", is_flag=True, help="Store the report in STUDY; raters can open it after signing its cases.")
@click.option("--seed", default=0, show_default=True, help="Seed of the bootstrap.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
def evaluate(
    study: Path,
    detector: Path | None,
    scorer: Path,
    out: Path,
    decision: str,
    to_study: bool,
    seed: int,
    device: str,
) -> None:
    """Evaluate both models on the cases that neither was trained on."""
    from trainer.evaluation.evaluate import evaluate_models
    from trainer.evaluation.report import write_report
    from trainer.training.loop import pick_device

    opened = Study.open(study)
    with umask_for(out):
        results = evaluate_models(opened, detector, scorer, out, pick_device(device), seed=seed, decision=decision)
        click.echo(write_report(results, out, study=opened if to_study else None, model=scorer.resolve().name))
    _print_notices(opened)


@commands.command()
@click.argument("study", type=_FOLDER)
@click.option("--detector", type=_FOLDER, help="Run of a detector, which proposes regions.")
@click.option("--scorer", type=_FOLDER, help="Run of a scorer; raters see its scores after signing.")
@click.option("--name", help="Name of the model in the study.  [default: name of the run's folder]")
@click.option("--all", "every", is_flag=True, help="Include films whose regions are confirmed.")
@click.option("--order", is_flag=True, help="Sort the worklist: cases that improve the scorer most come first.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
def propose(
    study: Path, detector: Path | None, scorer: Path | None, name: str | None, every: bool, order: bool, device: str
) -> None:
    """Store a detector's regions and a scorer's scores in STUDY, and order its worklist."""
    from trainer.inference.predictions import predict_study
    from trainer.inference.proposals import propose_regions
    from trainer.training.loop import pick_device

    if detector is None and scorer is None:
        raise TrainError("no model was given", "propose", "Give --detector, --scorer or both")
    if order and scorer is None:
        raise TrainError("the order needs a scorer", "--order", "Give --scorer as well")
    opened, torch_device = Study.open(study), pick_device(device)
    if detector is not None:
        label = name or detector.resolve().name
        proposed = propose_regions(opened, detector, label, torch_device, include_confirmed=every)
        click.echo(f"{proposed.joints} joints proposed on {proposed.hands} hands of {proposed.cases} cases")
        for skipped in proposed.skipped:
            click.echo(f"  no proposal: {skipped}", err=True)
        for turned in proposed.turned:
            click.echo(f"  turned: {turned}", err=True)
        for warning in (*proposed.not_turned, *proposed.side_warnings):
            click.echo(f"  to check: {warning}", err=True)
    if scorer is not None:
        # If both models are given, --name is the name of the detector.
        label = name if name and detector is None else scorer.resolve().name
        with umask_for(scorer):
            predicted = predict_study(opened, scorer, label, torch_device, scorer / "samples", order=order)
        click.echo(f"{predicted.cases} cases scored by {label}; raters see the scores after signing")
        if order:
            click.echo(f"{len(predicted.order)} open cases sorted, the most useful for training first")
    _print_notices(opened)


@commands.command()
@click.option("--out", type=_FOLDER, required=True, help="Folder of the patients, the results and the table.")
@click.option("--arm", "arms", multiple=True, help="Training method; may be repeated.  [default: all]")
@click.option("--rater", "kinds", multiple=True, help="Kind of simulated rater; may be repeated.  [default: all]")
@click.option(
    "--size", "sizes", multiple=True, type=int, help="Training patients; may be repeated.  [default: 26, 104, 400]"
)
@click.option("--seeds", default=3, show_default=True, help="Number of trainings per cell.")
@click.option("--steps", default=300, show_default=True, help="Training batches per cell.")
@click.option("--pixels", default=56, show_default=True, help="Side of a crop, in pixels.")
@click.option("--trunk-steps", default=0, help="Batches to train one trunk for all cells; 0 for no common trunk.")
@click.option("--test", default=77, show_default=True, help="Number of test patients.")
@click.option("--part", default="0/1", show_default=True, help="Part of the cells that this process computes, I/N.")
@click.option("--seconds", type=float, help="Stop after this time; run the command again to continue.")
@click.option("--decision", default="expectation", show_default=True, help="expectation, median, argmax or joint.")
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
    part: str,
    seconds: float | None,
    decision: str,
) -> None:
    """Compare training methods over kinds of simulated raters and sizes of studies.

    \b
    Each cell of the table is a file, so a comparison can be resumed and several processes can share it:
      for part in 0 1 2 3; do ratui-train compare --out DIR --part $part/4 & done; wait
    On a cluster, as an array job (Slurm, --array=0-31):
      ratui-train compare --out DIR --part $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT
    """
    from ratui.phantom import RATERS
    from trainer.experiments.arms import ARMS, Budget
    from trainer.experiments.comparison import Comparison, parse_part, run_comparison

    comparison = Comparison(
        arms or tuple(ARMS),
        kinds or tuple(RATERS),
        sizes or (26, 104, 400),
        seeds,
        Budget(steps=steps, pixels=pixels),
        trunk_steps,
        part=parse_part(part),
        seconds=seconds,
        decision=decision,
        test=test,
    )
    click.echo(run_comparison(comparison, out, ProgressBar()))


@commands.command()
@click.option("--out", type=_FOLDER, required=True, help="Folder of a comparison with a common trunk.")
@click.option("--arm", default="coupled pair", show_default=True, help="Training method.")
@click.option("--rater", default="shared-shift", show_default=True, help="Kind of simulated rater.")
@click.option("--pool", default=104, show_default=True, help="Number of patients to choose from.")
@click.option("--seeds", default=5, show_default=True, help="Number of studies per order.")
@click.option("--steps", default=300, show_default=True, help="Training batches per training.")
@click.option("--pixels", default=56, show_default=True, help="Side of a crop, in pixels.")
@click.option("--trunk-steps", default=800, show_default=True, help="Training batches of the common trunk.")
def curve(out: Path, arm: str, rater: str, pool: int, seeds: int, steps: int, pixels: int, trunk_steps: int) -> None:
    """Compare learning curves: cases with the most uncertain scores first, or cases in random order."""
    from trainer.experiments.arms import Budget
    from trainer.experiments.comparison import Comparison, run_growth
    from trainer.experiments.learning_curve import StudyGrowth

    comparison = Comparison((arm,), (rater,), (pool,), seeds, Budget(steps=steps, pixels=pixels), trunk_steps)
    click.echo(run_growth(comparison, StudyGrowth(arm, rater, seeds=seeds), out, ProgressBar()))


def _train(train: Any, study: Path | None, out: Path, batch: int, options: dict[str, Any], **more: Any) -> None:
    """Build the plan of a run from the command line's `options` and from `more` settings, and call `train`."""
    from trainer.training.loop import TrainingPlan, join_processes, pick_device
    from trainer.training.runs import RunPlan

    device = pick_device(options["device"])
    training = TrainingPlan(
        epochs=10**9 if options["seconds"] else options["epochs"],
        seconds=options["seconds"],
        rate=options["rate"],
        seed=options["seed"],
        amp=options["amp"],
        deterministic=options["deterministic"],
        compile=options["compiled"],
        tensorboard=options["tensorboard"],
    )
    common = {name: options[name] for name in ("held_out", "samples", "weights", "resume")}
    plan = RunPlan(training, batch, **common, **more)
    with umask_for(out), join_processes(device) as process_group:
        opened = Study.open(study) if study else None
        train(opened, out, plan, device, process_group)
        if opened is not None:
            _print_notices(opened)


def _print_notices(study: Study) -> None:
    """Print the damaged files that were left out or read from a second copy, on standard error."""
    for notice in study.notices:
        click.echo(f"note: {clean_text(notice, 300)}. See: ratui check {clean_text(study.path)}", err=True)


def main() -> NoReturn:
    """Run the command line and exit; `ratui.program.run_program` lists the exit codes."""
    run_program("ratui-train", lambda: sys.exit(_run()))


def _run() -> int:
    """Run the commands; raise TrainError with advice if a package of the extra ``train`` is missing."""
    try:
        return run_commands(commands)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "torchvision", "matplotlib", "scipy"):
            raise
        raise TrainError(f"{error.name} is not installed", "", "pip install 'ratui[train]'") from error
