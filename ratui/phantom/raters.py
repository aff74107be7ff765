"""Simulated raters with different error patterns.

Their readings follow the rules of entry: grades of the scale, and findings that fix their scores and are irreversible.
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
    """A simulated reading: `grades` by (site key, scale, time) without fixed scores, `findings` by (site key, time)."""

    grades: Mapping[tuple[str, str, int], int]
    findings: Mapping[tuple[str, int], str]


class Rater(Protocol):
    """A rater of simulated patients."""

    def read(
        self, patient: PhantomPatient, rng: np.random.Generator, *, day_fraction: float | None = None
    ) -> SimulatedReading:  # fmt: skip
        """Return a reading of `patient`.

        `day_fraction` is the elapsed part of the working day, from 0 to 1; drawn if None.
        """
        ...


@dataclass(frozen=True)
class SimulatedRater:
    """A rater. Standard deviations and biases are in grades of a scale of five; errors are normal except slips.

    - `shift` changes both time points of a joint equally, drawn for each joint and scale.
    - `noise` changes each field independently.
    - `threshold` is the bias of the rater over the whole study.
    - `border_shifts` are the rater's own borders between grades, relative to the usual ones. The last one holds for all
      higher grades, so that scales of any length can be read.
    - `drift` is the increase of the bias from the first to the last case of a day, half below 0 and half above.
    - `slip_rate` is the probability of a wrong key: any other grade of the scale.
    - `miss_rate` and `false_finding_rate` are the probabilities of missing a finding and of seeing one in a severely
      damaged joint.

    Nearly every rater calls a joint without damage normal: biases count only `clean_factor` there.
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

        `day_fraction` is the elapsed part of the working day, from 0 to 1; drawn if None.
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
        """Read one site into `grades` and `findings`, with a bias of `bias` grades."""
        for time in (0, 1):
            seen = self._finding(patient, site, time, findings.get((site.key, 0)), rng)
            if seen:
                findings[site.key, time] = seen
        for scale in site.joint.scales:
            shift = rng.normal(bias, self.shift)
            for time in (0, 1):
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
    """A rater whose kind is drawn for each joint. `parts` are (weight, kind)."""

    parts: tuple[tuple[float, SimulatedRater], ...]

    def read(
        self, patient: PhantomPatient, rng: np.random.Generator, *, day_fraction: float | None = None
    ) -> SimulatedReading:  # fmt: skip
        """Return a reading of `patient`. The kind of rater is drawn for each site by weight."""
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
"""Kinds of raters by name, so that no result depends on raters being just what a loss assumes.

All but ``slipping`` and ``mixture`` err by about half a grade in a damaged joint; what differs is what their errors share:
the joint (``shared-shift``), nothing (``independent``), the study (``threshold``), the border between two grades
(``own-borders``), the day (``drifting``). ``mixed`` has some of each; a ``mixture`` has heavier tails than any normal error.
"""


def perturb_box(box: Box, rng: np.random.Generator) -> Box:
    """Return the true `box` of a joint as a careful rater places it, with small errors of position and size."""
    side = box.width
    dx, dy = rng.normal(0.0, 0.025 * side, 2)
    x, y = box.centre
    return Box.from_centre(x + float(dx), y + float(dy), side * float(np.exp(rng.normal(0.0, 0.02))))
