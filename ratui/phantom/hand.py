"""One hand of a patient at one time point and in one pose, with the values that the layout needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ratui.phantom.anatomy import Array
from ratui.phantom.limb import Limb
from ratui.phantom.pose import Pose

__all__ = ["Hand"]

_PIVOT = np.array([117.0, 175.0])
_WRIST = np.array([108.0, 240.0])


@dataclass
class Hand(Limb):
    """A hand in a pose, with the values that the layout needs."""

    pose: Pose

    def __post_init__(self) -> None:
        super().__post_init__()
        c, s = np.cos(self.pose.rotation), np.sin(self.pose.rotation)
        self.film_transform = np.array([[c, -s], [s, c]]) * self.body.scale

    def to_film(self, points: Array) -> Array:
        """Convert points of the tracing (mm) to points of this film (mm), shape (n, 2)."""
        return np.asarray((points - _PIVOT) @ self.film_transform.T)

    def turn_forearm(self, points: Array, share: float = 1.0) -> Array:
        """Rotate points of the tracing about the wrist by `share` of the forearm's deviation."""
        c, s = np.cos(share * self.pose.deviation), np.sin(share * self.pose.deviation)
        return np.asarray((points - _WRIST) @ np.array([[c, s], [-s, c]]) + _WRIST)
