"""The loss of a batch, the batches of a process, and the steps of the loop, against values computed by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.trainer.synthetic import make_pairs, make_scorer, turn_dropout_off
from trainer.data.splits import place_of_case
from trainer.models.checkpoint_files import save_checkpoint
from trainer.models.losses import count_labelled, scorer_loss
from trainer.models.scorer import load_scorer_network, predict
from trainer.training import scorer_training
from trainer.training.loop import (
    EpochResult,
    Training,
    TrainingPlan,
    warm_up_cosine,
)
from trainer.training.processes import ProcessGroup
from trainer.training.runs import RunPlan
from trainer.training.scorer_training import ScorerBatch, make_batch_loss, make_scorer_batches

CPU = torch.device("cpu")
LABELS = torch.tensor(
    [
        [[[0, 1], [2, 2]], [[3, 3], [1, 0]]],
        [[[2, 0], [-1, -1]], [[1, -1], [0, 2]]],
        [[[-1, -1], [1, 1]], [[0, 3], [-1, 2]]],
    ]
)
"""Labels of three joints, (3, raters, scales, 2)."""


def random_pairs(views: int) -> list[Tensor]:
    """Return log P (3, views, G, G) for scales of four and three grades."""
    draw = torch.Generator().manual_seed(views)
    return [
        torch.randn(3, views, n * n, generator=draw).double().log_softmax(dim=2).reshape(3, views, n, n) for n in (4, 3)
    ]


def costs_by_hand(pairs: list[Tensor], difference: float) -> list[float]:
    """Return the cost of each label, each rater against its own view, by loops over scalars."""
    costs = []
    for joint, rater, scale in np.ndindex(3, 2, 2):
        earlier, later = LABELS[joint, rater, scale].tolist()
        table = pairs[scale][joint, rater if pairs[scale].shape[1] > 1 else 0].exp().tolist()
        size = range(len(table))
        if earlier < 0 and later < 0:
            continue
        if earlier < 0 or later < 0:  # a score at one time point costs what its grade costs
            chance = sum(table[earlier]) if later < 0 else sum(table[a][later] for a in size)
            costs.append(-math.log(chance))
            continue
        mean = sum(table[a][b] * (b - a) for a in size for b in size)
        costs.append(-math.log(table[earlier][later]) + difference * (mean - (later - earlier)) ** 2)
    return costs


class TestLossOfABatch:
    @pytest.mark.parametrize("views", [1, 2])
    @pytest.mark.parametrize("difference", [0.0, 0.7])
    def test_every_raters_label_is_compared_with_that_raters_view(self, views: int, difference: float) -> None:
        pairs = random_pairs(views)
        costs = costs_by_hand(pairs, difference)
        assert len(costs) == count_labelled(LABELS) == 10
        loss = scorer_loss(pairs, LABELS, name="pair", difference=difference, count=10.0)
        assert float(loss) == pytest.approx(sum(costs) / 10)
        assert float(scorer_loss(pairs, LABELS, name="pair", difference=difference, count=20.0)) == pytest.approx(
            sum(costs) / 20
        )

    @pytest.mark.parametrize("difference", [0.0, 0.7])
    def test_the_loss_of_the_training_has_all_terms(self, difference: float) -> None:
        model = make_scorer("coupled", "confusion", dropout=False).double()
        with torch.no_grad():
            for rater_model in model.crowds:
                rater_model.free.copy_(torch.randn(rater_model.free.shape, generator=torch.Generator().manual_seed(1)))  # type: ignore[operator, union-attr, arg-type]
        penalty = 0.02 * sum(float(each.free.detach().square().sum()) for each in model.crowds)  # type: ignore[union-attr, operator, misc]
        pairs = random_pairs(2)
        batch = ScorerBatch(torch.zeros(3, 2, 1), torch.zeros(3), LABELS, torch.zeros(3, 2))
        loss = make_batch_loss(model, "pair", difference)(lambda *_: pairs, batch)  # type: ignore[arg-type]
        assert float(loss.detach()) == pytest.approx(sum(costs_by_hand(pairs, difference)) / 10 + penalty)

    def test_processes_divide_by_their_mean_count(self) -> None:
        group = SimpleNamespace(average=lambda count: count * 3)
        model, pairs = make_scorer(), random_pairs(1)
        batch = ScorerBatch(torch.zeros(3, 2, 1), torch.zeros(3), LABELS, torch.zeros(3, 2))
        loss = make_batch_loss(model, "pair", 0.0, group)(lambda *_: pairs, batch)  # type: ignore[arg-type]
        assert float(loss) == pytest.approx(sum(costs_by_hand(pairs, 0.0)) / 30)


class TestBatches:
    def test_an_epoch_has_each_joint_once_with_its_own_labels(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scorer_training, "augment_pairs", lambda crops, generator: crops)
        labels = np.arange(10 * 8).reshape(10, 2, 2, 2)
        samples = make_pairs(labels)
        batches = make_scorer_batches(samples, 4, 3, CPU)
        seen = []
        for epoch in (0, 1):
            rows = []
            for batch in batches(epoch, ProcessGroup()):
                for crops, group, label, top in zip(*batch, strict=True):
                    row = int(label.flatten()[0]) // 8
                    assert label.tolist() == labels[row].tolist()
                    assert (crops * 255).round().to(torch.uint8).numpy().tolist() == samples.crops[row].tolist()
                    assert (int(group), top.tolist()) == (samples.groups[row], samples.max_grades[row].tolist())
                    rows.append(row)
            assert sorted(rows) == list(range(10))
            seen.append(rows)
        assert seen[0] != seen[1], "each epoch has its own order"

    def test_processes_share_the_rows_and_no_random_numbers(self) -> None:
        order = torch.arange(12)
        parts = {}
        for rank in range(2):
            for epoch in range(2):
                group = ProcessGroup(rank, 2)
                for number, (rows, generator) in enumerate(group.local_batches(order, 6, 1, epoch)):
                    parts[rank, epoch, number] = (rows.tolist(), int(torch.randint(2**60, (1,), generator=generator)))
        for epoch in range(2):
            for number in range(2):
                rows = [parts[rank, epoch, number][0] for rank in range(2)]
                assert sorted(rows[0] + rows[1]) == list(range(6 * number, 6 * number + 6))
        assert len({draw for _, draw in parts.values()}) == len(parts) == 8
        (_, generator), *_ = ProcessGroup(1, 2).local_batches(order, 6, 2, 0)
        assert int(torch.randint(2**60, (1,), generator=generator)) != parts[1, 0, 0][1], "the seed counts"
        (rows, generator), *_ = ProcessGroup(1, 2).local_batches(order, 6, 1, 0)
        assert (rows.tolist(), int(torch.randint(2**60, (1,), generator=generator))) == parts[1, 0, 0]

    def test_a_batch_that_does_not_divide_gives_all_processes_the_same_number(self) -> None:
        parts = [ProcessGroup(rank, 3).local_indices(torch.arange(8)).tolist() for rank in range(3)]
        assert parts == [[0, 3], [1, 4], [2, 5]]


class Quadratic(torch.nn.Module):
    """A model whose gradient is the batch itself."""

    def __init__(self, start: list[float]) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(start))

    def forward(self, slope: Tensor) -> Tensor:
        return (self.weight * slope).sum()


def run(
    training: Training, slopes: list[list[float]], on_epoch: Callable[[EpochResult], None] = lambda result: None
) -> None:
    training.run(
        lambda *_: [torch.tensor(slope) for slope in slopes], lambda model, batch: model(batch), on_epoch=on_epoch
    )


class TestSteps:
    def test_a_gradient_longer_than_five_is_clipped_and_a_shorter_one_is_not(self) -> None:
        for slope, wanted in (([30.0, 40.0], [3.0, 4.0]), ([0.3, 0.4], [0.3, 0.4])):
            training = Training(Quadratic([0.0, 0.0]), TrainingPlan(epochs=1, rate=1.0), CPU, schedule=lambda *_: 1.0)
            training.optimiser = torch.optim.SGD(training.model.parameters(), lr=1.0)
            run(training, [slope])
            assert training.model.weight.tolist() == pytest.approx([-value for value in wanted], rel=1e-4)  # type: ignore[operator, union-attr]

    def test_a_step_is_that_of_adam_with_decoupled_weight_decay(self) -> None:
        plan = TrainingPlan(epochs=1, rate=0.1, weight_decay=0.5)
        training = Training(Quadratic([2.0]), plan, CPU, schedule=lambda *_: 1.0)
        run(training, [[1.0], [3.0], [-2.0]])
        weight, first, second = 2.0, 0.0, 0.0
        for step, slope in enumerate((1.0, 3.0, -2.0), start=1):
            weight -= 0.1 * 0.5 * weight
            first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
            weight -= 0.1 * (first / (1 - 0.9**step)) / (math.sqrt(second / (1 - 0.999**step)) + 1e-8)
        assert float(training.model.weight.detach()) == pytest.approx(weight, rel=1e-5)  # type: ignore[operator, arg-type]

    def test_the_rate_rises_during_the_warm_up_and_falls_as_half_a_cosine(self) -> None:
        assert [warm_up_cosine(done, 10, warm_up=0.4) for done in (0, 2, 4, 7)] == pytest.approx([0.1, 0.55, 1, 0.5])
        assert warm_up_cosine(10, 10, warm_up=0.4) == warm_up_cosine(99, 10, warm_up=0.4) == 0.01
        rates: list[float] = []
        plan = TrainingPlan(epochs=10, rate=2.0, warm_up=0.4)
        run(Training(Quadratic([0.0]), plan, CPU), [[1.0]], lambda result: rates.append(result.rate))
        cosine = [0.5 * (1 + math.cos(math.pi * share / 6)) for share in range(6)]
        assert rates == pytest.approx([2 * share for share in (0.1, 0.325, 0.55, 0.775, *cosine)])

    def test_the_loss_of_an_epoch_is_the_mean_of_its_batches(self) -> None:
        results: list[EpochResult] = []
        training = Training(Quadratic([1.0]), TrainingPlan(epochs=1, rate=1e-9), CPU)
        run(training, [[1.0], [2.0], [6.0]], results.append)
        assert results[0].loss == pytest.approx(3.0)

    def test_a_resumed_training_goes_on_with_the_next_epoch_and_the_state_of_adam(self) -> None:
        def train(training: Training, epochs: int) -> list[int]:
            seen: list[int] = []

            def batches(epoch: int, _: ProcessGroup) -> list[Tensor]:
                seen.append(epoch)
                return [torch.tensor([float(epoch + 1)]), torch.tensor([1.0])]

            training.run(batches, lambda model, batch: model(batch), should_stop=lambda: training.epoch >= epochs)
            return seen

        plan = TrainingPlan(epochs=4, rate=0.1)
        whole, first, second = (Training(Quadratic([1.0]), plan, CPU) for _ in range(3))
        assert train(whole, 4) == [0, 1, 2, 3]
        assert train(first, 2) == [0, 1]
        second.load_state_dict(first.state_dict())
        assert train(second, 4) == [2, 3]
        assert (second.epoch, second.step) == (whole.epoch, whole.step) == (4, 8)
        assert torch.equal(second.model.weight, whole.model.weight)  # type: ignore[arg-type]

    def test_dropout_differs_by_epoch_and_process_but_not_by_interruption(self) -> None:
        def draws(rank: int, first: int) -> list[float]:
            seen: list[float] = []
            training = Training(Quadratic([1.0]), TrainingPlan(epochs=3), CPU, ProcessGroup(rank, 1))
            training.epoch = first
            training.run(
                lambda *_: [torch.tensor([1.0])],
                lambda model, batch: (seen.append(float(torch.rand(()))), model(batch))[1],  # type: ignore[func-returns-value]
            )
            return seen

        assert draws(0, 0)[1:] == draws(0, 1)
        assert len({*draws(0, 0), *draws(1, 0)}) == 6

    def test_the_model_trains_in_training_mode_and_is_returned_in_evaluation_mode(self) -> None:
        modes: list[bool] = []
        model = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.Dropout(0.2))
        training = Training(model, TrainingPlan(epochs=2), CPU)
        result = training.run(
            lambda *_: [torch.ones(1, 1)],
            lambda net, batch: (modes.append(net.training), net(batch).sum())[1],  # type: ignore[func-returns-value]
        )
        assert modes == [True, True]
        assert not any(layer.training for layer in result.modules())


class TestValidation:
    def test_the_best_epoch_has_the_smallest_loss_and_its_own_weights(self) -> None:
        losses = [3.0, 1.0, 2.0, 1.0]
        weights: list[float] = []
        modes: list[bool] = []

        def validation(model: torch.nn.Module) -> float:
            weights.append(float(model.weight.detach()))  # type: ignore[operator, arg-type]
            modes.append(model.training)
            torch.rand(5)  # must not change what the training draws
            return losses[len(weights) - 1]

        draws: list[float] = []
        for check in (validation, None):
            training = Training(Quadratic([1.0]), TrainingPlan(epochs=4, rate=0.1, reseed_epochs=False), CPU)
            torch.manual_seed(1)
            training.run(
                lambda *_: [torch.tensor([1.0])],
                lambda model, batch: (draws.append(float(torch.rand(()))), model(batch))[1],  # type: ignore[func-returns-value]
                validation=check,
            )
            if check is not None:
                assert training.best is not None
                assert (training.best.epoch, training.best.loss) == (2, 1.0)
                assert float(training.best.weights["weight"]) == weights[1] != weights[2]
        assert modes == [False] * 4
        assert draws[:4] == draws[4:]

    def test_training_ends_after_epochs_without_a_smaller_loss(self) -> None:
        losses = iter([3.0, 2.0, 2.5, 1.0, 1.5, 1.0, 0.5])
        training = Training(Quadratic([1.0]), TrainingPlan(epochs=9, patience=2), CPU)
        training.run(
            lambda *_: [torch.tensor([1.0])], lambda model, batch: model(batch), validation=lambda _: next(losses)
        )
        assert training.epoch == 6
        assert training.is_finished

    def test_joints_of_the_kept_patients_are_not_learned(self) -> None:
        samples = make_pairs(np.ones((40, 2, 2, 2)))
        plan = RunPlan(TrainingPlan(seed=3), 8, validation=0.3)
        learned, validated = scorer_training.divide_rows(samples, plan)
        kept = [row for row, case in enumerate(samples.cases) if place_of_case(f"validation/{case}", 3) < 0.3]
        assert 0 < len(kept) < 40
        assert validated.tolist() == kept
        assert sorted((*learned.tolist(), *kept)) == list(range(40))
        batches = make_scorer_batches(samples, 8, 3, CPU, rows=learned)(0, ProcessGroup())
        assert sum(len(batch.labels) for batch in batches) == len(learned)

    def test_the_loss_is_the_mean_over_the_labels_of_the_rows_without_augmentation(self) -> None:
        labels = np.random.default_rng(0).integers(-1, 3, (9, 2, 2, 2))
        samples, model = make_pairs(labels), make_scorer("coupled", "confusion").eval()
        rows = torch.tensor([1, 4, 5, 8])
        inputs = [torch.from_numpy(part)[rows] for part in (samples.crops, samples.groups, samples.max_grades)]
        pairs = model(inputs[0].float() / 255, *inputs[1:])
        wanted = torch.from_numpy(labels)[rows]
        count = int((wanted >= 0).any(dim=3).sum())
        expected = scorer_loss(pairs, wanted, name="pair", difference=0.5, count=float(count))
        with torch.no_grad():
            found = scorer_training.make_scorer_validation(samples, rows, "pair", 0.5)(model)
        assert found == pytest.approx(float(expected.detach()), rel=1e-5)


class TestStoredScorer:
    def test_a_loaded_scorer_is_in_evaluation_mode_and_answers_the_same(self, tmp_path: Path) -> None:
        model = make_scorer("coupled", "confusion").eval()
        about = {
            "grades": [4, 3],
            "group_names": ["PIP", "MCP"],
            "pairing": "coupled",
            "crowd": "confusion",
            "raters": 2,
            "width": 8,
        }
        save_checkpoint(tmp_path / "model.pt", {"model": model.state_dict(), "about": about})
        loaded, _ = load_scorer_network(tmp_path, CPU)
        assert not any(layer.training for layer in loaded.modules())
        samples = make_pairs(np.zeros((5, 2, 2, 2)))
        one, two, again = (
            predict(each, samples.crops, samples.groups, samples.max_grades, batch=2)
            for each in (model, loaded, loaded)
        )
        for scale, grades in enumerate((4, 3)):
            assert one[scale].shape == (5, grades, grades)
            assert np.array_equal(one[scale], two[scale])
            assert np.array_equal(two[scale], again[scale])
            assert one[scale].sum(axis=(1, 2)) == pytest.approx(np.ones(5))

    def test_the_first_film_decides_the_earlier_grade_alone(self) -> None:
        model = make_scorer("single").eval()
        samples, others = (make_pairs(np.zeros((3, 2, 2, 2)), seed=seed) for seed in (0, 1))
        for time in (0, 1):
            crops = samples.crops.copy()
            crops[:, time] = others.crops[:, time]
            before, after = (
                predict(model, each, samples.groups, samples.max_grades)[0] for each in (samples.crops, crops)
            )
            changed = [not np.allclose(before.sum(axis=2 - at), after.sum(axis=2 - at), atol=1e-5) for at in (0, 1)]
            assert changed == [time == 0, time == 1]


def test_every_dropout_of_a_scorer_can_be_turned_off() -> None:
    model = make_scorer("coupled").train()
    turn_dropout_off(model)
    samples = make_pairs(np.zeros((4, 2, 2, 2)))
    inputs = [
        torch.from_numpy(samples.crops).float() / 255,
        *map(torch.from_numpy, (samples.groups, samples.max_grades)),
    ]
    one, two = (model(*inputs)[0] for _ in range(2))
    assert torch.equal(one, two)
