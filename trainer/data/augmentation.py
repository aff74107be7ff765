"""Augmentation of whole hands: rotation, reflection, scale, exposure and collimation.

All work is done on the batch's device. Random numbers come from the given generator, so that a resumed run draws the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ratui.detection.finger_joints import COARSE_SIZE, FINE_SIZE
from trainer.data.random_draws import Ranges, copy_draws, draw_noise, draw_uniform

__all__ = ["augment_hands", "downsample"]

_EXTREME_SHARE = 0.35
"""Share of the hands with a much larger change of scale or rotation than usual. It stands for films of both hands, a
child's hand on a large plate, and hands far from the middle."""


def downsample(images: Tensor) -> Tensor:
    """Return `images` (N, 1, FINE_SIZE, FINE_SIZE) averaged to squares of COARSE_SIZE pixels."""
    return F.avg_pool2d(images, FINE_SIZE // COARSE_SIZE)


_POSE: Ranges = {
    "far": (0, 1),
    "far_angle": (-0.8, 0.8),
    "angle": (-0.25, 0.25),
    "far_scale": (-0.9, 0.35),
    "scale": (-0.22, 0.2),
    "shift": (-1, 1, 2),
    "mirrored": (0, 1),
    "black_ground": (0, 1, 1, 1, 1),
    "ground": (0, 1, 1, 1, 1),
}
_BORDERS: Ranges = {
    "border": (-0.06, 0.14, 4),
    "collimated": (0, 1),
    "dark_border": (0, 1, 1, 1, 1),
    "dark": (0, 0.12, 1, 1, 1),
    "bright": (0.7, 1, 1, 1, 1),
}
_EXPOSURE: Ranges = {
    "gamma": (-0.7, 0.7, 1, 1, 1),
    "haze_down": (-0.12, 0.12, 1, 1, 1),
    "haze_across": (-0.12, 0.12, 1, 1, 1),
    "contrast": (0.55, 1.2, 1, 1, 1),
    "brightness": (-0.1, 0.2, 1, 1, 1),
    "blur": (-0.7, 1.0, 1, 1, 1),
}
_NOISE: Ranges = {"noise": (0.0, 1.0, 1, 1, 1), "inverted": (0, 1, 1, 1, 1)}


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
    draws = draw_uniform({**_POSE, **_BORDERS, **_EXPOSURE}, n, generator)
    noise = draw_noise((n, 1, *images.shape[2:]), generator, device)
    r = copy_draws({**draws, **draw_uniform(_NOISE, n, generator)}, device)
    far = r["far"] < _EXTREME_SHARE
    angle = torch.where(far, r["far_angle"], r["angle"])
    scale = torch.exp(torch.where(far, r["far_scale"], r["scale"]))
    # A smaller hand can lie farther from the middle. The additional 0.12 lets some hands be cut off by the border.
    shift = r["shift"] * (torch.relu(1 - scale) * 0.75 + 0.12)[:, None]
    flip = torch.where(r["mirrored"] < 0.5, -1.0, 1.0)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    turn = torch.stack([torch.stack([cos * flip, -sin], 1), torch.stack([sin * flip, cos], 1)], 1)
    # Not `inv`: it waits for a GPU, to check that the matrix has an inverse.
    inverse = torch.linalg.inv_ex(turn).inverse
    theta = torch.cat([inverse, -(inverse @ shift[..., None])], dim=2)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    ground = torch.where(r["black_ground"] < 0.75, 0.0, r["ground"])  # grey level outside of the film
    moved = F.grid_sample(images - ground, grid, align_corners=False) + ground
    side = images.shape[-1]
    centre = (boxes[..., :2] + boxes[..., 2:]) / side - 1
    half = (boxes[..., 2:] - boxes[..., :2]) / 2 * scale[:, None, None]
    centre = (centre @ turn.transpose(1, 2) + shift[:, None] + 1) * side / 2
    inside = ((centre > 4) & (centre < side - 4)).all(dim=-1, keepdim=True)
    new = torch.where(inside, torch.cat([centre - half, centre + half], dim=-1).clamp(0, side), torch.nan)
    return _vary_exposure(_collimate(moved, new, r), noise, r), new


def _collimate(images: Tensor, boxes: Tensor, r: Mapping[str, Tensor]) -> Tensor:
    """Return the images, about a third of them with collimator borders of one grey level that cover no joint."""
    side = images.shape[-1]
    least = torch.nan_to_num(boxes[..., :2], nan=1e6).amin(dim=1)
    most = torch.nan_to_num(boxes[..., 2:], nan=-1e6).amax(dim=1)
    wide = r["border"] * side
    wanted = (r["collimated"] < 0.35)[:, None]
    low = torch.minimum(torch.where(wanted, wide[:, :2], -1.0), least - 3)
    high = torch.maximum(torch.where(wanted, side - wide[:, 2:], side + 1.0), most + 3)
    at = torch.arange(side, device=images.device) + 0.5
    across = (at > low[:, :1]) & (at < high[:, :1])
    down = (at > low[:, 1:]) & (at < high[:, 1:])
    grey = torch.where(r["dark_border"] < 0.8, r["dark"], r["bright"])
    return torch.where((down[:, None, :, None] & across[:, None, None, :]), images, grey)


def _vary_exposure(images: Tensor, noise: Tensor, r: Mapping[str, Tensor]) -> Tensor:
    """Return the images with random gamma, contrast, haze to one side, blur or sharpening, and noise; 8 % are inverted."""
    images = images.clamp(1e-4, 1) ** torch.exp(r["gamma"])
    ramp = torch.linspace(-1, 1, images.shape[-1], device=images.device)
    haze = r["haze_down"] * ramp[:, None] + r["haze_across"] * ramp
    images = images * r["contrast"] + r["brightness"] + haze
    blurred = F.avg_pool2d(images, 3, 1, 1, count_include_pad=False)
    images = images + r["blur"] * (blurred - images)  # a negative factor sharpens
    images = torch.clamp(images + noise * r["noise"] ** 2 * 0.07, 0, 1)
    return torch.where(r["inverted"] < 0.08, 1 - images, images)
