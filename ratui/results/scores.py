"""Signed readings as one array of scores, cases × raters × fields × time points, for whoever calculates with them.

It scores nothing itself: what a finding is worth comes from the scheme, and what has no score is NaN.
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
    """`values` is (cases, raters, fields, 2), NaN where a field has no score; `fields` are (site key, scale) in reading
    order, those of the whole scheme."""

    scheme: Scheme
    cases: tuple[str, ...]
    raters: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]
    values: Floats

    @cached_property
    def common(self) -> npt.NDArray[np.bool_]:
        """(cases, fields): what every rater has scored at both time points; only that is compared."""
        return np.asarray(np.isfinite(self.values).all(axis=(1, 3)))

    def scale_mask(self, scale: str | None) -> npt.NDArray[np.bool_]:
        """Which fields are of `scale`, or all of them."""
        return np.array([scale in (None, each) for _, each in self.fields])

    def totals(self, scale: str | None = None) -> Floats:
        """(cases, raters, 2): the sums over the fields in common, of one scale or of all."""
        counts = self.common & self.scale_mask(scale)
        return np.asarray(np.where(counts[:, None, :, None], np.nan_to_num(self.values), 0.0).sum(axis=2))

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Every pair of raters, as places."""
        yield from combinations(range(len(self.raters)), 2)


def collect_scores(scheme: Scheme, readings: Mapping[str, Sequence[Reading]], raters: Sequence[str]) -> ReadingScores:
    """The scores of `readings`: for each case one of each of `raters`, in their order."""
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
