"""The shipped detector as ONNX networks that OpenCV runs: for installations without torch.

The boxes, findings and sites are those of `trainer.models.detector`, from the same weights.
``python -m trainer.shipped.light`` writes the files.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from ratui.detection.finger_joints import COARSE_SIZE, FINE_SIZE
from ratui.detection.joint_naming import Candidate
from ratui.detection.joint_network import Detection, Proposals
from ratui.detection.landmark_search import LandmarkPart
from ratui.detection.parts import PARTS, PartName
from ratui.detection.shape import ShapeModel
from ratui.errors import StudyError

__all__ = ["OnnxDetector", "OnnxLandmarkNetwork", "crop_squares", "load_shipped_detector", "suppress_overlaps"]

_Floats = npt.NDArray[np.float32]
_CANDIDATE_OVERLAP, _JOINT_OVERLAP = 0.5, 0.4
"""Largest IoU of two boxes that the refiner sees, and of two joints in the result."""


@dataclass(frozen=True)
class _Settings:
    """Values that belong to the weights; see ``about.json`` beside them."""

    weights_sha256: str
    kinds: tuple[str, ...]
    max_candidates: int
    refiner_passes: int
    crop_size: int
    crop_window: float
    threshold: float
    bias: float
    mcp_excess: float
    size_spread: float


class OnnxLandmarkNetwork:
    """A landmark network; see `ratui.detection.landmark_search.LandmarkNetwork`."""

    def __init__(self, content: bytes) -> None:
        self._net = cv2.dnn.readNetFromONNX(np.frombuffer(content, np.uint8))

    def __call__(self, crops: npt.NDArray[np.uint8]) -> tuple[_Floats, _Floats]:
        """Return the heat maps of square crops (N, side, side), and the logarithms of the sizes, (N,)."""
        self._net.setInput(crops[:, None].astype(np.float32) / np.float32(255))
        maps, sizes = self._net.forward(["maps", "sizes"])
        return np.asarray(maps, np.float32), np.asarray(sizes, np.float32).ravel()


class OnnxDetector:
    """A detector's networks: one proposes boxes on a square, another one corrects each box and judges its joint.

    `parts` holds the landmark networks of further parts of the body. OpenCV's networks keep their input, so that one object
    must not be used by two threads at once.
    """

    def __init__(
        self,
        proposer: bytes,
        refiner: bytes,
        about: dict[str, Any],
        parts: Mapping[PartName, LandmarkPart] | None = None,
    ) -> None:
        self._proposer = cv2.dnn.readNetFromONNX(np.frombuffer(proposer, np.uint8))
        self._refiner = cv2.dnn.readNetFromONNX(np.frombuffer(refiner, np.uint8))
        self._settings = _Settings(**{**about, "kinds": tuple(about["kinds"])})
        self._parts = dict(parts or {})

    @property
    def size_statistics(self) -> tuple[float, float]:
        """The variation of the sizes of boxes within a hand: see `ratui.detection.joint_network.JointNetwork`."""
        return self._settings.mcp_excess, self._settings.size_spread

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights of torch from which the networks were made."""
        return self._settings.weights_sha256

    def landmark_part(self, name: PartName) -> LandmarkPart | None:
        """Return a part: see `ratui.detection.joint_network.SiteNetworks`."""
        return self._parts.get(name)

    def detect(self, squares: npt.NDArray[np.uint8], threshold: float) -> list[list[Detection]]:
        """Return the joints on each square, best first: see `ratui.detection.joint_network.JointNetwork`."""
        return self.refine(squares, self.propose(squares, threshold), threshold)

    def propose(self, squares: npt.NDArray[np.uint8], threshold: float) -> list[Proposals]:
        """Return the boxes to correct on each square: see `ratui.detection.joint_network.JointNetwork`."""
        return [self._propose(_to_levels(square), threshold) for square in squares]

    def refine(
        self, squares: npt.NDArray[np.uint8], proposals: Sequence[Proposals], threshold: float
    ) -> list[list[Detection]]:
        """Return the joints at the proposed boxes: see `ratui.detection.joint_network.JointNetwork`."""
        return [
            self._refine(_to_levels(square), each.boxes, each.kinds, threshold) if len(each.boxes) else []
            for square, each in zip(squares, proposals, strict=True)
        ]

    def _propose(self, square: _Floats, threshold: float) -> Proposals:
        self._proposer.setInput(square[None, None])
        boxes, probabilities = self._proposer.forward(["boxes", "probabilities"])
        boxes, kinds = boxes.reshape(-1, 4), probabilities.reshape(-1, 1 + len(self._settings.kinds))[:, 1:]
        score = kinds.sum(axis=1)
        is_likely = score > 0.3 * threshold
        boxes, kinds, score = boxes[is_likely], kinds[is_likely], score[is_likely]
        picked = suppress_overlaps(boxes, score, _CANDIDATE_OVERLAP)[: self._settings.max_candidates]
        return Proposals(boxes[picked], kinds[picked])

    def _refine(self, square: _Floats, boxes: _Floats, kinds: _Floats, threshold: float) -> list[Detection]:
        """Return the joints at `boxes` (M, 4), whose probabilities of each kind are `kinds` (M, kinds)."""
        settings, count = self._settings, len(boxes)
        centres: _Floats = (boxes[:, :2] + boxes[:, 2:]) / np.float32(2)
        sizes: _Floats = np.maximum((boxes[:, 2:] - boxes[:, :2]).mean(axis=1), np.float32(2))
        finding, kind_refined = sizes, kinds
        for _ in range(settings.refiner_passes):
            crops = crop_squares(square, centres, sizes * np.float32(settings.crop_window), settings.crop_size)
            # The refiner sees each joint plain and mirrored. The mean of both results is more accurate than either.
            self._refiner.setInput(np.concatenate([crops, crops[..., ::-1]])[:, None])
            moves, findings, probabilities = self._refiner.forward(["moves", "finding", "kinds"])
            moves = moves.reshape(2, count, 3)
            moves[1, :, 0] *= -1
            moves = moves.mean(axis=0)
            finding = findings.reshape(2, count).mean(axis=0)
            kind_refined = probabilities.reshape(2, count, -1).mean(axis=0)[:, 1:]
            centres = (centres + moves[:, :2] * sizes[:, None]).astype(np.float32)
            sizes = (sizes * np.exp(np.clip(moves[:, 2], -0.5, 0.5))).astype(np.float32)
        sizes = sizes * np.exp(np.float32(-settings.bias))
        # Shift the log odds so that the threshold becomes a probability of 0.5.
        against = np.log(settings.threshold / (1 - settings.threshold))
        finding = 1 / (1 + np.exp(against - finding.astype(np.float64)))
        agreed = np.sqrt(kinds * kind_refined)
        score, kind = agreed.max(axis=1), agreed.argmax(axis=1)
        keep = np.flatnonzero((score > threshold) & (sizes > 1))
        corners = np.concatenate([centres - sizes[:, None] / 2, centres + sizes[:, None] / 2], axis=1)
        kept = keep[suppress_overlaps(corners[keep], score[keep], _JOINT_OVERLAP)]
        found = []
        for i in kept.tolist():
            x, y, size = float(centres[i, 0]), float(centres[i, 1]), float(sizes[i])
            candidate = Candidate(x, y, size, settings.kinds[int(kind[i])], float(score[i]))
            found.append(Detection(candidate, float(finding[i])))
        return found


def _to_levels(square: npt.NDArray[np.uint8]) -> _Floats:
    return square.astype(np.float32) / np.float32(255)


def suppress_overlaps(boxes: _Floats, scores: _Floats, overlap: float) -> npt.NDArray[np.int64]:
    """Return the indices of the boxes that remain, the best first, of those with a larger IoU than `overlap`.

    `boxes` (N, 4) are (x0, y0, x1, y1), `scores` (N,) their scores.
    """
    if not len(boxes):
        return np.zeros(0, np.int64)
    widths = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    return np.asarray(
        cv2.dnn.NMSBoxes(widths.astype(np.float64).tolist(), scores.tolist(), 0.0, overlap), np.int64
    ).ravel()


def crop_squares(square: _Floats, centres: _Floats, sides: _Floats, pixels: int) -> _Floats:
    """Return square parts of an image, sampled bilinearly, shape (M, pixels, pixels); 0 outside of the image.

    Parameters
    ----------
    square
        The image, shape (FINE_SIZE, FINE_SIZE).
    centres, sides
        Centres (M, 2) and sides (M,) of the parts in units of the square (COARSE_SIZE to a side).
    pixels
        Side of the result in pixels.
    """
    # The edges of the image lie half a pixel outside of the middles of its first and last pixels.
    padded = np.pad(square, 1)
    step = (np.arange(pixels, dtype=np.float32) + np.float32(0.5)) / pixels - np.float32(0.5)
    places = (centres[:, :, None] + sides[:, None, None] * step) * np.float32(FINE_SIZE / COARSE_SIZE) + np.float32(0.5)
    places = np.clip(places, 0, FINE_SIZE + 1)
    before = np.minimum(places.astype(np.int64), FINE_SIZE)
    share = (places - before).astype(np.float32)
    crops = np.empty((len(centres), pixels, pixels), np.float32)
    for crop, (columns, rows), (across, down) in zip(crops, before, share, strict=True):
        # The parts are upright, so that rows and columns can be interpolated one after the other.
        upper, lower = padded[rows], padded[rows + 1]
        strip = upper + (lower - upper) * down[:, None]
        left, right = strip[:, columns], strip[:, columns + 1]
        crop[:] = left + (right - left) * across
    return crops


def load_shipped_detector() -> OnnxDetector:
    """Return the detector that is part of the package.

    Raises
    ------
    StudyError
        If a file of it is missing or damaged.
    """
    folder = files("ratui.detection") / "shipped"
    try:
        return _load_detector(folder)
    except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, zlib.error, cv2.error) as error:
        raise StudyError("the shipped detector is damaged", folder, "Install ratui again") from error


def _load_detector(folder: Traversable) -> OnnxDetector:
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    digests = about.pop("files")

    def read(name: str) -> bytes:
        content = (folder / name).read_bytes()
        if hashlib.sha256(content).hexdigest() != digests[name]:
            raise ValueError("not the file that was written")
        return content

    def read_network(name: str) -> bytes:
        return gzip.decompress(read(f"{name}.onnx.gz"))

    shapes = json.loads(read("shapes.json"))
    parts = {
        name: LandmarkPart(OnnxLandmarkNetwork(read_network(name)), ShapeModel.from_json(shapes[name]), layout)
        for name, layout in PARTS.items()
        if name in shapes
    }
    return OnnxDetector(read_network("boxes"), read_network("refiner"), about, parts)
