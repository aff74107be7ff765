"""Two films of one joint in one place: the second as it lies on the first, and what differs between them.

Which of them is the earlier plays no part in it. Where they can't be laid onto each other that is said, never guessed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ratui.imaging.display_settings import DisplaySettings, choose_contrast, equalize_local_contrast
from ratui.imaging.film import Film
from ratui.imaging.geometry import Box, Matrix
from ratui.imaging.registration import AlignmentFailure, register_images
from ratui.imaging.windowing import crop

__all__ = ["align_centres", "align_joints", "compute_difference", "warp_onto"]

_CROP_SIZE = 1.5
"""How many boxes wide the crops are that are laid onto each other: the joint with what holds it in place."""
_CROP_PIXELS = 224
_NO_CHANGE = 128


def align_joints(first: Film, here: Box, second: Film, there: Box) -> Matrix | AlignmentFailure:
    """The matrix, shape (2, 3), from (x, y, 1) of the `first` film to (x, y) of the `second`, both in film pixels.

    `here` and `there` are the boxes of one joint on them. Takes some tens of milliseconds.
    """
    boxes = (_expand_box(here, first), _expand_box(there, second))
    if first.spacing and second.spacing:
        # Crops of the same length of bone, so that a box drawn wider isn't taken for a larger bone.
        across = boxes[0].width * first.spacing[1] / second.spacing[1]
        down = boxes[0].height * first.spacing[0] / second.spacing[0]
        boxes = (boxes[0], Box.from_centre(*there.centre, across, down))
    plain = DisplaySettings()
    crops = [
        np.asarray(crop(film, box, (_CROP_PIXELS, _CROP_PIXELS), choose_contrast(film, plain, box)))
        for film, box in zip((first, second), boxes, strict=True)
    ]
    found = register_images(*crops)
    if isinstance(found, AlignmentFailure):
        return found
    to_crop = _make_scaling(boxes[0], (_CROP_PIXELS, _CROP_PIXELS))
    from_crop = np.linalg.inv(_make_scaling(boxes[1], (_CROP_PIXELS, _CROP_PIXELS)))
    return np.asarray((from_crop @ np.vstack([found.matrix, [0, 0, 1]]) @ to_crop)[:2])


def align_centres(here: Box, first: Film, there: Box, second: Film) -> Matrix:
    """The matrix that only lays the middles of two boxes onto each other, at the same physical scale where both films
    have one: what is left where `align_joints` fails."""
    across = first.spacing[1] / second.spacing[1] if first.spacing and second.spacing else 1.0
    down = first.spacing[0] / second.spacing[0] if first.spacing and second.spacing else 1.0
    (x, y), (u, v) = here.centre, there.centre
    return np.array([[across, 0.0, u - across * x], [0.0, down, v - down * y]])


def warp_onto(
    film: Film, matrix: Matrix, box: Box, size: tuple[int, int], settings: DisplaySettings, *, joint: Box | None = None
) -> Image.Image:
    """`film` as it lies on another film's `box`, an image of mode ``L`` and `size`; `matrix` goes from there to `film`.

    `joint` is the box on `film` that the preset of that name takes its greys from. Black where the film doesn't reach.
    """
    import cv2

    corners = np.array([[x, y, 1] for y in (box.y0, box.y1) for x in (box.x0, box.x1)])
    there = corners @ matrix.T
    area = Box(
        float(np.floor(there[:, 0].min()) - 2),
        float(np.floor(there[:, 1].min()) - 2),
        float(np.ceil(there[:, 0].max()) + 2),
        float(np.ceil(there[:, 1].max()) + 2),
    )
    # Where the image has fewer pixels than the film, the film is averaged first; else its own pixels are taken.
    shrink = max(
        1.0,
        float(np.hypot(*matrix[:, 0])) * box.width / size[0],
        float(np.hypot(*matrix[:, 1])) * box.height / size[1],
    )
    middle = (max(round(area.width / shrink), 1), max(round(area.height / shrink), 1))
    levels = np.asarray(
        crop(film, area, middle, choose_contrast(film, settings, joint or area), invert=settings.invert)
    )
    whole = _make_scaling(area, middle) @ np.vstack([matrix, [0, 0, 1]]) @ np.linalg.inv(_make_scaling(box, size))
    shift = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # OpenCV counts from the centres of pixels
    centres = (np.linalg.inv(shift) @ whole @ shift)[:2]
    # Linear, as in `crop`: a sharper filter draws dark lines beside a bright cortex.
    warped = cv2.warpAffine(levels, centres, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    image = Image.fromarray(np.asarray(warped, dtype=np.uint8))
    return equalize_local_contrast(image, film, area) if settings.local else image


def compute_difference(first: Image.Image, second: Image.Image) -> Image.Image:
    """`second` less `first`, both mode ``L`` and of one size: middle grey where they agree, bright where the second is
    brighter. The second is first given the exposure of the first, by most of its pixels and not by what changed."""
    a, b = (np.asarray(image, dtype=np.float32) for image in (first, second))
    overlap = (a > 0) & (b > 0)
    if overlap.sum() < 64:
        return Image.new("L", first.size, _NO_CHANGE)
    gain, offset = _fit_exposure(a[overlap], b[overlap])
    apart = np.where(overlap, gain * b + offset - a, 0.0)
    return Image.fromarray(np.clip(np.rint(_NO_CHANGE + apart), 0, 255).astype(np.uint8))


def _fit_exposure(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> tuple[float, float]:
    """The gain and offset that bring `b` nearest to `a`, by the four fifths of the pixels that fit best."""
    kept = np.ones(len(a), np.bool_)
    gain, offset = 1.0, 0.0
    for _ in range(4):
        x, y = b[kept].astype(np.float64), a[kept].astype(np.float64)
        spread = float(((x - x.mean()) ** 2).mean())
        gain = float(((x - x.mean()) * (y - y.mean())).mean()) / spread if spread > 1e-6 else 1.0
        gain = min(max(gain, 0.5), 2.0)
        offset = float(y.mean() - gain * x.mean())
        off = np.abs(gain * b + offset - a)
        kept = off <= np.percentile(off, 80)
    return gain, offset


def _expand_box(box: Box, film: Film) -> Box:
    """The square around the middle of `box`, `_CROP_SIZE` times its longer side; square in the world, not in pixels."""
    side = _CROP_SIZE * max(box.width, box.height * film.aspect)
    return Box.from_centre(*box.centre, side, side / film.aspect)


def _make_scaling(box: Box, size: tuple[int, int]) -> npt.NDArray[Any]:
    """From film pixels to the pixels of an image of `box`, shape (3, 3)."""
    across, down = size[0] / box.width, size[1] / box.height
    return np.array([[across, 0, -box.x0 * across], [0, down, -box.y0 * down], [0, 0, 1]])
