"""Propagation of boxes from one film to another film of the same hand or foot.

The whole film is registered first, then each joint by itself, because fingers have another position at each visit. A
joint that cannot be found is placed by the displacement of its neighbours, and marked as not found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.imaging.film import Film, film_to_grey
from ratui.imaging.geometry import Box, Matrix, make_similarity
from ratui.imaging.registration import Levels, extract_structure, refine_alignment

Point: TypeAlias = npt.NDArray[np.float64]
"""A point (x, y), shape (2,)."""

__all__ = ["MIN_BOX_AGREEMENT", "PropagatedBox", "propagate_boxes"]

MIN_BOX_AGREEMENT = 0.60
"""Smallest agreement of a joint with itself on the other film; measured by `benchmarks/regions.py`."""

# Films are compared as reduced copies. All lengths below in pixels are pixels of these copies.
_BOX_PIXELS = 36.0  # side of a typical box: about 0.5 mm per pixel at a finger joint
_MAX_SIDE = 900  # longer side of a copy
_COARSE_PIXELS = 11.0  # larger structures are not compared
_PATCH_SIZE = 1.6  # side of the compared patch around a joint, in boxes
_SEARCH_RADIUS = 1.6  # largest displacement of a joint relative to the whole film, in boxes
_ANGLES = np.arange(-40.0, 40.1, 5.0)  # and its rotation, in degrees
_NEAR_RADIUS, _NEAR_ANGLES = 0.5, np.arange(-15.0, 15.1, 5.0)  # searched first: most joints move little
_CLEAR_AGREEMENT = 0.9  # such an agreement in the near search makes the far search unnecessary
_MAX_CANDIDATES = 8  # for each joint
_IMPOSSIBLE_STRAIN = 1.0
_MAX_STRAIN = 0.2  # mean strain relative to the neighbours; at most 0.18 at 1,269 correctly found joints
_MIN_INLIERS = 18  # matching features; 40 and more for the same hand, at most 16 for its mirror image
_MIN_FOUND_SHARE = 0.6  # of the joints; with fewer, the films do not show the same hand
_SCALE_RANGE = (0.6, 1.6)  # of the second film relative to the first, after correction for pixel spacing


@dataclass(frozen=True)
class PropagatedBox:
    """A box on the other film.

    Attributes
    ----------
    box
        The box, in pixels of the other film.
    agreement
        Correlation of the joint's structure on both films, from 0 to 1.
    is_found
        False if the joint was not found, so that its neighbours' displacement placed the box.
    """

    box: Box
    agreement: float
    is_found: bool


class _Candidate(NamedTuple):
    """A possible position of a joint: correlation, centre in pixels of the copy, rotation in degrees."""

    score: float
    x: float
    y: float
    angle: float


def propagate_boxes(
    fixed: Film, moving: Film, boxes: Mapping[str, Box], *, mirrored: bool = False
) -> dict[str, PropagatedBox]:
    """Return the boxes of one film, transferred to another film.

    It takes a few tenths of a second for sixteen boxes, and may be called from any thread.

    Parameters
    ----------
    fixed
        The film with known boxes.
    moving
        The film to transfer them to.
    boxes
        Boxes on `fixed` by name, in film pixels, of one hand or foot. Of a film that shows both hands, pass one hand at a
        time.
    mirrored
        True if `moving` shows the other side, for example a right hand and the boxes are those of a left one.

    Returns
    -------
    dict
        Boxes on `moving` by the same names; empty if the films do not show the same hand or foot, or no boxes are given.
    """
    if not boxes:
        return {}
    scale = _BOX_PIXELS / float(np.median([box.width for box in boxes.values()]))
    scale = min(scale, _MAX_SIDE / max(fixed.rows, fixed.columns), 1.0)
    moving_scale = scale * max(fixed.rows, fixed.columns) / max(moving.rows, moving.columns)
    if fixed.spacing and moving.spacing:
        moving_scale = scale * moving.spacing[1] / fixed.spacing[1]
    moving_scale = min(moving_scale, _MAX_SIDE / max(moving.rows, moving.columns))
    levels = film_to_grey(moving)
    here = _shrink(film_to_grey(fixed), scale)
    there = _shrink(levels[:, ::-1] if mirrored else levels, moving_scale)
    scaled = {name: box.scale(scale) for name, box in boxes.items()}
    film_motion = _estimate_film_motion(here, there, scaled)
    if film_motion is None:
        return {}
    a, b = (extract_structure(each, _COARSE_PIXELS) for each in (here, there))
    centres = {name: np.array(box.centre) for name, box in scaled.items()}
    sides = {name: box.width for name, box in scaled.items()}
    candidates = {name: _search_near_then_far(a, b, centres[name], sides[name], film_motion) for name in boxes}
    chosen = _choose_consistent(centres, candidates, film_motion)
    refined = {
        name: _refine_candidate(a, b, centres[name], sides[name], film_motion, candidate)
        for name, candidate in chosen.items()
    }
    found = {name: centre for name, (score, centre) in refined.items() if score >= MIN_BOX_AGREEMENT}
    if len(found) < _MIN_FOUND_SHARE * len(boxes):
        return {}
    ratio = _get_scale(film_motion) * scale / moving_scale  # length on `moving` of one pixel of `fixed`
    propagated = {}
    for name, box in boxes.items():
        centre = found[name] if name in found else _place_by_neighbours(name, centres, found, film_motion)
        x, y = (float(v) / moving_scale for v in centre)
        x = moving.columns - x if mirrored else x
        score = refined[name][0] if name in refined else 0.0
        propagated[name] = PropagatedBox(
            Box.from_centre(x, y, ratio * box.width, ratio * box.height), max(score, 0.0), name in found
        )
    return propagated


def _shrink(levels: npt.NDArray[np.uint8], scale: float) -> Levels:
    """Return `levels`, resized by `scale`, as values from 0 to 1."""
    import cv2

    size = (max(round(levels.shape[1] * scale), 1), max(round(levels.shape[0] * scale), 1))
    small = cv2.resize(levels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return np.asarray(small.astype(np.float32) / np.float32(255), dtype=np.float32)


def _estimate_film_motion(here: Levels, there: Levels, boxes: Mapping[str, Box]) -> Matrix | None:
    """Return the similarity transform of most SIFT features around the boxes, or None if too few features agree.

    SIFT features do not match their mirror image, so the other hand on the same film does not disturb.
    """
    import cv2

    equalizer = cv2.createCLAHE(2.0, (8, 8))
    a, b = (equalizer.apply((255 * each).astype(np.uint8)) for each in (here, there))
    corners = np.array(list(boxes.values()))
    margin = 3.0 * float(np.median(corners[:, 2] - corners[:, 0]))
    left, top = np.maximum(corners[:, :2].min(axis=0) - margin, 0).astype(int)
    right, bottom = (corners[:, 2:].max(axis=0) + margin).astype(int)
    mask = np.zeros(a.shape, np.uint8)
    mask[top : max(bottom, top), left : max(right, left)] = 255
    detector = cv2.SIFT.create(3000, contrastThreshold=0.02)
    points, descriptors = detector.detectAndCompute(a, mask)
    target_points, target_descriptors = detector.detectAndCompute(b, np.full(b.shape, 255, np.uint8))
    if len(points) < _MIN_INLIERS or len(target_points) < _MIN_INLIERS:
        return None
    pairs = [pair for pair in cv2.BFMatcher().knnMatch(descriptors, target_descriptors, k=2) if len(pair) == 2]
    # Lowe's ratio test: the best match must be clearly better than the second.
    good = [first for first, second in pairs if first.distance < 0.85 * second.distance]
    # One match per target point. If many matches shared one, a film reduced to that point would fit all of them.
    good = list({match.trainIdx: match for match in sorted(good, key=lambda match: -match.distance)}.values())
    if len(good) < _MIN_INLIERS:
        return None
    before = np.array([points[match.queryIdx].pt for match in good])
    after = np.array([target_points[match.trainIdx].pt for match in good])
    cv2.setRNGSeed(1)  # for RANSAC: the same films always give the same boxes
    matrix, inliers = cv2.estimateAffinePartial2D(before, after, ransacReprojThreshold=8.0, maxIters=4000)
    if matrix is None or int(np.sum(inliers)) < _MIN_INLIERS:
        return None
    motion = np.asarray(matrix, np.float64)
    return motion if _SCALE_RANGE[0] <= _get_scale(motion) <= _SCALE_RANGE[1] else None


def _get_scale(matrix: Matrix) -> float:
    """Return the scale of a similarity transform."""
    return float(np.hypot(matrix[0, 0], matrix[1, 0]))


def _get_angle(matrix: Matrix) -> float:
    """Return the rotation of a similarity transform in degrees."""
    return float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))


def _search_near_then_far(
    here: Levels, there: Levels, centre: Point, side: float, film_motion: Matrix
) -> list[_Candidate]:
    """Return candidates for the joint at `centre`, from the near search if it is clear, else from the far search."""
    near = _find_candidates(here, there, centre, side, film_motion, _NEAR_RADIUS, _NEAR_ANGLES)
    if near and near[0].score >= _CLEAR_AGREEMENT:
        return near
    return _find_candidates(here, there, centre, side, film_motion, _SEARCH_RADIUS, _ANGLES)


def _find_candidates(
    here: Levels,
    there: Levels,
    centre: Point,
    side: float,
    film_motion: Matrix,
    radius: float,
    angles: npt.NDArray[np.float64],
) -> list[_Candidate]:
    """Return positions in `there` that look like the patch around `centre`, the best first.

    The search goes up to `radius` boxes around the position that the motion of the whole film predicts.
    """
    import cv2

    reach = int(radius * max(side, _BOX_PIXELS))
    extent = max(int(_PATCH_SIZE * side), 12) | 1
    half = extent // 2
    expected = film_motion[:, :2] @ centre + film_motion[:, 2]
    left, top = (round(float(v)) - reach - half for v in expected)
    width = 2 * (reach + half) + 1
    # The search area, black outside the film.
    area = cv2.warpAffine(there, np.array([[1.0, 0, -left], [0, 1.0, -top]]), (width, width), flags=cv2.INTER_NEAREST)
    if np.count_nonzero(area) < 0.2 * area.size:  # mostly outside the film
        return []
    scale, film_angle = _get_scale(film_motion), _get_angle(film_motion)
    found: list[_Candidate] = []
    for angle in angles:
        to_patch = make_similarity(scale, np.radians(film_angle + angle), centre, (half, half))
        scores = cv2.matchTemplate(area, cv2.warpAffine(here, to_patch, (extent, extent)), cv2.TM_CCOEFF_NORMED)
        # Local maxima: pixels equal to the maximum of their neighbourhood.
        peaks = (scores == cv2.dilate(scores, np.ones((7, 7)))) & (scores > 0.2)
        found += [
            _Candidate(float(scores[y, x]), float(x + half + left), float(y + half + top), float(angle))
            for y, x in zip(*np.nonzero(peaks), strict=True)
        ]
    kept: list[_Candidate] = []
    for candidate in sorted(found, reverse=True):
        if all(np.hypot(candidate.x - other.x, candidate.y - other.y) > 4 for other in kept):
            kept.append(candidate)
            if len(kept) == _MAX_CANDIDATES:
                break
    return kept


def _choose_consistent(
    centres: Mapping[str, Point], candidates: Mapping[str, list[_Candidate]], film_motion: Matrix
) -> dict[str, _Candidate]:
    """Return one candidate per joint that looks like it and has the same position relative to its neighbours.

    Joints without such a candidate are left out. Appearance alone is not enough, because fingers look alike.
    """
    reach = _SEARCH_RADIUS * _BOX_PIXELS
    chosen = {}
    for name, options in candidates.items():
        if options:
            x, y = film_motion[:, :2] @ centres[name] + film_motion[:, 2]
            # The first choice prefers small displacements; the neighbours correct it below.
            chosen[name] = max(options, key=lambda o, x=x, y=y: o.score - 0.3 * np.hypot(o.x - x, o.y - y) / reach)  # type: ignore[misc]
    near = {name: _find_nearest(name, centres, chosen, 4) for name in chosen}

    def compute_mean_strain(name: str, candidate: _Candidate) -> float:
        strains = [
            _compute_strain(centres[name], candidate, centres[other], chosen[other], film_motion)
            for other in near[name]
        ]
        return max(strains) if max(strains, default=0.0) >= _IMPOSSIBLE_STRAIN else sum(strains) / max(len(strains), 1)

    for _ in range(6):
        before = dict(chosen)
        for name in chosen:
            chosen[name] = max(candidates[name], key=lambda c, name=name: c.score - compute_mean_strain(name, c))  # type: ignore[misc]
        if chosen == before:
            break
    # Remove joints at impossible positions, the worst first. Without it, the strain of its neighbours may be normal.
    while chosen:
        worst = max(chosen, key=lambda name: compute_mean_strain(name, chosen[name]) - 0.01 * chosen[name].score)
        if compute_mean_strain(worst, chosen[worst]) <= _MAX_STRAIN:
            break
        del chosen[worst]
        for neighbours in near.values():
            if worst in neighbours:
                neighbours.remove(worst)
    return chosen


def _compute_strain(here: Point, candidate: _Candidate, there: Point, other: _Candidate, film_motion: Matrix) -> float:
    """Return the strain between two joints, from 0 (they moved with the film) to _IMPOSSIBLE_STRAIN.

    `here` and `there` are the joints on the first film, `candidate` and `other` on the second. The limits and weights
    are empirical; `benchmarks/regions.py` measures their effect.
    """
    before = film_motion[:, :2] @ (here - there)
    after = np.array([candidate.x - other.x, candidate.y - other.y])
    length, new_length = float(np.hypot(*before)), float(np.hypot(*after))
    if new_length < 0.45 * length:
        return _IMPOSSIBLE_STRAIN  # two joints at almost the same position
    angle = float(np.degrees(np.arccos(np.clip((before @ after) / max(length * new_length, 1e-9), -1, 1))))
    if angle > 80.0 and length > 0.6 * _BOX_PIXELS:
        return _IMPOSSIBLE_STRAIN  # two joints that changed places
    stretch = (new_length - length) / max(length, _BOX_PIXELS)
    return float(
        0.15 * min((stretch / 0.35) ** 2, 1.5) + 0.12 * min((angle * min(length / _BOX_PIXELS, 1.0) / 35.0) ** 2, 2.0)
    )


def _refine_candidate(
    here: Levels, there: Levels, centre: Point, side: float, film_motion: Matrix, candidate: _Candidate
) -> tuple[float, Point]:
    """Return the agreement at a candidate and its centre with subpixel accuracy."""
    import cv2

    extent = max(int(_PATCH_SIZE * side), 12) | 1
    half, around = extent // 2, extent
    origin = np.round(centre).astype(int) - half
    patch = cv2.warpAffine(here, np.array([[1.0, 0, -origin[0]], [0, 1.0, -origin[1]]]), (extent, extent))
    corner = np.array([round(candidate.x), round(candidate.y)]) - around
    area = cv2.warpAffine(there, np.array([[1.0, 0, -corner[0]], [0, 1.0, -corner[1]]]), (2 * around + 1,) * 2)
    middle = centre - origin
    start = make_similarity(
        _get_scale(film_motion),
        np.radians(_get_angle(film_motion) + candidate.angle),
        middle,
        (candidate.x - corner[0], candidate.y - corner[1]),
    )
    score, matrix = refine_alignment(np.asarray(patch, np.float32), np.asarray(area, np.float32), start)
    refined = matrix[:, :2] @ middle + matrix[:, 2] + corner
    if np.hypot(refined[0] - candidate.x, refined[1] - candidate.y) > 0.5 * side:
        return candidate.score, np.array([candidate.x, candidate.y])  # the refinement moved to another joint
    return score, np.asarray(refined)


def _find_nearest(name: str, centres: Mapping[str, Point], among: Mapping[str, object], count: int) -> list[str]:
    """Return the names of up to `count` joints of `among` nearest to the joint `name`, the nearest first."""
    others = [other for other in among if other != name]
    return sorted(others, key=lambda other: float(np.hypot(*(centres[other] - centres[name]))))[:count]


def _place_by_neighbours(
    name: str,
    centres: Mapping[str, Point],
    found: Mapping[str, Point],
    film_motion: Matrix,
) -> Point:
    """Return the position that the film's motion predicts, plus the mean extra displacement of two found neighbours."""
    expected = film_motion[:, :2] @ centres[name] + film_motion[:, 2]
    near = _find_nearest(name, centres, found, 2)
    if not near:
        return np.asarray(expected)
    displacements = [found[other] - (film_motion[:, :2] @ centres[other] + film_motion[:, 2]) for other in near]
    weights = [1 / max(float(np.hypot(*(centres[other] - centres[name]))), 1.0) for other in near]
    return np.asarray(expected + np.average(displacements, axis=0, weights=weights))
