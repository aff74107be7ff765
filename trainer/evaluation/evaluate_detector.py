"""Evaluation of the detector: overlap of boxes, detection rate, findings, false boxes, names, and average precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torchvision.ops import box_iou

from ratui.detection.finger_joints import JOINT_KINDS
from ratui.detection.joint_network import Detection
from ratui.detection.wrist_sites import WRIST_SITES
from ratui.imaging import Box
from ratui.results.bootstrap import bootstrap_mean
from trainer.data.hands import HandSamples
from trainer.evaluation.average_precision import ImageBoxes, bootstrap_average_precision
from trainer.evaluation.metrics import RESAMPLES, Metric

__all__ = ["MIN_IOU", "evaluate_detections", "evaluate_named_boxes", "evaluate_wrists"]

MIN_IOU = 0.5
"""Minimum IoU (intersection over union) of a joint's box with a detected box of its kind for the joint to count as found."""


def evaluate_detections(
    hands: HandSamples, found: Sequence[Mapping[str, Detection]], rng: np.random.Generator
) -> tuple[list[Metric], list[Metric]]:
    """Return the headline metrics and the other metrics of a detector.

    Parameters
    ----------
    hands
        Hands with the confirmed boxes and the raters' findings.
    found
        For each hand the detections by joint, in units of the square. Sites of the wrist are measured by themselves.
    rng
        Random generator of the bootstrap over patients.
    """
    everything = found
    found = [{name: each for name, each in joints.items() if name not in WRIST_SITES} for joints in found]
    patients, overlap, finding_true, finding_predicted, named = [], [], [], [], []
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
            share = hands.findings[row, joint]  # of the raters; half of them count as a finding
            finding_true.append(np.nan if np.isnan(share) or index is None else float(share >= 0.5))
            finding_predicted.append(np.nan if index is None else float(detections[index].finding >= 0.5))
        false_boxes.append(float(len(detections) - len(used)))
        hand_patients.append(hands.cases[row])
    iou_hit = np.array([value if value >= MIN_IOU else np.nan for value in overlap])
    hit = np.array(overlap) >= MIN_IOU
    true, predicted = np.array(finding_true), np.array(finding_predicted)
    correct = np.where(np.isnan(true), np.nan, true == predicted)
    # Findings are rare, so a model that never finds one has a high accuracy: the baseline to beat.
    true_share = float(true[~np.isnan(true)].mean()) if not np.isnan(true).all() else None
    majority_rate = None if true_share is None else max(true_share, 1 - true_share)

    # `patients` has one entry for each joint; `hand_patients` one for each hand.
    def make_metric(
        name: str, values: npt.NDArray[np.generic], patient_ids: Sequence[str] = patients, **facts: object
    ) -> Metric:
        mean = bootstrap_mean(np.asarray(values, np.float64), patient_ids, rng, RESAMPLES)
        return Metric(name, mean.value, mean.low, mean.high, **facts)  # type: ignore[arg-type]

    headline = [
        make_metric(
            "Joint detection, mean IoU", iou_hit, better="higher", paper=0.845, note="of the joints that were found"
        ),
        make_metric(
            "Joint detection rate",
            hit,
            better="higher",
            unit="%",
            paper=0.946,
            note="a box of the same kind with an IoU of at least 0.5",
        ),
        make_metric(
            "Special finding, accuracy",
            correct,
            better="higher",
            unit="%",
            paper=0.944,
            baseline=majority_rate,
            baseline_name="never a finding",
            note="of the joints that were found; see also the next two rows",
        ),
        make_metric(
            "Special finding, sensitivity",
            np.where(true == 1, correct, np.nan),
            better="higher",
            unit="%",
            baseline=0.0,
            baseline_name="never a finding",
        ),
        make_metric(
            "Special finding, specificity",
            np.where(true == 0, correct, np.nan),
            better="higher",
            unit="%",
            baseline=1.0,
            baseline_name="never a finding",
        ),
    ]
    more = [
        make_metric("Mean IoU, joints not found count as 0", np.array(overlap), better="higher"),
        make_metric("False boxes per hand", np.array(false_boxes), hand_patients, better="lower"),
        make_metric("Joints found and named correctly", np.array(named), better="higher", unit="%"),
    ]
    ap50, ap = bootstrap_average_precision(_list_boxes(hands, found), rng.spawn(1)[0])
    note = f"COCO's average precision of {' and '.join(JOINT_KINDS)} boxes; at an IoU of "
    for name, value, levels in (("AP50", ap50, "0.5"), ("AP50:95", ap, "0.50 to 0.95")):
        more.append(Metric(name, value.value, value.low, value.high, better="higher", note=note + levels))
    more += evaluate_wrists(hands, everything, rng.spawn(1)[0])
    return headline, more


def evaluate_wrists(
    hands: HandSamples, found: Sequence[Mapping[str, Detection]], rng: np.random.Generator
) -> list[Metric]:
    """Return the metrics of the sites of the wrist in `hands`: places and overlap; none without known boxes.

    The parameters are those of `evaluate_detections`.
    """
    near, overlap, patients = [], [], []
    for row, joints in enumerate(found):
        for column, site in enumerate(WRIST_SITES):
            corners = None if hands.wrists is None else hands.wrists[row, column]
            if corners is None or not np.isfinite(corners).all():
                continue
            box, detection = Box(*map(float, corners)), joints.get(site)
            patients.append(hands.cases[row])
            overlap.append(0.0 if detection is None else box.intersection_over_union(detection.box))
            offset = np.inf if detection is None else np.hypot(*np.subtract(detection.box.centre, box.centre))
            near.append(float(offset <= 0.25 * box.width))
    if not near:
        return []
    metrics = []
    for name, values, unit in (
        ("Sites of the wrist within a quarter of their box", near, "%"),
        ("Sites of the wrist, mean IoU", overlap, ""),
    ):
        mean = bootstrap_mean(np.array(values), patients, rng, RESAMPLES)
        note = "sites not found count as 0"
        metrics.append(Metric(name, mean.value, mean.low, mean.high, better="higher", unit=unit, note=note))
    return metrics


def evaluate_named_boxes(
    hands: HandSamples, found: Sequence[Mapping[str, Detection]], rng: np.random.Generator
) -> list[Metric]:
    """Return two metrics over all true boxes: the share with an IoU of at least 0.5, and the mean IoU.

    Each true box is compared with the detection of the same name. A joint without a detection of its name has an IoU of 0.
    The parameters are those of `evaluate_detections`.
    """
    patients, overlap = [], []
    for row, joints in enumerate(found):
        for column, name in enumerate(hands.joints):
            true = hands.boxes[row, column]
            if not np.isfinite(true).all():
                continue
            box = torch.tensor([joints[name].box], dtype=torch.float32) if name in joints else None
            overlap.append(0.0 if box is None else float(box_iou(torch.from_numpy(true)[None], box)))
            patients.append(hands.cases[row])
    values = np.array(overlap)
    has_interval = len(set(patients)) > 1  # one patient says nothing about others
    found_metrics = []
    for name, each, unit, note in (
        ("Joints with the right name and an IoU of at least 0.5", (values >= MIN_IOU).astype(np.float64), "%", ""),
        ("Mean IoU of the joints by name", values, "", "joints not found count as 0"),
    ):
        mean = bootstrap_mean(each, patients, rng, RESAMPLES)
        low, high = (mean.low, mean.high) if has_interval else (float("nan"), float("nan"))
        found_metrics.append(Metric(name, mean.value, low, high, "higher", unit, note=note))
    return found_metrics


def _list_boxes(hands: HandSamples, found: Sequence[Mapping[str, Detection]]) -> list[ImageBoxes]:
    """Return true and detected boxes of each hand, without detected joints whose true box is not known."""
    images = []
    for row, joints in enumerate(found):
        known = np.isfinite(hands.boxes[row]).all(axis=1)
        unknown = {name for name, is_known in zip(hands.joints, known, strict=True) if not is_known}
        detections = [detection for name, detection in joints.items() if name not in unknown]
        images.append(
            ImageBoxes(
                hands.cases[row],
                hands.boxes[row, known].astype(np.float64),
                hands.kinds[known],
                np.array([each.box for each in detections], np.float64).reshape(-1, 4),
                np.array([JOINT_KINDS.index(each.candidate.kind) for each in detections], np.int64),
                np.array([each.candidate.score for each in detections], np.float64),
            )
        )
    return images


def _match(
    hands: HandSamples, row: int, detections: Sequence[Detection]
) -> tuple[dict[int, tuple[int, float]], set[int]]:
    """Match detected boxes to joints.

    Returns the index of the box and the IoU for each joint with an overlapping box of its kind, and the indices of all boxes
    that reach `MIN_IOU`. Pairs are matched in the order of their IoU, each box and each joint once.
    """
    matched: dict[int, tuple[int, float]] = {}
    if not detections:
        return matched, set()
    boxes = torch.tensor([detection.box for detection in detections], dtype=torch.float32)
    truth = torch.from_numpy(np.nan_to_num(hands.boxes[row], nan=-9.0))  # a missing box overlaps no other
    overlaps = box_iou(truth, boxes).numpy()
    pairs = sorted(((v, j, d) for (j, d), v in np.ndenumerate(overlaps) if v > 0), reverse=True)
    used: set[int] = set()
    for value, joint, index in pairs:
        is_same_kind = detections[index].candidate.kind == JOINT_KINDS[hands.kinds[joint]]
        if is_same_kind and joint not in matched and index not in used:
            matched[joint] = (index, float(value))
            used.add(index)
    return matched, {index for index, value in matched.values() if value >= MIN_IOU}
