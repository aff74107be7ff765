"""Search for one foot, or both feet, on a film of which nothing is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from ratui.detection.landmark_search import FoundPart, LandmarkPart, PartSearch, find_alone

__all__ = ["FOOT_SEARCH", "cover_foot", "find_feet"]

FOOT_SEARCH = PartSearch(fields=(120.0, 175.0, 255.0), clear_fit=0.5, least_start=0.1, largest_crop=704)
"""Search for a foot. A film of both feet is up to 520 mm wide.

In the right orientation the fit at the best width is 0.76 or more on 9 simulated films, in the others 0.1 or less, and 0.001
or less on 5 simulated films of hands."""
_MARGIN = 10.0
"""Width in mm of the border around the landmarks of a foot that is covered with it."""


def find_feet(
    part: LandmarkPart,
    levels: npt.NDArray[np.float32],
    *,
    sides: Sequence[str] = ("L", "R"),
    max_feet: int = 1,
    rotations: Sequence[int] = (0, 90, 180, 270),
) -> list[FoundPart]:
    """Return the feet on a film or on its negative, the clearest first; each side once at most, all in the same rotation.

    Parameters
    ----------
    part
        Network and shape model of the sites of a foot.
    levels
        Grey levels from 0 to 1, shape (rows, columns); bone is bright.
    sides, rotations
        As in `ratui.detection.landmark_search.find_alone`.
    max_feet
        Largest number of feet.
    """
    first = find_alone(part, levels, FOOT_SEARCH, sides=sides, rotations=rotations)
    if first is None:
        return []
    found, others = [first], [side for side in sides if side != first.side]
    if max_feet > 1 and others:
        rest = cover_foot(np.float32(1.0) - levels if first.is_negative else levels, first)
        second = find_alone(part, rest, FOOT_SEARCH, sides=others, rotations=(first.rotation,))
        if second is not None and not second.is_negative:
            found.append(replace(second, is_negative=first.is_negative))
    return found


def cover_foot(levels: npt.NDArray[np.float32], foot: FoundPart) -> npt.NDArray[np.float32]:
    """Return `levels` without the bones of `foot`: dark within the hull of its landmarks and a margin."""
    hull = cv2.convexHull(foot.landmarks.astype(np.float32))[:, 0]
    mask = np.zeros(levels.shape, np.uint8)
    cv2.fillConvexPoly(mask, np.round(hull).astype(np.int32), 1)
    cv2.polylines(mask, [np.round(hull).astype(np.int32)], True, 1, max(round(2 * _MARGIN * foot.unit), 1))
    return np.where(mask > 0, np.quantile(levels[:: max(1, len(levels) // 256)], 0.05), levels).astype(np.float32)
