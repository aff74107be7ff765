"""The ``ratui-train`` command: train, evaluate, propose. Errors become one message and an exit code that isn't 0."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click

from ratui.errors import TrainError
from ratui.files import umask_for
from ratui.program import run_commands, run_program
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
    ratui-train compare  --out DIR              losses, raters and sizes of studies, simulated

    Under torchrun the trainings use every process:  torchrun --nproc-per-node 8 -m trainer detector …
    """


def _training_options(function: Any, *, study_needed: bool = True) -> Any:
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
            click.option("--deterministic", is_flag=True, help="Only algorithms that give the same each time."),
            click.option("--compile", "compiled", is_flag=True, help="Let torch build the network for this machine."),
            click.option("--tensorboard", is_flag=True, help="Write TensorBoard's files as well."),
            click.option("--samples", type=_FOLDER, help="Where crops are kept, for runs to share."),
            click.option("--weights", type=_FOLDER, help="Start from this model.pt (a detector: or shipped)."),
            click.option("--resume", is_flag=True, help="Go on with the run in --out."),
        )
    ):
        function = option(function)
    return function


@commands.command()
@partial(_training_options, study_needed=False)
@click.option("--batch", default=16, show_default=True, help="Hands in a batch, over all processes.")
@click.option("--backbone", default="small", show_default=True, help="small, ssd300-vgg16 or ssdlite; see --weights.")
@click.option("--coco", type=_FOLDER, help="Learn from the boxes of this COCO file, too; its films lie beside it.")
@click.option("--phantoms", default=0, help="Learn from this many simulated hands, too.")
@click.option(
    "--near", "refiner_only", is_flag=True, help="Train the second look alone; the rest stays as --weights have it."
)
def detector(study: Path | None, out: Path, batch: int, **options: Any) -> None:
    """Train the detector of finger joints, from the confirmed regions of STUDY, COCO boxes and simulated hands.

    \b
    --weights takes a run's model.pt, or for the backbones ssd300-vgg16 and ssdlite a file of
    torchvision's: of a whole SSD, or of VGG16 alone. A pass (--epochs) sees at most 512 hands.
    """
    from trainer.training.detector_training import train_detector

    more = {name: options.pop(name) for name in ("backbone", "coco", "phantoms", "refiner_only")}
    _train(train_detector, study, out, batch, options, **more)


@commands.command()
@_training_options
@click.option("--batch", default=64, show_default=True, help="Joints in a batch, over all processes.")
@click.option("--loss", default="pair", show_default=True, help="ce, soft, marginal, pair, emd or cumulative.")
@click.option("--difference", default=0.0, show_default=True, help="The weight λ of the squared difference error.")
@click.option("--pairing", default="coupled", show_default=True, type=click.Choice(["single", "paired", "coupled"]))
@click.option(
    "--crowd",
    "rater_model",
    default="none",
    show_default=True,
    help="How raters are modelled: none, confusion, leaning.",
)
@click.option(
    "--width", default=24, show_default=True, help="How wide the network is; twice as wide is four times dearer."
)
def scorer(study: Path, out: Path, batch: int, **options: Any) -> None:
    """Train the scorer of joints at two time points.

    --weights takes another scorer's model.pt, or the trunk of a comparison: what doesn't fit is learnt anew.
    """
    from trainer.training.scorer_training import train_scorer

    recipe = {name: options.pop(name) for name in ("loss", "difference", "pairing", "rater_model", "width")}
    _train(train_scorer, study, out, batch, options, **recipe)


@commands.command()
@click.argument("study", type=_FOLDER)
@click.option("--detector", type=_FOLDER, help="The folder of a detector's run; without it only scores are measured.")
@click.option("--scorer", type=_FOLDER, required=True, help="The folder of a scorer's run.")
@click.option("--out", type=_FOLDER, required=True, help="Where the report goes.")
@click.option("--decision", default="expectation", show_default=True, help="expectation, median, argmax or joint.")
@click.option("--to-study", is_flag=True, help="Keep it in STUDY, too: ratui opens it for who has signed its cases.")
@click.option("--seed", default=0, show_default=True, help="Of the bootstrap.")
@click.option("--device", default="auto", show_default=True)
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
    """Measure both models on the cases that neither has learnt from."""
    from trainer.evaluation.evaluate import evaluate_models
    from trainer.evaluation.report import write_report
    from trainer.training.loop import pick_device

    opened = Study.open(study)
    with umask_for(out):
        results = evaluate_models(opened, detector, scorer, out, pick_device(device), seed=seed, decision=decision)
        click.echo(write_report(results, out, study=opened if to_study else None, model=scorer.resolve().name))


@commands.command()
@click.argument("study", type=_FOLDER)
@click.option("--detector", type=_FOLDER, help="The folder of a detector's run: regions for films that have none.")
@click.option("--scorer", type=_FOLDER, help="The folder of a scorer's run: answers, shown after signing.")
@click.option("--name", help="The model's name in the study; the run folder's by default.")
@click.option("--all", "every", is_flag=True, help="Also for films whose regions are confirmed.")
@click.option("--order", is_flag=True, help="Sort the worklist by what would teach the scorer most.")
@click.option("--device", default="auto", show_default=True)
def propose(
    study: Path, detector: Path | None, scorer: Path | None, name: str | None, every: bool, order: bool, device: str
) -> None:
    """Propose regions; keep the scorer's answers; put the worklist in order."""
    from trainer.inference.predictions import predict_study
    from trainer.inference.proposals import propose_regions
    from trainer.training.loop import pick_device

    if detector is None and scorer is None:
        raise TrainError("there is no model to ask", "propose", "Give --detector, --scorer or both")
    if order and scorer is None:
        raise TrainError("only a scorer knows what would teach it", "--order", "Give --scorer as well")
    opened, where = Study.open(study), pick_device(device)
    if detector is not None:
        done = propose_regions(opened, detector, name or detector.resolve().name, where, include_confirmed=every)
        click.echo(f"{done.joints} joints proposed on {done.hands} hands of {done.cases} cases")
        for skipped in done.skipped:
            click.echo(f"  no proposal: {skipped}", err=True)
        for doubt in done.side_warnings:
            click.echo(f"  to check: {doubt}", err=True)
    if scorer is not None:
        label = name if name and detector is None else scorer.resolve().name
        with umask_for(scorer):
            answered = predict_study(opened, scorer, label, where, scorer / "samples", order=order)
        click.echo(f"{answered.cases} cases answered by {label}; raters see it once they have signed")
        if order:
            click.echo(f"{len(answered.order)} open cases put in order, what teaches most first")


@commands.command()
@click.option("--out", type=_FOLDER, required=True, help="Where patients, cells and the table are kept.")
@click.option("--arm", "arms", multiple=True, help="A recipe, as often as wanted; all without it.")
@click.option("--rater", "kinds", multiple=True, help="A kind of rater, as often as wanted; all without it.")
@click.option("--size", "sizes", multiple=True, type=int, help="Patients to learn from; 26, 104 and 400 without it.")
@click.option("--seeds", default=3, show_default=True, help="How often each cell is trained.")
@click.option("--steps", default=300, show_default=True, help="Batches that each cell may learn from.")
@click.option("--pixels", default=56, show_default=True, help="A side of a crop.")
@click.option("--trunk-steps", default=0, help="Learn a trunk once for all cells, in so many batches; 0 for none.")
@click.option("--test", default=77, show_default=True, help="The number of the patients to measure on.")
@click.option("--part", default="0/1", show_default=True, help="Which part of how many this process fills.")
@click.option("--seconds", type=float, help="Stop after this time; run again to go on.")
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
    """Compare losses over kinds of simulated raters and sizes of studies.

    \b
    A cell is a file: a comparison goes on where it was stopped, and processes fill one table side by side:
      for part in 0 1 2 3; do ratui-train compare --out DIR --part $part/4 & done; wait
    On a cluster, the line of an array job (Slurm, --array=0-31):
      ratui-train compare --out DIR --part $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT
    """
    from ratui.phantom import RATERS
    from trainer.experiments.arms import ARMS, Budget
    from trainer.experiments.comparison import Comparison, parse_part, run_comparison
    from trainer.training.runs import show_progress

    what = Comparison(
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
    click.echo(run_comparison(what, out, show_progress))


@commands.command()
@click.option("--out", type=_FOLDER, required=True, help="The folder of a comparison with a fixed trunk.")
@click.option("--arm", default="coupled pair", show_default=True, help="The recipe.")
@click.option("--rater", default="shared-shift", show_default=True, help="The kind of rater.")
@click.option("--pool", default=104, show_default=True, help="Patients to choose from.")
@click.option("--seeds", default=5, show_default=True, help="Studies of each order.")
@click.option("--steps", default=300, show_default=True, help="Batches that each training may learn from.")
@click.option("--pixels", default=56, show_default=True, help="A side of a crop.")
@click.option("--trunk-steps", default=800, show_default=True, help="As for the comparison.")
def curve(out: Path, arm: str, rater: str, pool: int, seeds: int, steps: int, pixels: int, trunk_steps: int) -> None:
    """Whether reading what the scorer doubts most teaches it sooner than reading by chance."""
    from trainer.experiments.arms import Budget
    from trainer.experiments.comparison import Comparison, run_growth
    from trainer.experiments.learning_curve import StudyGrowth
    from trainer.training.runs import show_progress

    what = Comparison((arm,), (rater,), (pool,), seeds, Budget(steps=steps, pixels=pixels), trunk_steps)
    click.echo(run_growth(what, StudyGrowth(arm, rater, seeds=seeds), out, show_progress))


def _train(train: Any, study: Path | None, out: Path, batch: int, options: dict[str, Any], **more: Any) -> None:
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
        train(Study.open(study) if study else None, out, plan, device, process_group)


def main() -> NoReturn:
    """Run the command line and exit; `ratui.program.run_program` lists the exit codes."""
    run_program("ratui-train", lambda: sys.exit(_run()))


def _run() -> int:
    try:
        return run_commands(commands)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "torchvision", "matplotlib", "scipy"):
            raise
        raise TrainError(f"{error.name} is not installed", "", "pip install 'ratui[train]'") from error
