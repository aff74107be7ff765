"""The losses compared with slow references written from their formulas, and their gradients."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from ratui.errors import TrainError
from trainer.models.losses import (
    EXCLUDED_LOGIT,
    LOSSES,
    SHIFT_WEIGHTS,
    SHIFTS,
    count_labelled,
    coupled_log_pair,
    expected_change,
    independent_log_pair,
    log_marginals,
    pair_loss,
    scorer_loss,
    status_loss,
)

GRADES = 6
Pair = list[list[float]]


def reference_loss(name: str, pair: Pair, t1: int, t2: int) -> float:
    """Return the loss of one pair, term by term, from the probability of each pair of grades."""
    p1 = [sum(row) for row in pair]
    p2 = [sum(row[g] for row in pair) for g in range(GRADES)]
    both = ((p1, t1), (p2, t2))
    if name == "ce":
        return -math.log(p1[t1]) - math.log(p2[t2])
    if name == "pair":
        return -math.log(pair[t1][t2])
    if name == "emd":
        return sum((sum(p[: k + 1]) - (1 if t <= k else 0)) ** 2 for p, t in both for k in range(GRADES))
    if name == "cumulative":
        return -sum(math.log(sum(p[k + 1 :]) if t > k else sum(p[: k + 1])) for p, t in both for k in range(GRADES - 1))
    inside = [
        (g, w) for g, w in zip(SHIFTS, SHIFT_WEIGHTS, strict=True) if 0 <= t1 + g < GRADES and 0 <= t2 + g < GRADES
    ]
    whole = sum(w for _, w in inside)
    if name == "soft":
        return -sum(w / whole * (math.log(p1[t1 + g]) + math.log(p2[t2 + g])) for g, w in inside)
    assert name == "marginal", "a loss without a reference"
    return -math.log(sum(w / whole * pair[t1 + g][t2 + g] for g, w in inside))


def reference_status_loss(name: str, p: list[float], t: int) -> float:
    """Return the loss of one film whose other time point has no score, term by term."""
    if name in ("ce", "pair"):
        return -math.log(p[t])
    if name == "emd":
        return sum((sum(p[: k + 1]) - (1 if t <= k else 0)) ** 2 for k in range(GRADES))
    if name == "cumulative":
        return -sum(math.log(sum(p[k + 1 :]) if t > k else sum(p[: k + 1])) for k in range(GRADES - 1))
    inside = [(g, w) for g, w in zip(SHIFTS, SHIFT_WEIGHTS, strict=True) if 0 <= t + g < GRADES]
    whole = sum(w for _, w in inside)
    if name == "soft":
        return -sum(w / whole * math.log(p[t + g]) for g, w in inside)
    assert name == "marginal", "a loss without a reference"
    return -math.log(sum(w / whole * p[t + g] for g, w in inside))


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


class TestPairs:
    def test_independent_time_points_multiply(self) -> None:
        one, two = drawn(0, 2, GRADES), drawn(1, 2, GRADES)
        pair = independent_log_pair(one, two).exp()
        for n, a, b in itertools.product(range(2), range(GRADES), range(GRADES)):
            assert pair[n, a, b].item() == pytest.approx((one[n].softmax(0)[a] * two[n].softmax(0)[b]).item())

    def test_a_coupled_pair_is_weighed_by_its_difference(self) -> None:
        one, two, change = drawn(0, 1, GRADES)[0], drawn(1, 1, GRADES)[0], drawn(2, 1, 2 * GRADES - 1)[0]
        weight = {
            (a, b): math.exp(one[a] + two[b] + change[b - a + GRADES - 1])
            for a, b in itertools.product(range(GRADES), repeat=2)
        }
        pair = coupled_log_pair(one[None], two[None], change[None]).exp()[0]
        for (a, b), each in weight.items():
            assert pair[a, b].item() == pytest.approx(each / sum(weight.values()))

    def test_margins_and_the_expected_change(self) -> None:
        pair = coupled_log_pair(drawn(3, 1, GRADES), drawn(4, 1, GRADES), drawn(5, 1, 2 * GRADES - 1))
        table = pair[0].exp().tolist()
        first, second = log_marginals(pair)
        assert first[0].exp().tolist() == pytest.approx([sum(row) for row in table])
        assert second[0].exp().tolist() == pytest.approx([sum(row[g] for row in table) for g in range(GRADES)])
        wanted = sum(table[a][b] * (b - a) for a, b in itertools.product(range(GRADES), repeat=2))
        assert expected_change(pair).item() == pytest.approx(wanted)


@pytest.mark.parametrize("name", list(LOSSES))
def test_every_pair_of_labels_costs_what_the_formula_says(name: str) -> None:
    log_pair = coupled_log_pair(drawn(0, 1, GRADES), drawn(1, 1, GRADES), drawn(2, 1, 2 * GRADES - 1))
    table = log_pair[0].exp().tolist()
    for t1, t2 in itertools.product(range(GRADES), repeat=2):
        got = pair_loss(name, log_pair, torch.tensor([[t1, t2]]), 0.0)
        assert got.item() == pytest.approx(reference_loss(name, table, t1, t2), rel=1e-9)


@pytest.mark.parametrize("name", list(LOSSES))
def test_the_difference_term_is_the_squared_error_of_the_expected_change(name: str) -> None:
    log_pair = independent_log_pair(drawn(0, 1, GRADES), drawn(1, 1, GRADES))
    without = pair_loss(name, log_pair, torch.tensor([[1, 3]]), 0.0)
    with_it = pair_loss(name, log_pair, torch.tensor([[1, 3]]), 0.7)
    wanted = 0.7 * (expected_change(log_pair) - 2).item() ** 2
    assert (with_it - without).item() == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("difference", [0.0, 0.5])
@pytest.mark.parametrize("name", list(LOSSES))
def test_gradients(name: str, difference: float) -> None:
    one, two = drawn(1, 4, GRADES).requires_grad_(), drawn(2, 4, GRADES).requires_grad_()
    change = drawn(3, 4, 2 * GRADES - 1).requires_grad_()
    labels = torch.tensor([[0, 0], [5, 5], [0, 5], [2, 3]])
    assert torch.autograd.gradcheck(
        lambda a, b, c: pair_loss(name, coupled_log_pair(a, b, c), labels, difference), (one, two, change)
    )


@pytest.mark.parametrize("name", list(LOSSES))
def test_logits_of_any_size_stay_finite(name: str) -> None:
    one = torch.tensor([[1e4, -1e4, 0, 0, 0, 0.0]], requires_grad=True)
    loss = pair_loss(name, independent_log_pair(one, one.flip(1)), torch.tensor([[3, 0]]), 1.0).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    assert one.grad is not None
    assert torch.isfinite(one.grad).all()


@pytest.mark.parametrize("name", list(LOSSES))
def test_impossible_grades_have_no_loss_and_no_gradient(name: str) -> None:
    logits = drawn(0, 1, GRADES).float()
    logits[:, 5] = EXCLUDED_LOGIT
    logits.requires_grad_()
    loss = pair_loss(name, independent_log_pair(logits, logits), torch.tensor([[4, 4]]), 0.0).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() < 50
    assert logits.grad is not None
    assert abs(logits.grad[0, 5].item()) < 1e-6


def test_the_numbers_of_the_losses() -> None:
    assert SHIFTS == (-1, 0, 1)
    assert SHIFT_WEIGHTS == (0.15, 0.7, 0.15)
    assert EXCLUDED_LOGIT == -10_000


def test_soft_labels_are_shared_among_the_grades_that_the_joint_has() -> None:
    """The joint has no grade 5, and its grade 0 is most improbable but possible."""
    logits = drawn(0, 1, GRADES)
    logits[:, 5], logits[:, 0] = EXCLUDED_LOGIT, -4000.0
    log = logits.log_softmax(1)
    one, two = log[0].tolist(), log[0].tolist()
    upper = -(0.15 * one[3] + 0.7 * one[4]) / 0.85
    lower = -(0.15 * one[0] + 0.7 * one[1] + 0.15 * one[2])
    assert status_loss("soft", log, torch.tensor([4])).item() == pytest.approx(upper, rel=1e-9)
    assert status_loss("soft", log, torch.tensor([1])).item() == pytest.approx(lower, rel=1e-9)
    pair = independent_log_pair(logits, logits)
    both = -(0.15 * (one[1] + two[3]) + 0.7 * (one[2] + two[4])) / 0.85
    assert pair_loss("soft", pair, torch.tensor([[2, 4]]), 0.0).item() == pytest.approx(both, rel=1e-9)


def test_a_soft_label_that_no_shift_makes_possible_costs_nothing() -> None:
    log = torch.full((1, GRADES), EXCLUDED_LOGIT).double()
    log[:, 0] = 0.0
    assert status_loss("soft", log, torch.tensor([4])).item() == 0.0


def test_a_batch_without_labels_has_no_loss_but_gradients_of_zero() -> None:
    pairs = [drawn(scale, 2, 1, 9).reshape(2, 1, 3, 3).requires_grad_() for scale in range(2)]
    labels = torch.full((2, 1, 2, 2), -1)
    assert count_labelled(labels) == 0
    loss = scorer_loss(pairs, labels, name="ce", difference=0.0, count=0)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0.0
    for pair in pairs:
        assert pair.grad is not None
        assert not pair.grad.any()
    labels[0, 0, 0] = 1
    whole, half = (scorer_loss(pairs, labels, name="ce", difference=0.0, count=count).item() for count in (1.0, 0.5))
    assert whole == half != 0, "a process with less than one label divides by one"


def test_only_marginal_penalizes_a_shared_shift_less_than_a_single_one() -> None:
    sure = torch.full((1, GRADES), -6.0)
    at = lambda grade: sure.scatter(1, torch.tensor([[grade]]), 6.0)  # noqa: E731
    labels = torch.tensor([[2, 3]])
    both = pair_loss("marginal", independent_log_pair(at(3), at(4)), labels, 0.0)
    one = pair_loss("marginal", independent_log_pair(at(3), at(3)), labels, 0.0)
    assert both < one - 5
    plain_both = pair_loss("ce", independent_log_pair(at(3), at(4)), labels, 0.0)
    plain_one = pair_loss("ce", independent_log_pair(at(3), at(3)), labels, 0.0)
    assert plain_both > plain_one


def test_a_pair_of_independent_time_points_is_plain_cross_entropy() -> None:
    log_pair = independent_log_pair(drawn(0, 3, GRADES), drawn(1, 3, GRADES))
    labels = torch.tensor([[0, 1], [2, 2], [5, 0]])
    assert torch.allclose(pair_loss("pair", log_pair, labels, 0.0), pair_loss("ce", log_pair, labels, 0.0))


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(TrainError, match="ce, soft, marginal"):
        pair_loss(
            "best", independent_log_pair(torch.zeros(1, 6), torch.zeros(1, 6)), torch.zeros(1, 2, dtype=torch.long), 0.0
        )


class TestSingleTimePoints:
    @pytest.mark.parametrize("name", list(LOSSES))
    def test_every_label_costs_what_the_formula_says(self, name: str) -> None:
        log = drawn(0, 1, GRADES).log_softmax(1)
        for t in range(GRADES):
            got = status_loss(name, log, torch.tensor([t]))
            assert got.item() == pytest.approx(reference_status_loss(name, log[0].exp().tolist(), t), rel=1e-9)

    @pytest.mark.parametrize("name", list(LOSSES))
    def test_grades_that_the_joint_lacks_have_no_loss(self, name: str) -> None:
        logits = drawn(0, 1, GRADES)
        logits[:, 5] = EXCLUDED_LOGIT
        logits.requires_grad_()
        loss = status_loss(name, logits.log_softmax(1), torch.tensor([4])).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        assert loss.item() < 50
        assert logits.grad is not None
        assert abs(logits.grad[0, 5].item()) < 1e-6

    @pytest.mark.parametrize("views", [1, 2])
    @pytest.mark.parametrize("name", list(LOSSES))
    def test_a_batch_sums_pairs_and_single_scores(self, name: str, views: int) -> None:
        """The batch has pairs, scores of the first or second film only, and joints without any, of two raters."""
        labels = torch.tensor([[[2, 3], [4, -1]], [[-1, 1], [-1, -1]], [[-1, -1], [0, 5]]])[:, :, None]
        pairs = torch.stack(
            [
                coupled_log_pair(drawn(view, 3, GRADES), drawn(9 + view, 3, GRADES), drawn(5, 3, 2 * GRADES - 1))
                for view in range(views)
            ],
            dim=1,
        )
        wanted = 0.0
        for row, rater in itertools.product(range(3), range(2)):
            table = pairs[row, rater % views].exp().tolist()
            t1, t2 = labels[row, rater, 0].tolist()
            p1, p2 = [sum(each) for each in table], [sum(each[g] for each in table) for g in range(GRADES)]
            if t1 >= 0 and t2 >= 0:
                change = sum(table[a][b] * (b - a) for a, b in itertools.product(range(GRADES), repeat=2))
                wanted += reference_loss(name, table, t1, t2) + 0.5 * (change - (t2 - t1)) ** 2
            elif t1 >= 0:
                wanted += reference_status_loss(name, p1, t1)
            elif t2 >= 0:
                wanted += reference_status_loss(name, p2, t2)
        assert count_labelled(labels) == 4
        got = scorer_loss([pairs], labels, name=name, difference=0.5, count=4)
        assert got.item() == pytest.approx(wanted / 4, rel=1e-9)

    def test_an_unknown_loss_is_refused(self) -> None:
        with pytest.raises(TrainError, match="ce, soft, marginal"):
            status_loss("best", torch.zeros(1, 6), torch.zeros(1, dtype=torch.long))
