"""Reading of heat maps: the place, the spread and the score of each site. Plain numpy, without torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["INPUT_SIZE", "INPUT_STEP", "MAP_STRIDE", "Peaks", "read_heat_maps"]

INPUT_SIZE = 224
"""Side of the network's crop, in pixels."""
INPUT_STEP = 0.5
"""Width of a pixel of this crop, in mm of a hand of usual size."""
MAP_STRIDE = 4
"""Pixels of the crop per cell of a heat map."""
_REACH = 3
"""Half width of the window around a peak in which its place is averaged, in cells."""

_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Peaks:
    """Places of S sites on a crop.

    Attributes
    ----------
    points
        Centres (x, y) in pixels of the crop, shape (S, 2).
    spread
        Standard deviation of each place in pixels of the crop, shape (S,).
    scores
        Probability that the site is near its peak, from 0 to 1, shape (S,).
    """

    points: _Floats
    spread: _Floats
    scores: _Floats


def read_heat_maps(maps: npt.NDArray[np.float32]) -> Peaks:
    """Return the peak of each map of logits, shape (S, rows, columns); a further cell of logit 0 means "not here"."""
    sites, rows, columns = maps.shape
    flat = maps.reshape(sites, -1).astype(np.float64)
    top = np.maximum(flat.max(axis=1), 0.0)
    odds = np.exp(flat - top[:, None])
    share = (odds / (odds.sum(axis=1) + np.exp(-top))[:, None]).reshape(sites, rows, columns)
    # The window with the most probability, not the highest cell: a broad peak may be worth more than a sharp one.
    summed = _window_sums(share, _REACH // 2)
    points, spread, scores = np.zeros((sites, 2)), np.zeros(sites), np.zeros(sites)
    for site in range(sites):
        y, x = divmod(int(summed[site].argmax()), columns)
        for _ in range(2):  # centre the window on the mean of the first one
            y0, y1 = max(y - _REACH, 0), min(y + _REACH + 1, rows)
            x0, x1 = max(x - _REACH, 0), min(x + _REACH + 1, columns)
            part = share[site, y0:y1, x0:x1]
            total = max(float(part.sum()), 1e-12)
            mean_y = float((part.sum(axis=1) * (np.arange(y0, y1) + 0.5)).sum()) / total
            mean_x = float((part.sum(axis=0) * (np.arange(x0, x1) + 0.5)).sum()) / total
            y, x = min(max(int(mean_y), 0), rows - 1), min(max(int(mean_x), 0), columns - 1)
        variance = float((part.sum(axis=1) * (np.arange(y0, y1) + 0.5 - mean_y) ** 2).sum()) / total
        variance += float((part.sum(axis=0) * (np.arange(x0, x1) + 0.5 - mean_x) ** 2).sum()) / total
        points[site] = mean_x * MAP_STRIDE, mean_y * MAP_STRIDE
        spread[site] = np.sqrt(variance / 2) * MAP_STRIDE
        scores[site] = min(total, 1.0)
    return Peaks(points, spread, scores)


def _window_sums(share: _Floats, reach: int) -> _Floats:
    """Return the sum of each map in the square window of half width `reach` around each cell."""
    total = np.pad(share, ((0, 0), (reach + 1, reach), (reach + 1, reach))).cumsum(axis=1).cumsum(axis=2)
    width = 2 * reach + 1
    return np.asarray(
        total[:, width:, width:] - total[:, :-width, width:] - total[:, width:, :-width] + total[:, :-width, :-width]
    )
