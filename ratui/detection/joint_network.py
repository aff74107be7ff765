"""The interface of a detector's networks to the search for hands, whichever library runs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ratui.detection.finger_joints import JOINT_KINDS
from ratui.detection.joint_naming import Candidate
from ratui.detection.landmark_search import LandmarkPart
from ratui.detection.parts import PartName
from ratui.imaging import Box

__all__ = ["Detection", "JointNetwork", "Proposals", "SiteNetworks"]


@dataclass(frozen=True)
class Detection:
    """A detected joint, and the probability that it has a special finding, calibrated so that 0.5 is the threshold."""

    candidate: Candidate
    finding: float

    @property
    def box(self) -> Box:
        """Box of the joint, in the same units as the candidate."""
        return Box.from_centre(self.candidate.x, self.candidate.y, self.candidate.size)


@dataclass(frozen=True)
class Proposals:
    """Boxes of the first network on a square, the best first, before the second network corrects them.

    `boxes` (M, 4) are (x0, y0, x1, y1) in units of the square, `kinds` (M, kinds) the probability of each of `JOINT_KINDS`.
    """

    boxes: npt.NDArray[np.float32]
    kinds: npt.NDArray[np.float32]

    def to_candidates(self) -> list[Candidate]:
        """Return each box with its more probable kind."""
        return [
            Candidate(
                (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0 + y1 - y0) / 2, JOINT_KINDS[kinds.argmax()], float(kinds.max())
            )
            for (x0, y0, x1, y1), kinds in zip(self.boxes.tolist(), self.kinds, strict=True)
        ]


class JointNetwork(Protocol):
    """Networks that find the finger joints on squares."""

    @property
    def size_statistics(self) -> tuple[float, float]:
        """The variation of the sizes of boxes within a hand of the training data.

        The first value is the logarithm of the size of MCP boxes relative to PIP boxes, the second the standard deviation
        of the logarithm of single boxes.
        """

    def propose(self, squares: npt.NDArray[np.uint8], threshold: float) -> list[Proposals]:
        """Return the boxes that `refine` would correct, much faster than `detect`, whose parameters these are."""

    def refine(
        self, squares: npt.NDArray[np.uint8], proposals: Sequence[Proposals], threshold: float
    ) -> list[list[Detection]]:
        """Return the joints at the `proposals` of each square, as `detect` does."""

    def detect(self, squares: npt.NDArray[np.uint8], threshold: float) -> list[list[Detection]]:
        """Return the joints on each square, best first, with boxes in units of the square.

        Parameters
        ----------
        squares
            Whole hands, shape (N, FINE_SIZE, FINE_SIZE), uint8, bone bright.
        threshold
            Least score of a joint.
        """


class SiteNetworks(JointNetwork, Protocol):
    """Networks of a whole detector: those for finger joints, and those that place the sites of other parts."""

    def landmark_part(self, name: PartName) -> LandmarkPart | None:
        """Return the network and the shape model of a part of the body, or None if the detector has no such part."""
