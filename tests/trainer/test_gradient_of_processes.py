"""Two processes take exactly the steps of one: they share the norm's statistics with gradients, and divide by one count."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import trainer

SCRIPT = """
import os, sys
from pathlib import Path
import numpy as np
import torch
from torch import distributed as dist
import trainer.training.scorer_training as scorer_training
from tests.trainer.synthetic import make_pairs, make_scorer
from trainer.training.loop import Training, TrainingPlan
from trainer.training.processes import ProcessGroup

torch.set_num_threads(1)
CPU = torch.device("cpu")
# Without augmentation, which each process draws for itself. Plain gradient descent, because Adam turns rounding errors
# into whole steps.
scorer_training.augment_pairs = lambda crops, generator: crops
torch.optim.AdamW = lambda parameters, lr, weight_decay: torch.optim.SGD(parameters, lr=lr)

def train(group):
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 3, (20, 2, 2, 2))
    labels[rng.random((20, 2, 2)) < 0.5] = -1  # the processes have different numbers of labels
    samples = make_pairs(labels)
    model = make_scorer("coupled", "confusion", dropout=False)
    start = {name: value.detach().clone() for name, value in model.named_parameters()}
    plan = TrainingPlan(epochs=2, rate=0.05, channels_last=False)
    training = Training(model, plan, CPU, group, schedule=lambda done, total: 1.0)
    batches = scorer_training.make_scorer_batches(samples, 8, 0, CPU)
    training.run(batches, scorer_training.make_batch_loss(model, "pair", 0.5, group))
    return {
        "start": start,
        "end": {name: value.detach() for name, value in model.named_parameters()},
        "buffers": dict(model.named_buffers()),
        "epoch": training.epoch,
    }

folder = Path(sys.argv[1])
torch.save(train(ProcessGroup()), folder / "one.pt")
children = []
for rank in range(2):
    child = os.fork()
    if child == 0:
        dist.init_process_group("gloo", init_method=f"file://{folder / 'meeting'}", rank=rank, world_size=2)
        state = train(ProcessGroup(rank, 2, dist.group.WORLD))
        if rank == 0:
            torch.save(state, folder / "two.pt")
        dist.barrier()
        os._exit(0)
    children.append(child)
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
"""


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, dict[str, torch.Tensor]], ...]:
    """Return the states of a training by one process and by two."""
    folder = tmp_path_factory.mktemp("processes")
    root = Path(trainer.__file__).parents[1]
    tests = Path(__file__).parents[2]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{root}{os.pathsep}{tests}"}
    subprocess.run([sys.executable, "-c", SCRIPT, str(folder)], check=True, env=environment, timeout=120)
    one, two = (torch.load(folder / name) for name in ("one.pt", "two.pt"))
    return one, two


def test_every_parameter_is_the_same(states: tuple[dict[str, dict[str, torch.Tensor]], ...]) -> None:
    one, two = states
    assert one["epoch"] == two["epoch"] == 2
    for name, start in one["start"].items():
        assert torch.equal(start, two["start"][name])
        moved = float((one["end"][name] - start).norm())
        apart = float((one["end"][name] - two["end"][name]).norm())
        if moved > 1e-4:  # the others have gradients of rounding errors only
            assert apart < 1e-3 * moved, name
    moved_far = [name for name, start in one["start"].items() if float((one["end"][name] - start).norm()) > 1e-4]
    assert {name.partition(".")[0] for name in moved_far} >= {"stem", "trunk", "mix", "heads", "compare", "changes"}


def test_the_running_statistics_are_the_same(states: tuple[dict[str, dict[str, torch.Tensor]], ...]) -> None:
    one, two = states
    compared = [name for name in one["buffers"] if "running" in name]
    assert len(compared) == 18
    for name in compared:
        assert torch.allclose(one["buffers"][name], two["buffers"][name], rtol=1e-4, atol=1e-6), name
