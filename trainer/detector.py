"""The detector: an SSD of the finger joints on one hand, which also tells a joint with a special finding from one without.

It sees one left hand in a square of grey levels and knows nothing of cases or raters; a box's finger is named elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD
from torchvision.ops import nms

from ratui.errors import TrainError
from trainer.identity import Candidate
from trainer.loop import load_checkpoint
from trainer.samples import KINDS, SIDE

__all__ = ["Detection", "JointDetector", "augment_hands", "build_detector", "detect", "load_detector", "targets_of"]

Targets: TypeAlias = list[dict[str, Tensor]]
WIDTHS = (16, 32, 64, 96, 96)
FINDING_WEIGHT = 10.0
"""How many joints without a finding weigh as much as one with it; about three in a hundred have one."""
# Two default boxes a place, 16 and 21 pixels of SIDE: what a PIP and an MCP joint measure there.
_SCALES = [0.051, 0.085]


class Block(nn.Module):
    """A residual block; a stride of 2 halves the map. Norms look at one image only, so that any batch size will do."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.GroupNorm(8, outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.GroupNorm(8, outputs),
        )
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.skip = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = F.relu(self.body(x) + self.skip(x))
        return result


class Pyramid(nn.Module):
    """One map at stride 8 that has also seen strides 16 and 32, where a finger can be told from its neighbour."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d, e = WIDTHS
        self.stem = nn.Sequential(nn.Conv2d(1, a, 5, 2, 2, bias=False), nn.GroupNorm(8, a), nn.ReLU(inplace=True))
        self.down4 = nn.Sequential(nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.GroupNorm(8, b), nn.ReLU(inplace=True))
        self.down8 = nn.Sequential(Block(b, c, 2), Block(c, c))
        self.down16 = Block(c, d, 2)
        self.down32 = Block(d, e, 2)
        self.side8, self.side16, self.side32 = (nn.Conv2d(width, d, 1) for width in (c, d, e))
        self.smooth = nn.Sequential(nn.Conv2d(d, d, 3, 1, 1, bias=False), nn.GroupNorm(8, d), nn.ReLU(inplace=True))
        self.out_channels = [d]

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        eight = self.down8(self.down4(self.stem(x)))
        sixteen = self.down16(eight)
        top = self.side32(self.down32(sixteen))
        top = self.side16(sixteen) + F.interpolate(top, size=sixteen.shape[-2:], mode="nearest")
        top = self.side8(eight) + F.interpolate(top, size=eight.shape[-2:], mode="nearest")
        return {"8": self.smooth(F.relu(top))}


class JointDetector(SSD):  # type: ignore[misc]
    """torchvision's SSD over `Pyramid`. Class 1 + kind is a joint without a finding, 1 + kinds + kind one with it."""

    def __init__(self) -> None:
        boxes = DefaultBoxGenerator([[]], scales=_SCALES, steps=[8])
        super().__init__(
            Pyramid(),
            boxes,
            (SIDE, SIDE),
            1 + 2 * len(KINDS),
            image_mean=[0.35],
            image_std=[0.25],
            iou_thresh=0.45,
            positive_fraction=0.2,
        )

    def compute_loss(
        self, targets: Targets, head_outputs: dict[str, Tensor], anchors: list[Tensor], matched_idxs: list[Tensor]
    ) -> dict[str, Tensor]:
        """SSD's losses, and one more that weighs a finding as much as the many joints without."""
        losses: dict[str, Tensor] = super().compute_loss(targets, head_outputs, anchors, matched_idxs)
        odds, truths = [], []
        for target, logits, matched in zip(targets, head_outputs["cls_logits"], matched_idxs, strict=True):
            on_joint = matched >= 0
            odds.append(finding_odds(logits[on_joint].float()))
            truths.append(target["labels"][matched[on_joint]] > len(KINDS))
        truth = torch.cat(truths).float()
        weight = truth.new_tensor(FINDING_WEIGHT)
        extra = F.binary_cross_entropy_with_logits(torch.cat(odds), truth, pos_weight=weight, reduction="sum")
        losses["classification"] = losses["classification"] + extra / max(len(truth), 1)
        return losses


def finding_odds(logits: Tensor) -> Tensor:
    """The log odds of a finding, whatever the kind, from class logits (..., classes)."""
    plain, special = logits[..., 1 : 1 + len(KINDS)], logits[..., 1 + len(KINDS) :]
    return torch.logsumexp(special, dim=-1) - torch.logsumexp(plain, dim=-1)


def build_detector(weights: Path | None = None) -> JointDetector:
    """A detector to train, from `weights` (a model.pt) where given. Raises TrainError for weights that don't fit."""
    model = JointDetector()
    if weights is not None:
        state = load_checkpoint(weights)["model"]
        try:
            model.load_state_dict(state)
        except (RuntimeError, AttributeError, TypeError) as error:
            raise TrainError("these weights are not of this detector", weights, "Give a detector's model.pt") from error
    return model


def load_detector(folder: Path, device: torch.device) -> JointDetector:
    """The detector that a run left in `folder`, ready to use. Raises TrainError."""
    model: JointDetector = build_detector(folder / "model.pt").to(device).eval()
    return model


def targets_of(boxes: Tensor, findings: Tensor, kinds: Tensor) -> Targets:
    """What SSD wants to know: for each hand its boxes and classes. NaN boxes are left out, NaN findings are none."""
    targets = []
    for box, finding in zip(boxes, findings, strict=True):
        known = torch.isfinite(box).all(dim=1) & ((box[:, 2:] - box[:, :2]) > 1).all(dim=1)
        labels = 1 + kinds + len(KINDS) * (torch.nan_to_num(finding, 0.0) >= 0.5)
        targets.append({"boxes": box[known], "labels": labels[known]})
    return targets


def augment_hands(images: Tensor, boxes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch as another exposure of another pose: (N, 1, S, S) from 0 to 1, boxes (N, J, 4); on the batch's device.

    Boxes stay upright squares: their centres move with the image, their sides with its scale.
    """
    n, device = len(images), images.device

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return (torch.rand(n, *shape, generator=generator) * (high - low) + low).to(device)

    angle, scale = draw(-0.3, 0.3), torch.exp(draw(-0.28, 0.22))
    shift = draw(-0.14, 0.14, 2)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    turn = torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1)
    inverse = torch.linalg.inv(turn)
    theta = torch.cat([inverse, -(inverse @ shift[..., None])], dim=2)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, align_corners=False)
    side = images.shape[-1]
    centre = (boxes[..., :2] + boxes[..., 2:]) / side - 1
    half = (boxes[..., 2:] - boxes[..., :2]) / 2 * scale[:, None, None]
    centre = (centre @ turn.transpose(1, 2) + shift[:, None] + 1) * side / 2
    inside = ((centre > 4) & (centre < side - 4)).all(dim=-1, keepdim=True)
    new = torch.where(inside, torch.cat([centre - half, centre + half], dim=-1).clamp(0, side), torch.nan)
    return _expose(moved, draw), new


def _expose(images: Tensor, draw: Callable[..., Tensor]) -> Tensor:
    """Gamma, contrast, haze towards one side, blur and noise: what differs between two hospitals' films."""
    n, _, side, _ = images.shape
    images = images.clamp(1e-4, 1) ** torch.exp(draw(-0.6, 0.6, 1, 1, 1))
    ramp = torch.linspace(-1, 1, side, device=images.device)
    haze = draw(-0.12, 0.12, 1, 1, 1) * ramp[:, None] + draw(-0.12, 0.12, 1, 1, 1) * ramp
    images = images * draw(0.7, 1.15, 1, 1, 1) + draw(-0.08, 0.12, 1, 1, 1) + haze
    blurred = F.avg_pool2d(images, 3, 1, 1)
    mix = draw(-0.6, 1.0, 1, 1, 1)  # below 0 it sharpens
    images = images + mix * (blurred - images)
    noise = torch.randn(n, 1, side, side, device=images.device)
    return torch.clamp(images + noise * draw(0.0, 0.05, 1, 1, 1), 0, 1)


@dataclass(frozen=True)
class Detection:
    """A joint that was found, and how likely it has a special finding."""

    candidate: Candidate
    finding: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        half = self.candidate.size / 2
        x, y = self.candidate.x, self.candidate.y
        return (x - half, y - half, x + half, y + half)


@torch.inference_mode()
def detect(
    model: JointDetector, images: npt.NDArray[np.uint8], *, threshold: float = 0.3, batch: int = 16
) -> list[list[Detection]]:
    """The joints on each of `images`, (N, SIDE, SIDE) uint8, best first.

    A joint's score is the sum over its classes with and without a finding, so that doubt about the one costs nothing
    at the other. Boxes that overlap by more than 0.4 are one joint.
    """
    device = next(model.parameters()).device
    found: list[list[Detection]] = []
    for start in range(0, len(images), batch):
        part = torch.from_numpy(np.ascontiguousarray(images[start : start + batch])).to(device)
        batched, _ = model.transform(list(part[:, None].float() / 255))
        features = list(model.backbone(batched.tensors).values())
        head = model.head(features)
        anchors = model.anchor_generator(batched, features)
        logits = head["cls_logits"].float()
        for deltas, anchor, logit in zip(head["bbox_regression"].float(), anchors, logits, strict=True):
            found.append(_pick(model.box_coder.decode_single(deltas, anchor).clamp(0, SIDE), logit, threshold))
    return found


def _pick(boxes: Tensor, logits: Tensor, threshold: float) -> list[Detection]:
    scores, finding = logits.softmax(dim=-1), finding_odds(logits).sigmoid()
    plain, special = scores[:, 1 : 1 + len(KINDS)], scores[:, 1 + len(KINDS) :]
    score, kind = (plain + special).max(dim=1)
    keep = score > threshold
    boxes, score, kind, finding = boxes[keep], score[keep], kind[keep], finding[keep]
    picked = nms(boxes, score, 0.4)[:60]
    result = []
    for i in picked.tolist():
        x0, y0, x1, y1 = boxes[i].tolist()
        size = ((x1 - x0) + (y1 - y0)) / 2
        if size > 1:
            candidate = Candidate((x0 + x1) / 2, (y0 + y1) / 2, size, KINDS[int(kind[i])], float(score[i]))
            result.append(Detection(candidate, float(finding[i])))
    return result
