"""Augmentation of whole hands: rotation, reflection, scale, exposure and collimation.

All work is done on the batch's device. Random numbers come from the given generator, so that a resumed run draws the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from trainer.data.device import copy_to_device
from trainer.data.hands import COARSE_SIZE, FINE_SIZE

__all__ = ["augment_hands", "downsample", "draw_noise"]

_EXTREME_SHARE = 0.35
"""Share of the hands with a much larger change of scale or rotation than usual. It stands for films of both hands, a
child's hand on a large plate, and hands far from the middle."""


def downsample(images: Tensor) -> Tensor:
    """Return `images` (N, 1, FINE_SIZE, FINE_SIZE) averaged to squares of COARSE_SIZE pixels."""
    return F.avg_pool2d(images, FINE_SIZE // COARSE_SIZE)


def draw_noise(shape: Sequence[int], generator: torch.Generator, device: torch.device) -> Tensor:
    """Return standard normal noise on `device`, determined by `generator`.

    A GPU draws it itself from a seed of `generator`, because a copy of so much noise would take long.
    """
    if device.type != "cpu":
        generator = torch.Generator(device).manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
    return torch.randn(*shape, generator=generator, device=device)


def augment_hands(images: Tensor, boxes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return a batch of hands in random poses and exposures, with their boxes moved along.

    Parameters
    ----------
    images
        Hands, shape (N, 1, COARSE_SIZE, COARSE_SIZE), from 0 to 1, on any device.
    boxes
        Boxes of the joints, shape (N, J, 4), NaN where unknown, on the same device.
    generator
        Source of all random numbers, on the CPU.

    Returns
    -------
    tuple of Tensor
        Images and boxes, shaped as before. Half of the hands are mirrored. Boxes stay upright: their centres move with
        the image, their sides change with its scale. A joint that leaves the image gets the box NaN.
    """
    n, device = len(images), images.device

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return copy_to_device(torch.rand(n, *shape, generator=generator) * (high - low) + low, device)

    far = draw(0, 1) < _EXTREME_SHARE
    angle = torch.where(far, draw(-0.8, 0.8), draw(-0.25, 0.25))
    scale = torch.exp(torch.where(far, draw(-0.9, 0.35), draw(-0.22, 0.2)))
    # A smaller hand can lie farther from the middle. The additional 0.12 lets some hands be cut off by the border.
    shift = draw(-1, 1, 2) * (torch.relu(1 - scale) * 0.75 + 0.12)[:, None]
    flip = torch.where(draw(0, 1) < 0.5, -1.0, 1.0)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    turn = torch.stack([torch.stack([cos * flip, -sin], 1), torch.stack([sin * flip, cos], 1)], 1)
    inverse = torch.linalg.inv(turn)
    theta = torch.cat([inverse, -(inverse @ shift[..., None])], dim=2)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    ground = torch.where(draw(0, 1, 1, 1, 1) < 0.75, 0.0, draw(0, 1, 1, 1, 1))  # grey level outside of the film
    moved = F.grid_sample(images - ground, grid, align_corners=False) + ground
    side = images.shape[-1]
    centre = (boxes[..., :2] + boxes[..., 2:]) / side - 1
    half = (boxes[..., 2:] - boxes[..., :2]) / 2 * scale[:, None, None]
    centre = (centre @ turn.transpose(1, 2) + shift[:, None] + 1) * side / 2
    inside = ((centre > 4) & (centre < side - 4)).all(dim=-1, keepdim=True)
    new = torch.where(inside, torch.cat([centre - half, centre + half], dim=-1).clamp(0, side), torch.nan)
    return _vary_exposure(_collimate(moved, new, draw), draw, generator), new


def _collimate(images: Tensor, boxes: Tensor, draw: Callable[..., Tensor]) -> Tensor:
    """Return the images, about a third of them with collimator borders of one grey level that cover no joint."""
    side = images.shape[-1]
    least = torch.nan_to_num(boxes[..., :2], nan=1e6).amin(dim=1)
    most = torch.nan_to_num(boxes[..., 2:], nan=-1e6).amax(dim=1)
    wide = draw(-0.06, 0.14, 4) * side
    wanted = (draw(0, 1) < 0.35)[:, None]
    low = torch.minimum(torch.where(wanted, wide[:, :2], -1.0), least - 3)
    high = torch.maximum(torch.where(wanted, side - wide[:, 2:], side + 1.0), most + 3)
    at = torch.arange(side, device=images.device) + 0.5
    across = (at > low[:, :1]) & (at < high[:, :1])
    down = (at > low[:, 1:]) & (at < high[:, 1:])
    grey = torch.where(draw(0, 1, 1, 1, 1) < 0.8, draw(0, 0.12, 1, 1, 1), draw(0.7, 1, 1, 1, 1))
    return torch.where((down[:, None, :, None] & across[:, None, None, :]), images, grey)


def _vary_exposure(images: Tensor, draw: Callable[..., Tensor], generator: torch.Generator) -> Tensor:
    """Return the images with random gamma, contrast, haze to one side, blur or sharpening, and noise; 8 % are inverted."""
    n, _, side, _ = images.shape
    images = images.clamp(1e-4, 1) ** torch.exp(draw(-0.7, 0.7, 1, 1, 1))
    ramp = torch.linspace(-1, 1, side, device=images.device)
    haze = draw(-0.12, 0.12, 1, 1, 1) * ramp[:, None] + draw(-0.12, 0.12, 1, 1, 1) * ramp
    images = images * draw(0.55, 1.2, 1, 1, 1) + draw(-0.1, 0.2, 1, 1, 1) + haze
    blurred = F.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
    images = images + draw(-0.7, 1.0, 1, 1, 1) * (blurred - images)  # a negative factor sharpens
    noise = draw_noise((n, 1, side, side), generator, images.device)
    images = torch.clamp(images + noise * draw(0.0, 1.0, 1, 1, 1) ** 2 * 0.07, 0, 1)
    return torch.where(draw(0, 1, 1, 1, 1) < 0.08, 1 - images, images)
