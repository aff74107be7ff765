"""Rater models compared with slow references: probabilities of each rater's answers, and learned parameters."""

import itertools

import pytest
import torch

from ratui.errors import TrainError
from trainer.models.losses import coupled_log_pair, pair_loss
from trainer.models.scorer import RATER_MODELS, RaterModel

GRADES = 4


def some_pair(rows: int = 1) -> torch.Tensor:
    draw = torch.Generator().manual_seed(3)
    one, two, change = (torch.randn(rows, n, generator=draw).double() for n in (GRADES, GRADES, 2 * GRADES - 1))
    return coupled_log_pair(one, two, change)


def rater_model(kind: str) -> RaterModel:
    made = RaterModel(kind, 2, GRADES).double()
    with torch.no_grad():
        made.free.copy_(torch.randn(made.free.shape, generator=torch.Generator().manual_seed(4)))
    return made


def test_a_confusion_is_a_sum_over_true_grades() -> None:
    pair, raters = some_pair(), rater_model("confusion")
    habits = torch.softmax(raters.start + raters.free, dim=-1).detach()
    said, truth = raters(pair).exp().detach(), pair.exp()
    for r, t1, t2 in itertools.product(range(2), range(GRADES), range(GRADES)):
        wanted = sum(
            truth[0, y1, y2] * habits[r, y1, t1] * habits[r, y2, t2]
            for y1, y2 in itertools.product(range(GRADES), repeat=2)
        )
        assert said[0, r, t1, t2].item() == pytest.approx(float(wanted))


def test_a_bias_moves_both_time_points_equally_within_the_scale() -> None:
    pair, raters = some_pair(), rater_model("leaning")
    habits = torch.softmax(raters.start + raters.free, dim=-1).detach()
    said, truth = raters(pair).exp().detach(), pair.exp()
    on = lambda grade: min(max(grade, 0), GRADES - 1)  # noqa: E731
    for r in range(2):
        wanted = torch.zeros(GRADES, GRADES, dtype=torch.double)
        for y1, y2, g in itertools.product(range(GRADES), range(GRADES), (-1, 0, 1)):
            wanted[on(y1 + g), on(y2 + g)] += truth[0, y1, y2] * habits[r, g + 1]
        assert torch.allclose(said[0, r], wanted)


@pytest.mark.parametrize("kind", RATER_MODELS[1:])
def test_probabilities_sum_to_one_and_gradients_are_correct(kind: str) -> None:
    raters = rater_model(kind)
    assert torch.allclose(raters(some_pair(3)).exp().sum(dim=(2, 3)), torch.ones(3, 2).double())
    labels = torch.tensor([[0, 1], [2, 2], [3, 0]])

    def loss(pair: torch.Tensor, free: torch.Tensor) -> torch.Tensor:
        said = torch.func.functional_call(raters, {"free": free}, (pair,))
        return pair_loss("pair", said[:, 1], labels, 0.0)

    free = raters.free.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, (some_pair(3).requires_grad_(), free))


def test_a_rater_who_reads_one_grade_higher_is_recognized() -> None:
    """Train on two raters, one exact and one always one grade higher: the matrix must show which is which."""
    torch.manual_seed(0)
    truth = torch.randint(0, GRADES - 1, (400, 2))
    labels = torch.stack([truth, truth + 1], dim=1)
    raters, logits = RaterModel("confusion", 2, GRADES), torch.zeros(400, 2, GRADES, requires_grad=True)
    optimiser = torch.optim.Adam([logits, raters.free], lr=0.1)
    for _ in range(150):
        pair = torch.log_softmax(logits[:, 0], 1)[:, :, None] + torch.log_softmax(logits[:, 1], 1)[:, None, :]
        said = raters(pair)
        loss = sum(pair_loss("pair", said[:, r], labels[:, r], 0.0).mean() for r in range(2)) + raters.penalty() / 100
        assert isinstance(loss, torch.Tensor)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    habits = torch.softmax(raters.start + raters.free, dim=-1)
    mean = (habits * torch.arange(GRADES)).sum(-1)
    assert (mean[1, :2] - mean[0, :2] > 0.5).all()


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(TrainError, match="none, confusion, leaning"):
        RaterModel("average", 2, GRADES)
