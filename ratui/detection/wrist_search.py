"""Search for the sites of a wrist on a film: from the finger joints of its hand, or on a film of a wrist alone.

The network sees crops in a fixed frame: upright, as a left hand, at a fixed number of mm of a usual hand per pixel. The
first crop is placed roughly; each further crop is placed by the sites found on the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.detection.crops import compose, crop_square, invert, map_points, scale_of, similarity
from ratui.detection.heat_maps import INPUT_SIZE, INPUT_STEP, Peaks, read_heat_maps
from ratui.detection.shape import PlacedSites, ShapeModel, place_sites
from ratui.imaging.geometry import Box, Matrix, fit_similarity

__all__ = ["FoundWrist", "LandmarkNetwork", "SitePlace", "find_wrist_alone", "find_wrist_of_hand"]

_Floats = npt.NDArray[np.float64]
LandmarkNetwork: TypeAlias = Callable[
    [npt.NDArray[np.uint8]], tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
]  # fmt: skip
"""Takes crops (N, side, side), uint8. Returns heat maps (N, S, side / 4, side / 4), and the logarithm of the hand's size
relative to the usual one in each crop, (N,)."""

_PASSES = 2
"""Crops that place the next one, before the crops whose mean is the result."""
_VARIATIONS = ((0.0, 1.0), (-0.08, 0.96), (0.08, 0.96), (-0.08, 1.04), (0.08, 1.04))
"""Turn (radians) and scale of the crops whose mean is the result."""
_FIELDS = (80.0, 100.0, 125.0, 160.0, 205.0)
"""Widths of a film in mm of a usual hand that are tried if nothing but the film is known."""
_LARGEST_CROP = 448  # pixels
_MIN_FIT = 0.2
"""Least fit of a wrist that is searched on a film without a hand."""
_CLEAR_FIT = 0.3
"""Fit of a wrist in a likely orientation that needs no other one."""
_CANDIDATES = 4
_SHAPE_SHARE = 0.15
"""Share of the distances between the sites in the size of a hand without known fingers; the rest is the network's estimate.

The standard errors of the two are 8 % and 4 % on simulated films."""


@dataclass(frozen=True)
class SitePlace:
    """A site on a film: its `box` in pixels, and its `score` from 0 to 1.

    The score is low if the site has no clear peak of its own, or lies where the others do not expect it.
    """

    box: Box
    score: float


@dataclass(frozen=True)
class FoundWrist:
    """A wrist on a film.

    Attributes
    ----------
    side
        Side that it looks like, ``L`` or ``R``.
    sites
        Places by name of the site.
    fit
        Agreement of the peaks with the shape of a wrist, from 0 to 1.
    angle
        Clockwise angle of the wrist on the film, in degrees from -180 to 180; 0 is upright, with the fingers up.
    """

    side: str
    sites: Mapping[str, SitePlace]
    fit: float
    angle: float


def find_wrist_of_hand(
    network: LandmarkNetwork,
    shape: ShapeModel,
    levels: npt.NDArray[np.float32],
    fingers: Mapping[str, tuple[float, float, float]],
    side: str,
) -> FoundWrist | None:
    """Return the wrist of a hand with known finger joints, or None if fewer than three of them are known.

    Parameters
    ----------
    network, shape
        Network and shape model of the sites.
    levels
        Grey levels from 0 to 1, shape (rows, columns); bone is bright.
    fingers
        Centre x, y and side of the box of each finger joint in pixels of `levels`, by name.
    side
        Side that the hand looks like.
    """
    rows = [row for row, joint in enumerate(shape.joints) if joint in fingers]
    if len(rows) < 3:
        return None
    flip = np.array([-1.0 if side == "R" else 1.0, 1.0])
    known = np.array([fingers[shape.joints[row]] for row in rows], np.float64)
    centres = known[:, :2]
    widths = shape.finger_widths[rows]
    mm = float(np.median(known[widths > 0, 2] / widths[widths > 0])) if (widths > 0).any() else None
    # A similarity of a mirrored shape to the film is one of the shape to the mirrored film.
    to_mirrored = fit_similarity(shape.fingers[rows], centres * flip, 1 / shape.finger_errors[rows] ** 2)
    return _place(network, shape, levels, _crop_frame(to_mirrored * flip[:, None], INPUT_SIZE), side, mm)


def find_wrist_alone(
    network: LandmarkNetwork,
    shape: ShapeModel,
    levels: npt.NDArray[np.float32],
    *,
    sides: Sequence[str] = ("L", "R"),
    rotations: Sequence[int] = (0, 90, 180, 270),
) -> FoundWrist | None:
    """Return the wrist on a film that shows no whole hand, or None if nothing on it looks like one.

    Parameters
    ----------
    network, shape, levels
        As in `find_wrist_of_hand`.
    sides
        Sides to try, the most probable one first. A mirrored wrist looks like the other side.
    rotations
        Clockwise turns of the film to try, in degrees, the most probable one first.
    """
    best: FoundWrist | None = None
    starts: list[tuple[float, Matrix, str]] = []
    for rotation, side in product(rotations, sides):
        for field in _FIELDS:
            frame, size = _whole_frame(levels.shape, field, rotation, side)
            placed, _ = _look(network, shape, levels, [frame], size)
            starts.append((placed.fit, _crop_frame(compose(frame, placed.transform), INPUT_SIZE), side))
        starts.sort(key=lambda each: -each[0])
        if starts and starts[0][0] > _CLEAR_FIT:
            break
    for _, frame, side in starts[:_CANDIDATES]:
        found = _place(network, shape, levels, frame, side)
        if best is None or found.fit > best.fit:
            best = found
    return best if best is not None and best.fit >= _MIN_FIT else None


def _place(
    network: LandmarkNetwork,
    shape: ShapeModel,
    levels: npt.NDArray[np.float32],
    frame: Matrix,
    side: str,
    mm: float | None = None,
) -> FoundWrist:
    """Return the wrist near the crop whose transform to the film is `frame`.

    `mm` is the width of a mm of a usual hand in pixels of the film by the boxes of the finger joints, if they are known.
    """
    for _ in range(_PASSES):
        placed, _ = _look(network, shape, levels, [frame], INPUT_SIZE)
        frame = _crop_frame(compose(frame, placed.transform), INPUT_SIZE)
    middle = np.full(2, INPUT_SIZE / 2)
    varied = [compose(frame, similarity(scale, turn, middle, middle)) for turn, scale in _VARIATIONS]
    placed, log_size = _look(network, shape, levels, varied, INPUT_SIZE)
    centres = map_points(varied[0], placed.points)
    log_shape = np.log(scale_of(placed.transform) * INPUT_STEP)
    unit = float(np.exp(_SHAPE_SHARE * log_shape + (1 - _SHAPE_SHARE) * log_size)) / INPUT_STEP * scale_of(varied[0])
    if mm is not None:  # ten boxes tell the size better than the wrist does
        unit = mm
    sites = {
        name: SitePlace(Box.from_centre(float(x), float(y), float(width * unit)), float(score))
        for name, (x, y), width, score in zip(shape.sites, centres, shape.widths, placed.scores, strict=True)
    }
    down = varied[0][:, 1]  # the direction of the forearm on the film
    return FoundWrist(side, sites, placed.fit, float(np.degrees(np.arctan2(-down[0], down[1]))))


def _look(
    network: LandmarkNetwork,
    shape: ShapeModel,
    levels: npt.NDArray[np.float32],
    frames: Sequence[Matrix],
    size: int,
) -> tuple[PlacedSites, float]:
    """Return the sites on crops of one wrist in pixels of the first crop, and the log size there."""
    maps, sizes = network(np.stack([crop_square(levels, frame, size) for frame in frames]))
    into_first = [compose(invert(frames[0]), frame) for frame in frames]
    log_size = float(np.mean([z + np.log(scale_of(t)) for z, t in zip(sizes, into_first, strict=True)]))
    peaks = _merge([read_heat_maps(each) for each in maps], into_first)
    placed = place_sites(shape, peaks.points, peaks.spread, peaks.scores, 1 / INPUT_STEP)
    return placed, log_size


def _merge(seen: Sequence[Peaks], into_first: Sequence[Matrix]) -> Peaks:
    """Return the means of peaks on several crops, weighted by score, in pixels of the first crop."""
    points = np.stack([map_points(t, each.points) for t, each in zip(into_first, seen, strict=True)])
    scores = np.stack([each.scores for each in seen])
    spread = np.stack([each.spread * scale_of(t) for t, each in zip(into_first, seen, strict=True)])
    weight = scores + 1e-6
    weight = weight / weight.sum(axis=0)
    # Peaks of single crops that lie elsewhere do not move the mean.
    median = np.median(points, axis=0)
    weight = weight / (1 + ((points - median) ** 2).sum(axis=2) / 16.0)
    weight = weight / weight.sum(axis=0)
    mean = (weight[..., None] * points).sum(axis=0)
    apart = (weight * ((points - mean) ** 2).mean(axis=2)).sum(axis=0)
    return Peaks(mean, np.sqrt((weight * spread**2).sum(axis=0) + apart), (weight * scores).sum(axis=0))


def _crop_frame(shape_to_film: Matrix, size: int) -> Matrix:
    """Return the transform from a crop of `size` pixels to the film, with the wrist upright in its middle."""
    to_shape = similarity(INPUT_STEP, 0.0, np.full(2, size / 2), np.zeros(2))
    return compose(shape_to_film, to_shape)


def _whole_frame(shape: tuple[int, ...], field: float, rotation: int, side: str) -> tuple[Matrix, int]:
    """Return the transform from a crop of the whole film to the film, and the crop's side in pixels.

    `field` is the film's shorter side in mm; `rotation` turns the film clockwise.
    """
    rows, columns = shape
    mm = min(rows, columns) / field  # pixels of the film
    size = min(-(-round(max(rows, columns) / mm / INPUT_STEP) // 32) * 32, _LARGEST_CROP)
    crop_middle, film_middle = np.full(2, size / 2), np.array([columns / 2, rows / 2])
    turned = similarity(mm * INPUT_STEP, -np.radians(rotation), crop_middle, film_middle)
    flip = np.array([[-1.0 if side == "R" else 1.0, 0.0, size if side == "R" else 0.0], [0.0, 1.0, 0.0]])
    return compose(turned, flip), size
