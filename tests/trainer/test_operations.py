"""A training step on a GPU, counted on a pretended one: no waits, few copies, and the values of the CPU."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.operations import random_hands
from tests.support.pretended_gpu import GPU, PretendedGpu, count_step
from tests.trainer.synthetic import make_pairs, make_scorer
from trainer.data.device import copy_to_device, copy_together
from trainer.data.random_draws import copy_draws, draw_uniform
from trainer.models.detector import build_detector
from trainer.training import runs
from trainer.training.detector_batches import make_detector_batches
from trainer.training.detector_parts import TrainedParts
from trainer.training.detector_training import detector_batch_loss
from trainer.training.loop import Training, TrainingPlan
from trainer.training.processes import SINGLE_PROCESS
from trainer.training.scorer_training import make_batch_loss, make_scorer_batches

CPU = torch.device("cpu")


def scored_pairs() -> Any:
    labels = np.random.default_rng(1).integers(-1, 3, (20, 2, 2, 2))
    return make_pairs(labels)


class TestSteps:
    @pytest.mark.parametrize("rater_model", ["none", "confusion"])
    def test_a_step_of_the_scorer_does_not_wait_and_copies_at_most_three_times(self, rater_model: str) -> None:
        pairs, model = scored_pairs(), make_scorer("coupled", rater_model)
        loss = make_batch_loss(model, "marginal", 0.5)
        counts, waits = count_step(model, lambda device: make_scorer_batches(pairs, 4, 0, device), loss)
        assert not waits
        assert counts["copies to the GPU"] <= 3
        assert "copies from the GPU" not in counts
        assert counts["operators"] > 200

    @pytest.mark.parametrize("refiner_only", [False, True])
    def test_a_step_of_the_detector_does_not_wait_and_copies_at_most_three_times(self, refiner_only: bool) -> None:
        hands, model = random_hands(5), build_detector()
        counts, waits = count_step(
            model,
            lambda device: make_detector_batches([hands], 1, 0, device, parts=TrainedParts(ssd=not refiner_only)),
            detector_batch_loss,
        )
        assert not waits
        assert counts["copies to the GPU"] <= 3
        assert "copies from the GPU" not in counts
        assert counts["operators"] > 200

    def test_the_gradients_are_those_of_the_cpu(self) -> None:
        gradients = []
        for device in (CPU, GPU):
            model = make_scorer("coupled", dropout=False).train()
            with PretendedGpu():
                loss = make_batch_loss(model, "marginal", 0.5)
                model.to(device)
                batch = next(iter(make_scorer_batches(scored_pairs(), 6, 0, device)(0, SINGLE_PROCESS)))
                assert batch.inputs.device == device
                loss(model, batch).backward()  # type: ignore[no-untyped-call]
                found = [each.grad.cpu().flatten() for each in model.parameters() if each.grad is not None]
            gradients.append(torch.cat(found))
        assert float((gradients[0] - gradients[1]).norm()) < 1e-4 * float(gradients[0].norm())


WAITING: dict[str, Callable[[Tensor], object]] = {
    "a value": lambda x: float(x[0]),
    "a condition": lambda x: bool((x > 0).any()),
    "a search": lambda x: torch.nonzero(x),
    "a mask": lambda x: x[x > 0.5],
    "a choice": lambda x: torch.masked_select(x, x > 0.5),
    "an assignment by a mask": lambda x: x.clone().index_put_((x > 0.5,), torch.zeros((), device=GPU)),
    "an index in CPU memory": lambda x: x[torch.tensor([1, 2])],
    "a list of numbers": lambda x: torch.tensor([1.0, 2.0], device=x.device),
    "a plain copy": lambda x: torch.ones(3).to(x.device),
    "a copy back": lambda x: x.cpu(),
    "a copy into CPU memory": lambda x: torch.zeros(9).copy_(x),
    "an inverse": lambda x: torch.linalg.inv(x.reshape(3, 3)),
    "repetition": lambda x: torch.repeat_interleave(torch.ones(3, dtype=torch.long, device=x.device)),
}
FREE: dict[str, Callable[[Tensor], object]] = {
    "arithmetic": lambda x: torch.where(x > 0.5, x * 2, 0.0).sum(),
    "an index on the GPU": lambda x: x[torch.arange(3, device=x.device)],
    "a view": lambda x: x.reshape(3, 3).T[:2],
    "a copy from pinned memory": lambda x: copy_to_device(torch.ones(3), x.device),
    "a copy of what is there": lambda x: x.to(GPU),
    "an unchecked inverse": lambda x: torch.linalg.inv_ex(x.reshape(3, 3)),
}


class TestCounter:
    @pytest.mark.parametrize("name", [*WAITING, *FREE])
    def test_operators_that_wait_are_counted_and_others_are_not(self, name: str) -> None:
        with PretendedGpu() as gpu:
            values = torch.rand(9).to(GPU)
            gpu.counts.clear()
            (WAITING if name in WAITING else FREE)[name](values)
        assert (gpu.counts["waits"] > 0) == (name in WAITING)

    def test_results_are_those_of_the_cpu_and_state_their_device(self) -> None:
        values = torch.rand(4, 4, requires_grad=True)
        with PretendedGpu() as gpu:
            there = values.detach().to(GPU).requires_grad_()
            loss = (there.tril() @ there).relu().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            assert there.grad is not None
            assert (loss.device, there.grad.device, there.is_cuda) == (GPU, GPU, True)
            gradient = there.grad.cpu()
        (values.tril() @ values).relu().sum().backward()  # type: ignore[no-untyped-call]
        assert values.grad is not None
        assert torch.allclose(values.grad, gradient)
        assert gpu.counts["copies to the GPU"] == gpu.counts["copies from the GPU"] == 1


class TestDraws:
    def test_numbers_are_those_of_single_draws(self) -> None:
        ranges = {"one": (0, 1), "two": (-0.3, 0.7, 2), "three": (5, 9, 2, 3), "four": (1e-6, 1.0)}
        one, two = (torch.Generator().manual_seed(4) for _ in range(2))
        drawn = draw_uniform(ranges, 5, one)
        for name, (low, high, *shape) in ranges.items():
            assert torch.equal(drawn[name], torch.rand(5, *map(int, shape), generator=two) * (high - low) + low)
        assert torch.equal(one.get_state(), two.get_state())

    def test_all_numbers_are_copied_at_once(self) -> None:
        drawn = draw_uniform({"one": (0, 1), "two": (-1, 1, 2, 3)}, 5, torch.Generator())
        with PretendedGpu() as gpu:
            there = copy_draws(drawn, GPU)
            counts = dict(gpu.counts)
            assert all(torch.equal(there[name].cpu(), drawn[name]) for name in drawn)
            assert copy_together([], GPU) == []
        assert counts["copies to the GPU"] == 1
        assert copy_draws(drawn, CPU)["two"] is drawn["two"]


class TestPrecision:
    @pytest.mark.parametrize("is_supported", [False, True])
    def test_bfloat16_is_used_only_where_the_gpu_computes_in_it(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_supported: bool, tmp_path: Any
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: is_supported)
        monkeypatch.setattr(Training, "run", lambda self, *_, **__: setattr(self, "is_finished", True))
        with PretendedGpu():
            for amp in (False, True):
                training = Training(torch.nn.Linear(2, 2), TrainingPlan(amp=amp), GPU)
                assert training.is_mixed == (amp and is_supported)
            model = torch.nn.Linear(2, 2)
            monkeypatch.setattr(runs, "save_checkpoint", lambda *_: None)
            runs.train_in_folder(
                model,
                None,
                None,
                TrainingPlan(),
                tmp_path,
                GPU,
                SINGLE_PROCESS,  # type: ignore[arg-type]
            )
        assert ("no bfloat16" in capsys.readouterr().err) != is_supported

    @pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
    def test_the_network_is_compiled_in_the_mode_of_the_plan(self, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
        calls = []
        monkeypatch.setattr(torch, "compile", lambda model, mode: (calls.append(mode), model)[1])
        monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: calls.append("step"))
        training = Training(torch.nn.Linear(1, 1), TrainingPlan(epochs=1, compile=True, compile_mode=mode), CPU)
        training.run(lambda *_: [torch.ones(2, 1)] * 2, lambda model, batch: model(batch).sum())
        assert calls == [mode, *(["step"] * 2 if mode == "reduce-overhead" else [])]
