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


@pytest.mark.parametrize("name", sorted(BACKBONES.keys() - {"ssd300-vgg16"}))  # large, and of the same class
def test_the_loss_is_the_one_of_the_ssd_itself(name: str) -> None:
    torch.manual_seed(0)
    ssd = build_ssd(name).train()
    for part in ssd.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    draw = torch.Generator().manual_seed(1)
    images = torch.rand(3, count_channels(ssd), SIDE, SIDE, generator=draw)
    corner = torch.rand(3, 5, 2, generator=draw) * 70
    boxes = torch.cat([corner, corner + 4 + torch.rand(3, 5, 2, generator=draw) * 20], dim=2)
    boxes[0, 1] = boxes[2] = torch.nan  # a joint, and a hand, without a box
    boxes[1, 3] = boxes[1, 2] + 0.1  # two joints with the same best default box
    labels = torch.randint(1, 3, (3, 5), generator=draw)
    known = torch.isfinite(boxes).all(dim=2)
    targets = [
        {"boxes": box[is_known], "labels": label[is_known]}
        for box, label, is_known in zip(boxes, labels, known, strict=True)
    ]
    with relying_on(
        "an SSD in training gives the losses classification and bbox_regression alone", torchvision_internals
    ):
        loss = sum_losses(ssd, images, boxes, labels)
        torch.testing.assert_close(loss, sum(ssd(list(images), targets).values()))
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
