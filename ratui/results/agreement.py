"""Agreement of a study's raters on status and change: by scale, by pair of raters and by site.

It uses released readings only, and compares only fields that all raters have scored at both time points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.errors import StudyError
from ratui.results.bootstrap import Estimate, count_draws, draw_resamples
from ratui.results.released import ReleasedReadings
from ratui.results.scores import ReadingScores, collect_scores
from ratui.results.statistics import (
    BlandAltman,
    bland_altman,
    contingency_tables,
    icc_agreement,
    icc_consistency,
    mean_weighted_kappa,
    smallest_detectable_change,
)
from ratui.study import Study

__all__ = [
    "TOTAL",
    "Agreement",
    "DetectableChange",
    "PairLimits",
    "Quantity",
    "ScaleKappa",
    "SiteAgreement",
    "TotalAgreement",
    "compare_scores",
    "measure_agreement",
    "replace_nan",
    "select_quantity",
]

Quantity: TypeAlias = Literal["earlier", "later", "change"]
QUANTITIES: tuple[Quantity, ...] = ("earlier", "later", "change")
"""Scores of the earlier and the later time point, and the change between them."""
TOTAL = "total"
"""Name of the total over all scales."""
_MIN_DAMAGED = 10
"""Minimum number of patients with damage at a site for which its kappa gets an interval."""


@dataclass(frozen=True)
class TotalAgreement:
    """Agreement on the patients' totals of one scale.

    `means` are the raters' mean totals, in their order; `deviation` is the standard deviation of the patients' mean
    totals, in points. `icc2` is ICC(2,1), `icc3` is ICC(3,1).
    """

    scale: str
    quantity: Quantity
    means: tuple[float, ...]
    deviation: float
    icc2: Estimate
    icc3: Estimate


@dataclass(frozen=True)
class ScaleKappa:
    """Quadratic-weighted kappa of the grades of one scale at both time points.

    `mean` is the mean over pairs of raters; `pairs` has the two raters' IDs and the kappa of each pair.
    """

    scale: str
    mean: Estimate
    pairs: tuple[tuple[str, str, Estimate], ...]


@dataclass(frozen=True)
class PairLimits:
    """Limits of agreement of two raters on a total: `first` minus `second`."""

    scale: str
    quantity: Quantity
    first: str
    second: str
    limits: BlandAltman


@dataclass(frozen=True)
class DetectableChange:
    """Smallest detectable change of a total in points, for one rater and for the mean of all raters."""

    scale: str
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
        Number of pairs of grades compared: patients × pairs of raters × 2 time points.
    exact, within_one
        Proportions of `pairs` with equal grades, and with grades at most one apart.
    kappa
        Mean quadratic-weighted kappa over pairs of raters.
    difference, change_difference
        Mean absolute difference of two raters' grades, and of their changes.
    any_change, all_change
        Number of patients in whom at least one rater, and all raters, scored a change.
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

    `compared` is the mean number of fields per patient that all raters have scored, out of `fields`. `kept_back` is the
    number of cases that are not released or lack a reading.
    """

    title: str
    scheme: str
    raters: tuple[str, ...]
    cases: tuple[str, ...]
    kept_back: int
    compared: float
    fields: int
    totals: tuple[TotalAgreement, ...]
    kappas: tuple[ScaleKappa, ...]
    limits: tuple[PairLimits, ...]
    detectable: tuple[DetectableChange, ...]
    sites: tuple[SiteAgreement, ...]

    def to_document(self) -> dict[str, Any]:
        """Return the statistics as plain values for JSON, with None for undefined numbers."""
        document: dict[str, Any] = replace_nan(asdict(self))
        return document


def replace_nan(value: Any) -> Any:
    """Return `value`, made of plain values, with None in place of every number that is not finite."""
    if isinstance(value, dict):
        return {key: replace_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [replace_nan(each) for each in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value


def measure_agreement(study: Study, released: ReleasedReadings, *, seed: int = 0) -> tuple[Agreement, ReadingScores]:
    """Return the agreement of the raters of `released`, and the scores it was computed from.

    `seed` initialises the bootstrap. Raises StudyError if fewer than two raters or two cases can be compared.
    """
    complete = released.complete_cases()
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
    scores = collect_scores(study.scheme, complete, released.raters)
    scored = len(study.cases()) - len(complete)
    return compare_scores(scores, study.config.title, kept_back=scored, seed=seed), scores


def compare_scores(scores: ReadingScores, title: str, *, kept_back: int = 0, seed: int = 0) -> Agreement:
    """Return the agreement of `scores`.

    Parameters
    ----------
    scores
        Scores of at least two raters in at least two cases.
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
    return Agreement(
        title,
        scheme.title,
        scores.raters,
        scores.cases,
        kept_back,
        float(scores.common.sum(axis=1).mean()),
        len(scores.fields),
        tuple(_total_agreement(scores, scale, quantity) for scale in names for quantity in QUANTITIES),
        tuple(_scale_kappa(scores, scale, resample_counts) for scale in scheme.scales),
        tuple(each for scale in names for quantity in QUANTITIES for each in _pair_limits(scores, scale, quantity)),
        tuple(_detectable_change(scores, scale) for scale in names),
        tuple(
            _site_agreement(scores, place, resample_counts)
            for place in range(len(scores.fields))
            if scores.common[:, place].any()
        ),
    )


def select_quantity(totals: npt.NDArray[np.float64], quantity: Quantity) -> npt.NDArray[np.float64]:
    """Return one quantity of `totals`: from shape (cases, raters, 2) to (cases, raters)."""
    if quantity == "change":
        return np.asarray(totals[..., 1] - totals[..., 0])
    return np.asarray(totals[..., 0 if quantity == "earlier" else 1])


def _total_agreement(scores: ReadingScores, scale: str | None, quantity: Quantity) -> TotalAgreement:
    values = select_quantity(scores.totals(scale), quantity)
    return TotalAgreement(
        scale or TOTAL,
        quantity,
        tuple(float(mean) for mean in values.mean(axis=0)),
        float(values.mean(axis=1).std(ddof=1)),
        icc_agreement(values),
        icc_consistency(values),
    )


def _pair_limits(scores: ReadingScores, scale: str | None, quantity: Quantity) -> Sequence[PairLimits]:
    values = select_quantity(scores.totals(scale), quantity)
    return [
        PairLimits(
            scale or TOTAL, quantity, scores.raters[a], scores.raters[b], bland_altman(values[:, a], values[:, b])
        )
        for a, b in scores.pairs()
    ]


def _detectable_change(scores: ReadingScores, scale: str | None) -> DetectableChange:
    changes = select_quantity(scores.totals(scale), "change")
    raters = len(scores.raters)
    return DetectableChange(
        scale or TOTAL, smallest_detectable_change(changes, 1), smallest_detectable_change(changes, raters)
    )


def _scale_kappa(scores: ReadingScores, scale: str, resample_counts: npt.NDArray[np.float64]) -> ScaleKappa:
    tables = _contingency_tables(scores, scores.scale_mask(scale))
    pairs = [
        (scores.raters[a], scores.raters[b], mean_weighted_kappa(tables[place][None], resample_counts))
        for place, (a, b) in enumerate(scores.pairs())
    ]
    return ScaleKappa(scale, mean_weighted_kappa(tables, resample_counts), tuple(pairs))


def _contingency_tables(scores: ReadingScores, fields: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return tables of the common `fields` at both time points, shape (pairs, cases, grades, grades)."""
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


def _site_agreement(scores: ReadingScores, place: int, resample_counts: npt.NDArray[np.float64]) -> SiteAgreement:
    site, scale = scores.fields[place]
    only = np.arange(len(scores.fields)) == place
    values = scores.values[scores.common[:, place], :, place]
    damaged = int((values > 0).any(axis=(1, 2)).sum())
    kappa = mean_weighted_kappa(_contingency_tables(scores, only), resample_counts if damaged >= _MIN_DAMAGED else None)
    apart = np.stack([np.abs(values[:, a] - values[:, b]) for a, b in scores.pairs()])
    changes = values[..., 1] - values[..., 0]
    changes_apart = np.stack([np.abs(changes[:, a] - changes[:, b]) for a, b in scores.pairs()])
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
        float(changes_apart.mean()),
        int((changes != 0).any(axis=1).sum()),
        int((changes != 0).all(axis=1).sum()),
    )
