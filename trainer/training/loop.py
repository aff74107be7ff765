"""The training loop of all models: schedule, mixed precision, several processes, checkpoints.

It knows nothing of joints, grades or run folders.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ratui.errors import TrainError, clean_text
from trainer.training.processes import SINGLE_PROCESS, ProcessGroup

__all__ = [
    "BatchLoss",
    "Batches",
    "BestEpoch",
    "EpochResult",
    "Schedule",
    "Training",
    "TrainingPlan",
    "Validation",
    "pick_device",
    "warm_up_cosine",
]

Batches: TypeAlias = Callable[[int, ProcessGroup], Iterable[Any]]
"""The batches of an epoch, numbered from 0, for one process."""
BatchLoss: TypeAlias = Callable[[nn.Module, Any], Tensor]
"""The mean loss of a model on a batch."""
Validation: TypeAlias = Callable[[nn.Module], float]
"""The loss of a model, in evaluation mode, on samples that it does not learn from."""
Schedule: TypeAlias = Callable[[float, float], float]
"""Learning rate as a share of its maximum, after `done` of `total` epochs, steps or seconds."""

_MAX_GRADIENT_NORM = 5.0
_MIN_RATE_SHARE = 0.01  # the cosine ends at 0, where steps would change nothing


@dataclass(frozen=True)
class TrainingPlan:
    """Length and optimiser settings of a training.

    Attributes
    ----------
    epochs, seconds, steps
        The training ends after so many epochs, seconds or batches. The schedule follows `steps` if given, else `seconds`
        if given, else `epochs`.
    rate, weight_decay, warm_up
        Highest learning rate and weight decay of AdamW, and the share of the training in which the rate rises.
    seed
        Seed of the order of the samples, of augmentation and of dropout.
    amp
        Mixed precision (bfloat16), on GPUs that compute in it.
    deterministic
        Use only algorithms that give the same result each time. Some are slower on a GPU. On one CPU thread a training
        is repeatable in any case.
    compile
        Compile the network with ``torch.compile``.
    compile_mode
        Mode of ``torch.compile``. ``reduce-overhead`` starts the work of a whole network on a GPU by one call.
    tensorboard
        Write TensorBoard files as well.
    mlflow
        Address of a tracking server of MLflow, or a folder, which gets the metrics as well; none if empty.
    reseed_epochs
        Seed dropout anew at each epoch, so that a resumed training draws what an uninterrupted one draws.
    channels_last
        Store images with their channels last, which is faster. Sums then have another order, so rounding differs.
    patience
        End the training after so many epochs without a smaller validation loss; 0 for never.
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
    steps: int | None = None
    reseed_epochs: bool = True
    channels_last: bool = True
    patience: int = 0
    compile_mode: str = "default"
    mlflow: str = ""


def pick_device(name: str) -> torch.device:
    """Return the device `name`: ``cpu``, ``cuda``, or ``auto`` for this process's GPU if there is one. Raises TrainError."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise TrainError("no GPU was found", "--device cuda", "Give --device cpu, or auto")
    if name not in ("cpu", "cuda"):
        raise TrainError(f"there is no device {clean_text(name)}", "--device", "Choose auto, cpu or cuda")
    if name == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
        return device
    return torch.device("cpu")


def warm_up_cosine(done: float, total: float, *, warm_up: float) -> float:
    """Return a learning rate share that rises linearly during the share `warm_up`, then falls as half a cosine."""
    share = min(done / total, 1.0)
    if share < warm_up:
        return 0.1 + 0.9 * share / warm_up
    return max(0.5 * (1 + math.cos(math.pi * (share - warm_up) / (1 - warm_up))), _MIN_RATE_SHARE)


@dataclass(frozen=True)
class EpochResult:
    """A finished epoch, numbered from 1: its mean loss, and the state of the training after it.

    `seconds` is the time since the start, `done` the finished share of the training, `left` the estimated seconds to its
    end. `is_last` is True if the training ends here. `validation_loss` and `best_epoch` are None without validation.
    """

    epoch: int
    loss: float
    rate: float
    seconds: float
    batches_per_second: float
    done: float
    left: float
    is_last: bool
    validation_loss: float | None = None
    best_epoch: int | None = None


@dataclass(frozen=True)
class BestEpoch:
    """The epoch with the smallest validation `loss` so far, numbered from 1, and the `weights` of the model after it."""

    epoch: int
    loss: float
    weights: dict[str, Any]


class Training:
    """A model, its optimiser, and their position in a plan: the finished `epoch` and `step` counts and the `seconds` spent.

    `best` is the best epoch so far, None without validation. `schedule` is a linear warm-up and half a cosine if not given.
    `name` stands in error messages.
    """

    def __init__(
        self,
        model: nn.Module,
        plan: TrainingPlan,
        device: torch.device,
        process_group: ProcessGroup = SINGLE_PROCESS,
        *,
        schedule: Schedule | None = None,
        name: str = "",
    ) -> None:
        _configure_backends(plan, device)
        self.model = model.to(device)
        if plan.channels_last:
            self.model = model.to(memory_format=torch.channels_last)
        self.plan = plan
        self.name = name
        self.device = device
        self.process_group = process_group
        # On a GPU in one kernel instead of a dozen.
        options: dict[str, Any] = {"fused": True} if device.type == "cuda" else {}
        self.optimiser = torch.optim.AdamW(model.parameters(), lr=plan.rate, weight_decay=plan.weight_decay, **options)
        self.epoch, self.step, self.seconds = 0, 0, 0.0
        self.best: BestEpoch | None = None
        self.is_finished = False
        """True after `run` reached the end of the plan; False if it was asked to stop before."""
        self.is_mixed = plan.amp and device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        """True if it trains in mixed precision."""
        self._schedule = schedule or partial(warm_up_cosine, warm_up=plan.warm_up)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that `load_state_dict` needs to continue this training."""
        state = {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
        }
        if self.best is not None:
            state["best"] = {"epoch": self.best.epoch, "loss": self.best.loss, "model": self.best.weights}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state that `state_dict` returned."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.epoch, self.seconds = int(state["epoch"]), float(state["seconds"])
        self.step = int(state.get("step", 0))  # earlier versions counted epochs only
        best = state.get("best")
        self.best = BestEpoch(int(best["epoch"]), float(best["loss"]), dict(best["model"])) if best else None

    def run(
        self,
        batches: Batches,
        batch_loss: BatchLoss,
        *,
        validation: Validation | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        on_epoch: Callable[[EpochResult], None] = lambda result: None,
    ) -> nn.Module:
        """Train to the end of the plan and return the model in evaluation mode.

        Parameters
        ----------
        batches
            ``batches(epoch, process_group)`` yields the batches of an epoch. In the last one it may yield fewer.
        batch_loss
            ``batch_loss(model, batch)`` is the mean loss of a batch.
        validation
            Called after each epoch, in the first process, with the model in evaluation mode. It sets `best`, which ends the
            training early if the plan has patience.
        should_stop
            Asked after each epoch; the training ends if it returns True.
        on_epoch
            Called after each epoch.

        Raises
        ------
        TrainError
            If a loss is not finite, or an epoch has no batch.
        """
        plan, group = self.plan, self.process_group
        wrapped = self._wrap_model()
        started = time.monotonic() - self.seconds
        is_over = self.is_finished = self._all_done()
        while not is_over:
            wrapped.train()
            if plan.reseed_epochs:
                torch.manual_seed(plan.seed * 1_000_003 + self.epoch * 1_009 + group.rank)
            epoch_started, first_step = time.monotonic(), self.step
            total = torch.zeros((), device=self.device)
            for batch in batches(self.epoch, group):
                if plan.seconds:
                    self.seconds = group.broadcast(time.monotonic() - started)
                self._set_rate()
                if plan.compile and plan.compile_mode == "reduce-overhead":
                    # The results of the last step may be overwritten.
                    torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
                # bfloat16 has the exponents of float32, so small gradients need no scaling.
                with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.is_mixed):
                    loss = batch_loss(wrapped, batch)
                self.optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(self.model.parameters(), _MAX_GRADIENT_NORM)
                self.optimiser.step()
                total, self.step = total + loss.detach(), self.step + 1
            now, count = time.monotonic(), self.step - first_step
            if not count:
                if should_stop():
                    break
                raise TrainError(
                    "the training data do not fill one batch", self.name, "Give more cases, or fewer processes"
                )
            mean = float(total / count)
            self._check_loss(mean, "loss")
            validated = self._validate(validation) if validation is not None else None
            self.epoch, self.seconds = self.epoch + 1, time.monotonic() - started
            is_timed_out = bool(plan.seconds and self.seconds > plan.seconds)
            self.is_finished = self._all_done() or is_timed_out
            is_over = group.any(self.is_finished or should_stop())
            done = max(self._share_done(), 1e-6)
            left = plan.seconds - self.seconds if plan.seconds else self.seconds / done * (1 - done)
            rate, speed = self.optimiser.param_groups[0]["lr"], count / (now - epoch_started)
            best = self.best.epoch if self.best is not None else None
            on_epoch(EpochResult(self.epoch, mean, rate, self.seconds, speed, done, left, is_over, validated, best))
        return self.model.eval()

    def _check_loss(self, loss: float, name: str) -> None:
        if not math.isfinite(loss):
            raise TrainError(f"the {name} is {loss} after epoch {self.epoch + 1}", self.name, "Lower the learning rate")

    def _validate(self, validation: Validation) -> float:
        """Return the validation loss of the current epoch, the same in all processes, and keep the weights if it is best."""
        loss = 0.0
        if self.process_group.is_first:
            devices = [self.device] if self.device.type == "cuda" else []
            # A draw of random numbers here would change the rest of the training.
            with torch.random.fork_rng(devices), torch.no_grad():
                loss = validation(self.model.eval())
        loss = self.process_group.broadcast(loss)
        self._check_loss(loss, "validation loss")
        if self.best is None or loss < self.best.loss:
            weights = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
            self.best = BestEpoch(self.epoch + 1, loss, weights)
        return loss

    def _wrap_model(self) -> nn.Module:
        wrapped: nn.Module = self.model
        if self.process_group.count > 1:
            ids = [self.device.index] if self.device.type == "cuda" else None
            wrapped = DistributedDataParallel(self.model, device_ids=ids)
        if not self.plan.compile:
            return wrapped
        return torch.compile(wrapped, mode=self.plan.compile_mode)  # type: ignore[return-value]

    def _set_rate(self) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.rate * self._schedule(*self._position())

    def _position(self) -> tuple[float, float]:
        """Return how much is done, of what total, in the unit that the schedule follows."""
        if self.plan.steps is not None:
            return self.step, self.plan.steps
        if self.plan.seconds:
            return self.seconds, self.plan.seconds
        return self.epoch, self.plan.epochs

    def _share_done(self) -> float:
        done, total = self._position()
        return min(done / total, 1.0)

    def _all_done(self) -> bool:
        patience = self.plan.patience
        if patience and self.best is not None and self.epoch - self.best.epoch >= patience:
            return True
        return self.epoch >= self.plan.epochs or (self.plan.steps is not None and self.step >= self.plan.steps)


def _configure_backends(plan: TrainingPlan, device: torch.device) -> None:
    """Choose between the fastest algorithms and those that give the same result each time."""
    if plan.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is repeatable only with a fixed workspace
    torch.use_deterministic_algorithms(plan.deterministic)
    torch.backends.cudnn.benchmark = device.type == "cuda" and not plan.deterministic
