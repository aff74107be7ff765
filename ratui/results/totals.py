"""Total scores under a named rule for fields without a score.

No rule is assumed without notice: each has a description, and every table and export states the rule next to its totals.
All totals of ratui come from `sum_scores` and `sum_changes`, so that no two tables can show different totals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.errors import StudyError, clean_text
from ratui.reading import Field, GradeEntry, NotAssessableEntry, Reading
from ratui.results.released import ReleasedReadings
from ratui.scheme import Scheme
from ratui.study import Study

__all__ = [
    "RULES",
    "SURGERY_REASONS",
    "FieldNames",
    "MissingRule",
    "TotalScore",
    "choose_rule",
    "compute_change",
    "compute_total",
    "describe_rule",
    "fill_scores",
    "get_rule",
    "list_fields",
    "score_field",
    "sum_changes",
    "sum_scores",
]

Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]
SURGERY_REASONS = frozenset({"replaced", "amputated", "fused"})
"""Ids of the reasons for a missing score after surgery, in the schemes of ratui."""
FieldNames: TypeAlias = Sequence[tuple[str, str]]
"""(site key, scale) of each field of an array, in its order."""


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

    Attributes
    ----------
    name, meaning
        Name for options and files, and description.
    compute
        Function that returns the totals of one scale, shape (..., raters, visits), NaN where the rule gives none. Its
        arguments are the scores, shape (..., raters, fields, visits), NaN where there is none; which fields the case
        has at which visit, in a shape that can be broadcast to it; and the highest grade of each field, shape (fields,).
    is_paired
        True if a change is summed over the fields that have a score at both visits; otherwise it is the later total
        minus the earlier one.
    """

    name: str
    meaning: str
    compute: Callable[[Floats, Bools, Floats], Floats]
    is_paired: bool = False


def _sum_known(values: Floats, counted: Bools) -> Floats:
    return np.asarray(np.where(counted, np.nan_to_num(values), 0.0).sum(axis=-2))


def _complete(values: Floats, exists: Bools, maxima: Floats) -> Floats:
    known = np.isfinite(values) & exists
    is_whole = (known == exists).all(axis=-2) & exists.any(axis=-2)
    return np.where(is_whole, _sum_known(values, known), np.nan)


def _observed(values: Floats, exists: Bools, maxima: Floats) -> Floats:
    known = np.isfinite(values) & exists
    return np.where(known.any(axis=-2), _sum_known(values, known), np.nan)


def _carried_over(values: Floats, exists: Bools, maxima: Floats) -> Floats:
    filled = np.where(exists, values, np.nan)
    visits = range(filled.shape[-1])
    for visit in visits[1:]:  # the visit before, which has been filled already
        filled[..., visit] = np.where(np.isnan(filled[..., visit]), filled[..., visit - 1], filled[..., visit])
    for visit in reversed(visits[:-1]):  # else the next one
        filled[..., visit] = np.where(np.isnan(filled[..., visit]), filled[..., visit + 1], filled[..., visit])
    return _complete(filled, exists, maxima)


def _prorated(values: Floats, exists: Bools, maxima: Floats) -> Floats:
    known = np.isfinite(values) & exists
    scored, fields = known.sum(axis=-2), np.broadcast_to(exists, values.shape).sum(axis=-2)
    highest = [np.where(each, maxima[:, None], 0.0).sum(axis=-2) for each in (exists, known)]
    with np.errstate(divide="ignore", invalid="ignore"):
        total = _sum_known(values, known) * highest[0] / highest[1]
    return np.where((2 * scored >= fields) & (scored > 0), total, np.nan)


def _common(values: Floats, exists: Bools, maxima: Floats) -> Floats:
    is_known = np.isfinite(values) | ~exists
    counted = is_known.all(axis=(-3, -1), keepdims=True) & exists
    return np.where(counted.any(axis=-2), _sum_known(values, counted), np.nan)


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
            "carried",
            "a field takes its score of the other time point, of several the one before; no total if none has a score",
            _carried_over,
        ),
        MissingRule(
            "prorated",
            "in proportion to the maximum of the scored fields, if at least half have a score; for each scale",
            _prorated,
        ),
        MissingRule(
            "common", "the sum of the fields that all raters of the case have scored at all its time points", _common
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


def describe_rule(rule: MissingRule, surgery: str = "scheme") -> str:
    """Return the sentences that state `rule` and the rule for joints after surgery (see `score_field`) below a table."""
    after = " After surgery (replaced, amputated, fused) a joint counts with the maximum of each scale."
    return f"Fields without a score: {rule.name}, {rule.meaning}.{after if surgery == 'maximum' else ''}"


def list_fields(scheme: Scheme) -> tuple[tuple[str, str], ...]:
    """Return (site key, scale) of each field of `scheme`, in reading order."""
    return tuple((site.key, scale) for site in scheme.sites for scale in site.joint.scales)


def _scale_parts(
    values: Floats, exists: Bools, fields: FieldNames, scheme: Scheme, scale: str | None
) -> list[tuple[Floats, Bools, Floats]]:
    """Return the arguments of a rule for each scale that counts."""
    scales = np.array([each for _, each in fields])
    maxima = np.array([scheme.site(site).joint.max_grade(each) for site, each in fields], dtype=np.float64)
    exists = np.broadcast_to(exists, values.shape)
    masks = [scales == each for each in (scheme.scales if scale is None else (scale,))]
    return [(values[..., mask, :], exists[..., mask, :], maxima[mask]) for mask in masks]


def sum_scores(
    values: Floats, exists: Bools, fields: FieldNames, scheme: Scheme, scale: str | None, rule: MissingRule
) -> Floats:
    """Return totals under `rule`.

    Parameters
    ----------
    values
        Scores, shape (..., raters, fields, visits), NaN where there is none.
    exists
        Fields that a rater had to score at a visit, in a shape that can be broadcast to that of `values`. A visit of
        which the case has no film has no field, as has a rater without a reading; a field without a film at one visit,
        but with films at others, counts as missing.
    fields, scheme
        Names of the fields, and the scheme that they belong to.
    scale
        The scale; None for the sum of the totals of all scales.

    Returns
    -------
    array
        Shape (..., raters, visits); NaN where the rule gives no total, for one of the scales if `scale` is None.
    """
    parts = _scale_parts(values, exists, fields, scheme, scale)
    # Scale by scale, because proration depends on the maximum of each scale.
    totals = np.stack([rule.compute(*part) for part in parts])
    has_fields = np.stack([part[1].any(axis=-2) for part in parts])
    return np.asarray(np.where(has_fields.any(axis=0), np.where(has_fields, totals, 0.0).sum(axis=0), np.nan))


def sum_changes(
    values: Floats,
    exists: Bools,
    fields: FieldNames,
    scheme: Scheme,
    scale: str | None,
    rule: MissingRule,
    visits: tuple[int, int],
) -> Floats:
    """Return changes of totals under `rule` between two visits, given as indices into the last axis.

    The other parameters are as in `sum_scores`; the shape is (..., raters).
    """
    first, last = visits
    if not rule.is_paired:
        totals = sum_scores(values, exists, fields, scheme, scale, rule)
        return np.asarray(totals[..., last] - totals[..., first])
    changes = []
    for scores, _, _ in _scale_parts(values, exists, fields, scheme, scale):
        apart = scores[..., last] - scores[..., first]
        known = np.isfinite(apart)
        changes.append(np.where(known.any(axis=-1), np.where(known, apart, 0.0).sum(axis=-1), np.nan))
    every = np.stack(changes)
    known = np.isfinite(every)
    return np.asarray(np.where(known.any(axis=0), np.where(known, every, 0.0).sum(axis=0), np.nan))


def score_field(reading: Reading, field: Field, surgery: str = "scheme") -> int | None:
    """Return the score with which `field` enters totals; None if it has none.

    With `surgery` as ``maximum``, a joint that was replaced, amputated or fused by surgery has the maximum of the scale;
    otherwise the score of the scheme counts.
    """
    match reading.values.get(field):
        case NotAssessableEntry(reason) if surgery == "maximum" and reason in SURGERY_REASONS:
            return reading.site(field.site).joint.max_grade(field.scale)
    return reading.score(field)


def fill_scores(
    reading: Reading,
    places: Mapping[tuple[str, str], int],
    visits: Sequence[int],
    out: Floats,
    surgery: str = "scheme",
) -> None:
    """Enter the scores of `reading` into `out`, shape (fields, visits).

    Parameters
    ----------
    reading
        The reading.
    places
        Index of each (site key, scale) into the first axis.
    visits
        Index of each time point of the reading into the second axis.
    out
        The array to fill; fields without a score are left as they are.
    surgery
        Rule for joints after surgery, see `score_field`.
    """
    rows, columns, scores = [], [], []
    for field, entry in reading.values.items():
        # Nearly all entries are grades, and a study has millions of them.
        score = entry.grade if type(entry) is GradeEntry else score_field(reading, field, surgery)
        if score is not None:
            rows.append(places[field[:2]])
            columns.append(visits[field[2]])
            scores.append(score)
    out[rows, columns] = scores


def _one_reading(reading: Reading) -> tuple[Floats, Bools, FieldNames]:
    """Return scores, shape (1, fields, time points), fields that exist, and their names."""
    fields = tuple(dict.fromkeys((field.site, field.scale) for field in reading.fields))
    times = sorted(reading.order)
    values = np.full((1, len(fields), len(times)), np.nan)
    fill_scores(reading, {name: place for place, name in enumerate(fields)}, times, values[0])
    return values, np.ones_like(values, dtype=np.bool_), fields


def compute_total(reading: Reading, time: int, scale: str | None, rule: MissingRule) -> TotalScore:
    """Return the total of one reading at time point `time`, counted from 0.

    `scale` selects one scale; with None the totals of all scales are added. The rule ``common`` then counts the fields
    that this reading has scored at all time points.
    """
    values, exists, fields = _one_reading(reading)
    counts = np.array([scale in (None, each) for _, each in fields], dtype=np.bool_)
    total = float(sum_scores(values, exists, fields, reading.scheme, scale, rule)[0, time]) if counts.any() else np.nan
    assessed = int(np.isfinite(values[0, counts, time]).sum())
    return TotalScore(None if np.isnan(total) else total, assessed, int(counts.sum()))


def compute_change(reading: Reading, scale: str | None, rule: MissingRule) -> float | None:
    """Return the change of the total of one reading from its first to its last time point; None if the rule gives none."""
    values, exists, fields = _one_reading(reading)
    visits = 0, values.shape[-1] - 1
    change = float(sum_changes(values, exists, fields, reading.scheme, scale, rule, visits)[0])
    return None if np.isnan(change) else change


def choose_rule(
    released: ReleasedReadings, name: str | None, *, study: Study | None = None, is_required: bool = True
) -> MissingRule:
    """Return the rule for the totals of the readings in `released`.

    Parameters
    ----------
    released
        The readings whose totals are needed.
    name
        Name of a rule. If None, the rule of the study's charter counts, or else ``complete``.
    study
        The study, whose charter may name a rule.
    is_required
        Raise an error if no rule is named and some field has no score, because the totals then depend on the rule.

    Raises
    ------
    StudyError
        If the name is unknown, or if a rule is required and not named.
    """
    name = name or ("" if study is None else study.config.charter.missing)
    if name:
        return get_rule(name)
    readings = [reading for of_case in released.readings.values() for reading in of_case.values()]
    readings += released.consensus.values()
    surgery = "scheme" if study is None else study.config.charter.surgery
    lacking = sum(1 for reading in readings if _lacks_scores(reading, surgery))
    if lacking and is_required:
        raise StudyError(
            f"{lacking} of {len(readings)} readings have fields without a score, so totals need a rule",
            "--missing",
            f"Choose one of {', '.join(RULES)}. They are explained in: ratui export --help",
        )
    return RULES["complete"]


def _lacks_scores(reading: Reading, surgery: str) -> bool:
    if reading.unfilmed or len(reading.values) < len(reading.fields):
        return True
    # Nearly all entries are grades.
    return any(
        not isinstance(entry, GradeEntry) and score_field(reading, field, surgery) is None
        for field, entry in reading.values.items()
    )
