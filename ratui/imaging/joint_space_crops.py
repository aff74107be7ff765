"""Crops of a finger joint for the measurement of its space: upright, at a common scale, with a weight for each bone.

Points are (x, y). Matrices take pixels of a crop to pixels of the film. The origin of both is the centre of the first
pixel, as in OpenCV. A `Box` has its origin at the corner of that pixel.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.imaging.film import Film
from ratui.imaging.geometry import Box, Matrix
from ratui.imaging.joint_space_bones import NETWORK_SIDE, Bones, find_bones
from ratui.imaging.joint_space_registration import Bands, make_bands
from ratui.imaging.registration import Levels

__all__ = [
    "SUPPORTED_JOINTS",
    "JointCrop",
    "JointSource",
    "crop_joint",
    "find_upright_bones",
    "get_turn",
    "make_source",
    "make_view",
    "map_point",
    "measure_overlap",
    "sample_film",
]

Point: TypeAlias = npt.NDArray[np.float64]
SUPPORTED_JOINTS = ("IP1", "PIP2", "PIP3", "PIP4", "PIP5", "MCP1", "MCP2", "MCP3", "MCP4", "MCP5")
"""Names of the joints whose space can be measured. Others were never compared with a known truth."""

_VIEW = 1.2  # side of the crop that the network sees, in boxes
_WIDTH, _HEIGHT = 1.1, 1.3  # of the compared crop, in boxes
_MULTIPLE = 12  # crops have sides of a multiple of it, so that their bands can be reduced evenly
_UNIT = 1 / 240  # of the bands, in boxes: the finest structure has twice this width
_GROW, _CUT, _SOFT = 0.05, 0.03, 0.008  # margin of a bone, of the other bone, and softness of the weights, in boxes
_APART, _SPREAD = 0.012, 0.06  # margin of a bone that is replaced by soft tissue, and smoothness of that, in boxes
_FALL = 0.35  # distance from the joint at which a bone counts 1 / e, in boxes
_NEAR = 0.2  # the same for the part near the joint, beside `_FALL`
_START = 0.18  # distance from the joint of the point at which a search starts, in boxes
_SHRINKING = 1.15  # from this reduction on, the film is smoothed before it is sampled


@dataclass(frozen=True)
class JointSource:
    """A film or an image, and the box of the joint.

    Attributes
    ----------
    pixels
        Stored values, shape (rows, columns).
    film
        The film to which the values belong, or None for an image in which bone is bright.
    spacing
        Size of a pixel as (row, column) in mm, or None.
    aspect
        Height of a pixel divided by its width.
    box
        Box of the joint in pixels.
    """

    pixels: npt.NDArray[Any]
    film: Film | None
    spacing: tuple[float, float] | None
    aspect: float
    box: Box

    @property
    def side(self) -> float:
        """Longer side of the box in mm, or in columns if the spacing is unknown."""
        across, down = self.pitch
        return max(self.box.width * across, self.box.height * down)

    @property
    def pitch(self) -> tuple[float, float]:
        """Size of a pixel (across, down) in the unit of `side`."""
        return (self.spacing[1], self.spacing[0]) if self.spacing else (1.0, self.aspect)

    def without_spacing(self) -> JointSource:
        """Return the source measured in columns."""
        aspect = self.spacing[0] / self.spacing[1] if self.spacing else self.aspect
        return replace(self, spacing=None, aspect=aspect)

    def compute_key(self) -> tuple[bytes, tuple[float, ...], bytes]:
        """Return a value by which two sources can be put in an order that does not depend on the caller's.

        It depends on values and not on the type of the array. Equal keys mean that the measurement sees equal films.
        """
        x0, y0, x1, y1 = (round(value) for value in self.box)
        across, down = x1 - x0, y1 - y0
        inside = self.pixels[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
        around = np.s_[max(y0 - down, 0) : max(y1 + down, 0), max(x0 - across, 0) : max(x1 + across, 0)]
        place = (*self.box, *self.pitch, *self.pixels.shape)
        return _digest(_to_smallest_type(inside)), place, _digest(self.to_levels(around))

    def to_levels(self, part: tuple[slice, slice]) -> Levels:
        """Return the values of a part of the film, bone bright."""
        values = self.pixels[part]
        if self.film is None:
            return np.asarray(values, np.float32)
        units = self.film.to_modality_units(values).astype(np.float32)
        return -units if self.film.is_inverted else units


def _to_smallest_type(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the values in the smallest of three types that holds them, so that equal values have equal bytes."""
    for kind in ("<u1", "<u2"):
        with np.errstate(invalid="ignore"):  # values that are not finite fit none of them
            smaller = values.astype(kind)
        if np.array_equal(smaller, values):
            return smaller
    return values.astype("<f8")


def _digest(values: npt.NDArray[Any]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(values).tobytes(), digest_size=16).digest()


@dataclass(frozen=True)
class JointCrop:
    """A joint, upright and at the common scale.

    Attributes
    ----------
    bands
        Structure at several resolutions for the distal and for the proximal bone.
    weights
        Weight of each pixel for the distal and for the proximal bone, from 0 to 1.
    ends
        Middle of the articular surface of the distal and of the proximal bone.
    axis
        Unit vector along the joint's axis, towards the fingertip.
    starts
        About the same point of the distal and of the proximal bone on each crop.
    near
        Part of its weight that a pixel keeps if only the part near the joint counts.
    overlap
        Part of the smaller bone that the other one covers, near the joint.
    levels
        Grey levels, bone bright.
    masks
        Pixels of the distal and of the proximal bone that the film covers, 1 or 0.
    covered
        1 where the film covers the crop, else 0.
    to_film
        Matrix from the crop to the film.
    """

    bands: tuple[Bands, Bands]
    weights: tuple[Levels, Levels]
    ends: tuple[Point, Point]
    axis: Point
    starts: tuple[Point, Point]
    near: Levels
    overlap: float
    levels: Levels
    masks: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]
    covered: Levels
    to_film: Matrix


def make_source(
    film: Film | npt.NDArray[np.generic],
    box: Box | tuple[float, float, float, float],
    spacing: tuple[float, float] | None,
) -> JointSource:
    """Return a joint on a film or on an image.

    Raises
    ------
    ValueError
        If the image is not two-dimensional or not of real numbers, the box has no area, or a spacing is not positive.
    """
    area = Box(*(float(value) for value in box))
    pixels = film.pixels if isinstance(film, Film) else np.asarray(film)
    if pixels.ndim != 2:
        raise ValueError(f"an image has two dimensions, not {pixels.ndim}")
    if pixels.dtype.kind not in "buif":
        raise ValueError(f"an image has real numbers, not {pixels.dtype}")
    if not np.all(np.isfinite(area)) or area.width <= 0 or area.height <= 0:
        raise ValueError(f"a box has an area: {tuple(area)}")
    if isinstance(film, Film):
        spacing = film.spacing if spacing is None else spacing
    if spacing is not None:
        row, column = (float(value) for value in spacing)
        if not (0 < row < np.inf and 0 < column < np.inf):
            raise ValueError(f"a spacing is positive: {spacing}")
        spacing = row, column
    return JointSource(
        pixels, film if isinstance(film, Film) else None, spacing, film.aspect if isinstance(film, Film) else 1.0, area
    )


def crop_joint(source: JointSource, side: float, pixels: float) -> JointCrop | None:
    """Return the crop of a joint, or None if its two bones are not found.

    Parameters
    ----------
    source
        The joint.
    side
        Side of a box in the unit of `source.pitch`, the same for both films.
    pixels
        The same side in pixels of the crop.
    """
    import cv2

    found = find_upright_bones(source, side)
    if found is None:
        return None
    bones, view, turn = found
    size = (_round_up(_WIDTH * pixels), _round_up(_HEIGHT * pixels))
    to_film = make_view(source, side / pixels, map_point(view, bones.middle), turn, size)
    levels, covered = sample_film(source, to_film, size)
    if not np.all(np.isfinite(levels)):
        return None
    to_view = (np.linalg.inv(np.vstack([view, [0, 0, 1]])) @ np.vstack([to_film, [0, 0, 1]]))[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    solid = [
        (cv2.warpAffine(each, to_view, size, flags=flags, borderMode=cv2.BORDER_REPLICATE) > 0.5).astype(np.uint8)
        for each in (bones.distal, bones.proximal)
    ]
    to_crop = np.linalg.inv(np.vstack([to_view, [0, 0, 1]]))[:2]
    middle = map_point(to_crop, bones.middle)
    axis = to_crop[:, :2] @ bones.axis
    down = np.array([0.0, _START * pixels])
    return JointCrop(
        _make_bone_bands(levels, solid, covered, pixels),
        _weigh(solid, covered, float(middle[1]), pixels),
        (map_point(to_crop, bones.ends[0]), map_point(to_crop, bones.ends[1])),
        np.asarray(axis / np.hypot(*axis)),
        (middle - down, middle + down),
        np.broadcast_to(_weigh_rows(size[1], float(middle[1]), _NEAR * pixels), levels.shape),
        measure_overlap(solid),
        levels,
        (solid[0] * (covered > 0), solid[1] * (covered > 0)),
        covered,
        to_film,
    )


def _make_bone_bands(
    levels: Levels, solid: list[npt.NDArray[np.uint8]], covered: Levels, pixels: float
) -> tuple[Bands, Bands]:
    """Return the bands of both bones: of the crop in which soft tissue takes the place of the other bone."""
    import cv2

    apart = [np.asarray(cv2.dilate(each, _make_disc(_APART * pixels)), np.uint8) for each in solid]
    soft = ((apart[0] | apart[1]) == 0).astype(np.float32) * covered
    reduced = (levels.shape[1] // 4, levels.shape[0] // 4)
    deviation = _SPREAD * pixels / 4
    values, counts = (
        cv2.GaussianBlur(cv2.resize(each, reduced, interpolation=cv2.INTER_AREA), (0, 0), deviation)
        for each in (levels * soft, soft)
    )
    level = float((levels * soft).sum()) / max(float(soft.sum()), 1.0)
    tissue = cv2.resize(
        (values + np.float32(1e-3 * level)) / (counts + np.float32(1e-3)),
        levels.shape[::-1],
        interpolation=cv2.INTER_LINEAR,
    )
    a, b = (
        make_bands(np.where((other > 0) & (bone == 0), tissue, levels), _UNIT * pixels)
        for bone, other in zip(solid, apart[::-1], strict=True)
    )
    return a, b


def _weigh(solid: list[npt.NDArray[np.uint8]], covered: Levels, middle: float, pixels: float) -> tuple[Levels, Levels]:
    """Return the weights of both bones: with their outlines, without the other bone, and less far from the joint."""
    import cv2

    fall = _weigh_rows(covered.shape[0], middle, _FALL * pixels) * covered
    weights = []
    for bone, other in (solid, solid[::-1]):
        near = np.asarray(cv2.dilate(bone, _make_disc(_GROW * pixels)), np.bool_)
        own = near & ~np.asarray(cv2.dilate(other, _make_disc(_CUT * pixels)), np.bool_)
        soft = cv2.GaussianBlur(own.astype(np.float32), (0, 0), max(_SOFT * pixels, 0.6))
        weights.append(np.asarray(soft * fall, np.float32))
    return weights[0], weights[1]


def _weigh_rows(rows: int, middle: float, distance: float) -> Levels:
    """Return the weight of each row, 1 at `middle` and 1 / e at `distance` from it: shape (rows, 1)."""
    far = (np.arange(rows, dtype=np.float32)[:, None] - np.float32(middle)) / np.float32(distance)
    return np.asarray(np.exp(-far * far), np.float32)


def measure_overlap(solid: list[npt.NDArray[np.uint8]]) -> float:
    """Return the part of the smaller bone on the crop that the other one covers."""
    smaller = min(int(each.sum()) for each in solid)
    return float((solid[0] & solid[1]).sum()) / max(smaller, 1)


def find_upright_bones(source: JointSource, side: float) -> tuple[Bones, Matrix, float] | None:
    """Return the bones of a joint, or None if they are not found.

    Parameters
    ----------
    source
        The joint.
    side
        Side of a box in the unit of `source.pitch`.

    Returns
    -------
    tuple or None
        The bones, the matrix of the crop that shows them, and the angle in radians that turns the joint upright.
    """
    # The second look is upright and around the middle of the joint, so that all films are seen in the same way.
    first = _find_bones_around(source, side, np.array(source.box.centre) - 0.5, 0.0)
    if first is None:
        return None
    bones, view = first
    turn = get_turn(bones.axis)
    second = _find_bones_around(source, side, map_point(view, bones.middle), turn)
    if second is None:
        return None
    bones, view = second
    return bones, view, turn + get_turn(bones.axis)


def _find_bones_around(source: JointSource, side: float, centre: Point, turn: float) -> tuple[Bones, Matrix] | None:
    """Return the bones around `centre` on a square crop turned by `turn`, with the matrix of that crop.

    None if there are not two, if `centre` is not on the film or that is too small, or if a value is not finite.
    """
    rows, columns = source.pixels.shape
    if not (0 <= centre[0] < columns and 0 <= centre[1] < rows):
        return None
    # OpenCV 5.0.0 never returns from mirroring a film of one row or column, and smooths for a box far larger than the film.
    if min(rows, columns) < 2 or side > 2 * np.hypot(columns * source.pitch[0], rows * source.pitch[1]):
        return None
    size = (NETWORK_SIDE, NETWORK_SIDE)
    view = make_view(source, side * _VIEW / NETWORK_SIDE, centre, turn, size)
    levels = sample_film(source, view, size)[0]
    bones = find_bones(levels) if np.all(np.isfinite(levels)) else None
    return None if bones is None else (bones, view)


def make_view(source: JointSource, pitch: float, centre: Point, turn: float, size: tuple[int, int]) -> Matrix:
    """Return the matrix from a crop of `size` (width, height) around `centre` to the film."""
    c, s = np.cos(turn), np.sin(turn)
    linear = np.diag(pitch / np.array(source.pitch)) @ np.array([[c, -s], [s, c]])
    middle = (np.array(size) - 1) / 2
    return np.hstack([linear, (centre - linear @ middle)[:, None]])


def sample_film(source: JointSource, matrix: Matrix, size: tuple[int, int]) -> tuple[Levels, Levels]:
    """Return a crop, and 1 where the film covers it, else 0. Outside, the film is mirrored."""
    import cv2

    width, height = size
    rows, columns = source.pixels.shape
    corners = np.array([[x, y, 1.0] for x in (0, width - 1) for y in (0, height - 1)]) @ matrix.T
    low = np.clip(np.floor(corners.min(axis=0)) - 8, 0, [columns - 1, rows - 1]).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 9, low + 1, [columns, rows]).astype(int)
    levels = source.to_levels(np.s_[low[1] : high[1], low[0] : high[0]])
    across, down = (float(np.hypot(*matrix[axis, :2])) for axis in (0, 1))
    if max(across, down) > _SHRINKING:
        levels = np.asarray(cv2.GaussianBlur(levels, (0, 0), sigmaX=0.4 * across, sigmaY=0.4 * down), np.float32)
    local = matrix.copy()
    local[:, 2] -= low
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    crop = cv2.warpAffine(levels, local, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    x, y = np.arange(width, dtype=np.float32)[None, :], np.arange(height, dtype=np.float32)[:, None]
    u, v = (matrix[axis, 0] * x + matrix[axis, 1] * y + matrix[axis, 2] for axis in (0, 1))
    margin = 2.0 * max(across, down)  # the filters of the bands see the mirrored part
    covered = (u > margin - 1) & (u < columns - margin) & (v > margin - 1) & (v < rows - margin)
    return np.asarray(crop, np.float32), covered.astype(np.float32)


def map_point(matrix: Matrix, point: Point) -> Point:
    """Return the point to which `matrix`, shape (2, 3), takes `point`."""
    return np.asarray(matrix[:, :2] @ point + matrix[:, 2])


def get_turn(axis: Point) -> float:
    """Return the clockwise angle of `axis` from upright in radians."""
    return float(np.arctan2(axis[0], -axis[1]))


def _round_up(length: float) -> int:
    return int(np.ceil(length / _MULTIPLE)) * _MULTIPLE


def _make_disc(diameter: float) -> npt.NDArray[np.uint8]:
    import cv2

    side = 2 * max(round(diameter / 2), 1) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
