"""Textures that all films sample: trabeculae, noise and slow variation.

They are computed once per process from fixed seeds, and are read-only.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from ratui.phantom.anatomy import Array

__all__ = ["TILE_MM", "cloud", "compute_tile_index", "lattice", "mottle", "noise", "trabeculae"]

_SIDE = 1024
TILE_MM = 0.1
"""Pixel size of the trabecular tile, in mm."""


@lru_cache(maxsize=64)
def trabeculae(level: int) -> Array:
    """Return a pattern of struts along the rows' direction, with mean 0 and standard deviation about 1.

    The shape is (1024, 1024) with `TILE_MM` per pixel; the tile wraps around. `level` 0 is sharp; higher levels are
    blurred like a film with pixels of `level` × 0.1 mm.
    """
    rng = np.random.default_rng(20)
    fine = _field(rng, 0.55, 0.11)
    coarse = _field(rng, 0.95, 0.22)
    # The zero crossings of a smooth random field are branching lines, like struts; the field itself has blobs.
    lines = np.exp(-((fine / 0.6) ** 2)) + 0.8 * np.exp(-((coarse / 0.5) ** 2)) + 0.16 * _field(rng, 2.6, 1.6)
    return _finish(lines, level)


@lru_cache(maxsize=64)
def lattice(level: int) -> Array:
    """Return a mesh of struts without a direction, as in the head of a bone; otherwise as `trabeculae`."""
    rng = np.random.default_rng(23)
    fine, coarse = _field(rng, 0.15, 0.12), _field(rng, 0.32, 0.26)
    lines = np.exp(-((fine / 0.8) ** 2)) + 0.9 * np.exp(-((coarse / 0.6) ** 2)) + 0.2 * coarse
    return _finish(lines, level)


@lru_cache(maxsize=1)
def mottle() -> Array:
    """Return variation of the density over some mm: standard deviation 1, shape (1024, 1024), `TILE_MM` per pixel."""
    rng = np.random.default_rng(24)
    return _finish(_field(rng, 0.9, 0.8) + 1.2 * _field(rng, 2.6, 2.0), 0)


def compute_tile_index(along: Array, across: Array) -> npt.NDArray[np.int32]:
    """Return the places in the tiles of `trabeculae`, `lattice` and `mottle`, as one index, at positions in mm."""
    last = _SIDE - 1  # the size is a power of two, so `& last` wraps around the tile
    row = (along * np.float32(1 / TILE_MM)).astype(np.int32) & last
    column = (across * np.float32(1 / TILE_MM)).astype(np.int32) & last
    return np.asarray(row * (last + 1) + column, np.int32)


def _finish(lines: Array, level: int) -> Array:
    """Return a read-only tile with mean 0, divided by the standard deviation before it is blurred for `level`."""
    tile = _blur(lines.astype(np.float32), 0.45 * level) if level else lines.astype(np.float32)
    tile = np.asarray((tile - tile.mean()) / np.float32(lines.std()), np.float32)
    tile.setflags(write=False)
    return tile


@lru_cache(maxsize=8)
def noise(kind: int) -> Array:
    """Return noise with standard deviation 1, shape (2048, 2048): white for `kind` 0, coarser for 1, 2 and 3."""
    tile: Array = np.random.default_rng([21, kind]).standard_normal((2048, 2048), dtype=np.float32)
    if kind:
        tile = _blur(tile, 0.35 + 0.25 * kind)
        tile = np.asarray(tile / tile.std(), np.float32)
    tile.setflags(write=False)
    return tile


@lru_cache(maxsize=1)
def cloud() -> Array:
    """Return slow variation, as of muscle and fat: standard deviation 1, shape (512, 512), about 1 mm per pixel."""
    rng = np.random.default_rng(22)
    tile = np.zeros((512, 512), np.float32)
    for sigma in (2.0, 5.0, 11.0):
        tile += _blur(rng.standard_normal((512, 512), dtype=np.float32), sigma) * np.float32(sigma)
    result = np.asarray((tile - tile.mean()) / tile.std(), np.float32)
    result.setflags(write=False)
    return result


def _field(rng: np.random.Generator, down: float, across: float) -> Array:
    """Return a smooth random field with standard deviation 1; `down` and `across` are its correlation lengths in mm."""
    white = np.pad(rng.standard_normal((_SIDE, _SIDE), dtype=np.float32), 64, mode="wrap")
    soft = cv2.GaussianBlur(white, (0, 0), across / TILE_MM, sigmaY=down / TILE_MM)[64:-64, 64:-64]
    return np.asarray(soft / soft.std(), np.float32)


def _blur(tile: Array, sigma: float) -> Array:
    return np.asarray(cv2.GaussianBlur(np.pad(tile, 32, mode="wrap"), (0, 0), sigma)[32:-32, 32:-32], np.float32)
