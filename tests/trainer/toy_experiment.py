"""An experiment whose tasks take no time, for tests of the processes that compute them. It imports no torch."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from ratui.errors import TrainError
from trainer.experiments.tasks import Progress, Task


@dataclass(frozen=True)
class ToyExperiment:
    """Tasks by name. Each appends the number of its process to a file; the first part of its name says how it ends."""

    folder: Path
    names: tuple[str, ...]
    is_possible: bool = True

    def tasks(self) -> tuple[Task, ...]:
        return tuple(Task(name, f"the task {name}") for name in self.names)

    def prepare(self, until: float, progress: Progress) -> None:
        if not self.is_possible:
            raise TrainError("there is nothing to prepare from", "toy", "Give data")

    def result(self, name: str) -> Path:
        return self.folder / f"{name}.result"

    def is_finished(self, task: Task) -> bool:
        return self.result(task.name).exists()

    def computed(self, name: str) -> list[int]:
        """Return the process of each attempt to compute a task."""
        log = self.folder / f"{name}.log"
        return [int(line) for line in log.read_text().split()] if log.exists() else []

    def run(self, task: Task) -> None:
        with (self.folder / f"{task.name}.log").open("a") as log:
            log.write(f"{os.getpid()}\n")
        kind = task.name.partition("-")[0]
        if kind == "refuse":
            raise TrainError("the loss is nan", "cell", "Lower the rate")
        if kind == "break":
            raise ZeroDivisionError("patient Miller")
        if kind == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "wait":
            time.sleep(0.05)
        self.result(task.name).write_text("done")
