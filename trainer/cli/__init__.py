"""Command line of ``ratui-train``: train, evaluate and apply models. An error gives one message and a non-zero exit code.

Each command imports torch and the modules that need it when it runs, so that ``--help`` works without the extra ``train``.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from ratui.errors import TrainError
from ratui.program import run_commands, run_program
from trainer.cli.application import evaluate, export_onnx, predict, propose, show
from trainer.cli.benchmark import benchmark
from trainer.cli.experiments import compare, curve
from trainer.cli.run_sets import folds, sweep
from trainer.cli.training import detector, scorer

__all__ = ["commands", "main"]

_EXTRAS = dict.fromkeys(("torch", "torchvision", "matplotlib", "scipy"), "train") | dict.fromkeys(
    ("onnx", "onnxruntime", "onnxscript"), "onnx"
)
"""The extra of each package that a command needs."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ratui", prog_name="ratui-train")
def commands() -> None:
    """Train models on the signed readings of a ratui study.

    \b
    ratui-train detector [STUDY] --out RUN      finds the joints and their special findings
    ratui-train scorer   STUDY --out RUN        predicts ERO and JSN at both time points
    ratui-train evaluate STUDY --detector RUN --scorer RUN --out DIR
    ratui-train propose  STUDY --detector RUN   proposes regions for films without any
    ratui-train predict  FOLDER --csv OUT       writes joints, findings and grades of films outside a study
    ratui-train show     RUN                    prints what a model is for and what it learned from
    ratui-train folds    STUDY --out DIR        cross-validates a model on the cases of a study
    ratui-train sweep    STUDY --out DIR        chooses settings of a training on validation cases
    ratui-train export-onnx RUN --out FILE      writes a model for other programs
    ratui-train compare  --out DIR              compares losses, raters and study sizes on simulated data
    ratui-train benchmark ram-h1200 FOLDER --out DIR   trains and measures both models on a public data set

    Under torchrun, training uses all processes:  torchrun --nproc-per-node 8 -m trainer detector …
    """


for _command in (
    detector,
    scorer,
    evaluate,
    propose,
    predict,
    show,
    export_onnx,
    folds,
    sweep,
    compare,
    curve,
    benchmark,
):
    commands.add_command(_command)


def main() -> NoReturn:
    """Run the command line and exit; `ratui.program.run_program` lists the exit codes."""
    run_program("ratui-train", lambda: sys.exit(_run()))


def _run() -> int:
    """Run the commands; raise TrainError with advice if a package of the extra ``train`` is missing."""
    try:
        return run_commands(commands)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        raise TrainError(f"{error.name} is not installed", "", f"pip install 'ratui[{extra}]'") from error
