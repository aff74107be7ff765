"""Which joints deserve a second look before signing, worst first, and why.

It reads nothing but the reading itself: what a model or another rater thinks has no place here. In a study blinded to
order nothing in it, neither a reason nor the place of a joint, depends on which time point came first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from ratui.reading.log import setters
from ratui.reading.model import Field, Found, NotAssessable, Reading, Slot
from ratui.reading.plausibility import step
from ratui.scheme import Site

__all__ = ["HIGH", "LookKind", "LookReason", "SecondLook", "second_look"]

HIGH = 3
"""The smallest grade that deserves a second look by itself."""

LookKind: TypeAlias = Literal["flag", "fall", "jump", "one_sided", "note", "change", "finding", "high"]
"""What a joint is looked at again for, worst first."""
_RANK = {kind: rank for rank, kind in enumerate(get_args(LookKind))}


@dataclass(frozen=True)
class LookReason:
    """One reason for a second look.

    `scale` is empty where the reason is the whole joint's. `size` is the number of grades of a ``fall``, ``jump`` or
    ``change``, and the score of a ``high``. `confirmed` says that the rater gave a fall or jump once more when it was
    entered. `name` is the id of a ``finding``.
    """

    kind: LookKind
    scale: str = ""
    size: int = 0
    confirmed: bool = False
    name: str = ""


@dataclass(frozen=True)
class SecondLook:
    """A site to look at again, and all that speaks for it, the worst first."""

    site: str
    reasons: tuple[LookReason, ...]


def second_look(reading: Reading) -> tuple[SecondLook, ...]:
    """The sites of `reading` that deserve a second look, worst first, equals in reading order."""
    confirmed = {field for field, entry in setters(reading).items() if entry.confirmed}
    looks = []
    for site in reading.sites:
        reasons = sorted(_reasons(reading, site, confirmed), key=_weight)
        if reasons:
            looks.append(SecondLook(site.key, tuple(reasons)))
    return tuple(sorted(looks, key=lambda look: _weight(look.reasons[0])))


def _weight(reason: LookReason) -> tuple[int, int]:
    return _RANK[reason.kind], -reason.size


def _reasons(reading: Reading, site: Site, confirmed: Collection[Field]) -> Iterable[LookReason]:
    if site.key in reading.flags:
        yield LookReason("flag")
    if site.key in reading.notes:
        yield LookReason("note")
    findings = {finding.id for time in reading.order if (finding := reading.finding(Slot(site.key, time)))}
    for finding in reading.scheme.findings:
        if finding.id in findings:
            yield LookReason("finding", name=finding.id)
    one_sided = False
    for scale in site.joint.scales:
        fields = [field for field in reading.joint_fields(site.key) if field.scale == scale]
        values = [reading.values.get(field) for field in fields]
        lacking = [isinstance(value, NotAssessable) for value in values]
        one_sided = one_sided or (any(lacking) and not all(lacking) and None not in values)
        scores = [score for field in fields if (score := reading.score(field)) is not None]
        doubts = [doubt for field in fields if (doubt := step(reading, field)) is not None]
        if doubts:
            worst = max(doubts, key=lambda doubt: doubt.size)
            yield LookReason(worst.kind, scale, worst.size, any(field in confirmed for field in fields))
        elif len(set(scores)) > 1:
            yield LookReason("change", scale, max(scores) - min(scores))
        graded = [
            score
            for field, value in zip(fields, values, strict=True)
            if not isinstance(value, Found) and (score := reading.score(field)) is not None
        ]
        if max(graded, default=0) >= HIGH:
            yield LookReason("high", scale, max(graded))
    if one_sided:
        yield LookReason("one_sided")
