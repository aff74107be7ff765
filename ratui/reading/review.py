"""Which joints deserve a second look before signing, worst first, and why.

It reads nothing but the reading itself: what a model or another rater thinks has no place here. In a study blinded to
order nothing in it, neither a reason nor the place of a joint, depends on which time point came first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from ratui.reading.log import find_origins
from ratui.reading.model import Field, FindingEntry, NotAssessableEntry, Reading, Slot
from ratui.reading.plausibility import find_unlikely_step
from ratui.scheme import Site

__all__ = ["MIN_HIGH_GRADE", "ReviewItem", "ReviewKind", "ReviewReason", "review_items"]

MIN_HIGH_GRADE = 3
"""The smallest grade that deserves a second look by itself."""

ReviewKind: TypeAlias = Literal["flag", "fall", "jump", "one_sided", "note", "change", "finding", "high"]
"""What a joint is looked at again for, worst first."""
_RANK = {kind: rank for rank, kind in enumerate(get_args(ReviewKind))}


@dataclass(frozen=True)
class ReviewReason:
    """One reason for a second look.

    `scale` is empty where the reason is the whole joint's. `size` is the number of grades of a ``fall``, ``jump`` or
    ``change``, and the score of a ``high``. `confirmed` says that the rater gave a fall or jump once more when it was
    entered. `name` is the id of a ``finding``.
    """

    kind: ReviewKind
    scale: str = ""
    size: int = 0
    is_confirmed: bool = False
    finding_id: str = ""


@dataclass(frozen=True)
class ReviewItem:
    """A site to look at again, and all that speaks for it, the worst first."""

    site: str
    reasons: tuple[ReviewReason, ...]


def review_items(reading: Reading) -> tuple[ReviewItem, ...]:
    """The sites of `reading` that deserve a second look, worst first, equals in reading order."""
    confirmed = {field for field, entry in find_origins(reading).items() if entry.is_confirmed}
    items = []
    for site in reading.sites:
        reasons = sorted(_find_reasons(reading, site, confirmed), key=_weight)
        if reasons:
            items.append(ReviewItem(site.key, tuple(reasons)))
    return tuple(sorted(items, key=lambda item: _weight(item.reasons[0])))


def _weight(reason: ReviewReason) -> tuple[int, int]:
    return _RANK[reason.kind], -reason.size


def _find_reasons(reading: Reading, site: Site, confirmed: Collection[Field]) -> Iterable[ReviewReason]:
    if site.key in reading.flags:
        yield ReviewReason("flag")
    if site.key in reading.notes:
        yield ReviewReason("note")
    findings = {finding.id for time in reading.order if (finding := reading.finding(Slot(site.key, time)))}
    for finding in reading.scheme.findings:
        if finding.id in findings:
            yield ReviewReason("finding", finding_id=finding.id)
    one_sided = False
    for scale in site.joint.scales:
        fields = [field for field in reading.joint_fields(site.key) if field.scale == scale]
        values = [reading.values.get(field) for field in fields]
        lacking = [isinstance(value, NotAssessableEntry) for value in values]
        one_sided = one_sided or (any(lacking) and not all(lacking) and None not in values)
        scores = [score for field in fields if (score := reading.score(field)) is not None]
        steps = [step for field in fields if (step := find_unlikely_step(reading, field)) is not None]
        if steps:
            worst = max(steps, key=lambda step: step.size)
            yield ReviewReason(worst.kind, scale, worst.size, any(field in confirmed for field in fields))
        elif len(set(scores)) > 1:
            yield ReviewReason("change", scale, max(scores) - min(scores))
        graded = [
            score
            for field, value in zip(fields, values, strict=True)
            if not isinstance(value, FindingEntry) and (score := reading.score(field)) is not None
        ]
        if max(graded, default=0) >= MIN_HIGH_GRADE:
            yield ReviewReason("high", scale, max(graded))
    if one_sided:
        yield ReviewReason("one_sided")
