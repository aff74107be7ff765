"""Training crops of wrists, cut from the squares of hand samples, with the centres and sizes of their sites.

A crop is wider than what the network sees, so that augmentation can turn and shift it. All are upright left hands at the
same number of mm of a usual hand per pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ratui.detection.crops import compose, crop_square, invert, map_points, scale_of
from ratui.detection.finger_joints import COARSE_SIZE, FINE_SIZE
from ratui.detection.shape import ShapeModel, learn_shape
from ratui.detection.wrist_sites import FINGER_JOINTS, WRIST_SITES
from ratui.imaging import fit_similarity
from ratui.imaging.geometry import make_similarity
from trainer.data.hands import HandSamples

__all__ = ["MIN_SITES", "SAMPLE_SIZE", "SAMPLE_STEP", "WristFrames", "crop_wrist", "learn_wrist_shape", "place_wrists"]

SAMPLE_SIZE = 320
"""Side of a crop, in pixels."""
SAMPLE_STEP = 0.4
"""Width of a pixel of a crop, in mm of a hand of usual size."""
MIN_SITES = 4
"""Least number of known sites from which the position of a wrist follows."""
MIN_WRISTS = 24
"""Least number of complete wrists from which a shape model is learned."""
_USUAL_WIDTHS = np.array([19.0, 20.0, 21.0, 18.0, 36.0, 25.0, 16.0, 16.0, 16.0, 16.0, 18.0, 30.0])
"""Sides of the boxes of `WRIST_SITES` on a hand of usual size, in mm. They fix the scale of the shape model."""
_Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WristFrames:
    """The wrists of N hands.

    Attributes
    ----------
    transforms
        Transforms from a crop to the hand's square in pixels of FINE_SIZE, shape (N, 2, 3); NaN without a known wrist.
    points
        Centres of the sites in pixels of the crop, shape (N, S, 2); NaN where unknown.
    sizes
        Logarithm of the hand's size relative to the usual one, shape (N,), by the sizes of its boxes; NaN where unknown.
    """

    transforms: _Floats
    points: npt.NDArray[np.float32]
    sizes: npt.NDArray[np.float32]


def learn_wrist_shape(samples: Sequence[HandSamples]) -> ShapeModel | None:
    """Return the shape model of the wrists in `samples` of which all sites are known, or None if they are too few."""
    points, fingers = [], []
    for each in samples:
        if each.wrists is None:
            continue
        columns = [each.joints.index(joint) if joint in each.joints else -1 for joint in FINGER_JOINTS]
        for boxes, joints in zip(each.wrists.astype(np.float64), each.boxes.astype(np.float64), strict=True):
            if np.isfinite(boxes).all():
                widths = (boxes[:, 2:] - boxes[:, :2]).mean(axis=1)
                mm = float(np.exp(np.mean(np.log(widths / _USUAL_WIDTHS))))  # units per mm of a usual hand
                squares = np.column_stack(
                    [(joints[:, :2] + joints[:, 2:]) / 2, (joints[:, 2:] - joints[:, :2]).mean(axis=1)]
                )
                padded = np.vstack([squares, np.full((1, 3), np.nan)])
                points.append((boxes[:, :2] + boxes[:, 2:]) / 2 / mm)
                fingers.append(padded[columns] / mm)
    if len(points) < MIN_WRISTS:
        return None
    return learn_shape(np.stack(points), np.stack(fingers), WRIST_SITES, FINGER_JOINTS, _USUAL_WIDTHS)


def place_wrists(boxes: npt.NDArray[np.float32], shape: ShapeModel) -> WristFrames:
    """Return the frames of the crops of wrists with the `boxes` (N, S, 4) in units of the hands' squares."""
    count, sites = boxes.shape[:2]
    frames = WristFrames(
        np.full((count, 2, 3), np.nan),
        np.full((count, sites, 2), np.nan, np.float32),
        np.full(count, np.nan, np.float32),
    )
    pixels = boxes.astype(np.float64) * (FINE_SIZE / COARSE_SIZE)
    middle = np.full(2, SAMPLE_SIZE / 2)
    for row, own in enumerate(pixels):
        known = np.isfinite(own).all(axis=1)
        if known.sum() < MIN_SITES:
            continue
        centres = (own[:, :2] + own[:, 2:]) / 2
        upright = fit_similarity(shape.mean[known], centres[known])
        widths = (own[known, 2:] - own[known, :2]).mean(axis=1)
        frame = compose(upright, make_similarity(SAMPLE_STEP, 0.0, middle, np.zeros(2)))
        frames.transforms[row] = frame
        frames.points[row, known] = map_points(invert(frame), centres[known])
        frames.sizes[row] = np.mean(np.log(widths / shape.widths[known])) - np.log(scale_of(upright))
    return frames


def crop_wrist(image: npt.NDArray[np.uint8], transform: _Floats) -> npt.NDArray[np.uint8]:
    """Return the crop of a wrist, (SAMPLE_SIZE, SAMPLE_SIZE), from a hand's square; black if its place is unknown."""
    if not np.isfinite(transform).all():
        return np.zeros((SAMPLE_SIZE, SAMPLE_SIZE), np.uint8)
    return crop_square(np.asarray(image, np.float32), transform, SAMPLE_SIZE)
