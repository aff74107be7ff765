"""The metrics of a run: lines of JSON, files for TensorBoard, MLflow, and a progress line."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ratui.bounded_parsing import parse_json
from ratui.errors import TrainError
from ratui.files import atomic_write
from ratui.progress_bar import ProgressBar
from trainer.training.loop import EpochResult
from trainer.training.mlflow_log import MlflowLog

__all__ = ["MetricLog", "add_held_out", "format_duration"]

_METRICS = "metrics.jsonl"


class MetricLog:
    """The metrics of the run in `folder`, one line of JSON per epoch; TensorBoard, MLflow and a progress line beside them.

    `mlflow` is the address of a tracking server, a folder, or empty; `settings` are those of the run, for MLflow.

    A resumed run continues after epoch `after`: lines of later epochs are removed, since these epochs are trained again.
    Raises TrainError if TensorBoard is asked for and not installed, or if the folder can't be written.
    """

    def __init__(
        self,
        folder: Path,
        label: str,
        *,
        after: int = 0,
        tensorboard: bool = False,
        mlflow: str = "",
        settings: Mapping[str, Any] | None = None,
    ) -> None:
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
        self._mlflow = MlflowLog(folder, mlflow, settings or {}) if mlflow else None

    def write_epoch(self, result: EpochResult) -> None:
        """Add a finished epoch and show it on stderr."""
        values = {
            "loss": result.loss,
            "rate": result.rate,
            "seconds": result.seconds,
            "batches_per_second": result.batches_per_second,
        }
        if result.validation_loss is not None:
            values["validation_loss"] = result.validation_loss
        line = {"epoch": result.epoch, **{name: round(value, 6) for name, value in values.items()}}
        if result.best_epoch is not None:
            line["best_epoch"] = result.best_epoch
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self._tensorboard is not None:
            for name, value in values.items():
                self._tensorboard.add_scalar(name, value, result.epoch)
        if self._mlflow is not None:
            self._mlflow.add_epoch(result.epoch, values)
        validated = "" if result.validation_loss is None else f"  validation {result.validation_loss:.3f}"
        text = f"epoch {result.epoch}  loss {result.loss:.3f}{validated}  {format_duration(result.left)} left"
        if self._bar.is_on_terminal:
            self._bar(self._label, result.done, 1.0, text)
        elif result.epoch % 10 == 1 or result.done >= 1:
            print(f"{self._label} {100 * result.done:.0f} %  {text}", file=sys.stderr, flush=True)

    def close(self, status: str = "FINISHED") -> None:
        """End the progress bar, and close the TensorBoard files and the run of MLflow, which gets the `status`."""
        self._bar.close()
        if self._mlflow is not None:
            self._mlflow.close(status)
        if self._tensorboard is not None:
            self._tensorboard.close()


def add_held_out(folder: Path, values: Mapping[str, Any]) -> None:
    """Add a line with the metrics on held-out patients to the log in `folder`; a resumed run removes it.

    Raises TrainError.
    """
    try:
        with (folder / _METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"held_out": dict(values)}) + "\n")
    except OSError as error:
        raise TrainError(f"can't be written: {error.strerror}", folder / _METRICS, "Free some disk space") from error


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
