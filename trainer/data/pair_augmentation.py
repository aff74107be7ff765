"""Augmentation of the crops of a joint on two films: both change together, so that their difference remains."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from trainer.data.joint_styles import STYLE, list_style_ranges, texture_shape, vary_style
from trainer.data.random_draws import Ranges, copy_draws, draw_uniform

__all__ = ["augment_pairs"]

_CHANGES: Ranges = {
    "angle": (-0.25, 0.25, 1),
    "angle_of_film": (-0.06, 0.06, 2),
    "scale": (-0.12, 0.12, 1),
    "scale_of_film": (-0.04, 0.04, 2),
    "shift": (-0.05, 0.05, 1, 2),
    "shift_of_film": (-0.03, 0.03, 2, 2),
    "mirrored": (0, 1, 1),
    **list_style_ranges(1),
    **list_style_ranges(2, suffix="_of_film", is_own=True),
    "noise": (0, 1, 1),
    "noise_of_film": (0, 0.4, 2),
}
"""Random changes of a joint: 1 number for both films, or 2, one for each."""
_NOISE = 0.22
"""Greatest standard deviation of noise in those of the picture, for a number of 1; it grows with the square."""
_OWN_TEXTURE = 0.4
"""Part of the texture that differs between the films of a joint, relative to what they share."""


def augment_pairs(crops: Tensor, generator: torch.Generator, *, side: int | None = None) -> Tensor:
    """Return crops (N, 2, S, S) as other films of the same joints could show them, `side` pixels square (default S).

    Both crops of a joint get one random rotation, scale, shift and reflection, and one random style, each with a small
    deviation of its own, so that the difference of the films remains; and their own noise.
    """
    n, device = len(crops), crops.device
    whole = crops.shape[-1]
    side = side or whole
    draws = draw_uniform(_CHANGES, n, generator)
    # The noise is drawn on the device, because a batch of it takes long to copy to a GPU.
    own = torch.Generator(device).manual_seed(int(torch.randint(2**62, (1,), generator=generator)))
    r = copy_draws(draws, device)
    angle = r["angle"] + r["angle_of_film"]
    scale = torch.exp(r["scale"] + r["scale_of_film"])
    shift = r["shift"] + r["shift_of_film"]
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    flip = torch.where(r["mirrored"] < 0.5, -1.0, 1.0)  # a joint looks much the same in a mirror
    theta = torch.stack(
        [torch.stack([cos * flip, -sin, shift[..., 0]], -1), torch.stack([sin * flip, cos, shift[..., 1]], -1)], -2
    )
    flat = crops.reshape(2 * n, 1, whole, whole)
    grid = F.affine_grid(theta.reshape(2 * n, 2, 3), [2 * n, 1, side, side], align_corners=False)
    moved = F.grid_sample(flat, grid, align_corners=False, padding_mode="border")
    style = {name: (r[name] + r[f"{name}_of_film"]).flatten(0, 1) for name in STYLE}
    grain = torch.randn((n, 3, *texture_shape(side)), generator=own, device=device)
    grain = (grain[:, :1] + _OWN_TEXTURE * grain[:, 1:]).flatten(0, 1)[:, None]
    styled = vary_style(moved, style, grain).reshape(n, 2, side, side)
    noise = torch.randn(styled.shape, generator=own, device=device)
    strength = (r["noise"] ** 2 + r["noise_of_film"] ** 2)[..., None, None] * _NOISE
    return styled.addcmul_(noise, strength * styled.std(dim=(2, 3), keepdim=True))
