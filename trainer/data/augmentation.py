"""Whole hands as other films of other poses: turned, mirrored, nearer or further, otherwise exposed and collimated.

Everything happens on the batch's device and draws from one generator, so that a resumed run sees what an unbroken one would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from trainer.data.hands import COARSE_SIZE, FINE_SIZE

__all__ = ["augment_hands", "downsample", "draw_noise"]

_EXTREME_SHARE = 0.35
"""The share of hands shown much smaller, much larger or much more turned than films have them: both hands on one film, a
child's hand on a large plate, a hand that no one has framed."""


def downsample(images: Tensor) -> Tensor:
    """`images` (N, 1, FINE_SIZE, FINE_SIZE) as squares of COARSE_SIZE pixels."""
    return F.avg_pool2d(images, FINE_SIZE // COARSE_SIZE)


def draw_noise(shape: Sequence[int], generator: torch.Generator, device: torch.device) -> Tensor:
    """Normal noise made on `device`, for there is much of it, but drawn from `generator` like everything else."""
    if device.type != "cpu":
        generator = torch.Generator(device).manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
    return torch.randn(*shape, generator=generator, device=device)


def augment_hands(images: Tensor, boxes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return a batch with random pose and exposure.

    `images` are (N, 1, COARSE_SIZE, COARSE_SIZE) from 0 to 1, `boxes` (N, J, 4); both stay on their device.
    Half of the hands are mirrored. Boxes stay upright squares: their centres move with the image, their sides with its
    scale. A joint that leaves the picture has no box any more.
    """
    n, device = len(images), images.device

    def draw(low: float, high: float, *shape: int) -> Tensor:
        return (torch.rand(n, *shape, generator=generator) * (high - low) + low).to(device)

    far = draw(0, 1) < _EXTREME_SHARE
    angle = torch.where(far, draw(-0.8, 0.8), draw(-0.25, 0.25))
    scale = torch.exp(torch.where(far, draw(-0.9, 0.35), draw(-0.22, 0.2)))
    # As far as the picture leaves room, and a little further: a hand may be cut off.
    shift = draw(-1, 1, 2) * (torch.relu(1 - scale) * 0.75 + 0.12)[:, None]
    flip = torch.where(draw(0, 1) < 0.5, -1.0, 1.0)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    turn = torch.stack([torch.stack([cos * flip, -sin], 1), torch.stack([sin * flip, cos], 1)], 1)
    inverse = torch.linalg.inv(turn)
    theta = torch.cat([inverse, -(inverse @ shift[..., None])], dim=2)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    ground = torch.where(draw(0, 1, 1, 1, 1) < 0.75, 0.0, draw(0, 1, 1, 1, 1))  # what lies beyond the film
    moved = F.grid_sample(images - ground, grid, align_corners=False) + ground
    side = images.shape[-1]
    centre = (boxes[..., :2] + boxes[..., 2:]) / side - 1
    half = (boxes[..., 2:] - boxes[..., :2]) / 2 * scale[:, None, None]
    centre = (centre @ turn.transpose(1, 2) + shift[:, None] + 1) * side / 2
    inside = ((centre > 4) & (centre < side - 4)).all(dim=-1, keepdim=True)
    new = torch.where(inside, torch.cat([centre - half, centre + half], dim=-1).clamp(0, side), torch.nan)
    return _vary_exposure(_collimate(moved, new, draw), draw, generator), new


def _collimate(images: Tensor, boxes: Tensor, draw: Callable[..., Tensor]) -> Tensor:
    """A third of the images with borders of one grey that cover no joint."""
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
    """Gamma, contrast, haze towards one side, blur, noise, and now and then a film taken for its negative."""
    n, _, side, _ = images.shape
    images = images.clamp(1e-4, 1) ** torch.exp(draw(-0.7, 0.7, 1, 1, 1))
    ramp = torch.linspace(-1, 1, side, device=images.device)
    haze = draw(-0.12, 0.12, 1, 1, 1) * ramp[:, None] + draw(-0.12, 0.12, 1, 1, 1) * ramp
    images = images * draw(0.55, 1.2, 1, 1, 1) + draw(-0.1, 0.2, 1, 1, 1) + haze
    blurred = F.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
    images = images + draw(-0.7, 1.0, 1, 1, 1) * (blurred - images)  # below 0 it sharpens
    noise = draw_noise((n, 1, side, side), generator, images.device)
    images = torch.clamp(images + noise * draw(0.0, 1.0, 1, 1, 1) ** 2 * 0.07, 0, 1)
    return torch.where(draw(0, 1, 1, 1, 1) < 0.08, 1 - images, images)
