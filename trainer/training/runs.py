"""The run folder of a training: settings, split, checkpoints and metrics.

A run that is killed and resumed ends with the same weights as an uninterrupted one.
"""

from __future__ import annotations

import json
import platform
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

import ratui
from ratui.bounded_parsing import parse_json, read_bounded
from ratui.errors import TrainError, clean_text
from ratui.files import atomic_write
from ratui.program import EndedBySignal
from ratui.study import Study
from trainer.data.pairs import list_signed_cases
from trainer.data.splits import Split, split_cases
from trainer.models.checkpoint_files import load_checkpoint, save_checkpoint
from trainer.models.scorer import Pairing
from trainer.shipped import SHIPPED, SHIPPED_RUN, resolve_run_folder
from trainer.training.lineage import DataUsed, Lineage, digest_of_file, read_lineage
from trainer.training.loop import (
    Batches,
    BatchLoss,
    EpochResult,
    Training,
    TrainingPlan,
    Validation,
)
from trainer.training.metric_log import MetricLog
from trainer.training.mlflow_log import check_mlflow
from trainer.training.processes import ProcessGroup, catch_sigterm
from trainer.training.settings import flatten_settings, name_differences

__all__ = [
    "Run",
    "RunPlan",
    "describe_settings",
    "list_versions",
    "load_split",
    "make_lineage",
    "read_parent",
    "start_run",
    "train_in_folder",
]

_CHECKPOINT_SECONDS = 20.0
_CHECKPOINT_EPOCHS = 5
_LARGEST_SPLIT = 16_000_000  # bytes


@dataclass(frozen=True)
class RunPlan:
    """Settings of a training run.

    Attributes
    ----------
    training
        Settings of the training loop.
    batch
        Samples in a batch, over all processes.
    held_out
        Share of the cases that is held out for evaluation.
    validation
        Share of the training cases that is kept to choose the best epoch; 0 for none, then the last epoch is the result.
    loss, difference, pairing, rater_model, width, class_weights
        Settings of the scorer: see `trainer.models.losses` and `trainer.models.scorer`.
    samples
        Folder of the cached crops, which runs may share; the run's own folder if None.
    weights
        Checkpoint to start from.
    resume
        Continue the run in the folder.
    phantoms
        Number of simulated hands, or patients for a scorer, to learn from.
    backbone
        Name of the network in front: of a detector's SSD, or of a scorer's trunk.
    coco, coco_patients, refiner_only, wrist_only, foot_only
        Settings of the detector: a COCO file, a CSV file with the patients of its images, and the only part to train.
    """

    training: TrainingPlan
    batch: int
    held_out: float = 0.25
    loss: str = "pair"
    difference: float = 0.0
    pairing: Pairing = "coupled"
    rater_model: str = "none"
    width: int = 24
    samples: Path | None = None
    weights: Path | None = None
    resume: bool = False
    backbone: str = "small"
    coco: Path | None = None
    coco_patients: Path | None = None
    phantoms: int = 0
    refiner_only: bool = False
    wrist_only: bool = False
    foot_only: bool = False
    validation: float = 0.0
    class_weights: str = "none"


_STORED_NAMES = {"training": "fit", "rater_model": "crowd", "refiner_only": "near"}
"""Keys of ``config.json`` by field of `RunPlan`, where they differ; earlier versions had these names."""
_FREE_SETTINGS = ("plan.resume", "plan.samples", "plan.fit.tensorboard", "plan.fit.mlflow", "begun")
"""Settings that a resumed run may change, since they don't change its result."""


@dataclass(frozen=True)
class Run:
    """A run that was begun or is resumed: its split, and the day on which it began, ``YYYY-MM-DD``.

    `lineage` is that of the weights which a resumed run continues from, None for a run that begins.
    """

    split: Split
    begun: str
    lineage: Lineage | None = None


def start_run(
    model: str,
    study: Study | None,
    out: Path,
    plan: RunPlan,
    processes: int,
    split: Split | None = None,
    *,
    data: Mapping[str, str] | None = None,
) -> Run:
    """Begin the run in `out`: write its settings and its split, or check those of a run to resume.

    Parameters
    ----------
    model
        ``detector`` or ``scorer``.
    study
        The study to train on, or None.
    out
        Folder of the run.
    plan
        Settings. Those of a resumed run must be the same, because its result is that of an uninterrupted run.
    processes
        Number of processes.
    split
        The split, if it is not to be made by the plan's seed and share, or for data that are no study.
    data
        Digests of data that are no study, by their kind. Those of a resumed run must be the same.

    Raises
    ------
    TrainError
        If `out` holds a run that is not to be resumed, or one of other settings, or can't be written. Nothing is written
        then.
    """
    if plan.training.mlflow:
        check_mlflow(plan.training.mlflow)
    has_run = (out / "last.pt").exists()
    if has_run and not plan.resume:
        raise TrainError("there is a run in this folder already", out, "Continue with --resume, or give another --out")
    facts = {
        "model": model,
        "study": study.config.id if study else None,
        "scheme": study.scheme.name if study else None,
        "plan": _describe_plan(plan),
        "processes": processes,
        **({"data": dict(data)} if data else {}),
    }
    if plan.resume and has_run:
        stored = _load_config(out)
        _check_same_settings(stored, facts, out)
        before = load_split(out)
        if split is not None and split != before:
            raise TrainError("this run has another split of the cases", out, "Begin a run in another --out")
        return Run(before, _day(stored.get("begun")), read_lineage(out / "last.pt"))
    if split is None:
        seed, held_out = plan.training.seed, plan.held_out
        split = split_cases(list_signed_cases(study), seed=seed, held_out=held_out) if study else Split((), ())
    read_parent(plan)  # a missing file of weights is refused before anything is written
    begun = datetime.now(UTC).date().isoformat()
    config = {**facts, "begun": begun, "versions": list_versions()}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in (("split.json", asdict(split)), ("config.json", config)):
            with atomic_write(out / name) as temporary:
                temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
    except OSError as error:
        raise TrainError(f"the run folder can't be written: {error.strerror}", out, "Give another --out") from error
    return Run(split, begun)


def make_lineage(model: str, run: Run, plan: RunPlan, data: tuple[DataUsed, ...]) -> Lineage:
    """Return the lineage of a model that learns from `data`, with that of the weights it starts from.

    A resumed run keeps its lineage, since other files may have taken the place of its weights and its data. If the data have
    changed, a notice says so, and both are listed. Raises TrainError if the weights can't be read.
    """
    if run.lineage is not None:
        changed = tuple(each for each in data if each not in run.lineage.data)
        if changed and all(each.count for each in run.lineage.data):  # earlier versions did not count
            kinds = ", ".join(each.kind for each in changed)
            print(f"the training data have changed since this run began: {kinds}", file=sys.stderr, flush=True)
        return replace(run.lineage, data=(*run.lineage.data, *changed))
    parent = read_parent(plan)
    lineage = Lineage(model, run.begun, plan.training.seed, data, list_versions(), parent)
    if plan.weights is None:
        return lineage
    file = _weights_file(plan.weights)
    return replace(lineage, parent_digest=digest_of_file(file), parent_file=clean_text(file.name, 200))


def read_parent(plan: RunPlan) -> Lineage | None:
    """Return the lineage of the weights that a run starts from, None if they are random. Raises TrainError."""
    return read_lineage(_weights_file(plan.weights)) if plan.weights is not None else None


def _weights_file(weights: Path) -> Path:
    return SHIPPED_RUN / "model.pt" if weights == SHIPPED else weights


def list_versions() -> dict[str, str]:
    """Return the versions of ratui and of what it trains with."""
    return {
        "ratui": ratui.__version__,
        "torch": str(torch.__version__),
        "torchvision": version("torchvision"),
        "python": platform.python_version(),
    }


def _describe_plan(plan: RunPlan) -> dict[str, Any]:
    return {
        _STORED_NAMES.get(key, key): str(value) if isinstance(value, Path) else value
        for key, value in asdict(plan).items()
    }


def _load_config(folder: Path) -> dict[str, Any]:
    try:
        config = parse_json(read_bounded(folder / "config.json", _LARGEST_SPLIT))
        if not isinstance(config["plan"]["fit"], dict):
            raise TypeError("no settings")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainError(
            "its settings can't be read", folder / "config.json", "Begin a run in another --out"
        ) from error
    result: dict[str, Any] = config
    return result


def _check_same_settings(stored: Mapping[str, Any], facts: Mapping[str, Any], folder: Path) -> None:
    """Raise TrainError if a setting that changes the result is not that of the stored run."""
    defaults = flatten_settings({**facts, "plan": _describe_plan(RunPlan(TrainingPlan(), 0))})
    before, now = (
        {**defaults, **flatten_settings(stored)},
        flatten_settings(facts),
    )  # a run of an earlier version has fewer settings
    if now["plan.coco"] and "coco_patients" not in stored["plan"]:
        raise TrainError(
            "this run of an earlier version learned from all patients of its COCO file; now some are held out",
            folder,
            "Begin a new run with --weights and another --out",
        )
    listed = name_differences(before, {name: value for name, value in now.items() if name not in _FREE_SETTINGS})
    if listed:
        raise TrainError(
            f"this run has other settings: {listed}",
            folder,
            "Resume with the settings of its config.json, or begin a new run with --weights and another --out",
        )


def describe_settings(plan: RunPlan) -> dict[str, Any]:
    """Return the settings of `plan` that change the result of a training, by name, as plain values."""
    return {
        name: value
        for name, value in flatten_settings({"plan": _describe_plan(plan)}).items()
        if name not in _FREE_SETTINGS
    }


def _day(value: object) -> str:
    try:
        return date.fromisoformat(str(value)).isoformat()
    except ValueError:
        return ""


def load_split(folder: Path) -> Split:
    """Return the split that the run in `folder` was trained with. The shipped run's is empty. Raises TrainError."""
    folder = resolve_run_folder(folder)
    try:
        raw = parse_json(read_bounded(folder / "split.json", _LARGEST_SPLIT))
        return Split(tuple(map(str, raw["train"])), tuple(map(str, raw["test"])))
    except FileNotFoundError as error:
        raise TrainError("there is no run here", folder, "Give the folder that a training wrote") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainError("its split can't be read", folder, "Train again") from error


def train_in_folder(
    model: nn.Module,
    batches: Batches,
    batch_loss: BatchLoss,
    plan: TrainingPlan,
    folder: Path,
    device: torch.device,
    process_group: ProcessGroup,
    *,
    validation: Validation | None = None,
    resume: bool = False,
    about: dict[str, Any] | None = None,
    lineage: Lineage | None = None,
    label: str = "training",
) -> dict[str, Any]:
    """Train `model` by `Training.run` and keep the run in `folder`; return the description that ``model.pt`` holds.

    The model is in evaluation mode afterwards, on `device`.

    `folder` receives ``last.pt`` (the state that a resumed run continues from), ``model.pt`` (the weights and `about`, at
    the end) and ``metrics.jsonl``. The weights are those of the epoch with the smallest loss of `validation`, without it
    those of the last epoch; `about` states which. `lineage` is stored with `about`. SIGTERM ends the run after the current
    epoch; it can be resumed.

    Raises
    ------
    TrainError
        If the training fails, or the checkpoint to resume from does not fit.
    EndedBySignal
        After SIGTERM, once the checkpoint is written, unless the training was finished.
    """
    facts = {**(about or {}), **({"lineage": lineage.to_record()} if lineage else {})}
    training = Training(model, plan, device, process_group, name=str(folder))
    if plan.amp and device.type == "cuda" and not training.is_mixed and process_group.is_first:
        print("this GPU has no bfloat16; the training is in float32", file=sys.stderr, flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    if resume and (folder / "last.pt").exists():
        _load_state(training, folder / "last.pt")
    log = _open_log(folder, label, training, facts) if process_group.is_first else None
    saved = time.monotonic()

    def keep(result: EpochResult) -> None:
        nonlocal saved
        if log is None:
            return
        log.write_epoch(result)
        # A checkpoint for each of many short epochs would cost more time than a kill does.
        if result.is_last or result.epoch % _CHECKPOINT_EPOCHS == 0 or time.monotonic() - saved > _CHECKPOINT_SECONDS:
            state = {**training.state_dict(), "plan": asdict(plan), "about": facts}
            save_checkpoint(folder / "last.pt", state)
            saved = time.monotonic()

    status = "FAILED"
    try:
        with catch_sigterm() as is_terminated:
            training.run(batches, batch_loss, validation=validation, should_stop=is_terminated, on_epoch=keep)
        status = "FINISHED" if training.is_finished else "KILLED"
    finally:
        if log is not None:
            log.close(status)
    if not training.is_finished:
        raise EndedBySignal(signal.SIGTERM)
    if training.best is not None:
        model.load_state_dict(training.best.weights)
        facts |= {"epoch": training.best.epoch, "validation_loss": round(training.best.loss, 6)}
    if log is not None:
        save_checkpoint(folder / "model.pt", {"model": model.state_dict(), "about": facts})
    return facts


def _open_log(folder: Path, label: str, training: Training, facts: Mapping[str, Any]) -> MetricLog:
    plan = training.plan
    settings = {**asdict(plan), **facts}
    if plan.mlflow and (folder / "config.json").exists():
        settings = {**_load_config(folder)["plan"], **settings}
    return MetricLog(
        folder, label, after=training.epoch, tensorboard=plan.tensorboard, mlflow=plan.mlflow, settings=settings
    )


def _load_state(training: Training, file: Path) -> None:
    try:
        training.load_state_dict(load_checkpoint(file))
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainError("this checkpoint is of another network", file, "Begin a run in another --out") from error
