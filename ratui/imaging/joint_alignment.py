"""Alignment of two films at one joint, the aligned image, and the difference between both images.

The result does not depend on which film is earlier. A failed alignment is reported, never replaced by a guess.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ratui.imaging.display_settings import DisplaySettings, choose_contrast, equalize_local_contrast
from ratui.imaging.film import Film, crop
from ratui.imaging.geometry import Box, Matrix
from ratui.imaging.registration import AlignmentFailure, register_images

__all__ = ["align_centres", "align_joints", "compute_difference", "warp_onto"]

_CROP_SIZE = 1.5
"""Side of the compared crops, in boxes: the joint with the bones beside it."""
_CROP_PIXELS = 224
_NO_CHANGE = 128  # grey level of no difference
_MAX_SAMPLES = 12  # of the film for one pixel of an image, in each direction
_MIN_OVERLAP_PIXELS = 64  # fewer pixels do not tell the exposure


def align_joints(first: Film, first_box: Box, second: Film, second_box: Box) -> Matrix | AlignmentFailure:
    """Return the transform from the first to the second film at one joint. It takes some tens of milliseconds.

    Parameters
    ----------
    first, second
        The films.
    first_box, second_box
        Boxes of the joint on each film, in film pixels.

    Returns
    -------
    Matrix or AlignmentFailure
        Matrix of shape (2, 3) from (x, y, 1) of the first film to (x, y) of the second, both in film pixels.
    """
    boxes = (_expand_box(first_box, first), _expand_box(second_box, second))
    if first.spacing and second.spacing:
        # Both crops show the same length of bone in mm, because raters draw boxes of different sizes.
        across = boxes[0].width * first.spacing[1] / second.spacing[1]
        down = boxes[0].height * first.spacing[0] / second.spacing[0]
        boxes = (boxes[0], Box.from_centre(*second_box.centre, across, down))
    settings = DisplaySettings()
    crops = [
        np.asarray(crop(film, box, (_CROP_PIXELS, _CROP_PIXELS), choose_contrast(film, settings, box)))
        for film, box in zip((first, second), boxes, strict=True)
    ]
    found = register_images(*crops)
    if isinstance(found, AlignmentFailure):
        return found
    to_crop = _make_scaling(boxes[0], (_CROP_PIXELS, _CROP_PIXELS))
    from_crop = np.linalg.inv(_make_scaling(boxes[1], (_CROP_PIXELS, _CROP_PIXELS)))
    return np.asarray((from_crop @ np.vstack([found.matrix, [0, 0, 1]]) @ to_crop)[:2])


def align_centres(first: Film, first_box: Box, second: Film, second_box: Box) -> Matrix:
    """Return a transform that takes the centre of one box to the centre of the other. Use it if `align_joints` fails.

    If the pixel spacing of both films is known, the physical scale is kept. The parameters and the matrix are those of
    `align_joints`.
    """
    across = first.spacing[1] / second.spacing[1] if first.spacing and second.spacing else 1.0
    down = first.spacing[0] / second.spacing[0] if first.spacing and second.spacing else 1.0
    (x, y), (u, v) = first_box.centre, second_box.centre
    return np.array([[across, 0.0, u - across * x], [0.0, down, v - down * y]])


def warp_onto(
    film: Film, matrix: Matrix, box: Box, size: tuple[int, int], settings: DisplaySettings, *, joint: Box | None = None
) -> Image.Image:
    """Return a film as an image in the coordinates of another film.

    Parameters
    ----------
    film
        The film to show.
    matrix
        Transform from the other film to `film`, as from `align_joints`.
    box
        The part to show, in pixels of the other film. Areas that `film` does not cover are black.
    size
        Width and height of the image.
    settings
        Display settings of `film`.
    joint
        Box of the joint on `film`, for the preset ``joint``; by default the shown part.

    Returns
    -------
    PIL.Image.Image
        Image of mode ``L`` and `size`.
    """
    import cv2  # imported here, because loading takes time

    corners = np.array([[x, y, 1] for y in (box.y0, box.y1) for x in (box.x0, box.x1)])
    mapped = corners @ matrix.T
    # Whole pixels of the film, so that nothing is interpolated here. Two pixels more on each side, for interpolation.
    area = Box(
        float(np.floor(mapped[:, 0].min()) - 2),
        float(np.floor(mapped[:, 1].min()) - 2),
        float(np.ceil(mapped[:, 0].max()) + 2),
        float(np.ceil(mapped[:, 1].max()) + 2),
    )
    levels = np.asarray(
        crop(
            film,
            area,
            (round(area.width), round(area.height)),
            choose_contrast(film, settings, joint or area),
            invert=settings.invert,
        )
    )
    # If the image has fewer pixels than the film, each of its pixels is the mean of several samples, because a single
    # one would skip pixels of the film.
    across, down = (float(np.hypot(*matrix[:, 0])) * box.width, float(np.hypot(*matrix[:, 1])) * box.height)
    samples = tuple(
        min(max(int(np.ceil(length / side)), 1), _MAX_SAMPLES)
        for length, side in zip((across, down), size, strict=True)
    )
    sampled = (size[0] * samples[0], size[1] * samples[1])
    # From the samples to the area: samples → other film → this film → pixels of `levels`.
    transform = (
        _make_scaling(area, levels.shape[::-1])
        @ np.vstack([matrix, [0, 0, 1]])
        @ np.linalg.inv(_make_scaling(box, sampled))
    )
    # OpenCV's origin is the centre of the first pixel, ours is its top left corner.
    shift = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    cv_matrix = (np.linalg.inv(shift) @ transform @ shift)[:2]
    # Linear, as in `crop`: a sharper filter draws dark lines beside a bright cortex.
    warped = cv2.warpAffine(levels, cv_matrix, sampled, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    if sampled != size:
        warped = cv2.resize(warped, size, interpolation=cv2.INTER_AREA)  # the mean of whole samples
    image = Image.fromarray(np.asarray(warped, dtype=np.uint8))
    return equalize_local_contrast(image, film, Box(0.0, 0.0, across, down)) if settings.local else image


def compute_difference(first: Image.Image, second: Image.Image) -> Image.Image:
    """Return `second` minus `first` as an image.

    Gain and offset of the second image are first fitted to the first, because exposures differ. The fit ignores the pixels
    that changed most.

    Parameters
    ----------
    first, second
        Aligned images of mode ``L`` and of the same size. Black (0) counts as an area without image.

    Returns
    -------
    PIL.Image.Image
        Image of mode ``L``: 128 where both agree or where one has no image, brighter where the second is brighter.
    """
    a, b = (np.asarray(image, dtype=np.float32) for image in (first, second))
    overlap = (a > 0) & (b > 0)
    if overlap.sum() < _MIN_OVERLAP_PIXELS:
        return Image.new("L", first.size, _NO_CHANGE)
    gain, offset = _fit_exposure(a[overlap], b[overlap])
    difference = np.where(overlap, gain * b + offset - a, 0.0)
    return Image.fromarray(np.clip(np.rint(_NO_CHANGE + difference), 0, 255).astype(np.uint8))


def _fit_exposure(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Return the gain and the offset that fit `b` to `a`, from the 80 % of the pixels that fit best."""
    kept = np.ones(len(a), np.bool_)
    gain, offset = 1.0, 0.0
    for _ in range(4):  # least squares, repeated without the pixels that fit worst
        x, y = b[kept].astype(np.float64), a[kept].astype(np.float64)
        spread = float(((x - x.mean()) ** 2).mean())
        gain = float(((x - x.mean()) * (y - y.mean())).mean()) / spread if spread > 1e-6 else 1.0
        gain = min(max(gain, 0.5), 2.0)  # another gain would hide a change
        offset = float(y.mean() - gain * x.mean())
        residuals = np.abs(gain * b + offset - a)
        kept = residuals <= np.percentile(residuals, 80)
    return gain, offset


def _expand_box(box: Box, film: Film) -> Box:
    """Return a box around the centre of `box`, `_CROP_SIZE` times its longer side; square in mm, not in pixels."""
    side = _CROP_SIZE * max(box.width, box.height * film.aspect)
    return Box.from_centre(*box.centre, side, side / film.aspect)


def _make_scaling(box: Box, size: tuple[int, int]) -> npt.NDArray[Any]:
    """Return the matrix, shape (3, 3), from film pixels to the pixels of an image of `box` with `size`."""
    across, down = size[0] / box.width, size[1] / box.height
    return np.array([[across, 0, -box.x0 * across], [0, down, -box.y0 * down], [0, 0, 1]])
