"""Augmentation of crops of wrists and feet: pose, deformation, exposure, style, and what may lie over or beside a limb.

The simulator draws one vendor's idea of bone. Random weights of the bands of detail, haze, blobs and smooth deformations
keep the network from relying on it. Random numbers come from the given generator.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from ratui.detection.heat_maps import INPUT_SIZE
from trainer.data.landmark_targets import LandmarkTargets
from trainer.data.random_draws import Ranges, copy_draws, draw_noise, draw_uniform

__all__ = ["augment_landmarks"]

_NEGATIVE_SHARE = 0.15
"""Share of the crops that are turned by a quarter or more, or mirrored. No site is visible on them."""
_KNOTS = 7
"""Points of the grid of a smooth deformation, in each direction."""
_EDGE = 3.0
"""Distance from the crop's border within which a site does not count as visible, in pixels."""
_DRAWS: Ranges = {
    "negative": (0, 1),
    "turn": (0, 7),
    "far": (0, 1),
    "angle": (-1, 1),
    "scale": (-0.24, 0.24),
    "shift": (-1, 1, 2),
    "knots": (-1, 1, 2, _KNOTS, _KNOTS),
    "deformation": (0, 1, 1, 1, 1),
    "gamma": (-0.7, 0.7, 1, 1, 1),
    "bands": (-1.0, 0.9, 3, 1, 1),
    "haze": (-0.35, 0.35, 1, 4, 4),
    "gain": (-0.4, 0.4, 1, 4, 4),
    "lattice": (0, 1, 1, 1, 1),
    "noise": (0, 1, 1, 1, 1),
    "coarse_noise": (0, 1, 1, 1, 1),
    "cut": (0, 1, 4),
    "cut_depth": (0, 1, 4),
    "cut_level": (0, 1, 1, 1, 1),
    "blobs": (0, 1, 4, 6),
}


def augment_landmarks(
    images: Tensor,
    points: Tensor,
    sizes: Tensor,
    generator: torch.Generator,
    *,
    step: float,
    empty: Tensor | None = None,
) -> tuple[Tensor, LandmarkTargets]:
    """Return crops for the network in random poses and styles, with their targets.

    Parameters
    ----------
    images
        Samples, shape (N, 1, side, side), from 0 to 1, 0 outside of the film. They are upright left sides.
    points
        Centres of the sites in pixels of the samples, shape (N, S, 2), NaN where unknown.
    sizes
        Logarithm of the person's size relative to the usual one, shape (N,), NaN where unknown.
    generator
        Source of all random numbers, on the CPU.
    step
        Usual width of a pixel of the result in pixels of a sample.
    empty
        True for a sample that shows no site, shape (N,); by default none is.
    """
    n, device, side = len(images), images.device, images.shape[-1]
    draws = draw_uniform(_DRAWS, n, generator)
    noise = draw_noise((n, 1, INPUT_SIZE, INPUT_SIZE), generator, device)
    coarse = draw_noise((n, 1, INPUT_SIZE // 4, INPUT_SIZE // 4), generator, device)
    r = copy_draws(draws, device)
    negative = r["negative"] < _NEGATIVE_SHARE
    angle = r["angle"] * torch.where(r["far"] < 0.3, 0.65, 0.28)
    which = r["turn"].long()  # 0 to 2: a quarter turn or more; 3: mirrored; 4 to 6: both
    quarter = torch.where(which < 3, which + 1, torch.where(which == 3, 0, which - 3)).float() * (math.pi / 2)
    angle = angle + torch.where(negative, quarter, 0.0)
    flip = torch.where(negative & (which >= 3), -1.0, 1.0)
    # From pixels of the crop, relative to its middle, to pixels of the sample.
    width = step * torch.exp(-r["scale"])
    cos, sin = torch.cos(angle) * width, torch.sin(angle) * width
    turn = torch.stack([torch.stack([cos * flip, -sin * flip], 1), torch.stack([sin, cos], 1)], 1)
    middle = side / 2 + r["shift"] * 30.0
    bent = _enlarge(r["knots"], INPUT_SIZE)
    bent = bent * (1 + 9 * r["deformation"] ** 2)  # pixels of the crop
    at = torch.arange(INPUT_SIZE, device=device) + 0.5 - INPUT_SIZE / 2
    plain = torch.stack(torch.meshgrid(at, at, indexing="xy"), dim=-1)  # (rows, columns, 2)
    source = (plain + bent.permute(0, 2, 3, 1)) @ turn.transpose(1, 2)[:, None] + middle[:, None, None]
    crops = F.grid_sample(images, source / (side / 2) - 1, align_corners=False)
    placed = _move_points(points, turn, middle, bent)
    inside = ((placed > _EDGE) & (placed < INPUT_SIZE - _EDGE)).all(dim=2)
    crops, cut_away = _cut_edges(_vary_style(crops, noise, coarse, r), placed, r)
    visible = torch.where(torch.isfinite(placed).all(dim=2), (inside & ~cut_away).float(), torch.nan)
    bare = negative & torch.isfinite(points).any(dim=2).any(dim=1)
    if empty is not None:
        bare = bare | empty
    visible = torch.where(bare[:, None], 0.0, visible)
    return crops, LandmarkTargets(placed, torch.where(negative, torch.nan, sizes + r["scale"]), visible)


def _enlarge(knots: Tensor, side: int) -> Tensor:
    """Return a smooth field of `side` cells through the values at `knots`; cubic at an eighth of the resolution."""
    field = F.interpolate(knots, size=side // 8, mode="bicubic", align_corners=True)
    return F.interpolate(field, scale_factor=8.0, mode="bilinear")


def _move_points(points: Tensor, turn: Tensor, middle: Tensor, bent: Tensor) -> Tensor:
    """Return the places in the crop of `points` of the sample: the inverse of the deformation, by iteration."""
    target = (points - middle[:, None]) @ torch.linalg.inv_ex(turn).inverse.transpose(1, 2)
    known = torch.isfinite(target)
    target = target.nan_to_num(0.0)
    place = target
    for _ in range(6):
        grid = (place / (INPUT_SIZE / 2))[:, None]
        shift = F.grid_sample(bent, grid, align_corners=False, padding_mode="border")[:, :, 0].transpose(1, 2)
        place = target - shift
    return torch.where(known, place + INPUT_SIZE / 2, torch.nan)


def _vary_style(crops: Tensor, noise: Tensor, coarse: Tensor, r: dict[str, Tensor]) -> Tensor:
    """Return crops with random gamma, blobs, bands of detail, haze, gain and noise."""
    crops = crops.clamp(1e-4, 1) ** torch.exp(r["gamma"])
    crops = crops + _draw_blobs(crops, r["blobs"])
    fine = F.avg_pool2d(crops, 3, 1, 1, count_include_pad=False)
    middle = F.avg_pool2d(fine, 7, 1, 3, count_include_pad=False)
    low = F.avg_pool2d(F.avg_pool2d(middle, 4), 5, 1, 2, count_include_pad=False)
    low = F.interpolate(low, scale_factor=4.0, mode="bilinear")
    weight = torch.exp(r["bands"])
    lattice = coarse_lattice(coarse) * r["lattice"] ** 2 * 0.07 * crops
    crops = low + weight[:, :1] * (crops - fine) + weight[:, 1:2] * (fine - middle) + weight[:, 2:] * (middle - low)
    gain = _enlarge(r["gain"], crops.shape[-1])
    haze = _enlarge(r["haze"], crops.shape[-1])
    speckle = F.interpolate(coarse, scale_factor=4.0, mode="bilinear") * r["coarse_noise"] ** 3 * 0.08
    crops = (crops + lattice) * torch.exp(gain) + haze + speckle + noise * r["noise"] ** 2 * 0.07
    low_end = torch.quantile(crops.flatten(2)[..., ::17], 0.005, dim=2)[..., None, None]
    high_end = torch.quantile(crops.flatten(2)[..., ::17], 0.998, dim=2)[..., None, None]
    return ((crops - low_end) / (high_end - low_end).clamp_min(1e-3)).clamp(0, 1)


def coarse_lattice(coarse: Tensor) -> Tensor:
    """Return thin bright lines, as of coarse trabeculae, from noise (N, 1, side, side) at a quarter of the resolution."""
    smooth = F.interpolate(coarse, scale_factor=4.0, mode="bicubic")
    return torch.exp(-((smooth / 0.25) ** 2))


def _draw_blobs(crops: Tensor, draws: Tensor) -> Tensor:
    """Return soft bright and dark ellipses, as of overlapping bone, cysts and erosions, three of four in the middle."""
    side = crops.shape[-1]
    at = torch.arange(side, device=crops.device) + 0.5
    x, y, wide, high, level, there = draws.unbind(dim=2)
    x, y = side * (0.2 + 0.6 * x), side * (0.25 + 0.5 * y)
    wide, high = 4 + 20 * wide**2, 4 + 20 * high**2
    across = torch.exp(-(((at - x[..., None]) / wide[..., None]) ** 4))
    down = torch.exp(-(((at - y[..., None]) / high[..., None]) ** 4))
    strength = torch.where(there < 0.45, (level - 0.5) * 0.6, 0.0)
    return torch.einsum("nk,nky,nkx->nyx", strength, down, across)[:, None]


def _cut_edges(crops: Tensor, points: Tensor, r: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Return crops with some borders cut off, as by the film's edge or a collimator, and which sites are cut away."""
    side = crops.shape[-1]
    depth = torch.where(r["cut"] < 0.15, r["cut_depth"] ** 1.5 * 0.33 * side, 0.0)  # left, top, right, bottom
    at = torch.arange(side, device=crops.device) + 0.5
    across = (at > depth[:, :1]) & (at < side - depth[:, 2:3])
    down = (at > depth[:, 1:2]) & (at < side - depth[:, 3:])
    kept = (down[:, :, None] & across[:, None, :])[:, None]
    level = torch.where(r["cut_level"] < 0.8, 0.0, r["cut_level"])
    away = (points < depth[:, None, :2] + 1) | (points > side - depth[:, None, 2:] - 1)
    return torch.where(kept, crops, level), away.any(dim=2)
