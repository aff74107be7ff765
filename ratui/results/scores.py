"""Signed readings as one numeric array, for statistics.

The scores of findings come from the scheme. A field without a score is NaN.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.reading import Field, Reading
from ratui.scheme import Scheme

__all__ = ["ReadingScores", "collect_scores"]

Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ReadingScores:
    """Scores of several raters for the same cases.

    Attributes
    ----------
    scheme
        Scoring scheme of the study.
    cases, raters
        IDs, in the order of the first two axes of `values`.
    fields
        (site key, scale) of each field of the whole scheme, in reading order.
    values
        Scores in grades, shape (cases, raters, fields, 2); the last axis is the time point, earlier first. NaN where a
        field has no score.
    """

    scheme: Scheme
    cases: tuple[str, ...]
    raters: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]
    values: Floats

    @cached_property
    def common(self) -> npt.NDArray[np.bool_]:
        """Fields that every rater has scored at both time points, shape (cases, fields). Only these are compared."""
        return np.asarray(np.isfinite(self.values).all(axis=(1, 3)))

    def scale_mask(self, scale: str | None) -> npt.NDArray[np.bool_]:
        """Return which fields belong to `scale`, shape (fields,); all fields if `scale` is None."""
        return np.array([scale in (None, each) for _, each in self.fields])

    def totals(self, scale: str | None = None) -> Floats:
        """Return sums over the common fields, shape (cases, raters, 2), for one scale or for all."""
        counts = self.common & self.scale_mask(scale)
        return np.asarray(np.where(counts[:, None, :, None], np.nan_to_num(self.values), 0.0).sum(axis=2))

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Yield every pair of raters as indices into `raters`."""
        yield from combinations(range(len(self.raters)), 2)


def collect_scores(scheme: Scheme, readings: Mapping[str, Sequence[Reading]], raters: Sequence[str]) -> ReadingScores:
    """Return the scores of `readings` as an array.

    Parameters
    ----------
    scheme
        Scoring scheme of the study.
    readings
        For each case one reading of each rater, in the order of `raters`.
    raters
        IDs of the raters.
    """
    fields = tuple((site.key, scale) for site in scheme.sites for scale in site.joint.scales)
    values = np.full((len(readings), len(raters), len(fields), 2), np.nan)
    for row, of_case in enumerate(readings.values()):
        for column, reading in enumerate(of_case):
            known = reading.site_keys
            for place, (site, scale) in enumerate(fields):
                for time in (0, 1):
                    score = reading.score(Field(site, scale, time)) if site in known else None
                    if score is not None:
                        values[row, column, place, time] = score
    return ReadingScores(scheme, tuple(readings), tuple(raters), fields, values)
