"""Search for the sites of a wrist on a film: from the finger joints of its hand, or on a film of a wrist alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ratui.detection.landmark_search import FoundPart, LandmarkPart, PartSearch, crop_frame, find_near
from ratui.imaging.geometry import fit_similarity

__all__ = ["WRIST_SEARCH", "find_wrist_of_hand"]

WRIST_SEARCH = PartSearch(fields=(85.0, 130.0, 195.0), least_start=0.08)
"""Search for a wrist on a film without a hand.

In the right orientation the best start has a fit of 0.28 or more on 8 real films and 6 simulated ones, and of 0.14 or
less in the others. On the negative it is 0.03 or more in the right one."""


def find_wrist_of_hand(
    part: LandmarkPart,
    levels: npt.NDArray[np.float32],
    fingers: Mapping[str, tuple[float, float, float]],
    side: str,
) -> FoundPart | None:
    """Return the wrist of a hand with known finger joints, or None if fewer than three of them are known.

    Parameters
    ----------
    part
        Network and shape model of the sites of a wrist.
    levels
        Grey levels from 0 to 1, shape (rows, columns); bone is bright.
    fingers
        Centre x, y and side of the box of each finger joint in pixels of `levels`, by name.
    side
        Side that the hand looks like.
    """
    shape = part.shape
    rows = [row for row, joint in enumerate(shape.joints) if joint in fingers]
    if len(rows) < 3:
        return None
    flip = np.array([-1.0 if side == "R" else 1.0, 1.0])
    known = np.array([fingers[shape.joints[row]] for row in rows], np.float64)
    centres = known[:, :2]
    widths = shape.finger_widths[rows]
    mm = float(np.median(known[widths > 0, 2] / widths[widths > 0])) if (widths > 0).any() else None
    # A similarity of a mirrored shape to the film is one of the shape to the mirrored film.
    to_mirrored = fit_similarity(shape.fingers[rows], centres * flip, 1 / shape.finger_errors[rows] ** 2)
    return find_near(part, levels, crop_frame(to_mirrored * flip[:, None]), side, mm)
