"""Agreement of a study's raters on status and change: by scale, by pair of raters and by site.

It uses released readings only. Totals follow the rule for fields without a score; single grades are compared in the
fields that all raters of the case have scored at all its time points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ratui.errors import StudyError
from ratui.results.bootstrap import Estimate, count_draws, draw_resamples
from ratui.results.quantities import Quantity
from ratui.results.released import ReleasedReadings
from ratui.results.repeatability import Repeatability, measure_repeatability
from ratui.results.scores import ReadingScores, collect_scores
from ratui.results.statistics import (
    BlandAltman,
    Floats,
    bland_altman,
    compute_finite_mean,
    contingency_tables,
    count_raters_of_mean,
    icc_agreement,
    icc_consistency,
    icc_one_way,
    mean_weighted_kappa,
    smallest_detectable_change,
)
from ratui.results.text_table import replace_nan
from ratui.results.totals import MissingRule, choose_rule
from ratui.study import Study
from ratui.study.readings.late_changes import LateChanges

__all__ = [
    "TOTAL",
    "Agreement",
    "DetectableChange",
    "PairLimits",
    "ScaleKappa",
    "SiteAgreement",
    "TotalAgreement",
    "compare_scores",
    "list_compared_cases",
    "measure_agreement",
]

TOTAL = "total"
"""Name of the total over all scales."""
_MIN_DAMAGED = 10
"""Minimum number of patients with damage at a site for which its kappa gets an interval."""


@dataclass(frozen=True)
class TotalAgreement:
    """Agreement on the patients' totals of one scale.

    `patients` have a total of each of their raters under the rule. `means` are the raters' mean totals, in their order;
    `deviation` is the standard deviation of the patients' mean totals, in points. `icc2` is ICC(2,1) and `icc3` is
    ICC(3,1); `icc1` is ICC(1,1), which is used instead if the raters have read different cases.
    """

    scale: str
    quantity: str
    patients: int
    means: tuple[float, ...]
    deviation: float
    icc2: Estimate
    icc3: Estimate
    icc1: Estimate


@dataclass(frozen=True)
class ScaleKappa:
    """Quadratic-weighted kappa of the grades of one scale at all time points.

    `mean` is the mean over pairs of raters, or the kappa of all pairs together if the raters have read different cases;
    `pairs` has the two raters' IDs and the kappa of each pair.
    """

    scale: str
    mean: Estimate
    pairs: tuple[tuple[str, str, Estimate], ...]


@dataclass(frozen=True)
class PairLimits:
    """Limits of agreement of two raters on a total: `first` minus `second`."""

    scale: str
    quantity: str
    first: str
    second: str
    limits: BlandAltman


@dataclass(frozen=True)
class DetectableChange:
    """Smallest detectable change of a total in points, for one rater and for the mean of the raters of a case."""

    scale: str
    quantity: str
    one: Estimate
    mean: Estimate


@dataclass(frozen=True)
class SiteAgreement:
    """Agreement of pairs of raters at one site on one scale.

    Attributes
    ----------
    site, scale
        Site key and scale.
    patients
        Number of patients compared.
    damaged
        Number of patients in whom any rater scored damage. Below ten, kappa has no interval, because a single patient
        would change it too much.
    pairs
        Number of pairs of grades compared: patients × pairs of raters × time points.
    exact, within_one
        Proportions of `pairs` with equal grades, and with grades at most one apart.
    kappa
        Mean quadratic-weighted kappa over pairs of raters.
    difference, change_difference
        Mean absolute difference of two raters' grades, and of their changes from the first to the last visit.
    any_change, all_change
        Number of patients in whom at least one rater, and all their raters, scored such a change.
    """

    site: str
    scale: str
    patients: int
    damaged: int
    pairs: int
    exact: float
    within_one: float
    kappa: Estimate
    difference: float
    change_difference: float
    any_change: int
    all_change: int


@dataclass(frozen=True)
class Agreement:
    """All statistics of a study's agreement.

    Attributes
    ----------
    title, scheme
        Titles of the study and of the scheme.
    raters, cases
        IDs of those compared.
    kept_back
        Number of cases that are not released or lack a reading.
    rule
        Rule for the totals of fields without a score.
    raters_per_case
        Number of raters of each case: all raters, or fewer if they have read different cases; a mean if it varies.
    is_crossed
        True if all raters have read all cases.
    compared, fields
        Mean number of fields per case that all its raters have scored, and number of fields of the scheme.
    totals, kappas, limits, detectable, sites
        The statistics.
    repeats
        Agreement of each rater with themselves; empty without repeated cases.
    late_changes
        Mark of each compared case with a late change, by `LateChanges.mark`.
    """

    title: str
    scheme: str
    raters: tuple[str, ...]
    cases: tuple[str, ...]
    kept_back: int
    rule: MissingRule
    raters_per_case: float
    is_crossed: bool
    compared: float
    fields: int
    totals: tuple[TotalAgreement, ...]
    kappas: tuple[ScaleKappa, ...]
    limits: tuple[PairLimits, ...]
    detectable: tuple[DetectableChange, ...]
    sites: tuple[SiteAgreement, ...]
    repeats: tuple[Repeatability, ...] = ()
    late_changes: Mapping[str, str] = field(default_factory=dict)

    def to_document(self) -> dict[str, Any]:
        """Return the statistics as plain values for JSON, with None for undefined numbers."""
        document: dict[str, Any] = replace_nan({**asdict(self), "rule": self.rule.name})
        return document


def measure_agreement(
    study: Study,
    released: ReleasedReadings,
    rule: MissingRule | None = None,
    *,
    seed: int = 0,
    late: LateChanges | None = None,
) -> tuple[Agreement, ReadingScores]:
    """Return the agreement of the raters of `released`, and the scores of the cases that were compared.

    Parameters
    ----------
    study, released
        The study and its released readings.
    rule
        Rule for the totals of fields without a score; if None, that of the charter, or any if no field lacks a score.
    seed
        Seed of the bootstrap.
    late
        Late changes of the study, with which the cases are marked; None for no marks.

    Raises
    ------
    StudyError
        If fewer than two raters or two cases can be compared, or if a rule is needed.
    """
    complete = list_compared_cases(released)
    if len(released.raters) < 2:
        raise StudyError("agreement needs two raters", study.path, "Name two or more, or have a second rater read")
    if len(complete) < 2:
        have = {0: "no case", 1: "one case"}[len(complete)]
        why = f"agreement needs two cases, and {have} has been signed by {', '.join(released.raters)}"
        remedy = (
            "Wait until two are signed"
            if released.interim
            else "Wait until every rater has signed two cases; the study's owner may use --interim"
        )
        if study.config.raters_per_case:
            remedy = f"Each case is read by {study.config.raters_per_case} raters: name some of them with --rater"
        raise StudyError(why, study.path, remedy)
    chosen = rule or choose_rule(released, None, study=study)
    scores = collect_scores(study, released, chosen).select_cases(complete)
    kept_back = len({*released.readings, *released.kept_back}) - len(complete)
    found = compare_scores(scores, study.config.title, kept_back=kept_back, seed=seed)
    marks = {case: mark for case in found.cases if late and (mark := late.mark(case, released.readings[case]))}
    return replace(found, repeats=measure_repeatability(study, released, chosen), late_changes=marks), scores


def list_compared_cases(released: ReleasedReadings) -> frozenset[str]:
    """Return the cases that all of their raters have signed, and at least two of the raters of `released`."""
    groups = released.complete_groups()
    return frozenset(case for raters, cases in groups.items() if len(raters) > 1 for case in cases)


def compare_scores(scores: ReadingScores, title: str, *, kept_back: int = 0, seed: int = 0) -> Agreement:
    """Return the agreement of `scores`.

    Parameters
    ----------
    scores
        Scores of at least two raters in each of at least two cases.
    title
        Title of the study.
    kept_back
        Number of cases left out, for display.
    seed
        Seed of the bootstrap.
    """
    resample_counts = count_draws(draw_resamples(len(scores.cases), np.random.default_rng(seed)))
    scheme = scores.scheme
    names: list[str | None] = [*scheme.scales] if len(scheme.scales) == 1 else [None, *scheme.scales]
    rows = [
        (scale, quantity, scores.complete_quantity(quantity, scale))
        for scale in names
        for quantity in scores.quantities
    ]
    return Agreement(
        title,
        scheme.title,
        scores.raters,
        scores.cases,
        kept_back,
        scores.rule,
        float(scores.is_read.sum(axis=1).mean()),
        bool(scores.is_read.all()),
        float(scores.common.sum(axis=1).mean()),
        len(scores.fields),
        tuple(_total_agreement(scale, quantity, values) for scale, quantity, values in rows),
        tuple(_scale_kappa(scores, scale, resample_counts) for scale in scheme.scales),
        tuple(each for row in rows for each in _pair_limits(scores, *row)),
        tuple(_detectable_change(*row) for row in rows if row[1].first is not None),
        tuple(
            _site_agreement(scores, place, resample_counts)
            for place in range(len(scores.fields))
            if scores.common[:, place].any()
        ),
    )


def _total_agreement(scale: str | None, quantity: Quantity, values: Floats) -> TotalAgreement:
    is_crossed, undefined = bool(np.isfinite(values).all()), Estimate(float("nan"))
    return TotalAgreement(
        scale or TOTAL,
        quantity.name,
        len(values),
        tuple(compute_finite_mean(each) for each in values.T),
        float(np.nanmean(values, axis=1).std(ddof=1)) if len(values) > 1 else float("nan"),
        icc_agreement(values) if is_crossed else undefined,
        icc_consistency(values) if is_crossed else undefined,
        icc_one_way(values) if not is_crossed else undefined,
    )


def _pair_limits(scores: ReadingScores, scale: str | None, quantity: Quantity, values: Floats) -> Sequence[PairLimits]:
    found = []
    for a, b in scores.pairs():
        both = values[np.isfinite(values[:, [a, b]]).all(axis=1)]
        if len(both) or scores.is_read[:, [a, b]].all(axis=1).any():
            limits = bland_altman(both[:, a], both[:, b])
            found.append(PairLimits(scale or TOTAL, quantity.name, scores.raters[a], scores.raters[b], limits))
    return found


def _detectable_change(scale: str | None, quantity: Quantity, changes: Floats) -> DetectableChange:
    return DetectableChange(
        scale or TOTAL,
        quantity.name,
        smallest_detectable_change(changes, 1),
        smallest_detectable_change(changes, count_raters_of_mean(changes)),
    )


def _scale_kappa(scores: ReadingScores, scale: str, resample_counts: Floats) -> ScaleKappa:
    tables = _contingency_tables(scores, scores.scale_mask(scale))
    pairs = [
        (scores.raters[a], scores.raters[b], mean_weighted_kappa(tables[place][None], resample_counts))
        for place, (a, b) in enumerate(scores.pairs())
        if tables[place].any()
    ]
    return ScaleKappa(scale, _mean_kappa(scores, tables, resample_counts), tuple(pairs))


def _mean_kappa(scores: ReadingScores, tables: Floats, resample_counts: Floats | None) -> Estimate:
    """Return the mean kappa over pairs; of all pairs in one table if they have read different cases, often few each."""
    crossed = bool(scores.is_read.all())
    return mean_weighted_kappa(tables if crossed else tables.sum(axis=0, keepdims=True), resample_counts)


def _contingency_tables(scores: ReadingScores, fields: npt.NDArray[np.bool_]) -> Floats:
    """Return tables of the common `fields` at all time points, shape (pairs, cases, grades, grades)."""
    scored = np.where(scores.common[:, None, fields, None], scores.values[:, :, fields], np.nan)
    patients = len(scores.cases)
    grades = 1 + max(
        scores.scheme.site(site).joint.max_grade(scale)
        for (site, scale), wanted in zip(scores.fields, fields, strict=True)
        if wanted
    )
    owner = np.broadcast_to(np.arange(patients)[:, None, None], scored[:, 0].shape).ravel()
    return np.stack(
        [
            contingency_tables(scored[:, a].ravel(), scored[:, b].ravel(), owner, patients, grades)
            for a, b in scores.pairs()
        ]
    )


def _site_agreement(scores: ReadingScores, place: int, resample_counts: Floats) -> SiteAgreement:
    site, scale = scores.fields[place]
    only = np.arange(len(scores.fields)) == place
    chosen = scores.common[:, place]
    values, is_read = scores.values[chosen, :, place], scores.is_read[chosen]
    damaged = int((values > 0).any(axis=(1, 2)).sum())
    kappa = _mean_kappa(scores, _contingency_tables(scores, only), resample_counts if damaged >= _MIN_DAMAGED else None)
    apart = np.stack([np.abs(values[:, a] - values[:, b]) for a, b in scores.pairs()])
    apart = apart[np.isfinite(apart)]
    changes = values[..., -1] - values[..., 0] if len(scores.visits) > 1 else np.full(values.shape[:2], np.nan)
    changes_apart = np.stack([np.abs(changes[:, a] - changes[:, b]) for a, b in scores.pairs()])
    moved = np.isfinite(changes) & (changes != 0)
    return SiteAgreement(
        site,
        scale,
        len(values),
        damaged,
        int(apart.size),
        float((apart == 0).mean()),
        float((apart <= 1).mean()),
        kappa,
        float(apart.mean()),
        compute_finite_mean(changes_apart),
        int(moved.any(axis=1).sum()),
        int((moved | ~is_read).all(axis=1).sum()),
    )
