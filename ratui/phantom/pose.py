"""The pose of a hand on one film: angles of fingers and forearm, rotation and tilt.

A patient's poses are similar from film to film; the differences are drawn anew for each film.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ratui.phantom.anatomy import FINGERS, Array, Point
from ratui.phantom.body import make_persistent_rng
from ratui.phantom.truth import PhantomPatient

__all__ = ["Pose", "draw_pose"]

_FOREARM = -0.3
"""Usual rotation of the forearm from the tracing, in which the hand deviates to the ulnar side by 0.36 radians."""


@dataclass(frozen=True)
class Pose:
    """The pose of a hand; angles are in radians.

    Attributes
    ----------
    spread
        Rotation of each finger at its MCP joint.
    bend
        Sideways angle of each joint, shape (5, 3).
    flexion
        Angle of each bone out of the film's plane, shape (5, 4).
    rotation, deviation
        Rotation of the hand, and of the forearm relative to it.
    tilt
        Offset of the near faces of the wrist's bones from the far ones, in mm.
    """

    spread: tuple[float, ...]
    bend: Array
    flexion: Array
    rotation: float
    deviation: float
    tilt: Point


def draw_pose(rng: np.random.Generator, patient: PhantomPatient, persistent: np.random.Generator) -> Pose:
    """Draw a pose.

    `persistent` gives the patient's habits and deformities, which increase with severity. `rng` gives the differences
    between films: small variations, and sometimes a completely different placement.
    """
    deformity = float(np.clip(patient.severity - 0.8, 0.0, 1.8))
    drift = (
        -abs(persistent.normal(0.0, 0.17)) * deformity
    )  # ulnar drift, towards the little finger; negative is to the left
    used = [persistent.uniform(0.75, 1.15) if persistent.random() < 0.5 else persistent.uniform(0.2, 0.9)]
    anew = rng.uniform(0.2, 1.15)
    together = float(anew if rng.random() < 0.15 else np.clip(used[0] + rng.normal(0.0, 0.07), 0.15, 1.2))
    spread = []
    for finger in range(1, 6):
        lie = FINGERS[finger][2 if finger > 1 else 1] - FINGERS[finger][1 if finger > 1 else 0]
        angle = float(np.arctan2(lie[0], -lie[1]))
        own = persistent.normal(0.0, 0.045) if finger > 1 else persistent.normal(0.02, 0.19)
        home = angle * (together - 1.0) if finger > 1 else rng.normal(0.0, 0.06)
        spread.append(float(home + own + rng.normal(0.0, 0.025) + drift * persistent.uniform(0.6, 1.3) * (finger > 1)))
    bend = rng.normal(0.0, 0.012, (5, 3)) + persistent.normal(0.0, 0.035 + 0.06 * deformity, (5, 3))
    flexion = np.abs(persistent.normal(0.0, 0.12, (5, 1)) + rng.normal(0.0, 0.04, (5, 1))) * np.array(
        [0.1, 1.0, 1.3, 1.5]
    )
    stiff = np.abs(persistent.normal(0.0, 0.35, (5, 1))) * np.array([0.1, 0.6, 1.0, 1.2])
    if persistent.random() < 0.10:  # a stiff hand that cannot lie flat
        flexion += stiff
    for finger in range(1, 5):
        if persistent.random() < 0.10 * deformity:
            hook = persistent.uniform(0.3, 0.75)
            # Swan neck: the middle bone is extended and the last one flexed. Boutonnière: the reverse.
            flexion[finger] += np.array(
                [0, 0.1, -hook, 0.9 * hook] if persistent.random() < 0.5 else [0, 0.2, hook, -0.2]
            )
    if persistent.random() < 0.18 * deformity:
        flexion[0] += np.array([0, 0.5, -0.4, 0]) * persistent.uniform(0.5, 1.0)  # zigzag deformity of the thumb
    usual = persistent.uniform(-0.7, 0.7) if persistent.random() < 0.06 else persistent.normal(0.0, 0.09)
    rotation = rng.uniform(-0.75, 0.75) if rng.random() < 0.06 else usual + rng.normal(0.0, 0.06)
    usual_deviation = _FOREARM + make_persistent_rng(patient, "forearm").normal(0.0, 0.1)
    deviation = (
        usual_deviation + persistent.normal(0.0, 0.08) + rng.normal(0.0, 0.04) + 0.08 * deformity * persistent.normal()
    )
    tilt = persistent.normal(0.0, 0.40, 2) + rng.normal(0.0, 0.2, 2)
    lifted = np.clip(flexion, -0.9, 1.05)
    return Pose(tuple(spread), bend, lifted, float(rotation), float(deviation), (float(tilt[0]), float(tilt[1])))
