"""Measured changes of the joint space beside the graded ones: by joint, and by the graded change of the final score.

Only cases that all their raters have signed count, and only changes between successive visits, so that no interval of time
counts twice. A measurement counts if it is reliable and known in millimetres.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ratui.results.bootstrap import Estimate, bootstrap_interval, bootstrap_mean, count_draws
from ratui.results.final_scores import FinalScores, combine_scores
from ratui.results.released import ReleasedReadings
from ratui.results.text_table import TextTable, format_count, format_estimate, format_number
from ratui.study import Study
from ratui.study.joint_spaces.joint_space import MeasuredChange, intact_joint_space

__all__ = [
    "NARROWING",
    "MeasuredChanges",
    "collect_measured_changes",
    "correlate",
    "find_successive_changes",
    "joint_space_table",
    "load_released_measurements",
    "make_graded_change_table",
]

Floats = npt.NDArray[np.float64]
NARROWING = "JSN"
"""The scale that grades the narrowing of the joint space."""
_ALL = "all joints"
_GROUPS: Mapping[str, Callable[[Floats], npt.NDArray[np.bool_]]] = {
    "below 0": lambda graded: graded < 0,
    "0": lambda graded: graded == 0,
    "above 0, up to 1": lambda graded: (graded > 0) & (graded <= 1),
    "above 1": lambda graded: graded > 1,
}
"""Groups of graded changes."""


@dataclass(frozen=True)
class MeasuredChanges:
    """Changes between successive visits, one for each measured joint; all arrays have the shape (measurements,).

    Attributes
    ----------
    cases, joints
        Case and joint of each, such as ``MCP2``.
    mm
        Measured change in millimetres, positive if the space has become wider; NaN if it is not reliable or not known.
    is_reliable
        Which measurements are reliable.
    graded
        Change of the final score for narrowing at the joint; NaN if there is none.
    """

    cases: npt.NDArray[np.str_]
    joints: npt.NDArray[np.str_]
    mm: Floats
    is_reliable: npt.NDArray[np.bool_]
    graded: Floats

    def select(self, chosen: npt.NDArray[np.bool_]) -> MeasuredChanges:
        """Return the measurements that are True in `chosen`."""
        return MeasuredChanges(
            self.cases[chosen], self.joints[chosen], self.mm[chosen], self.is_reliable[chosen], self.graded[chosen]
        )

    @property
    def compared(self) -> MeasuredChanges:
        """The measurements with a value in millimetres and a graded change."""
        return self.select(np.isfinite(self.mm) & np.isfinite(self.graded))


def load_released_measurements(
    study: Study, released: ReleasedReadings
) -> Mapping[str, tuple[MeasuredChange, ...]]:  # fmt: skip
    """Return the measurements of the released cases, by case; those of damaged files only add a notice of the study."""
    if "joint spaces" not in released.computed:  # the report and the exports need them more than once
        found = {case: intact_joint_space(study, case) for case in released.readings}
        released.computed["joint spaces"] = {case: each for case, each in found.items() if each}
    loaded: Mapping[str, tuple[MeasuredChange, ...]] = released.computed["joint spaces"]
    return loaded


def find_successive_changes(found: Sequence[MeasuredChange]) -> tuple[MeasuredChange, ...]:
    """Return the measurements of one case between visits without another visit between them at which the joint was measured.

    So no interval of time counts twice, and none is lost if a joint is not on the film of a visit.
    """
    times: dict[str, set[int]] = {}
    for each in found:
        times.setdefault(each.site, set()).update(each.times)
    return tuple(each for each in found if not any(each.times[0] < time < each.times[1] for time in times[each.site]))


def collect_measured_changes(study: Study, released: ReleasedReadings, final: FinalScores) -> MeasuredChanges | None:
    """Return the measurements between successive visits of the cases with a final score; None if nothing was measured.

    Parameters
    ----------
    study, released
        The study and its released readings.
    final
        The final scores of the study.
    """
    measured = load_released_measurements(study, released)
    if not measured:
        return None
    cases: list[str] = []
    joints: list[str] = []
    values: list[tuple[float, bool, float]] = []
    graded = _GradedChanges(final)
    for case in final.cases:
        numbers = released.visit_numbers[case]
        for each in find_successive_changes(measured.get(case, ())):
            first, last = each.times
            cases.append(case)
            joints.append(study.scheme.site(each.site).joint.id)
            mm = each.mm if each.is_reliable and each.mm is not None else np.nan
            values.append((mm, each.is_reliable, graded.change(case, each.site, numbers[first], numbers[last])))
    table = np.array(values, np.float64).reshape(-1, 3)
    return MeasuredChanges(
        np.array(cases, np.str_), np.array(joints, np.str_), table[:, 0], table[:, 1].astype(np.bool_), table[:, 2]
    )


class _GradedChanges:
    """Changes of the final score of single joints on the scale of narrowing."""

    def __init__(self, final: FinalScores) -> None:
        self._rule = final.rule
        self._sources = dict(zip(final.cases, final.sources, strict=True))
        self._scores = {"raters": final.raters, "consensus": final.consensus}
        self._changes: dict[tuple[str, str, int, int], Floats] = {}
        self._rows = {
            name: {case: row for row, case in enumerate(scores.cases)} for name, scores in self._scores.items()
        }
        self._places = {site: place for place, (site, scale) in enumerate(final.raters.fields) if scale == NARROWING}

    def change(self, case: str, site: str, first: int, last: int) -> float:
        """Return the change between the visits of these numbers; NaN if there is none."""
        source = self._sources[case]
        if site not in self._places or not source:
            return np.nan
        key = source, site, first, last
        if key not in self._changes:  # of all cases at once, because one by one takes many times longer
            scores = self._scores[source]
            earlier, later = (
                scores.values[:, :, self._places[site], scores.visits.index(number)] for number in (first, last)
            )
            self._changes[key] = combine_scores(later - earlier, scores.is_read, self._rule)
        return float(self._changes[key][self._rows[source][case]])


def correlate(x: Floats, y: Floats, patients: Sequence[object] | npt.NDArray[np.generic], seed: int) -> Estimate:
    """Return Pearson's correlation of `x` and `y` with its 95 % interval, bootstrapped over patients.

    Parameters
    ----------
    x, y
        Values without NaN, shape (N,).
    patients
        The patient of each value, shape (N,), by name or number.
    seed
        Seed of the bootstrap.

    Returns
    -------
    Estimate
        NaN if a value does not vary, without an interval for fewer than two patients.
    """
    ids, index = np.unique(np.asarray(patients), return_inverse=True)
    # Centred first: sums of squares of values far from 0 would lose their last digits.
    x, y = (values - values.mean() if len(values) else values for values in (x, y))
    columns = (np.ones_like(x), x, y, x * x, y * y, x * y)
    sums = np.stack([np.bincount(index, column, len(ids)) for column in columns], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float(_correlation_of_sums(sums.sum(axis=0)))
    if len(ids) < 2 or not np.isfinite(value):
        return Estimate(value)
    rng = np.random.default_rng(seed)
    low, high = bootstrap_interval(lambda draws: _correlation_of_sums(count_draws(draws) @ sums), len(ids), rng)
    return Estimate(value, low, high)


def _correlation_of_sums(sums: Floats) -> Floats:
    """Return the correlation from the sums of 1, x, y, xx, yy and xy in the last axis; NaN if x or y does not vary."""
    count, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    spread_x, spread_y = xx - x * x / count, yy - y * y / count
    known = (spread_x > 1e-12) & (spread_y > 1e-12)
    return np.where(known, (xy - x * y / count) / np.sqrt(np.where(known, spread_x * spread_y, 1.0)), np.nan)


def _mean(found: MeasuredChanges, seed: int) -> Estimate:
    known = found.select(np.isfinite(found.mm))
    if len(np.unique(known.cases)) < 2:
        return Estimate(float(known.mm.mean()) if len(known.mm) else np.nan)
    return bootstrap_mean(known.mm, known.cases, np.random.default_rng(seed))


def joint_space_table(found: MeasuredChanges, *, seed: int = 0) -> TextTable:
    """Return the measured changes by joint, both sides together, and their correlation with the graded ones."""
    joints = [_ALL, *dict.fromkeys(found.joints.tolist())]
    rows = [
        [joint, *_joint_cells(found if joint == _ALL else found.select(found.joints == joint), seed)]
        for joint in joints
    ]
    headers = ["joint", "measured", "not reliable", "in mm", "mean change, mm", "SD, mm", "graded", "correlation"]
    note = (
        "Changes between successive visits; positive: the space has become wider. Not reliable: the measurement says itself "
        "that it failed, or film or box have changed since; such joints do not count further. In mm: those with a "
        "known size of a pixel. Graded: those with a change of the final score for narrowing. "
        "Correlation: Pearson's, of measured and graded change; negative if graded narrowing goes with a narrower space. "
        "95 % intervals bootstrapped over patients."
    )
    return TextTable("Measured joint spaces", headers, rows, note=note)


def _joint_cells(found: MeasuredChanges, seed: int) -> list[object]:
    known, compared = found.mm[np.isfinite(found.mm)], found.compared
    failed = int((~found.is_reliable).sum())
    return [
        len(found.is_reliable),
        f"{failed} ({format_number(100 * failed / len(found.is_reliable), 1)} %)" if len(found.is_reliable) else failed,
        len(known),
        format_estimate(_mean(found, seed), 3),
        format_number(float(known.std(ddof=1)) if len(known) > 1 else np.nan, 3),
        len(compared.mm),
        format_estimate(correlate(compared.mm, compared.graded, compared.cases, seed), 2),
    ]


def make_graded_change_table(found: MeasuredChanges, *, seed: int = 0) -> TextTable:
    """Return the measured changes by the graded change of the same joint between the same visits."""
    compared = found.compared
    rows: list[list[object]] = []
    for name, is_in_group in _GROUPS.items():
        chosen = compared.select(is_in_group(compared.graded))
        sd = float(chosen.mm.std(ddof=1)) if len(chosen.mm) > 1 else np.nan
        rows.append([name, len(chosen.mm), format_estimate(_mean(chosen, seed), 3), format_number(sd, 3)])
    patients = format_count(len(np.unique(compared.cases)), "patient")
    note = (
        f"Change of the final score for narrowing, and the measured change of the same joints, of {patients}; positive: "
        "wider. 95 % intervals bootstrapped over patients."
    )
    return TextTable(
        "Measured change by graded change", ["graded change", "joints", "mean change, mm", "SD, mm"], rows, note=note
    )
