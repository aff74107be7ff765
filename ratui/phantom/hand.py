"""One hand of a patient at one time point and in one pose, with the values that the layout needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ratui.phantom.anatomy import Array
from ratui.phantom.body import Body, persistent_rng
from ratui.phantom.lesions import JointSpace, draw_joint_space
from ratui.phantom.pose import Pose
from ratui.phantom.truth import PhantomPatient
from ratui.scheme import Site

__all__ = ["Hand"]

_PIVOT = np.array([117.0, 175.0])
_WRIST = np.array([108.0, 240.0])


@dataclass
class Hand:
    """A hand in a pose, with the values that the layout needs."""

    patient: PhantomPatient
    side: Literal["L", "R"]
    time: int
    body: Body
    pose: Pose
    sites: dict[str, Site] = field(init=False)

    def __post_init__(self) -> None:
        self.sites = {site.joint.id: site for site in self.patient.scheme.sites if site.side == self.side}
        c, s = np.cos(self.pose.rotation), np.sin(self.pose.rotation)
        self.film_transform = np.array([[c, -s], [s, c]]) * self.body.scale

    def to_film(self, points: Array) -> Array:
        """Convert points of the tracing (mm) to points of this film (mm), shape (n, 2)."""
        return np.asarray((points - _PIVOT) @ self.film_transform.T)

    def turn_forearm(self, points: Array, share: float = 1.0) -> Array:
        """Rotate points of the tracing about the wrist by `share` of the forearm's deviation."""
        c, s = np.cos(share * self.pose.deviation), np.sin(share * self.pose.deviation)
        return np.asarray((points - _WRIST) @ np.array([[c, s], [-s, c]]) + _WRIST)

    def grade(self, joint: str, scale: str) -> int:
        """Return the true grade of a joint, 0 if the scheme does not score it."""
        site = self.sites.get(joint)
        return self.patient.grade(site, scale, self.time) if site else 0

    def finding(self, joint: str) -> str | None:
        """Return the ID of the true finding of a joint, or None."""
        site = self.sites.get(joint)
        return self.patient.findings.get((site.key, self.time)) if site else None

    def space(self, joint: str) -> JointSpace:
        """Return the state of a joint space; a healthy one if the scheme does not score the joint."""
        site = self.sites.get(joint)
        return draw_joint_space(self.patient, site, self.time) if site else JointSpace(1.0, 0.0, 0.0)

    def persistent_rng(self, *names: str) -> np.random.Generator:
        """Return a generator for a constant property of this hand; see `body.persistent_rng`."""
        return persistent_rng(self.patient, self.side, *names)
