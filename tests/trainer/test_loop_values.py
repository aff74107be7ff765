"""The training loop's defaults, devices, clock and checkpoints, against values computed by hand."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError, asdict
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ratui.errors import TrainError
from trainer.models.checkpoint_files import load_checkpoint, save_checkpoint
from trainer.training import loop
from trainer.training.loop import (
    BestEpoch,
    EpochResult,
    Training,
    TrainingPlan,
    pick_device,
    warm_up_cosine,
)
from trainer.training.processes import ProcessGroup

CPU, GPU = torch.device("cpu"), torch.device("cuda")


class Line(nn.Module):
    """A model with one weight for each element of a batch, which stays on the CPU whatever its device is called."""

    def __init__(self, size: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, batch: Tensor) -> Tensor:
        return (self.weight * batch).sum()

    def to(self, *_: Any, **__: Any) -> Line:
        return self


def run(training: Training, batches: int = 2, **settings: Any) -> list[EpochResult]:
    """Train on batches of one and return the results of the epochs."""
    results: list[EpochResult] = []
    training.run(
        lambda *_: [torch.ones(1)] * batches, lambda model, batch: model(batch), on_epoch=results.append, **settings
    )
    return results


def set_clock(monkeypatch: pytest.MonkeyPatch, start: int = 0) -> None:
    """Let each reading of the loop's clock be one second later than the one before."""
    seconds = count(start)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))


class TestDefaults:
    def test_of_a_plan(self) -> None:
        assert asdict(TrainingPlan()) == {
            "epochs": 40,
            "seconds": None,
            "rate": 0.002,
            "weight_decay": 0.0001,
            "warm_up": 0.08,
            "seed": 0,
            "amp": True,
            "deterministic": False,
            "compile": False,
            "tensorboard": False,
            "steps": None,
            "reseed_epochs": True,
            "channels_last": True,
            "patience": 0,
            "compile_mode": "default",
            "mlflow": "",
        }

    def test_a_training_begins_at_zero_and_is_not_finished(self) -> None:
        training = Training(Line(), TrainingPlan(), CPU)
        assert (training.epoch, training.step, training.seconds, training.best) == (0, 0, 0.0, None)
        assert training.is_finished is False
        assert training.name == ""

    @pytest.mark.parametrize("value", [TrainingPlan(), BestEpoch(1, 2.0, {}), EpochResult(1, 1, 1, 1, 1, 1, 1, True)])
    def test_plans_and_results_do_not_change(self, value: object) -> None:
        with pytest.raises(FrozenInstanceError):
            value.epoch = 3  # type: ignore[attr-defined]

    def test_the_weight_decay_and_rate_are_those_of_the_plan(self) -> None:
        optimiser = Training(Line(), TrainingPlan(rate=0.25, weight_decay=0.125), CPU).optimiser
        assert (optimiser.defaults["lr"], optimiser.defaults["weight_decay"]) == (0.25, 0.125)

    def test_images_are_stored_with_their_channels_last_unless_refused(self) -> None:
        for wanted in (True, False):
            model = nn.Conv2d(3, 4, 3)
            trained = Training(model, TrainingPlan(channels_last=wanted), CPU).model
            assert trained.weight.is_contiguous(memory_format=torch.channels_last) == wanted  # type: ignore[union-attr, operator, call-arg]


class TestDevices:
    def test_a_gpu_is_taken_if_there_is_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        chosen: list[torch.device] = []
        monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.delenv("LOCAL_RANK", raising=False)
        auto, cuda, cpu = ("".join(letters) for letters in ("auto", "cuda", "cpu"))  # as from a command line
        assert pick_device(auto) == pick_device(cuda) == torch.device("cuda", 0)
        monkeypatch.setenv("LOCAL_RANK", "3")
        assert pick_device("cuda") == torch.device("cuda", 3)
        assert chosen == [torch.device("cuda", number) for number in (0, 0, 3)]
        assert pick_device(cpu) == CPU

    def test_without_a_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        assert pick_device("auto") == pick_device("cpu") == CPU
        with pytest.raises(TrainError, match="no GPU was found"):
            pick_device("cuda")

    @pytest.mark.parametrize("name", ["a", "cpu2", "gpu", "zzz", ""])
    def test_an_unknown_device_is_refused(self, name: str) -> None:
        with pytest.raises(TrainError, match="there is no device"):
            pick_device(name)

    @pytest.mark.parametrize(("device", "amp"), [(CPU, True), (CPU, False), (GPU, True), (GPU, False)])
    def test_one_kernel_and_mixed_precision_on_a_gpu_only(
        self, device: torch.device, amp: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given: dict[str, Any] = {}
        make = torch.optim.AdamW
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
        monkeypatch.setattr(torch.optim, "AdamW", lambda *args, **options: given.update(options) or make(*args))
        training = Training(Line(), TrainingPlan(amp=amp), device)
        assert given.get("fused", False) is (device is GPU)
        assert training.is_mixed is (amp and device is GPU)
        torch.backends.cudnn.benchmark = False

    def test_the_loss_is_computed_in_mixed_precision_if_the_plan_says_so(self) -> None:
        for amp in (True, False):
            training, seen = Training(Line(), TrainingPlan(epochs=1), CPU), list[tuple[bool, torch.dtype]]()
            training.is_mixed = amp

            def loss(model: nn.Module, batch: Tensor, seen: list[tuple[bool, torch.dtype]] = seen) -> Tensor:
                seen.append((torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")))
                return torch.as_tensor(model(batch))

            training.run(lambda *_: [torch.ones(1)], loss)
            assert seen == [(amp, torch.bfloat16)]

    @pytest.mark.parametrize("device", [CPU, GPU])
    @pytest.mark.parametrize("wanted", [True, False])
    def test_repeatable_algorithms(self, device: torch.device, wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
        try:
            Training(Line(), TrainingPlan(deterministic=wanted, amp=False), device)
            assert torch.are_deterministic_algorithms_enabled() == wanted
            assert torch.backends.cudnn.benchmark == (device is GPU and not wanted)
            assert os.environ.get("CUBLAS_WORKSPACE_CONFIG") == (":4096:8" if wanted else None)
        finally:
            torch.use_deterministic_algorithms(False)
            torch.backends.cudnn.benchmark = False

    def test_the_network_is_compiled_if_the_plan_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        compiled: list[nn.Module] = []
        monkeypatch.setattr(torch, "compile", lambda model, mode: compiled.append(model) or model)
        for wanted in (False, True):
            training = Training(Line(), TrainingPlan(epochs=1, compile=wanted), CPU)
            run(training)
            assert compiled == [training.model] * wanted

    @pytest.mark.parametrize(("mode", "steps"), [("default", 0), ("reduce-overhead", 2)])
    def test_recorded_results_may_be_overwritten_in_each_step(
        self, mode: str, steps: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        marked: list[None] = []
        monkeypatch.setattr(torch, "compile", lambda model, mode: model)
        monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: marked.append(None))
        run(Training(Line(), TrainingPlan(epochs=1, compile=True, compile_mode=mode), CPU))
        assert len(marked) == steps

    def test_several_processes_share_their_gradients(self, monkeypatch: pytest.MonkeyPatch) -> None:
        wrapped: list[tuple[str, object]] = []

        def wrap(model: nn.Module, device_ids: object) -> nn.Module:
            wrapped.append((type(model).__name__, device_ids))
            return model

        monkeypatch.setattr(loop, "DistributedDataParallel", wrap)
        for number, device, ids in ((1, CPU, []), (2, CPU, [("Line", None)]), (3, torch.device("cuda", 5), [5])):
            training = Training(Line(), TrainingPlan(), device, ProcessGroup(0, number))
            wrapped.clear()
            training._wrap_model()
            assert wrapped == (ids if device == CPU else [("Line", ids)])
        torch.backends.cudnn.benchmark = False


class TestClock:
    """The clock is read at the start, at the begin of an epoch, before each step of a timed plan, and twice at the end."""

    def test_a_plan_in_seconds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        set_clock(monkeypatch)
        rates: list[float] = []

        def share(done: float, total: float) -> float:
            rates.append(done)
            assert total == 10
            return 1.0

        training = Training(Line(), TrainingPlan(epochs=99, seconds=10, rate=0.5), CPU, schedule=share)
        results = run(training)
        assert rates == [2, 3, 7, 8, 12, 13]
        assert [each.seconds for each in results] == [5, 10, 15]
        assert [each.is_last for each in results] == [False, False, True], "at ten seconds the time is not over"
        assert [each.done for each in results] == [0.5, 1.0, 1.0]
        assert [each.left for each in results[:2]] == [5, 0]
        assert [each.batches_per_second for each in results] == [pytest.approx(2 / 3)] * 3
        assert [each.rate for each in results] == [0.5] * 3
        assert training.is_finished
        assert training.epoch == 3

    def test_seconds_before_an_interruption_count(self, monkeypatch: pytest.MonkeyPatch) -> None:
        set_clock(monkeypatch, 100)
        training = Training(Line(), TrainingPlan(epochs=99, seconds=30), CPU)
        training.seconds = 27.0
        assert [each.seconds for each in run(training)] == [32]

    def test_a_plan_in_epochs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        set_clock(monkeypatch, 50)
        results = run(Training(Line(), TrainingPlan(epochs=4), CPU), 6)
        assert [each.seconds for each in results] == [3, 6, 9, 12]
        assert [each.done for each in results] == [0.25, 0.5, 0.75, 1.0]
        assert [each.left for each in results] == [9, 6, 3, 0]
        assert [each.batches_per_second for each in results] == [6.0] * 4

    def test_a_plan_in_steps(self) -> None:
        positions: list[tuple[float, float]] = []
        plan = TrainingPlan(epochs=99, steps=5, seconds=None)
        training = Training(Line(), plan, CPU, schedule=lambda *at: positions.append(at) or 1.0)  # type: ignore[func-returns-value]
        results = run(training, 3)
        assert positions == [(step, 5) for step in range(6)]
        assert [each.done for each in results] == [0.6, 1.0]
        assert training.is_finished

    def test_the_default_schedule_warms_up_as_long_as_the_plan_says(self) -> None:
        for warm_up in (0.08, 0.5):
            rates = [each.rate for each in run(Training(Line(), TrainingPlan(epochs=5, rate=1, warm_up=warm_up), CPU))]
            assert rates == [pytest.approx(warm_up_cosine(epoch, 5, warm_up=warm_up)) for epoch in range(5)]
        assert warm_up_cosine(0, 5, warm_up=0.0) == 1.0

    def test_a_training_that_is_asked_to_stop_is_not_finished(self) -> None:
        training = Training(Line(), TrainingPlan(epochs=3), CPU)
        assert [each.is_last for each in run(training, should_stop=lambda: True)] == [True]
        assert not training.is_finished
        assert not run(training, 0, should_stop=lambda: True), "no batch was left of the epoch"
        assert training.epoch == 1
        for epochs in (2, 1):
            part = Training(Line(), TrainingPlan(epochs=epochs), CPU)
            run(part, should_stop=lambda: True)
            assert part.is_finished is (epochs == 1)

    def test_the_time_of_the_first_process_counts(self) -> None:
        class Late(ProcessGroup):
            def broadcast(self, value: float) -> float:
                return 7.0

        at: list[float] = []
        plan = TrainingPlan(epochs=1, seconds=9)
        run(Training(Line(), plan, CPU, Late(), schedule=lambda done, _: at.append(done) or 1.0))  # type: ignore[func-returns-value]
        assert at == [7.0, 7.0]

    def test_the_training_ends_if_any_process_is_asked_to_stop(self) -> None:
        asked: list[bool] = []

        class Both(ProcessGroup):
            def any(self, value: bool) -> bool:
                asked.append(value)
                return len(asked) == 2

        results = run(Training(Line(), TrainingPlan(epochs=5), CPU, Both()))
        assert asked == [False, False]
        assert [each.is_last for each in results] == [False, True]


class TestSteps:
    def test_a_weight_without_a_gradient_stays(self) -> None:
        """With a gradient of zero, the momentum and the decay of Adam would move it."""
        training = Training(nn.ModuleList([Line(), Line()]), TrainingPlan(epochs=1, weight_decay=0.5), CPU)
        seen: list[float] = []

        def loss(model: nn.Module, batch: Tensor) -> Tensor:
            seen.append(float(model[1].weight.detach()))  # type: ignore[index]
            return torch.as_tensor(sum(model[number](batch) for number in range(2 if len(seen) == 1 else 1)))  # type: ignore[index]

        training.run(lambda *_: [torch.ones(1)] * 3, loss)
        assert seen[0] != seen[1] == seen[2]

    def test_the_random_numbers_of_an_epoch_follow_from_seed_epoch_and_process(self) -> None:
        draws: list[float] = []
        training = Training(Line(), TrainingPlan(epochs=2, seed=3), CPU, ProcessGroup(2, 1))
        training.run(
            lambda *_: [torch.ones(1)], lambda model, batch: draws.append(float(torch.rand(()))) or model(batch)
        )  # type: ignore[func-returns-value]
        seeds = (3 * 1_000_003 + 2, 3 * 1_000_003 + 1_009 + 2)
        assert draws == [float(torch.rand((), generator=torch.Generator().manual_seed(seed))) for seed in seeds]

    def test_batches_are_asked_of_the_epoch_and_the_process(self) -> None:
        asked: list[tuple[int, ProcessGroup]] = []
        group = ProcessGroup(1, 1)
        training = Training(Line(), TrainingPlan(epochs=2), CPU, group)
        training.run(lambda *at: asked.append(at) or [torch.ones(1)], lambda model, batch: model(batch))  # type: ignore[func-returns-value, arg-type]
        assert asked == [(0, group), (1, group)]

    @pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
    def test_a_loss_that_is_not_finite_is_refused(self, value: float) -> None:
        training = Training(Line(), TrainingPlan(epochs=3), CPU, name="runs/one")
        training.epoch = 1
        with pytest.raises(TrainError, match=r"runs/one: the loss is .* after epoch 2\. Lower the learning rate"):
            training.run(lambda *_: [torch.full((1,), value)], lambda model, batch: model(batch))

    def test_patience_counts_epochs_since_the_best_one(self) -> None:
        training = Training(Line(), TrainingPlan(epochs=9, patience=2), CPU)
        training.epoch, training.best = 3, BestEpoch(1, 0.0, {})
        assert run(training) == []
        assert training.is_finished
        training = Training(Line(), TrainingPlan(epochs=9, patience=3), CPU)
        training.epoch, training.best = 3, BestEpoch(1, 0.0, {})
        assert [each.epoch for each in run(training)] == [4]


class TestCheckpoints:
    def test_a_state_is_read_back(self, tmp_path: Path) -> None:
        training = Training(Line(2), TrainingPlan(epochs=3), CPU)
        run(training, should_stop=lambda: training.epoch == 2)
        training.best = BestEpoch(1, 0.5, {"weight": torch.tensor([5.0, 6.0])})
        save_checkpoint(tmp_path / "last.pt", training.state_dict())
        other = Training(Line(2), TrainingPlan(epochs=3), CPU)
        other.load_state_dict(load_checkpoint(tmp_path / "last.pt"))
        assert (other.epoch, other.step, other.seconds) == (2, 4, training.seconds)
        assert other.best is not None
        assert (other.best.epoch, other.best.loss) == (1, 0.5)
        assert other.best.weights["weight"].tolist() == [5.0, 6.0]
        assert torch.equal(other.model.weight, training.model.weight)  # type: ignore[arg-type]
        assert other.optimiser.state_dict()["state"][0]["step"] == 4

    def test_a_state_of_an_earlier_version_has_no_steps_and_no_best_epoch(self) -> None:
        training = Training(Line(), TrainingPlan(), CPU)
        state = {**training.state_dict(), "epoch": 3, "seconds": 4.5}
        del state["step"]
        training.load_state_dict(state)
        assert (training.epoch, training.step, training.seconds, training.best) == (3, 0, 4.5, None)
        assert "best" not in training.state_dict()

    def test_a_file_that_cannot_be_used_is_one_clear_error(self, tmp_path: Path) -> None:
        path = tmp_path / "model.pt"
        with pytest.raises(TrainError, match="no such checkpoint"):
            load_checkpoint(path)
        contents: list[tuple[Callable[[], object], str]] = [
            (lambda: path.write_bytes(b"no checkpoint"), "can't be read safely"),
            (lambda: path.write_bytes(b""), "can't be read safely"),
            (lambda: torch.save({"model": {}, "code": Line}, path), "can't be read safely"),
            (lambda: torch.save([1], path), "contains no model"),
            (lambda: torch.save({"weights": {}}, path), "contains no model"),
            (lambda: torch.save("the model", path), "contains no model"),
        ]
        for write, text in contents:
            write()
            with pytest.raises(TrainError, match=text):
                load_checkpoint(path)

    def test_a_disk_that_is_full_leaves_the_checkpoint_before(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "last.pt"
        save_checkpoint(path, {"model": {"epoch": 1}})

        def fail(*_: object) -> Iterator[None]:
            raise OSError("no space left on device")

        monkeypatch.setattr(torch, "save", fail)
        with pytest.raises(TrainError, match="can't be written: no space left"):
            save_checkpoint(path, {"model": {"epoch": 2}})
        assert load_checkpoint(path) == {"model": {"epoch": 1}}
        assert list(tmp_path.iterdir()) == [path]
