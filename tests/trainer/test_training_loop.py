"""The training loop gives exactly the results of a plain loop over steps, for the comparison's cells and trunk."""

import math
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from ratui.errors import TrainError
from ratui.scheme import load_scheme
from trainer.data.cohort import Cohort
from trainer.data.pair_augmentation import augment_pairs
from trainer.data.pairs import PAIR_CROP_SIZE, PairSamples
from trainer.experiments import shared_trunk
from trainer.experiments.arms import ARMS, BASELINE, Budget, Cell
from trainer.experiments.cells import TrunkFeatures, train_cell
from trainer.experiments.shared_trunk import train_trunk
from trainer.models.checkpoint_files import load_checkpoint
from trainer.models.losses import count_labelled, scorer_loss
from trainer.models.scorer import PairScorer
from trainer.training.loop import EpochResult, Training, TrainingPlan
from trainer.training.processes import join_processes

# 40 joints in batches of 13: the last batch of an epoch holds one joint and is left out.
BUDGET = Budget(steps=8, batch=13, pixels=24, width=4, raters=2, rate=3e-3)
COUNT = 40
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def people() -> Cohort:
    """Return noise in place of two patients' joints, which makes no difference to the loop."""
    rng = np.random.default_rng(0)
    scheme = load_scheme("fingers")
    sites = len(scheme.sites)
    assert 2 * sites == COUNT
    return Cohort(
        scheme,
        (None, None),  # type: ignore[arg-type]
        rng.integers(0, 256, (COUNT, 2, PAIR_CROP_SIZE, PAIR_CROP_SIZE), np.uint8),
        rng.integers(0, 4, (COUNT, len(scheme.scales), 2)),
        np.zeros((COUNT, 2), bool),
        np.repeat([0, 1], sites),
        tuple(site.key for site in scheme.sites) * 2,
    )


@pytest.fixture(scope="module")
def samples(people: Cohort) -> PairSamples:
    labels = np.stack([people.true_grades, np.roll(people.true_grades, 1, axis=0)], axis=1)
    labels = np.where(people.max_grades[:, None, :, None] >= 0, labels, -1)
    names = ("",) * COUNT
    return PairSamples(
        people.crops,
        labels,
        people.max_grades,
        people.groups,
        np.zeros((COUNT, 2, 2), bool),
        names,
        names,
        people.group_names,
        people.scheme.scales,
    )


def plain_batches(budget: Budget, seed: int) -> Iterator[tuple[int, Tensor, torch.Generator]]:
    step = 0
    for epoch in count():
        order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(seed * 7_919 + epoch))
        for rows in torch.split(order, budget.batch):
            if step == budget.steps:
                return
            if len(rows) > 1:
                yield step, rows, torch.Generator().manual_seed(seed * 1_000_003 + step)
                step += 1


def plain_training(
    model: PairScorer,
    samples: PairSamples,
    budget: Budget,
    seed: int,
    share: Callable[[int], float],
    loss_name: str,
    difference: float,
    trunk_features: TrunkFeatures | None = None,
) -> PairScorer:
    """Train with the loop that computed the first stored cells."""
    labels, max_grades, groups = (torch.from_numpy(a) for a in (samples.labels, samples.max_grades, samples.groups))
    optimiser = torch.optim.AdamW(model.parameters(), lr=budget.rate, weight_decay=1e-3)
    model.train()
    for step, rows, generator in plain_batches(budget, seed):
        for group in optimiser.param_groups:
            group["lr"] = budget.rate * share(step)
        if trunk_features is None:
            crops = torch.from_numpy(samples.crops[rows.numpy()]).float() / 255
            pairs = model(augment_pairs(crops, generator, side=budget.pixels), groups[rows], max_grades[rows])
        else:
            copies = torch.randint(len(trunk_features.train), (len(rows),), generator=generator)
            pairs = model.predict_pairs(trunk_features.train[copies, rows], groups[rows], max_grades[rows])
        total = count_labelled(labels[rows])
        loss = scorer_loss(pairs, labels[rows], name=loss_name, difference=difference, count=total) + model.penalty()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
    return model.eval()


def weights_equal(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("arm", [BASELINE, "coupled pair", "coupled pair λ1 confusion", "marginal λ1"])
@pytest.mark.parametrize("on_trunk", [False, True])
def test_a_cell_is_trained_as_by_the_plain_loop_bit_for_bit(samples: PairSamples, arm: str, on_trunk: bool) -> None:
    draw = torch.Generator().manual_seed(5)
    features = TrunkFeatures(torch.rand(3, COUNT, 2, 32, generator=draw), torch.zeros(0)) if on_trunk else None
    cell, recipe = Cell(arm, "mixed", 2, 3), ARMS[arm]
    found = train_cell(cell, samples, BUDGET, features)

    def share(step: int) -> float:
        done = step / BUDGET.steps
        return 0.1 + 9 * done if done < 0.1 else max(0.5 * (1 + math.cos(math.pi * (done - 0.1) / 0.9)), 0.01)

    torch.manual_seed(cell.seed)
    model = PairScorer(
        samples.grades,
        len(samples.group_names),
        pairing=recipe.pairing,
        rater_model=recipe.rater_model,
        raters=BUDGET.raters,
        width=BUDGET.width,
    )
    start = {name: value.clone() for name, value in model.state_dict().items()}
    wanted = plain_training(model, samples, BUDGET, cell.seed, share, recipe.loss, recipe.difference, features)
    assert weights_equal(dict(found.state_dict()), dict(wanted.state_dict()))
    assert not weights_equal(start, dict(wanted.state_dict()))
    assert not found.training


def test_the_trunk_is_trained_as_by_the_plain_loop_bit_for_bit(
    people: Cohort, samples: PairSamples, tmp_path: Path
) -> None:
    path = tmp_path / "trunk.pt"
    assert train_trunk(people, BUDGET, path, lambda *_: None, until=math.inf)
    torch.manual_seed(0)
    grades = [int(largest) + 1 for largest in people.max_grades.max(axis=0)]
    model = PairScorer(grades, len(people.group_names), pairing="single", width=BUDGET.width)
    only_truth = PairSamples(**{**vars(samples), "labels": samples.labels[:, :1]})

    def share(step: int) -> float:
        return max(0.5 * (1 + math.cos(math.pi * step / BUDGET.steps)), 0.01)

    wanted = plain_training(model, only_truth, BUDGET, 0, share, "ce", 0.0)
    assert weights_equal(load_checkpoint(path)["model"], dict(wanted.state_dict()))


@pytest.mark.parametrize("readings", [2, 4, 6])
def test_a_trunk_stops_within_an_epoch_and_goes_on_from_that_step(
    people: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, readings: int
) -> None:
    """Read the clock before each step and after each epoch of three steps."""
    path = tmp_path / "trunk.pt"
    clock = count()
    monkeypatch.setattr(shared_trunk, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    seen: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(shared_trunk, "augment_pairs", lambda crops, generator, side: crops)
        assert not train_trunk(people, BUDGET, path, lambda *_: None, until=readings - 0.5)
    step = load_checkpoint(path)["step"]
    assert 0 < step < BUDGET.steps

    def note(crops: Tensor, generator: torch.Generator, *, side: int) -> Tensor:
        seen.append(generator.initial_seed())
        return crops

    monkeypatch.setattr(shared_trunk, "augment_pairs", note)
    assert train_trunk(people, BUDGET, path, lambda *_: None, until=math.inf)
    assert seen == list(range(step, BUDGET.steps)), "each remaining step once, with its own draws"
    assert load_checkpoint(path)["step"] == BUDGET.steps


class TestEnds:
    def run(self, plan: TrainingPlan, sizes: list[int], **options: object) -> tuple[Training, list[EpochResult]]:
        training = Training(torch.nn.Linear(2, 1), plan, CPU, name="here")
        results: list[EpochResult] = []
        training.run(
            lambda epoch, _: [torch.ones(3, 2)] * sizes[min(epoch, len(sizes) - 1)],
            lambda model, batch: model(batch).square().mean(),
            on_epoch=results.append,
            **options,  # type: ignore[arg-type]
        )
        return training, results

    def test_after_its_epochs(self) -> None:
        training, results = self.run(TrainingPlan(epochs=3), [2])
        assert (training.epoch, training.step) == (3, 6)
        assert [(each.epoch, each.is_last) for each in results] == [(1, False), (2, False), (3, True)]

    def test_after_its_steps(self) -> None:
        training, results = self.run(TrainingPlan(epochs=9, steps=5), [2, 2, 1])
        assert (training.epoch, training.step) == (3, 5)
        assert [each.done for each in results] == [0.4, 0.8, 1.0]

    def test_when_asked_to_stop(self) -> None:
        training, results = self.run(TrainingPlan(epochs=9), [2], should_stop=lambda: True)
        assert training.epoch == 1
        assert results[-1].is_last

    def test_an_epoch_without_a_batch_is_refused(self) -> None:
        with pytest.raises(TrainError, match="do not fill one batch"):
            self.run(TrainingPlan(epochs=2), [0])

    def test_a_loss_that_is_nan_is_rejected(self) -> None:
        training = Training(torch.nn.Linear(2, 1), TrainingPlan(epochs=2), CPU, name="here")
        with pytest.raises(TrainError, match="nan after epoch 1"):
            training.run(lambda epoch, _: [torch.full((3, 2), torch.nan)], lambda model, batch: model(batch).mean())

    def test_a_finished_training_does_nothing_more(self) -> None:
        training, _ = self.run(TrainingPlan(epochs=2), [1])
        training.run(lambda *_: pytest.fail("no epoch is left"), lambda *_: pytest.fail("no batch is left"))


def test_processes_wait_for_one_that_prepares_samples_for_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    joined: list[dict[str, object]] = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("init_process_group", "new_group"):
        monkeypatch.setattr(f"torch.distributed.{name}", lambda *args, **given: joined.append(given) or "control")
    for name, value in (("get_rank", 1), ("get_world_size", 2), ("destroy_process_group", None)):
        monkeypatch.setattr(f"torch.distributed.{name}", lambda value=value: value)
    with join_processes(CPU) as group:
        assert (group.rank, group.count, group.control) == (1, 2, "control")
    assert joined == [{}, {"backend": "gloo", "timeout": timedelta(hours=12)}]
