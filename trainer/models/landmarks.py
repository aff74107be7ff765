"""The landmark network: one heat map for each site of a wrist, on an upright crop of a left hand.

It sees `INPUT_SIZE` pixels of `INPUT_STEP` mm and normalises them locally, so that exposure and vendor matter little. The
heat maps are logits. With a further cell of logit 0 for "not here", each map is a distribution over the places of its site.
All layers export to ONNX as plain operators.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from ratui.detection.heat_maps import INPUT_SIZE, INPUT_STEP, MAP_STRIDE
from trainer.data.landmark_targets import LandmarkTargets
from trainer.models.layers import ResidualBlock, make_group_norm

__all__ = ["INPUT_SIZE", "INPUT_STEP", "MAP_STRIDE", "LandmarkNet", "landmark_loss"]

_WIDTHS = (16, 24, 48, 80)
_BLOCK, _WINDOW = 8, 7
"""Local contrast is measured in windows of `_WINDOW` blocks of `_BLOCK` pixels: 28 mm."""
_SPREAD = 0.8
"""Standard deviation of the target distribution around a site, in cells of the map."""
_SIZE_WEIGHT = 4.0


class LandmarkNet(nn.Module):
    """The network. It takes crops (N, 1, side, side) from 0 to 1; `side` is `INPUT_SIZE`, or another multiple of 32."""

    def __init__(self, sites: int) -> None:
        super().__init__()
        a, b, c, d = _WIDTHS
        self.stem = nn.Sequential(nn.Conv2d(1, a, 5, 2, 2, bias=False), make_group_norm(a), nn.ReLU(inplace=True))
        self.down2 = nn.Sequential(ResidualBlock(a, b, 2), ResidualBlock(b, b))
        self.down3 = nn.Sequential(ResidualBlock(b, c, 2), ResidualBlock(c, c))
        self.down4 = nn.Sequential(ResidualBlock(c, d, 2), ResidualBlock(d, d))
        self.down5 = nn.Sequential(ResidualBlock(d, d, 2), ResidualBlock(d, d))
        self.up4, self.up3, self.up2 = _Up(d, d), _Up(d, c), _Up(c, b)
        self.maps = nn.Sequential(
            nn.Conv2d(b, b, 3, 1, 1, bias=False), make_group_norm(b), nn.ReLU(inplace=True), nn.Conv2d(b, sites, 1)
        )
        self.size = nn.Sequential(nn.Linear(2 * d, 32), nn.ReLU(), nn.Linear(32, 1))
        last = self.maps[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        nn.init.constant_(
            last.bias, -math.log((INPUT_SIZE // MAP_STRIDE) ** 2)
        )  # the sum of all cells equals "not here"

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """Return the heat maps (N, S, side / 4, side / 4) and the logarithm of the hand's relative size (N,)."""
        second = self.down2(self.stem(normalise_locally(crops)))
        third = self.down3(second)
        fourth = self.down4(third)
        fifth = self.down5(fourth)
        fourth_up = self.up4(fifth, fourth)
        pooled = torch.cat([fourth_up.mean(dim=(2, 3)), fifth.mean(dim=(2, 3))], dim=1)
        maps = self.maps(self.up2(self.up3(fourth_up, third), second))
        return maps, self.size(pooled)[:, 0]


class _Up(nn.Module):
    """Doubles a coarse map and adds a finer one to it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(inputs, outputs, 1)
        self.block = nn.Sequential(
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), make_group_norm(outputs), nn.ReLU(inplace=True)
        )

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        added = F.interpolate(self.narrow(coarse), scale_factor=2.0, mode="nearest") + fine
        result: Tensor = self.block(added)
        return result


def normalise_locally(crops: Tensor) -> Tensor:
    """Return `crops` (N, 1, side, side) minus the local mean, divided by the local standard deviation."""
    blocks = F.avg_pool2d(crops, _BLOCK)
    squares = F.avg_pool2d(crops * crops, _BLOCK)
    pad = _WINDOW // 2
    mean = F.avg_pool2d(blocks, _WINDOW, 1, pad, count_include_pad=False)
    square = F.avg_pool2d(squares, _WINDOW, 1, pad, count_include_pad=False)
    spread = torch.sqrt(torch.relu(square - mean * mean) + 4e-4)
    local = F.interpolate(torch.cat([mean, spread], dim=1), scale_factor=float(_BLOCK), mode="bilinear")
    return torch.clamp((crops - local[:, :1]) / local[:, 1:], -4.0, 4.0)


def landmark_loss(maps: Tensor, sizes: Tensor, targets: LandmarkTargets) -> Tensor:
    """Return the cross entropy of the heat maps, a mean over the known sites, plus the loss of the size."""
    n, sites, rows, columns = maps.shape
    at = (torch.arange(columns, device=maps.device) + 0.5) * MAP_STRIDE
    off = (at - targets.points[..., None]) / (_SPREAD * MAP_STRIDE)  # (N, S, 2, side)
    weight = torch.exp(-0.5 * off.nan_to_num(1e3).clamp(-1e3, 1e3) ** 2)
    weight = weight / weight.sum(dim=3, keepdim=True).clamp_min(1e-6)
    flat = maps.float().reshape(n, sites, rows * columns)
    whole = torch.logaddexp(torch.logsumexp(flat, dim=2), torch.zeros((), device=maps.device))
    # The mean of the logits over the target distribution, which is a product of one along x and one along y.
    mean = torch.einsum("nsyx,nsy,nsx->ns", maps.float(), weight[:, :, 1], weight[:, :, 0])
    known, seen = torch.isfinite(targets.visible), targets.visible.nan_to_num(0.0)
    per_site = whole - seen * mean
    total = torch.where(known, per_site, 0.0).sum() / known.sum().clamp_min(1)
    sized = torch.isfinite(targets.sizes)
    off_size = F.smooth_l1_loss(sizes.float(), targets.sizes.nan_to_num(0.0), beta=0.05, reduction="none")
    return total + _SIZE_WEIGHT * torch.where(sized, off_size, 0.0).sum() / sized.sum().clamp_min(1)
