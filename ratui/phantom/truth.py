"""Simulated patients: the true grades and findings of every joint at each time point.

Every truth could be entered by a rater: grades exist on the scale, findings fix their scores and do not heal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from ratui.scheme import Scheme, Site

__all__ = ["PhantomPatient", "simulate_patient"]

# Chosen so that the mean absolute change of ERO is about 0.35 per joint and about 3 % of the joints have a finding.
_INVOLVED = 0.48
_PROGRESS = 0.52
_ONSET = 0.12
_REPAIR = 0.03
_FINDING = 0.45
_OUT_OF_JOINT = 0.075
_CHILDREN = 0.06
_MOST_DAMAGE = 5.0  # on the scale of ERO in hands


@dataclass(frozen=True)
class PhantomPatient:
    """A simulated patient.

    Attributes
    ----------
    seed
        Seed of the anatomy and of the location of damage, so that all time points show the same hand.
    scheme
        Scoring scheme of the grades and findings.
    severity
        Severity of the disease: 1 is usual, 0 is healthy.
    grades
        True grades by (site key, scale, time), including those that findings fix.
    findings
        True findings by (site key, time).
    age
        Age in years; below 17 the growth plates are open.
    visits
        Number of time points.
    """

    seed: int
    scheme: Scheme
    severity: float
    grades: Mapping[tuple[str, str, int], int]
    findings: Mapping[tuple[str, int], str]
    age: float = 58.0
    visits: int = 2

    def grade(self, site: Site, scale: str, time: int) -> int:
        """Return the true grade, 0 if the joint does not have the scale."""
        return self.grades.get((site.key, scale, time), 0)


def simulate_patient(
    rng: np.random.Generator,
    scheme: Scheme,
    *,
    severity: float | None = None,
    age: float | None = None,
    visits: int = 2,
) -> PhantomPatient:
    """Simulate a patient.

    Parameters
    ----------
    rng
        Generator of everything that is drawn.
    scheme
        Scoring scheme of the grades and findings.
    severity
        Severity of the disease, 1 is usual, 0 is healthy; drawn if None.
    age
        Age in years; drawn if None.
    visits
        Number of time points, from 1. The first two do not depend on it.
    """
    how_severe = float(rng.gamma(1.6, 0.62)) if severity is None else severity
    grades: dict[tuple[str, str, int], int] = {}
    findings: dict[tuple[str, int], str] = {}
    known: dict[str, tuple[float, float]] = {}
    for site in scheme.sites:
        before, after, narrowing = _damage(rng, how_severe)
        for time, damage in ((0, before), (1, after)):
            _add_truth(rng, scheme, site, time, damage, narrowing, grades, findings)
        known[site.key] = after, narrowing
    seed = int(rng.integers(2**31))
    later = np.random.default_rng([seed, crc32(b"visits")])
    for time in range(2, visits):
        for site in scheme.sites:
            damage, narrowing = known[site.key]
            damage = _continue_damage(later, damage, how_severe)
            _add_truth(later, scheme, site, time, damage, narrowing, grades, findings)
            known[site.key] = damage, narrowing
    _displace_toes(np.random.default_rng([seed, crc32(b"toes")]), scheme, max(visits, 2), grades, findings)
    child, years = rng.random() < _CHILDREN, rng.random()
    drawn = 5 + 12 * years if child else float(np.clip(rng.normal(58.0, 13.0), 18.0, 92.0))
    if visits < 2:
        grades = {key: grade for key, grade in grades.items() if key[2] == 0}
        findings = {key: finding for key, finding in findings.items() if key[1] == 0}
    return PhantomPatient(seed, scheme, how_severe, grades, findings, float(drawn if age is None else age), visits)


def _add_truth(
    rng: np.random.Generator,
    scheme: Scheme,
    site: Site,
    time: int,
    damage: float,
    narrowing: float,
    grades: dict[tuple[str, str, int], int],
    findings: dict[tuple[str, int], str],
) -> None:
    """Add the grades and the finding of `site` at `time`, which follow from its latent damage, in place."""
    finding = _finding(rng, scheme, site, damage, findings.get((site.key, time - 1)))
    if finding:
        findings[site.key, time] = finding
    for scale in site.joint.scales:
        top = site.joint.max_grade(scale)
        latent = damage if scale == "ERO" else 0.75 * damage + narrowing
        grades[site.key, scale, time] = int(np.clip(round(latent * top / 5), 0, top))
        fixes = site.joint.finding_score(scheme.finding(finding), scale) if finding else None
        if fixes is not None:
            grades[site.key, scale, time] = fixes


def _displace_toes(
    rng: np.random.Generator,
    scheme: Scheme,
    visits: int,
    grades: dict[tuple[str, str, int], int],
    findings: dict[tuple[str, int], str],
) -> None:
    """Add subluxations and luxations of MTP joints in place.

    They are drawn after everything else from a generator of their own, so that the hands of a patient do not depend on
    the feet.
    """
    known = {finding.id for finding in scheme.findings}
    for site in scheme.sites:
        draws = rng.random(4)
        if site.joint.group != "MTP" or "ERO" not in site.joint.scales or not {"subluxation", "luxation"} <= known:
            continue
        for time in range(visits):
            erosion = grades.get((site.key, "ERO", time), 0) * 5 / site.joint.max_grade("ERO")
            finding = findings.get((site.key, time))
            if finding is None and draws[0] < _OUT_OF_JOINT * max(erosion - 1.0, 0.0):
                finding = "luxation" if draws[1] < 0.35 else "subluxation"
            before = findings.get((site.key, time - 1))
            if before is not None and finding not in ("ankylosis", "collapse"):
                finding = before
                if before == "subluxation" and draws[2] < 0.15:
                    finding = "luxation"
            if finding is None:
                continue
            findings[site.key, time] = finding
            for scale in site.joint.scales:
                score = site.joint.finding_score(scheme.finding(finding), scale)
                if score is not None:
                    grades[site.key, scale, time] = score


def _damage(rng: np.random.Generator, severity: float) -> tuple[float, float, float]:
    """Return the latent damage at both time points on the scale of ERO, and an additional term of JSN."""
    involved = rng.random() < 1 - np.exp(-_INVOLVED * severity)
    before = float(rng.gamma(2.0, 0.95)) if involved else 0.0
    after = before
    if rng.random() < (_PROGRESS if involved else _ONSET * severity):
        after = before + float(rng.gamma(2.0, 0.75))
    elif involved and rng.random() < _REPAIR / _PROGRESS:
        after = max(0.0, before - float(rng.uniform(0.6, 1.6)))
    return min(before, _MOST_DAMAGE), min(after, _MOST_DAMAGE), float(rng.normal(0.0, 0.4)) if involved else 0.0


def _continue_damage(rng: np.random.Generator, damage: float, severity: float) -> float:
    """Return the latent damage at the next time point, on the scale of ERO, by the laws of `_damage`."""
    draws, growth, repair = rng.random(), float(rng.gamma(2.0, 0.75)), float(rng.uniform(0.6, 1.6))
    progress = _PROGRESS if damage else _ONSET * severity
    if draws < progress:
        return min(damage + growth, _MOST_DAMAGE)
    return max(0.0, damage - repair) if damage and draws < progress + _REPAIR else damage


def _finding(
    rng: np.random.Generator, scheme: Scheme, site: Site, damage: float, before: str | None
) -> str | None:  # fmt: skip
    """Return the finding of a joint: the one before, a worse luxation, or a new one; None for none."""
    known = {finding.id for finding in scheme.findings if site.joint.scales_fixed_by(finding)}
    if before is not None:
        worse = before == "subluxation" and "luxation" in known and rng.random() < 0.15
        return "luxation" if worse else before
    if damage >= 4.0 and rng.random() < _FINDING * (damage - 3.2):
        # A single bone that is scored by itself can collapse, but it has no joint that could fuse.
        alone = site.joint.group == "wrist" and "JSN" not in site.joint.scales
        fused = rng.random() < 0.5 and not alone
        name = "ankylosis" if fused else "collapse"
        return name if name in known else None
    slips = site.joint.group in ("MCP", "PIP") and "subluxation" in known
    if slips and rng.random() < _OUT_OF_JOINT * max(damage - 2.0, 0.0) * (1.0 if site.joint.group == "MCP" else 0.3):
        return "luxation" if "luxation" in known and rng.random() < 0.25 else "subluxation"
    return None
