"""Boxes of one film carried to a later film of the same hand or foot: all of it at first, then each joint by itself.

Fingers lie differently at each visit, so that one movement for the whole film is not enough. A joint that can't be
found again is never called found: it is placed by the movement of those around it, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.imaging.film import Film
from ratui.imaging.geometry import Box, Matrix
from ratui.imaging.registration import Levels, extract_structure, make_similarity, refine_alignment
from ratui.imaging.windowing import film_to_grey

Point: TypeAlias = npt.NDArray[np.float64]

__all__ = ["MIN_BOX_AGREEMENT", "PropagatedBox", "propagate_boxes"]

MIN_BOX_AGREEMENT = 0.60
"""The least agreement of a joint with itself at the other visit; see `benchmarks/regions.py`."""

_BOX_PIXELS = (
    36.0  # pixels of a usual box in the copies that are compared: half a millimetre a pixel for a finger joint
)
_MAX_SIDE = 900  # pixels of a side of these copies, at most
_COARSE_PIXELS = 11.0  # pixels: larger things than this are not compared
_PATCH_SIZE = 1.6  # how much of what surrounds a joint is compared, in boxes
_SEARCH_RADIUS = 1.6  # how far a joint may have moved against the wrist, in boxes
_ANGLES = np.arange(-40.0, 40.1, 5.0)  # and how far it may have turned, in degrees
_NEAR_RADIUS, _NEAR_ANGLES = 0.5, np.arange(-15.0, 15.1, 5.0)  # most have not: there it is looked for first
_CLEAR_AGREEMENT = 0.9  # what looks so alike near by needs no search farther off
_MAX_CANDIDATES = 8  # places considered for each joint
_IMPOSSIBLE_STRAIN = 1.0
_MAX_STRAIN = 0.2  # mean strain against its neighbours; of 1,269 joints found rightly none had more than 0.18
_MIN_INLIERS = 18  # of the same hand there are 40 and more, of its mirror image 16 at most
_MIN_FOUND_SHARE = 0.6  # of the joints; where fewer are found again, these are not two films of one hand
_SCALE_RANGE = (0.6, 1.6)  # of the later film against the earlier, once their pixel spacing is reckoned in


@dataclass(frozen=True)
class PropagatedBox:
    """A box on the later film. `found` is False where it was placed by its neighbours; `agreement` is from 0 to 1."""

    box: Box
    agreement: float
    is_found: bool


class _Candidate(NamedTuple):
    score: float
    x: float
    y: float
    turn: float


def propagate_boxes(
    fixed: Film, moving: Film, boxes: Mapping[str, Box], *, mirrored: bool = False
) -> dict[str, PropagatedBox]:
    """`boxes` of the film `fixed`, by name, on the film `moving`; empty where the films can't be laid onto each other.

    The boxes should be those of one hand or foot: of a film that shows two, carry each by itself. With `mirrored` they
    are those of the other side: a left hand's boxes are looked for on a right hand. Takes a few tenths of a second for
    sixteen boxes, and may be called from any thread.
    """
    if not boxes:
        return {}
    scale = _BOX_PIXELS / float(np.median([box.width for box in boxes.values()]))
    scale = min(scale, _MAX_SIDE / max(fixed.rows, fixed.columns), 1.0)
    other = scale * max(fixed.rows, fixed.columns) / max(moving.rows, moving.columns)
    if fixed.spacing and moving.spacing:
        other = scale * moving.spacing[1] / fixed.spacing[1]
    other = min(other, _MAX_SIDE / max(moving.rows, moving.columns))
    levels = film_to_grey(moving)
    here, there = _shrink(film_to_grey(fixed), scale), _shrink(levels[:, ::-1] if mirrored else levels, other)
    scaled = {name: box.scale(scale) for name, box in boxes.items()}
    whole = _estimate_film_motion(here, there, scaled)
    if whole is None:
        return {}
    a, b = (extract_structure(each, _COARSE_PIXELS) for each in (here, there))
    centres = {name: np.array(box.centre) for name, box in scaled.items()}
    sides = {name: box.width for name, box in scaled.items()}
    places = {name: _search_near_then_far(a, b, centres[name], sides[name], whole) for name in boxes}
    chosen = _choose_consistent(centres, places, whole)
    refined = {
        name: _refine_candidate(a, b, centres[name], sides[name], whole, place) for name, place in chosen.items()
    }
    found = {name: at for name, (score, at) in refined.items() if score >= MIN_BOX_AGREEMENT}
    if len(found) < _MIN_FOUND_SHARE * len(boxes):
        return {}
    size = float(np.hypot(whole[0, 0], whole[1, 0]))
    carried = {}
    for name, box in boxes.items():
        at = found.get(name)
        x, y = (float(v) / other for v in (_place_by_neighbours(name, centres, found, whole) if at is None else at))
        width, height = (size * scale / other * extent for extent in (box.width, box.height))
        score = refined[name][0] if name in refined else 0.0
        x = moving.columns - x if mirrored else x
        carried[name] = PropagatedBox(Box.from_centre(x, y, width, height), max(score, 0.0), at is not None)
    return carried


def _shrink(levels: npt.NDArray[np.uint8], scale: float) -> Levels:
    import cv2

    size = (max(round(levels.shape[1] * scale), 1), max(round(levels.shape[0] * scale), 1))
    small = cv2.resize(levels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return np.asarray(small.astype(np.float32) / np.float32(255), dtype=np.float32)


def _estimate_film_motion(here: Levels, there: Levels, boxes: Mapping[str, Box]) -> Matrix | None:
    """The movement that most features around the boxes share; None where too few do.

    Features of a hand in a mirror don't match those of the hand, so that the other hand on a film is left alone.
    """
    import cv2

    contrast = cv2.createCLAHE(2.0, (8, 8))
    a, b = (contrast.apply((255 * each).astype(np.uint8)) for each in (here, there))
    corners = np.array(list(boxes.values()))
    margin = 3.0 * float(np.median(corners[:, 2] - corners[:, 0]))
    left, top = np.maximum(corners[:, :2].min(axis=0) - margin, 0).astype(int)
    right, bottom = (corners[:, 2:].max(axis=0) + margin).astype(int)
    mask = np.zeros(a.shape, np.uint8)
    mask[top : max(bottom, top), left : max(right, left)] = 255
    detector = cv2.SIFT.create(3000, contrastThreshold=0.02)
    points, features = detector.detectAndCompute(a, mask)
    others, other_features = detector.detectAndCompute(b, np.full(b.shape, 255, np.uint8))
    if len(points) < _MIN_INLIERS or len(others) < _MIN_INLIERS:
        return None
    pairs = [pair for pair in cv2.BFMatcher().knnMatch(features, other_features, k=2) if len(pair) == 2]
    good = [first for first, second in pairs if first.distance < 0.85 * second.distance]
    # One partner for each: where many go to one point, a film shrunk to that point would suit them all.
    good = list({match.trainIdx: match for match in sorted(good, key=lambda match: -match.distance)}.values())
    if len(good) < _MIN_INLIERS:
        return None
    before = np.array([points[match.queryIdx].pt for match in good])
    after = np.array([others[match.trainIdx].pt for match in good])
    cv2.setRNGSeed(1)  # the same films give the same boxes, whatever was computed before
    matrix, inliers = cv2.estimateAffinePartial2D(before, after, ransacReprojThreshold=8.0, maxIters=4000)
    if matrix is None or int(np.sum(inliers)) < _MIN_INLIERS:
        return None
    size = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    return np.asarray(matrix, np.float64) if _SCALE_RANGE[0] <= size <= _SCALE_RANGE[1] else None


def _search_near_then_far(here: Levels, there: Levels, centre: Point, side: float, whole: Matrix) -> list[_Candidate]:
    near = _find_candidates(here, there, centre, side, whole, _NEAR_RADIUS, _NEAR_ANGLES)
    return (
        near
        if near and near[0].score >= _CLEAR_AGREEMENT
        else _find_candidates(here, there, centre, side, whole, _SEARCH_RADIUS, _ANGLES)
    )


def _find_candidates(
    here: Levels, there: Levels, centre: Point, side: float, whole: Matrix, boxes: float, turns: npt.NDArray[np.float64]
) -> list[_Candidate]:
    """Where what is around `centre` shows again within `boxes` of the place to which the whole film's movement takes it."""
    import cv2

    reach = int(boxes * max(side, _BOX_PIXELS))
    extent = max(int(_PATCH_SIZE * side), 12) | 1
    half = extent // 2
    expected = whole[:, :2] @ centre + whole[:, 2]
    left, top = (round(float(v)) - reach - half for v in expected)
    width = 2 * (reach + half) + 1
    # Beyond the film's edge is nothing.
    area = cv2.warpAffine(there, np.array([[1.0, 0, -left], [0, 1.0, -top]]), (width, width), flags=cv2.INTER_NEAREST)
    if np.count_nonzero(area) < 0.2 * area.size:
        return []
    size, turned = float(np.hypot(whole[0, 0], whole[1, 0])), float(np.degrees(np.arctan2(whole[1, 0], whole[0, 0])))
    found: list[_Candidate] = []
    for turn in turns:
        spin = make_similarity(size, turned + turn, (float(centre[0]), float(centre[1])), (half, half))
        scores = cv2.matchTemplate(area, cv2.warpAffine(here, spin, (extent, extent)), cv2.TM_CCOEFF_NORMED)
        peaks = (scores == cv2.dilate(scores, np.ones((7, 7)))) & (scores > 0.2)
        found += [
            _Candidate(float(scores[y, x]), float(x + half + left), float(y + half + top), float(turn))
            for y, x in zip(*np.nonzero(peaks), strict=True)
        ]
    kept: list[_Candidate] = []
    for place in sorted(found, reverse=True):
        if all(np.hypot(place.x - other.x, place.y - other.y) > 4 for other in kept):
            kept.append(place)
            if len(kept) == _MAX_CANDIDATES:
                break
    return kept


def _choose_consistent(
    centres: Mapping[str, Point], places: Mapping[str, list[_Candidate]], whole: Matrix
) -> dict[str, _Candidate]:
    """One place for each joint that has any: what looks like it, and lies to its neighbours as it did before.

    Fingers are alike, and which is which only their neighbours tell.
    """
    reach = _SEARCH_RADIUS * _BOX_PIXELS
    chosen = {}
    for name, options in places.items():
        if options:
            x, y = whole[:, :2] @ centres[name] + whole[:, 2]
            # To begin with, nearer is likelier: from there the neighbours settle it.
            chosen[name] = max(options, key=lambda o, x=x, y=y: o.score - 0.3 * np.hypot(o.x - x, o.y - y) / reach)  # type: ignore[misc]
    near = {name: _find_nearest(name, centres, chosen, 4) for name in chosen}

    def strain(name: str, place: _Candidate) -> float:
        strains = [_compute_strain(centres[name], place, centres[other], chosen[other], whole) for other in near[name]]
        return max(strains) if max(strains, default=0.0) >= _IMPOSSIBLE_STRAIN else sum(strains) / max(len(strains), 1)

    for _ in range(6):
        before = dict(chosen)
        for name in chosen:
            chosen[name] = max(places[name], key=lambda place, name=name: place.score - strain(name, place))  # type: ignore[misc]
        if chosen == before:
            break
    # What has gone where no joint of that hand can is not found, the oddest first: the others may be right then.
    while chosen:
        odd = max(chosen, key=lambda name: strain(name, chosen[name]) - 0.01 * chosen[name].score)
        if strain(odd, chosen[odd]) <= _MAX_STRAIN:
            break
        del chosen[odd]
        for others in near.values():
            if odd in others:
                others.remove(odd)
    return chosen


def _compute_strain(here: Point, place: _Candidate, there: Point, other: _Candidate, whole: Matrix) -> float:
    """How oddly two joints would have moved against each other, from 0."""
    was = whole[:, :2] @ (here - there)
    now = np.array([place.x - other.x, place.y - other.y])
    length, new = float(np.hypot(*was)), float(np.hypot(*now))
    if new < 0.45 * length:
        return _IMPOSSIBLE_STRAIN  # two joints don't lie on one place
    turned = float(np.degrees(np.arccos(np.clip((was @ now) / max(length * new, 1e-9), -1, 1))))
    if turned > 80.0 and length > 0.6 * _BOX_PIXELS:
        return _IMPOSSIBLE_STRAIN  # nor do they change places
    stretched = (new - length) / max(length, _BOX_PIXELS)
    return float(
        0.15 * min((stretched / 0.35) ** 2, 1.5)
        + 0.12 * min((turned * min(length / _BOX_PIXELS, 1.0) / 35.0) ** 2, 2.0)
    )


def _refine_candidate(
    here: Levels, there: Levels, centre: Point, side: float, whole: Matrix, place: _Candidate
) -> tuple[float, Point]:
    """The agreement at `place` and the place itself, to a fraction of a pixel."""
    import cv2

    extent = max(int(_PATCH_SIZE * side), 12) | 1
    half, around = extent // 2, extent
    origin = np.round(centre).astype(int) - half
    piece = cv2.warpAffine(here, np.array([[1.0, 0, -origin[0]], [0, 1.0, -origin[1]]]), (extent, extent))
    corner = np.array([round(place.x), round(place.y)]) - around
    area = cv2.warpAffine(there, np.array([[1.0, 0, -corner[0]], [0, 1.0, -corner[1]]]), (2 * around + 1,) * 2)
    size, turned = float(np.hypot(whole[0, 0], whole[1, 0])), float(np.degrees(np.arctan2(whole[1, 0], whole[0, 0])))
    middle = centre - origin
    start = make_similarity(
        size, turned + place.turn, (float(middle[0]), float(middle[1])), (place.x - corner[0], place.y - corner[1])
    )
    score, matrix = refine_alignment(np.asarray(piece, np.float32), np.asarray(area, np.float32), start)
    at = matrix[:, :2] @ middle + matrix[:, 2] + corner
    if np.hypot(at[0] - place.x, at[1] - place.y) > 0.5 * side:
        return place.score, np.array([place.x, place.y])  # it ran away to another joint
    return score, np.asarray(at)


def _find_nearest(name: str, centres: Mapping[str, Point], among: Mapping[str, object], count: int) -> list[str]:
    others = [other for other in among if other != name]
    return sorted(others, key=lambda other: float(np.hypot(*(centres[other] - centres[name]))))[:count]


def _place_by_neighbours(
    name: str,
    centres: Mapping[str, Point],
    found: Mapping[str, Point],
    whole: Matrix,
) -> Point:
    """Where the whole film's movement takes a joint, and what its two nearest found neighbours moved beside that."""
    expected = whole[:, :2] @ centres[name] + whole[:, 2]
    near = _find_nearest(name, centres, found, 2)
    if not near:
        return np.asarray(expected)
    moves = [found[other] - (whole[:, :2] @ centres[other] + whole[:, 2]) for other in near]
    weights = [1 / max(float(np.hypot(*(centres[other] - centres[name]))), 1.0) for other in near]
    return np.asarray(expected + np.average(moves, axis=0, weights=weights))
