"""What a running training says of itself: JSON lines for programs, TensorBoard where asked, a line of progress for people.

It only tells; nothing of a run depends on it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ratui.errors import TrainError
from ratui.files import atomic_write

__all__ = ["MetricLog", "format_duration"]

FILE = "metrics.jsonl"


class MetricLog:
    """Where the epochs of the run in `folder` are told; a resumed run goes on behind epoch `after`.

    What an interrupted run told of later epochs is taken back, since they come again. Raises TrainError where TensorBoard
    is asked for and not installed, or the folder can't be written.
    """

    def __init__(self, folder: Path, label: str, *, after: int = 0, tensorboard: bool = False) -> None:
        self._file = folder / FILE
        self._label = label
        self._open_tensorboard: Any = _open_tensorboard(folder) if tensorboard else None
        try:
            kept = _read_lines(self._file, after)
            with atomic_write(self._file) as temporary:
                temporary.write_text("".join(kept), encoding="utf-8")
        except OSError as error:
            raise TrainError(f"can't be written: {error.strerror}", self._file, "Give another --out") from error

    def write_epoch(self, epoch: int, values: dict[str, float], *, done: float, left: float) -> None:
        """One finished epoch, numbered from 1: its `values`, how much of the run is `done` (0 to 1), seconds `left`."""
        line = {"epoch": epoch, **{name: round(value, 6) for name, value in values.items()}}
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self._open_tensorboard is not None:
            for name, value in values.items():
                self._open_tensorboard.add_scalar(name, value, epoch)
        filled = round(20 * done)
        bar = "█" * filled + "░" * (20 - filled)
        text = f"{self._label} {bar} epoch {epoch}  loss {values['loss']:.3f}  {format_duration(left)} left"
        if sys.stderr.isatty():
            print(f"\r{text}   ", end="\n" if done >= 1 else "", file=sys.stderr, flush=True)
        elif epoch % 10 == 1 or done >= 1:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing more will be told."""
        if self._open_tensorboard is not None:
            self._open_tensorboard.close()


def format_duration(seconds: float) -> str:
    """`seconds` as people say it: ``40 s``, ``3 min``, ``2 h 05 min``."""
    seconds = max(seconds, 0.0)
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def _read_lines(file: Path, epoch: int) -> list[str]:
    """The lines of epochs up to `epoch`; a line that a kill left half is none."""
    if not epoch or not file.exists():
        return []
    kept = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            if int(json.loads(line)["epoch"]) <= epoch:
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
