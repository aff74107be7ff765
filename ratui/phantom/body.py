"""What a hand is by nature, the same on every film of a patient: its size, build, age and mineral.

Drawn from the patient's seed alone, so that both time points show the same hand. It holds no damage and no pose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from zlib import crc32

import numpy as np

from ratui.phantom.anatomy import Array
from ratui.phantom.truth import PhantomPatient

__all__ = ["Body", "draw_body", "persistent_rng"]


@dataclass(frozen=True)
class Body:
    """One hand of a patient.

    `scale` 1 is the hand of the tracing; `stout` the width of bones for their length; `stretch` (5, 4) each bone's length;
    `gap` and `cortex` relative to usual; `density` of trabecular bone; `flesh` of soft tissue; `swelling` 0 none;
    `maturity` 1 grown up, less with open growth plates; `sesamoids` (4,) from 0 to 1; `ulna` mm that it is too long.
    """

    scale: float
    stout: float
    stretch: Array
    gap: float
    cortex: float
    density: float
    flesh: float
    swelling: float
    maturity: float
    sesamoids: Array
    ulnar_variance: float
    texture: tuple[float, float]


def draw_body(patient: PhantomPatient, side: Literal["L", "R"]) -> Body:
    """The hand of `side`. The two hands of a patient are alike but for small things."""
    person, hand = np.random.default_rng([patient.seed, 11]), persistent_rng(patient, side)
    grown = patient.age >= 17
    maturity = 1.0 if grown else float(np.clip((patient.age - 4) / 13, 0.15, 0.97))
    scale = float(np.clip(person.normal(0.96, 0.075), 0.76, 1.14)) if grown else 0.56 + 0.38 * maturity
    frail = float(np.clip((patient.age - 45) / 35, 0, 1)) * 0.2 + 0.1 * min(patient.severity, 2.5)
    frail = float(np.clip(frail + person.normal(0.0, 0.12), 0.0, 0.6))
    return Body(
        scale=scale * float(hand.normal(1.0, 0.008)),
        stout=float(np.clip(person.normal(0.98, 0.065), 0.82, 1.16)) * (1.0 if grown else 0.94),
        stretch=np.clip(person.normal(1.0, 0.03, (5, 4)) + hand.normal(0.0, 0.006, (5, 4)), 0.9, 1.1),
        gap=float(np.clip(person.normal(1.0, 0.13), 0.72, 1.38)) * (1.0 if grown else 1.0 + 0.5 * (1 - maturity)),
        cortex=float(np.clip(person.normal(1.0, 0.13), 0.7, 1.3)) * (1 - 0.6 * frail),
        density=float(person.uniform(0.19, 0.30)) * (1 - 0.75 * frail),
        flesh=float(np.clip(person.normal(1.0, 0.12), 0.75, 1.4)),
        swelling=float(hand.random() * min(0.25 + 0.5 * patient.severity, 1.2)) if patient.severity > 0 else 0.0,
        maturity=maturity,
        sesamoids=person.random(4),
        ulnar_variance=float(person.normal(0.0, 1.1)),
        texture=(float(hand.uniform(0, 90)), float(hand.uniform(0, 90))),
    )


def persistent_rng(patient: PhantomPatient, *what: str) -> np.random.Generator:
    """A generator for what is so for good about `patient`, named by `what`: it gives the same at both time points."""
    return np.random.default_rng([patient.seed, crc32("/".join(what).encode())])
