"""The constitution of a hand: size, build, age and bone density, the same on every film of a patient.

All values are drawn from the seed of the patient, so that both time points show the same hand.
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
    """The constitution of one hand.

    `scale` is the size relative to the tracing; `stout` the width of bones relative to their length; `stretch` (5, 4) the
    length of each bone. `gap` and `cortex` are relative to the usual joint space and cortex; `density` is that of
    trabecular bone; `flesh` that of soft tissue; `swelling` is 0 for none. `maturity` is 1 in adults and lower with open
    growth plates. `sesamoids` (4,) are from 0 to 1. `ulna` is the ulnar variance in mm.
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
    """Return the constitution of the hand of `side`. Both hands of a patient differ in details only."""
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
    """Return a generator for a lasting property of `patient`, named by `what`: the same at both time points."""
    return np.random.default_rng([patient.seed, crc32("/".join(what).encode())])
