"""Search for the sites of a wrist on a film: from the finger joints of its hand, or on a film of a wrist alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ratui.detection.landmark_search import FoundPart, LandmarkPart, PartSearch, crop_frame, find_alone, find_near
from ratui.imaging.geometry import fit_similarity

__all__ = ["WRIST_SEARCH", "find_wrist_of_hand", "find_wrists"]

WRIST_SEARCH = PartSearch(fields=(85.0, 130.0, 195.0), candidates=4, least_trace=0.02, least_start=0.08)
"""Search for a wrist on a film without a hand.

In the right orientation the fit at the best width is 0.28 or more on 8 real films and 6 simulated ones, and 0.14 or less in
the others."""


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
    return find_near(part, levels, crop_frame(part, to_mirrored * flip[:, None]), side, mm)


def find_wrists(
    part: LandmarkPart,
    levels: npt.NDArray[np.float32],
    *,
    sides: Sequence[str] = ("L", "R"),
    max_wrists: int = 1,
    rotations: Sequence[int] = (0, 90, 180, 270),
) -> list[FoundPart]:
    """Return the wrists on a film that shows no whole hand, the clearest first; each side once at most.

    Two wrists lie side by side, so that the halves of the film are searched, and the whole film if no half shows one. The
    other parameters are those of `ratui.detection.landmark_search.find_alone`.
    """
    found: list[FoundPart] = []
    if max_wrists > 1 and len(sides) > 1:
        rows, columns = levels.shape
        middle, rest = (0, columns // 2) if columns >= rows else (rows // 2, 0), list(sides)
        turns = rotations
        halves = (levels[: middle[0] or rows, : middle[1] or columns], levels[middle[0] :, middle[1] :])
        for start, half in zip(((0, 0), middle), halves, strict=True):
            wrist = find_alone(part, half, WRIST_SEARCH, sides=rest, rotations=turns)
            if wrist is not None:
                found.append(_shift(wrist, start[1], start[0]))
                rest = [side for side in rest if side != wrist.side]
                turns = (wrist.rotation,)
    if not found:
        wrist = find_alone(part, levels, WRIST_SEARCH, sides=sides, rotations=rotations)
        found = [] if wrist is None else [wrist]
    return sorted(found, key=lambda each: -each.fit)


def _shift(wrist: FoundPart, x: float, y: float) -> FoundPart:
    """Return a wrist that was found on the part of a film that starts at (x, y)."""
    sites = {name: replace(each, box=each.box.shift(x, y)) for name, each in wrist.sites.items()}
    return replace(wrist, sites=sites, landmarks=np.add(wrist.landmarks, (x, y)))
