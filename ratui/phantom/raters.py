"""Simulated raters, who see the truth with errors of their own.

All their readings are valid: grades exist on the scale, findings fix their scores, and findings that cannot heal
persist.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ratui.imaging import Box
from ratui.phantom.truth import PhantomPatient
from ratui.scheme import Site

__all__ = ["RATERS", "MixedRater", "Rater", "SimulatedRater", "SimulatedReading", "perturb_box"]


@dataclass(frozen=True)
class SimulatedReading:
    """A reading of a simulated rater.

    `grades` are by (site key, scale, time) for fields whose score no finding fixes; `findings` are by (site key, time).
    """

    grades: Mapping[tuple[str, str, int], int]
    findings: Mapping[tuple[str, int], str]


class Rater(Protocol):
    """A simulated rater."""

    def read(
        self, patient: PhantomPatient, rng: np.random.Generator, *, day_fraction: float | None = None
    ) -> SimulatedReading:  # fmt: skip
        """Return a reading of `patient`; parameters as for `SimulatedRater.read`."""
        ...


@dataclass(frozen=True)
class SimulatedRater:
    """A rater with normally distributed errors. Values are in grades of a scale from 0 to 5.

    Attributes
    ----------
    shift
        Standard deviation of an error that all time points of a joint share, drawn for each joint and scale.
    noise
        Standard deviation of the error of each field.
    threshold
        Bias over the whole study.
    border_shifts
        Shifts of the borders between grades. The last one applies to all higher grades, so that scales of any length
        can be read.
    drift
        Increase of the bias from the first to the last case of a day, centred on 0.
    slip_rate
        Probability that a field gets any other grade, as with a wrong key.
    clean_factor
        Factor of bias and shared error in joints without damage, on which nearly all raters agree.
    miss_rate, false_finding_rate
        Probabilities of missing a finding, and of seeing one in a badly damaged joint.
    """

    shift: float = 0.45
    noise: float = 0.18
    threshold: float = 0.0
    border_shifts: tuple[float, ...] = ()
    drift: float = 0.0
    slip_rate: float = 0.0
    clean_factor: float = 0.35
    miss_rate: float = 0.03
    false_finding_rate: float = 0.02

    def read(
        self, patient: PhantomPatient, rng: np.random.Generator, *, day_fraction: float | None = None
    ) -> SimulatedReading:  # fmt: skip
        """Return a reading of `patient`.

        `day_fraction` is the elapsed part of the rater's day, from 0 to 1; it is drawn if None.
        """
        when = float(rng.random()) if day_fraction is None else day_fraction
        bias = self.threshold + self.drift * (when - 0.5)
        grades: dict[tuple[str, str, int], int] = {}
        findings: dict[tuple[str, int], str] = {}
        for site in patient.scheme.sites:
            self.read_site(patient, site, bias, rng, grades, findings)
        return SimulatedReading(grades, findings)

    def read_site(
        self,
        patient: PhantomPatient,
        site: Site,
        bias: float,
        rng: np.random.Generator,
        grades: dict[tuple[str, str, int], int],
        findings: dict[tuple[str, int], str],
    ) -> None:
        """Add the reading of one site to `grades` and `findings`; `bias` is in grades."""
        for time in range(patient.visits):
            seen = self._finding(patient, site, time, findings.get((site.key, time - 1)), rng)
            if seen:
                findings[site.key, time] = seen
        for scale in site.joint.scales:
            shift = rng.normal(bias, self.shift)
            for time in range(patient.visits):
                finding = findings.get((site.key, time))
                if finding and scale in site.joint.scales_fixed_by(patient.scheme.finding(finding)):
                    continue
                grades[site.key, scale, time] = self._grade(patient, site, scale, time, shift, rng)

    def _grade(
        self, patient: PhantomPatient, site: Site, scale: str, time: int, shift: float, rng: np.random.Generator
    ) -> int:
        truth, top = patient.grade(site, scale, time), site.joint.max_grade(scale)
        if self.slip_rate and rng.random() < self.slip_rate:
            return (truth + int(rng.integers(1, top + 1))) % (top + 1)
        seen = truth + (shift * (self.clean_factor if truth == 0 else 1.0) + rng.normal(0.0, self.noise)) * top / 5
        borders = np.arange(top) + 0.5
        if self.border_shifts:
            own = np.asarray([self.border_shifts[min(grade, len(self.border_shifts) - 1)] for grade in range(top)])
            borders = np.maximum.accumulate(borders + own * top / 5)
        return int(np.searchsorted(borders, seen))

    def _finding(
        self, patient: PhantomPatient, site: Site, time: int, before: str | None, rng: np.random.Generator
    ) -> str | None:
        true = patient.findings.get((site.key, time))
        lasting = before is not None and not patient.scheme.finding(before).heals
        if true:
            return (
                before if lasting and rng.random() < 0.5 else true if rng.random() > self.miss_rate or lasting else None
            )
        if lasting:
            return before
        worst = "ERO" in site.joint.scales and patient.grade(site, "ERO", time) == site.joint.max_grade("ERO")
        return "collapse" if worst and rng.random() < self.false_finding_rate else None


@dataclass(frozen=True)
class MixedRater:
    """A rater whose kind is drawn for each joint; `parts` are (weight, kind)."""

    parts: tuple[tuple[float, SimulatedRater], ...]

    def read(
        self, patient: PhantomPatient, rng: np.random.Generator, *, day_fraction: float | None = None
    ) -> SimulatedReading:  # fmt: skip
        """Return a reading of `patient`; the kind of each site is drawn by weight."""
        when = float(rng.random()) if day_fraction is None else day_fraction
        weights = np.array([weight for weight, _ in self.parts])
        grades: dict[tuple[str, str, int], int] = {}
        findings: dict[tuple[str, int], str] = {}
        for site in patient.scheme.sites:
            kind = self.parts[int(rng.choice(len(self.parts), p=weights / weights.sum()))][1]
            kind.read_site(patient, site, kind.threshold + kind.drift * (when - 0.5), rng, grades, findings)
        return SimulatedReading(grades, findings)


_SHARED = SimulatedRater()
_INDEPENDENT = SimulatedRater(shift=0.0, noise=0.48)

RATERS: Mapping[str, Rater] = {
    "shared-shift": _SHARED,
    "independent": _INDEPENDENT,
    "threshold": SimulatedRater(shift=0.15, noise=0.18, threshold=0.35),
    "mixed": SimulatedRater(shift=0.3, noise=0.3, threshold=-0.15),
    "own-borders": SimulatedRater(shift=0.1, noise=0.22, border_shifts=(0.35, -0.35, 0.3, -0.25, 0.1)),
    "drifting": SimulatedRater(shift=0.1, noise=0.22, drift=1.1),
    "slipping": SimulatedRater(shift=0.1, noise=0.22, slip_rate=0.04),
    "mixture": MixedRater(
        ((0.5, _SHARED), (0.35, _INDEPENDENT), (0.15, replace(_INDEPENDENT, noise=0.9, slip_rate=0.05)))
    ),
}
"""Kinds of raters by name, for results that do not depend on the assumptions of one loss function.

All except ``slipping`` and ``mixture`` have errors of about half a grade in a damaged joint. They differ in what the
errors share: the joint (``shared-shift``), nothing (``independent``), the study (``threshold``), the border between two
grades (``own-borders``), or the day (``drifting``). ``mixed`` has some of each; ``mixture`` has heavier tails than a
normal distribution.
"""


def perturb_box(box: Box, rng: np.random.Generator) -> Box:
    """Return a true box with the small errors of position and size of a careful rater."""
    side = box.width
    dx, dy = rng.normal(0.0, 0.025 * side, 2)
    x, y = box.centre
    return Box.from_centre(x + float(dx), y + float(dy), side * float(np.exp(rng.normal(0.0, 0.02))))
