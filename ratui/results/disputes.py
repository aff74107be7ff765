"""What is worth an adjudicator's look: cases by the raters' difference in change, joints by how far they lie apart.

It looks at released readings alone, so that everybody has signed, and never says which rater gave which answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ratui.errors import StudyError
from ratui.reading import Entry, Field, Reading
from ratui.results.released import Released
from ratui.results.scores import scores_of
from ratui.study import CONSENSUS, Study
from ratui.study.predictions import load_expected_grades

__all__ = ["CaseDispute", "JointDispute", "Limits", "agreed", "disputes"]


@dataclass(frozen=True)
class Limits:
    """What counts as a dispute: `case` is how many points of total change two raters must lie apart; `model` how many
    grades a model must lie off every rater, at a time point or in change, for a joint to be looked at."""

    case: float = 7.0
    model: float = 1.5


@dataclass(frozen=True)
class JointDispute:
    """A joint whose raters gave different answers: `change` and `status` are how far they lie apart at most, in grades
    (0 where only a finding or a reason differs). `model` is how far the model lies off the nearest rater, None where it
    is not the reason."""

    site: str
    change: float
    status: float
    model: float | None = None

    @property
    def rank(self) -> tuple[float, float, float]:
        """The larger, the worse."""
        return (self.change, self.status, self.model or 0.0)


@dataclass(frozen=True)
class CaseDispute:
    """A case: `spread` is the largest difference of two raters in the change of the total, `joints` those in dispute, the
    worst first. `over` says whether the spread reaches the limit, `settled` how far the adjudicator is: empty, ``begun``
    or ``signed``."""

    case: str
    spread: float
    joints: tuple[JointDispute, ...]
    over: bool
    settled: str = ""

    @property
    def doubted(self) -> bool:
        """Whether a model gives reason to look at one of its joints."""
        return any(joint.model is not None for joint in self.joints)

    def to_record(self) -> dict[str, Any]:
        return {
            "case": self.case,
            "spread": self.spread,
            "over": self.over,
            "settled": self.settled,
            "joints": [
                {"site": each.site, "change": each.change, "status": each.status, "model": each.model}
                for each in self.joints
            ],
        }


def disputes(study: Study, told: Released, limits: Limits, *, model: str = "") -> tuple[CaseDispute, ...]:
    """Every case that all raters of `told` have read, the widest apart first; with `model`, a run that has scored the
    study, also what it doubts. Raises StudyError with fewer than two raters."""
    if len(told.raters) < 2:
        raise StudyError("a dispute takes two raters", study.path, "Have a second one read")
    complete = told.complete()
    if not complete:
        return ()
    scores = scores_of(study.scheme, complete, told.raters)
    totals = scores.totals()
    spreads = np.ptp(totals[..., 1] - totals[..., 0], axis=1)
    found = [
        _case(study, case, readings, float(spread), limits, model)
        for (case, readings), spread in zip(complete.items(), spreads, strict=True)
    ]
    return tuple(sorted(found, key=lambda each: (-each.spread, each.case)))


def _case(
    study: Study, case: str, readings: Sequence[Reading], spread: float, limits: Limits, model: str
) -> CaseDispute:
    said = load_expected_grades(study, model, case) if model else {}
    joints = [
        dispute for site in readings[0].sites if (dispute := _joint(readings, site.key, said, limits)) is not None
    ]
    consensus = study.reading(CONSENSUS, case)
    settled = "" if consensus is None else "signed" if consensus.signed else "begun"
    ordered = tuple(sorted(joints, key=lambda joint: joint.rank, reverse=True))
    return CaseDispute(case, spread, ordered, spread >= limits.case, settled)


def _joint(readings: Sequence[Reading], site: str, said: Mapping[Field, float], limits: Limits) -> JointDispute | None:
    """How `site` is in dispute, or None."""
    answers = [_answers(reading, site) for reading in readings]
    differ = any(each != answers[0] for each in answers[1:])
    off = _off(readings, site, said)
    doubted = off is not None and off >= limits.model
    if not differ and not doubted:
        return None
    status, change = 0.0, 0.0
    for scale in readings[0].site(site).joint.scales:
        pairs = [[reading.score(Field(site, scale, time)) for time in (0, 1)] for reading in readings]
        for time in (0, 1):
            known = [pair[time] for pair in pairs if pair[time] is not None]
            status = max(status, float(max(known) - min(known)) if known else 0.0)  # type: ignore[operator, type-var]
        changes = [b - a for a, b in pairs if a is not None and b is not None]
        change = max(change, float(max(changes) - min(changes)) if changes else 0.0)
    return JointDispute(site, change, status, off if doubted else None)


def _answers(reading: Reading, site: str) -> Mapping[Field, Entry | None]:
    return {field: reading.values.get(field) for field in sorted(reading.joint_fields(site))}


def _off(readings: Sequence[Reading], site: str, said: Mapping[Field, float]) -> float | None:
    """How far the model lies off the nearest rater, in the field or the change where that is most; None without both."""
    worst: float | None = None
    for scale in readings[0].site(site).joint.scales:
        fields = [Field(site, scale, time) for time in (0, 1)]
        if not all(field in said for field in fields):
            continue
        model = [said[field] for field in fields]
        rated = [[reading.score(field) for field in fields] for reading in readings]
        known = [(a, b) for a, b in rated if a is not None and b is not None]
        if not known:
            continue
        nearest = max(
            min(abs(model[0] - a) for a, _ in known),
            min(abs(model[1] - b) for _, b in known),
            min(abs((model[1] - model[0]) - (b - a)) for a, b in known),
        )
        worst = nearest if worst is None else max(worst, nearest)
    return worst


def agreed(readings: Sequence[Reading], joints: Sequence[JointDispute]) -> Mapping[Field, Entry]:
    """What nobody disputes: the entries of all sites that aren't among `joints`, on which all `readings` are the same."""
    asked = {joint.site for joint in joints}
    first = readings[0]
    return {field: entry for field, entry in first.values.items() if field.site not in asked}
