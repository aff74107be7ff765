"""The known answers at the joints of a case: of a simulated patient, or of a reference reading."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ratui.phantom import PhantomPatient
from ratui.reading import Entry, Field, FindingEntry, GradeEntry, Reading
from ratui.scheme import Scheme, Site

__all__ = ["KnownAnswer", "Truth", "make_answer", "truth_from_patient", "truth_from_reading"]


@dataclass(frozen=True)
class KnownAnswer:
    """The right answer in one field: the entry, and its score in grades; None for a field that is not assessable."""

    entry: Entry
    score: float | None


Truth: TypeAlias = Mapping[str, Mapping[Field, KnownAnswer]]
"""The known answers by name of the case and by field. The `time` of a field is the time point, not a position."""


def make_answer(scheme: Scheme, site: Site, scale: str, grade: int, finding: str) -> KnownAnswer:
    """Return the known answer in a field: the finding if it fixes the score of `scale`, otherwise the grade.

    `finding` is an id of the scheme, or empty.
    """
    fixes = bool(finding) and scale in site.joint.scales_fixed_by(scheme.finding(finding))
    return KnownAnswer(FindingEntry(finding) if fixes else GradeEntry(grade), float(grade))


def truth_from_patient(patient: PhantomPatient, sites: Collection[Site]) -> Mapping[Field, KnownAnswer]:
    """Return the known answers of a simulated patient at `sites`, all of whose visits are in the case."""
    return {
        Field(site.key, scale, time): make_answer(
            patient.scheme, site, scale, patient.grade(site, scale, time), patient.findings.get((site.key, time), "")
        )
        for site in sites
        for scale in site.joint.scales
        for time in range(patient.visits)
    }


def truth_from_reading(reading: Reading) -> Mapping[Field, KnownAnswer]:
    """Return the answers of a reading in its filled fields."""
    return {field: KnownAnswer(entry, _score(reading, field)) for field, entry in reading.values.items()}


def _score(reading: Reading, field: Field) -> float | None:
    score = reading.score(field)
    return None if score is None else float(score)
