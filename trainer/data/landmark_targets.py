"""The truth of crops of wrists and feet, from which a landmark network learns. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["LandmarkTargets"]


@dataclass(frozen=True)
class LandmarkTargets:
    """Truth of N crops: `points` (N, S, 2) in pixels of the crop, `sizes` (N,), and `visible` (N, S).

    `sizes` is the logarithm of the hand's size relative to the usual one in such a crop, NaN where unknown. `visible` is 1
    for a site that the crop shows, 0 for one that it does not show, and NaN where that is unknown.
    """

    points: Tensor
    sizes: Tensor
    visible: Tensor
