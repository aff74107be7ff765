"""Search for the sites of a part of the body on a film by a landmark network, whose frames are the same for all parts.

The network sees crops in a fixed frame: upright, as a left side, at a fixed number of mm of a usual person per pixel. The
first crop is placed roughly; each further crop is placed by the sites found on the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.detection.crops import compose, crop_square, invert, map_points, scale_of
from ratui.detection.heat_maps import INPUT_SIZE, Peaks, read_heat_maps
from ratui.detection.parts import PartLayout
from ratui.detection.shape import PlacedSites, ShapeModel, place_sites
from ratui.imaging.geometry import Box, Matrix, make_similarity

__all__ = [
    "FoundPart", "LandmarkNetwork", "LandmarkPart", "PartSearch", "SitePlace", "crop_frame", "find_alone", "find_near",
]  # fmt: skip

_Floats = npt.NDArray[np.float64]
LandmarkNetwork: TypeAlias = Callable[
    [npt.NDArray[np.uint8]], tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
]  # fmt: skip
"""Takes crops (N, side, side), uint8. Returns heat maps (N, S, side / 4, side / 4), and the logarithm of the size of the
person relative to the usual one in each crop, (N,)."""

_PASSES = 2
"""Crops that place the next one, before the crops whose mean is the result."""
_VARIATIONS = ((0.0, 1.0), (-0.08, 0.96), (0.08, 0.96), (-0.08, 1.04), (0.08, 1.04))
"""Turn (radians) and scale of the crops whose mean is the result."""


@dataclass(frozen=True)
class LandmarkPart:
    """Network of a part of the body, with the shape model of its landmarks and its layout."""

    network: LandmarkNetwork
    shape: ShapeModel
    layout: PartLayout


@dataclass(frozen=True)
class PartSearch:
    """Scales and limits of the search for a part on a film of which nothing is known.

    Attributes
    ----------
    fields
        Widths of the film in mm of a usual person that are tried.
    least_fit
        Least fit of a part that is reported.
    clear_fit
        Fit in a likely orientation that needs no other one.
    candidates
        Largest number of orientations that are looked at closely.
    least_trace
        Least fit at the middle one of `fields` of an orientation that is tried at the others.
    least_start
        Least fit at any of them of an orientation that is looked at closely.
    largest_crop
        Largest side of a crop of the whole film, in pixels: a multiple of 32.
    """

    fields: Sequence[float]
    least_fit: float = 0.2
    clear_fit: float = 0.3
    candidates: int = 8
    least_trace: float = 0.0
    least_start: float = 0.0
    largest_crop: int = 448


@dataclass(frozen=True)
class SitePlace:
    """A site on a film: its `box` in pixels, and its `score` from 0 to 1.

    The score is low if the site has no clear peak of its own, or lies where the others do not expect it.
    """

    box: Box
    score: float


@dataclass(frozen=True)
class FoundPart:
    """A part of the body on a film.

    Attributes
    ----------
    side
        Side that it looks like, ``L`` or ``R``.
    sites
        Places by name of the site.
    fit
        Agreement of the peaks with the shape, from 0 to 1.
    angle
        Clockwise angle on the film, in degrees from -180 to 180; 0 is upright, with the fingers or toes up.
    landmarks
        Centres of all sites and helping landmarks on the film, in the order of the shape model, shape (S, 2).
    unit
        Width of a mm of a usual person in pixels of the film.
    is_negative
        True if it was found on the negative of the film.
    """

    side: str
    sites: Mapping[str, SitePlace]
    fit: float
    angle: float
    landmarks: _Floats
    unit: float
    is_negative: bool = False

    @property
    def rotation(self) -> int:
        """Clockwise turn of the film in degrees, 0 to 270, after which the part is nearest to the upright position."""
        return round(-self.angle / 90) % 4 * 90


def find_alone(
    part: LandmarkPart,
    levels: npt.NDArray[np.float32],
    search: PartSearch,
    *,
    sides: Sequence[str] = ("L", "R"),
    rotations: Sequence[int] = (0, 90, 180, 270),
) -> FoundPart | None:
    """Return the part on a film of which nothing is known, or None if nothing on it looks like one.

    The negative of the film is searched as well, because headers of films may state the wrong polarity.

    Parameters
    ----------
    part
        Network and shape model of the sites.
    levels
        Grey levels from 0 to 1, shape (rows, columns); bone is bright.
    search
        Scales and limits of the search.
    sides
        Sides to try, the most probable one first. A mirrored part looks like the other side.
    rotations
        Clockwise turns of the film to try, in degrees, the most probable one first.
    """
    orientations = list(product(rotations, sides))
    best = _find_in(part, levels, search, orientations)
    if best is None or best.fit < search.clear_fit:
        negative = _find_in(part, np.float32(1.0) - levels, search, orientations)
        if negative is not None and (best is None or negative.fit > best.fit):
            best = replace(negative, is_negative=True)
    return best if best is not None and best.fit >= search.least_fit else None


def _find_in(
    part: LandmarkPart, levels: npt.NDArray[np.float32], search: PartSearch, orientations: Sequence[tuple[int, str]]
) -> FoundPart | None:
    """Return the part that fits best in one of the orientations (rotation and side), or None if there is no trace of one."""

    def look(rotation: int, side: str, field: float) -> tuple[float, Matrix]:
        frame, size = _whole_frame(part, levels.shape, field, rotation, side, search.largest_crop)
        placed, _ = _look(part, levels, [frame], size)
        return placed.fit, crop_frame(part, compose(frame, placed.transform))

    middle = search.fields[len(search.fields) // 2]
    starts: list[tuple[float, Matrix, tuple[int, str]]] = []
    for orientation in orientations:
        starts.append((*look(*orientation, middle), orientation))
        if starts[-1][0] > search.clear_fit:
            break
    starts.sort(key=lambda each: -each[0])
    best: FoundPart | None = None
    for fit, frame, orientation in starts[: search.candidates]:
        if fit < search.least_trace or (best is not None and best.fit >= search.clear_fit):
            break
        for field in search.fields:
            if field != middle and fit <= search.clear_fit:
                fit, frame = max((fit, frame), look(*orientation, field), key=lambda each: each[0])
        if fit >= search.least_start:
            found = find_near(part, levels, frame, orientation[1])
            best = found if best is None or found.fit > best.fit else best
    return best


def find_near(
    part: LandmarkPart, levels: npt.NDArray[np.float32], frame: Matrix, side: str, mm: float | None = None
) -> FoundPart:
    """Return the part near a crop, also if it fits badly.

    Parameters
    ----------
    part
        Network and shape model of the sites.
    levels
        Grey levels from 0 to 1, shape (rows, columns); bone is bright.
    frame
        Transform from the crop to the film; see `crop_frame`.
    side
        Side that it looks like in this frame.
    mm
        Width of a mm of a usual person in pixels of the film, if something else than this part tells it.
    """
    for _ in range(_PASSES):
        placed, _ = _look(part, levels, [frame], INPUT_SIZE)
        frame = crop_frame(part, compose(frame, placed.transform))
    middle = np.full(2, INPUT_SIZE / 2)
    varied = [compose(frame, make_similarity(scale, turn, middle, middle)) for turn, scale in _VARIATIONS]
    placed, log_size = _look(part, levels, varied, INPUT_SIZE)
    centres = map_points(varied[0], placed.points)
    log_shape = np.log(scale_of(placed.transform) * part.layout.step)
    log_size = part.layout.shape_share * log_shape + (1 - part.layout.shape_share) * log_size
    unit = float(np.exp(log_size)) / part.layout.step * scale_of(varied[0])
    if mm is not None:  # ten boxes of finger joints tell the size better than a wrist does
        unit = mm
    sites = {
        name: SitePlace(Box.from_centre(float(x), float(y), float(width * unit)), float(score))
        for name, (x, y), width, score in zip(part.shape.sites, centres, part.shape.widths, placed.scores, strict=True)
        if name in part.layout.sites
    }
    down = varied[0][:, 1]  # the direction of the forearm or the hindfoot on the film
    angle = float(np.degrees(np.arctan2(-down[0], down[1])))
    return FoundPart(side, sites, placed.fit, angle, centres, unit)


def _look(
    part: LandmarkPart,
    levels: npt.NDArray[np.float32],
    frames: Sequence[Matrix],
    size: int,
) -> tuple[PlacedSites, float]:
    """Return the sites on crops of one part in pixels of the first crop, and the log size there."""
    maps, sizes = part.network(np.stack([crop_square(levels, frame, size) for frame in frames]))
    into_first = [compose(invert(frames[0]), frame) for frame in frames]
    log_size = float(np.mean([z + np.log(scale_of(t)) for z, t in zip(sizes, into_first, strict=True)]))
    peaks = _merge([read_heat_maps(each) for each in maps], into_first)
    error = np.sqrt(np.maximum(peaks.spread**2 - part.layout.peak_blur**2, 0.0))
    placed = place_sites(part.shape, peaks.points, error, peaks.scores, 1 / part.layout.step)
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


def crop_frame(part: LandmarkPart, shape_to_film: Matrix) -> Matrix:
    """Return the transform from the network's crop to the film, with the part upright in its middle."""
    to_shape = make_similarity(part.layout.step, 0.0, np.full(2, INPUT_SIZE / 2), np.zeros(2))
    return compose(shape_to_film, to_shape)


def _whole_frame(
    part: LandmarkPart, shape: tuple[int, ...], field: float, rotation: int, side: str, largest: int
) -> tuple[Matrix, int]:
    """Return the transform from a crop of the whole film to the film, and the crop's side in pixels, at most `largest`.

    `field` is the film's shorter side in mm; `rotation` turns the film clockwise.
    """
    rows, columns = shape
    mm = min(rows, columns) / field  # pixels of the film
    size = min(-(-round(max(rows, columns) / mm / part.layout.step) // 32) * 32, largest)
    crop_middle, film_middle = np.full(2, size / 2), np.array([columns / 2, rows / 2])
    turned = make_similarity(mm * part.layout.step, -np.radians(rotation), crop_middle, film_middle)
    flip = np.array([[-1.0 if side == "R" else 1.0, 0.0, size if side == "R" else 0.0], [0.0, 1.0, 0.0]])
    return compose(turned, flip), size
