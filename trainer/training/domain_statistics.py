"""The domain of a model as numbers: statistics of a network's features on films that it was trained for.

A film is described by the features of its joints. The features are whitened: in the training's films they have mean 0, no
correlation and the same variance. The squared distance of a film is the mean product u_j · u_k of the whitened features of
two different joints. Damage of single joints cancels out in it, because joints differ independently. What all joints of a
film share remains, such as the texture of bone or the sharpness of the film. Its expected value does not depend on the
number of joints, because products of a joint with itself are left out.

The score of a film is its squared distance divided by a threshold, below which `QUANTILE` of the training's films lie. So a
film with a score above 1 is unlike them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainer.models.torch_files import is_plain_tensor

__all__ = ["MIN_FILMS", "MIN_JOINTS", "QUANTILE", "FeatureDomain", "fit_domain", "squared_distance"]

_Floats = npt.NDArray[np.float64]

MIN_FILMS = 50
"""Minimum number of films from which a threshold can be measured."""
MIN_JOINTS = 3
"""Minimum number of joints of a film that can be judged. Of simulated films, 0.7 % are flagged with 3 joints, 4 % with 2."""
QUANTILE = 0.99
"""Share of the training's films with a score of at most 1."""
_SHRINKAGE = 0.1
"""Weight of equal variances in the estimated covariance. Without it, rare directions of small variance would dominate."""
_MAX_DIRECTIONS = 256
"""Largest number of principal components: large backbones have thousands of features, mostly redundant."""
_MIN_SCALE = 1e-3
"""Least standard deviation of a feature, as a part of the median over all features."""


@dataclass(frozen=True)
class FeatureDomain:
    """Statistics of F features on the films of a training.

    Attributes
    ----------
    mean
        Mean of the features, shape (F,).
    directions
        Matrix (F, K) that whitens features after `mean` is subtracted.
    threshold
        Squared distance of a film with a score of 1.
    films
        Number of films that the statistics come from.
    is_held_out
        False if the network has learned from some of these films.
    """

    mean: _Floats
    directions: _Floats
    threshold: float
    films: int
    is_held_out: bool

    def score(self, features: npt.NDArray[np.floating]) -> float | None:
        """Return the score of a film from its `features` (J, F), None with fewer than `MIN_JOINTS` joints.

        A score above 1 means: unlike the films of the training. It is 0 at least.
        """
        if len(features) < MIN_JOINTS:
            return None
        return max(squared_distance((features - self.mean) @ self.directions) / self.threshold, 0.0)

    def to_record(self) -> dict[str, Any]:
        """Return plain values and tensors for a checkpoint."""
        return {
            "mean": torch.from_numpy(self.mean).float(),
            "directions": torch.from_numpy(self.directions).float(),
            "threshold": self.threshold,
            "films": self.films,
            "is_held_out": self.is_held_out,
        }

    @classmethod
    def from_record(cls, record: object) -> FeatureDomain:
        """Return the domain that `to_record` gave. Raises ValueError for anything else."""
        try:
            if not isinstance(record, Mapping):
                raise ValueError("no table")
            mean, directions = (_read_tensor(record[name]) for name in ("mean", "directions"))
            threshold, films = float(record["threshold"]), int(record["films"])
            is_held_out = record["is_held_out"] is True
        except (KeyError, TypeError, OverflowError, RuntimeError) as error:
            raise ValueError("no domain") from error
        fits = mean.ndim == 1 and directions.ndim == 2 and directions.shape[0] == len(mean)
        if not fits or not 0 < threshold < math.inf or films < 1:
            raise ValueError("numbers that do not fit each other")
        return cls(mean, directions, threshold, films, is_held_out)


def _read_tensor(value: object) -> _Floats:
    if not isinstance(value, Tensor) or not is_plain_tensor(value) or not bool(torch.isfinite(value).all()):
        raise ValueError("no finite tensor")
    return np.asarray(value.double().numpy())


def squared_distance(whitened: npt.NDArray[np.floating]) -> float:
    """Return the mean product u_j · u_k over all pairs of different joints of a film; `whitened` has the shape (J, K).

    It estimates the squared length of the mean of u without bias, so it may be negative.
    """
    count = len(whitened)
    own = float((whitened**2).sum())
    return (float((whitened.sum(axis=0) ** 2).sum()) - own) / (count * (count - 1))


def fit_domain(
    features: npt.NDArray[np.floating], films: Sequence[str], cases: Sequence[str], *, is_held_out: bool
) -> FeatureDomain | None:
    """Return the domain of N joints.

    The distance of each film is measured with statistics of the other half of the cases, so that it is as large as that of
    a new film. With n films the threshold is the distance of rank ⌈`QUANTILE` (n + 1)⌉, at most n: a new film of the same
    kind exceeds it with a probability of 1 − `QUANTILE`, or of 1 / (n + 1) if that is larger.

    Parameters
    ----------
    features
        Features of the joints, shape (N, F).
    films, cases
        Film and case of each joint.
    is_held_out
        See `FeatureDomain`.

    Returns
    -------
    FeatureDomain or None
        None with fewer than `MIN_FILMS` films of at least `MIN_JOINTS` joints, or if the features are the same everywhere.
    """
    known: _Floats = np.asarray(features, np.float64)
    film, case = np.array(films), np.array(cases)
    names, counts = np.unique(film, return_counts=True)
    if (counts >= MIN_JOINTS).sum() < MIN_FILMS:
        return None
    fold = np.unique(case, return_inverse=True)[1] % 2
    distances = []
    for half in (0, 1):
        mean, directions = _whiten(known[fold != half])
        for name in np.unique(film[fold == half]):
            joints = known[(film == name) & (fold == half)]
            if len(joints) >= MIN_JOINTS:
                distances.append(squared_distance((joints - mean) @ directions))
    rank = min(math.ceil(QUANTILE * (len(distances) + 1)), len(distances))
    threshold = float(np.sort(distances)[rank - 1])
    if not threshold > 0:
        return None
    return FeatureDomain(*_whiten(known), threshold, len(names), is_held_out)


def _whiten(features: _Floats) -> tuple[_Floats, _Floats]:
    """Return the mean (F,) of `features` (N, F), and the matrix (F, K) that whitens them to a mean square of about 1."""
    if len(features) < 2:
        return features.sum(axis=0), np.zeros((features.shape[1], 1))
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.maximum(scale, max(_MIN_SCALE * float(np.median(scale)), float(np.finfo(np.float32).tiny)))
    _, singular, axes = np.linalg.svd((features - mean) / scale, full_matrices=False)
    variances = singular**2 / (len(features) - 1)
    shrunk = (1 - _SHRINKAGE) * variances + _SHRINKAGE * variances.sum() / features.shape[1]
    kept = min(_MAX_DIRECTIONS, int((shrunk > 0).sum()))
    return mean, (axes[:kept] / np.sqrt(shrunk[:kept, None] * max(kept, 1)) / scale).T
