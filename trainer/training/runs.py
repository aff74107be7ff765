"""The run folder of a training: settings, split, checkpoints and metrics.

A run that is killed and resumed ends with the same weights as an uninterrupted one.
"""

from __future__ import annotations

import json
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn

import ratui
from ratui.bounded_parsing import parse_json, read_bounded
from ratui.errors import TrainError
from ratui.files import atomic_write
from ratui.progress_bar import ProgressBar
from ratui.study import Study
from trainer.data.pairs import Split, list_signed_cases, split_cases
from trainer.models.detector import resolve_run_folder
from trainer.models.scorer import Pairing
from trainer.training.loop import (
    Batches,
    BatchLoss,
    EpochResult,
    ProcessGroup,
    Training,
    TrainingPlan,
    load_checkpoint,
    save_checkpoint,
)

__all__ = [
    "MetricLog",
    "RunPlan",
    "format_duration",
    "load_split",
    "start_run",
    "take_turns",
    "train_in_folder",
]

_CHECKPOINT_SECONDS = 20.0
_CHECKPOINT_EPOCHS = 5
_METRICS = "metrics.jsonl"
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
    loss, difference, pairing, rater_model, width
        Settings of the scorer: see `trainer.models.losses` and `trainer.models.scorer`.
    samples
        Folder of the cached crops, which runs may share; the run's own folder if None.
    weights
        Checkpoint to start from.
    resume
        Continue the run in the folder.
    backbone, coco, phantoms, refiner_only
        Settings of the detector: the SSD's backbone, a COCO file to learn from, the number of simulated hands to learn
        from, and whether only the refiner is trained.
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
"""Keys of ``config.json`` by field of `RunPlan`, where they differ; earlier versions had these names."""


def start_run(model: str, study: Study | None, out: Path, plan: RunPlan, process_group: ProcessGroup) -> Split:
    """Create the run folder `out` with its settings and return the split of the cases.

    A resumed run keeps its split. Raises TrainError if `out` holds a run that is not to be resumed.
    """
    if (out / "last.pt").exists() and not plan.resume:
        raise TrainError("there is a run in this folder already", out, "Continue with --resume, or give another --out")
    if plan.resume and (out / "split.json").exists():
        split = load_split(out)
    elif study is None:
        split = Split((), ())
    else:
        split = split_cases(list_signed_cases(study), seed=plan.training.seed, held_out=plan.held_out)
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
    resume: bool = False,
    about: dict[str, Any] | None = None,
    label: str = "training",
) -> nn.Module:
    """Train `model` by `Training.run` and keep the run in `folder`; return it in evaluation mode, on `device`.

    `folder` receives ``last.pt`` (the state that a resumed run continues from), ``model.pt`` (the weights and `about`, at
    the end) and ``metrics.jsonl``. SIGTERM ends the run after the current epoch; it can be resumed. Raises TrainError.
    """
    training = Training(model, plan, device, process_group, name=str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    if resume and (folder / "last.pt").exists():
        training.load_state_dict(load_checkpoint(folder / "last.pt"))
    log = (
        MetricLog(folder, label, after=training.epoch, tensorboard=plan.tensorboard) if process_group.is_first else None
    )
    saved = time.monotonic()

    def keep(result: EpochResult) -> None:
        nonlocal saved
        if log is None:
            return
        log.write_epoch(result)
        # A checkpoint for each of many short epochs would cost more time than a kill does.
        if result.is_last or result.epoch % _CHECKPOINT_EPOCHS == 0 or time.monotonic() - saved > _CHECKPOINT_SECONDS:
            state = {**training.state_dict(), "plan": asdict(plan), "about": about or {}}
            save_checkpoint(folder / "last.pt", state)
            saved = time.monotonic()

    with _catch_sigterm() as is_terminated:
        training.run(batches, batch_loss, should_stop=is_terminated, on_epoch=keep)
    if log is not None:
        save_checkpoint(folder / "model.pt", {"model": model.state_dict(), "about": about or {}})
        log.close()
    return model


@contextmanager
def _catch_sigterm() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns True once SIGTERM has come. The previous handler is restored at the end."""
    received: list[int] = []
    try:
        before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    except ValueError:  # Python sets signal handlers in the main thread only
        yield lambda: False
        return
    try:
        yield lambda: bool(received)
    finally:
        signal.signal(signal.SIGTERM, before)


class MetricLog:
    """The metrics of the run in `folder`, one line of JSON per epoch; TensorBoard files and a progress line beside them.

    A resumed run continues after epoch `after`: lines of later epochs are removed, since these epochs are trained again.
    Raises TrainError if TensorBoard is asked for and not installed, or if the folder can't be written.
    """

    def __init__(self, folder: Path, label: str, *, after: int = 0, tensorboard: bool = False) -> None:
        self._file = folder / _METRICS
        self._label = label
        self._bar = ProgressBar()
        self._tensorboard: Any = _open_tensorboard(folder) if tensorboard else None
        try:
            kept = _read_lines(self._file, after)
            with atomic_write(self._file) as temporary:
                temporary.write_text("".join(kept), encoding="utf-8")
        except OSError as error:
            raise TrainError(f"can't be written: {error.strerror}", self._file, "Give another --out") from error

    def write_epoch(self, result: EpochResult) -> None:
        """Add a finished epoch and show it on stderr."""
        values = {
            "loss": result.loss,
            "rate": result.rate,
            "seconds": result.seconds,
            "batches_per_second": result.batches_per_second,
        }
        line = {"epoch": result.epoch, **{name: round(value, 6) for name, value in values.items()}}
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self._tensorboard is not None:
            for name, value in values.items():
                self._tensorboard.add_scalar(name, value, result.epoch)
        text = f"epoch {result.epoch}  loss {result.loss:.3f}  {format_duration(result.left)} left"
        if self._bar.is_on_terminal:
            self._bar(self._label, result.done, 1.0, text)
        elif result.epoch % 10 == 1 or result.done >= 1:
            print(f"{self._label} {100 * result.done:.0f} %  {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the progress bar and close the TensorBoard files."""
        self._bar.close()
        if self._tensorboard is not None:
            self._tensorboard.close()


def _read_lines(file: Path, epoch: int) -> list[str]:
    """Return the lines of epochs up to `epoch`, without a line that a kill cut short."""
    if not epoch or not file.exists():
        return []
    kept = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            if int(parse_json(line)["epoch"]) <= epoch:
                kept.append(f"{line}\n")
        except (ValueError, KeyError, TypeError):
            continue
    return kept


def _open_tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        remedy = "pip install tensorboard, or leave --tensorboard out"
        raise TrainError("TensorBoard is not installed", "--tensorboard", remedy) from error
    return SummaryWriter(str(folder / "tensorboard"))


def format_duration(seconds: float) -> str:
    """Return `seconds` in words: ``40 s``, ``3 min``, ``2 h 05 min``."""
    seconds = max(seconds, 0.0)
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


@contextmanager
def take_turns(process_group: ProcessGroup) -> Iterator[None]:
    """Run the block in the first process, then in the others, which find the images that the first one has cached."""
    if not process_group.is_first:
        process_group.barrier()
    yield
    if process_group.is_first:
        process_group.barrier()
