"""Every use of undocumented parts of torchvision: the inside of an SSD and its default boxes.

A new version may change any of them. ``tests/trainer/test_torchvision_internals.py`` tells which one broke.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD

__all__ = [
    "SSD",
    "WRITTEN_FOR",
    "DefaultBoxGenerator",
    "SquareBoxGenerator",
    "count_channels",
    "predict_boxes",
    "sum_losses",
]

WRITTEN_FOR = "torchvision 0.29"
_CPU = torch.device("cpu")


class SquareBoxGenerator(DefaultBoxGenerator):  # type: ignore[misc]
    """Square default boxes at every place of one map, `step` pixels apart.

    `scales` are the sides of the boxes in parts of the image's side.
    """

    def __init__(self, scales: Sequence[float], step: int) -> None:
        super().__init__([[]], scales=list(scales), steps=[step])

    def _generate_wh_pairs(
        self, num_outputs: int, dtype: torch.dtype = torch.float32, device: torch.device = _CPU
    ) -> list[Tensor]:
        return [torch.tensor([[scale, scale] for scale in self.scales], dtype=dtype, device=device)] * num_outputs

    def num_anchors_per_location(self) -> list[int]:
        """Return the number of default boxes at each place of each map."""
        return [len(self.scales)]


def count_channels(ssd: SSD) -> int:
    """Return how many channels an image has for `ssd`."""
    return len(ssd.transform.image_mean)


def sum_losses(ssd: SSD, images: Sequence[Tensor], targets: list[dict[str, Tensor]] | None) -> Tensor:
    """Return the loss of `ssd`, which must be in training, on `images` (channels, rows, columns) with their `targets`."""
    losses: dict[str, Tensor] = ssd(list(images), targets)
    return losses["classification"] + losses["bbox_regression"]


def predict_boxes(ssd: SSD, images: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Return the decoded default boxes (A, 4) and class logits (A, classes) of each image, before any selection.

    `images` are squares (channels, side, side) of one size; boxes are in their pixels and may leave them.
    """
    batch, _ = ssd.transform(list(images))
    features = list(ssd.backbone(batch.tensors).values())
    head = ssd.head(features)
    anchors = ssd.anchor_generator(batch, features)
    scale = images[0].shape[-1] / batch.tensors.shape[-1]
    return [
        (ssd.box_coder.decode_single(deltas.float(), anchor) * scale, logits.float())
        for deltas, anchor, logits in zip(head["bbox_regression"], anchors, head["cls_logits"], strict=True)
    ]
