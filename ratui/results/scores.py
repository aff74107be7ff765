"""Signed readings as one numeric array, for statistics.

The scores of findings come from the scheme. A field without a score is NaN.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.reading import Reading
from ratui.results.quantities import Quantity, list_quantities, main_change, name_visits
from ratui.results.released import ReleasedReadings
from ratui.results.totals import MissingRule, fill_scores, list_fields, sum_changes, sum_scores
from ratui.scheme import Scheme
from ratui.study import CONSENSUS, Study

__all__ = ["ReadingScores", "collect_consensus", "collect_scores", "collect_second_scores"]

Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ReadingScores:
    """Scores of several raters in several cases.

    Attributes
    ----------
    scheme
        Scoring scheme of the study.
    cases, raters
        IDs, in the order of the first two axes of `values`.
    fields
        (site key, scale) of each field of the whole scheme, in reading order.
    visits, visit_names
        Numbers in the study and names of the visits, in the order of the last axis of `values`; number 0 is the baseline.
    values
        Scores in grades, shape (cases, raters, fields, visits). NaN where a field has no score, where a case has no film
        of a visit, and where a rater has no reading.
    has_field
        Fields that a rater had to score, in the shape of `values`: all fields of the case at all its visits, also those
        without a film at one of the visits. False for raters without a reading of the case.
    days
        Day of each visit of each case since its first film, shape (cases, visits); NaN if it is not known.
    rule
        Rule for totals of fields without a score.
    surgery
        Rule for joints after surgery (`ratui.study.campaign.charter.SURGERY_RULES`), which `values` follow.
    """

    scheme: Scheme
    cases: tuple[str, ...]
    raters: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]
    visits: tuple[int, ...]
    visit_names: tuple[str, ...]
    values: Floats
    has_field: npt.NDArray[np.bool_]
    days: Floats
    rule: MissingRule
    surgery: str = "scheme"

    @property
    def is_read(self) -> npt.NDArray[np.bool_]:
        """Return which rater has a reading of which case, shape (cases, raters)."""
        return np.asarray(self.has_field.any(axis=(2, 3)))

    @cached_property
    def common(self) -> npt.NDArray[np.bool_]:
        """Fields that every rater of the case has scored at all visits of the case, shape (cases, fields)."""
        is_known = np.isfinite(self.values) | ~self.has_field
        return np.asarray(is_known.all(axis=(1, 3)) & self.has_field.any(axis=(1, 3)))

    @property
    def uneven(self) -> npt.NDArray[np.bool_]:
        """Return which fields one rater has scored and another rater of the case has not, shape (cases, fields, visits)."""
        known = np.isfinite(self.values)
        return np.asarray(known.any(axis=1) & (self.has_field & ~known).any(axis=1))

    def scale_mask(self, scale: str | None) -> npt.NDArray[np.bool_]:
        """Return which fields belong to `scale`, shape (fields,); all fields if `scale` is None."""
        return np.array([scale in (None, each) for _, each in self.fields])

    def totals(self, scale: str | None = None) -> Floats:
        """Return totals under the rule, shape (cases, raters, visits), for one scale or for all; NaN where none is given."""
        return sum_scores(self.values, self.has_field, self.fields, self.scheme, scale, self.rule)

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The status at each visit and the changes between visits."""
        return list_quantities(self.visit_names)

    @property
    def main_change(self) -> Quantity | None:
        """The change from the first to the last visit; None for a single visit."""
        return main_change(self.visit_names)

    def quantity(self, quantity: Quantity, scale: str | None = None) -> Floats:
        """Return a quantity of the totals under the rule, shape (cases, raters); NaN where none is given."""
        if quantity.first is None:
            return np.asarray(self.totals(scale)[..., quantity.last])
        visits = quantity.first, quantity.last
        return sum_changes(self.values, self.has_field, self.fields, self.scheme, scale, self.rule, visits)

    def complete_quantity(self, quantity: Quantity, scale: str | None = None) -> Floats:
        """Return a quantity of the cases of which all their raters have one, shape (cases, raters); NaN if not read."""
        values = self.quantity(quantity, scale)
        return np.asarray(values[(np.isfinite(values) | ~self.is_read).all(axis=1)])

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Yield every pair of raters as indices into `raters`."""
        yield from combinations(range(len(self.raters)), 2)

    def select_cases(self, cases: Collection[str]) -> ReadingScores:
        """Return the scores of `cases` only."""
        chosen = np.array([case in cases for case in self.cases], dtype=np.bool_)
        names = tuple(case for case in self.cases if case in cases)
        parts = {name: getattr(self, name)[chosen] for name in ("values", "has_field", "days")}
        return replace(self, cases=names, **parts)


def collect_scores(study: Study, released: ReleasedReadings, rule: MissingRule) -> ReadingScores:
    """Return the scores of all released readings of the raters as an array.

    Parameters
    ----------
    study
        The study.
    released
        The readings. The consensus is not included.
    rule
        Rule for totals of fields without a score.
    """
    surgery = study.config.charter.surgery
    key = f"scores, surgery as {surgery}"
    if key not in released.computed:  # a report needs them for five sections; in a large study this takes seconds
        released.computed[key] = _collect(study, released, released.raters, released.readings, rule)
    found: ReadingScores = replace(released.computed[key], rule=rule)
    return found


def collect_consensus(study: Study, released: ReleasedReadings, rule: MissingRule) -> ReadingScores:
    """Return the scores of the adjudicator's signed readings, as of one rater; parameters as for `collect_scores`."""
    readings = {case: {CONSENSUS: reading} for case, reading in released.consensus.items()}
    return _collect(study, released, (CONSENSUS,), readings, rule)


def collect_second_scores(
    study: Study, released: ReleasedReadings, rater: str, rule: MissingRule
) -> ReadingScores:  # fmt: skip
    """Return the first and the second reading of each case that `rater` has read twice, as of two raters.

    The other parameters are as for `collect_scores`; the names of the raters are ``first`` and ``second``.
    """
    readings = {
        case: {"first": released.readings[case][rater], "second": second[rater]}
        for case, second in released.repeats.items()
        if rater in second and rater in released.readings.get(case, {})
    }
    return _collect(study, released, ("first", "second"), readings, rule)


def _collect(
    study: Study,
    released: ReleasedReadings,
    raters: Sequence[str],
    readings: Mapping[str, Mapping[str, Reading]],
    rule: MissingRule,
) -> ReadingScores:
    scheme, surgery = study.scheme, study.config.charter.surgery
    fields = list_fields(scheme)
    places = {name: place for place, name in enumerate(fields)}
    visits = released.all_visits()
    shape = (len(readings), len(raters), len(fields), len(visits))
    values, exists = np.full(shape, np.nan), np.zeros(shape, dtype=np.bool_)
    days = np.full((len(readings), len(visits)), np.nan)
    for row, (case, of_case) in enumerate(readings.items()):
        columns = [visits.index(number) for number in released.visit_numbers[case]]
        for film in released.cases[case].films if case in released.cases else ():
            if film.day is not None and film.number in visits:
                days[row, visits.index(film.number)] = film.day
        has_field = np.zeros(len(fields), dtype=np.bool_)
        for reading in of_case.values():
            has_field[[places[field.site, field.scale] for field in reading.fields]] = True
        for place, rater in enumerate(raters):
            if rater in of_case:
                for column in columns:
                    exists[row, place, has_field, column] = True
                fill_scores(of_case[rater], places, columns, values[row, place], surgery)
    names = name_visits(study, visits)
    return ReadingScores(
        scheme, tuple(readings), tuple(raters), fields, visits, names, values, exists, days, rule, surgery
    )
