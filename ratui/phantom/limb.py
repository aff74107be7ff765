"""A hand or foot of a patient at one time point: its grades, findings and constant properties."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ratui.phantom.body import Body, make_persistent_rng
from ratui.phantom.lesions import JointSpace, draw_joint_space
from ratui.phantom.truth import PhantomPatient
from ratui.scheme import Site

__all__ = ["Limb", "compute_surface_density", "find_sideways_shift", "joint_space_width"]


@dataclass
class Limb:
    """A hand or foot, without its pose. `sites` are the patient's sites of its side by joint ID."""

    patient: PhantomPatient
    side: Literal["L", "R"]
    time: int
    body: Body
    sites: dict[str, Site] = field(init=False)

    def __post_init__(self) -> None:
        self.sites = {site.joint.id: site for site in self.patient.scheme.sites if site.side == self.side}

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

    def make_persistent_rng(self, *names: str) -> np.random.Generator:
        """Return a generator for a constant property of this limb; see `body.make_persistent_rng`."""
        return make_persistent_rng(self.patient, self.side, *names)

    def make_patient_rng(self, *names: str) -> np.random.Generator:
        """Return a generator for a constant property of the patient, the same for all limbs."""
        return make_persistent_rng(self.patient, *names)


def joint_space_width(limb: Limb, name: str, usual: float) -> float:
    """Return the width in mm of the space of the joint `name`; below 0 the bones overlap.

    `usual` is the width of a healthy space of this kind of joint in mm, before the size of the limb.
    """
    healthy = usual * limb.body.gap * limb.body.scale
    state = limb.finding(name)
    if state is None:
        return healthy * limb.space(name).remaining
    some = float(limb.make_persistent_rng(name, "gap").random())
    if state == "collapse":
        return -(0.9 + 1.6 * some) * limb.body.scale
    if state == "ankylosis":
        return 0.1 * healthy
    if state == "subluxation":
        return 0.3 * healthy - 1.4 * some * limb.body.scale
    if state == "luxation":
        return -(2.5 + 4.5 * some) * limb.body.scale
    return healthy * limb.space(name).remaining  # a finding of another scheme, which the simulator cannot draw


def find_sideways_shift(limb: Limb, name: str, half_width: float, outwards: float, *, may_slip: bool) -> float:
    """Return the sideways shift in mm of the outer bone of the joint `name`; negative is towards the fifth finger or toe.

    Parameters
    ----------
    limb
        The hand or foot.
    name
        ID of the joint.
    half_width
        Half width of the base of the outer bone in mm, before the size of the limb.
    outwards
        Probability of a shift towards the fifth finger or toe.
    may_slip
        True if a slightly displaced joint may have JSN 3 and no finding.
    """
    state = limb.finding(name)
    # Raters may score a slightly displaced joint with JSN 3 and without a finding.
    little = state is None and may_slip and limb.grade(name, "JSN") == 3
    if state not in ("luxation", "subluxation") and not little:
        return 0.0
    draw = limb.make_persistent_rng(name, "aside")
    towards = -1.0 if draw.random() < outwards else 1.0
    some, width = float(draw.random()), half_width * limb.body.scale
    if state == "luxation":
        return towards * width * (0.95 + 0.5 * some)
    if state == "subluxation":
        return towards * width * (0.48 + 0.3 * some)
    return towards * width * (0.15 + 0.15 * some) if draw.random() < 0.2 else 0.0


def compute_surface_density(limb: Limb, joint: str) -> float:
    """Return the density of a joint surface: 0 in a fused joint, high where cartilage is lost."""
    state = limb.finding(joint)
    if state in ("ankylosis", "collapse"):
        return 0.0 if state == "ankylosis" else 0.35
    usual = float(limb.make_persistent_rng(joint, "plate").uniform(0.65, 1.05))
    return usual + 0.13 * limb.grade(joint, "JSN")
