"""The domain of a detector's findings, measured on the hands that were kept for its calibration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from ratui.detection.finger_joints import COARSE_SIZE, FINE_SIZE
from ratui.imaging import Box
from trainer.data.hands import HandSamples
from trainer.data.pairs import crop_joint
from trainer.models.detector import JointDetector
from trainer.models.refiner import REFINER_CROP_SIZE, WINDOW
from trainer.training.domain_statistics import MIN_FILMS, FeatureDomain, fit_domain
from trainer.training.model_domain import pick_films

__all__ = ["crop_for_refiner", "extract_refiner_features", "measure_detector_domain"]

_BATCH = 128  # crops


def crop_for_refiner(levels: npt.NDArray[np.float32], box: Box, *, mirrored: bool) -> npt.NDArray[np.uint8]:
    """Return the joint in `box` with the margin that the refiner sees; see `trainer.data.pairs.crop_joint`."""
    return crop_joint(levels, box, mirrored, margin=WINDOW, size=REFINER_CROP_SIZE)


@torch.inference_mode()
def extract_refiner_features(model: JointDetector, crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return the features (N, F) that the refiner of `model` has of `crops` (N, S, S), uint8."""
    device = next(model.parameters()).device
    parts = []
    for start in range(0, len(crops), _BATCH):
        images = torch.from_numpy(np.array(crops[start : start + _BATCH])).to(device)[:, None].float() / 255
        parts.append(model.detail.extract_features(images).float().cpu().numpy())
    return np.concatenate(parts)


def measure_detector_domain(
    model: JointDetector, samples: Sequence[HandSamples], validation: Sequence[HandSamples]
) -> FeatureDomain | None:
    """Return the domain of a trained `model`, or None if there are too few hands.

    It learned from `samples`, and `validation` was kept for its calibration. Each hand counts as a film.
    """
    hands = [
        (f"{part} {source} {row}", each.cases[row], each, row)
        for part, parts in (("learned", samples), ("held out", validation))
        for source, each in enumerate(parts)
        for row in range(len(each.cases))
    ]
    names, is_held_out = pick_films(
        [name for name, *_ in hands if name.startswith("held")], [name for name, *_ in hands if name[0] == "l"]
    )
    if len(names) < MIN_FILMS:
        return None
    features, films, cases = [], list[str](), list[str]()
    for name, case, each, row in hands:
        if name not in names:
            continue
        levels = np.asarray(each.images[row], np.float32) / np.float32(255)
        boxes = [Box(*box.tolist()).scale(FINE_SIZE / COARSE_SIZE) for box in each.boxes[row] if np.isfinite(box).all()]
        if not boxes:
            continue
        crops = np.stack([crop_for_refiner(levels, box, mirrored=False) for box in boxes])
        features.append(extract_refiner_features(model, crops))
        films += [name] * len(boxes)
        cases += [case] * len(boxes)
    if not features:
        return None
    return fit_domain(np.concatenate(features), films, cases, is_held_out=is_held_out)
