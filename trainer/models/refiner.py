"""The refiner: a network that sees single joints at three times the SSD's resolution, for their exact box and findings.

It takes crops of one joint each. Fused joints cannot be recognised at the SSD's resolution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ratui.detection.finger_joints import COARSE_SIZE, JOINT_KINDS
from trainer.data.joint_styles import STYLE, list_style_ranges, texture_shape, vary_style
from trainer.data.random_draws import Ranges, copy_draws, draw_noise, draw_uniform
from trainer.models.layers import ResidualBlock, make_group_norm, take_maximum

__all__ = [
    "REFINER_CROP_SIZE",
    "WINDOW",
    "JointCrops",
    "Refiner",
    "RefinerOutput",
    "crop_joints",
    "draw_joint_crops",
    "refiner_loss",
]

REFINER_CROP_SIZE = 80
"""Side of a crop, in pixels."""
WINDOW = 1.5
"""Side of the square that a crop shows, in sides of the joint's box."""
_WIDTHS = (24, 48, 96)
_JOINTS_PER_HAND, _DECOYS_PER_HAND = 4, 2
_SMALL_OFFSET, _LARGE_OFFSET = 0.1, 0.42
"""Largest error of the box in training crops, in sides of the box: as after a first pass, and as the SSD leaves it."""
_FINDING_WEIGHT = 8.0
"""Relative frequency of joints with a finding in training crops; they are rare."""


@dataclass(frozen=True)
class RefinerOutput:
    """Output for M crops.

    Attributes
    ----------
    moves
        Offset (x, y) of the joint's centre from the crop's in sides of the assumed box, and the logarithm of its size
        relative to the assumed one, shape (M, 3).
    finding
        Log odds of a special finding, shape (M,).
    kind
        Logits of the kinds, shape (M, 1 + kinds); the first is "no joint".
    """

    moves: Tensor
    finding: Tensor
    kind: Tensor


class Refiner(nn.Module):
    """The network. It takes crops (M, 1, REFINER_CROP_SIZE, REFINER_CROP_SIZE) from 0 to 1."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c = _WIDTHS
        self.stem = nn.Sequential(nn.Conv2d(1, a, 5, 2, 2, bias=False), make_group_norm(a), nn.ReLU(inplace=True))
        self.trunk = nn.Sequential(
            ResidualBlock(a, a), ResidualBlock(a, b, 2), ResidualBlock(b, c, 2), ResidualBlock(c, c)
        )
        self.place = nn.Sequential(nn.Conv2d(c, 24, 1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(24 * 100, 96))
        self.box = nn.Sequential(nn.ReLU(), nn.Linear(96, 3))
        self.judge = nn.Sequential(nn.Linear(2 * c + 96, 96), nn.ReLU(), nn.Dropout(0.2))
        self.finding = nn.Linear(96, 1)
        self.kind = nn.Linear(96, 1 + len(JOINT_KINDS))

    def forward(self, crops: Tensor) -> RefinerOutput:
        """Return the corrections, findings and kinds of `crops`."""
        maps = self._extract_maps(crops)
        place = self.place(maps)
        judged = self.judge(torch.cat([_pool_maps(maps), place], dim=1))
        return RefinerOutput(self.box(place), self.finding(judged)[:, 0], self.kind(judged))

    def extract_features(self, crops: Tensor) -> Tensor:
        """Return the features (M, F) of `crops`: mean and maximum of each of the trunk's maps."""
        return _pool_maps(self._extract_maps(crops))

    def _extract_maps(self, crops: Tensor) -> Tensor:
        mean, spread = crops.mean(dim=(2, 3), keepdim=True), crops.std(dim=(2, 3), keepdim=True)
        maps: Tensor = self.trunk(self.stem((crops - mean) / (spread + 0.03)))
        return maps


def _pool_maps(maps: Tensor) -> Tensor:
    return torch.cat([maps.mean(dim=(2, 3)), take_maximum(maps)], dim=1)


def crop_joints(images: Tensor, centres: Tensor, sizes: Tensor, turn: Tensor | None = None) -> Tensor:
    """Return crops (N * K, 1, REFINER_CROP_SIZE, REFINER_CROP_SIZE) of K boxes on each image.

    `images` are (N, 1, FINE_SIZE, FINE_SIZE). `centres` (N, K, 2) and `sizes` (N, K) describe the boxes in units of the
    square. `turn` (N, K, 2, 2) rotates or mirrors each crop about its middle.
    """
    n, k = sizes.shape
    step = torch.linspace(
        -1 + 1 / REFINER_CROP_SIZE, 1 - 1 / REFINER_CROP_SIZE, REFINER_CROP_SIZE, device=images.device
    )
    grid = torch.stack([step.repeat(REFINER_CROP_SIZE, 1), step[:, None].repeat(1, REFINER_CROP_SIZE)], dim=-1)
    grid = grid.expand(n, k, REFINER_CROP_SIZE, REFINER_CROP_SIZE, 2)
    if turn is not None:
        grid = torch.einsum("nkhwc,nkdc->nkhwd", grid, turn)
    grid = (centres[:, :, None, None] + grid * (WINDOW / 2 * sizes)[:, :, None, None, None]) * (2 / COARSE_SIZE) - 1
    crops = F.grid_sample(images, grid.reshape(n, k * REFINER_CROP_SIZE, REFINER_CROP_SIZE, 2), align_corners=False)
    return crops.reshape(n * k, 1, REFINER_CROP_SIZE, REFINER_CROP_SIZE)


@dataclass(frozen=True)
class JointCrops:
    """M training crops of single joints with their targets.

    `crops` are (M, 1, REFINER_CROP_SIZE, REFINER_CROP_SIZE), `moves` (M, 3) and `findings` (M,) targets of the refiner with
    NaN where unknown. `kinds` (M,) is 0 for a decoy, 1 + the kind of a joint, and −1 if unknown.
    """

    crops: Tensor
    moves: Tensor
    findings: Tensor
    kinds: Tensor


def draw_joint_crops(
    images: Tensor, boxes: Tensor, findings: Tensor, kinds: Tensor, generator: torch.Generator
) -> JointCrops:
    """Return training crops: some joints of each hand with random errors of the box, and decoys, which show no joint.

    Joints with a finding are drawn more often. `images` are (N, 1, FINE_SIZE, FINE_SIZE) from 0 to 1, `boxes` (N, J, 4) and
    `findings` (N, J) with NaN where unknown, `kinds` (J,).
    """
    n, device = len(images), images.device
    joints = boxes.shape[1]
    k = min(joints, _JOINTS_PER_HAND)
    draws = draw_uniform(_list_ranges(joints, k), n, generator)
    side = REFINER_CROP_SIZE
    noise = draw_noise((n * (k + _DECOYS_PER_HAND), 1, side, side), generator, device)
    texture = draw_noise((n * (k + _DECOYS_PER_HAND), 1, *texture_shape(side)), generator, device)
    last: Ranges = {"noise": (0.0, 1.0, k + _DECOYS_PER_HAND), "inverted": (0, 1, k + _DECOYS_PER_HAND)}
    r = copy_draws({**draws, **draw_uniform(last, n, generator)}, device)
    known = torch.isfinite(boxes).all(dim=2)
    ill = torch.nan_to_num(findings, 0.0) >= 0.5
    # Weighted draws without replacement: the smallest of exponential variables with the weights as rates. Joints without a
    # known box come last.
    order = -torch.log(r["order"]) / torch.where(ill, _FINDING_WEIGHT, 1.0)
    picked = torch.where(known, order, order + 1e6).argsort(dim=1)[:, :_JOINTS_PER_HAND]
    box = boxes.gather(1, picked[..., None].expand(-1, -1, 4))
    there = known.gather(1, picked)
    truth = torch.where(there, findings.gather(1, picked), torch.nan)
    centre, size = (box[..., :2] + box[..., 2:]) / 2, (box[..., 2:] - box[..., :2]).mean(dim=2)
    usual = _median_of_known(size).nan_to_num(20.0)
    centre, size = centre.nan_to_num(COARSE_SIZE / 2), torch.where(there, size, usual)
    near = r["near"] < 0.7
    # Findings are read in the last pass, when the box is accurate. So crops with a large error get no finding to learn.
    truth = torch.where(near, truth, torch.nan)
    wide = torch.where(near, _SMALL_OFFSET, _LARGE_OFFSET)[..., None]
    off, zoom = r["offset"] * wide, torch.exp(r["zoom"] * (wide[..., 0] * 0.7))
    seen = size * zoom
    turn = _make_rotations(r["angle"], r["mirrored"] < 0.5)
    # The offset of the joint's centre from the crop's, in the rotated axes of the crop.
    moves = torch.cat(
        [torch.einsum("nkdc,nkd->nkc", turn[:, :k], -off * size[..., None]) / seen[..., None], -zoom.log()[..., None]],
        2,
    )
    places, decoy_sizes, good = _place_decoys(boxes, usual, r)
    crops = crop_joints(
        images,
        torch.cat([centre + off * size[..., None], places], dim=1),
        torch.cat([seen, decoy_sizes], dim=1),
        turn,
    )
    kind = torch.where(there, kinds[picked] + 1, -1)
    kind = torch.cat([kind, torch.where(good, 0, -1)], dim=1)
    nothing = torch.full((n, _DECOYS_PER_HAND), torch.nan, device=device)
    return JointCrops(
        _vary_exposure(crops, (noise, texture), r),
        torch.cat([torch.where(there[..., None], moves, torch.nan), nothing[..., None].expand(-1, -1, 3)], 1).flatten(
            0, 1
        ),
        torch.cat([truth, nothing], dim=1).flatten(),
        kind.flatten(),
    )


def _list_ranges(joints: int, k: int) -> Ranges:
    """Return the ranges of a hand's random numbers, for `k` crops of its `joints` and for the decoys."""
    decoys = _DECOYS_PER_HAND
    return {
        "order": (1e-6, 1.0, joints),
        "near": (0, 1, k),
        "offset": (-1, 1, k, 2),
        "zoom": (-1, 1, k),
        "angle": (-0.4, 0.4, k + decoys),
        "mirrored": (0, 1, k + decoys),
        "first": (0, 1, decoys, 1),
        "second": (0, 1, decoys, 1),
        "along": (-1.0, 2.0, decoys, 1),
        "anywhere": (0, COARSE_SIZE, decoys, 2),
        "on_line": (0, 1, decoys, 1),
        "decoy_size": (-0.3, 0.3, decoys),
        **list_style_ranges(k + decoys),
    }


def _median_of_known(sizes: Tensor) -> Tensor:
    """Return the median of each row of `sizes` (N, J), as (N, 1): the lower one of two, NaN if all values are NaN.

    `Tensor.nanmedian` gives the same, but refuses to work on a GPU with deterministic algorithms.
    """
    known = torch.isfinite(sizes).sum(dim=1, keepdim=True)
    return sizes.sort(dim=1).values.gather(1, (known - 1).clamp_min(0) // 2)  # NaN comes last


def _make_rotations(angle: Tensor, mirrored: Tensor) -> Tensor:
    c, s, flip = torch.cos(angle), torch.sin(angle), torch.where(mirrored, -1.0, 1.0)
    return torch.stack([torch.stack([c * flip, -s], -1), torch.stack([s * flip, c], -1)], -2)


def _place_decoys(boxes: Tensor, usual: Tensor, r: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Return places (N, D, 2) beside the joints, their sizes, and False where one lies on a joint after all."""
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    one, two = ((r[name] * boxes.shape[1]).long().expand(-1, -1, 2) for name in ("first", "second"))
    a, b = centre.gather(1, one), centre.gather(1, two)
    # The line through two joints passes shafts, finger tips and carpal bones, which resemble joints most.
    along = a + (b - a) * r["along"]
    place = torch.where((r["on_line"] < 0.7) & torch.isfinite(along), along, r["anywhere"])
    size = usual * torch.exp(r["decoy_size"])
    gap = (place[:, :, None] - centre[:, None]).abs().amax(dim=3).nan_to_num(1e6).amin(dim=2)
    inside = ((place > 0) & (place < COARSE_SIZE)).all(dim=2)
    return place, size, (gap > 0.75 * usual) & inside


def _vary_exposure(crops: Tensor, noise: tuple[Tensor, Tensor], r: Mapping[str, Tensor]) -> Tensor:
    """Return the crops in random styles and with noise; 6 % are inverted. `noise` is that, and that of the texture."""
    m = len(crops)
    style = {name: r[name].flatten(0, 1) for name in STYLE}
    crops = vary_style(crops, style, noise[1])
    crops = crops + noise[0] * r["noise"].reshape(m, 1, 1, 1) ** 2 * 0.07
    return torch.where(r["inverted"].reshape(m, 1, 1, 1) < 0.06, 1 - crops, crops)


def refiner_loss(seen: RefinerOutput, joint_crops: JointCrops) -> Tensor:
    """Return the sum of the losses of box, finding and kind, each a mean over the crops whose target is known."""
    # Sums over all crops, with zeros where the target is unknown: a choice of crops would wait for a GPU.
    placed = torch.isfinite(joint_crops.moves).all(dim=1, keepdim=True)
    moves = torch.where(placed, joint_crops.moves, seen.moves.detach().float())
    off = F.smooth_l1_loss(seen.moves.float(), moves, beta=0.05, reduction="sum") / (3 * placed.sum()).clamp_min(1)
    judged = torch.isfinite(joint_crops.findings)
    wrong = F.binary_cross_entropy_with_logits(
        seen.finding.float(), joint_crops.findings.nan_to_num(0.0), reduction="none"
    )
    named = F.cross_entropy(seen.kind.float(), joint_crops.kinds, ignore_index=-1, reduction="sum")
    total: Tensor = 8.0 * off
    total = total + torch.where(judged, wrong, 0.0).sum() / judged.sum().clamp_min(1)
    return total + 0.5 * named / (joint_crops.kinds >= 0).sum().clamp_min(1)
