"""Disputes for an adjudicator: cases ranked by the difference of the raters' changes, with their disputed joints.

It uses released readings only, so every rater has signed, and never reveals which rater gave which answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ratui.errors import StudyError
from ratui.reading import Entry, Field, Reading
from ratui.results.released import ReleasedReadings
from ratui.results.scores import collect_scores
from ratui.study import CONSENSUS, Study
from ratui.study.intact import intact_reading
from ratui.study.predictions import intact_expected_grades

__all__ = ["CaseDispute", "DisputeLimits", "JointDispute", "agreed_entries", "find_disputes"]


@dataclass(frozen=True)
class DisputeLimits:
    """Limits above which raters, or a model and the raters, are in dispute.

    Attributes
    ----------
    case
        Minimum difference of two raters' changes of the total, in points.
    model
        Minimum difference of a model from every rater at a joint, in grades, for a time point or the change.
    """

    case: float = 7.0
    model: float = 1.5


@dataclass(frozen=True)
class JointDispute:
    """A joint at which the raters gave different answers.

    Attributes
    ----------
    site
        Site key of the joint.
    change, status
        Largest difference of two raters' changes, and scores, in grades; 0 if only a finding or a reason differs.
    model
        Difference of the model from the nearest rater in grades; None if the model is not a reason for the dispute.
    """

    site: str
    change: float
    status: float
    model: float | None = None

    @property
    def severity(self) -> tuple[float, float, float]:
        """Sort key: the larger, the more severe."""
        return (self.change, self.status, self.model or 0.0)


@dataclass(frozen=True)
class CaseDispute:
    """Disputes of one case.

    Attributes
    ----------
    case
        ID of the case.
    spread
        Largest difference of two raters' changes of the total, in points.
    joints
        Joints in dispute, the most severe first.
    is_over_limit
        True if the spread reaches the limit.
    consensus_stage
        Empty, ``begun`` or ``signed``.
    """

    case: str
    spread: float
    joints: tuple[JointDispute, ...]
    is_over_limit: bool
    consensus_stage: str = ""

    @property
    def is_doubted_by_model(self) -> bool:
        """True if a model's difference is a reason to review one of the joints."""
        return any(joint.model is not None for joint in self.joints)

    def to_record(self) -> dict[str, Any]:
        """Return the dispute as plain values for JSON."""
        return {
            "case": self.case,
            "spread": self.spread,
            "over": self.is_over_limit,
            "settled": self.consensus_stage,
            "joints": [
                {"site": each.site, "change": each.change, "status": each.status, "model": each.model}
                for each in self.joints
            ],
        }


def find_disputes(
    study: Study, released: ReleasedReadings, limits: DisputeLimits, *, model: str = ""
) -> tuple[CaseDispute, ...]:
    """Return all cases that each of their raters has read, of the raters of `released`, sorted by decreasing spread.

    With `model`, the name of a run that has scored the study, joints at which it differs from all raters are included.
    Raises StudyError for fewer than two raters.
    """
    if len(released.raters) < 2:
        raise StudyError("a dispute needs two raters", study.path, "Have a second rater read")
    found = []
    for raters, complete in released.complete_groups().items():
        if len(raters) < 2:
            continue
        totals = collect_scores(study.scheme, complete, raters).totals()
        spreads = np.ptp(totals[..., 1] - totals[..., 0], axis=1)
        found += [
            _compare_case(study, case, readings, float(spread), limits, model)
            for (case, readings), spread in zip(complete.items(), spreads, strict=True)
        ]
    return tuple(sorted(found, key=lambda each: (-each.spread, each.case)))


def _compare_case(
    study: Study, case: str, readings: Sequence[Reading], spread: float, limits: DisputeLimits, model: str
) -> CaseDispute:
    predictions = intact_expected_grades(study, model, case) if model else {}
    joints = [
        dispute
        for site in readings[0].sites
        if (dispute := _compare_joint(readings, site.key, predictions, limits)) is not None
    ]
    consensus = intact_reading(study, CONSENSUS, case)
    consensus_stage = "" if consensus is None else "signed" if consensus.signed_at else "begun"
    ordered = tuple(sorted(joints, key=lambda joint: joint.severity, reverse=True))
    return CaseDispute(case, spread, ordered, spread >= limits.case, consensus_stage)


def _compare_joint(
    readings: Sequence[Reading], site: str, predictions: Mapping[Field, float], limits: DisputeLimits
) -> JointDispute | None:
    """Return the dispute at `site`, or None if there is none."""
    answers = [_answers(reading, site) for reading in readings]
    differ = any(each != answers[0] for each in answers[1:])
    distance = _model_distance(readings, site, predictions)
    is_doubted = distance is not None and distance >= limits.model
    if not differ and not is_doubted:
        return None
    status, change = 0.0, 0.0
    for scale in readings[0].site(site).joint.scales:
        pairs = [[reading.score(Field(site, scale, time)) for time in (0, 1)] for reading in readings]
        for time in (0, 1):
            known = [pair[time] for pair in pairs if pair[time] is not None]
            status = max(status, float(max(known) - min(known)) if known else 0.0)  # type: ignore[operator, type-var]
        changes = [b - a for a, b in pairs if a is not None and b is not None]
        change = max(change, float(max(changes) - min(changes)) if changes else 0.0)
    return JointDispute(site, change, status, distance if is_doubted else None)


def _answers(reading: Reading, site: str) -> Mapping[Field, Entry | None]:
    return {field: reading.values.get(field) for field in sorted(reading.joint_fields(site))}


def _model_distance(readings: Sequence[Reading], site: str, predictions: Mapping[Field, float]) -> float | None:
    """Return the largest difference of the model from its nearest rater over fields and changes; None if unknown."""
    worst: float | None = None
    for scale in readings[0].site(site).joint.scales:
        fields = [Field(site, scale, time) for time in (0, 1)]
        if not all(field in predictions for field in fields):
            continue
        model = [predictions[field] for field in fields]
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


def agreed_entries(readings: Sequence[Reading], joints: Sequence[JointDispute]) -> Mapping[Field, Entry]:
    """Return the entries of all sites that are not in dispute, which are the same in all `readings`."""
    disputed = {joint.site for joint in joints}
    first = readings[0]
    return {field: entry for field, entry in first.values.items() if field.site not in disputed}
