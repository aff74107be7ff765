"""The losses against slow references written from their formulas, and their gradients."""

import itertools

import pytest
import torch

from ratui.errors import TrainError
from trainer.losses import LOSSES, SHIFT_WEIGHTS, SHIFTS, pair_loss

GRADES = 6


def slow(name: str, p1: list[float], p2: list[float], t1: int, t2: int) -> float:
    """One pair's loss, term by term."""
    import math

    if name == "ce":
        return -math.log(p1[t1]) - math.log(p2[t2])
    inside = [
        (g, w) for g, w in zip(SHIFTS, SHIFT_WEIGHTS, strict=True) if 0 <= t1 + g < GRADES and 0 <= t2 + g < GRADES
    ]
    whole = sum(w for _, w in inside)
    if name == "soft":
        return -sum(w / whole * (math.log(p1[t1 + g]) + math.log(p2[t2 + g])) for g, w in inside)
    return -math.log(sum(w / whole * p1[t1 + g] * p2[t2 + g] for g, w in inside))


@pytest.mark.parametrize("name", list(LOSSES))
def test_every_pair_of_labels_costs_what_the_formula_says(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    one, two = torch.randn(GRADES, generator=generator).double(), torch.randn(GRADES, generator=generator).double()
    p1, p2 = one.softmax(0).tolist(), two.softmax(0).tolist()
    for t1, t2 in itertools.product(range(GRADES), repeat=2):
        got = pair_loss(name, one[None], two[None], torch.tensor([[t1, t2]]), 0.0)
        assert got.item() == pytest.approx(slow(name, p1, p2, t1, t2), rel=1e-9)


def test_the_difference_term_is_the_squared_error_of_the_expected_change() -> None:
    one, two = torch.randn(1, GRADES).double(), torch.randn(1, GRADES).double()
    grades = torch.arange(GRADES).double()
    change = (two.softmax(1) * grades).sum() - (one.softmax(1) * grades).sum()
    without = pair_loss("ce", one, two, torch.tensor([[1, 3]]), 0.0)
    with_it = pair_loss("ce", one, two, torch.tensor([[1, 3]]), 0.7)
    assert (with_it - without).item() == pytest.approx(0.7 * (change - 2).item() ** 2, rel=1e-9)


@pytest.mark.parametrize("name", list(LOSSES))
def test_gradients(name: str) -> None:
    torch.manual_seed(1)
    one = torch.randn(4, GRADES, dtype=torch.double, requires_grad=True)
    two = torch.randn(4, GRADES, dtype=torch.double, requires_grad=True)
    labels = torch.tensor([[0, 0], [5, 5], [0, 5], [2, 3]])
    assert torch.autograd.gradcheck(lambda a, b: pair_loss(name, a, b, labels, 0.5), (one, two))


@pytest.mark.parametrize("name", list(LOSSES))
def test_logits_of_any_size_stay_finite(name: str) -> None:
    one = torch.tensor([[1e4, -1e4, 0, 0, 0, 0.0]], requires_grad=True)
    loss = pair_loss(name, one, one.flip(1), torch.tensor([[3, 0]]), 1.0).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    assert one.grad is not None
    assert torch.isfinite(one.grad).all()


def test_only_marginal_forgives_a_shift_of_both_more_than_a_shift_of_one() -> None:
    sure = torch.full((1, GRADES), -6.0)
    at = lambda grade: sure.scatter(1, torch.tensor([[grade]]), 6.0)  # noqa: E731
    labels = torch.tensor([[2, 3]])
    both = pair_loss("marginal", at(3), at(4), labels, 0.0)
    one = pair_loss("marginal", at(3), at(3), labels, 0.0)
    assert both < one - 5
    plain_both, plain_one = pair_loss("ce", at(3), at(4), labels, 0.0), pair_loss("ce", at(3), at(3), labels, 0.0)
    assert plain_both > plain_one


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(TrainError, match="ce, soft, marginal"):
        pair_loss("best", torch.zeros(1, 6), torch.zeros(1, 6), torch.zeros(1, 2, dtype=torch.long), 0.0)
