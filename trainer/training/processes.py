"""The processes that train one model together."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from ratui.errors import RatuiError

__all__ = ["SINGLE_PROCESS", "ProcessGroup", "catch_sigterm", "join_processes"]

T = TypeVar("T")

_WAIT = timedelta(hours=12)
"""Longest wait of the other processes for the first one, which prepares the samples of all."""


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train one model together: the number of this one, `rank`, and their `count`."""

    rank: int = 0
    count: int = 1
    control: Any = None
    """The group of `torch.distributed` that exchanges values in CPU memory; None for a single process."""

    @property
    def is_first(self) -> bool:
        """True for the process that writes files."""
        return self.rank == 0

    def local_indices(self, indices: Tensor) -> Tensor:
        """Return this process's part of a batch's `indices`. All parts have the same length."""
        return indices[self.rank : len(indices) - len(indices) % self.count : self.count]

    def local_batches(
        self, order: Tensor, batch: int, seed: int, epoch: int
    ) -> Iterator[tuple[Tensor, torch.Generator]]:
        """Yield this process's rows of each batch of `order`, with a generator for their augmentation.

        Each batch of each epoch and process has a generator of its own, so that a resumed training draws the same.
        """
        for number, indices in enumerate(torch.split(order, batch)):
            part = self.local_indices(indices)
            if len(part):
                drawn = ((seed * 7_919 + epoch) * 100_003 + number) * 64 + self.rank
                yield part, torch.Generator().manual_seed(drawn)

    def broadcast(self, value: float) -> float:
        """Return the first process's `value` in every process. Clocks differ between processes, decisions must not."""
        if self.count == 1:
            return value
        tensor = torch.tensor([value], dtype=torch.float64)
        dist.broadcast(tensor, src=0, group=self.control)
        return float(tensor)

    def average(self, value: float) -> float:
        """Return the mean of all processes' `value`."""
        if self.count == 1:
            return value
        tensor = torch.tensor([value], dtype=torch.float64)
        dist.all_reduce(tensor, group=self.control)
        return float(tensor) / self.count

    def any(self, value: bool) -> bool:
        """Return whether `value` is True in any process."""
        return self.average(float(value)) > 0

    def from_first(self, produce: Callable[[], T]) -> T:
        """Call `produce` in the first process only, and return its result in all processes.

        If it raises TrainError or another error of ratui, the first process raises it, and the others end. So there is one
        message, and no process waits for ever.
        """
        if self.count == 1:
            return produce()
        box: list[Any] = [None, False]
        problem: RatuiError | None = None
        if self.is_first:
            try:
                box = [produce(), True]
            except RatuiError as error:
                problem = error
        dist.broadcast_object_list(box, src=0, group=self.control)
        if problem is not None:
            raise problem
        if not box[1]:
            raise SystemExit(1)
        result: T = box[0]
        return result

    def barrier(self) -> None:
        """Return once every process has called this."""
        self.broadcast(0.0)


SINGLE_PROCESS = ProcessGroup()


@contextmanager
def join_processes(device: torch.device) -> Iterator[ProcessGroup]:
    """Join the processes that ``torchrun`` started; without torchrun there is only this one."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ProcessGroup()
        return
    # NCCL keeps its own, short limit, by which a process that died is noticed. Waiting for the first one needs a long limit.
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        control = dist.new_group(backend="gloo", timeout=_WAIT)
        yield ProcessGroup(dist.get_rank(), dist.get_world_size(), control)
    finally:
        dist.destroy_process_group()


@contextmanager
def catch_sigterm() -> Iterator[Callable[[], bool]]:
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
