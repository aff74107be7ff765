"""Random styles of pictures of joints: exposure, processing, haze and texture of other machines and other bones.

The simulator draws one idea of bone. A network that learns from it must not rely on the sharpness, the contrast or the
trabeculae of that idea. All work is done on the pictures' device, and nothing waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from trainer.data.random_draws import Ranges

__all__ = ["KNOTS", "STYLE", "list_style_ranges", "texture_shape", "vary_style"]

KNOTS = 4
"""Points of the grid of haze and of gain, in each direction."""
STYLE: Mapping[str, tuple[float, float]] = {
    "gamma": (-0.5, 0.5),
    "fine": (-1.8, 0.8),
    "middle": (-0.7, 0.6),
    "low": (-0.8, 0.2),
    "haze": (-0.7, 0.7),
    "gain": (-0.15, 0.15),
    "texture": (0.0, 1.0),
}
"""Least and largest value of each number of a style. `gamma`, `gain` and the weights of detail are logarithms, `haze` is in
standard deviations of the picture."""
_FIELDS = ("haze", "gain")
_OWN_SHARE = 0.3
"""Part of these ranges in which two pictures of one joint differ."""
_TEXTURE = 0.45
"""Greatest standard deviation of the texture in those of the picture, for a number of 1; it grows with the square."""


def list_style_ranges(*count: int, suffix: str = "", is_own: bool = False) -> Ranges:
    """Return the ranges of the numbers of a style for `count` pictures of a sample.

    With `is_own` they are those by which pictures of one joint differ, for names with `suffix`.
    """
    ranges: dict[str, tuple[float, ...]] = {}
    for name, (low, high) in STYLE.items():
        if is_own:
            half = (high - low) / 2 * _OWN_SHARE
            low, high = -half, half
        ranges[name + suffix] = (low, high, *count, *((KNOTS, KNOTS) if name in _FIELDS else ()))
    return ranges


def texture_shape(side: int) -> tuple[int, int]:
    """Return rows and columns of the noise that becomes the texture of pictures of `side` pixels."""
    return (side + 1) // 2, (side + 1) // 2


def vary_style(pictures: Tensor, style: Mapping[str, Tensor], texture: Tensor) -> Tensor:
    """Return pictures in other styles; their levels may leave 0 to 1.

    Parameters
    ----------
    pictures
        Grey levels from 0 to 1, shape (M, 1, S, S).
    style
        Numbers by the names of `STYLE`, each of shape (M,), or (M, KNOTS, KNOTS) for haze and gain.
    texture
        Normal noise of shape (M, 1, *texture_shape(S)).
    """
    m, side = len(pictures), pictures.shape[-1]

    def one(name: str) -> Tensor:
        return style[name].reshape(m, 1, 1, 1)

    pictures = pictures.clamp(1e-4, 1) ** torch.exp(one("gamma"))
    mean, spread = pictures.mean(dim=(2, 3), keepdim=True), pictures.std(dim=(2, 3), keepdim=True)
    # Isotropic, of two to eight pixels, and stronger in bone than beside it.
    texture = texture * 0.5 + F.avg_pool2d(texture, 3, 1, 1) * 1.5
    grain = F.interpolate(texture, size=(side, side), mode="bilinear")
    pictures = pictures + grain * pictures * (one("texture") ** 2 * _TEXTURE * spread / (mean + 0.02))
    soft = F.avg_pool2d(pictures, 3, 1, 1, count_include_pad=False)
    softer = F.avg_pool2d(soft, (7, 1), 1, (3, 0), count_include_pad=False)
    softer = F.avg_pool2d(softer, (1, 7), 1, (0, 3), count_include_pad=False)
    fine, middle, low = (torch.exp(one(name)) for name in ("fine", "middle", "low"))
    # fine · (pictures − soft) + middle · (soft − softer) + low · (softer − mean) + mean, in few operations.
    varied = torch.addcmul(mean * (1 - low), fine, pictures)
    varied = varied.addcmul_(middle - fine, soft).addcmul_(low - middle, softer)
    gain, haze = (_enlarge(style[name].reshape(m, KNOTS, KNOTS), side) for name in ("gain", "haze"))
    return (varied * torch.exp(gain)).addcmul_(haze, spread)


def _enlarge(knots: Tensor, side: int) -> Tensor:
    """Return a smooth field (M, 1, side, side) through the values at `knots` (M, KNOTS, KNOTS)."""
    one = torch.eye(KNOTS, dtype=knots.dtype, device=knots.device)[None, None]
    weight = F.interpolate(one, size=(side, KNOTS), mode="bicubic", align_corners=True)[0, 0]
    return (weight @ knots @ weight.T)[:, None]
