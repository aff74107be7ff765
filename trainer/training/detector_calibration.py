"""Calibration of the detector: the usual sizes of boxes, their bias, and the threshold of special findings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torchvision.ops import box_iou

from ratui.detection.finger_joints import JOINT_KINDS
from trainer.data.hands import HandSamples
from trainer.models.detector import JointDetector, detect

__all__ = ["calibrate_detector", "measure_box_sizes", "pick_threshold"]

_MIN_BOXES = 30  # fewer do not tell a bias of the sizes from chance
_TARGET_SPECIFICITY = 0.994
"""Specificity of findings to reach on the calibration cases; a little above the aim, because it is an estimate."""


def calibrate_detector(model: JointDetector, samples: Sequence[HandSamples], validation: Sequence[HandSamples]) -> None:
    """Set the calibrated buffers of `model`: `habit` from `samples`, `threshold` and `bias` from `validation`.

    A buffer of which the data say nothing keeps its value: that of the weights that the training started from. So boxes
    without findings, such as those of a COCO file, do not reset the threshold of the findings.
    """
    model.habit.copy_(torch.tensor(measure_box_sizes(samples)))
    if not validation:
        return
    threshold, bias = float(model.threshold), float(model.bias)
    model.threshold.fill_(0.5)
    model.bias.fill_(0.0)
    predicted, true, sizes = _predict_findings(model, validation)
    is_known = bool(true.any()) and not bool(true.all())
    model.threshold.fill_(pick_threshold(predicted, true) if is_known else threshold)
    model.bias.fill_(float(np.median(sizes)) if len(sizes) >= _MIN_BOXES else bias)


def measure_box_sizes(samples: Sequence[HandSamples]) -> tuple[float, float]:
    """Return the logarithm of MCP size to PIP size, and the standard deviation of single boxes' log sizes within a kind.

    The default is (0.21, 1.0) if no hand has two joints of each kind.
    """
    larger, left = [], []
    for each in samples:
        with np.errstate(invalid="ignore"):
            sizes = np.log((each.boxes[..., 2:] - each.boxes[..., :2]).mean(axis=2))
        for row in sizes:
            known = np.isfinite(row)
            kinds = [row[known & (each.kinds == kind)] for kind in range(len(JOINT_KINDS))]
            if all(len(kind) >= 2 for kind in kinds):
                larger.append(float(np.median(kinds[1]) - np.median(kinds[0])))
                left += [float(value - np.median(kind)) for kind in kinds for value in kind]
    return (float(np.median(larger)), float(np.std(left))) if larger else (0.21, 1.0)


def _predict_findings(
    model: JointDetector, samples: Sequence[HandSamples], part: int = 64
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Return the predicted probability and the truth of findings, and the log ratio of found to true box sizes.

    Only joints that are found count, for findings only those with a reading.
    """
    predicted, true, larger = [], [], []
    for each in samples:
        for start in range(0, len(each.images), part):
            for row, detections in enumerate(detect(model, each.images[start : start + part]), start):
                known = np.isfinite(each.boxes[row]).all(axis=1)
                if not detections or not known.any():
                    continue
                boxes = torch.tensor([detection.box for detection in detections])
                best, which = box_iou(torch.from_numpy(each.boxes[row, known]), boxes).max(dim=1)
                for iou, index, box, ill in zip(
                    best.tolist(), which.tolist(), each.boxes[row, known], each.findings[row, known], strict=True
                ):
                    if iou >= 0.5:
                        larger.append(np.log(detections[index].candidate.size / np.mean(box[2:] - box[:2])))
                        if np.isfinite(ill):
                            predicted.append(detections[index].finding)
                            true.append(ill >= 0.5)
    return np.array(predicted, np.float64), np.array(true, bool), np.array(larger, np.float64)


def pick_threshold(predicted: npt.NDArray[np.float64], true: npt.NDArray[np.bool_]) -> float:
    """Return the lowest threshold on the `predicted` probabilities that reaches the target specificity.

    `true` (N,) tells which joints have a finding. The result is 0.5 if all have one or none has.
    """
    if not true.any() or true.all():
        return 0.5
    without = np.sort(predicted[~true])
    edge = float(without[min(int(np.ceil(_TARGET_SPECIFICITY * len(without))), len(without) - 1)])
    above = predicted[true & (predicted > edge)]
    # Halfway to the next joint with a finding, so that both have the same distance from the threshold.
    return float(np.clip((edge + above.min()) / 2 if len(above) else edge, 0.01, 0.99))
