"""The parts of a detector that a training changes, and the shape models that it starts with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ratui.detection.shape import ShapeModel
from ratui.errors import TrainError
from trainer.data.foot_samples import FootSamples, learn_foot_shape
from trainer.data.hands import HandSamples
from trainer.data.wrist_samples import learn_wrist_shape
from trainer.models.detector import JointDetector
from trainer.models.landmark_model import LandmarkModel

__all__ = ["ALL_PARTS", "TrainedParts", "choose_parts", "has_wrists", "prepare_parts", "wrist_shape"]


@dataclass(frozen=True)
class TrainedParts:
    """The parts of a detector that are trained."""

    ssd: bool = True
    refiner: bool = True
    wrist: bool = True
    foot: bool = True


ALL_PARTS = TrainedParts()


def choose_parts(
    *, refiner_only: bool, wrist_only: bool, foot_only: bool, has_weights: bool, has_feet: bool
) -> TrainedParts:
    """Return the parts to train. Raises TrainError if a single part lacks the weights of the others, or its films."""
    if refiner_only and not has_weights:
        raise TrainError("the refiner needs a trained SSD", "--refiner-only", "Give --weights, such as shipped")
    if wrist_only and (not has_weights or refiner_only):
        raise TrainError(
            "the part for wrists needs a trained detector of finger joints",
            "--wrist-only",
            "Give --weights, such as shipped",
        )
    if foot_only and (not has_weights or refiner_only or wrist_only):
        raise TrainError(
            "the part for feet needs a trained detector of finger joints",
            "--foot-only",
            "Give --weights, such as shipped",
        )
    if foot_only and not has_feet:
        raise TrainError("there are no films of feet", "--foot-only", "Give a study with feet, or --phantoms N")
    hands = not wrist_only and not foot_only
    return TrainedParts(
        ssd=hands and not refiner_only,
        refiner=hands,
        wrist=not refiner_only and not foot_only,
        foot=not refiner_only and not wrist_only and has_feet,
    )


def prepare_parts(
    model: JointDetector, parts: TrainedParts, samples: Sequence[HandSamples], feet: Sequence[FootSamples]
) -> None:
    """Give `model` all parts, shape models that it lacks if the samples show enough, and gradients where it is trained."""
    if model.wrist is None:
        model.wrist = LandmarkModel("wrist")
    if model.foot is None:
        model.foot = LandmarkModel("foot")
    for part, shape in ((model.wrist, learn_wrist_shape(samples)), (model.foot, learn_foot_shape(feet))):
        if not part.has_shape and shape is not None:
            part.set_shape(shape)
    model.ssd.requires_grad_(parts.ssd)
    model.detail.requires_grad_(parts.refiner)
    model.wrist.requires_grad_(parts.wrist and has_wrists(samples))
    model.foot.requires_grad_(parts.foot)


def has_wrists(samples: Sequence[HandSamples]) -> bool:
    """Return True if boxes of a wrist are known in `samples`."""
    return any(each.wrists is not None and bool(np.isfinite(each.wrists).any()) for each in samples)


def wrist_shape(model: JointDetector) -> ShapeModel | None:
    """Return the shape model of wrists, or None if `model` has none."""
    return model.wrist.shape_model() if model.wrist is not None and model.wrist.has_shape else None
