"""Parts that experiments of several training runs share: the record of their settings, and the training of one run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ratui.bounded_parsing import parse_json, read_bounded
from ratui.errors import TrainError
from ratui.files import atomic_write
from ratui.study import Study
from trainer.data.hands import load_hand_samples
from trainer.data.pairs import load_pair_samples
from trainer.data.splits import Split
from trainer.experiments.tasks import Progress, hold_lock
from trainer.training.detector_training import train_detector
from trainer.training.loop import pick_device
from trainer.training.model_card import CARD
from trainer.training.processes import SINGLE_PROCESS
from trainer.training.runs import RunPlan
from trainer.training.scorer_training import check_recipe, train_scorer
from trainer.training.settings import name_differences

__all__ = ["MODELS", "check_plan", "is_trained", "list_seeds", "load_record", "prepare_images", "reseed", "train_run"]

MODELS = ("scorer", "detector")
"""Models that these experiments train."""
_LARGEST_RECORD = 64_000_000  # bytes


def check_plan(model: str, plan: RunPlan) -> None:
    """Raise TrainError if `plan` has settings that do not exist."""
    if model == "scorer":
        check_recipe(plan)


def list_seeds(plan: RunPlan, count: int) -> tuple[int, ...]:
    """Return the seeds of `count` trainings: that of `plan`, and those that follow it."""
    first = plan.training.seed
    return tuple(range(first, first + count))


def reseed(plan: RunPlan, seed: int) -> RunPlan:
    """Return `plan` for a training with `seed`."""
    return replace(plan, training=replace(plan.training, seed=seed))


def load_record(file: Path, facts: Mapping[str, Any], draw_up: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Return the record of an experiment: that of an earlier start, or a new one that is written to `file`.

    Parameters
    ----------
    file
        The file of the record, in the experiment's folder.
    facts
        Settings that every start must share, plain values by name. They are part of the record.
    draw_up
        Function that returns what else a new record has.

    Raises
    ------
    TrainError
        If the file has other facts, or can't be read or written, or `draw_up` raises it. Nothing is written then.
    """
    if not file.exists():
        record = {"facts": dict(facts), **draw_up()}
        with hold_lock(file.parent):
            if not file.exists():  # another process may have been faster
                _write(file, record)
    try:
        found: dict[str, Any] = parse_json(read_bounded(file, _LARGEST_RECORD))
        before = dict(found["facts"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainError("it can't be read", file, "Give another --out") from error
    listed = name_differences(before, json.loads(json.dumps(facts)))
    if listed:
        raise TrainError(
            f"the folder has results of other settings: {listed}", file.parent, "Give these settings, or another --out"
        )
    return found


def is_trained(run: Path) -> bool:
    """Return whether the training in a run folder is finished: its last file is the model card."""
    return (run / CARD).exists()


def train_run(model: str, study: Path, out: Path, plan: RunPlan, device: str, split: Split | None = None) -> None:
    """Train a scorer or a detector in the run folder `out`, or continue the training there. Raises TrainError."""
    train = train_scorer if model == "scorer" else train_detector
    train(Study.open(study), out, plan, pick_device(device), SINGLE_PROCESS, split=split)


def prepare_images(model: str, study: Study, cases: tuple[str, ...], samples: Path, progress: Progress) -> None:
    """Fill the cache of images that the trainings on `cases` share. Raises TrainError."""
    load = load_pair_samples if model == "scorer" else load_hand_samples
    with study.snapshot() as frozen:
        load(frozen, cases, samples, progress)


def _write(file: Path, record: Mapping[str, Any]) -> None:
    try:
        with atomic_write(file) as temporary:
            temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
    except OSError as error:
        raise TrainError(f"it can't be written: {error.strerror}", file, "Give another --out") from error
