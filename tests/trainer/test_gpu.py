"""Training on a GPU: the results of the CPU, repeatable runs, no waits within a step, and NCCL."""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ratui.scheme import load_scheme
from ratui.study import Study
from trainer.data.hands import HandSamples
from trainer.data.pairs import PAIR_CROP_SIZE, PairSamples
from trainer.data.phantoms import simulate_hands
from trainer.inference.proposals import propose_regions
from trainer.models.checkpoint_files import load_checkpoint
from trainer.models.detector import build_detector, detect, load_detector
from trainer.models.losses import LOSSES
from trainer.models.scorer import PairScorer, load_scorer_network, predict
from trainer.shipped import SHIPPED
from trainer.training.detector_batches import make_detector_batches
from trainer.training.detector_parts import TrainedParts
from trainer.training.detector_training import detector_batch_loss, fit_detector
from trainer.training.loop import (
    Batches,
    BatchLoss,
    Training,
    TrainingPlan,
)
from trainer.training.processes import ProcessGroup
from trainer.training.runs import RunPlan
from trainer.training.scorer_training import ScorerBatch, make_batch_loss, make_scorer_batches, train_scorer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
]

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
ALONE = ProcessGroup()


@pytest.fixture(autouse=True)
def _exact() -> Iterator[None]:
    """Compute float32 products exactly, and allow all algorithms again after each test."""
    matmul, convolution = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, convolution
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def hands(tmp_path_factory: pytest.TempPathFactory) -> HandSamples:
    folder = tmp_path_factory.mktemp("hands")
    return simulate_hands(6, folder, lambda *_: None, scheme=load_scheme("mtss-hands"), seed=4)


@pytest.fixture(scope="module")
def pairs() -> PairSamples:
    """Return 48 joints of noise, scored by two raters."""
    rng, names = np.random.default_rng(0), ("",) * 48
    return PairSamples(
        rng.integers(0, 256, (48, 2, PAIR_CROP_SIZE, PAIR_CROP_SIZE), np.uint8),
        rng.integers(-1, 4, (48, 2, 2, 2)),
        np.full((48, 2), 4),
        rng.integers(0, 2, 48),
        np.zeros((48, 2, 2), bool),
        names,
        names,
        ("PIP", "MCP"),
        ("ERO", "JSN"),
    )


def run_plan(epochs: int = 2, resume: bool = False, **settings: Any) -> RunPlan:
    return RunPlan(TrainingPlan(epochs=epochs, **settings), batch=32, resume=resume)


def weights(folder: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = load_checkpoint(folder / "model.pt")["model"]
    return state


def equal(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def gradients(model: nn.Module, loss: Tensor) -> Tensor:
    model.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).cpu()


def assert_close(one: Tensor, two: Tensor, tolerance: float = 1e-3) -> None:
    assert float(one.norm()) > 0
    assert float((one - two).norm() / one.norm()) < tolerance


class TestSameAsOnTheCPU:
    @pytest.mark.parametrize("loss", list(LOSSES))
    @pytest.mark.parametrize("rater_model", ["none", "confusion", "leaning"])
    def test_gradients_of_the_scorer(self, loss: str, rater_model: str) -> None:
        torch.manual_seed(0)
        model = PairScorer([5, 4], 2, rater_model=rater_model, raters=3, width=8).train()
        model.mix[2] = model.compare[2] = nn.Identity()  # dropout draws other values on a GPU
        draw = torch.Generator().manual_seed(1)
        largest = torch.tensor([[4, 3], [4, -1]]).repeat(12, 1)
        labels = torch.randint(-1, 4, (24, 3, 2, 2), generator=draw)
        labels[largest[:, None, :, None].expand_as(labels) < 0] = -1
        batch = ScorerBatch(
            torch.rand(24, 2, 40, 40, generator=draw), torch.randint(0, 2, (24,), generator=draw), labels, largest
        )
        found = []
        for device in (CPU, GPU):
            model.to(device)
            moved = batch._replace(
                **{name: getattr(batch, name).to(device) for name in ("inputs", "groups", "max_grades")}
            )
            found.append(gradients(model, make_batch_loss(model, loss, 0.5)(model, moved)))
        assert_close(*found)

    @pytest.mark.parametrize("backbone", ["small", "ssd300-vgg16", "ssdlite"])
    def test_gradients_of_the_detector(self, hands: HandSamples, backbone: str) -> None:
        torch.manual_seed(0)
        model = build_detector(backbone=backbone).train()
        for part in model.modules():
            if isinstance(part, nn.Dropout):
                part.p = 0.0
        images, targets, crops, _ = next(iter(make_detector_batches([hands], 4, 0, CPU)(0, ALONE)))
        found = []
        for device in (CPU, GPU):
            model.to(device)
            moved = replace(crops, **{name: value.to(device) for name, value in vars(crops).items()})
            there = tuple(value.to(device) for value in targets)
            found.append(gradients(model, model(images.to(device), there, moved)))
        # Hard negatives are picked by rank, which rounding can change.
        assert_close(*found, tolerance=1e-2)

    def test_the_shipped_detector_finds_the_same_joints(self, hands: HandSamples) -> None:
        one, two = (detect(load_detector(SHIPPED, device), hands.images) for device in (CPU, GPU))
        assert sum(map(len, one)) > 40
        for here, there in zip(one, two, strict=True):
            assert len(here) == len(there)
            for a, b in zip(here, there, strict=True):
                assert tuple(a.box) == pytest.approx(tuple(b.box), abs=0.05)
                assert a.finding == pytest.approx(b.finding, abs=0.01)


class TestRepeatable:
    @pytest.mark.parametrize("loss", list(LOSSES))
    def test_two_deterministic_runs_of_the_scorer_are_equal(
        self, phantom_study: Study, tmp_path: Path, loss: str
    ) -> None:
        for name in ("one", "two"):
            plan = replace(run_plan(deterministic=True), loss=loss, difference=0.5, samples=tmp_path / "kept")
            train_scorer(phantom_study, tmp_path / name, plan, GPU, ALONE)
        assert equal(weights(tmp_path / "one"), weights(tmp_path / "two"))

    def test_two_deterministic_runs_of_the_detector_are_equal(self, hands: HandSamples, tmp_path: Path) -> None:
        for name in ("one", "two"):
            plan = TrainingPlan(epochs=2, deterministic=True)
            fit_detector([hands], [hands], plan, tmp_path / name, GPU, ALONE, batch=3)
        assert equal(weights(tmp_path / "one"), weights(tmp_path / "two"))

    def test_a_resumed_run_equals_an_unbroken_one(
        self, phantom_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        train_scorer(phantom_study, tmp_path / "whole", run_plan(4, deterministic=True), GPU, ALONE)
        run = Training.run

        def two_epochs(self: Training, *given: Any, **named: Any) -> nn.Module:
            return run(self, *given, **{**named, "should_stop": lambda: self.epoch >= 2})

        with monkeypatch.context() as patch:
            patch.setattr(Training, "run", two_epochs)
            train_scorer(phantom_study, tmp_path / "parts", run_plan(4, deterministic=True), GPU, ALONE)
        assert load_checkpoint(tmp_path / "parts" / "last.pt")["epoch"] == 2
        train_scorer(phantom_study, tmp_path / "parts", run_plan(4, resume=True, deterministic=True), GPU, ALONE)
        assert equal(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


def train_without_waits(
    model: nn.Module, batches: Batches, batch_loss: BatchLoss, *, amp: bool, mode: str = "error"
) -> None:
    """Train six steps. From the third on, an operation that waits for the GPU raises RuntimeError, or warns."""
    steps = 0

    def watched(epoch: int, group: ProcessGroup) -> Iterator[Any]:
        nonlocal steps
        for batch in batches(epoch, group):
            yield batch
            steps += 1
            torch.cuda.set_sync_debug_mode(mode if 2 <= steps < 6 else "default")
            if steps == 6:
                return

    try:
        Training(model, TrainingPlan(steps=6, amp=amp), GPU).run(watched, batch_loss)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert steps == 6


class TestSpeed:
    @pytest.mark.parametrize("amp", [False, True])
    @pytest.mark.parametrize("rater_model", ["none", "confusion"])
    def test_a_step_of_the_scorer_does_not_wait_for_the_gpu(
        self,
        pairs: PairSamples,
        amp: bool,
        rater_model: str,
    ) -> None:
        model = PairScorer(pairs.grades, len(pairs.group_names), rater_model=rater_model, raters=2, width=4)
        train_without_waits(model, make_scorer_batches(pairs, 6, 0, GPU), make_batch_loss(model, "pair", 0.5), amp=amp)

    @pytest.mark.parametrize("backbone", ["small", "ssd300-vgg16"])
    @pytest.mark.parametrize("refiner_only", [False, True])
    def test_a_step_of_the_detector_seldom_waits_for_the_gpu(
        self, hands: HandSamples, backbone: str, refiner_only: bool
    ) -> None:
        waits = 0

        def count(*_: object, **__: object) -> None:
            nonlocal waits
            waits += 1

        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("always")
            patch.setattr(warnings, "showwarning", count)
            model = build_detector(backbone=backbone)
            batches = make_detector_batches([hands], 1, 0, GPU, parts=TrainedParts(ssd=not refiner_only))
            train_without_waits(model, batches, detector_batch_loss, amp=True, mode="warn")
        # `tests/trainer/test_operations.py` finds none; libraries of NVIDIA may wait by themselves.
        assert waits / 4 <= (0 if refiner_only else 5)

    def test_the_watch_for_waits_detects_one(self, pairs: PairSamples) -> None:
        model = PairScorer(pairs.grades, len(pairs.group_names), raters=2, width=4)
        loss = make_batch_loss(model, "pair", 0.0)

        def waiting(wrapped: nn.Module, batch: ScorerBatch) -> Tensor:
            return loss(wrapped, batch) + float(batch.inputs.mean()) * 0.0

        with pytest.raises(RuntimeError, match="synchroniz"):
            train_without_waits(model, make_scorer_batches(pairs, 6, 0, GPU), waiting, amp=False)


class TestUse:
    @pytest.mark.parametrize("amp", [False, True])
    def test_a_scorer_learns_and_answers_alike_on_both_devices(
        self, phantom_study: Study, run_folder: Path, amp: bool
    ) -> None:
        train_scorer(phantom_study, run_folder, run_plan(12, amp=amp), GPU, ALONE)
        lines = [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]
        assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]
        rng = np.random.default_rng(0)
        crops = rng.integers(0, 256, (10, 2, 72, 72), np.uint8)
        groups, largest = np.zeros(10, np.int64), np.full((10, 2), 3)
        answers = [predict(load_scorer_network(run_folder, device)[0], crops, groups, largest) for device in (CPU, GPU)]
        for one, two in zip(*answers, strict=True):
            assert np.abs(one - two).max() < 1e-3

    def test_a_detector_trains_with_each_precision(self, hands: HandSamples, tmp_path: Path) -> None:
        for amp in (False, True):
            folder = tmp_path / f"amp {amp}"
            fit_detector([hands], [hands], TrainingPlan(epochs=3, amp=amp), folder, GPU, ALONE, batch=3)
            assert all(torch.isfinite(value).all() for value in weights(folder).values())

    @pytest.mark.parametrize("amp", [False, True])
    def test_a_compiled_scorer_trains_and_loads(self, phantom_study: Study, run_folder: Path, amp: bool) -> None:
        train_scorer(phantom_study, run_folder, run_plan(3, compile=True, amp=amp), GPU, ALONE)
        load_scorer_network(run_folder, CPU)

    def test_regions_are_proposed(self, phantom_study: Study) -> None:
        found = propose_regions(phantom_study, SHIPPED, "shipped", GPU, include_confirmed=True)
        assert found.cases == len(phantom_study.cases())


NCCL = """
import os, sys
from pathlib import Path
import torch
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel
import trainer.training.loop as loop
import trainer.training.processes as processes
from ratui.study import Study
from trainer.models.layers import _SumOverProcesses
from trainer.training.runs import RunPlan
from trainer.training.scorer_training import train_scorer
device = loop.pick_device("cuda")
os.environ["WORLD_SIZE"] = "2"  # the group is joined, although this is its only process
join = dist.init_process_group
dist.init_process_group = lambda *a, **k: (os.environ.update(WORLD_SIZE="1"), join(*a, **k))
with processes.join_processes(device) as group:
    assert dist.get_backend() == "nccl" and group.count == dist.get_world_size() == 1
    several = processes.ProcessGroup(0, 2, group.control)  # so that it asks the others, of whom there are none
    assert several.broadcast(3.5) == 3.5
    assert several.average(3.0) == 1.5
    several.barrier()
    values = torch.ones(3, device=device, requires_grad=True)
    _SumOverProcesses.apply(values).sum().backward()
    assert values.grad.tolist() == [1.0, 1.0, 1.0]
    wrapped = []
    loop.Training._wrap_model = lambda self: wrapped.append(
        DistributedDataParallel(self.model, device_ids=[device.index])) or wrapped[0]
    train_scorer(Study.open(Path(sys.argv[1])), Path(sys.argv[2]), RunPlan(loop.TrainingPlan(epochs=2), 32), device, group)
    assert wrapped
"""


def run_process(*arguments: object, **variables: str) -> None:
    """Run Python with these arguments and environment variables in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **variables}
    subprocess.run([sys.executable, *map(str, arguments)], check=True, env=environment)


def test_nccl_exchanges_the_values_of_a_training(phantom_study: Study, run_folder: Path) -> None:
    rendezvous = {"RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29511"}
    run_process("-c", NCCL, phantom_study.path, run_folder, **rendezvous)
    assert all(torch.isfinite(value).all() for value in weights(run_folder).values())


def test_torchrun_trains_on_the_gpu(phantom_study: Study, run_folder: Path) -> None:
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1", "-m", "trainer", "scorer")
    run_process(*launch, phantom_study.path, "--out", run_folder, "--epochs", "2", "--device", "cuda")
    assert json.loads((run_folder / "metrics.jsonl").read_text().splitlines()[-1])["epoch"] == 2
