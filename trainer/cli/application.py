"""The commands that apply trained models: ``evaluate``, ``propose``, ``predict``, ``show`` and ``export-onnx``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ratui.errors import TrainError, clean_text
from ratui.files import umask_for
from ratui.results.text_table import format_count
from ratui.study import Study
from trainer.cli.options import FOLDER, print_notices

__all__ = ["evaluate", "export_onnx", "predict", "propose", "show"]

_SCORERS = "Run of a scorer. May be repeated: the probabilities of several are averaged."


def _name_scorers(runs: tuple[Path, ...]) -> str:
    """Return the name of the model that these runs are together."""
    return "-".join(run.resolve().name for run in runs)


@click.command()
@click.argument("study", type=FOLDER)
@click.option("--detector", type=FOLDER, help="Run of a detector; without it only the scorer is evaluated.")
@click.option("--scorer", "scorers", type=FOLDER, multiple=True, required=True, help=_SCORERS)
@click.option("--out", type=FOLDER, required=True, help="Folder of the report.")
@click.option("--decision", default="expectation", show_default=True, help="expectation, median, argmax or joint.")
@click.option(
    "--saliency",
    type=click.IntRange(0, 100),
    default=0,
    show_default=True,
    help="Number of joints with maps of the places that the prediction depends on.",
)
@click.option("--to-study", is_flag=True, help="Store the report in STUDY; raters can open it after signing its cases.")
@click.option("--seed", default=0, show_default=True, help="Seed of the bootstrap and of --saliency.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
def evaluate(
    study: Path,
    detector: Path | None,
    scorers: tuple[Path, ...],
    out: Path,
    decision: str,
    saliency: int,
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
        results = evaluate_models(
            opened,
            detector,
            scorers[0],
            out,
            pick_device(device),
            more_scorers=scorers[1:],
            seed=seed,
            decision=decision,
            saliency=saliency,
        )
        click.echo(write_report(results, out, study=opened if to_study else None, model=_name_scorers(scorers)))
    print_notices(opened)


@click.command()
@click.argument("study", type=FOLDER)
@click.option("--detector", type=FOLDER, help="Run of a detector, which proposes regions.")
@click.option("--scorer", "scorers", type=FOLDER, multiple=True, help=_SCORERS + " Raters see scores after signing.")
@click.option("--name", help="Name of the model in the study.  [default: name of the run's folder]")
@click.option("--all", "every", is_flag=True, help="Include films whose regions are confirmed.")
@click.option("--order", is_flag=True, help="Sort the worklist: cases that improve the scorer most come first.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
def propose(
    study: Path,
    detector: Path | None,
    scorers: tuple[Path, ...],
    name: str | None,
    every: bool,
    order: bool,
    device: str,
) -> None:
    """Store a detector's regions and a scorer's scores in STUDY, and order its worklist."""
    from trainer.inference.predictions import predict_study
    from trainer.inference.proposals import propose_regions
    from trainer.training.loop import pick_device

    if detector is None and not scorers:
        raise TrainError("no model was given", "propose", "Give --detector, --scorer or both")
    if order and not scorers:
        raise TrainError("the order needs a scorer", "--order", "Give --scorer as well")
    opened, torch_device = Study.open(study), pick_device(device)
    if detector is not None:
        label = name or detector.resolve().name
        proposed = propose_regions(opened, detector, label, torch_device, include_confirmed=every)
        click.echo(proposed.counts)
        for skipped in proposed.skipped:
            click.echo(f"  no proposal: {skipped}", err=True)
        for turned in proposed.turned:
            click.echo(f"  turned: {turned}", err=True)
        for warning in (*proposed.not_turned, *proposed.side_warnings, *proposed.incomplete):
            click.echo(f"  to check: {warning}", err=True)
    if scorers:
        # If both models are given, --name is the name of the detector.
        label = name if name and detector is None else _name_scorers(scorers)
        with umask_for(scorers[0]):
            predicted = predict_study(
                opened,
                scorers[0],
                label,
                torch_device,
                scorers[0] / "samples",
                more_scorers=scorers[1:],
                order=order,
            )
        click.echo(f"{predicted.cases} cases scored by {label}; raters see the scores after signing")
        if predicted.unlike:
            click.echo(
                f"{predicted.unlike} of {format_count(predicted.films, 'film')} are unlike those that the scorer learned "
                "from: their joints have no scores, and their cases no place in the order; see docs/engineers.md"
            )
        if predicted.is_domain_unknown:
            click.echo("which films the scorer knows was not measured: it scores all of them; train it again", err=True)
        if predicted.single:
            click.echo(f"{predicted.single} of the joints have a film at one time point only: grades without a change")
        if order:
            click.echo(f"{len(predicted.order)} open cases sorted, the most useful for training first")
            if predicted.unlike_cases:
                click.echo(
                    f"the others follow by name, with {len(predicted.unlike_cases)} that the scorer does not know"
                )
    print_notices(opened)


@click.command()
@click.argument("folder", type=FOLDER)
@click.option("--csv", "out", type=FOLDER, required=True, help="The table to write.")
@click.option("--detector", type=FOLDER, default="shipped", show_default=True, help="Run of a detector.")
@click.option("--scorer", "scorers", type=FOLDER, multiple=True, help=_SCORERS)
@click.option("--pairs", type=FOLDER, help="CSV table of films of one patient: columns first, second and side.")
@click.option("--scheme", default="fingers", show_default=True, help="Scheme that names joints, scales and grades.")
@click.option("--decision", default="expectation", show_default=True, help="expectation, median, argmax or joint.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu or cuda.")
def predict(
    folder: Path,
    out: Path,
    detector: Path,
    scorers: tuple[Path, ...],
    pairs: Path | None,
    scheme: str,
    decision: str,
    device: str,
) -> None:
    """Write a table of the joints on the films in FOLDER, without a study: DICOM, PNG, JPEG or TIFF files.

    Each row is a joint on a film: its box, the probability of a special finding and, with --scorer, the grades. The films
    of --pairs are scored together and have a change. The exit code is 1 without any film, 3 if a place was not read.
    """
    from ratui.progress_bar import ProgressBar
    from ratui.scheme import load_scheme
    from trainer.inference.film_predictions import predict_folder
    from trainer.training.loop import pick_device

    with umask_for(out.parent):
        summary = predict_folder(
            folder,
            out,
            pick_device(device),
            scheme=load_scheme(scheme),
            detector=detector,
            scorers=scorers,
            pairs=pairs,
            decision=decision,
            progress=ProgressBar(),
        )
    for problem in summary.problems:
        click.echo(f"  not predicted: {clean_text(problem, 400)}", err=True)
    click.echo(f"{format_count(summary.hands, 'hand')} on {format_count(summary.films, 'film')}")
    if summary.unlike:
        click.echo(f"{summary.unlike} of them without findings; the column no_finding states why", err=True)
    if summary.ungraded:
        click.echo(f"{summary.ungraded} of them without grades; the column no_grades states why", err=True)
    if summary.exit_code:
        sys.exit(summary.exit_code)


@click.command()
@click.argument("run", type=FOLDER)
def show(run: Path) -> None:
    """Print the model card of RUN: what it is for, what it learned from, its settings and limits.

    RUN is the folder of a run, a model.pt, or: shipped.
    """
    from trainer.training.model_card import format_model_card

    click.echo(format_model_card(run), nl=False)


@click.command("export-onnx")
@click.argument("run", type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="File to write, which ends with .onnx.")
def export_onnx(run: Path, out: Path) -> None:
    """Write the model of RUN as ONNX, after a comparison with torch on simulated films.

    RUN is the folder of a run, or: shipped. A detector becomes two files: the second one has -refiner in its name. Nothing
    is written if ONNX and torch differ by more than 0.0001.
    """
    from trainer.inference import onnx_export

    with umask_for(out.parent):
        for path, difference in onnx_export.export_onnx(run, out).items():
            click.echo(f"{clean_text(path)}: differs from torch by {difference:.1g} at most")
