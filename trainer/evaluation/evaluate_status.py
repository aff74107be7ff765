"""Agreement of predicted with read grades of single films, by the measures of the published benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ratui.results.bootstrap import bootstrap_interval, count_draws
from ratui.results.statistics import quadratic_kappa
from trainer.evaluation.metrics import RESAMPLES, Metric
from trainer.inference.decisions import Floats

__all__ = ["STATUS_MEASURES", "evaluate_status"]

_Integers = npt.NDArray[np.int64]
_NO_INTERVAL = (float("nan"), float("nan"))  # one patient says nothing about others


def _mean_error(tables: Floats) -> Floats:
    place = np.arange(tables.shape[-1])
    distance = np.abs(place[:, None] - place)
    return np.asarray((tables * distance).sum(axis=(-2, -1)) / tables.sum(axis=(-2, -1)))


def _accuracy(tables: Floats) -> Floats:
    return np.asarray(np.trace(tables, axis1=-2, axis2=-1) / tables.sum(axis=(-2, -1)))


def _balanced_accuracy(tables: Floats) -> Floats:
    """Return the mean over the read grades of the share that is predicted right."""
    read = tables.sum(axis=-1)
    right = np.diagonal(tables, axis1=-2, axis2=-1)
    shares = np.where(read > 0, right / np.maximum(read, 1e-12), 0.0)
    return np.asarray(shares.sum(axis=-1) / (read > 0).sum(axis=-1))


def _wasserstein(tables: Floats) -> Floats:
    """Return the Wasserstein distance of the distributions of the read and the predicted grades, in grades."""
    read, predicted = (tables.sum(axis=axis).cumsum(axis=-1) for axis in (-1, -2))
    return np.asarray(np.abs(read - predicted)[..., :-1].sum(axis=-1) / tables.sum(axis=(-2, -1)))


STATUS_MEASURES: Mapping[str, tuple[Callable[[Floats], Floats], str, str]] = {
    "quadratic weighted kappa": (quadratic_kappa, "higher", ""),
    "mean absolute error": (_mean_error, "lower", ""),
    "balanced accuracy": (_balanced_accuracy, "higher", "%"),
    "accuracy": (_accuracy, "higher", "%"),
    "Wasserstein distance of the grades": (_wasserstein, "lower", ""),
}
"""Measures by name: the function, what is better, and the unit.

A function takes contingency tables (..., G, G), read grades in the rows and predicted ones in the columns.
"""


def evaluate_status(
    name: str,
    read: _Integers,
    predicted: _Integers,
    patients: Sequence[str],
    grades: int,
    rng: np.random.Generator,
    *,
    usual: int | None = None,
    published: Mapping[str, float] | None = None,
) -> list[Metric]:
    """Return all measures, with intervals from a bootstrap over patients.

    Parameters
    ----------
    name
        First part of the metrics' names, such as the scale.
    read, predicted
        Grades of M joints, shape (M,).
    patients
        The patient of each joint.
    grades
        Number of grades of the scale.
    rng
        Random generator of the bootstrap.
    usual
        The baseline always predicts this grade; None for no baseline.
    published
        Published values by the name of the measure.
    """
    ids, index = np.unique(np.asarray(patients), return_inverse=True)
    tables = np.zeros((len(ids), grades, grades))
    np.add.at(tables, (index, read, predicted), 1.0)
    flat, trivial = tables.reshape(len(ids), -1), np.zeros((grades, grades))
    if usual is not None:
        trivial[:, usual] = tables.sum(axis=(0, 2))
    found = []
    for measure, (compute, better, unit) in STATUS_MEASURES.items():

        def resampled(draws: npt.NDArray[np.int64], compute: Callable[[Floats], Floats] = compute) -> Floats:
            return compute((count_draws(draws) @ flat).reshape(-1, grades, grades))

        low, high = _NO_INTERVAL if len(ids) < 2 else bootstrap_interval(resampled, len(ids), rng, RESAMPLES)
        found.append(
            Metric(
                f"{name}, {measure}",
                float(compute(tables.sum(axis=0))),
                low,
                high,
                better,
                unit,
                baseline=float(compute(trivial)) if usual is not None else None,
                baseline_name=f"always grade {usual}" if usual is not None else "",
                paper=(published or {}).get(measure),
            )
        )
    return found
