"""Properties of the network: exchanged films exchange the answer, joints get only their own grades, norms are shared."""

from pathlib import Path

import pytest
import torch

from ratui.errors import TrainError
from trainer.data.pair_augmentation import augment_pairs
from trainer.models.checkpoint_files import save_checkpoint
from trainer.models.layers import SynchronisedBatchNorm
from trainer.models.losses import expected_change
from trainer.models.scorer import PAIRINGS, Pairing, PairScorer, load_matching_weights

pytestmark = pytest.mark.slow


def some(count: int = 5) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    max_grades = torch.tensor([[5, 4], [5, -1], [3, 4], [5, 4], [5, 2]])[:count]
    return torch.rand(count, 2, 40, 40, generator=draw), torch.arange(count) % 3, max_grades


def scorer(pairing: Pairing, rater_model: str = "none") -> PairScorer:
    torch.manual_seed(1)
    return PairScorer((6, 5), 3, pairing=pairing, rater_model=rater_model, raters=2, width=8)


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_swapped_films_get_the_swapped_answer(pairing: Pairing) -> None:
    crops, groups, max_grades = some()
    model = scorer(pairing).eval()
    for there, back in zip(model(crops, groups, max_grades), model(crops.flip(1), groups, max_grades), strict=True):
        assert torch.allclose(there[:, 0], back[:, 0].transpose(1, 2), atol=1e-5)
        assert torch.allclose(expected_change(there[:, 0]), -expected_change(back[:, 0]), atol=1e-5)


@pytest.mark.parametrize("pairing", PAIRINGS)
def test_a_joint_gets_its_own_grades_and_chances_add_up(pairing: Pairing) -> None:
    crops, groups, max_grades = some()
    for scale, pair in enumerate(scorer(pairing).eval()(crops, groups, max_grades)):
        probabilities = pair[:, 0].exp()
        assert torch.allclose(probabilities.sum(dim=(1, 2)), torch.ones(5), atol=1e-5)
        for row, top in enumerate(max_grades[:, scale].clamp_min(0).tolist()):
            assert probabilities[row, top + 1 :].sum() < 1e-6
            assert probabilities[row, :, top + 1 :].sum() < 1e-6


def test_only_paired_models_use_the_other_film() -> None:
    crops, groups, max_grades = some()
    other = crops.clone()
    other[:, 1] = 1 - other[:, 1]
    for pairing, sees in (("single", False), ("paired", True)):
        model = scorer(pairing).eval()  # type: ignore[arg-type]
        one, two = (model(each, groups, max_grades)[0][:, 0].exp().sum(dim=2) for each in (crops, other))
        assert torch.allclose(one, two, atol=1e-6) != sees


def test_raters_are_modelled_while_it_learns_and_the_joint_is_asked_afterwards() -> None:
    crops, groups, max_grades = some()
    model = scorer("coupled", "confusion")
    assert [pair.shape[1] for pair in model(crops, groups, max_grades)] == [2, 2]
    assert [pair.shape[1] for pair in model.eval()(crops, groups, max_grades)] == [1, 1]
    assert float(model.penalty().detach()) == 0.0, "nothing is learnt of them yet"


def test_augmentation_has_its_documented_properties() -> None:
    crops, *_ = some()
    one = augment_pairs(crops, torch.Generator().manual_seed(3))
    assert torch.equal(one, augment_pairs(crops, torch.Generator().manual_seed(3)))
    assert not torch.equal(one, augment_pairs(crops, torch.Generator().manual_seed(4)))
    assert augment_pairs(crops, torch.Generator().manual_seed(3), side=24).shape == (5, 2, 24, 24)


class TestStarting:
    def test_a_scorer_of_another_pairing_gives_its_trunk_and_a_message(self, tmp_path: Path) -> None:
        other = scorer("single")
        save_checkpoint(tmp_path / "model.pt", {"model": other.state_dict()})
        torch.manual_seed(9)
        model = PairScorer((6, 5), 3, pairing="coupled", width=8)
        assert load_matching_weights(model, tmp_path / "model.pt") == ("compare", "changes")
        assert all(torch.equal(a, b) for a, b in zip(model.trunk.parameters(), other.trunk.parameters(), strict=True))

    def test_a_scorer_of_the_same_kind_gives_all_weights(self, tmp_path: Path) -> None:
        other = scorer("coupled", "confusion")
        save_checkpoint(tmp_path / "model.pt", {"model": other.state_dict()})
        assert load_matching_weights(scorer("coupled", "confusion"), tmp_path / "model.pt") == ()

    @pytest.mark.parametrize("state", [{}, {"a": torch.zeros(2)}, {"stem.0.weight": 3}, [1]])
    def test_other_files_are_rejected(self, tmp_path: Path, state: object) -> None:
        save_checkpoint(tmp_path / "model.pt", {"model": state})
        with pytest.raises(TrainError, match="not of"):
            load_matching_weights(scorer("coupled"), tmp_path / "model.pt")


def test_a_norm_alone_is_batch_norm() -> None:
    torch.manual_seed(0)
    ours, torchs = SynchronisedBatchNorm(3), torch.nn.BatchNorm2d(3)
    values = torch.randn(4, 3, 5, 5)
    assert torch.equal(ours(values), torchs(values))
    assert torch.equal(ours.eval()(values), torchs.eval()(values))
