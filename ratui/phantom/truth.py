"""A simulated patient: what is true of every joint at both time points, before any film or rater.

Every truth is one that a rater could enter: grades that the scheme has, findings that fix their scores and don't heal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ratui.scheme import Scheme, Site

__all__ = ["PhantomPatient", "simulate_patient"]

# Chosen so that the mean absolute change of ERO is near 0.35 a joint and about 3 % of the joints have a finding.
_INVOLVED = 0.48
_PROGRESS = 0.52
_ONSET = 0.12
_REPAIR = 0.03
_FINDING = 0.45


@dataclass(frozen=True)
class PhantomPatient:
    """One patient. `grades` are by (site key, scale, time), also those that findings set; `findings` by (site key, time).

    `seed` fixes the anatomy and where in a joint the damage sits, so that both time points show the same hand.
    """

    seed: int
    scheme: Scheme
    severity: float
    grades: Mapping[tuple[str, str, int], int]
    findings: Mapping[tuple[str, int], str]

    def grade(self, site: Site, scale: str, time: int) -> int:
        """The true grade, 0 where the joint has no such scale."""
        return self.grades.get((site.key, scale, time), 0)


def simulate_patient(rng: np.random.Generator, scheme: Scheme, *, severity: float | None = None) -> PhantomPatient:
    """A patient whose disease is drawn from `rng`; `severity` (1 is usual, 0 healthy) is drawn too unless given."""
    how_severe = float(rng.gamma(1.6, 0.62)) if severity is None else severity
    grades: dict[tuple[str, str, int], int] = {}
    findings: dict[tuple[str, int], str] = {}
    for site in scheme.sites:
        damage = _damage(rng, how_severe)
        for time in (0, 1):
            finding = findings.get((site.key, 0)) or _finding(rng, damage[time])
            if finding:
                findings[site.key, time] = finding
            narrowing = 0.75 * damage[time] + damage[2]
            for scale in site.joint.scales:
                top = site.joint.maximum(scale)
                latent = damage[time] if scale == "ERO" else narrowing
                grades[site.key, scale, time] = int(np.clip(round(latent * top / 5), 0, top))
                if finding:
                    score = site.joint.score_of(scheme.finding(finding), scale)
                    grades[site.key, scale, time] = top if score is None else score
    return PhantomPatient(int(rng.integers(2**31)), scheme, how_severe, grades, findings)


def _damage(rng: np.random.Generator, severity: float) -> tuple[float, float, float]:
    """Latent damage at both time points on the scale of ERO, and what JSN has of its own."""
    involved = rng.random() < 1 - np.exp(-_INVOLVED * severity)
    before = float(rng.gamma(2.0, 0.95)) if involved else 0.0
    after = before
    if rng.random() < (_PROGRESS if involved else _ONSET * severity):
        after = before + float(rng.gamma(2.0, 0.75))
    elif involved and rng.random() < _REPAIR / _PROGRESS:
        after = max(0.0, before - float(rng.uniform(0.6, 1.6)))
    return min(before, 5.0), min(after, 5.0), float(rng.normal(0.0, 0.4)) if involved else 0.0


def _finding(rng: np.random.Generator, damage: float) -> str | None:
    if damage < 4.0 or rng.random() > _FINDING * (damage - 3.2):
        return None
    return "ankylosis" if rng.random() < 0.5 else "collapse"
