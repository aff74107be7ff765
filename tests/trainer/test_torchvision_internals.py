"""Undocumented behaviour of torchvision that the trainer relies on."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="pip install 'ratui[train]'")

from torchvision.models.detection.image_list import ImageList  # noqa: E402

from tests.internals import relying_on  # noqa: E402
from trainer.models import torchvision_internals  # noqa: E402
from trainer.models.backbones import BACKBONES, build_ssd  # noqa: E402
from trainer.models.torchvision_internals import (  # noqa: E402
    SquareBoxGenerator,
    count_channels,
    predict_boxes,
    sum_losses,
)

SIDE = 96


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_the_best_boxes_are_those_of_the_ssd_itself(name: str) -> None:
    torch.manual_seed(0)
    ssd = build_ssd(name).eval()
    images = list(torch.rand(2, count_channels(ssd), SIDE, SIDE))
    with (
        torch.no_grad(),
        relying_on(
            "an SSD's transform, backbone, head, default boxes and decoder make its boxes", torchvision_internals
        ),
    ):
        found = predict_boxes(ssd, images)
        assert len(found) == len(images)
        for (boxes, logits), expected in zip(found, ssd(images), strict=True):
            best = int(expected["scores"].argmax())
            score, label = expected["scores"][best], expected["labels"][best]
            mine = logits.softmax(dim=1)[:, label]
            place = int((boxes.clamp(0, SIDE) - expected["boxes"][best]).abs().sum(dim=1).argmin())
            torch.testing.assert_close(boxes[place].clamp(0, SIDE), expected["boxes"][best], atol=1e-3, rtol=0)
            torch.testing.assert_close(mine[place], score)


def test_the_loss_is_the_sum_of_what_the_ssd_gives() -> None:
    torch.manual_seed(0)
    ssd = build_ssd("small").train()
    images = list(torch.rand(2, 1, SIDE, SIDE))
    targets = [{"boxes": torch.tensor([[10.0, 10.0, 30.0, 30.0]]), "labels": torch.tensor([1])}] * 2
    with relying_on(
        "an SSD in training gives the losses classification and bbox_regression alone", torchvision_internals
    ):
        loss = sum_losses(ssd, images, targets)
        torch.testing.assert_close(loss, sum(ssd(images, targets).values()))
        loss.backward()
        assert all(torch.isfinite(each.grad).all() for each in ssd.parameters() if each.grad is not None)


def test_default_boxes_are_squares_of_the_given_sides_around_every_place() -> None:
    with relying_on("DefaultBoxGenerator takes the sides from `_generate_wh_pairs`", torchvision_internals):
        boxes = SquareBoxGenerator([0.25, 0.5], step=8)
        assert boxes.num_anchors_per_location() == [2]
        images = ImageList(torch.zeros(1, 1, 16, 16), [(16, 16)])
        (found,) = boxes(images, [torch.zeros(1, 4, 2, 2)])
        middles, sides = (found[:, :2] + found[:, 2:]) / 2, found[:, 2:] - found[:, :2]
        assert sorted(map(tuple, sides.tolist())) == [(4.0, 4.0)] * 4 + [(8.0, 8.0)] * 4
        assert {tuple(each) for each in middles.tolist()} == {(4.0, 4.0), (12.0, 4.0), (4.0, 12.0), (12.0, 12.0)}
