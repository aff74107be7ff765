"""The pose and the deformities of a foot on one film: hallux valgus, splaying, deviated and clawed toes.

Deformities belong to the patient and increase with severity; the differences between films are small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ratui.phantom.anatomy import Array, Point
from ratui.phantom.truth import PhantomPatient

__all__ = ["FootPose", "draw_foot_pose"]

_DEGREE = np.pi / 180


@dataclass(frozen=True)
class FootPose:
    """The pose of a foot; angles are in radians, and sideways angles are positive towards the medial side.

    Attributes
    ----------
    hallux_valgus
        Angle between the first metatarsal and the proximal phalanx of the big toe; positive if the toe points outwards.
    splay
        Additional direction of each metatarsal, shape (5,).
    turn
        Additional sideways angle of each joint from the MTP joint on, shape (5, 3).
    lift
        Angle of each phalanx out of the film's plane, shape (5, 3).
    rotation
        Rotation of the foot.
    tilt
        Offset of the dorsal faces of the tarsal bones from the plantar ones, in mm.
    """

    hallux_valgus: float
    splay: Array
    turn: Array
    lift: Array
    rotation: float
    tilt: Point


def draw_foot_pose(rng: np.random.Generator, patient: PhantomPatient, persistent: np.random.Generator) -> FootPose:
    """Draw a pose. `persistent` gives the patient's deformities, `rng` the differences between films."""
    sick = float(np.clip(patient.severity - 0.4, 0.0, 2.2))
    grown = float(np.clip((patient.age - 8) / 10, 0.0, 1.0))
    valgus = float(persistent.normal(12.0, 4.0))
    bunion = float(persistent.gamma(2.0, 8.0))
    if persistent.random() < grown * (0.16 + 0.26 * sick):
        valgus += bunion
    valgus = float(np.clip(valgus, 3.0, 48.0))
    excess = max(valgus - 15.0, 0.0)
    splay = persistent.normal(0.0, 1.0, 5) + np.array([0.22, 0.0, -0.02, -0.05, -0.11]) * excess
    spread = float(persistent.normal(0.0, 1.2)) + 1.2 * sick * float(persistent.random())
    splay += spread * np.array([0.9, 0.2, -0.2, -0.5, -0.9])
    turn = persistent.normal(0.0, 1.0, (5, 3)) * np.array([4.0, 4.0, 4.0])
    # In rheumatoid arthritis the lesser toes drift outwards; a big toe with valgus pushes them, or lies over or under.
    drift = float(persistent.normal(0.35, 0.6)) * 9.0 * sick
    turn[1:, 0] -= drift * persistent.uniform(0.5, 1.2, 4)
    if persistent.random() < 0.55:
        turn[1:3, 0] -= np.array([0.55, 0.30]) * excess
    turn[1:, 0] = np.clip(turn[1:, 0], -32.0, 20.0)
    turn[0] *= np.array([0.0, 0.8, 0.0])
    # Resting toes: the proximal phalanx points up, the others bend down. Clawed toes do so much more.
    lift = np.array([0.25, -0.25, -0.45]) * persistent.uniform(0.5, 1.4, (5, 1)) + persistent.normal(0.0, 0.06, (5, 3))
    claw = persistent.uniform(0.2, 0.75, 5) * (persistent.random(5) < np.clip(0.05 + 0.16 * sick, 0.0, 0.5))
    if persistent.random() < np.clip(0.03 + 0.10 * sick, 0.0, 0.3):
        claw[1:] = np.maximum(claw[1:], persistent.uniform(0.25, 0.7))
    claw[0] *= 0.5
    lift = lift + claw[:, None] * np.array([1.0, -1.0, -0.7])
    lift[0] = np.array([0.10, -0.05, 0.0]) + claw[0] * np.array([0.6, -1.0, 0.0])
    usual = float(persistent.normal(0.0, 5.0))
    tilt = persistent.normal(0.0, 0.6, 2) + rng.normal(0.0, 0.3, 2) + np.array([0.5, 0.9])
    return FootPose(
        (valgus + float(rng.normal(0.0, 1.0))) * _DEGREE,
        (splay + rng.normal(0.0, 0.3, 5)) * _DEGREE,
        (turn + rng.normal(0.0, 1.5, (5, 3))) * _DEGREE,
        np.clip(lift + rng.normal(0.0, 0.04, (5, 3)), -1.15, 1.05),
        (usual + float(rng.normal(0.0, 4.0)) + (float(rng.uniform(-20, 20)) if rng.random() < 0.06 else 0.0)) * _DEGREE,
        (float(tilt[0]), float(tilt[1])),
    )
