"""A run folder: what was asked, what was split how, with which versions; and the two models trained into one.

It puts the parts together (samples, model, loss, loop) and holds no arithmetic of its own.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torchvision
from torch import Tensor, nn

import ratui
from ratui.errors import TrainError, clean_text
from ratui.files import atomic_write
from ratui.scheme import load_scheme
from ratui.study import Study
from trainer.data.coco import load_coco_hands
from trainer.data.hands import HandSamples, load_hand_samples
from trainer.data.pairs import PairSamples, Split, list_signed_cases, load_pair_samples, split_cases
from trainer.data.phantoms import simulate_hands
from trainer.models.detector import resolve_run_folder
from trainer.models.losses import LOSSES
from trainer.models.rater_model import RATER_MODELS
from trainer.models.scorer import (
    Pairing,
    augment_pairs,
    build_scorer,
    count_labelled,
    load_matching_weights,
    scorer_loss,
)
from trainer.training.detector_training import fit_detector, split_validation
from trainer.training.loop import ProcessGroup, TrainingPlan, train_model

__all__ = ["RunPlan", "load_split", "show_progress", "train_detector", "train_scorer"]


@dataclass(frozen=True)
class RunPlan:
    """What a training run is asked for. `loss`, `difference`, `pairing`, `rater_model` and `width` concern the scorer.

    `backbone`, `coco` (a file of boxes), `phantoms` (how many simulated hands to learn from, too) and `refiner_only` (train
    only the refiner) concern the detector.
    `samples` is where crops are kept, for runs to share; in the run's own folder where it isn't given.
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
    phantoms: int = 0
    refiner_only: bool = False


_STORED_NAMES = {"training": "fit", "rater_model": "crowd", "refiner_only": "near"}
"""Keys of ``config.json`` by field of `RunPlan`."""
_VALIDATION_SHARE = 0.1
"""The share of the training cases that the threshold of a finding is picked on."""


def train_detector(
    study: Study | None, out: Path, plan: RunPlan, device: torch.device, process_group: ProcessGroup
) -> None:
    """Trains the detector on the study's training cases, COCO boxes and phantoms, as many as `plan` names of them.

    `out` receives the run. A tenth of the training cases picks the threshold of a finding. Raises TrainError.
    """
    if study is None and plan.coco is None and not plan.phantoms:
        raise TrainError("there is nothing to learn from", "STUDY", "Give a study, --coco FILE or --phantoms N")
    split = _start_run("detector", study, out, plan, process_group)

    def prepare() -> list[HandSamples]:
        folder, ready = plan.samples or out / "samples", []
        if study is not None:
            with study.snapshot() as still:  # raters may go on meanwhile; what is learnt from stems from one moment
                ready.append(load_hand_samples(still, split.train, folder, show_progress))
        scheme = study.scheme if study is not None else load_scheme("mtss-hands")
        if plan.coco is not None:
            ready.append(load_coco_hands(plan.coco, scheme, folder, show_progress))
        if plan.phantoms:
            ready.append(simulate_hands(plan.phantoms, folder, show_progress, scheme=scheme, seed=plan.training.seed))
        return ready

    parts = [split_validation(each, _VALIDATION_SHARE) for each in _run_in_turn(process_group, prepare)]
    learnt, validation = [learn for learn, _ in parts], [validation for _, validation in parts if len(validation.cases)]
    fit_detector(
        learnt, validation, plan.training, out, device, process_group, batch=plan.batch, backbone=plan.backbone,
        weights=plan.weights,
        refiner_only=plan.refiner_only, resume=plan.resume, about={"joints": list(learnt[0].joints)},
    )  # fmt: skip


def train_scorer(study: Study, out: Path, plan: RunPlan, device: torch.device, process_group: ProcessGroup) -> None:
    """Trains the scorer on the study's training cases; `out` receives the run. Raises TrainError."""
    if plan.loss not in LOSSES:
        raise TrainError(
            f"there is no loss named {clean_text(plan.loss)}", "--loss", f"Take one of {', '.join(LOSSES)}"
        )
    if plan.rater_model not in RATER_MODELS:
        known = ", ".join(RATER_MODELS)
        raise TrainError(f"no raters are modelled by {clean_text(plan.rater_model)}", "--crowd", f"Take one of {known}")
    split = _start_run("scorer", study, out, plan, process_group)

    def prepare() -> PairSamples:
        with study.snapshot() as still:
            return load_pair_samples(still, split.train, plan.samples or out / "samples", show_progress)

    samples = _run_in_turn(process_group, prepare)
    about = {
        "model": "scorer",
        "seed": plan.training.seed,
        "grades": list(samples.grades),
        "group_names": list(samples.group_names),
        "scales": list(samples.scales),
        "pairing": plan.pairing,
        "crowd": plan.rater_model,
        "raters": samples.labels.shape[1],
        "loss": plan.loss,
        "difference": plan.difference,
        "width": plan.width,
    }
    labels, max_grades = torch.from_numpy(samples.labels), torch.from_numpy(samples.max_grades)
    groups = torch.from_numpy(samples.groups)
    torch.manual_seed(plan.training.seed)
    model = build_scorer(about)
    if plan.weights is not None:
        new = load_matching_weights(model, plan.weights)
        if process_group.is_first and new:
            print(f"taken over from {plan.weights.name}; new: {', '.join(new)}", file=sys.stderr, flush=True)
    take = _make_row_loader(samples.crops, device)

    def batches(epoch: int, process_group: ProcessGroup) -> Iterable[Any]:
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(plan.training.seed * 7_919 + epoch))
        for part, generator in process_group.local_batches(order, plan.batch, plan.training.seed, epoch):
            crops = augment_pairs(take(part).float() / 255, generator)
            yield crops, groups[part].to(device), labels[part].to(device), max_grades[part].to(device)

    def batch_loss(wrapped: nn.Module, batch: Any) -> Tensor:
        crops, kinds, wanted, top = batch
        # The mean over the whole batch, wherever its parts are: each process divides by the same number.
        over = process_group.average(count_labelled(wanted))
        pairs = wrapped(crops, kinds, top)
        loss = scorer_loss(pairs, wanted, name=plan.loss, difference=plan.difference, over=over)
        return loss + model.penalty()

    train_model(
        model,
        batches,
        batch_loss,
        plan.training,
        out,
        device,
        process_group,
        resume=plan.resume,
        about=about,
        label="scorer",
    )


def load_split(folder: Path) -> Split:
    """The split that the run in `folder` was trained with; the one of ratui knows no case. Raises TrainError."""
    folder = resolve_run_folder(folder)
    try:
        raw = json.loads((folder / "split.json").read_text(encoding="utf-8"))
        return Split(tuple(map(str, raw["train"])), tuple(map(str, raw["test"])))
    except FileNotFoundError as error:
        raise TrainError("there is no run here", folder, "Give the folder that a training wrote") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainError("its split can't be read", folder, "Train again") from error


def show_progress(stage: str, done: int, total: int) -> None:
    """Shows how far a preparation is: a bar on a terminal, a line at its end elsewhere."""
    if sys.stderr.isatty():
        filled = round(20 * done / max(total, 1))
        print(f"\r{stage} {'█' * filled}{'░' * (20 - filled)} {done}/{total} ", end="", file=sys.stderr, flush=True)
        if done == total:
            print(file=sys.stderr)
    elif done == total:
        print(f"{stage}: {total}", file=sys.stderr, flush=True)


def _start_run(model: str, study: Study | None, out: Path, plan: RunPlan, process_group: ProcessGroup) -> Split:
    """Checks that the run may begin, and writes what it is about."""
    if (out / "last.pt").exists() and not plan.resume:
        raise TrainError("there is a run in this folder already", out, "Go on with --resume, or give another --out")
    split = load_split(out) if plan.resume and (out / "split.json").exists() else None
    if split is None and study is None:
        split = Split((), ())
    elif split is None and study is not None:
        split = split_cases(list_signed_cases(study), seed=plan.training.seed, held_out=plan.held_out)
    assert split is not None
    if process_group.is_first:
        config = {
            "model": model,
            "study": study.config.id if study else None,
            "scheme": study.scheme.name if study else None,
            "plan": {
                _STORED_NAMES.get(key, key): str(value) if isinstance(value, Path) else value
                for key, value in asdict(plan).items()
            },
            "processes": process_group.count,
            "versions": {
                "ratui": ratui.__version__,
                "torch": torch.__version__,
                "torchvision": torchvision.__version__,
                "python": platform.python_version(),
            },
        }
        try:
            out.mkdir(parents=True, exist_ok=True)
            for name, content in (("config.json", config), ("split.json", asdict(split))):
                with atomic_write(out / name) as temporary:
                    temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
        except OSError as error:
            raise TrainError(f"the run folder can't be written: {error.strerror}", out, "Give another --out") from error
    return split


def _run_in_turn(process_group: ProcessGroup, make: Any) -> Any:
    """What `make` makes: in the first process first, so that the others find its cached images."""
    made = make() if process_group.is_first else None
    process_group.barrier()
    return made if made is not None else make()


def _make_row_loader(crops: npt.NDArray[np.uint8], device: torch.device) -> Callable[[Tensor], Tensor]:
    """Takes rows of `crops` to `device`: all are there from the start where they fit, else batches come from the file."""
    if device.type == "cuda" and crops.nbytes < torch.cuda.mem_get_info(device)[0] // 4:
        there = torch.from_numpy(np.array(crops)).to(device)
        return lambda rows: there[rows.to(device)]
    return lambda rows: torch.from_numpy(crops[rows.numpy()]).to(device)
