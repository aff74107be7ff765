"""The joint detector: an SSD finds finger joints on a whole hand; a refiner corrects each box and detects findings.

It knows the kind of a joint, not the finger; `ratui.detection.joint_naming` names the joints. A box is an upright square
around the middle of the joint space, in continuous coordinates: 0 is the outer edge of the first pixel.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torchvision.ops import nms

from ratui.detection.finger_joints import COARSE_SIZE, JOINT_KINDS
from ratui.detection.joint_naming import Candidate
from ratui.detection.joint_network import Detection, Proposals
from ratui.detection.landmark_search import LandmarkPart
from ratui.detection.parts import PARTS, PartName
from ratui.errors import TrainError, clean_text
from trainer.data.augmentation import downsample
from trainer.data.landmark_targets import LandmarkTargets
from trainer.models.backbones import BACKBONES, build_ssd, load_torchvision_weights
from trainer.models.checkpoint_files import load_checkpoint
from trainer.models.landmark_model import LandmarkModel
from trainer.models.landmarks import landmark_loss
from trainer.models.refiner import JointCrops, Refiner, crop_joints, refiner_loss
from trainer.models.torchvision_internals import count_channels, predict_boxes, sum_losses
from trainer.shipped import SHIPPED, SHIPPED_RUN, resolve_run_folder

__all__ = [
    "MAX_CANDIDATES",
    "REFINER_PASSES",
    "JointDetector",
    "RefinedBoxes",
    "build_detector",
    "detect",
    "finding_log_odds",
    "load_detector",
    "make_targets",
    "refine_boxes",
]

Targets: TypeAlias = tuple[Tensor, Tensor]
"""Boxes and classes of joints: see `make_targets`."""
MAX_CANDIDATES = 40
"""Largest number of boxes on an image that the refiner sees."""
REFINER_PASSES = 3
"""Passes of the refiner. Each one crops around the box that the previous one corrected."""


class JointDetector(nn.Module):
    """The network: `ssd` on squares of COARSE_SIZE pixels, and the refiner, `detail`, on crops of squares of FINE_SIZE.

    Class 1 + k of the SSD is kind k. Three buffers are stored with the weights and calibrated after the training:
    `threshold` is the probability above which a finding is reported, and `bias` the logarithm by which boxes come out too
    large, both measured on held-out hands. `habit` describes the sizes of the boxes in the training data within a hand:
    the logarithm of MCP size to PIP size, and the standard deviation of the logarithm of single boxes.

    `wrist` and `foot` place the sites of a wrist and of a foot. They are None for weights of an earlier version, which have
    no such part.
    """

    threshold: Tensor
    bias: Tensor
    habit: Tensor

    def __init__(self, backbone: str = "small", *, parts: Collection[PartName] = tuple(PARTS)) -> None:
        super().__init__()
        self.backbone_name = backbone
        self.ssd = build_ssd(backbone)
        self.detail = Refiner()  # the name in stored checkpoints
        self.register_buffer("threshold", torch.tensor(0.5))
        self.register_buffer("bias", torch.tensor(0.0))
        self.register_buffer("habit", torch.tensor([0.21, 1.0]))
        self.wrist = LandmarkModel("wrist") if "wrist" in parts else None
        self.foot = LandmarkModel("foot") if "foot" in parts else None

    def forward(
        self,
        images: Tensor | None,
        targets: Targets | None,
        joint_crops: JointCrops | None,
        wrists: tuple[Tensor, LandmarkTargets] | None = None,
        feet: tuple[Tensor, LandmarkTargets] | None = None,
    ) -> Tensor:
        """Return the sum of the losses on what is given.

        `images` (N, 1, COARSE_SIZE, COARSE_SIZE) with `targets` are for the SSD, `joint_crops` for the refiner, `wrists` and
        `feet` for the landmark networks.
        """
        losses: list[Tensor] = []
        if joint_crops is not None:
            losses.append(refiner_loss(self.detail(joint_crops.crops), joint_crops))
        if images is not None and targets is not None:
            losses.append(sum_losses(self.ssd, images.expand(-1, count_channels(self.ssd), -1, -1), *targets))
        for part, shown in ((self.wrist, wrists), (self.foot, feet)):
            if part is not None and shown is not None:
                crops, truth = shown
                maps, sizes = part.net(crops)
                losses.append(landmark_loss(maps, sizes, truth))
        return torch.stack(losses).sum()

    def propose_boxes(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return the decoded default boxes (A, 4) and class probabilities (A, classes) of each image.

        `images` are (N, 1, COARSE_SIZE, COARSE_SIZE) from 0 to 1.
        """
        return [
            (boxes.clamp(0, COARSE_SIZE), logits.softmax(dim=-1))
            for boxes, logits in predict_boxes(self.ssd, list(images.expand(-1, count_channels(self.ssd), -1, -1)))
        ]

    @property
    def size_statistics(self) -> tuple[float, float]:
        """The values of `habit`, as `ratui.detection.joint_network.JointNetwork` has them."""
        larger, spread = self.habit.tolist()
        return larger, spread

    def detect(self, squares: npt.NDArray[np.uint8], threshold: float) -> list[list[Detection]]:
        """Return the joints on each square (FINE_SIZE, FINE_SIZE), as the function `detect` does."""
        return detect(self, squares, threshold=threshold)

    @torch.inference_mode()
    def propose(self, squares: npt.NDArray[np.uint8], threshold: float) -> list[Proposals]:
        """Return the boxes to correct on each square, as `ratui.detection.joint_network.JointNetwork` has it."""
        found = self.propose_boxes(downsample(_to_levels(self, squares)))
        selected = [_select_candidates(*each, 0.3 * threshold) for each in found]
        return [Proposals(boxes.cpu().numpy(), kinds.cpu().numpy()) for boxes, kinds in selected]

    @torch.inference_mode()
    def refine(
        self, squares: npt.NDArray[np.uint8], proposals: Sequence[Proposals], threshold: float
    ) -> list[list[Detection]]:
        """Return the joints at the proposed boxes, as `ratui.detection.joint_network.JointNetwork` has it."""
        images = _to_levels(self, squares)
        return [
            _refine(self, image, torch.tensor(each.boxes).to(image), torch.tensor(each.kinds).to(image), threshold)
            for image, each in zip(images, proposals, strict=True)
        ]

    def landmark_part(self, name: PartName) -> LandmarkPart | None:
        """Return a part, as `ratui.detection.joint_network.SiteNetworks` has it."""
        part = self.parts.get(name)
        return None if part is None else part.as_part()

    @property
    def parts(self) -> dict[PartName, LandmarkModel]:
        """The landmark networks by the part of the body that they know."""
        both: dict[PartName, LandmarkModel | None] = {"wrist": self.wrist, "foot": self.foot}
        return {name: part for name, part in both.items() if part is not None}


def build_detector(weights: Path | None = None, backbone: str = "small") -> JointDetector:
    """Return a detector to train, with random weights or from `weights`.

    `weights` are `SHIPPED`, a detector's ``model.pt``, or, for torchvision's backbones, a file of torchvision. Raises
    TrainError if they do not fit.
    """
    if weights is None:
        return JointDetector(backbone)
    if weights == SHIPPED:
        weights = SHIPPED_RUN / "model.pt"
    if backbone != "small" and not _is_own_checkpoint(weights):
        model = JointDetector(backbone)
        load_torchvision_weights(model.ssd, weights)
        return model
    state = load_checkpoint(weights)
    about = state.get("about")
    name = str(about.get("backbone", "small")) if isinstance(about, dict) else "small"
    if name not in BACKBONES:
        raise TrainError(f"these weights are of a backbone {clean_text(name)}", weights, "Give a detector's model.pt")
    if backbone not in ("small", name):
        raise TrainError(
            f"these weights are of the backbone {name}, not of {clean_text(backbone)}", weights, "Give others"
        )
    tensors = state.get("model")
    keys = list(map(str, tensors)) if isinstance(tensors, dict) else []
    model = JointDetector(name, parts=[part for part in PARTS if any(key.startswith(f"{part}.") for key in keys)])
    try:
        model.load_state_dict(state["model"])
    except (RuntimeError, AttributeError, TypeError) as error:
        raise TrainError("these weights are not of this detector", weights, "Give a detector's model.pt") from error
    if not 0 < float(model.threshold) < 1:
        raise TrainError("its threshold of findings is no probability", weights, "Train the detector again")
    return model


def _is_own_checkpoint(path: Path) -> bool:
    try:
        load_checkpoint(path)
    except TrainError:
        return False
    return True


def load_detector(folder: Path, device: torch.device) -> JointDetector:
    """Return the detector of the run in `folder` (or `SHIPPED`), ready to use. Raises TrainError."""
    model: JointDetector = build_detector(resolve_run_folder(folder) / "model.pt").to(device).eval()
    if model.wrist is not None and not model.wrist.has_shape:  # its training had no wrists
        model.wrist = None
    if model.foot is not None and not model.foot.has_shape:
        model.foot = None
    return model


def make_targets(boxes: Tensor, kinds: Tensor) -> Targets:
    """Return the targets of an SSD for N hands: boxes (N, J, 4) and their classes (N, J).

    `boxes` are (N, J, 4), `kinds` (J,). The result is NaN for a box that is unknown or less than a unit wide.
    """
    is_known = torch.isfinite(boxes).all(dim=2) & ((boxes[..., 2:] - boxes[..., :2]) > 1).all(dim=2)
    return torch.where(is_known[..., None], boxes, torch.nan), (1 + kinds).expand(len(boxes), -1)


@torch.inference_mode()
def detect(
    model: JointDetector, images: npt.NDArray[np.uint8], *, threshold: float = 0.3, batch: int = 16
) -> list[list[Detection]]:
    """Return the joints on each image, best first, with boxes in units of the square.

    Parameters
    ----------
    model
        Detector in evaluation mode.
    images
        Whole hands, shape (N, FINE_SIZE, FINE_SIZE), uint8, bone bright.
    threshold
        Least score of a joint: the geometric mean of the probabilities that SSD and refiner give to its kind.
    batch
        Number of images that the network takes at once.

    Returns
    -------
    list of list of Detection
        The joints of each image. Of boxes with an IoU above 0.4 the best remains.
    """
    found: list[list[Detection]] = []
    for start in range(0, len(images), batch):
        part = _to_levels(model, images[start : start + batch])
        for image, (boxes, probabilities) in zip(part, model.propose_boxes(downsample(part)), strict=True):
            found.append(_refine(model, image, *_select_candidates(boxes, probabilities, 0.3 * threshold), threshold))
    return found


def _to_levels(model: JointDetector, squares: npt.NDArray[np.uint8]) -> Tensor:
    """Return squares (N, rows, columns) as (N, 1, rows, columns) from 0 to 1 on the device of the model."""
    return torch.from_numpy(np.array(squares)).to(next(model.parameters()).device)[:, None].float() / 255


def _select_candidates(boxes: Tensor, probabilities: Tensor, min_score: float) -> tuple[Tensor, Tensor]:
    """Return the best boxes, (M, 4), and the probability of each kind, (M, kinds)."""
    kinds = probabilities[:, 1:]
    score = kinds.sum(dim=1)
    keep = score > min_score
    boxes, kinds, score = boxes[keep], kinds[keep], score[keep]
    picked = nms(boxes, score, 0.5)[:MAX_CANDIDATES]
    return boxes[picked], kinds[picked]


@dataclass(frozen=True)
class RefinedBoxes:
    """M joints as the refiner sees them.

    `centres` (M, 2) and `sizes` (M,) are those of their boxes in units of the square, `finding` (M,) the log odds of a
    finding, calibrated so that 0 is the threshold, `kinds` (M, 1 + kinds) the probabilities of no joint and of each kind.
    """

    centres: Tensor
    sizes: Tensor
    finding: Tensor
    kinds: Tensor


def finding_log_odds(model: JointDetector) -> float:
    """Return the log odds of the probability above which `model` reports a finding."""
    return math.log(float(model.threshold) / (1 - float(model.threshold)))


def refine_boxes(model: JointDetector, image: Tensor, boxes: Tensor, against: float) -> RefinedBoxes:
    """Return the corrected `boxes` (M, 4) of joints on `image` (1, FINE_SIZE, FINE_SIZE).

    `against` is the log odds of the threshold of a finding.
    """
    centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).mean(dim=1).clamp_min(2.0)
    # The refiner sees each joint plain and mirrored. The mean of both results is more accurate than either.
    flip = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 1.0]], device=image.device).reshape(2, 1, 2, 2)
    n = boxes.shape[0]  # not `len`: it would fix the number in an exported model
    turn = flip.expand(2, n, 2, 2).reshape(1, 2 * n, 2, 2)
    finding, kind_refined = sizes, boxes
    for _ in range(REFINER_PASSES):
        refined = model.detail(crop_joints(image[None], centres.repeat(2, 1)[None], sizes.repeat(2)[None], turn))
        moves = refined.moves.float().reshape(2, n, 3)
        moves = torch.cat([(moves[..., :1] * flip[:, :, 0, :1]), moves[..., 1:]], dim=2).mean(dim=0)
        finding = refined.finding.float().reshape(2, n).mean(dim=0)
        kind_refined = refined.kind.float().softmax(dim=1).reshape(2, n, -1).mean(dim=0)
        centres = centres + moves[:, :2] * sizes[:, None]
        sizes = sizes * moves[:, 2].clamp(-0.5, 0.5).exp()
    # Shift the log odds so that the threshold becomes a probability of 0.5.
    return RefinedBoxes(centres, sizes * (-model.bias).exp(), finding - against, kind_refined)


def _refine(
    model: JointDetector, image: Tensor, boxes: Tensor, kinds: Tensor, threshold: float
) -> list[Detection]:  # fmt: skip
    if not len(boxes):
        return []
    refined = refine_boxes(model, image, boxes, finding_log_odds(model))
    centres, sizes, finding = refined.centres, refined.sizes, refined.finding.sigmoid()
    agreed = (kinds * refined.kinds[:, 1:]).sqrt()
    score, kind = agreed.max(dim=1)
    keep = (score > threshold) & (sizes > 1)
    square = torch.cat([centres - sizes[:, None] / 2, centres + sizes[:, None] / 2], dim=1)
    return [
        Detection(
            Candidate(
                float(centres[i, 0]), float(centres[i, 1]), float(sizes[i]), JOINT_KINDS[int(kind[i])], float(score[i])
            ),
            float(finding[i]),
        )
        for i in nms(square, torch.where(keep, score, 0.0), 0.4).tolist()
        if keep[i]
    ]
