"""The one training loop, for both models: schedule, mixed precision, many processes, checkpoints, progress.

A run that is killed and resumed goes on as if it hadn't been; the loop knows nothing of joints or scores.
"""

from __future__ import annotations

import math
import os
import pickle
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from ratui.errors import TrainError, clean_text
from ratui.files import atomic_write
from trainer.training.metric_log import MetricLog

__all__ = [
    "ProcessGroup",
    "TrainingPlan",
    "join_processes",
    "load_checkpoint",
    "pick_device",
    "save_checkpoint",
    "train_model",
]

Batches = Callable[[int, "ProcessGroup"], Iterable[Any]]
BatchLoss = Callable[[nn.Module, Any], Tensor]
_CHECKPOINT_SECONDS = 20.0


@dataclass(frozen=True)
class TrainingPlan:
    """How long and how fast to train. With `seconds`, the schedule follows the clock and ends when they are spent.

    `amp` is for GPUs alone. `deterministic` takes only algorithms that give the same each time, where a GPU has faster ones
    that don't; on one CPU thread a run is repeatable anyhow. `compile` lets torch build the network anew for this machine.
    """

    epochs: int = 40
    seconds: float | None = None
    rate: float = 2e-3
    weight_decay: float = 1e-4
    warm_up: float = 0.08
    seed: int = 0
    amp: bool = True
    deterministic: bool = False
    compile: bool = False
    tensorboard: bool = False


@dataclass(frozen=True)
class ProcessGroup:
    """Which of how many processes this is."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def local_indices(self, indices: Tensor) -> Tensor:
        """This process's part of a batch's `indices`; all parts have the same length."""
        return indices[self.rank : len(indices) - len(indices) % self.count : self.count]

    def local_batches(
        self, order: Tensor, batch: int, seed: int, epoch: int
    ) -> Iterator[tuple[Tensor, torch.Generator]]:
        """This process's rows of each batch of `order`, and what their augmentation draws from: for each batch of each
        epoch of each process another generator, the same in a resumed run."""
        for number, indices in enumerate(torch.split(order, batch)):
            part = self.local_indices(indices)
            if len(part):
                drawn = ((seed * 7_919 + epoch) * 100_003 + number) * 64 + self.rank
                yield part, torch.Generator().manual_seed(drawn)

    def broadcast(self, value: float) -> float:
        """The first process's `value`, in every process: no two of them may follow clocks of their own."""
        if self.count == 1:
            return value
        tensor = torch.tensor([value], dtype=torch.float64, device=_exchange_device())
        dist.broadcast(tensor, src=0)
        return float(tensor)

    def average(self, value: float) -> float:
        """The mean of every process's `value`."""
        if self.count == 1:
            return value
        tensor = torch.tensor([value], dtype=torch.float64, device=_exchange_device())
        dist.all_reduce(tensor)
        return float(tensor) / self.count

    def barrier(self) -> None:
        """Returns when every process has come this far."""
        self.broadcast(0.0)


def _exchange_device() -> str:
    """Where a tensor must lie for the processes to exchange it."""
    return "cuda" if dist.get_backend() == "nccl" else "cpu"


@contextmanager
def join_processes(device: torch.device) -> Iterator[ProcessGroup]:
    """The processes that ``torchrun`` started, or this one alone."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ProcessGroup()
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield ProcessGroup(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def pick_device(name: str) -> torch.device:
    """The device called `name`; ``auto`` is this process's GPU where there is one, else the CPU. Raises TrainError."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainError("no GPU is to be seen here", "--device cuda", "Give --device cpu, or auto")
    if name not in ("cpu", "cuda"):
        raise TrainError(f"there is no device {clean_text(name)}", "--device", "Take auto, cpu or cuda")
    if name == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
        return device
    return torch.device("cpu")


def train_model(
    model: nn.Module,
    batches: Batches,
    batch_loss: BatchLoss,
    plan: TrainingPlan,
    folder: Path,
    device: torch.device,
    process_group: ProcessGroup = ProcessGroup(),
    *,
    resume: bool = False,
    about: dict[str, Any] | None = None,
    label: str = "training",
) -> nn.Module:
    """Trains `model` on ``batches(epoch, process_group)`` and returns it, on `device`, in evaluation mode.

    ``batch_loss(model, batch)`` gives the mean loss of a batch. `folder` receives ``last.pt`` (all that a resumed run
    needs), ``model.pt`` at the end, and ``metrics.jsonl``. SIGTERM ends the run after the running epoch, resumable.
    """
    _configure_backends(plan, device)
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(model.parameters(), lr=plan.rate, weight_decay=plan.weight_decay)
    scaler = torch.amp.GradScaler(device.type, enabled=plan.amp and device.type == "cuda")
    folder.mkdir(parents=True, exist_ok=True)
    first, spent = 0, 0.0
    if resume and (folder / "last.pt").exists():
        state = load_checkpoint(folder / "last.pt")
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        scaler.load_state_dict(state["scaler"])
        first, spent = int(state["epoch"]), float(state["seconds"])
    metrics = MetricLog(folder, label, after=first, tensorboard=plan.tensorboard) if process_group.is_first else None
    with _catch_sigterm() as stopped:
        wrapped: nn.Module = model
        if process_group.count > 1:
            wrapped = DistributedDataParallel(model, device_ids=[device.index] if device.type == "cuda" else None)
        if plan.compile:
            wrapped = torch.compile(wrapped)  # type: ignore[assignment]
        started_at = time.monotonic() - spent
        saved = time.monotonic()
        for epoch in range(first, plan.epochs):
            wrapped.train()
            # Every epoch draws from a seed of its own, so that a resumed run draws what an unbroken one would have.
            torch.manual_seed(plan.seed * 1_000_003 + epoch * 1_009 + process_group.rank)
            started = time.monotonic()
            total, seen = torch.zeros((), device=device), 0
            for batch in batches(epoch, process_group):
                done = _fraction_done(
                    plan, epoch, process_group.broadcast(time.monotonic() - started_at) if plan.seconds else 0.0
                )
                for group in optimiser.param_groups:
                    group["lr"] = plan.rate * _learning_rate_factor(done, plan.warm_up)
                with torch.autocast(device.type, dtype=torch.bfloat16, enabled=plan.amp and device.type == "cuda"):
                    loss = batch_loss(wrapped, batch)
                optimiser.zero_grad(set_to_none=True)
                scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
                scaler.unscale_(optimiser)
                nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                scaler.step(optimiser)
                scaler.update()
                total, seen = total + loss.detach(), seen + 1
            if not seen:
                raise TrainError(
                    "there is not one batch to learn from", str(folder), "Give more cases, or fewer processes"
                )
            mean = float(total / max(seen, 1))
            now = time.monotonic()
            elapsed = now - started_at
            if not math.isfinite(mean):
                raise TrainError(f"the loss is {mean} after epoch {epoch + 1}", str(folder), "Lower --rate")
            ends = epoch + 1 == plan.epochs or bool(plan.seconds and elapsed > plan.seconds) or stopped()
            over = bool(process_group.broadcast(float(ends)))
            if metrics is not None:
                part = max(_fraction_done(plan, epoch + 1, elapsed), 1e-6)
                left = (plan.seconds - elapsed) if plan.seconds else elapsed / part * (1 - part)
                rate = optimiser.param_groups[0]["lr"]
                values = {"loss": mean, "rate": rate, "seconds": elapsed, "batches_per_second": seen / (now - started)}
                metrics.write_epoch(epoch + 1, values, done=part, left=left)
                # Short epochs aren't worth a file each; long ones are, or a kill would cost them.
                if over or epoch % 5 == 4 or now - saved > _CHECKPOINT_SECONDS:
                    state = {
                        "model": model.state_dict(),
                        "optimiser": optimiser.state_dict(),
                        "scaler": scaler.state_dict(),
                        "epoch": epoch + 1,
                        "seconds": elapsed,
                        "plan": asdict(plan),
                        "about": about or {},
                    }
                    save_checkpoint(folder / "last.pt", state)
                    saved = now
            if over:
                break
        if metrics is not None:
            save_checkpoint(folder / "model.pt", {"model": model.state_dict(), "about": about or {}})
            metrics.close()
    return model.eval()


def _configure_backends(plan: TrainingPlan, device: torch.device) -> None:
    """Settles between the fastest algorithms and those that give the same each time."""
    if plan.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS refuses to be repeatable
    torch.use_deterministic_algorithms(plan.deterministic)
    torch.backends.cudnn.benchmark = device.type == "cuda" and not plan.deterministic


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Writes `state` to `path` by way of a temporary file, so that a killed run leaves a whole checkpoint."""
    try:
        with atomic_write(path) as temporary:
            torch.save(state, temporary)
    except (OSError, RuntimeError) as error:
        raise TrainError(
            f"the checkpoint can't be written: {clean_text(error)}", path, "Make room on the disk"
        ) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The state in `path`, tensors and plain values only; nothing in it is executed. Raises TrainError."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise TrainError("there is no such checkpoint", path, "Train the model first, or check the path") from error
    except (pickle.UnpicklingError, RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise TrainError(
            "this is no checkpoint that can be trusted or read", path, "Give one that ratui wrote"
        ) from error
    if not isinstance(state, dict) or "model" not in state:
        raise TrainError("the file holds no model", path, "Give a model.pt that ratui-train wrote")
    return state


def _fraction_done(plan: TrainingPlan, epoch: int, elapsed: float) -> float:
    """How much of the run is done, from 0 to 1: by the clock where it rules, else by epochs."""
    return min(elapsed / plan.seconds if plan.seconds else epoch / plan.epochs, 1.0)


def _learning_rate_factor(done: float, warm_up: float) -> float:
    """The learning rate's share of its maximum: a linear warm-up, then half a cosine."""
    if done < warm_up:
        return 0.1 + 0.9 * done / warm_up
    return max(0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up))), 0.01)


@contextmanager
def _catch_sigterm() -> Iterator[Callable[[], bool]]:
    """Whether SIGTERM has come; the handler of before is put back at the end."""
    asked: list[int] = []
    try:
        before = signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    except ValueError:  # not in the main thread, where signals can't be caught
        yield lambda: False
        return
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGTERM, before)
