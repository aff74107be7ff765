"""A detector for tests that finds what a test has drawn, without errors."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ratui.detection.finger_joints import COARSE_SIZE, FINE_SIZE, JOINT_KINDS
from ratui.detection.joint_naming import Candidate
from ratui.detection.joint_network import Detection, Proposals

__all__ = ["DotDetector", "find_dots"]


class DotDetector:
    """A detector without errors: it finds discs (PIP) and rings (MCP) in any arrangement."""

    size_statistics = (0.21, 1.0)

    def detect(self, squares: np.ndarray, threshold: float) -> list[list[Detection]]:
        """Return the discs and rings on each square."""
        assert threshold < 0.9
        return [find_dots(square) for square in squares]

    def propose(self, squares: np.ndarray, threshold: float) -> list[Proposals]:
        """Return their boxes and kinds."""
        return [
            Proposals(
                np.array([each.box for each in found], np.float32).reshape(-1, 4),
                np.array([[each.candidate.kind == kind for kind in JOINT_KINDS] for each in found], np.float32),
            )
            for found in self.detect(squares, threshold)
        ]

    def refine(self, squares: np.ndarray, proposals: Sequence[Proposals], threshold: float) -> list[list[Detection]]:
        """Return the discs and rings on each square, as `detect` does."""
        return self.detect(squares, threshold)


def find_dots(image: np.ndarray) -> list[Detection]:
    """Return the discs and rings on a square."""
    _, _, stats, centres = cv2.connectedComponentsWithStats((image > 60).astype(np.uint8))
    found = []
    for n in range(1, len(stats)):
        if stats[n, cv2.CC_STAT_AREA] > 6:
            kind = "MCP" if image[int(centres[n][1] + 0.5), int(centres[n][0] + 0.5)] < 60 else "PIP"
            size = 4 * stats[n, cv2.CC_STAT_WIDTH] * COARSE_SIZE / FINE_SIZE
            x, y = (centres[n] + 0.5) * COARSE_SIZE / FINE_SIZE
            found.append(Detection(Candidate(float(x), float(y), size, kind, 0.9), 0.0))
    return found
