"""Constant properties of a patient's hand: size, build, age and bone density.

They depend on the patient's seed only, so all time points show the same hand. Damage and pose are elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from zlib import crc32

import numpy as np

from ratui.phantom.anatomy import Array
from ratui.phantom.truth import PhantomPatient

__all__ = ["Body", "draw_body", "make_persistent_rng"]


@dataclass(frozen=True)
class Body:
    """Constant properties of one hand of a patient.

    Attributes
    ----------
    scale
        Size relative to the traced hand.
    stout
        Width of the bones relative to their length.
    stretch
        Length of each bone relative to the tracing, shape (5, 4).
    gap, cortex
        Width of joint spaces and thickness of the cortex, relative to the usual.
    density
        Density of trabecular bone.
    flesh, swelling
        Amount of soft tissue relative to the usual, and amount of swelling.
    maturity
        1 for adults; below 1 the growth plates are open.
    sesamoids
        Random numbers from 0 to 1 that decide which sesamoids exist, shape (4,).
    ulnar_variance
        Length of the ulna beyond the usual, mm.
    texture
        Position in the tile of trabeculae, mm.
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
    """Draw the hand of `side`. The two hands of a patient differ only slightly."""
    person, hand = np.random.default_rng([patient.seed, 11]), make_persistent_rng(patient, side)
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
        density=float(person.uniform(0.11, 0.28)) * (1 - 0.75 * frail),
        flesh=float(np.clip(person.normal(1.0, 0.12), 0.75, 1.4)),
        swelling=float(hand.random() * min(0.25 + 0.5 * patient.severity, 1.2)) if patient.severity > 0 else 0.0,
        maturity=maturity,
        sesamoids=person.random(4),
        ulnar_variance=float(person.normal(0.0, 1.1)),
        texture=(float(hand.uniform(0, 90)), float(hand.uniform(0, 90))),
    )


def make_persistent_rng(patient: PhantomPatient, *names: str) -> np.random.Generator:
    """Return a generator for a constant property of `patient`, named by `names`; it is the same at all time points."""
    return np.random.default_rng([patient.seed, crc32("/".join(names).encode())])
