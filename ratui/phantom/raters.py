"""Simulated raters: people who see the truth through a temper of their own.

What they give could always be entered: grades of the scale, findings that fix their scores and, in order, don't heal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ratui.phantom.truth import PhantomPatient
from ratui.scheme import Site

__all__ = ["RATERS", "SimulatedRater", "SimulatedReading"]


@dataclass(frozen=True)
class SimulatedReading:
    """What a rater gives: `grades` by (site key, scale, time) where no finding sets them, `findings` by (site key, time)."""

    grades: Mapping[tuple[str, str, int], int]
    findings: Mapping[tuple[str, int], str]


@dataclass(frozen=True)
class SimulatedRater:
    """A rater. Standard deviations are in grades of a scale of five.

    `shift` moves both time points of a joint alike, `noise` each field by itself; `threshold` is the rater's leaning over
    the whole study. `missed` and `imagined` are the chances to overlook a finding and to see one in a badly damaged joint.
    """

    shift: float = 0.45
    noise: float = 0.18
    threshold: float = 0.0
    missed: float = 0.03
    imagined: float = 0.02

    def read(self, patient: PhantomPatient, rng: np.random.Generator) -> SimulatedReading:
        """A reading of `patient`."""
        grades: dict[tuple[str, str, int], int] = {}
        findings: dict[tuple[str, int], str] = {}
        for site in patient.scheme.sites:
            for time in (0, 1):
                seen = self._finding(patient, site, time, findings.get((site.key, 0)), rng)
                if seen:
                    findings[site.key, time] = seen
            for scale in site.joint.scales:
                shift = rng.normal(self.threshold, self.shift)
                for time in (0, 1):
                    finding = findings.get((site.key, time))
                    if finding and scale in site.joint.fixed_by(patient.scheme.finding(finding)):
                        continue
                    grades[site.key, scale, time] = self._grade(patient, site, scale, time, shift, rng)
        return SimulatedReading(grades, findings)

    def _grade(
        self, patient: PhantomPatient, site: Site, scale: str, time: int, shift: float, rng: np.random.Generator
    ) -> int:
        truth, top = patient.grade(site, scale, time), site.joint.maximum(scale)
        # A clean joint is called clean by nearly everyone: nobody's leaning makes half a hand erosive.
        sure = 0.35 if truth == 0 else 1.0
        seen = truth + (shift * sure + rng.normal(0.0, self.noise)) * top / 5
        return int(np.clip(round(seen), 0, top))

    def _finding(
        self, patient: PhantomPatient, site: Site, time: int, before: str | None, rng: np.random.Generator
    ) -> str | None:
        true = patient.findings.get((site.key, time))
        lasting = before is not None and not patient.scheme.finding(before).heals
        if true:
            return before if lasting and rng.random() < 0.5 else true if rng.random() > self.missed or lasting else None
        if lasting:
            return before
        worst = patient.grade(site, "ERO", time) == 5
        return "collapse" if worst and rng.random() < self.imagined else None


RATERS: Mapping[str, SimulatedRater] = {
    "shared-shift": SimulatedRater(),
    "independent": SimulatedRater(shift=0.0, noise=0.48),
    "threshold": SimulatedRater(shift=0.15, noise=0.18, threshold=0.35),
    "mixed": SimulatedRater(shift=0.3, noise=0.3, threshold=-0.15),
}
"""Kinds of raters by name, so that no result depends on raters being just what a loss assumes."""
