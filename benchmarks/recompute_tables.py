"""The tables of a report as they follow from the exported CSV files, for `benchmarks.recompute`.

Each function returns the expected rows of one table: by the cells that name the row, the cells of the other columns. It
follows ``docs/report-figures.md`` and the notes below the tables, not ratui's source.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from benchmarks.recompute_exports import NAN, Exports, Quantity
from benchmarks.recompute_formulas import Floats, Formulas, Interval, kappa_of

__all__ = ["RESAMPLES", "TABLES", "Cell", "Chart", "Rows", "Sources", "cell", "control_chart", "sites"]

Cell = tuple[str, tuple[float, ...]]
"""Text of a cell with ``#`` for each number, and the numbers."""
Rows = dict[tuple[str, ...], list[Cell]]
RESAMPLES = 2000
LEAST_REPEATS = 8


class Sources:
    """Exports, formulas, and what the report states of its choices."""

    def __init__(
        self,
        exports: Exports,
        formulas: Formulas,
        raters: Sequence[str],
        threshold: float,
        cases: int,
        settings: dict[str, Any] | None = None,
        predictions: dict[str, dict[str, dict[tuple[str, str, int], float]]] | None = None,
    ) -> None:
        """Keep the `raters` in the order of the report, the `threshold` of disputes in points, and the number of cases.

        `settings` are those of ``study.toml``, if they are known, and `predictions` the mean grades of models, by model,
        case, and (scale, site, visit).
        """
        self.stated_cases, self.settings, self.predictions = cases, settings, predictions
        self.exports, self.formulas, self.threshold = exports, formulas, threshold
        self.listed = list(raters)
        self.raters = [rater for rater in raters if rater in exports.all_raters]

    def value(self, case: str, reader: str, scale: str, quantity: Quantity) -> float:
        """Return a total of one reading."""
        return self.exports.of(case, reader).value(scale, quantity)

    def by_consensus(self) -> set[str]:
        """Return the cases whose final score is the consensus."""
        if not self.exports.final[0]["final_rule"].startswith("consensus"):
            return set()
        return {case for case in self.exports.raters if (case, "consensus") in self.exports.grades}

    def groups(self, scale: str, quantity: Quantity) -> list[list[float]]:
        """Return the raters' values of each case of which all its raters have one."""
        found = [
            [self.value(case, rater, scale, quantity) for rater in self.raters if rater in self.exports.raters[case]]
            for case in self.exports.cases
        ]
        return [group for group in found if not any(map(math.isnan, group))]

    def pairs(self, scale: str, quantity: Quantity, a: str, b: str) -> list[tuple[float, float]] | None:
        """Return the values of two raters in the cases of which all raters have one; None if they share no case."""
        cases = [case for case in self.exports.cases if {a, b} <= set(self.exports.raters[case])]
        found = {
            case: [self.value(case, rater, scale, quantity) for rater in self.exports.raters[case]] for case in cases
        }
        whole = [case for case, values in found.items() if not any(map(math.isnan, values))]
        both = [(self.value(case, a, scale, quantity), self.value(case, b, scale, quantity)) for case in whole]
        return both if cases else None

    def harmonic(self) -> float:
        """Return the harmonic mean number of raters of a case."""
        sizes = [len(self.exports.raters[case]) for case in self.exports.cases]
        return len(sizes) / sum(1 / size for size in sizes) if sizes else NAN

    def error(self, scale: str, quantity: Quantity) -> tuple[float, int]:
        """Return the error variance of one rater and its degrees of freedom."""
        groups = self.groups(scale, quantity)
        if not groups:
            return NAN, 0
        if self.exports.crossed:
            return self.formulas.two_way(groups)[2:]
        return self.formulas.one_way(groups)[1:]

    def grade_pairs(self, case: str, a: str, b: str) -> Iterator[tuple[str, str, int, int, int]]:
        """Yield scale, site, visit and both grades of the fields that all raters of the case have scored at all visits."""
        sites = self.exports.common_sites(case, self.exports.raters[case])
        first, second = self.exports.grades[case, a], self.exports.grades[case, b]
        for (scale, site, visit), score in first.items():
            if (scale, site) in sites:
                other = second[scale, site, visit]
                assert score is not None
                assert other is not None
                yield scale, site, visit, int(score), int(other)

    def rater_pairs(self) -> dict[tuple[str, str], list[str]]:
        """Return the common cases of each pair of raters that has some."""
        found = {
            (a, b): [case for case in self.exports.cases if {a, b} <= set(self.exports.raters[case])]
            for a, b in combinations(self.raters, 2)
        }
        return {pair: cases for pair, cases in found.items() if cases}


def cell(template: str, *values: float) -> Cell:
    """Return a cell of `template`, a dash if a value is missing."""
    return ("–", ()) if any(map(math.isnan, values)) else (template, values)


def text(words: str) -> Cell:
    """Return a cell of words, with their numbers."""
    return words, ()


def with_interval(found: Interval) -> Cell:
    """Return a cell of an estimate with its interval, if it has one."""
    return cell("#", found[0]) if any(map(math.isnan, found[1:])) else cell("# (# to #)", *found)


def status_and_change(of: Sources) -> Rows:
    """Intraclass correlations of the totals."""
    rows: Rows = {}
    for scale in of.exports.all_scales:
        for quantity in of.exports.quantities:
            groups = of.groups(scale, quantity)
            sd = of.formulas.sd([of.formulas.mean(group) for group in groups])
            if of.exports.crossed:
                correlations = list(of.formulas.two_way(groups)[:2]) if groups else [(NAN, NAN, NAN)] * 2
            else:
                correlations = [of.formulas.one_way(groups)[0] if groups else (NAN, NAN, NAN)]
            rows[scale, quantity.name] = [cell("#", len(groups)), cell("#", sd), *map(with_interval, correlations)]
    return rows


def kappa(of: Sources) -> Rows:
    """Weighted kappa of single grades: of all pairs and of each pair of raters."""
    rows: Rows = {}
    pairs = of.rater_pairs()
    for scale in of.exports.scales:
        tables = {pair: _tables(of, scale, pair, cases) for pair, cases in pairs.items()}
        rows[scale, "all pairs"] = [_kappa_cell(of, tables)]
        if len(pairs) > 1:
            for (a, b), found in tables.items():
                rows[scale, f"{a} · {b}"] = [_kappa_cell(of, {(a, b): found})]
    return rows


def _tables(of: Sources, scale: str, pair: tuple[str, str], cases: list[str], site: str = "") -> dict[str, Floats]:
    size = 1 + int(
        max(top for (each, place), top in of.exports.maxima.items() if each == scale and site in ("", place))
    )
    found = {}
    for case in cases:
        table = np.zeros((size, size))
        for each, place, _, first, second in of.grade_pairs(case, *pair):
            if each == scale and site in ("", place):
                table[first, second] += 1
        found[case] = table
    return found


def _kappa_cell(of: Sources, tables: dict[tuple[str, str], dict[str, Floats]], interval: bool = True) -> Cell:
    """Return a cell of kappa with four more numbers if it has an interval: between which each of its limits must lie.

    Percentiles of 2000 resamples vary by chance; those of another 2000 almost surely lie between the neighbouring ones.
    """
    value = _combine(of, [sum(found.values(), np.zeros(())) for found in tables.values()], of.formulas.kappa)
    rated = {case for found in tables.values() for case, table in found.items() if table.any()}
    if math.isnan(value) or not interval or len(rated) < 2:
        return cell("#", value)
    cases = of.exports.cases
    draws = np.random.default_rng(0).integers(0, len(cases), (RESAMPLES, len(cases)))
    counts = np.stack([np.bincount(draw, minlength=len(cases)) for draw in draws])
    size = next(iter(next(iter(tables.values())).values())).shape
    every = [np.stack([found.get(case, np.zeros(size)) for case in cases]) for found in tables.values()]
    drawn = [np.tensordot(counts, each, axes=1) for each in every]
    kappas = [_combine(of, [pair[number] for pair in drawn], kappa_of) for number in range(RESAMPLES)]
    kept = [each for each in kappas if not math.isnan(each)]
    return "# (# to #)", (value, *map(float, np.quantile(kept, [0.012, 0.042, 0.958, 0.988])))


def _combine(of: Sources, tables: list[Floats], measure: Callable[[Floats], float]) -> float:
    if not of.exports.crossed:
        return measure(sum(tables[1:], tables[0]))
    values = [value for table in tables if not math.isnan(value := measure(table))]
    return float(np.mean(values)) if values else NAN


def limits(of: Sources) -> Rows:
    """Limits of agreement of each pair of raters."""
    rows: Rows = {}
    for scale in of.exports.all_scales:
        for quantity in of.exports.quantities:
            for a, b in of.rater_pairs():
                kept = [one - two for one, two in of.pairs(scale, quantity, a, b) or ()]
                low, high = of.formulas.limits(kept)
                mean, sd = of.formulas.mean_interval(kept), of.formulas.sd(kept)
                if len(kept) < 2:
                    continue
                rows[scale, quantity.name, f"{a} − {b}"] = [
                    cell("#", len(kept)), with_interval(mean), cell("#", sd), with_interval(low), with_interval(high)
                ]  # fmt: skip
    return rows


def detectable(of: Sources) -> Rows:
    """Smallest detectable change of one rater and of the mean of the raters of a case."""
    rows: Rows = {}
    for scale in of.exports.all_scales:
        for quantity in of.exports.changes:
            variance, df = of.error(scale, quantity)
            rows[scale, quantity.name] = [
                with_interval(of.formulas.detectable(variance, df, k)) for k in (1, of.harmonic())
            ]
    return rows


def themselves(of: Sources) -> Rows:
    """Agreement of each rater with themselves on hidden repeats."""
    rows: Rows = {}
    for rater in sorted({rater for rater, _ in of.exports.repeated}):
        pairs = [(first, second) for (each, _), (_, first, second) in of.exports.repeated.items() if each == rater]
        for scale in of.exports.all_scales:
            for quantity in of.exports.quantities:
                found = [[one.value(scale, quantity), two.value(scale, quantity)] for one, two in pairs]
                found = [each for each in found if not any(map(math.isnan, each))]
                if len(found) < 2:
                    continue
                differences = [two - one for one, two in found]
                icc = of.formulas.two_way(found)[0]
                sd = of.formulas.sd(differences)
                rows[rater, scale, quantity.name] = [
                    cell("#", len(found)),
                    with_interval(icc),
                    with_interval(of.formulas.mean_interval(differences)),
                    with_interval(of.formulas.detectable(sd**2 / 2, len(found) - 1, 1)),
                ]
    return rows


@dataclass(frozen=True)
class Chart:
    """A control chart: cases and differences in order, their mean, half the width of the limits, and odd cases."""

    names: list[str]
    values: list[float]
    mean: float
    width: float
    outside: list[str]
    runs: list[str]


def control_chart(of: Sources, rater: str) -> Chart:
    """Return the control chart of a rater (Shewhart, individuals) of the last change of the total, or of its only status."""
    scale, quantity = of.exports.all_scales[0], of.exports.main
    mine = sorted((order, case) for (each, case), (order, *_) in of.exports.repeated.items() if each == rater)
    found = []
    for _, case in mine:
        _, one, two = of.exports.repeated[rater, case]
        found.append((case, two.value(scale, quantity) - one.value(scale, quantity)))
    names = [case for case, value in found if not math.isnan(value)]
    kept = [value for _, value in found if not math.isnan(value)]
    mean = of.formulas.mean(kept) if len(kept) > 1 else NAN
    if len(kept) < LEAST_REPEATS:
        return Chart(names, kept, mean, NAN, [], [])
    width = 3 * float(np.mean(np.abs(np.diff(kept)))) / 1.128
    outside = [name for name, each in zip(names, kept, strict=True) if abs(each - mean) > width + 1e-9]
    sides = np.sign(np.array(kept) - mean)
    runs = [names[end - 1] for end in range(8, len(kept) + 1) if abs(sides[end - 8 : end].sum()) == 8]
    return Chart(names, kept, mean, width, outside, runs)


def drift(of: Sources) -> Rows:
    """Control charts of each rater."""
    rows: Rows = {}
    for rater in sorted({rater for rater, _ in of.exports.repeated}):
        chart = control_chart(of, rater)
        limits = [text("too few repeats"), *[text("–")] * 3]
        if len(chart.values) >= LEAST_REPEATS:
            limits = [
                cell("#", chart.mean - chart.width), cell("#", chart.mean + chart.width),
                text(", ".join(chart.outside) or "none"), text(", ".join(chart.runs) or "none"),
            ]  # fmt: skip
        rows[rater,] = [cell("#", len(chart.values)), cell("#", chart.mean), *limits]
    return rows


def _grades_of(of: Sources, case: str, rater: str, scale: str, site: str) -> dict[int, float]:
    found = {visit: of.exports.grades[case, rater].get((scale, site, visit)) for visit in of.exports.visits}
    return {visit: score for visit, score in found.items() if score is not None}


def sites(of: Sources) -> Rows:
    """Agreement at each site."""
    rows: Rows = {}
    pairs = of.rater_pairs()
    for scale, site in of.exports.maxima:
        cases = [
            case for case in of.exports.cases if (scale, site) in of.exports.common_sites(case, of.exports.raters[case])
        ]
        damaged, any_change, all_change = 0, 0, 0
        apart: list[float] = []
        moved: list[float] = []
        for case in cases:
            raters = of.exports.raters[case]
            grades = {rater: _grades_of(of, case, rater, scale, site) for rater in raters}
            damaged += any(score > 0 for found in grades.values() for score in found.values())
            changes = [found[max(found)] - found[min(found)] for found in grades.values() if len(found) > 1]
            any_change += any(changes)
            all_change += bool(changes) and all(changes)
            for a, b in combinations(raters, 2):
                apart += [abs(grades[a][at] - grades[b][at]) for at in grades[a]]
            moved += [abs(one - two) for one, two in combinations(changes, 2)]
        tables = {pair: _tables(of, scale, pair, found, site) for pair, found in pairs.items()}
        share = [100 * sum(each <= most for each in apart) / len(apart) if apart else NAN for most in (0, 1)]
        of_changes = [cell("#", of.formulas.mean(moved)), cell("#", any_change), cell("#", all_change)]
        rows[site, scale] = [
            ("#/#", (damaged, len(cases))), cell("#", len(apart)), cell("# %", share[0]), cell("# %", share[1]),
            _kappa_cell(of, tables, interval=damaged >= 10), cell("#", of.formulas.mean(apart)),
            *(of_changes if len(of.exports.visits) > 1 else []),
        ]  # fmt: skip
    return rows


TABLES: dict[str, tuple[int, Callable[[Sources], Rows]]] = {
    "Status and change": (2, status_and_change),
    "Quadratic-weighted kappa": (2, kappa),
    "Limits of agreement (Bland–Altman)": (3, limits),
    "Smallest detectable change": (2, detectable),
    "Each rater with themselves": (3, themselves),
    "Drift of each rater": (1, drift),
    "Sites": (2, sites),
}
"""Function and number of naming cells of each table, by its heading."""
