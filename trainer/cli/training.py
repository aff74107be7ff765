"""The commands that train a model: ``detector`` and ``scorer``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ratui.files import umask_for
from ratui.study import Study
from trainer.cli.options import COUNT, FOLDER, POSITIVE, SEED, SHARE, WEIGHT, FiniteRange, print_notices

if TYPE_CHECKING:
    from trainer.training.runs import RunPlan

__all__ = ["ACCEPT_EARLIER_OPTIONS", "BATCH", "DETECTOR", "SCORER", "detector", "make_plan", "scorer"]

BATCH = {"scorer": 64, "detector": 16}
"""Default number of joints, or of hands, in a batch."""
SCORER = ("loss", "difference", "pairing", "rater_model", "width", "class_weights", "backbone")
"""Settings of a scorer, by the name of their option."""
DETECTOR = ("backbone", "coco", "coco_patients", "phantoms", "refiner_only", "wrist_only", "foot_only")
"""Settings of a detector, and `phantoms`, which a scorer takes in place of a study. Both have a `backbone`."""
_COMMON = ("held_out", "validation", "samples", "weights", "resume")

_EARLIER_OPTIONS = {"crowd": "rater-model", "near": "refiner-only"}
ACCEPT_EARLIER_OPTIONS = {"token_normalize_func": lambda name: _EARLIER_OPTIONS.get(name, name)}
"""Context settings of click: scripts may use the names of earlier versions, which ``--help`` does not list."""


def _training_options(function: Any, *, study_needed: bool = True) -> Any:
    """Add the options that both training commands share."""
    # Decorators apply from the bottom up: in reversed order, --help lists the options as they stand here.
    for option in reversed(
        (
            click.argument("study", type=FOLDER, required=study_needed),
            click.option("--out", type=FOLDER, required=True, help="Folder of the run."),
            click.option(
                "--epochs", type=COUNT, default=60, show_default=True, help="Number of passes over the training cases."
            ),
            click.option("--seconds", type=POSITIVE, help="Stop after this time; the learning rate follows the clock."),
            click.option("--rate", type=POSITIVE, default=2e-3, show_default=True, help="Maximum learning rate."),
            click.option(
                "--seed", type=SEED, default=0, show_default=True, help="Seed of split, initialization, augmentation."
            ),
            click.option(
                "--held-out", type=SHARE, default=0.25, show_default=True, help="Proportion of cases not trained on."
            ),
            click.option(
                "--validation",
                type=FiniteRange(0, 1, max_open=True),
                default=0.1,
                show_default=True,
                help="Proportion of the training cases kept to choose the best epoch; 0 takes the last epoch.",
            ),
            click.option(
                "--patience",
                type=click.IntRange(min=0),
                default=0,
                show_default=True,
                help="End after this number of epochs without a smaller validation loss; 0 for never.",
            ),
            click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda."),
            click.option("--amp/--no-amp", default=True, help="Automatic mixed precision, on a GPU."),
            click.option("--deterministic", is_flag=True, help="Use deterministic algorithms only."),
            click.option("--compile", "compiled", is_flag=True, help="Compile the network with torch.compile."),
            click.option(
                "--compile-mode",
                type=click.Choice(["default", "reduce-overhead"]),
                default="default",
                show_default=True,
                help="Mode of --compile; reduce-overhead uses CUDA graphs.",
            ),
            click.option("--tensorboard", is_flag=True, help="Write event files for TensorBoard as well."),
            click.option(
                "--mlflow", default="", metavar="URI|FOLDER", help="Send metrics to this MLflow server or folder."
            ),
            click.option("--samples", type=FOLDER, help="Folder that caches crops; runs can share it."),
            click.option("--weights", type=FOLDER, help="Start from this model.pt; for a detector also: shipped."),
            click.option("--resume", is_flag=True, help="Resume the run in --out."),
        )
    ):
        function = option(function)
    return function


@click.command(context_settings=ACCEPT_EARLIER_OPTIONS)
@partial(_training_options, study_needed=False)
@click.option(
    "--batch", type=COUNT, default=BATCH["detector"], show_default=True, help="Hands per batch, over all processes."
)
@click.option("--backbone", default="small", show_default=True, help="small, ssd300-vgg16 or ssdlite; see --weights.")
@click.option("--coco", type=FOLDER, help="Also train on the boxes of this COCO file; the films are in its folder.")
@click.option(
    "--coco-patients", type=FOLDER, help="CSV table with the patient of each image: columns file and patient."
)
@click.option(
    "--phantoms",
    type=click.IntRange(min=0),
    default=0,
    help="Also train on this number of simulated hands, and of feet.",
)
@click.option("--refiner-only", is_flag=True, help="Train only the refiner; keep the other weights of --weights.")
@click.option("--wrist-only", is_flag=True, help="Train only the part for wrists; keep the other weights of --weights.")
@click.option("--foot-only", is_flag=True, help="Train only the part for feet; keep the other weights of --weights.")
def detector(study: Path | None, out: Path, batch: int, **options: Any) -> None:
    """Train the detector of finger joints, wrists and feet on confirmed regions of STUDY, COCO boxes and simulated films.

    \b
    --weights takes a run's model.pt or, for the backbones ssd300-vgg16 and ssdlite, a weights file
    of torchvision: of a whole SSD, or of VGG16 only. An epoch contains at most 512 hands.
    """
    from trainer.training.detector_training import train_detector

    more = {name: options.pop(name) for name in DETECTOR}
    _train(train_detector, study, out, batch, options, **more)


@click.command(context_settings=ACCEPT_EARLIER_OPTIONS)
@partial(_training_options, study_needed=False)
@click.option(
    "--batch", type=COUNT, default=BATCH["scorer"], show_default=True, help="Joints per batch, over all processes."
)
@click.option("--loss", default="pair", show_default=True, help="ce, soft, marginal, pair, emd or cumulative.")
@click.option(
    "--difference", type=WEIGHT, default=0.0, show_default=True, help="Weight λ of the squared error of the change."
)
@click.option(
    "--pairing",
    default="coupled",
    show_default=True,
    type=click.Choice(["single", "paired", "compared", "coupled"]),
    help="Combination of the two time points in the network.",
)
@click.option(
    "--rater-model",
    default="none",
    show_default=True,
    help="Model of the raters: none, confusion or leaning.",
)
@click.option(
    "--width",
    type=COUNT,
    default=24,
    show_default=True,
    help="Channels of the small backbone's first layer; twice as many cost four times as much.",
)
@click.option(
    "--backbone",
    default="small",
    show_default=True,
    help="small, resnet18, resnet34, resnet50, convnext_tiny or efficientnet_b0; see --weights.",
)
@click.option(
    "--class-weights",
    default="none",
    show_default=True,
    help="Weights of the grades: none, balanced (1 / frequency) or sqrt (1 / its square root).",
)
@click.option(
    "--phantoms",
    type=click.IntRange(min=0),
    default=0,
    help="Train on this number of simulated patients, not on a study.",
)
def scorer(study: Path | None, out: Path, batch: int, **options: Any) -> None:
    """Train the scorer of joints at two time points on the signed readings of STUDY, or on simulated patients.

    --weights takes another scorer's model.pt or the trunk of a comparison; layers that don't fit are initialized anew.
    For a backbone other than small it also takes a weights file of torchvision's or timm's network of that name.
    """
    from trainer.training.scorer_training import train_scorer

    recipe = {name: options.pop(name) for name in (*SCORER, "phantoms")}
    _train(train_scorer, study, out, batch, options, **recipe)


def _train(train: Any, study: Path | None, out: Path, batch: int, options: dict[str, Any], **more: Any) -> None:
    """Build the plan of a run from the command line's `options` and from `more` settings, and call `train`."""
    from trainer.training.loop import pick_device
    from trainer.training.processes import join_processes

    device = pick_device(options["device"])
    plan = make_plan(batch, {**options, **more})
    with umask_for(out), join_processes(device) as process_group:
        # The other processes get their samples from the first one.
        opened = Study.open(study) if study and process_group.is_first else None
        train(opened, out, plan, device, process_group)
        if opened is not None:
            print_notices(opened)


def make_plan(batch: int, options: Mapping[str, Any]) -> RunPlan:
    """Return the plan of a run from the options of a training command, by their names."""
    from trainer.training.loop import TrainingPlan
    from trainer.training.runs import RunPlan

    training = TrainingPlan(
        epochs=10**9 if options["seconds"] else options["epochs"],
        seconds=options["seconds"],
        rate=options["rate"],
        seed=options["seed"],
        amp=options["amp"],
        deterministic=options["deterministic"],
        compile=options["compiled"],
        compile_mode=options["compile_mode"],
        tensorboard=options["tensorboard"],
        mlflow=options["mlflow"],
        patience=options["patience"],
    )
    return RunPlan(
        training, batch, **{name: options[name] for name in (*_COMMON, *SCORER, *DETECTOR) if name in options}
    )
