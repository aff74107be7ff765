"""The commands that train a model many times on a study: ``folds`` and ``sweep``."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ratui.errors import TrainError
from ratui.study import Study
from trainer.cli.engine_options import compute, engine_options
from trainer.cli.options import COUNT, FOLDER, print_notices
from trainer.cli.training import ACCEPT_EARLIER_OPTIONS, BATCH, DETECTOR, SCORER, detector, make_plan, scorer

if TYPE_CHECKING:
    from trainer.experiments.sweep_settings import Convert, Settings
    from trainer.experiments.tasks import Outcome
    from trainer.training.runs import RunPlan

__all__ = ["folds", "sweep"]

_COMMANDS = {"scorer": scorer, "detector": detector}
_OWN_OPTIONS = {"scorer": SCORER, "detector": DETECTOR}


_VARIABLE = {
    "scorer": ("rate", "epochs", "batch", "patience", *SCORER),
    "detector": ("rate", "epochs", "batch", "patience"),
}
"""Settings that a sweep can vary. Others change the validation cases, or make losses that can't be compared."""


def _training_params(leave_out: Collection[str]) -> list[click.Parameter]:
    """Return the options of both training commands, without those named in `leave_out`."""
    params: dict[str, click.Parameter] = {}
    for model, command in _COMMANDS.items():
        left_out = {*leave_out, *_options_of_other(model), "study", "out", "resume"}
        for param in command.params:
            if param.name and param.name not in left_out:
                params.setdefault(param.name, copy(param))
    batch = params["batch"]
    assert isinstance(batch, click.Option)
    batch.default, batch.show_default = None, False
    batch.help = f"Joints, or hands, per batch.  [default: {BATCH['scorer']}, or {BATCH['detector']}]"
    backbone = params["backbone"]
    assert isinstance(backbone, click.Option)
    backbone.help = "Backbone of the model: see `scorer` and `detector`."
    return list(params.values())


def _options_of_other(model: str) -> list[str]:
    """Return the names of the options that the other model has and `model` has not."""
    return sorted({name for names in _OWN_OPTIONS.values() for name in names} - {*_OWN_OPTIONS[model]})


def _read_options(context: click.Context, model: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the options that `make_plan` takes. Raises TrainError for an option of the other model."""
    other = "detector" if model == "scorer" else "scorer"
    for name in _options_of_other(model):
        if context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE:
            option = f"--{name.replace('_', '-')}"
            raise TrainError(f"it is an option of the {other}", option, f"Leave it out, or give --model {other}")
    values = {name: value for name, value in options.items() if name not in _options_of_other(model)}
    return {"held_out": 0.25, **values, "batch": options["batch"] or BATCH[model], "resume": True}


@click.command(context_settings=ACCEPT_EARLIER_OPTIONS)
@click.argument("study", type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="Folder of the runs and the report.")
@click.option(
    "--model", type=click.Choice(list(_COMMANDS)), default="scorer", show_default=True, help="Model to train."
)
@click.option("--folds", type=click.IntRange(min=2), default=5, show_default=True, help="Number of folds.")
@click.option(
    "--seeds", type=COUNT, default=1, show_default=True, help="Trainings of each fold, with seeds from --seed."
)
@click.option("--decision", default="expectation", show_default=True, help="expectation, median, argmax or joint.")
@engine_options
@click.pass_context
def folds(
    context: click.Context,
    /,
    study: Path,
    out: Path,
    model: str,
    folds: int,
    seeds: int,
    decision: str,
    device: str,
    **options: Any,
) -> None:
    """Cross-validate a scorer or a detector: predict each fold of the cases with models trained on the others.

    \b
    Each training is a run folder in OUT/runs. The same command continues a stopped cross-validation; several
    processes can share it. The report in OUT/report has the predictions of all folds, with the spread over the seeds.
    """
    from trainer.evaluation.report import write_report
    from trainer.experiments.cross_validation import CrossValidation
    from trainer.experiments.fold_evaluation import evaluate_folds
    from trainer.inference.decisions import check_decision
    from trainer.training.loop import pick_device

    check_decision(decision)
    pick_device(device)
    values = _read_options(context, model, options)
    plan = make_plan(values["batch"], values)
    experiment = CrossValidation(out, model, study, plan, folds, seeds, device)

    def report(outcome: Outcome) -> str:
        if outcome.finished < outcome.total:
            return f"{outcome.finished} of {outcome.total} trainings are finished."
        results = evaluate_folds(experiment, pick_device(device), decision=decision)
        return write_report(results, out / "report")

    compute(experiment, options, report)
    print_notices(Study.open(study))


@click.command(context_settings=ACCEPT_EARLIER_OPTIONS)
@click.argument("study", type=FOLDER)
@click.option("--out", type=FOLDER, required=True, help="Folder of the runs and the table.")
@click.option(
    "--vary",
    "variations",
    multiple=True,
    metavar="NAME=VALUES",
    help="Option and its values, as rate=0.001,0.003, or with --draws also rate=1e-4..1e-2; may be repeated.",
)
@click.option("--draws", type=COUNT, help="Number of random combinations.  [default: all combinations]")
@click.option(
    "--model", type=click.Choice(list(_COMMANDS)), default="scorer", show_default=True, help="Model to train."
)
@click.option(
    "--seeds", type=COUNT, default=1, show_default=True, help="Trainings of each combination, with seeds from --seed."
)
@engine_options
@click.pass_context
def sweep(
    context: click.Context,
    /,
    study: Path,
    out: Path,
    variations: tuple[str, ...],
    draws: int | None,
    model: str,
    seeds: int,
    device: str,
    **options: Any,
) -> None:
    """Train a scorer or a detector with each combination of some settings, and choose the best on validation cases.

    \b
    Each training is a run folder in OUT/runs. The same command continues a stopped sweep; several processes can
    share it. The held-out cases are neither learned from nor measured.
    """
    from trainer.experiments.sweep import Combination, Sweep
    from trainer.experiments.sweep_settings import draw_combinations, list_combinations, parse_variations
    from trainer.experiments.sweep_table import collect_results
    from trainer.training.loop import pick_device

    pick_device(device)
    values = _read_options(context, model, options)
    found = parse_variations(variations, {_option_name(name): _converter(model, name) for name in _VARIABLE[model]})
    names = [each.name for each in found]
    for name in names:
        _check_free(context, name)
    settings = draw_combinations(found, draws, values["seed"]) if draws else list_combinations(found)
    combinations = tuple(Combination(each, _vary(values, each)) for each in settings)
    experiment = Sweep(out, model, study, make_plan(values["batch"], values), combinations, seeds, device)

    def report(_: Outcome) -> str:
        results = collect_results(experiment)
        chosen = {} if results.best is None else results.best.settings
        return results.write(_training_command(model, study, out / "best", {**values, "device": device}, chosen))

    compute(experiment, options, report)
    print_notices(Study.open(study))


def _option_name(param: str) -> str:
    return param.replace("_", "-")


def _param_name(option: str) -> str:
    return option.replace("-", "_")


def _converter(model: str, name: str) -> Convert:
    """Return the function that reads a value of an option of the training command, as the command does."""
    (param,) = (each for each in _COMMANDS[model].params if each.name == name)

    def convert(text: str) -> Any:
        try:
            return param.type.convert(text.strip(), param, None)
        except click.BadParameter as error:
            raise ValueError(error.message.rstrip(".")) from error

    return convert


def _check_free(context: click.Context, name: str) -> None:
    """Raise TrainError if the option `name`, which varies, has a value as well, or has no effect."""
    if context.get_parameter_source(_param_name(name)) == click.core.ParameterSource.COMMANDLINE:
        raise TrainError(f"{name} varies, so it can't have a value as well", f"--{name}", "Leave it out")
    if name == "epochs" and context.params["seconds"]:
        raise TrainError("with a time limit, the number of epochs has no effect", "--seconds", "Leave it out")


def _vary(values: dict[str, Any], settings: Settings) -> RunPlan:
    changed = {**values, **{_param_name(name): value for name, value in settings.items()}}
    return make_plan(changed["batch"], changed)


def _training_command(model: str, study: Path, out: Path, values: dict[str, Any], settings: Settings) -> str:
    """Return the command that trains with these values of the options, of which `settings` take precedence."""
    command = _COMMANDS[model]
    words = [model, str(study), "--out", str(out)]
    defaults = command.make_context(model, words[1:]).params
    changed = {_param_name(name): value for name, value in settings.items()}
    for param in command.params:
        if not isinstance(param, click.Option) or param.name in ("out", "resume"):
            continue
        default = defaults[param.name or ""]
        value = {**values, **changed}.get(param.name or "", default)
        if value == default and param.name not in changed:
            continue
        if param.is_flag:
            words.append((param.opts if value else param.secondary_opts)[0])
        else:
            words += [param.opts[0], str(value)]
    return shlex.join(["ratui-train", *words])


folds.params += _training_params(leave_out=("held_out",))
sweep.params += _training_params(leave_out=())
