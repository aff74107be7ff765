"""One foot of a patient at one time point and in one pose, with the values that the layout needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ratui.phantom.anatomy import Array
from ratui.phantom.body import Body, draw_body, make_persistent_rng
from ratui.phantom.foot_pose import FootPose
from ratui.phantom.limb import Limb
from ratui.phantom.truth import PhantomPatient

__all__ = ["Foot", "draw_foot_body"]

_PIVOT = np.array([100.0, 130.0])
_HAND_SCALE = 0.96  # mean scale of an adult hand


@dataclass
class Foot(Limb):
    """A foot in a pose, with the values that the layout needs."""

    pose: FootPose

    def __post_init__(self) -> None:
        super().__post_init__()
        c, s = np.cos(self.pose.rotation), np.sin(self.pose.rotation)
        self.film_transform = np.array([[c, -s], [s, c]]) * self.body.scale
        # A smooth deformation that gives each patient's foot its own shape without closing joint spaces.
        own = make_persistent_rng(self.patient, "foot shape")
        self._waves = own.normal(0.0, 0.9, (2, 2)), own.uniform(0.0, 6.3, (2, 2))

    def to_film(self, points: Array) -> Array:
        """Convert points of the reference foot (mm) to points of this film (mm), shape (n, 2)."""
        size, phase = self._waves
        x, y = points[:, 0:1] / 70.0, points[:, 1:2] / 90.0
        shaped = points + size[0] * np.sin(2 * np.pi * y + phase[0]) + size[1] * np.sin(2 * np.pi * x + phase[1])
        return np.asarray((shaped - _PIVOT) @ self.film_transform.T)


def draw_foot_body(patient: PhantomPatient, side: Literal["L", "R"]) -> Body:
    """Draw the foot of `side`: the patient's build, age and density as in the hand, with lengths and size of its own."""
    body = draw_body(patient, side)
    person, own = make_persistent_rng(patient, "feet"), make_persistent_rng(patient, side, "foot")
    size = float(person.normal(1.0, 0.03)) * float(own.normal(1.0, 0.006)) / _HAND_SCALE
    stretch = person.normal(1.0, 0.028, (5, 4)) + own.normal(0.0, 0.006, (5, 4))
    return replace(
        body,
        scale=body.scale * size,
        stretch=np.clip(stretch, 0.92, 1.08),
        texture=(float(own.uniform(0, 90)), float(own.uniform(0, 90))),
    )
