"""Predict the places of boxes from those of other boxes of the same hand, by universal kriging.

The displacement of a hand from its expected place is the sum of a trend, which is a shift, a rotation and a change of size,
and of an offset of each joint, which is alike at neighbouring joints. Trend and offsets are Gaussian with known spread, so
one observed box yields mostly a shift, two add rotation and scale, and further ones the offsets of their neighbours. See
N. Cressie, Statistics for Spatial Data, 1993, section 3.4. Lengths are in widths of a typical box of the hand.

Pure functions of boxes: they know no site, rater or film. `benchmarks/box_corrections.py` compares the method with others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ratui.imaging import Box

__all__ = ["Observation", "find_most_informative", "predict_boxes"]

_Array = npt.NDArray[np.float64]

SHIFT_SPREAD = 2.0
"""Standard deviation of the shift across and down, in boxes. On phantoms it is 0.75; films of real hands vary more."""
LINEAR_SPREAD = 0.17
"""Standard deviation of the scale and of the rotation in radians; on phantoms 0.15 and 0.16."""
OFFSET_RANGE = 1.5
"""Distance in boxes at which the correlation of two joints' offsets has fallen to exp(-1/2)."""
MAX_TURN = np.radians(50.0)
SCALE_LIMITS = (0.5, 2.0)
"""Limits of the rotation and the scale: a hand beyond them lies turned on the film, or was not observed correctly."""
SIZE_ERROR = 0.1
"""Relative error of a box's size, as evidence of the scale of the hand."""
_MAX_DEVIATION = 4.0
"""Deviation of an observation from the prediction by the others, in standard deviations, above which it is an outlier."""
_CAREFUL_ERROR = 0.05  # of a box that a rater places, in boxes


@dataclass(frozen=True)
class Observation:
    """The box at which a joint really is, and the standard deviation of its centre, in boxes.

    `has_size` says that its size was measured, too, and is evidence of the scale of the hand.
    """

    box: Box
    error: float
    has_size: bool = False


def predict_boxes(
    expected: Mapping[str, Box], observed: Mapping[str, Observation], flexibility: Mapping[str, float]
) -> dict[str, Box]:
    """Return the boxes of one hand that follow from those observed.

    An observation that contradicts the others has little effect on other boxes. Rotation and scale stay within
    `MAX_TURN` and `SCALE_LIMITS`.

    Parameters
    ----------
    expected
        The box of each joint before anything was observed, in pixels, by name.
    observed
        The observed boxes; those of joints that `expected` lacks are ignored.
    flexibility
        Standard deviation of the offset that each joint in `expected` has of its own, in boxes.

    Returns
    -------
    dict
        The predicted box of each joint in `expected`, also of the observed ones. Without observations, `expected`.
    """
    names = list(expected)
    known = [name for name in names if name in observed]
    unit = _typical_width(expected.values())
    if not known or unit <= 0:
        return dict(expected)
    places = _centres([expected[name] for name in names]) / unit
    middle = places.mean(axis=0)
    rows = np.array([names.index(name) for name in known])
    shifts = _centres([observed[name].box for name in known]) / unit - places[rows]
    covariance = _covariance(places - middle, np.array([flexibility[name] for name in names]))
    trend = _trend(places - middle)
    pick = np.concatenate([rows, rows + len(names)])
    values = shifts.T.ravel()
    sized = [name for name in known if observed[name].has_size and expected[name].width > 0]
    sizes = np.array([observed[name].box.width / expected[name].width - 1 for name in sized])
    size_trend = np.tile([0.0, 0.0, 1.0, 0.0], (len(sizes), 1))
    spread = np.diag([SHIFT_SPREAD**2] * 2 + [LINEAR_SPREAD**2] * 2)
    observed_trend = np.vstack([trend[pick], size_trend])
    count = 2 * len(known)
    total = observed_trend @ spread @ observed_trend.T
    total[:count, :count] += covariance[np.ix_(pick, pick)]
    total[count:, count:] += SIZE_ERROR**2 * np.eye(len(sizes))
    errors = np.array([observed[name].error for name in known]) ** 2
    weights = _solve_robustly(total, np.concatenate([values, sizes]), errors)
    parameters = spread @ observed_trend.T @ weights
    offsets = covariance[:, pick] @ weights[:count]
    linear, rest = _limit(parameters), trend @ parameters
    moved = (trend @ linear + offsets).reshape(2, -1).T
    # After a limited rotation or scale, keep the observed joints in their place on average.
    moved += ((rest - trend @ linear).reshape(2, -1).T[rows]).mean(axis=0)
    scale = float(np.hypot(1 + linear[2], linear[3]))
    predicted = {}
    for name, (x, y) in zip(names, unit * (places + moved), strict=True):
        box = expected[name]
        predicted[name] = Box.from_centre(float(x), float(y), scale * box.width, scale * box.height)
    return predicted


def find_most_informative(
    expected: Mapping[str, Box],
    errors: Mapping[str, float],
    flexibility: Mapping[str, float],
    candidates: Iterable[str],
) -> str | None:
    """Return the joint of `candidates` whose observation tells most about all others; None without a candidate.

    It leaves the smallest sum of the standard deviations of all places.

    Parameters
    ----------
    expected
        The expected box of each joint, by name.
    errors
        The error of each joint observed already, as in `Observation`.
    flexibility
        As in `predict_boxes`.
    candidates
        Names in `expected`; of equally good ones, the first is returned.
    """
    names = list(expected)
    unit = _typical_width(expected.values())
    options = list(candidates)
    if not options or unit <= 0:
        return options[0] if options else None
    places = _centres(list(expected.values())) / unit
    places -= places.mean(axis=0)
    offsets = _covariance(places, np.array([flexibility[name] for name in names]))[: len(names), : len(names)]
    # Covariance of one coordinate. Both have the same one, because the prior prefers no direction.
    prior = offsets + SHIFT_SPREAD**2 + LINEAR_SPREAD**2 * places @ places.T
    for row, name in enumerate(names):
        if name in errors:
            prior = _condition(prior, row, errors[name])
    return min(options, key=lambda name: _total_deviation(_condition(prior, names.index(name), _CAREFUL_ERROR)))


def _typical_width(boxes: Iterable[Box]) -> float:
    widths = [box.width for box in boxes if box.width > 0]
    return float(np.median(widths)) if widths else 0.0


def _centres(boxes: list[Box]) -> _Array:
    return np.array([box.centre for box in boxes], np.float64)


def _covariance(places: _Array, offsets: _Array) -> _Array:
    """Return the covariance of the joints' offsets, shape (2 N, 2 N): all x first, then all y."""
    squares = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    one = np.outer(offsets, offsets) * np.exp(-0.5 * squares / OFFSET_RANGE**2)
    return np.kron(np.eye(2), one)


def _trend(places: _Array) -> _Array:
    """Return the displacements per unit of shift across, shift down, scale and rotation, shape (2 N, 4).

    A similarity is linear in these if scale and rotation are the real and imaginary part of a complex factor minus 1.
    """
    x, y = places.T
    one, zero = np.ones_like(x), np.zeros_like(x)
    return np.vstack([np.column_stack([one, zero, x, -y]), np.column_stack([zero, one, y, x])])


def _solve_robustly(total: _Array, values: _Array, errors: _Array) -> _Array:
    """Return the kriging weights; the error of an observation that contradicts the others is raised to its deviation.

    Of two contradicting observations either may be wrong, so the errors of both are raised. Each observation is compared
    with its prediction by the others (leave-one-out residuals by the inverse of the covariance; G. Wahba, Spline Models for
    Observational Data, 1990, section 4.2).
    """
    count = len(errors)
    errors = errors.copy()
    outliers_left = 1 if count == 2 else count // 3
    while True:
        noise = np.zeros(len(values))
        noise[: 2 * count] = np.tile(errors, 2)
        inverse = np.linalg.inv(total + np.diag(noise + 1e-9))
        weights = inverse @ values
        precision = np.diag(inverse)
        deviations = (weights**2 / precision)[: 2 * count].reshape(2, count).sum(axis=0)
        worst = int(np.argmax(deviations))
        if not outliers_left or deviations[worst] < _MAX_DEVIATION**2:
            return np.asarray(weights)
        outliers_left -= 1
        residual = (weights / precision)[: 2 * count].reshape(2, count)[:, worst]
        errors[slice(None) if count == 2 else worst] = float(residual @ residual)


def _limit(parameters: _Array) -> _Array:
    """Return the trend with its rotation and scale within the limits."""
    factor = complex(1 + parameters[2], parameters[3])
    scale = float(np.clip(abs(factor), *SCALE_LIMITS))
    angle = float(np.clip(np.angle(factor), -MAX_TURN, MAX_TURN))
    return np.array([parameters[0], parameters[1], scale * np.cos(angle) - 1, scale * np.sin(angle)])


def _condition(covariance: _Array, row: int, error: float) -> _Array:
    """Return the covariance after the value in `row` was observed with `error`."""
    column = covariance[:, row]
    return np.asarray(covariance - np.outer(column, column) / (column[row] + error**2))


def _total_deviation(covariance: _Array) -> float:
    return float(np.sqrt(np.clip(np.diag(covariance), 0, None)).sum())
