"""What the detector is worth on hands that it has not learnt from: overlap, rate, findings, false boxes, names.

Nothing here trains, and nothing is left out for being bad.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torchvision.ops import box_iou

from ratui.results.bootstrap import bootstrap_mean
from trainer.data.hands import JOINT_KINDS, HandSamples
from trainer.evaluation.metrics import RESAMPLES, Metric
from trainer.models.detector import Detection

__all__ = ["MIN_IOU", "evaluate_detections"]

MIN_IOU = 0.5
"""A joint counts as found where a box of its kind overlaps it by at least this IoU."""


def evaluate_detections(
    hands: HandSamples, found: Sequence[Mapping[str, Detection]], rng: np.random.Generator
) -> tuple[list[Metric], list[Metric]]:
    """Overlap, rate, findings; and false boxes, names, sensitivity and specificity."""
    patients, overlap, finding_true, finding_said, named = [], [], [], [], []
    false_boxes, hand_patients = [], []
    for row, joints in enumerate(found):
        detections = list(joints.values())
        names = {joint: index for index, joint in enumerate(joints)}
        matched, used = _match(hands, row, detections)
        for joint, name in enumerate(hands.joints):
            if not np.isfinite(hands.boxes[row, joint]).all():
                continue
            patients.append(hands.cases[row])
            index, iou = matched.get(joint, (None, 0.0))
            overlap.append(iou)
            named.append(index is not None and names.get(name) == index)
            seen = hands.findings[row, joint]
            finding_true.append(np.nan if np.isnan(seen) or index is None else float(seen >= 0.5))
            finding_said.append(np.nan if index is None else float(detections[index].finding >= 0.5))
        false_boxes.append(float(len(detections) - len(used)))
        hand_patients.append(hands.cases[row])
    iou_hit = np.array([value if value >= MIN_IOU else np.nan for value in overlap])
    hit = np.array(overlap) >= MIN_IOU
    true, said = np.array(finding_true), np.array(finding_said)
    right = np.where(np.isnan(true), np.nan, true == said)
    best_guess = max(float(np.nanmean(true)), 1 - float(np.nanmean(true)))

    def make_metric(
        name: str, values: npt.NDArray[np.generic], patient_ids: Sequence[str] = patients, **facts: object
    ) -> Metric:
        mean = bootstrap_mean(np.asarray(values, np.float64), patient_ids, rng, RESAMPLES)
        return Metric(name, mean.value, mean.low, mean.high, **facts)  # type: ignore[arg-type]

    headline = [
        make_metric(
            "Joint detection, mean IoU", iou_hit, better="higher", paper=0.845, note="over the joints that were found"
        ),
        make_metric(
            "Joint detection rate",
            hit,
            better="higher",
            unit="%",
            paper=0.946,
            note="a box of its kind, IoU at least 0.5",
        ),
        make_metric(
            "Special finding, accuracy",
            right,
            better="higher",
            unit="%",
            paper=0.944,
            baseline=best_guess,
            baseline_name="never a finding",
            note="over the joints that were found; read it with the next two",
        ),
        make_metric(
            "Special finding, sensitivity",
            np.where(true == 1, right, np.nan),
            better="higher",
            unit="%",
            baseline=0.0,
            baseline_name="never a finding",
        ),
        make_metric(
            "Special finding, specificity",
            np.where(true == 0, right, np.nan),
            better="higher",
            unit="%",
            baseline=1.0,
            baseline_name="never a finding",
        ),
    ]
    more = [
        make_metric("Mean IoU, a joint not found counting as 0", np.array(overlap), better="higher"),
        make_metric("Boxes on no joint, for each hand", np.array(false_boxes), hand_patients, better="lower"),
        make_metric("Joints found and given the right name", np.array(named), better="higher", unit="%"),
    ]
    return headline, more


def _match(
    hands: HandSamples, row: int, detections: Sequence[Detection]
) -> tuple[dict[int, tuple[int, float]], set[int]]:
    """For each joint the box of its kind that overlaps it most, each box once; and the boxes that hit a joint."""
    matched: dict[int, tuple[int, float]] = {}
    if not detections:
        return matched, set()
    boxes = torch.tensor([detection.box for detection in detections], dtype=torch.float32)
    truth = torch.from_numpy(np.nan_to_num(hands.boxes[row], nan=-9.0))
    overlaps = box_iou(truth, boxes).numpy()
    pairs = sorted(((v, j, d) for (j, d), v in np.ndenumerate(overlaps) if v > 0), reverse=True)
    used: set[int] = set()
    for value, joint, index in pairs:
        same = detections[index].candidate.kind == JOINT_KINDS[hands.kinds[joint]]
        if same and joint not in matched and index not in used:
            matched[joint] = (index, float(value))
            used.add(index)
    return matched, {index for index, value in matched.values() if value >= MIN_IOU}
