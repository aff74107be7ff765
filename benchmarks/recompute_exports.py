"""The exported CSV files of a study and the totals that follow from them, read for `benchmarks.recompute` without ratui."""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path

__all__ = ["Exports", "Quantity", "Totals", "read_exports"]

Row = dict[str, str]
Grades = dict[tuple[str, str, int], float | None]
"""Grades that count, by (scale, site, visit); None for a field without a score."""
ALL = "total"
NAN = math.nan


@dataclass(frozen=True)
class Quantity:
    """A status at the visit `b` (`a` is None) or a change from visit `a` to `b`, with its name in the report."""

    name: str
    a: int | None
    b: int

    @property
    def column(self) -> tuple[int, ...]:
        """The visits as in the names of the columns of ``totals.csv``."""
        return (self.b,) if self.a is None else (self.a, self.b)


@dataclass(frozen=True)
class Totals:
    """Totals of one reading by a rule for fields without a score.

    `common` are the (scale, site) that count under the rule ``common``.
    """

    grades: Grades
    maxima: dict[tuple[str, str], float]
    rule: str
    common: frozenset[tuple[str, str]]

    def value(self, scale: str, quantity: Quantity) -> float:
        """Return the value of a quantity of one scale or of all scales, NaN if there is none."""
        if quantity.a is None:
            return self._status(scale, quantity.b)
        if self.rule == "observed":
            return self._observed_change(scale, quantity.a, quantity.b)
        return self._status(scale, quantity.b) - self._status(scale, quantity.a)

    @cached_property
    def scales(self) -> list[str]:
        """The scales, in the order of the file."""
        return list(dict.fromkeys(scale for scale, _, _ in self.grades))

    @cached_property
    def visits(self) -> list[int]:
        """The visits of the case."""
        return sorted({visit for _, _, visit in self.grades})

    def _status(self, scale: str, visit: int) -> float:
        if scale == ALL:
            return sum(self._status(each, visit) for each in self.scales)
        fields = {site: score for (of, site, at), score in self.grades.items() if (of, at) == (scale, visit)}
        if not fields:
            return NAN
        if self.rule == "carried":
            fields = {site: self._carry(scale, site, visit) for site in fields}
        if self.rule == "common":
            fields = {site: score for site, score in fields.items() if (scale, site) in self.common}
        scored = {site: score for site, score in fields.items() if score is not None}
        if self.rule in ("complete", "carried"):
            return sum(scored.values()) if len(scored) == len(fields) else NAN
        if self.rule == "prorated":
            if 2 * len(scored) < len(fields):
                return NAN
            return (
                sum(scored.values())
                * sum(self.maxima[scale, site] for site in fields)
                / sum(self.maxima[scale, site] for site in scored)
            )
        return sum(scored.values()) if scored else NAN

    def _carry(self, scale: str, site: str, visit: int) -> float | None:
        scored = {at: score for at in self.visits if (score := self.grades.get((scale, site, at))) is not None}
        before, after = [at for at in scored if at <= visit], [at for at in scored if at > visit]
        return scored[max(before)] if before else scored[min(after)] if after else None

    def _observed_change(self, scale: str, a: int, b: int) -> float:
        if scale == ALL:
            found = [change for each in self.scales if not math.isnan(change := self._observed_change(each, a, b))]
            return sum(found) if found else NAN
        pairs = [
            (first, last)
            for (of, site, at), first in self.grades.items()
            if (of, at) == (scale, a) and first is not None
            if (last := self.grades.get((scale, site, b))) is not None
        ]
        return sum(last - first for first, last in pairs) if pairs else NAN


@dataclass
class Exports:
    """Rows of the CSV files, and what they state of cases, readers, visits and days."""

    scores: list[Row]
    totals: list[Row]
    final: list[Row]
    repeats: list[Row]
    readings: list[Row]
    joint_spaces: list[Row] = field(default_factory=list)
    display_tests: list[Row] = field(default_factory=list)
    display_trials: list[Row] = field(default_factory=list)
    visits: dict[int, str] = field(default_factory=dict)
    scales: list[str] = field(default_factory=list)
    maxima: dict[tuple[str, str], float] = field(default_factory=dict)
    grades: dict[tuple[str, str], Grades] = field(default_factory=dict)
    rows: dict[tuple[str, str], list[Row]] = field(default_factory=dict)
    raters: dict[str, list[str]] = field(default_factory=dict)
    days: dict[tuple[str, int], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Index the rows."""
        for row in self.scores:
            visit, scale, site = int(row["time"]), row["scale"], row["site"]
            self.visits[visit] = row["visit"].removeprefix("_")  # of a name such as NA, which tables protect
            self.maxima[scale, site] = float(row["maximum"])
            self.rows.setdefault((row["case"], row["reader"]), []).append(row)
            counted = float(row["counted"]) if row["counted"] else None
            self.grades.setdefault((row["case"], row["reader"]), {})[scale, site, visit] = counted
            if row["day"]:
                self.days[row["case"], visit] = float(row["day"])
            if row["kind"] == "rater" and row["reader"] not in self.raters.setdefault(row["case"], []):
                self.raters[row["case"]].append(row["reader"])
        self.visits = dict(sorted(self.visits.items()))
        self.scales = list(dict.fromkeys(row["scale"] for row in self.scores))
        self.rule = self.totals[0]["missing_rule"] if self.totals else ""
        self._totals: dict[tuple[str, str], Totals] = {}

    @cached_property
    def all_scales(self) -> list[str]:
        """The scales with that of all scales, as in the tables."""
        return [ALL, *self.scales] if f"{ALL}_{min(self.visits)}" in self.totals[0] else self.scales

    @cached_property
    def two_visits(self) -> bool:
        """True if the study has two visits, so that the tables speak of earlier, later and change."""
        return f"{self.scales[0]}_change" in self.totals[0]

    @cached_property
    def quantities(self) -> list[Quantity]:
        """All quantities that the tables name."""
        visits, names = list(self.visits), self.visits
        if self.two_visits:
            return [Quantity("earlier", None, visits[0]), Quantity("later", None, visits[1]), self.last_change]
        pairs = dict.fromkeys([*((visits[0], each) for each in visits[1:]), *pairwise(visits)])
        return [
            *(Quantity(name, None, visit) for visit, name in names.items()),
            *(Quantity(f"change, {names[a]} to {names[b]}", a, b) for a, b in pairs),
        ]

    @cached_property
    def changes(self) -> list[Quantity]:
        """The quantities that are changes."""
        return [quantity for quantity in self.quantities if quantity.a is not None]

    @property
    def last_change(self) -> Quantity:
        """The change from the first visit to the last."""
        first, last = min(self.visits), max(self.visits)
        name = "change" if self.two_visits else f"change, {self.visits[first]} to {self.visits[last]}"
        return Quantity(name, first, last)

    @property
    def main(self) -> Quantity:
        """The change from the first visit to the last; of a single visit its status."""
        return self.last_change if len(self.visits) > 1 else self.quantities[-1]

    @cached_property
    def all_raters(self) -> list[str]:
        """The raters of the compared cases, in order of their names."""
        return sorted({rater for case in self.cases for rater in self.raters[case]})

    @cached_property
    def cases(self) -> list[str]:
        """The cases of two or more raters."""
        return [case for case, raters in self.raters.items() if len(raters) >= 2]

    @cached_property
    def crossed(self) -> bool:
        """True if all raters have read all cases."""
        return all(set(self.raters[case]) == set(self.all_raters) for case in self.cases)

    def of(self, case: str, reader: str) -> Totals:
        """Return the totals of a reading."""
        if (case, reader) not in self._totals:
            readers = self.raters[case] if reader in self.raters.get(case, []) else [reader]
            self._totals[case, reader] = Totals(
                self.grades[case, reader], self.maxima, self.rule, self.common_sites(case, readers)
            )
        return self._totals[case, reader]

    def late_change(self, case: str, readers: Iterable[str]) -> str:
        """Return the mark of a late change of a result made of the readings of `readers`, from ``readings.csv``."""
        mine = [row for row in self.readings if row["case"] == case and row["reader"] in readers]
        late = any(row["reopened_after_release"] == "1" for row in mine)
        outdated = any(row["kind"] == "consensus" and row["late_change"] == "consensus" for row in mine)
        return ", ".join(["reading"] * late + ["consensus"] * outdated)

    def common_sites(self, case: str, readers: Iterable[str]) -> frozenset[tuple[str, str]]:
        """Return the (scale, site) that all `readers` have scored at all visits of the case."""
        return common([self.grades[case, reader] for reader in readers])

    def years(self, case: str, quantity: Quantity) -> float:
        """Return the years between the visits of a change, NaN if a day is unknown."""
        a, b = (self.days.get((case, visit), NAN) for visit in (quantity.a or 0, quantity.b))
        return (b - a) / 365.25

    @cached_property
    def repeated(self) -> dict[tuple[str, str], tuple[int, Totals, Totals]]:
        """Order, first and second reading by (rater, case) of the hidden repeats."""
        found: dict[tuple[str, str], tuple[int, Grades, Grades]] = defaultdict(lambda: (0, {}, {}))
        for row in self.repeats:
            key = row["reader"], row["case"]
            _, first, second = found[key]
            place = row["scale"], row["site"], int(row["time"])
            for grades, column in ((first, "first"), (second, "second")):
                counted = row.get(f"{column}_counted", row[f"{column}_score"])
                grades[place] = float(counted) if counted else None
            found[key] = int(row["order"]), first, second
        return {
            key: (
                order,
                Totals(first, self.maxima, self.rule, common([first, second])),
                Totals(second, self.maxima, self.rule, common([first, second])),
            )
            for key, (order, first, second) in found.items()
        }


def common(readings: list[Grades]) -> frozenset[tuple[str, str]]:
    """Return the (scale, site) that have a score in all of the readings, at all visits."""
    empty = {place[:2] for grades in readings for place, score in grades.items() if score is None}
    return frozenset({place[:2] for grades in readings for place in grades} - empty)


def read_exports(folder: Path) -> Exports:
    """Read the files that ``ratui export --format csv`` wrote into `folder`."""
    names = ("scores", "totals", "final", "repeats", "readings", "joint_space", "display_tests", "display_trials")
    return Exports(*(_read(folder / f"{name}.csv") for name in names))


def _read(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))
