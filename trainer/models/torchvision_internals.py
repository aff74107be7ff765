"""Every use of undocumented parts of torchvision: the inside of an SSD and its default boxes.

A new version may change any of them. ``tests/trainer/test_torchvision_internals.py`` tells which one broke.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torchvision.models.detection._utils import encode_boxes
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD
from torchvision.ops import box_iou

from trainer.data.device import copy_to_device

__all__ = [
    "SSD",
    "WRITTEN_FOR",
    "BoxDecoder",
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


def sum_losses(ssd: SSD, images: Tensor, boxes: Tensor, labels: Tensor) -> Tensor:
    """Return the loss that `ssd`, which must be in training, computes for a batch: that of the boxes and the classes.

    The result is that of torchvision. But torchvision computes it image by image and waits for a GPU some two hundred times.

    Parameters
    ----------
    ssd
        The detector.
    images
        Squares of one size, shape (N, channels, side, side), from 0 to 1.
    boxes
        True boxes in pixels, shape (N, J, 4); NaN where there is none.
    labels
        Classes of the boxes, shape (N, J).
    """
    transform = ssd.transform
    side = transform.fixed_size[0]
    levels = _find_constants(
        ssd, ("levels", images.device), lambda: torch.tensor([transform.image_mean, transform.image_std])
    )
    mean, spread = (each[:, None, None] for each in levels)
    batch = (images - mean) / spread
    if images.shape[-1] != side:
        batch = F.interpolate(batch, size=(side, side), mode="bilinear", align_corners=False)
    features = list(ssd.backbone(batch).values())
    head = ssd.head(features)
    places = tuple(tuple(each.shape[-2:]) for each in features)
    anchors = _find_constants(
        ssd, ("boxes", images.device, side, *places), lambda: _make_default_boxes(ssd, side, places)
    )
    known = torch.isfinite(boxes).all(dim=2)
    truth = torch.where(known[..., None], boxes, 0.0) * (side / images.shape[-1])
    match = _match_boxes(truth, known, anchors, ssd.proposal_matcher.high_threshold)
    is_matched = match >= 0
    match = match.clamp_min(0)
    wanted = torch.where(is_matched[..., None], truth.gather(1, match[..., None].expand(-1, -1, 4)), anchors)
    weights = _find_constants(ssd, ("weights", images.device), lambda: torch.tensor(ssd.box_coder.weights))
    moves = encode_boxes(wanted.flatten(0, 1), anchors.repeat(len(images), 1), weights).reshape(wanted.shape)
    off = F.smooth_l1_loss(head["bbox_regression"].float(), moves, reduction="none").sum(dim=2)
    classes = torch.where(is_matched, labels.gather(1, match), 0)
    logits = head["cls_logits"].float()
    wrong = F.cross_entropy(logits.flatten(0, 1), classes.flatten(), reduction="none").reshape(classes.shape)
    # Of the default boxes without a joint, only the worst count: some for each box with one.
    others = torch.where(is_matched, -torch.inf, wrong.detach())
    rank = others.argsort(dim=1, descending=True).argsort(dim=1)
    is_counted = is_matched | (rank < ssd.neg_to_pos_ratio * is_matched.sum(dim=1, keepdim=True))
    total = torch.where(is_matched, off, 0.0).sum() + torch.where(is_counted, wrong, 0.0).sum()
    result: Tensor = total / is_matched.sum().clamp_min(1)
    return result


def _find_constants(ssd: SSD, key: tuple[Any, ...], make: Callable[[], Tensor]) -> Tensor:
    """Return the tensor that `make` makes in CPU memory, on the device ``key[1]``; it is made and copied once for `ssd`.

    torchvision makes it from lists of numbers at each step, and a GPU waits for each list.
    """
    known: dict[tuple[Any, ...], Tensor] | None = getattr(ssd, "constants_by_key", None)
    if known is None:
        known = ssd.constants_by_key = {}
    if key not in known:
        known[key] = copy_to_device(make(), key[1])
    return known[key]


def _make_default_boxes(ssd: SSD, side: int, places: Sequence[tuple[int, ...]]) -> Tensor:
    """Return the default boxes (A, 4) in pixels of an image of `side`, for feature maps with `places` (rows, columns)."""
    # In float32, also where the feature maps are bfloat16, in which a pixel is rounded to two.
    maps = [torch.empty(1, 1, *place) for place in places]
    boxes: Tensor = ssd.anchor_generator(ImageList(torch.empty(1, 1, side, side), [(side, side)]), maps)[0]
    return boxes


def _match_boxes(truth: Tensor, known: Tensor, anchors: Tensor, threshold: float) -> Tensor:
    """Return the index of the true box that each default box shows, (N, A), or −1.

    A default box shows the box with the largest IoU, if that reaches `threshold`. The best default box of a true box shows
    that box in any case. `truth` is (N, J, 4), `known` (N, J), `anchors` (A, 4).
    """
    n, joints = known.shape
    iou = box_iou(truth.flatten(0, 1), anchors).reshape(n, joints, -1)
    value, match = torch.where(known[..., None], iou, -1.0).max(dim=1)
    match = torch.where(value >= threshold, match, -1)
    place, number = (torch.arange(count, device=truth.device) for count in (len(anchors), joints))
    is_best = known[..., None] & (iou.argmax(dim=2, keepdim=True) == place)
    forced = torch.where(is_best, number[:, None], -1).amax(dim=1)
    return torch.where(forced >= 0, forced, match)


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


class BoxDecoder(nn.Module):
    """The same as `predict_boxes` for a batch of tensors, without lists of images, so that it can be exported.

    It takes images (N, channels, side, side) from 0 to 1, and returns boxes (N, A, 4) in their pixels and class logits
    (N, A, classes). `side` is fixed.
    """

    anchors: Tensor
    mean: Tensor
    spread: Tensor

    def __init__(self, ssd: SSD, side: int) -> None:
        super().__init__()
        self.ssd = ssd
        transform = ssd.transform
        self.side, self._scale = transform.fixed_size[0], side / transform.fixed_size[0]
        images, _ = transform([torch.zeros(count_channels(ssd), side, side)])
        with torch.no_grad():
            anchors = ssd.anchor_generator(images, list(ssd.backbone(images.tensors).values()))[0]
        self.register_buffer("anchors", anchors)
        self.register_buffer("mean", torch.tensor(transform.image_mean)[:, None, None])
        self.register_buffer("spread", torch.tensor(transform.image_std)[:, None, None])

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes and class logits."""
        batch = (images - self.mean) / self.spread
        if self._scale != 1:
            batch = F.interpolate(batch, size=(self.side, self.side), mode="bilinear", align_corners=False)
        head = self.ssd.head(list(self.ssd.backbone(batch).values()))
        deltas = head["bbox_regression"].float()
        boxes = self.ssd.box_coder.decode_single(deltas.flatten(0, 1), self.anchors.repeat(images.shape[0], 1))
        return boxes.reshape(deltas.shape) * self._scale, head["cls_logits"].float()
