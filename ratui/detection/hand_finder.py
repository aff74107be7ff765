"""Search for hands on a film: detect joints on the whole film, name them, then detect again on the upright hand.

The film may lie in any of four rotations, and a hand may be mirrored: both sides are tried in each rotation. Joints are
returned in pixels of the given image; boxes that do not fit a hand are dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from ratui.detection.crops import invert, map_points
from ratui.detection.finger_joints import COARSE_SIZE, FINE_SIZE, make_joint_template, map_joint_kinds
from ratui.detection.joint_naming import NamedHand, Template, name_hand
from ratui.detection.joint_network import Detection, JointNetwork, Proposals
from ratui.scheme import Scheme

__all__ = ["FoundHand", "find_hands", "find_joints", "map_detection", "turn_upright"]

_Floats = npt.NDArray[np.float32]
_CANDIDATE_THRESHOLD = 0.15
"""Minimum score of a joint candidate.

It is low because the second detection sees joints better, and because all joints together decide about a hand."""

_MIN_HAND_SCORE = 0.6
"""Minimum mean score of a hand's joints; a false hand seen on a wrist alone reaches 0.5."""

_ROTATIONS = (0, 90, 180, 270)
_CLEAR_COST = -30.0
"""Maximum cost of a hand in the first detection that needs no other rotation of the film.

A whole hand costs -33 or less in the right rotation. In a wrong one it may look like a hand of the other side, with a cost
of -27 and an angle of 40 degrees, so that the other rotations must be tried."""
_CLEAR_ANGLE = 30.0
"""Maximum angle of such a hand to the upright position, in degrees."""

_HOPELESS_COST = 12.0
"""Minimum cost of the best hand in all rotations at which the film is not searched further.

Of 31 films of hands (simulated ones with parts cut off, and one real one) the best cost -1 or less in the right polarity; of
pictures without a hand (noise, carpal bones), 19 or more."""

_UNLIKELY_COST = 10.0
"""Minimum cost at which a rotation is not searched, of the hand that the first network sees alone.

It is -2 or less on 19 such films of hands, and 8 or more on 10 pictures without one. Of 48 pictures of simulated hands with
about six joints inside the border, 31 are found without this limit, all of these at 10, and 24 at 7."""

_SIZE_ERROR = 0.04
"""Standard error of the size of one refined box, as a natural logarithm."""


@dataclass(frozen=True)
class FoundHand:
    """A hand or a foot on an image.

    `side` is the side that it looks like, ``L`` or ``R``. `joints` holds the detections by joint, in pixels of the
    image. `cost` is the cost of the assignment of names, as in `NamedHand`. `rotation` is the clockwise turn of the image
    in degrees, 0 to 270, after which it is nearest to the upright position. `is_negative` is True if it was found on the
    negative of the image.
    """

    side: str
    joints: Mapping[str, Detection]
    cost: float
    rotation: int = 0
    is_negative: bool = False

    @property
    def mean_score(self) -> float:
        """Mean score of the joints, from 0 to 1."""
        return sum(joint.candidate.score for joint in self.joints.values()) / max(len(self.joints), 1)


def find_hands(
    model: JointNetwork,
    levels: _Floats,
    scheme: Scheme,
    *,
    sides: Sequence[str] = ("L", "R"),
    max_hands: int = 1,
    rotations: Sequence[int] = _ROTATIONS,
) -> list[FoundHand]:
    """Find hands on an image, the best first.

    The image is searched as it is, and in other rotations unless a hand is clear at once. All hands of an image have the
    same rotation. If no hand is found, the negative of the image is tried, because headers of films may state the wrong
    polarity.

    Parameters
    ----------
    model
        The networks of a detector.
    levels
        Grey levels from 0 to 1, shape (rows, columns); bone is bright.
    scheme
        Scheme with a template of the finger joints.
    sides
        Sides to look for. A mirrored hand looks like the other side.
    max_hands
        Maximum number of hands. Each side is returned once at most.
    rotations
        Clockwise rotations to try, in degrees: multiples of 90, the most probable one first.

    Raises
    ------
    TrainError
        If the scheme has no finger joints or no template of them.
    """
    found = _find_in_rotations(model, levels, scheme, sides, max_hands, rotations)
    if found:
        return found
    negative = _find_in_rotations(model, np.float32(1.0) - levels, scheme, sides, max_hands, rotations)
    return [replace(hand, is_negative=True) for hand in negative]


@dataclass(frozen=True)
class _AnyRotation:
    """One rotation of an image, turned clockwise, and its best hand."""

    degrees: int
    levels: _Floats
    hand: NamedHand | None

    @property
    def cost(self) -> float:
        """Cost of the best hand, infinity without one."""
        return np.inf if self.hand is None else self.hand.cost

    @property
    def is_clear(self) -> bool:
        """True if the best hand is so probable, and so upright, that no other rotation can be better."""
        if self.hand is None or self.hand.cost > _CLEAR_COST:
            return False
        angle = np.degrees(np.arctan2(self.hand.transform[1, 0], self.hand.transform[0, 0]))
        return bool(abs(angle) <= _CLEAR_ANGLE)


@dataclass(frozen=True)
class _ProposedRotation(_AnyRotation):
    """A rotation as the first network alone sees it: the hand is in units of the square."""

    square: npt.NDArray[np.uint8]
    proposals: Proposals


@dataclass(frozen=True)
class _Rotation(_AnyRotation):
    """A rotation with the joints detected in it, which are in pixels of the turned image, as the hand is."""

    detections: tuple[Detection, ...]


def _find_in_rotations(
    model: JointNetwork,
    levels: _Floats,
    scheme: Scheme,
    sides: Sequence[str],
    max_hands: int,
    rotations: Sequence[int],
) -> list[FoundHand]:
    """Find hands as `find_hands` does, without trying the negative: in the rotation whose best hand costs least."""
    proposed, tried = [_propose_whole(model, levels, scheme, sides, rotations[0])], list[_Rotation]()
    if proposed[0].is_clear:
        tried.append(_detect_whole(model, proposed.pop(), scheme, sides))
    if not (tried and tried[0].is_clear):
        proposed += [_propose_whole(model, levels, scheme, sides, degrees) for degrees in rotations[1:]]
        # The second network takes most of the time, so that it sees the most probable rotation first.
        for each in sorted(proposed, key=lambda one: one.cost):
            if each.cost > _UNLIKELY_COST or (tried and min(one.cost for one in tried) > _HOPELESS_COST):
                break
            tried.append(_detect_whole(model, each, scheme, sides))
            if tried[-1].is_clear:
                break
    tried.sort(key=lambda each: each.cost)
    rows, columns = levels.shape
    for rotation in tried:
        if rotation.hand is None or tried[0].cost > _HOPELESS_COST:
            break
        found = _find_hands_in(model, rotation, scheme, sides, max_hands)
        if found:
            back = _rotation_matrix(
                -rotation.degrees, *((columns, rows) if rotation.degrees % 180 else (rows, columns))
            )
            return [
                replace(
                    hand,
                    joints={joint: map_detection(d, back) for joint, d in hand.joints.items()},
                    rotation=rotation.degrees,
                )
                for hand in found
            ]
    return []


def _propose_whole(
    model: JointNetwork, levels: _Floats, scheme: Scheme, sides: Sequence[str], degrees: int
) -> _ProposedRotation:
    """Propose joints on the whole image, turned clockwise by `degrees`, and name those of the best hand."""
    turned = np.ascontiguousarray(np.rot90(levels, -(degrees // 90)))
    square = _warp_to_square(turned, _whole_square(turned))
    proposals = model.propose(square[None], _CANDIDATE_THRESHOLD)[0]
    outline = map_points(invert(_whole_square(turned)), _outline(turned))
    hand = name_hand(
        proposals.to_candidates(),
        make_joint_template(scheme),
        map_joint_kinds(scheme),
        sides=tuple(sides),
        outline=outline,
    )
    return _ProposedRotation(degrees, turned, hand, square, proposals)


def _detect_whole(model: JointNetwork, proposed: _ProposedRotation, scheme: Scheme, sides: Sequence[str]) -> _Rotation:
    """Detect joints on the whole image of a rotation, and name those of the best hand."""
    found = model.refine(proposed.square[None], [proposed.proposals], _CANDIDATE_THRESHOLD)[0]
    whole = _whole_square(proposed.levels)
    detections = tuple(map_detection(each, whole) for each in found)
    candidates = [each.candidate for each in detections]
    hand = name_hand(
        candidates,
        make_joint_template(scheme),
        map_joint_kinds(scheme),
        sides=tuple(sides),
        outline=_outline(proposed.levels),
    )
    return _Rotation(proposed.degrees, proposed.levels, hand, detections)


def _outline(levels: _Floats) -> npt.NDArray[np.float64]:
    """Return the corners of an image in pixels, in the order of its border."""
    rows, columns = levels.shape
    return np.array([[0.0, 0.0], [columns, 0.0], [columns, rows], [0.0, rows]])


def _whole_square(levels: _Floats) -> npt.NDArray[np.float64]:
    """Return the transform from units of the square that contains a whole image to its pixels."""
    scale = max(levels.shape) / COARSE_SIZE
    return np.array([[scale, 0.0, 0.0], [0.0, scale, 0.0]])


def turn_upright(levels: _Floats, hand: FoundHand) -> tuple[_Floats, dict[str, Detection]]:
    """Return the image on which `hand` was found, upright and with bone bright, and the joints in its pixels.

    `levels` (rows, columns) is the image that was given to `find_hands`.
    """
    rows, columns = levels.shape
    matrix = _rotation_matrix(hand.rotation, rows, columns)
    turned = np.rot90(np.float32(1.0) - levels if hand.is_negative else levels, -(hand.rotation // 90))
    return np.ascontiguousarray(turned), {name: map_detection(each, matrix) for name, each in hand.joints.items()}


def _rotation_matrix(degrees: int, rows: int, columns: int) -> npt.NDArray[np.float64]:
    """Return the transform (2, 3) of points of an image of this size, which is turned clockwise by `degrees`."""
    match degrees % 360:
        case 90:
            return np.array([[0.0, -1.0, rows], [1.0, 0.0, 0.0]])
        case 180:
            return np.array([[-1.0, 0.0, columns], [0.0, -1.0, rows]])
        case 270:
            return np.array([[0.0, 1.0, 0.0], [-1.0, 0.0, columns]])
    return np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def _find_hands_in(
    model: JointNetwork, rotation: _Rotation, scheme: Scheme, sides: Sequence[str], max_hands: int
) -> list[FoundHand]:  # fmt: skip
    """Return the hands in one rotation of an image, in pixels of the turned image."""
    template, kinds, levels = make_joint_template(scheme), map_joint_kinds(scheme), rotation.levels
    remaining, remaining_sides, found = list(rotation.detections), list(sides), list[FoundHand]()
    hand = rotation.hand
    while hand is not None:
        first = FoundHand(hand.side, {joint: remaining[index] for joint, index in hand.joints.items()}, hand.cost)
        second = _detect_upright(model, levels, hand, template, kinds)
        best = _even_out_sizes(model, first if second is None or first.cost < second.cost else second)
        if best.mean_score < _MIN_HAND_SCORE:
            break
        found.append(best)
        remaining_sides.remove(best.side)
        # Both detections of the hand are removed: their boxes may differ, and the next hand must not reuse either.
        used = (*first.joints.values(), *best.joints.values())
        remaining = [d for d in remaining if not any(_overlap(d, joint) for joint in used)]
        if not remaining or not remaining_sides or len(found) == max_hands:
            break
        candidates = [each.candidate for each in remaining]
        hand = name_hand(candidates, template, kinds, sides=remaining_sides, outline=_outline(levels))
    return found


def _even_out_sizes(model: JointNetwork, hand: FoundHand) -> FoundHand:
    """Return `hand` with the sizes of its boxes drawn towards their median, as even as the boxes of the training.

    All boxes together estimate the size of a hand better than one box does. The shrinkage follows from the spread of sizes
    in the training data and the error of one box. MCP boxes are larger by a constant factor, which is taken out first.
    """
    mcp_excess, spread = model.size_statistics
    log_sizes = {j: np.log(d.candidate.size) - mcp_excess * (d.candidate.kind == "MCP") for j, d in hand.joints.items()}
    median = float(np.median(list(log_sizes.values())))
    trust = spread**2 / (spread**2 + _SIZE_ERROR**2)
    joints = {}
    for joint, detection in hand.joints.items():
        size = detection.candidate.size * float(np.exp((trust - 1) * (log_sizes[joint] - median)))
        joints[joint] = replace(detection, candidate=replace(detection.candidate, size=size))
    return replace(hand, joints=joints)


def find_joints(model: JointNetwork, images: npt.NDArray[np.uint8], scheme: Scheme) -> list[dict[str, Detection]]:
    """Return the named joints on images of left hands, by joint, in units of the square of COARSE_SIZE.

    `images` has the shape (N, FINE_SIZE, FINE_SIZE). An image without a hand gives an empty mapping.
    """
    unit = np.array([[COARSE_SIZE / FINE_SIZE, 0.0, 0.0], [0.0, COARSE_SIZE / FINE_SIZE, 0.0]])
    result = []
    for image in images:
        found = find_hands(model, np.asarray(image, np.float32) / np.float32(255), scheme, sides=("L",), rotations=(0,))
        result.append({joint: map_detection(d, unit) for joint, d in found[0].joints.items()} if found else {})
    return result


def _detect_upright(
    model: JointNetwork, levels: _Floats, hand: NamedHand, template: Template, kinds: Mapping[str, str]
) -> FoundHand | None:
    """Return `hand` as detected again on an upright left hand of the size of the training, or None if none is found."""
    middle = np.mean([template[joint][:2] for joint in template], axis=0)
    shift = COARSE_SIZE / 2 - middle[0]
    centred = {joint: (x + shift, y, size) for joint, (x, y, size) in template.items()}
    # Maps the upright square to the template (mirrored for a right hand), and from there to the image.
    flip = -1.0 if hand.side == "R" else 1.0
    to_template = np.array([[flip, 0.0, -flip * shift], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    transform = hand.transform @ to_template
    detections = model.detect(_warp_to_square(levels, transform)[None], _CANDIDATE_THRESHOLD)[0]
    outline = map_points(invert(transform), _outline(levels))
    named = name_hand([d.candidate for d in detections], centred, kinds, sides=("L",), outline=outline)
    if named is None:
        return None
    return FoundHand(
        hand.side,
        {joint: map_detection(detections[index], transform) for joint, index in named.joints.items()},
        named.cost,
    )


def _warp_to_square(levels: _Floats, transform: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Return the model's input: a square of FINE_SIZE pixels.

    `transform` (2, 3) maps units of the square (COARSE_SIZE to a side) to pixels of `levels`. Contrast is stretched between
    percentiles of the part inside the image; everything outside is black.
    """
    fine = transform.copy()
    fine[:, :2] *= COARSE_SIZE / FINE_SIZE
    step = float(np.hypot(fine[0, 0], fine[1, 0]))
    image = levels
    if step > 1.0:  # shrink by area averages first: sampling single pixels would alias fine detail
        size = (max(round(levels.shape[1] / step), 1), max(round(levels.shape[0] / step), 1))
        image = np.asarray(cv2.resize(levels, size, interpolation=cv2.INTER_AREA), np.float32)
        fine[0] *= size[0] / levels.shape[1]
        fine[1] *= size[1] / levels.shape[0]
    # OpenCV puts pixel centres at whole numbers; this package puts them at halves.
    fine[:, 2] += fine[:, :2] @ [0.5, 0.5] - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    square = np.asarray(cv2.warpAffine(image, fine, (FINE_SIZE, FINE_SIZE), flags=flags, borderValue=-1.0), np.float32)
    is_inside = square >= 0  # the border value marks pixels outside the image
    if is_inside.any():
        inside = square[is_inside]
        # Percentiles of about 65 000 pixels are exact enough, and much faster than those of all.
        low, high = np.percentile(inside[:: max(1, len(inside) // 65_536)], [1.0, 99.5])
        square = np.where(is_inside, np.clip((square - low) / max(float(high - low), 1e-3), 0, 1), 0)
    else:
        square = np.zeros_like(square)
    return np.rint(square * 255).astype(np.uint8)


def map_detection(detection: Detection, transform: npt.NDArray[np.float64]) -> Detection:
    """Return `detection` with centre and size mapped by the similarity `transform` (2, 3)."""
    candidate = detection.candidate
    x, y = transform @ [candidate.x, candidate.y, 1.0]
    size = candidate.size * float(np.hypot(transform[0, 0], transform[1, 0]))
    return replace(detection, candidate=replace(candidate, x=float(x), y=float(y), size=size))


def _overlap(one: Detection, other: Detection) -> bool:
    """Return True if two boxes are so close that they show the same joint."""
    a, b = one.candidate, other.candidate
    return max(abs(a.x - b.x), abs(a.y - b.y)) < 0.6 * max(a.size, b.size)
