"""Disputes for an adjudicator: cases ranked by the difference of the raters' changes or totals, with their disputed joints.

It uses released readings only, so every rater has signed, and never reveals which rater gave which answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np

from ratui.errors import StudyError
from ratui.reading import Entry, Field, Reading
from ratui.reading.field_layout import FieldLayout
from ratui.results.released import ReleasedReadings
from ratui.results.scores import ReadingScores, collect_scores
from ratui.results.totals import MissingRule, choose_rule
from ratui.study import CONSENSUS, Study
from ratui.study.intact import intact_reading
from ratui.study.model_results.predictions import intact_expected_grades
from ratui.study.readings.late_changes import LateChanges

__all__ = [
    "CaseDispute",
    "DisputeLimits",
    "JointDispute",
    "describe_stage",
    "find_agreed_entries",
    "find_disputes",
    "format_spread",
    "name_compared_quantity",
]


@dataclass(frozen=True)
class DisputeLimits:
    """Limits above which raters, or a model and the raters, are in dispute.

    Attributes
    ----------
    case
        Minimum difference of two raters' changes of the total, in points; of their totals in a case of one visit.
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
    unscored
        Number of fields that one rater has scored and another has not.
    """

    site: str
    change: float
    status: float
    model: float | None = None
    unscored: int = 0

    @property
    def severity(self) -> tuple[float, float, float, float]:
        """Sort key: the larger, the more severe."""
        return (self.change, self.status, self.model or 0.0, float(self.unscored))


@dataclass(frozen=True)
class CaseDispute:
    """Disputes of one case.

    Attributes
    ----------
    case
        ID of the case.
    spread
        Largest difference of two raters' changes of the total, in points, under the rule for fields without a score; with
        more than two visits, the largest of all changes that the rule gives; with one visit, of two raters' totals. None
        if it gives a rater no change, or no total of the one visit.
    joints
        Joints in dispute, the most severe first.
    is_over_limit
        True if the spread reaches the limit.
    consensus_stage
        Empty, ``begun`` or ``signed``.
    has_one_visit
        True if the case has one visit, so that the spread is that of the totals.
    late_change
        Mark of a late change, by `LateChanges.mark`; empty for none.
    """

    case: str
    spread: float | None
    joints: tuple[JointDispute, ...]
    is_over_limit: bool
    consensus_stage: str = ""
    has_one_visit: bool = False
    late_change: str = ""

    @property
    def unscored(self) -> int:
        """Number of fields that one rater has scored and another has not: a reason to adjudicate the case."""
        return sum(joint.unscored for joint in self.joints)

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
            "unscored": self.unscored,
            "compared": "total" if self.has_one_visit else "change",
            "late_change": self.late_change or None,
            "joints": [
                {
                    "site": each.site,
                    "change": each.change,
                    "status": each.status,
                    "model": each.model,
                    "unscored": each.unscored,
                }
                for each in self.joints
            ],
        }


def find_disputes(
    study: Study,
    released: ReleasedReadings,
    limits: DisputeLimits,
    rule: MissingRule | None = None,
    *,
    model: str = "",
    late: LateChanges | None = None,
) -> tuple[CaseDispute, ...]:
    """Return all cases that each of their raters has read, of the raters of `released`, sorted by decreasing spread.

    Parameters
    ----------
    study, released
        The study and its released readings.
    limits
        Limits above which raters are in dispute.
    rule
        Rule for the totals of fields without a score; if None, that of the charter, or any if no field lacks a score.
    model
        Name of a run that has scored the study: joints at which it differs from all raters are included.
    late
        Late changes of the study, with which the cases are marked; None for no marks.

    Raises
    ------
    StudyError
        For fewer than two raters, or if a rule is needed.
    """
    if len(released.raters) < 2:
        raise StudyError("a dispute needs two raters", study.path, "Have a second rater read")
    scores = collect_scores(study, released, rule or choose_rule(released, None, study=study))
    spreads = dict(zip(scores.cases, _spreads(scores), strict=True))
    found = [
        _compare_case(study, case, readings, spreads[case], limits, model)
        for raters, complete in released.complete_groups().items()
        if len(raters) > 1
        for case, readings in complete.items()
    ]
    if late is not None:
        found = [
            replace(each, late_change=late.mark(each.case, [*released.readings[each.case], CONSENSUS]))
            for each in found
        ]
    return tuple(sorted(found, key=_rank))


def _spreads(scores: ReadingScores) -> list[float | None]:
    """Return the largest difference of two raters' changes, by case; None if the rule gives a rater no change.

    With more than two visits it is the largest one of all changes from the first visit and between successive visits that
    the rule gives to all raters of the case; with one visit, the largest difference of their totals.
    """
    is_read, has_visit = scores.is_read, np.asarray(scores.has_field.any(axis=(1, 2)))
    has_one_visit = has_visit.sum(axis=1) == 1
    spreads = np.full(len(scores.cases), -np.inf)
    for quantity in scores.quantities:
        if quantity.first is None:
            is_compared = has_one_visit & has_visit[:, quantity.last]
        else:
            is_compared = has_visit[:, [quantity.first, quantity.last]].all(axis=-1)
        values = scores.quantity(quantity)
        apart = np.where(is_read, values, -np.inf).max(axis=1) - np.where(is_read, values, np.inf).min(axis=1)
        spreads = np.where(is_compared & np.isfinite(apart), np.fmax(spreads, apart), spreads)
    return [float(each) if np.isfinite(each) else None for each in spreads]


def _rank(dispute: CaseDispute) -> tuple[float, int, str]:
    """Return the sort key: cases without a spread first, because it could be of any size, then by spread."""
    return (-np.inf if dispute.spread is None else -dispute.spread, -dispute.unscored, dispute.case)


def _compare_case(
    study: Study, case: str, readings: Sequence[Reading], spread: float | None, limits: DisputeLimits, model: str
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
    is_over = spread is not None and spread >= limits.case
    return CaseDispute(case, spread, ordered, is_over, consensus_stage, len(readings[0].order) == 1)


def _compare_joint(
    readings: Sequence[Reading], site: str, predictions: Mapping[Field, float], limits: DisputeLimits
) -> JointDispute | None:
    """Return the dispute at `site`, or None if there is none."""
    by_scale = _sorted_fields(readings[0].layout)[site]
    joint_fields = [field for fields in by_scale for field in fields]
    answers = [[reading.values.get(field) for field in joint_fields] for reading in readings]
    differ = any(each != answers[0] for each in answers[1:])
    distance = _model_distance(readings, site, predictions)
    is_doubted = distance is not None and distance >= limits.model
    if not differ and not is_doubted:
        return None
    status, change, unscored = 0.0, 0.0, 0
    for fields in by_scale:
        scores = [[reading.score(field) for field in fields] for reading in readings]
        if all(each == scores[0] for each in scores[1:]):
            continue
        for given in zip(*scores, strict=True):
            known = [score for score in given if score is not None]
            unscored += 0 < len(known) < len(given)
            status = max(status, _range(known))
        for first, last in combinations(range(len(fields)), 2):
            pairs = [(given[first], given[last]) for given in scores]
            change = max(change, _range([b - a for a, b in pairs if a is not None and b is not None]))
    return JointDispute(site, change, status, distance if is_doubted else None, unscored)


@lru_cache(64)
def _sorted_fields(layout: FieldLayout) -> Mapping[str, tuple[tuple[Field, ...], ...]]:
    """Return the fields of each site, scale by scale, in the order of the time points."""
    return {
        site.key: tuple(
            tuple(sorted(field for field in layout.joint_fields[site.key] if field.scale == scale))
            for scale in site.joint.scales
        )
        for site in layout.sites
    }


def _range(values: Sequence[int]) -> float:
    return float(max(values) - min(values)) if values else 0.0


def _model_distance(readings: Sequence[Reading], site: str, predictions: Mapping[Field, float]) -> float | None:
    """Return the largest difference of the model from its nearest rater over fields and changes; None if unknown."""
    worst: float | None = None
    if not predictions:
        return None
    for scale in readings[0].site(site).joint.scales:
        fields = sorted(field for field in readings[0].joint_fields(site) if field.scale == scale)
        for first, last in combinations(fields, 2):
            if first not in predictions or last not in predictions:
                continue
            rated = [(reading.score(first), reading.score(last)) for reading in readings]
            known = [(a, b) for a, b in rated if a is not None and b is not None]
            if not known:
                continue
            nearest = max(
                min(abs(predictions[first] - a) for a, _ in known),
                min(abs(predictions[last] - b) for _, b in known),
                min(abs((predictions[last] - predictions[first]) - (b - a)) for a, b in known),
            )
            worst = nearest if worst is None else max(worst, nearest)
    return worst


def describe_stage(dispute: CaseDispute) -> str:
    """Return the stage of a case's consensus, with the mark of a late change, such as ``signed; late change: reading``."""
    stage = dispute.consensus_stage or "open"
    return f"{stage}; late change: {dispute.late_change}" if dispute.late_change else stage


def format_spread(spread: float | None) -> str:
    """Return the spread of a case in points; a dash if the rule gives a rater no change, or no total of a single visit."""
    return "–" if spread is None else f"{spread:.3g}"


def name_compared_quantity(found: Sequence[CaseDispute]) -> str:
    """Return the words for the quantity that the raters differ in: changes, and totals if a case has one visit."""
    alone = [each.has_one_visit for each in found]
    if alone and all(alone):
        return "totals"
    return "changes of the total" + (" (of cases with one visit, totals)" if any(alone) else "")


def find_agreed_entries(readings: Sequence[Reading], joints: Sequence[JointDispute]) -> Mapping[Field, Entry]:
    """Return the entries of all sites that are not in dispute, which are the same in all `readings`."""
    disputed = {joint.site for joint in joints}
    first = readings[0]
    return {field: entry for field, entry in first.values.items() if field.site not in disputed}
