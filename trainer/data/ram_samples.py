"""Samples of single films for the scorer, from a folder in the layout of RAM-H1200."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ratui.detection.finger_joints import normalise_levels
from ratui.errors import TrainError
from ratui.imaging import Box
from ratui.scheme import Scheme
from trainer.data.coco import load_film
from trainer.data.image_cache import ImageCache
from trainer.data.pairs import MARGIN, PAIR_CROP_SIZE, PairSamples, crop_joint
from trainer.data.ram_h1200 import RamImage

__all__ = ["make_status_samples"]


def make_status_samples(
    images: Sequence[RamImage],
    boxes: Sequence[Mapping[str, Box]],
    scheme: Scheme,
    folder: Path,
    progress: Callable[[str, int, int], None],
) -> PairSamples:
    """Return the joints that have a grade and a box. Only the first time point has labels.

    The scorer sees the film at both time points. The patients are the cases of the samples.

    Parameters
    ----------
    images
        Images of hands with their grades.
    boxes
        For each image the boxes in its pixels, by joint.
    scheme
        Scheme of the joints.
    folder
        Cache of the crops.
    progress
        Called with a text, the number done and the total.

    Raises
    ------
    TrainError
        If no joint has both, or an image can't be decoded.
    """
    scales, groups = scheme.scales, tuple(dict.fromkeys(joint.group for joint in scheme.joints))
    rows = [
        (number, image, joint, here[joint.id])
        for number, (image, here) in enumerate(zip(images, boxes, strict=True))
        for joint in scheme.joints
        if joint.id in here and any((joint.id, scale) in image.grades for scale in scales)
    ]
    if not rows:
        raise TrainError("no joint has both a score and a box", "", "Give boxes of the scored joints")
    files = {number: image.hand.image.file for number, image, _, _ in rows}
    content = [
        MARGIN,
        [(str(file), file.stat().st_mtime_ns) for file in files.values()],
        [(number, image.hand.side, joint.id, tuple(box)) for number, image, joint, box in rows],
    ]
    cache = ImageCache(folder, "ram", (len(rows), PAIR_CROP_SIZE, PAIR_CROP_SIZE), content)
    labels = np.full((len(rows), 1, len(scales), 2), -1, np.int64)
    max_grades = np.full((len(rows), len(scales)), -1, np.int64)
    current, levels = -1, np.zeros((1, 1), np.float32)
    for row, (number, image, joint, box) in enumerate(rows):
        if not cache.is_complete:
            progress("preparing joints", row, len(rows))
            if number != current:
                current, levels = number, normalise_levels(load_film(image.hand.image))
            cache.images[row] = crop_joint(levels, box, image.hand.side == "R")
        for column, scale in enumerate(scales):
            if scale in joint.scales:
                max_grades[row, column] = joint.max_grade(scale)
                labels[row, 0, column, 0] = image.grades.get((joint.id, scale), -1)
    cache.finish()
    progress("preparing joints", len(rows), len(rows))
    return PairSamples(
        np.broadcast_to(cache.images[:, None], (len(rows), 2, PAIR_CROP_SIZE, PAIR_CROP_SIZE)),
        labels,
        max_grades,
        np.array([groups.index(joint.group) for _, _, joint, _ in rows]),
        np.zeros((len(rows), 1, 2), bool),
        tuple(image.patient for _, image, _, _ in rows),
        tuple(f"{image.hand.side}.{joint.id}" for _, image, joint, _ in rows),
        groups,
        scales,
    )
