"""Total scores of one reading, under a named rule for fields without a score.

No rule is assumed without notice: each has a description, and an export states the rule next to every total.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ratui.errors import StudyError, clean_text
from ratui.reading import Field, Reading
from ratui.results.released import ReleasedReadings

__all__ = ["RULES", "MissingRule", "TotalScore", "choose_rule", "compute_change", "compute_total", "get_rule"]


@dataclass(frozen=True)
class TotalScore:
    """A total at one time point.

    `value` is None if the rule gives no total. `assessed` of the `fields` had a score.
    """

    value: float | None
    assessed: int
    fields: int


@dataclass(frozen=True)
class MissingRule:
    """A rule for fields without a score.

    `compute` returns the total of some fields of a reading, or None. If `is_paired` is true, a change is summed over
    the fields that have a score at both time points; otherwise it is the later total minus the earlier one.
    """

    name: str
    meaning: str
    compute: Callable[[Reading, tuple[Field, ...]], float | None]
    is_paired: bool = False


def _scores(reading: Reading, fields: tuple[Field, ...]) -> dict[Field, int]:
    return {field: score for field in fields if (score := reading.score(field)) is not None}


def _complete(reading: Reading, fields: tuple[Field, ...]) -> float | None:
    scores = _scores(reading, fields)
    return float(sum(scores.values())) if len(scores) == len(fields) else None


def _observed(reading: Reading, fields: tuple[Field, ...]) -> float | None:
    scores = _scores(reading, fields)
    return float(sum(scores.values())) if scores else None


def _carried_over(reading: Reading, fields: tuple[Field, ...]) -> float | None:
    total = 0
    for field in fields:
        scores = (reading.score(field), *(reading.score(twin) for twin in reading.counterparts(field)))
        score = next((each for each in scores if each is not None), None)
        if score is None:
            return None
        total += score
    return float(total)


def _prorated(reading: Reading, fields: tuple[Field, ...]) -> float | None:
    scores = _scores(reading, fields)
    if 2 * len(scores) < len(fields) or not scores:
        return None

    def highest(some: tuple[Field, ...]) -> int:
        return sum(reading.site(field.site).joint.max_grade(field.scale) for field in some)

    return sum(scores.values()) * highest(fields) / highest(tuple(scores))


RULES: Mapping[str, MissingRule] = {
    rule.name: rule
    for rule in (
        MissingRule("complete", "a total only if every field has a score", _complete),
        MissingRule(
            "observed",
            "the sum of the scored fields; a change sums the fields scored at both time points",
            _observed,
            True,
        ),
        MissingRule(
            "carried", "a field takes its score of the other time point; no total if both have none", _carried_over
        ),
        MissingRule(
            "prorated",
            "in proportion to the maximum of the scored fields, if at least half have a score; for each scale",
            _prorated,
        ),
    )
}
"""All rules by name."""


def get_rule(name: str) -> MissingRule:
    """Return the rule `name`; raise StudyError if it does not exist."""
    try:
        return RULES[name]
    except KeyError:
        known = "; ".join(f"{rule.name}: {rule.meaning}" for rule in RULES.values())
        raise StudyError(f"there is no rule {clean_text(name)} for missing scores", "--missing", known) from None


def compute_total(reading: Reading, time: int, scale: str | None, rule: MissingRule) -> TotalScore:
    """Return the total of `reading` at time point `time` (0 or 1).

    `scale` selects one scale; with None the totals of all scales are added.
    """
    if scale is None:
        # Scale by scale, because proration depends on the maximum of each scale.
        parts = [compute_total(reading, time, each, rule) for each in reading.scheme.scales]
        values = [part.value for part in parts if part.fields]
        known = [value for value in values if value is not None]
        return TotalScore(
            sum(known) if values and len(known) == len(values) else None,
            sum(part.assessed for part in parts),
            sum(part.fields for part in parts),
        )
    fields = tuple(field for field in reading.fields if field.time == time and field.scale == scale)
    return TotalScore(rule.compute(reading, fields) if fields else None, len(_scores(reading, fields)), len(fields))


def compute_change(reading: Reading, scale: str | None, rule: MissingRule) -> float | None:
    """Return the change of the total from time point 0 to 1; None if the rule gives none."""
    if not rule.is_paired:
        before, after = compute_total(reading, 0, scale, rule).value, compute_total(reading, 1, scale, rule).value
        return None if before is None or after is None else after - before
    if scale is None:
        parts = [compute_change(reading, each, rule) for each in reading.scheme.scales]
        known = [part for part in parts if part is not None]
        return sum(known) if known else None
    pairs = [(reading.score(f), reading.score(f._replace(time=1))) for f in reading.fields if f[1:] == (scale, 0)]
    scored = [after - before for before, after in pairs if before is not None and after is not None]
    return float(sum(scored)) if scored else None


def choose_rule(released: ReleasedReadings, name: str | None, *, is_required: bool = True) -> MissingRule:
    """Return the rule for the totals of the readings in `released`.

    Parameters
    ----------
    released
        The readings whose totals are needed.
    name
        Name of a rule. If None, the rule is ``complete``.
    is_required
        Raise an error if `name` is None and some field has no score, because the totals then depend on the rule.

    Raises
    ------
    StudyError
        If the name is unknown, or if a rule is required and not named.
    """
    if name is not None:
        return get_rule(name)
    readings = [reading for of_case in released.readings.values() for reading in of_case.values()]
    readings += released.consensus.values()
    lacking = sum(1 for reading in readings if any(reading.score(field) is None for field in reading.fields))
    if lacking and is_required:
        raise StudyError(
            f"{lacking} of {len(readings)} readings have fields without a score, so totals need a rule",
            "--missing",
            "; ".join(f"{rule.name}: {rule.meaning}" for rule in RULES.values()),
        )
    return RULES["complete"]
