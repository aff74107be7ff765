"""The shape model of a wrist's sites: their usual places and how they vary together, in mm of a hand of usual size.

It keeps implausible peaks out, and places a site without a clear peak of its own from the others. The model is a normal
distribution of the places of all sites after a similarity has been taken out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ratui.detection.crops import invert, map_points, scale_of
from ratui.imaging.geometry import Matrix, fit_similarity

__all__ = ["PlacedSites", "ShapeModel", "learn_shape", "place_sites"]

_Floats = npt.NDArray[np.float64]
_INFLATION, _OWN_VARIANCE = 2.0, 1.0
"""Factor of the learned covariance, and variance (mm²) added to it: real wrists vary more than simulated ones."""
_PEAK_ERROR = 0.6
"""Standard error of a clear peak beyond its own spread, in mm."""
_DEGREES = 3.0
"""Degrees of freedom of the t distribution of the errors of peaks: a peak far from its place counts little."""
_ROUNDS = 8
_LEAST_ERROR, _UNKNOWN_ERROR = 0.5, 1e3
"""Least standard error of the place of a finger joint, in mm, and that of one which no sample shows."""


@dataclass(frozen=True)
class ShapeModel:
    """Places of S sites of a left wrist in mm of a hand of usual size; the mean of all sites is the origin.

    Attributes
    ----------
    sites
        Names of the sites.
    mean
        Usual places, shape (S, 2).
    covariance
        Covariance of the coordinates (x, y of the first site, and so on), shape (2 S, 2 S).
    widths
        Sides of the boxes, shape (S,).
    joints
        Names of the finger joints.
    fingers
        Usual places of the finger joints, shape (J, 2).
    finger_errors
        Standard deviations of these places from the wrist's position, shape (J,).
    finger_widths
        Usual sides of the boxes of the finger joints, shape (J,); 0 if no sample shows the joint.
    """

    sites: tuple[str, ...]
    mean: _Floats
    covariance: _Floats
    widths: _Floats
    joints: tuple[str, ...]
    fingers: _Floats
    finger_errors: _Floats
    finger_widths: _Floats

    def to_json(self) -> dict[str, Any]:
        """Return the names and arrays as values of JSON."""
        return {key: value if isinstance(value, tuple) else value.tolist() for key, value in vars(self).items()}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> ShapeModel:
        """Return the shape model that `to_json` has written."""
        arrays = {key: np.array(value, np.float64) for key, value in stored.items() if key not in ("sites", "joints")}
        arrays["fingers"] = arrays["fingers"].reshape(-1, 2)  # also of a part without finger joints
        return cls(sites=tuple(stored["sites"]), joints=tuple(stored["joints"]), **arrays)


@dataclass(frozen=True)
class PlacedSites:
    """Sites placed by peaks and shape.

    Attributes
    ----------
    points
        Places in the coordinates of the peaks, shape (S, 2).
    transform
        Similarity from the shape model to these coordinates.
    scores
        Score of each site's own peak times its agreement with the others, from 0 (placed by the others) to 1, shape (S,).
    fit
        Agreement of sharp peaks with the shape, from 0 to 1; about 0.4 on a wrist.
    """

    points: _Floats
    transform: Matrix
    scores: _Floats
    fit: float


def learn_shape(
    points: _Floats, fingers: _Floats, sites: tuple[str, ...], joints: tuple[str, ...], widths: _Floats
) -> ShapeModel:
    """Return the shape model of N samples: centres of sites `points` (N, S, 2) and finger joints.

    `fingers` (N, J, 3) are centres and sides of their boxes, NaN where unknown. All are in mm of a hand of usual size, on
    which the boxes of the sites have the sides `widths` (S,).
    """
    mean = points[0] - points[0].mean(axis=0)
    for _ in range(5):
        aligned = np.stack([map_points(fit_similarity(each, mean), each) for each in points])
        size = np.mean([scale_of(fit_similarity(mean, each)) for each in points])
        mean = aligned.mean(axis=0) * size
        mean -= mean.mean(axis=0)
    transforms = [fit_similarity(each, mean) for each in points]
    aligned = np.stack([map_points(t, each) for t, each in zip(transforms, points, strict=True)])
    outer = np.stack([map_points(t, each[:, :2]) for t, each in zip(transforms, fingers, strict=True)])
    off = (aligned - mean).reshape(len(points), -1)
    middle, errors = np.zeros(outer.shape[1:]), np.full(outer.shape[1], _UNKNOWN_ERROR)
    finger_widths = np.zeros(outer.shape[1])
    for joint, places in enumerate(outer.transpose(1, 0, 2)):
        known = places[np.isfinite(places).all(axis=1)]
        if len(known):
            middle[joint] = np.median(known, axis=0)
            finger_widths[joint] = np.nanmedian(fingers[:, joint, 2])
            errors[joint] = np.sqrt(np.mean((known - middle[joint]) ** 2)) + _LEAST_ERROR
    return ShapeModel(sites, mean, off.T @ off / len(points), widths, joints, middle, errors, finger_widths)


def place_sites(shape: ShapeModel, points: _Floats, spread: _Floats, scores: _Floats, unit: float) -> PlacedSites:
    """Return the most probable places of all sites, given their peaks.

    Parameters
    ----------
    shape
        The shape model.
    points, spread, scores
        Places of the peaks, their standard deviations, and their scores, shapes (S, 2), (S,) and (S,).
    unit
        Length of a mm of a usual hand in the unit of `points`, about.
    """
    count = len(points)
    prior = _INFLATION * shape.covariance + _OWN_VARIANCE * np.eye(2 * count)
    own = np.sqrt(np.einsum("ii->i", prior).reshape(count, 2).mean(axis=1))
    variance = (spread / unit) ** 2 + _PEAK_ERROR**2
    weight = np.clip(scores, 1e-4, 1.0)
    robust = np.ones(count)
    transform, shift = np.zeros((2, 3)), np.zeros((count, 2))
    for _ in range(_ROUNDS):
        transform = fit_similarity(shape.mean + shift * 0.5, points, weight * robust / (variance + own**2))
        seen = map_points(invert(transform), points) - shape.mean
        error = np.repeat(variance / (weight * robust), 2)
        gain = prior @ np.linalg.inv(prior + np.diag(error))
        shift = (gain @ seen.ravel()).reshape(count, 2)
        # How far is each peak from where the other sites expect it?
        kept = 1 - np.einsum("ii->i", gain).reshape(count, 2).mean(axis=1)
        expected_error = (seen - shift) / np.maximum(kept, 1e-3)[:, None]
        distance = (expected_error**2).sum(axis=1) / (own**2 * 0.5 + variance)
        robust = (_DEGREES + 2) / (_DEGREES + distance)
        robust = np.minimum(robust, 1.0)
    own_share = np.einsum("ii->i", gain).reshape(count, 2).mean(axis=1)  # how much its own peak determines each place
    fit = float(np.mean(weight * robust * own_share))
    return PlacedSites(map_points(transform, shape.mean + shift), transform, weight * robust, fit)
