"""Difference of two films of a finger joint, with each bone registered by itself and the noise of both films removed.

A difference of whole joints shows mostly that the bones have moved against each other. With each bone registered by itself,
a change of shape remains: an erosion is darker on the later film.

The noise is measured in each pair of films: the spread of the difference at each level of grey, and its growth with the
steepness of the picture, which comes from what the registration leaves. What is below the largest value that noise alone is
expected to reach (the universal threshold of Donoho and Johnstone, Biometrika 1994) is removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from ratui.imaging.film import Film
from ratui.imaging.geometry import Box, Matrix
from ratui.imaging.joint_space import JointMotion, Unreliable, judge_motion, measure_motion
from ratui.imaging.joint_space_crops import JointCrop, make_source
from ratui.imaging.registration import Levels

__all__ = ["BoneDifference", "compare_bones"]

_NO_CHANGE = 128  # grey level of no difference, as of `compute_difference`
_MARGIN, _CUT = 0.03, 0.02  # around a bone, and around the other one, in boxes
_SMOOTH = 0.006  # of the difference, in boxes
_KEPT = 80  # percent of the pixels to which the exposure is fitted
_BINS = 8  # of grey levels
_CONTRAST = (0.5, 99.5)  # percentiles of the first film's crop that span the grey range
_MIN_PIXELS = 400  # of a bone

_Mask: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class BoneDifference:
    """Difference of the bones of a joint on two films.

    Attributes
    ----------
    levels
        Second minus first film in grey levels of a picture from 0 to 255, 0 where the difference is noise and outside of the
        bones, shape (rows, columns).
    to_film
        Matrix of shape (2, 3) from pixels of `levels` to pixels of the first film; the origin of both is the centre of the
        first pixel.
    """

    levels: Levels
    to_film: Matrix

    def render(self, box: Box, size: tuple[int, int], to_film: Matrix | None = None) -> Image.Image:
        """Return the difference as an image in the coordinates of the first film.

        Parameters
        ----------
        box
            The part to show, in pixels of the first film.
        size
            Width and height of the image.
        to_film
            Transform from the coordinates of `box` to those of the first film, shape (2, 3), if the film is shown turned.

        Returns
        -------
        PIL.Image.Image
            Image of mode ``L``: 128 where nothing changed, brighter where the second film is brighter.
        """
        import cv2  # imported here, because loading takes time

        across, down = box.width / size[0], box.height / size[1]
        # Boxes have their origin at the corner of a pixel, OpenCV at its centre.
        view = np.array([[across, 0, box.x0 + 0.5 * across], [0, down, box.y0 + 0.5 * down], [0, 0, 1]])
        if to_film is not None:
            view = np.vstack([to_film, [0, 0, 1]]) @ view
        view[:2, 2] -= 0.5
        matrix = (np.linalg.inv(np.vstack([self.to_film, [0, 0, 1]])) @ view)[:2]
        levels = cv2.warpAffine(self.levels, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        return Image.fromarray(np.clip(np.rint(_NO_CHANGE + levels), 0, 255).astype(np.uint8))


def compare_bones(first: Film, first_box: Box, second: Film, second_box: Box) -> BoneDifference | Unreliable:
    """Return the difference of the bones of a finger joint. It takes about 0.1 s. Any thread may call it.

    Parameters
    ----------
    first, second
        The films. The fingers point up, by 60 degrees at most to either side.
    first_box, second_box
        Boxes of the joint on each film, in film pixels.

    Returns
    -------
    BoneDifference or Unreliable
        The difference; or why the bones cannot be registered reliably, as for `joint_space_change`.
    """
    a, b = make_source(first, first_box, None), make_source(second, second_box, None)
    if not (a.spacing and b.spacing):
        a, b = a.without_spacing(), b.without_spacing()
    motion = measure_motion(a, b)
    if isinstance(motion, str):
        return motion
    _, reason = judge_motion(motion, min(a.side, b.side))
    return reason or _subtract_bones(motion, float(np.sqrt(a.side * b.side)) / motion.pitch)


def _subtract_bones(motion: JointMotion, pixels: float) -> BoneDifference:
    """Return the difference of both bones; `pixels` is the side of a box in pixels of the crops."""
    import cv2

    here, there = motion.crops
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = here.levels.shape[::-1]
    difference = np.zeros(here.levels.shape, np.float32)
    for bone in (0, 1):
        matrix = motion.bones[bone].matrix
        moved = np.asarray(cv2.warpAffine(there.levels, matrix, size, flags=flags), np.float32)
        inside = _find_region(here, there, bone, pixels, matrix)
        if inside.sum() >= _MIN_PIXELS:
            difference[inside] = _subtract(here.levels, moved, inside, _SMOOTH * pixels)[inside]
    low, high = np.percentile(here.levels, _CONTRAST)
    return BoneDifference(difference * np.float32(255 / max(float(high - low), 1e-6)), here.to_film)


def _find_region(here: JointCrop, there: JointCrop, bone: int, pixels: float, matrix: Matrix) -> _Mask:
    """Return the pixels that show a bone or its margin on one of the crops, and the other bone on none.

    A large erosion can be missing in the mask of the film that has it, so that the bone on both films would leave it out.
    """
    import cv2

    margins = _make_square(_MARGIN * pixels), _make_square(_CUT * pixels)
    own, other = (
        [cv2.dilate(crop.masks[part], margin) for crop in (here, there)]
        for part, margin in zip((bone, 1 - bone), margins, strict=True)
    )
    size, flags = own[0].shape[::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    near, cut, covered = (
        np.asarray(cv2.warpAffine(mask.astype(np.float32), matrix, size, flags=flags))
        for mask in (own[1], other[1], there.covered)
    )
    return np.asarray(
        ((own[0] > 0) | (near > 0.99)) & (other[0] == 0) & (cut < 0.01) & (here.covered > 0) & (covered > 0.99)
    )


def _make_square(half: float) -> npt.NDArray[np.uint8]:
    return np.ones((2 * max(round(half), 1) + 1,) * 2, np.uint8)


def _subtract(first: Levels, second: Levels, inside: _Mask, deviation: float) -> Levels:
    """Return `second` minus `first` on the pixels `inside`, without what may be noise."""
    import cv2

    matched = _match_exposure(first, second, inside)
    residual = np.where(inside, matched - first, 0).astype(np.float32)
    share = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), deviation)
    smooth = np.asarray(cv2.GaussianBlur(residual, (0, 0), deviation) / np.maximum(share, 1e-3), np.float32)
    # Of both films, so that an erosion on either does not count as the noise of dark pixels.
    brighter = np.asarray(
        np.maximum(*(cv2.GaussianBlur(each, (0, 0), deviation) for each in (first, matched))), np.float32
    )
    noise = _estimate_noise(smooth, brighter, inside)
    limit = noise * np.float32(np.sqrt(2 * np.log(inside.sum())))
    # Shrunk towards 0 without a step at the limit.
    return np.asarray(
        smooth * np.maximum(1 - (limit / np.maximum(np.abs(smooth), np.float32(1e-9))) ** 2, 0), np.float32
    )


def _match_exposure(first: Levels, second: Levels, inside: _Mask) -> Levels:
    """Return `second` with the gain, offset and slope across the joint that fit `first`, from the pixels that fit best."""
    rows, columns = np.nonzero(inside)
    height, width = first.shape
    values, target = second[inside].astype(np.float64), first[inside].astype(np.float64)
    middle, spread = float(values.mean()), max(float(values.std()), 1e-6)
    design = np.stack([(values - middle) / spread, np.ones(len(target)), columns / width - 0.5, rows / height - 0.5])
    kept = np.ones(len(target), np.bool_)
    factors: npt.NDArray[np.floating[Any]] = np.zeros(4)
    for _ in range(4):
        part = design * kept
        # Normal equations, which are far faster. The pseudo-inverse serves a picture of one grey level, too.
        factors = np.linalg.pinv(part @ design.T, rcond=1e-9, hermitian=True) @ (part @ target)
        errors = np.abs(factors @ design - target)
        kept = errors <= np.percentile(errors, _KEPT)
    gain, offset, across, down = factors
    x, y = np.arange(width) / width - 0.5, np.arange(height) / height - 0.5
    matched = gain / spread * (second - middle) + offset + across * x[None, :] + down * y[:, None]
    return np.asarray(matched, np.float32)


def _estimate_noise(residual: Levels, middle: Levels, inside: _Mask) -> Levels:
    """Return the standard deviation of the noise of each pixel, from the spread of `residual` at the same grey level."""
    import cv2

    across, down = (cv2.Sobel(middle, cv2.CV_32F, *order, ksize=3, scale=1 / 8) for order in ((1, 0), (0, 1)))
    steepness = np.hypot(across, down)
    values, levels, steep = residual[inside], middle[inside], steepness[inside]
    flat = steep <= np.median(steep)
    edges = np.quantile(levels[flat], np.linspace(0, 1, _BINS + 1))
    places = np.clip(np.searchsorted(edges, levels[flat], side="right") - 1, 0, _BINS - 1)
    spreads = np.array([_measure_spread(values[flat][places == number]) for number in range(_BINS)])
    floor = np.interp(middle, (edges[:-1] + edges[1:]) / 2, spreads).astype(np.float32)
    # On edges, the difference grows with the error of the registration.
    rough = steep >= np.percentile(steep, 75)
    excess = _measure_spread(values[rough]) ** 2 - float(np.median(floor[inside][rough])) ** 2
    growth = np.sqrt(max(excess, 0.0)) / max(float(np.median(steep[rough])), 1e-9)
    return np.asarray(np.sqrt(floor**2 + (np.float32(growth) * steepness) ** 2), np.float32)


def _measure_spread(values: npt.NDArray[Any]) -> float:
    """Return the standard deviation of values, from their median distance from 0."""
    return 1.4826 * float(np.median(np.abs(values))) if len(values) else 0.0
