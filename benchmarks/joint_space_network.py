"""Train the network that separates the two bones of a joint: ``python -m benchmarks.joint_space_network FILE [--hands N]``.

It sees simulated joints only. FILE is the network as ONNX, as in ``ratui/imaging/shipped/joint_bones.onnx``. The hands are
other ones than those of `benchmarks.joint_space`. It takes about 15 minutes on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.joint_space_films import JointPair, draw_pair
from ratui.imaging.joint_space_bones import NETWORK_SIDE

_FIRST_HAND = 1_000
_SIDE = 128  # of a stored crop in pixels; it shows 1.9 boxes
_WIDTHS = (8, 16, 24, 32)
_EPOCHS, _BATCH, _RATE = 10, 32, 5e-3


class _Block(nn.Sequential):
    """Two convolutions."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(
            nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(True),
            nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(True),
        )  # fmt: skip


class BoneNetwork(nn.Module):
    """A small U-Net: a crop (N, 1, side, side) from -0.5 to 0.5 gives the logits of both bones, (N, 2, side, side)."""

    def __init__(self) -> None:
        super().__init__()
        w = _WIDTHS
        self.stem = nn.Sequential(
            nn.Conv2d(1, w[0], 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(w[0]), nn.ReLU(True)
        )
        self.down = nn.ModuleList([_Block(w[0], w[0]), _Block(w[0], w[1]), _Block(w[1], w[2]), _Block(w[2], w[3])])
        self.up = nn.ModuleList([_Block(w[3] + w[2], w[2]), _Block(w[2] + w[1], w[1]), _Block(w[1] + w[0], w[0])])
        self.last = nn.Conv2d(w[0], 2, 1)

    def forward(self, crops: Tensor) -> Tensor:
        """Return the logits."""
        maps = [self.down[0](self.stem(crops))]
        for block in self.down[1:]:
            maps.append(block(functional.max_pool2d(maps[-1], 2)))
        result = maps.pop()
        for block in self.up:
            result = block(torch.cat([_double(result), maps.pop()], 1))
        return torch.as_tensor(self.last(_double(result)))


class _Probabilities(nn.Module):
    def __init__(self, network: BoneNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> Tensor:
        return torch.sigmoid(self.network(crops))


def _double(maps: Tensor) -> Tensor:
    return functional.interpolate(maps, scale_factor=2, mode="bilinear", align_corners=False)


def cut(pair: JointPair, film: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return a joint in the middle of a crop (128, 128), and its bones, (2, 128, 128)."""
    picture = pair.crops[film].astype(np.float32)
    factor = _SIDE / max(picture.shape)
    shift = _SIDE / 2 - 0.5 - factor * (pair.centres[film] - 0.5)
    matrix = np.hstack([factor * np.eye(2), shift[:, None]])
    smooth = cv2.GaussianBlur(picture, (0, 0), 0.4 / factor) if factor < 1 else picture
    crop = cv2.warpAffine(smooth, matrix, (_SIDE, _SIDE), borderMode=cv2.BORDER_REFLECT_101)
    # The bones are drawn at half the resolution.
    coarse = np.hstack([2 * factor * np.eye(2), (shift + 0.5 * factor)[:, None]])
    bones = [cv2.warpAffine(each.astype(np.float32), coarse, (_SIDE, _SIDE)) for each in pair.bones[film]]
    return np.asarray(crop, np.float32), np.asarray(np.stack(bones), np.float32)


def normalise(crops: Tensor) -> Tensor:
    """Return crops whose 1st percentile is 0 and whose 99.5th is 1."""
    flat = crops.flatten(1)[:, ::7]
    low, high = (torch.quantile(flat, share, 1)[:, None, None, None] for share in (0.01, 0.995))
    return (crops - low) / (high - low + 1e-6)


def vary(crops: Tensor, bones: Tensor, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return turned, mirrored, shifted and scaled crops with other exposure, blur, shading, texture and noise."""
    count = len(crops)

    def spread(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=draw)

    def cloud(cells: int) -> Tensor:
        return functional.interpolate(
            torch.randn(count, 1, cells, cells, generator=draw), size=NETWORK_SIDE, mode="bicubic"
        )

    angle, scale = (spread(count) - 0.5) * np.radians(50), (1.0 + 0.75 * spread(count)) / 1.9
    x, y = (spread(2, count) - 0.5) * 0.28
    mirror = torch.where(spread(count) < 0.5, 1.0, -1.0)
    c, s = torch.cos(angle) * scale, torch.sin(angle) * scale
    matrix = torch.stack([torch.stack([c * mirror, -s, x], 1), torch.stack([s * mirror, c, y], 1)], 1)
    grid = functional.affine_grid(matrix, [count, 1, NETWORK_SIDE, NETWORK_SIDE], align_corners=False)
    crops = functional.grid_sample(crops, grid, padding_mode="reflection", align_corners=False)
    bones = functional.grid_sample(bones, grid, padding_mode="border", align_corners=False)
    crops = normalise(crops).clamp(1e-3, 1.2) ** torch.exp((spread(count, 1, 1, 1) - 0.5) * 1.4)
    if spread(1).item() < 0.5:
        kernel = torch.exp(-(torch.arange(-4, 5.0) ** 2) / (2 * (0.4 + 1.2 * spread(1)) ** 2))
        kernel = kernel / kernel.sum()
        across, down = kernel.view(1, 1, 1, 9), kernel.view(1, 1, 9, 1)
        crops = functional.conv2d(functional.conv2d(crops, across, padding=(0, 4)), down, padding=(4, 0))
    crops = crops * (1 + cloud(24) * 0.10 * spread(count, 1, 1, 1)) + cloud(4) * 0.18 * spread(count, 1, 1, 1)
    crops = crops + torch.randn(crops.shape, generator=draw) * 0.07 * spread(count, 1, 1, 1)
    return normalise(crops).clamp(0, 1) - 0.5, bones


def train(crops: Tensor, bones: Tensor) -> BoneNetwork:
    """Train the network on crops (N, 1, side, side) and bones (N, 2, side, side)."""
    torch.manual_seed(0)
    draw = torch.Generator().manual_seed(1)
    network = BoneNetwork()
    steps = _EPOCHS * (len(crops) // _BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
    for epoch in range(_EPOCHS):
        losses = []
        order = torch.randperm(len(crops), generator=draw)
        for batch in order[: len(crops) // _BATCH * _BATCH].split(_BATCH):
            shown, truth = vary(crops[batch], bones[batch], draw)
            logits = network(shown)
            found = torch.sigmoid(logits)
            shared, total = (found * truth).sum((2, 3)), found.sum((2, 3)) + truth.sum((2, 3))
            loss = functional.binary_cross_entropy_with_logits(logits, truth)
            loss = loss + 0.5 * (1 - (2 * shared + 1) / (total + 1)).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}", flush=True)
    return network


def main() -> None:
    """Draw the joints, train the network, and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--hands", type=int, default=260)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cuts = [
        cut(pair, film) for hand in range(arguments.hands) for pair in draw_pair(_FIRST_HAND + hand) for film in (0, 1)
    ]
    crops, bones = (torch.tensor(np.stack(each)) for each in zip(*cuts, strict=True))
    network = _Probabilities(train(crops[:, None] / 4095, bones)).eval()
    example = torch.zeros(1, 1, NETWORK_SIDE, NETWORK_SIDE)
    names = {"input_names": ["crop"], "output_names": ["bones"]}
    torch.onnx.export(network, (example,), str(arguments.file), opset_version=13, dynamo=False, **names)


if __name__ == "__main__":
    main()
