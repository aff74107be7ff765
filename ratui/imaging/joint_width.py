"""Width of a joint space on one film, from the edges of its two surfaces.

Profiles are taken perpendicular to the line of the joint, over the middle half of the proximal bone's head. The edge of a
surface is where the grey level changes fastest between the space and the bone. The distal surface is the bottom of the cup
of the base (its bright articular plate), not the rim in front of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.imaging.film import Film
from ratui.imaging.geometry import Box
from ratui.imaging.joint_space_crops import (
    SUPPORTED_JOINTS,
    JointSource,
    find_upright_bones,
    make_source,
    make_view,
    map_point,
    measure_overlap,
    sample_film,
)
from ratui.imaging.registration import Levels

__all__ = ["HiddenSurface", "JointSpaceWidth", "joint_space_width"]

HiddenSurface: TypeAlias = Literal["", "unsupported", "small", "bones", "overlap", "hidden", "uneven"]
"""Reason why a width is unreliable.

``unsupported``: no joint of this name can be measured; ``small``: the box has too few pixels; ``bones``: two bones were
not found; ``overlap``: the surfaces overlap in the projection; ``hidden``: a surface is not visible over the middle of the
joint; ``uneven``: its edge is not a smooth line.
"""

_MIDDLE = 0.5  # part of the head's width that is measured
_HEAD = (0.04, 0.2)  # distance from its surface where the width of a head is taken, in boxes
_MIN_PIXELS = 56  # side of a box
_REACH = 0.14  # of the profiles to both sides of the line of the joint, in boxes
_STEPS = 4  # samples of a profile for each pixel
_BLUR = (1.0, 2.0)  # along a profile and across it, in pixels
_FARTHEST = 0.13  # edge from the middle of the space, in boxes
_ROUND_EDGE_MM, _ROUND_EDGE = 0.19, 0.010  # too wide by so much in mm; in boxes where the spacing is unknown
_LEAST_GAP = -0.02  # between the masks of both bones, in boxes
_MAX_OVERLAP = 0.03
_LEAST_CONTRAST = 0.10  # of the space against both bones, as part of the contrast of the crop, in 90 % of the profiles
_LEAST_SLOPE = 0.25  # of the edges, as part of the steepest ones, in 90 % of the profiles
_MAX_UNEVEN = 0.0042  # standard deviation of an edge from a smooth line, in boxes
_SD_MEAN, _SD_MINIMUM = 0.0045, 0.0075  # standard errors in boxes
_PLATE = (0.6, 3.0)  # level of the distal edge between the space (0) and the plate (1), and weight of this level
_NEAR = 2  # samples from the path to the steepest place, at most
_RUN = 0.1  # part of the profiles over which the smallest width is a mean

_Floats: TypeAlias = npt.NDArray[np.float64]
_Rows: TypeAlias = npt.NDArray[np.intp]


@dataclass(frozen=True)
class JointSpaceWidth:
    """Width of a joint space over the middle half of the joint.

    Attributes
    ----------
    mean_pixels, minimum_pixels
        Mean and smallest width, in widths of a pixel. NaN if they could not be measured.
    mean_mm, minimum_mm
        The same in mm, or None if the spacing is unknown.
    mean_interval, minimum_interval
        Intervals (low, high) that contain the true widths in about 95 of 100 joints: in mm if the spacing is known, else in
        pixels.
    is_reliable
        False if the width is unreliable.
    reason
        Reason why it is unreliable, else empty.
    """

    mean_pixels: float
    mean_mm: float | None
    mean_interval: tuple[float, float]
    minimum_pixels: float
    minimum_mm: float | None
    minimum_interval: tuple[float, float]
    is_reliable: bool
    reason: HiddenSurface = ""

    @property
    def ok(self) -> bool:
        """The same as `is_reliable`, for scripts that use this earlier name."""
        return self.is_reliable


@dataclass(frozen=True)
class _Profiles:
    """Profiles of a joint space.

    Attributes
    ----------
    levels
        Grey levels, shape (samples, profiles): from the proximal bone to the distal one.
    places
        Distance of each sample from the line of the joint in pixels, shape (samples,).
    boxes
        Side of the joint's box in pixels.
    gap
        Distance of the two masks on each profile in pixels.
    overlap
        Part of the smaller bone that the other one covers.
    covered
        True if the film covers all profiles.
    """

    levels: Levels
    places: _Floats
    boxes: int
    gap: _Floats
    overlap: float
    covered: bool


@dataclass(frozen=True)
class _Edges:
    """Edges of both surfaces on each profile in pixels, and how visible they are in 90 % of the profiles."""

    distal: _Floats
    proximal: _Floats
    contrast: float
    slope: float


def joint_space_width(
    film: Film | npt.NDArray[np.generic],
    box: Box | tuple[float, float, float, float],
    *,
    spacing: tuple[float, float] | None = None,
    joint: str = "",
) -> JointSpaceWidth:
    """Measure the width of a finger joint's space on one film, where both surfaces are visible.

    The fingers point up, by 60 degrees at most to either side. A width is the distance of the two edges less 0.19 mm (0.01
    boxes where the spacing is unknown): the edge of a round surface absorbs little, so that it appears inside the bone.
    It takes less than 0.05 s. Any thread may call it.

    Parameters
    ----------
    film
        The film; or an image in which bone is bright, shape (rows, columns).
    box
        Box of the joint in pixels, with the joint near its middle.
    spacing
        Size of a pixel as (row, column) in mm, in place of that of the film.
    joint
        Name of the joint, such as ``MCP2``. One that is not in `ratui.imaging.SUPPORTED_JOINTS` is not measured. Without a
        name, the caller vouches for a supported joint.

    Returns
    -------
    JointSpaceWidth
        The width. Check `is_reliable` first.

    Raises
    ------
    ValueError
        If the image is not two-dimensional, the box has no area, or the spacing is not positive.
    """
    source = make_source(film, box, spacing)
    if joint and joint not in SUPPORTED_JOINTS:
        return _refuse(source, "unsupported")
    if source.side / max(source.pitch) < _MIN_PIXELS:
        return _refuse(source, "small")
    profiles = _take_profiles(source)
    if profiles is None:
        return _refuse(source, "bones")
    edges = _find_edges(profiles)
    unit = source.side / profiles.boxes
    excess = _ROUND_EDGE_MM if source.spacing else _ROUND_EDGE * source.side
    widths = np.maximum((edges.distal - edges.proximal) * unit - excess, 0.0)
    run = max(round(_RUN * len(widths)), 1)
    smallest = float(np.convolve(widths, np.ones(run) / run, "valid").min())
    reason = _judge(profiles, edges)
    return _describe(source, float(widths.mean()), smallest, reason)


def _describe(source: JointSource, mean: float, smallest: float, reason: HiddenSurface) -> JointSpaceWidth:
    """Return the widths `mean` and `smallest`, in the unit of the source."""
    column = source.pitch[0]

    def make_interval(width: float, error: float) -> tuple[float, float]:
        # Without a spacing, the unit is already a pixel.
        return max(width - 2 * error * source.side, 0.0), width + 2 * error * source.side

    return JointSpaceWidth(
        mean_pixels=mean / column,
        mean_mm=mean if source.spacing else None,
        mean_interval=make_interval(mean, _SD_MEAN),
        minimum_pixels=smallest / column,
        minimum_mm=smallest if source.spacing else None,
        minimum_interval=make_interval(smallest, _SD_MINIMUM),
        is_reliable=not reason,
        reason=reason,
    )


def _refuse(source: JointSource, reason: HiddenSurface) -> JointSpaceWidth:
    """Return a result without widths."""
    nan = float("nan")
    mm = nan if source.spacing else None
    return JointSpaceWidth(nan, mm, (0.0, float("inf")), nan, mm, (0.0, float("inf")), False, reason)


def _take_profiles(source: JointSource) -> _Profiles | None:
    """Return the profiles of a joint, or None if two bones are not found."""
    import cv2

    found = find_upright_bones(source, source.side)
    if found is None:
        return None
    bones, view, turn = found
    boxes = round(source.side / float(np.sqrt(source.pitch[0] * source.pitch[1])))
    size = (boxes, boxes)
    to_film = make_view(source, source.side / boxes, map_point(view, bones.middle), turn, size)
    levels, covered = sample_film(source, to_film, size)
    to_view = (np.linalg.inv(np.vstack([view, [0, 0, 1]])) @ np.vstack([to_film, [0, 0, 1]]))[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    distal, proximal = (
        cv2.warpAffine(each, to_view, size, flags=flags, borderMode=cv2.BORDER_REPLICATE) > 0.5
        for each in (bones.distal, bones.proximal)
    )
    tip = map_point(np.linalg.inv(np.vstack([to_view, [0, 0, 1]]))[:2], bones.tip)
    head = proximal[int(tip[1] + _HEAD[0] * boxes) : int(tip[1] + _HEAD[1] * boxes)].sum(axis=1)
    half = 0.5 * _MIDDLE * float(np.median(head)) if len(head) else 0.0
    columns = np.arange(max(int(np.ceil(tip[0] - half)), 0), min(int(tip[0] + half) + 1, boxes))
    base, top = distal[::-1, columns], proximal[:, columns]
    both = base.any(axis=0) & top.any(axis=0)
    if both.sum() < 8:
        return None
    surfaces = boxes - 1.0 - base.argmax(axis=0), top.argmax(axis=0).astype(np.float64)
    offsets = columns - tip[0]
    curve = np.polyfit(offsets[both], (surfaces[0] + surfaces[1])[both] / 2, 2)
    line, slope = np.polyval(curve, offsets), np.polyval(np.polyder(curve), offsets)
    length = np.hypot(1.0, slope)
    count = round(_REACH * boxes * _STEPS)
    places = np.arange(-count, count + 1) / _STEPS
    x = (columns[None, :] + places[:, None] * (slope / length)[None, :]).astype(np.float32)
    y = (line[None, :] - places[:, None] / length[None, :]).astype(np.float32)
    taken = cv2.remap(levels, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    inside = cv2.remap(covered, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return _Profiles(
        np.asarray(taken, np.float32),
        places,
        boxes,
        ((surfaces[1] - surfaces[0]) / length)[both],
        measure_overlap([distal.astype(np.uint8), proximal.astype(np.uint8)]),
        bool(inside.min() > 0.5),
    )


def _find_edges(profiles: _Profiles) -> _Edges:
    """Return the edges of both surfaces: steep lines on both sides of the darkest one, the distal one at the plate."""
    import cv2

    levels = cv2.GaussianBlur(profiles.levels, (0, 0), sigmaX=_BLUR[1], sigmaY=_BLUR[0] * _STEPS)
    gradient = np.gradient(levels, axis=0) * _STEPS
    steep = float(np.percentile(np.abs(gradient), 90)) + 1e-9
    rows, boxes = np.arange(len(levels))[:, None], profiles.boxes
    relative = (levels - np.median(levels)) / (float(levels.std()) + 1e-9)
    middle = _find_path(relative + 0.3 * (profiles.places[:, None] / (0.05 * boxes)) ** 2, 0.02)
    darkest = np.take_along_axis(levels, middle[None], 0)[0]
    edges, slopes, peaks = [], [], []
    for sign in (1, -1):
        distance = sign * (rows - middle[None, :]) / _STEPS
        cost = 5.0 * distance / boxes - np.minimum(sign * gradient / steep, 2.0)
        within = (distance >= 0) & (distance <= _FARTHEST * boxes)
        if sign > 0:
            # The rim of the base lies before its articular plate, and is less bright.
            plate = float(np.median(np.max(np.where(within, levels, -np.inf), axis=0)))
            cost = cost + _PLATE[1] * np.abs((levels - darkest) / (plate - darkest + 1e-9) - _PLATE[0])
        path = _find_path(np.where(within, cost, 50.0), 0.05)
        # The level has drawn the path away from the steepest place.
        near = np.stack([np.clip(path + step, 0, len(levels) - 1) for step in range(-_NEAR, _NEAR + 1)])
        best = np.take_along_axis(sign * gradient, near, 0).argmax(axis=0)
        path = np.take_along_axis(near, best[None], 0)[0]
        edges.append(profiles.places[path] + sign * _find_peak(sign * gradient, path, sign) / _STEPS)
        slopes.append(sign * np.take_along_axis(gradient, path[None], 0)[0] / steep)
        behind = [np.clip(path + sign * step, 0, len(levels) - 1) for step in range(3 * _STEPS + 1)]
        peaks.append(np.max([np.take_along_axis(levels, each[None], 0)[0] for each in behind], axis=0))
    bright = float(np.percentile(levels, 90) - np.percentile(levels, 2)) + 1e-9
    contrast = (np.minimum(*peaks) - darkest) / bright
    return _Edges(
        edges[0], edges[1], float(np.quantile(contrast, 0.1)), min(float(np.quantile(each, 0.1)) for each in slopes)
    )


def _find_path(cost: _Floats, stiffness: float) -> _Rows:
    """Return the row on each column of the cheapest path, which moves by two rows at most from column to column."""
    total = cost[:, 0].astype(np.float64)
    back = np.zeros(cost.shape, np.intp)
    for column in range(1, cost.shape[1]):
        padded = np.pad(total, 2, constant_values=np.inf)
        options = np.stack([padded[2 + move : 2 + move + len(total)] + stiffness * abs(move) for move in range(-2, 3)])
        best = options.argmin(axis=0)
        back[:, column] = best - 2
        total = np.take_along_axis(options, best[None], 0)[0] + cost[:, column]
    path = np.empty(cost.shape[1], np.intp)
    path[-1] = total.argmin()
    for column in range(cost.shape[1] - 1, 0, -1):
        path[column - 1] = path[column] + back[path[column], column]
    return path


def _find_peak(gradient: _Floats, path: _Rows, sign: int) -> _Floats:
    """Return by how many samples in the direction of `sign` the steepest place is off `path`, by a parabola, 1 at most."""
    inner = np.clip(path, 1, len(gradient) - 2)
    before, here, after = (np.take_along_axis(gradient, (inner + step * sign)[None], 0)[0] for step in (-1, 0, 1))
    bend = before - 2 * here + after
    return np.asarray(np.clip(np.where(bend < 0, (before - after) / np.where(bend < 0, 2 * bend, 1.0), 0.0), -1, 1))


def _judge(profiles: _Profiles, edges: _Edges) -> HiddenSurface:
    """Return why a width is unreliable, or an empty text."""
    boxes = profiles.boxes
    if profiles.overlap > _MAX_OVERLAP or float(np.median(profiles.gap)) < _LEAST_GAP * boxes:
        return "overlap"
    if not profiles.covered or edges.contrast < _LEAST_CONTRAST or edges.slope < _LEAST_SLOPE:
        return "hidden"
    x = np.linspace(-1, 1, len(edges.distal))
    uneven = max(float(np.std(each - np.polyval(np.polyfit(x, each, 3), x))) for each in (edges.distal, edges.proximal))
    return "uneven" if uneven > _MAX_UNEVEN * boxes else ""
