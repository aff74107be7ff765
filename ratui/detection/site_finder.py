"""Search for all sites of a hand or a foot.

In a hand, `find_hands` finds the finger joints, and the wrist is searched from them, or alone on a film of a wrist.
The search takes the networks of any library, see `ratui.detection.joint_network.SiteNetworks`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from ratui.detection.finger_joints import COARSE_SIZE, FINE_SIZE, JOINT_KINDS, has_fingers
from ratui.detection.foot_search import FOOT_SEARCH, find_feet
from ratui.detection.foot_sites import FOOT_SITES
from ratui.detection.hand_finder import FoundHand, find_hands, map_detection
from ratui.detection.joint_naming import Candidate
from ratui.detection.joint_network import Detection, SiteNetworks
from ratui.detection.landmark_search import FoundPart, LandmarkPart
from ratui.detection.wrist_search import WRIST_SEARCH, find_wrist_of_hand, find_wrists
from ratui.detection.wrist_sites import WRIST_SITES
from ratui.scheme import Scheme

__all__ = ["FOOT_KIND", "WRIST_KIND", "find_foot_sites", "find_sites", "find_sites_of_samples", "shows_sites"]

WRIST_KIND = "wrist"
"""Kind of the candidates that are sites of a wrist."""
FOOT_KIND = "foot"
"""Kind of the candidates that are sites of a foot."""
_ROTATIONS = (0, 90, 180, 270)
_SURE_COST = -33.0
"""Maximum cost of a whole hand. Of 12 simulated films of one foot, 9 look like a hand, with a cost of -27 or more."""
_LEAST_WRIST_FIT = 0.1
"""Least fit of a wrist whose sites are reported.

On 6 simulated hands it is 0.37 or more, and 0.03 to 0.21 on their negatives; 0.13 or less at false hands on feet."""


def find_sites(
    model: SiteNetworks,
    levels: npt.NDArray[np.float32],
    scheme: Scheme,
    *,
    sides: Sequence[str] = ("L", "R"),
    max_hands: int = 1,
    rotations: Sequence[int] = _ROTATIONS,
    is_whole: bool = True,
) -> list[FoundHand]:
    """Find hands on an image with the finger joints and the sites of the wrist that `scheme` scores, the best first.

    A film without a hand is searched for wrists alone. A film on which a hand has no wrist is searched for feet, whose toes
    look like fingers, and has no hand if it shows one. The finding of a wrist's site is NaN: the detector does not judge
    it. The parameters are those of `ratui.detection.hand_finder.find_hands`; set `is_whole` to False for a film
    that shows a wrist only. Networks without a part for wrists find finger joints only.
    """
    known = {joint.id for joint in scheme.joints}
    fingers = any(joint.group in JOINT_KINDS for joint in scheme.joints) and is_whole
    hands = find_hands(model, levels, scheme, sides=sides, max_hands=max_hands, rotations=rotations) if fingers else []
    part, wanted = model.landmark_part("wrist"), bool(known & set(WRIST_SITES))
    if not hands:
        if part is None or not wanted:
            return []
        wrists = find_wrists(part, levels, sides=sides, max_wrists=max_hands, rotations=rotations)
        return [_as_hand(wrist, known, WRIST_KIND) for wrist in wrists]
    found = [
        _find_wrist(part, levels, hand) if part is not None and (wanted or hand.cost > _SURE_COST) else None
        for hand in hands
    ]
    is_sure = any(
        hand.cost <= _SURE_COST if wrist is None else wrist.fit >= WRIST_SEARCH.least_fit
        for hand, wrist in zip(hands, found, strict=True)
    )
    if not is_sure and _shows_foot(model, levels):
        return []
    return [
        hand
        if wrist is None or wrist.fit < _LEAST_WRIST_FIT
        else replace(hand, joints={**hand.joints, **_as_detections(wrist, known, WRIST_KIND)})
        for hand, wrist in zip(hands, found, strict=True)
    ]


def _find_wrist(part: LandmarkPart, levels: npt.NDArray[np.float32], hand: FoundHand) -> FoundPart | None:
    """Return the wrist of a hand.

    Fingers are often found in the wrong polarity as well, in which the wrist is not clear: then both are tried.
    """
    fingers = {name: (each.candidate.x, each.candidate.y, each.candidate.size) for name, each in hand.joints.items()}
    best: FoundPart | None = None
    for is_negative in (hand.is_negative, not hand.is_negative):
        wrist = find_wrist_of_hand(part, np.float32(1.0) - levels if is_negative else levels, fingers, hand.side)
        if wrist is not None and (best is None or wrist.fit > best.fit):
            best = wrist
        if best is None or best.fit >= WRIST_SEARCH.clear_fit:
            break
    return best


def _shows_foot(model: SiteNetworks, levels: npt.NDArray[np.float32]) -> bool:
    part = model.landmark_part("foot")
    return part is not None and any(foot.fit >= FOOT_SEARCH.clear_fit for foot in find_feet(part, levels))


def find_foot_sites(
    model: SiteNetworks,
    levels: npt.NDArray[np.float32],
    scheme: Scheme,
    *,
    sides: Sequence[str] = ("L", "R"),
    max_feet: int = 1,
    rotations: Sequence[int] = _ROTATIONS,
) -> list[FoundHand]:
    """Find feet on an image with the joints that `scheme` scores, the clearest first.

    The findings are NaN, and the costs 0. Networks without a part for feet find none. The parameters are those of
    `find_sites`.
    """
    known = {joint.id for joint in scheme.joints}
    part = model.landmark_part("foot") if known & set(FOOT_SITES) else None
    if part is None:
        return []
    feet = find_feet(part, levels, sides=sides, max_feet=max_feet, rotations=rotations)
    return [_as_hand(foot, known, FOOT_KIND) for foot in feet]


def find_sites_of_samples(
    model: SiteNetworks, images: npt.NDArray[np.uint8], scheme: Scheme
) -> list[dict[str, Detection]]:  # fmt: skip
    """Return the finger joints and sites of the wrist on images of left hands, in units of the square of COARSE_SIZE.

    `images` has the shape (N, FINE_SIZE, FINE_SIZE). An image without a hand gives an empty mapping.
    """
    unit = np.array([[COARSE_SIZE / FINE_SIZE, 0.0, 0.0], [0.0, COARSE_SIZE / FINE_SIZE, 0.0]])
    result = []
    for image in images:
        levels = np.asarray(image, np.float32) / np.float32(255)
        found = find_sites(model, levels, scheme, sides=("L",), rotations=(0,))
        result.append({joint: map_detection(d, unit) for joint, d in found[0].joints.items()} if found else {})
    return result


def shows_sites(scheme: Scheme, view: str) -> bool:
    """Return True if the view of this name shows finger joints or sites of a wrist."""
    return has_fingers(scheme, view) or bool(set(scheme.views[view].template) & set(WRIST_SITES))


def _as_hand(part: FoundPart, known: set[str], kind: str) -> FoundHand:
    """Return a part that was found alone."""
    return FoundHand(part.side, _as_detections(part, known, kind), 0.0, part.rotation, part.is_negative)


def _as_detections(part: FoundPart, known: set[str], kind: str) -> Mapping[str, Detection]:
    """Return the sites of a part that are `known` to the scheme."""
    found = {}
    for name, place in part.sites.items():
        if name in known:
            (x, y), size = place.box.centre, place.box.width
            found[name] = Detection(Candidate(x, y, size, kind, place.score), float("nan"))
    return found
