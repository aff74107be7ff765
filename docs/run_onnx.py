"""Run the models that ``ratui-train export-onnx`` wrote, with NumPy and ONNX Runtime alone.

Copy this file beside the models. It needs neither ratui nor torch::

    import run_onnx

    boxes, refiner = run_onnx.Model("hands.onnx"), run_onnx.Model("hands-refiner.onnx")
    joints = run_onnx.detect(boxes, refiner, image)

    scorer = run_onnx.Model("scorer.onnx")
    grades = run_onnx.score(scorer, crops, ["MCP"], {"ERO": [5], "JSN": [4]})

Both functions give what torch gives; see ``docs/engineers.md`` for the form of the images.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np


class Model:
    """An exported model: the `session` of ONNX Runtime and the `facts` that the export stored beside the weights."""

    def __init__(self, path: str) -> None:
        import onnxruntime  # here, because `suppress` needs NumPy only

        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        stored = self.session.get_modelmeta().custom_metadata_map
        self.facts = {name.removeprefix("ratui."): json.loads(value) for name, value in stored.items()}

    def run(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Return the outputs by name."""
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, self.session.run(names, inputs), strict=True))


@dataclass(frozen=True)
class Joint:
    """A joint: centre and side of its square box, kind, score, and the probability of a special finding.

    Coordinates are in units of the square: its side is `facts["square"]` of both models of the detector.
    """

    x: float
    y: float
    size: float
    kind: str
    score: float
    finding: float


def detect(boxes_model: Model, refiner_model: Model, image: np.ndarray, threshold: float = 0.3) -> list[Joint]:
    """Return the joints on a whole hand, best first.

    Parameters
    ----------
    image
        A square with `facts["image_side"]` pixels a side, uint8, bone bright, the hand upright.
    threshold
        Least score: the geometric mean of the probabilities that both networks give to the kind of the joint.
    """
    pixels = image[None, None].astype(np.float32) / np.float32(255)
    found = boxes_model.run(images=pixels)
    boxes, kinds = found["boxes"][0], found["probabilities"][0][:, 1:]
    sums = kinds.sum(axis=1)
    likely = np.flatnonzero(sums > 0.3 * threshold)
    picked = likely[suppress(boxes[likely], sums[likely], 0.5)[: boxes_model.facts["max_candidates"]]]
    if not len(picked):
        return []
    refined = refiner_model.run(image=pixels, boxes=boxes[picked])
    agreed = np.sqrt(kinds[picked] * refined["kinds"][:, 1:])
    score, kind, sizes, centres = agreed.max(axis=1), agreed.argmax(axis=1), refined["sizes"], refined["centres"]
    kept = np.flatnonzero((score > threshold) & (sizes > 1))
    squares = np.concatenate([centres - sizes[:, None] / 2, centres + sizes[:, None] / 2], axis=1)
    return [
        Joint(
            float(centres[i, 0]),
            float(centres[i, 1]),
            float(sizes[i]),
            boxes_model.facts["joint_kinds"][kind[i]],
            float(score[i]),
            float(refined["finding"][i]),
        )
        for i in kept[suppress(squares[kept], score[kept], 0.4)]
    ]


def suppress(boxes: np.ndarray, scores: np.ndarray, overlap: float) -> np.ndarray:
    """Return the indices of the boxes (N, 4) that remain, best first: none overlaps a better one by more than `overlap`.

    The overlap is the intersection over the union. This is non-maximum suppression.
    """
    order = np.argsort(-scores, kind="stable")
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    remaining = []
    while len(order):
        best, order = order[0], order[1:]
        remaining.append(best)
        sides = np.minimum(boxes[best, 2:], boxes[order, 2:]) - np.maximum(boxes[best, :2], boxes[order, :2])
        shared = sides.clip(min=0).prod(axis=1)
        order = order[shared <= overlap * (areas[best] + areas[order] - shared)]
    return np.array(remaining, np.int64)


def score(
    model: Model, crops: np.ndarray, groups: list[str], max_grades: dict[str, list[int]]
) -> dict[str, np.ndarray]:
    """Return the probability of each pair of grades, (N, G, G), by scale: first index the earlier, second the later film.

    Parameters
    ----------
    crops
        N joints at both time points, shape (N, 2, side, side) with the side `facts["crop_side"]`, uint8, bone bright.
        Right hands are mirrored. A single film is given twice; sum over either axis for the grades of one film.
    groups
        Group of each joint, one of `facts["groups"]`.
    max_grades
        Largest grade of each joint by scale, −1 for a joint that is not scored on this scale.
    """
    known, scales = model.facts["groups"], model.facts["scales"]
    return model.run(
        crops=crops.astype(np.float32) / np.float32(255),
        groups=np.array([known.index(group) for group in groups], np.int64),
        max_grades=np.stack([np.array(max_grades[scale], np.int64) for scale in scales], axis=1),
    )
