"""The table of models as it follows from their predictions and the exported scores, for `benchmarks.recompute`."""

from __future__ import annotations

import csv
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np

from benchmarks.recompute_tables import RESAMPLES, Cell, Rows, Sources, cell

__all__ = ["Predictions", "count_single", "model_rows", "read_predictions"]

Predictions = dict[str, dict[str, dict[tuple[str, str, int], float]]]
"""Mean predicted grades by model, case, and (scale, site, visit)."""


def read_predictions(path: Path) -> Predictions:
    """Return the mean grades of a CSV file with model, case, site, scale, time and the probabilities of the grades."""
    found: Predictions = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            mean = sum(grade * float(each) for grade, each in enumerate(row["probabilities"].split()))
            place = row["scale"], row["site"], int(row["time"])
            found.setdefault(row["model"], {}).setdefault(row["case"], {})[place] = mean
    return found


def model_rows(of: Sources) -> Rows:
    """Mean absolute errors of models, of no change, and differences of raters; the models do not list training cases."""
    return {
        (f"{model} *", scale): _row(of, by_case, scale)
        for model, by_case in (of.predictions or {}).items()
        for scale in of.exports.scales
    }


def count_single(of: Sources) -> int:
    """Return the number of scores that have no other of the same field that rater and model have, too."""
    return sum(
        len(known) == 1
        for by_case in (of.predictions or {}).values()
        for case, predicted in by_case.items()
        for rater in of.exports.raters.get(case, ())
        for scale in of.exports.scales
        for known in _known(of, case, rater, scale, predicted).values()
    )


def _known(
    of: Sources, case: str, rater: str, scale: str, predicted: dict[tuple[str, str, int], float]
) -> dict[str, list[tuple[float, float]]]:
    """Return (score, prediction) at the visits that have both, by site."""
    found: dict[str, list[tuple[float, float]]] = {}
    for (each, site, visit), score in sorted(of.exports.grades[case, rater].items()):
        if each == scale and score is not None and (each, site, visit) in predicted:
            found.setdefault(site, []).append((score, predicted[each, site, visit]))
    return found


def _row(of: Sources, by_case: dict[str, dict[tuple[str, str, int], float]], scale: str) -> list[Cell]:
    cases = [case for case in of.exports.raters if case in by_case]
    change: dict[str, list[float]] = {case: [] for case in cases}
    changed: dict[str, list[float]] = {case: [] for case in cases}
    status: dict[str, list[float]] = {case: [] for case in cases}
    moved: list[float] = []
    apart: list[float] = []
    apart_moved: list[float] = []
    for case in cases:
        seen: dict[str, dict[str, list[float]]] = {}
        for rater in of.exports.raters[case]:
            for site, known in _known(of, case, rater, scale, by_case[case]).items():
                status[case] += [abs(mean - score) for score, mean in known]
                steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(known)]
                seen.setdefault(site, {})[rater] = [step for step, _ in steps]
                moved += [abs(step) for step, _ in steps]
                change[case] += [abs(guess - step) for step, guess in steps]
                changed[case] += [abs(guess - step) for step, guess in steps if step]
        for a, b in combinations(of.exports.raters[case], 2):
            first, second = of.exports.grades[case, a], of.exports.grades[case, b]
            apart += [
                abs(score - other)
                for (each, site, visit), score in first.items()
                if each == scale and score is not None and (other := second.get((each, site, visit))) is not None
            ]
            for by_rater in seen.values():
                apart_moved += [abs(x - y) for x, y in zip(by_rater.get(a, ()), by_rater.get(b, ()), strict=False)]
    mean = of.formulas.mean
    return [
        cell("#", len(cases)), _estimate(of, change), cell("#", mean(moved)), cell("#", mean(apart_moved)),
        _estimate(of, changed), cell("#", mean([each for each in moved if each])),
        _estimate(of, status), cell("#", mean(apart)),
    ]  # fmt: skip


def _estimate(of: Sources, by_case: dict[str, list[float]]) -> Cell:
    """Return a mean with four numbers between which the limits of its bootstrapped interval must lie."""
    every = [value for values in by_case.values() for value in values]
    if not every:
        return cell("#", float("nan"))
    sums, counts = (np.array([measure(values) for values in by_case.values()], float) for measure in (sum, len))
    draws = np.random.default_rng(0).integers(0, len(sums), (RESAMPLES, len(sums)))
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    limits = np.quantile(means[np.isfinite(means)], [0.012, 0.042, 0.958, 0.988])
    return "# (# to #)", (of.formulas.mean(every), *map(float, limits))
