"""What the scorer is worth against raters' signed readings: differences, scores, calibration, and its worst joints.

A score counts where no finding fixes it at either time point, as in the source. Nothing is left out for being bad.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from trainer.data.pairs import PairSamples
from trainer.evaluation.metrics import RESAMPLES, Figure, Floats, bootstrap
from trainer.inference.decisions import Decided, change_chances, decide, doubt, expected, of_time

__all__ = ["Calibration", "Judged", "Worst", "by_doubt", "calibration", "judged", "rank", "scoring", "worst"]

_BINS = 10


@dataclass(frozen=True)
class Judged:
    """One scale's answers beside its labels, one row for each joint and rater whose label counts.

    `row` (M,) is the joint's place in the samples; `label` (M, 2), `said` the decision, `mean` (M, 2) unrounded, `pair`
    (M, G, G) the chances, `owner` the cases.
    """

    scale: str
    row: npt.NDArray[np.int64]
    owner: tuple[str, ...]
    label: Floats
    said: Decided
    mean: Floats
    pair: Floats
    all_labels: Floats

    @property
    def change(self) -> Floats:
        """The change that was read, (M,)."""
        return np.asarray(self.label[:, 1] - self.label[:, 0])

    @property
    def errors(self) -> Floats:
        """Errors of the decided difference, said less read, (M,)."""
        return np.asarray(self.said.change - self.change)


@dataclass(frozen=True)
class Calibration:
    """How often the model was right, by how sure it was: `sure` and `right` by bin, `count` of answers, and the mean gap.

    `what` says of which answers: ``score`` of one time point, or ``change``.
    """

    what: str
    sure: tuple[float, ...]
    right: tuple[float, ...]
    count: tuple[int, ...]
    error: Figure


@dataclass(frozen=True)
class Worst:
    """A joint where the model was far off: what the raters read at both time points, and what it said."""

    case: str
    site: str
    row: int
    read: tuple[tuple[int, int], ...]
    said: tuple[int, int]
    change: int
    doubt: float


def judged(pairs: PairSamples, chances: Floats, scale: int, decision: str) -> Judged:
    """The answers of one scale beside every label that counts: both given, and no finding at either time point."""
    labels = pairs.labels[:, :, scale].astype(np.float64)
    counts = np.asarray((labels >= 0).all(axis=2) & ~pairs.found.any(axis=2))
    rows, raters = np.nonzero(counts)
    said = decide(decision, chances)
    return Judged(
        pairs.scales[scale],
        rows,
        tuple(pairs.cases[row] for row in rows),
        labels[rows, raters],
        Decided(said.grades[rows], said.change[rows]),
        expected(chances)[rows],
        chances[rows],
        np.where(counts[..., None], labels, np.nan),
    )


def scoring(answers: Judged, rng: np.random.Generator) -> tuple[list[Figure], list[Figure]]:
    """The figures of one scale: those that the source has (the difference's error, changes of the wrong sign), and more."""
    name, change, owner = answers.scale, answers.change, answers.owner
    source = name == "ERO"
    error = np.abs(answers.errors)
    raw = np.abs(answers.mean[:, 1] - answers.mean[:, 0] - change)
    status = np.abs(answers.said.grades - answers.label).mean(axis=1)
    usual = np.median(answers.label, axis=0)
    changed = change != 0
    still = float(np.abs(change).mean())
    raters_change, raters_status = _raters(answers.all_labels)

    def figure(what: str, values: Floats, better: str = "lower", **facts: Any) -> Figure:
        value, low, high = bootstrap(np.asarray(values, np.float64), owner, rng)
        return Figure(f"{name}, {what}", value, low, high, better, **facts)

    no_change: dict[str, Any] = {"baseline_name": "no change"}
    headline = [
        figure(
            "mean error of the difference",
            error,
            baseline=still,
            raters=raters_change,
            paper=0.412 if source else None,
            note="in whole grades, as they would be stored",
            **no_change,
        ),
        figure(
            "improvement taken for worsening or the reverse",
            (answers.said.change * change < 0).astype(float),
            unit="%",
            baseline=0.0,
            paper=0.0 if source else None,
            note="of all pairs",
            **no_change,
        ),
    ]
    worse = change > 0
    more = [
        figure("mean error of the difference, not rounded", raw, baseline=still, raters=raters_change, **no_change),
        figure(
            "mean error of the difference where a change was read",
            np.where(changed, error, np.nan),
            baseline=float(np.abs(change[changed]).mean()) if changed.any() else None,
            **no_change,
        ),
        figure(
            "mean error of the difference where no change was read",
            np.where(changed, np.nan, error),
            baseline=0.0,
            **no_change,
        ),
        figure(
            "worsening that was read and seen",
            np.where(worse, answers.said.change > 0, np.nan),
            "higher",
            unit="%",
            baseline=0.0,
            **no_change,
        ),
        figure(
            "mean error of the score of one time point",
            status,
            baseline=float(np.abs(answers.label - usual).mean()),
            baseline_name="always the median",
            raters=raters_status,
        ),
    ]
    return headline, more


def rank(pairs: PairSamples, answers: Judged, chances: Floats, rng: np.random.Generator) -> Figure:
    """How well patients are ordered by their total change, which is what a trial reads."""
    labels, mean = answers.all_labels, expected(chances)
    known = np.isfinite(labels).all(axis=2)
    safe = np.where(np.isfinite(labels), labels, 0.0)
    count = known.sum(axis=1)
    change = (np.where(known, safe[..., 1] - safe[..., 0], 0.0).sum(axis=1)) / np.maximum(count, 1)
    said = np.where(count > 0, mean[:, 1] - mean[:, 0], 0.0)
    ids = np.array(pairs.cases)
    totals = np.array([[change[ids == case].sum(), said[ids == case].sum()] for case in np.unique(ids)])
    draws = rng.integers(0, len(totals), (RESAMPLES, len(totals)))
    values = [_spearman(totals[draw]) for draw in draws]
    low, high = np.nanpercentile(values, [2.5, 97.5]) if np.isfinite(values).any() else (np.nan, np.nan)
    name = f"{answers.scale}, rank correlation of the patients' total change"
    return Figure(name, _spearman(totals), float(low), float(high), "higher", baseline=0.0, baseline_name="no change")


def calibration(answers: Judged, what: str, rng: np.random.Generator) -> Calibration:
    """How sure the model is of what it says, beside how often raters say the same; `what` is ``score`` or ``change``.

    The expected calibration error is the gap between the two, weighed by how many answers are so sure.
    """
    if what == "score":
        chances = of_time(answers.pair).reshape(-1, answers.pair.shape[1])
        said, read = answers.said.grades.ravel(), answers.label.ravel()
        owner = np.repeat(np.array(answers.owner), 2)
    else:
        offset = answers.pair.shape[1] - 1
        chances, said = change_chances(answers.pair), answers.said.change + offset
        read, owner = answers.change + offset, np.array(answers.owner)
    sure = chances[np.arange(len(said)), said]
    right = (said == read).astype(np.float64)
    place = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    ids, index = np.unique(owner, return_inverse=True)
    shape = (len(ids), _BINS)
    gaps = np.zeros(shape)
    counts = np.zeros(shape)
    np.add.at(gaps, (index, place), right - sure)
    np.add.at(counts, (index, place), 1.0)
    draws = rng.integers(0, len(ids), (RESAMPLES, len(ids)))
    drawn = np.abs(gaps[draws].sum(axis=1)).sum(axis=1) / counts[draws].sum(axis=(1, 2))
    low, high = np.percentile(drawn, [2.5, 97.5])
    value = float(np.abs(gaps.sum(axis=0)).sum() / counts.sum())
    filled = counts.sum(axis=0) > 0
    name = f"{answers.scale}, expected calibration error of the {what}"
    figure = Figure(name, value, float(low), float(high), "lower", note="how sure less how often right")
    whole = counts.sum(axis=0)[filled]
    says, is_right = (tuple((np.bincount(place, v, _BINS)[filled] / whole).tolist()) for v in (sure, right))
    return Calibration(what, says, is_right, tuple(int(n) for n in whole), figure)


def by_doubt(answers: Judged, rng: np.random.Generator) -> tuple[Figure, ...]:
    """The error of the difference in each quarter of the answers, from the least doubted to the most."""
    doubted = doubt(answers.pair, answers.said.change)
    order = np.argsort(doubted, kind="stable")
    quarter = np.empty(len(order), int)
    quarter[order] = np.arange(len(order)) * 4 // max(len(order), 1)
    found = []
    for number, word in enumerate(("least", "second", "third", "most")):
        there = np.where(quarter == number, np.abs(answers.errors), np.nan)
        value, low, high = bootstrap(there, answers.owner, rng)
        expects = float(doubted[quarter == number].mean()) if (quarter == number).any() else None
        name = f"{answers.scale}, error of the difference in the {word} doubted quarter"
        found.append(Figure(name, value, low, high, "lower", baseline=expects, baseline_name="as the model expects"))
    return tuple(found)


def worst(pairs: PairSamples, answers: Judged, count: int = 6) -> tuple[Worst, ...]:
    """The joints whose change was most wrongly decided, by the median rater; of equal ones the surest come first."""
    rows = np.unique(answers.row)
    first = {int(row): place for place, row in reversed(list(enumerate(answers.row)))}
    doubted = doubt(answers.pair, answers.said.change)
    ranked = []
    for row in rows:
        labels = answers.all_labels[row]
        labels = labels[np.isfinite(labels).all(axis=1)].astype(int)
        place = first[int(row)]
        said = int(answers.said.change[place])
        error = abs(said - float(np.median(labels[:, 1] - labels[:, 0])))
        ranked.append((-error, float(doubted[place]), int(row), labels, place))
    ranked.sort(key=lambda item: item[:3])
    return tuple(
        Worst(
            pairs.cases[row],
            pairs.sites[row],
            row,
            tuple((int(a), int(b)) for a, b in labels),
            (int(answers.said.grades[place, 0]), int(answers.said.grades[place, 1])),
            int(answers.said.change[place]),
            round(doubt_, 3),
        )
        for _, doubt_, row, labels, place in ranked[:count]
    )


def _spearman(totals: Floats) -> float:
    if len(totals) < 3 or np.ptp(totals[:, 0]) == 0 or np.ptp(totals[:, 1]) == 0:
        return float("nan")
    return float(spearmanr(totals[:, 0], totals[:, 1]).statistic)


def _raters(labels: Floats) -> tuple[float | None, float | None]:
    """The mean absolute disagreement of two raters, of the change and of the score; None with a single rater."""
    change, status = [], []
    for a, b in combinations(range(labels.shape[1]), 2):
        both = np.isfinite(labels[:, a]).all(axis=1) & np.isfinite(labels[:, b]).all(axis=1)
        one, two = labels[both, a], labels[both, b]
        change += list(np.abs((one[:, 1] - one[:, 0]) - (two[:, 1] - two[:, 0])))
        status += list(np.abs(one - two).mean(axis=1))
    return (float(np.mean(change)), float(np.mean(status))) if change else (None, None)
