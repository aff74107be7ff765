"""Hands on a film, wherever and whichever they are: found from afar, named, then looked at again upright and full size.

It returns joints in pixels of what it was given; joints that don't fit a hand are no joints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from ratui.scheme import Scheme
from trainer.data.hands import COARSE_SIZE, FINE_SIZE, joint_template, kinds_by_joint
from trainer.inference.joint_naming import NamedHand, Template, name_hand
from trainer.models.detector import Detection, JointDetector, detect

__all__ = ["FoundHand", "find_hands", "find_joints"]

_Floats = npt.NDArray[np.float32]
_CANDIDATE_THRESHOLD = 0.15
"""From afar doubtful joints are kept: the second time they are seen better, and a hand is told by all of them together."""

_MIN_HAND_SCORE = 0.6
"""How sure the joints of a hand have to be on the average: a wrist alone, on which a hand is seen, reaches 0.5."""

_SIZE_ERROR = 0.04
"""How much the second look errs about the size of one box, as a logarithm."""


@dataclass(frozen=True)
class FoundHand:
    """A hand: what side it looks like, and its joints by name, in pixels of the picture; `cost` as in `NamedHand`."""

    side: str
    joints: Mapping[str, Detection]
    cost: float

    @property
    def mean_score(self) -> float:
        """How sure its joints are on the average, from 0 to 1."""
        return sum(joint.candidate.score for joint in self.joints.values()) / max(len(self.joints), 1)


def find_hands(
    model: JointDetector, levels: _Floats, scheme: Scheme, *, sides: Sequence[str] = ("L", "R"), max_hands: int = 1
) -> list[FoundHand]:
    """At most `max_hands` hands of `sides` on `levels` (rows, columns; from 0 to 1), no side twice; best first.

    Bone should be bright; where no hand is made out, the film's negative is tried, for a header may be wrong about that.
    """
    found = _find_hands_in(model, levels, scheme, sides, max_hands)
    return found or _find_hands_in(model, np.float32(1.0) - levels, scheme, sides, max_hands)


def _find_hands_in(
    model: JointDetector, levels: _Floats, scheme: Scheme, sides: Sequence[str], max_hands: int
) -> list[FoundHand]:  # fmt: skip
    template, kinds = joint_template(scheme), kinds_by_joint(scheme)
    rows, columns = levels.shape
    scale = COARSE_SIZE / max(rows, columns)
    whole = np.array([[1 / scale, 0.0, 0.0], [0.0, 1 / scale, 0.0]])
    left = [
        _map_detection(d, whole)
        for d in detect(model, _warp_to_square(levels, whole)[None], threshold=_CANDIDATE_THRESHOLD)[0]
    ]
    left_sides, found = list(sides), list[FoundHand]()
    while left and left_sides and len(found) < max_hands:
        hand = name_hand([d.candidate for d in left], template, kinds, sides=left_sides)
        if hand is None:
            break
        first = FoundHand(hand.side, {joint: left[index] for joint, index in hand.joints.items()}, hand.cost)
        second = _detect_upright(model, levels, hand, template, kinds)
        best = _even_out_sizes(model, first if second is None or first.cost < second.cost else second)
        if best.mean_score < _MIN_HAND_SCORE:
            break
        found.append(best)
        left_sides.remove(best.side)
        left = [
            d for d in left if not any(_overlap(d, joint) for joint in (*first.joints.values(), *best.joints.values()))
        ]
    return found


def _even_out_sizes(model: JointDetector, hand: FoundHand) -> FoundHand:
    """`hand` with its boxes as even in size as those are that were learnt from: ten tell a hand's size better than one."""
    larger, spread = (float(value) for value in model.habit)
    own = {j: np.log(d.candidate.size) - larger * (d.candidate.kind == "MCP") for j, d in hand.joints.items()}
    middle = float(np.median(list(own.values())))
    trust = spread**2 / (spread**2 + _SIZE_ERROR**2)
    joints = {}
    for joint, detection in hand.joints.items():
        size = detection.candidate.size * float(np.exp((trust - 1) * (own[joint] - middle)))
        joints[joint] = replace(detection, candidate=replace(detection.candidate, size=size))
    return replace(hand, joints=joints)


def find_joints(model: JointDetector, images: npt.NDArray[np.uint8], scheme: Scheme) -> list[dict[str, Detection]]:
    """The named joints on each of `images`, squares of FINE_SIZE pixels that show a left hand; in units of the square."""
    unit = np.array([[COARSE_SIZE / FINE_SIZE, 0.0, 0.0], [0.0, COARSE_SIZE / FINE_SIZE, 0.0]])
    result = []
    for image in images:
        found = find_hands(model, np.asarray(image, np.float32) / np.float32(255), scheme, sides=("L",))
        result.append({joint: _map_detection(d, unit) for joint, d in found[0].joints.items()} if found else {})
    return result


def _detect_upright(
    model: JointDetector, levels: _Floats, hand: NamedHand, template: Template, kinds: Mapping[str, str]
) -> FoundHand | None:
    """`hand` looked at upright, as a left one, as large as on the films of the training."""
    middle = np.mean([template[joint][:2] for joint in template], axis=0)
    aside = COARSE_SIZE / 2 - middle[0]
    placed = {joint: (x + aside, y, size) for joint, (x, y, size) in template.items()}
    # From the square of this second look to the template (mirrored for a right hand), and on to the picture.
    flip = -1.0 if hand.side == "R" else 1.0
    to_template = np.array([[flip, 0.0, -flip * aside], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    transform = hand.transform @ to_template
    detections = detect(model, _warp_to_square(levels, transform)[None], threshold=_CANDIDATE_THRESHOLD)[0]
    named = name_hand([d.candidate for d in detections], placed, kinds, sides=("L",))
    if named is None:
        return None
    return FoundHand(
        hand.side,
        {joint: _map_detection(detections[index], transform) for joint, index in named.joints.items()},
        named.cost,
    )


def _warp_to_square(levels: _Floats, transform: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """What the model is to see: a square of FINE_SIZE pixels whose units `transform` (2, 3) takes to pixels of `levels`."""
    fine = transform.copy()
    fine[:, :2] *= COARSE_SIZE / FINE_SIZE
    step = float(np.hypot(fine[0, 0], fine[1, 0]))
    picture = levels
    if step > 1.0:  # shrunk first, by the mean of what falls into a pixel, so that no detail turns into a pattern
        size = (max(round(levels.shape[1] / step), 1), max(round(levels.shape[0] / step), 1))
        picture = np.asarray(cv2.resize(levels, size, interpolation=cv2.INTER_AREA), np.float32)
        fine[0] *= size[0] / levels.shape[1]
        fine[1] *= size[1] / levels.shape[0]
    # OpenCV's pixels have their middle at whole numbers, ours at halves.
    fine[:, 2] += fine[:, :2] @ [0.5, 0.5] - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = np.asarray(cv2.warpAffine(picture, fine, (FINE_SIZE, FINE_SIZE), flags=flags, borderValue=-1.0), np.float32)
    film = seen >= 0
    if film.any():
        inside = seen[film]
        low, high = np.percentile(inside[:: max(1, len(inside) // 65_536)], [1.0, 99.5])
        seen = np.where(film, np.clip((seen - low) / max(float(high - low), 1e-3), 0, 1), 0)
    else:
        seen = np.zeros_like(seen)
    return np.rint(seen * 255).astype(np.uint8)


def _map_detection(detection: Detection, transform: npt.NDArray[np.float64]) -> Detection:
    candidate = detection.candidate
    x, y = transform @ [candidate.x, candidate.y, 1.0]
    size = candidate.size * float(np.hypot(transform[0, 0], transform[1, 0]))
    return replace(detection, candidate=replace(candidate, x=float(x), y=float(y), size=size))


def _overlap(one: Detection, other: Detection) -> bool:
    a, b = one.candidate, other.candidate
    return max(abs(a.x - b.x), abs(a.y - b.y)) < 0.6 * max(a.size, b.size)
