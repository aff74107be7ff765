"""Tables of measured joint spaces as they follow from ``joint_space.csv``, for `benchmarks.recompute`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.recompute_exports import NAN, Row
from benchmarks.recompute_formulas import Floats
from benchmarks.recompute_tables import Cell, Rows, Sources, cell

__all__ = ["JOINT_SPACE", "count_compared_patients", "list_points"]

_RESAMPLES = 2000
_NARROWING = "JSN"


@dataclass(frozen=True)
class _Joint:
    """A measured joint between successive visits: its change in mm and the graded one; NaN where there is none."""

    case: str
    joint: str
    ok: bool
    mm: float
    graded: float


def _joints(of: Sources) -> list[_Joint]:
    return [
        _Joint(
            row["case"],
            row["joint"],
            row["ok"] == "1",
            float(row["change_mm"]) if row["ok"] == "1" and row["change_mm"] else NAN,
            _graded(of, row),
        )
        for row in of.exports.joint_spaces
        if row["successive"] == "1"
    ]


def _graded(of: Sources, row: Row) -> float:
    """Return the change of the final score of a joint by the rule of the charter, NaN if there is none."""
    exports, case = of.exports, row["case"]
    rule = exports.final[0]["final_rule"]
    is_adjudicated = (case, "consensus") in exports.grades
    if rule == "consensus" and not is_adjudicated:
        return NAN
    readers = ["consensus"] if rule.startswith("consensus") and is_adjudicated else exports.raters[case]
    changes = []
    for reader in readers:
        at = [
            exports.grades[case, reader].get((_NARROWING, row["site"], int(row[name])))
            for name in ("time_from", "time_to")
        ]
        if at[0] is None or at[1] is None:
            return NAN
        changes.append(at[1] - at[0])
    return float(np.median(changes) if rule == "median" else np.mean(changes))


def _with_bootstrap(
    found: Sequence[_Joint], value: float, resampled: Callable[[Floats, Floats, Floats], Floats]
) -> Cell:
    """Return a cell of a value with four more numbers: between which each limit of its interval must lie.

    `resampled` returns the value of each resample from the number of times that it contains each joint, shape
    (resamples, joints), the measured changes and the graded ones.
    """
    cases = sorted({each.case for each in found})
    if math.isnan(value) or len(cases) < 2:
        return cell("#", value)
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(cases), (_RESAMPLES, len(cases)))
    counts = np.stack([(draws == cases.index(each.case)).sum(axis=1) for each in found], axis=1).astype(np.float64)
    values = resampled(counts, np.array([each.mm for each in found]), np.array([each.graded for each in found]))
    kept = values[np.isfinite(values)]
    return "# (# to #)", (value, *map(float, np.quantile(kept, [0.012, 0.042, 0.958, 0.988])))


def _mean(found: Sequence[_Joint]) -> Cell:
    value = sum(each.mm for each in found) / len(found) if found else NAN
    return _with_bootstrap(found, value, lambda counts, x, _: counts @ x / counts.sum(axis=1))


def _correlation(found: Sequence[_Joint]) -> Cell:
    x, y = [each.mm for each in found], [each.graded for each in found]
    if len(found) < 2 or np.ptp(x) < 1e-9 or np.ptp(y) < 1e-9:
        return cell("#", NAN)
    return _with_bootstrap(found, float(np.corrcoef(x, y)[0, 1]), _correlations)


def _correlations(counts: Floats, x: Floats, y: Floats) -> Floats:
    """Return the correlation in each resample: the mean product of the deviations from its own means."""
    total = counts.sum(axis=1)
    from_mean = [values - (counts @ values / total)[:, None] for values in (x, y)]
    products = [(counts * from_mean[a] * from_mean[b]).sum(axis=1) for a, b in ((0, 1), (0, 0), (1, 1))]
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt(products[1] * products[2])
        return np.where(spread > 1e-9, products[0] / spread, NAN)


def _known(found: Sequence[_Joint]) -> list[_Joint]:
    return [each for each in found if not math.isnan(each.mm)]


def _compared(found: Sequence[_Joint]) -> list[_Joint]:
    return [each for each in _known(found) if not math.isnan(each.graded)]


def by_joint(of: Sources) -> Rows:
    """Measured changes by joint."""
    joints = _joints(of)
    if not of.exports.joint_spaces:
        return {}
    groups = {"all joints": joints}
    for each in joints:
        groups.setdefault(each.joint, []).append(each)
    return {(name,): _cells_of_joint(of, found) for name, found in groups.items()}


def _cells_of_joint(of: Sources, found: list[_Joint]) -> list[Cell]:
    known, compared, failed = _known(found), _compared(found), sum(not each.ok for each in found)
    return [
        cell("#", len(found)),
        cell("# (# %)", failed, 100 * failed / len(found)) if found else cell("#", 0),
        cell("#", len(known)),
        _mean(known),
        cell("#", of.formulas.sd([each.mm for each in known])),
        cell("#", len(compared)),
        _correlation(compared),
    ]


def by_grade(of: Sources) -> Rows:
    """Measured changes by graded change."""
    if not of.exports.joint_spaces:
        return {}
    groups: dict[str, list[_Joint]] = {"below 0": [], "0": [], "above 0, up to 1": [], "above 1": []}
    for each in _compared(_joints(of)):
        above = "above 0, up to 1" if each.graded <= 1 else "above 1"
        groups["below 0" if each.graded < 0 else above if each.graded else "0"].append(each)
    return {
        (name,): [
            cell("#", len(found)),
            _mean(found),
            cell("#", of.formulas.sd([each.mm for each in found])),
        ]
        for name, found in groups.items()
    }


def count_compared_patients(of: Sources) -> int:
    """Return the number of patients with a measured and graded joint."""
    return len({each.case for each in _compared(_joints(of))})


def list_points(of: Sources) -> dict[float, list[float]]:
    """Return the measured changes by graded change, in order, as the plot shows them."""
    found: dict[float, list[float]] = {}
    for each in sorted(_compared(_joints(of)), key=lambda joint: joint.graded):
        found.setdefault(each.graded, []).append(each.mm)
    return found


JOINT_SPACE: dict[str, tuple[int, Callable[[Sources], Rows]]] = {
    "Measured joint spaces": (1, by_joint),
    "Measured change by graded change": (1, by_grade),
}
"""Function and number of naming cells of each table, by its heading."""
