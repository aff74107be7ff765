"""Holes that erosions leave in the mineral of a bone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ratui.phantom.anatomy import Array
from ratui.phantom.lesions import ErosionEllipse
from ratui.phantom.texture import compute_tile_index, mottle, trabeculae

__all__ = ["carve_erosions"]

_F = np.float32
_RESIDUE = 0.22
"""Contrast of the trabeculae that remain in front of and behind an erosion."""


def carve_erosions(mineral: Array, x: Array, y: Array, erosions: Sequence[ErosionEllipse], level: int) -> None:
    """Remove `erosions` from `mineral` in place; `level` is the blur of the pattern of `trabeculae`.

    `x`, shape (1, n), and `y`, shape (m, 1), are the places of the pixels in mm.
    """
    for erosion in erosions:
        reach = max(erosion.across, erosion.along) * 1.4 + 4 * erosion.edge + 0.8
        first, last = np.searchsorted(x[0], [erosion.at[0] - reach, erosion.at[0] + reach])
        top, bottom = np.searchsorted(y[:, 0], [erosion.at[1] - reach, erosion.at[1] + reach])
        if last - first < 1 or bottom - top < 1:
            continue
        dx, dy = x[:, first:last] - _F(erosion.at[0]), y[top:bottom] - _F(erosion.at[1])
        c, s = _F(np.cos(erosion.angle)), _F(np.sin(erosion.angle))
        across, along = dx * c + dy * s, dy * c - dx * s
        a, b = across / _F(erosion.across), along / _F(erosion.along)
        size = float(np.sqrt(erosion.across * erosion.along))
        index = compute_tile_index(along + _F(31 * erosion.phase), across + _F(17 * erosion.phase))
        bays = np.clip(mottle().ravel().take(index), -2.2, 2.2)
        # Bays of the outline are as wide as the pattern, whatever the size of the erosion.
        outside = (np.sqrt(a * a + b * b) - 1) * _F(size) + _F(min(0.26 * size, 0.7)) * bays
        hole = 1 / (1 + np.exp(np.clip(outside / _F(erosion.edge), -30, 30)))
        # The floor of an erosion is uneven, and some trabeculae remain.
        hole *= 1 + _F(0.10) * bays * hole - _F(_RESIDUE * (1 - erosion.depth)) * trabeculae(level).ravel().take(index)
        # A dense edge borders a part of an erosion more than the rest.
        part = 1 + _F(0.7) * np.sin(np.arctan2(b, a) + _F(3 * erosion.phase))
        rim = _F(erosion.rim) * part * np.exp(-(((outside - _F(0.35)) / _F(0.42)) ** 2))
        mineral[top:bottom, first:last] *= np.clip(1 - _F(erosion.depth) * hole, 0.02, 1.1) * (1 + rim)
