"""The bones of a left hand as seen from the front, in millimetres: where they lie and how wide they are.

Measured by eye on a film of an adult hand; the thumb is at the right, fingers point up. It draws nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["CARPALS", "FINGERS", "FOREARM", "GAPS", "WIDTHS", "WRIST_SITES", "Array", "Point", "Pose", "draw_pose"]

Array: TypeAlias = npt.NDArray[np.floating[Any]]
Point: TypeAlias = tuple[float, float]

_PER_UNIT = 0.2389  # mm in one unit of the tracing
_WIDTH = 986.0


def _mm(points: list[Point]) -> Array:
    """Points of the tracing (a right hand) as millimetres of a left one."""
    traced = np.asarray(points, np.float64)
    return np.column_stack([(_WIDTH - traced[:, 0]) * _PER_UNIT, traced[:, 1] * _PER_UNIT])


# Base of the metacarpal, then the joint centres outwards, then the tip of the last bone.
FINGERS: dict[int, Array] = {
    1: _mm([(402, 925), (310, 761), (229, 673), (154, 604)]),
    2: _mm([(455, 900), (432, 606), (403, 436), (383, 350), (366, 278)]),
    3: _mm([(513, 897), (531, 609), (530, 423), (530, 302), (528, 222)]),
    4: _mm([(566, 893), (618, 653), (682, 481), (724, 382), (742, 309)]),
    5: _mm([(604, 900), (689, 725), (800, 642), (866, 580), (906, 531)]),
}

# Half widths in mm of each bone outwards: (base, shaft, head).
WIDTHS: dict[int, tuple[tuple[float, float, float], ...]] = {
    1: ((7.6, 4.6, 6.6), (6.6, 3.7, 5.0), (5.3, 2.2, 3.0)),
    2: ((7.4, 3.9, 6.7), (7.3, 3.9, 5.1), (5.7, 3.4, 4.8), (4.7, 1.9, 2.8)),
    3: ((6.8, 4.0, 6.6), (7.4, 4.1, 5.3), (6.1, 3.6, 4.9), (4.8, 2.0, 2.9)),
    4: ((5.6, 3.3, 6.0), (6.7, 3.7, 5.1), (5.6, 3.3, 4.6), (4.6, 1.9, 2.8)),
    5: ((6.2, 3.2, 5.7), (6.1, 3.2, 4.3), (4.9, 2.8, 3.9), (4.0, 1.7, 2.4)),
}

# Width in mm of a healthy joint space: MCP, PIP (and the thumb's IP), DIP.
GAPS = (1.55, 1.1, 0.95)

CARPALS: dict[str, Array] = {
    "trapezium": _mm([(413, 942), (418, 915), (438, 903), (460, 912), (470, 934), (460, 957), (434, 961)]),
    "trapezoid": _mm([(452, 908), (472, 900), (483, 922), (480, 946), (464, 953), (452, 935)]),
    "capitate": _mm([(487, 912), (499, 903), (530, 902), (538, 925), (533, 960), (525, 987), (508, 991), (492, 974)]),
    "hamate": _mm([(547, 906), (575, 900), (597, 918), (586, 945), (562, 980), (541, 985), (538, 960), (543, 930)]),
    "scaphoid": _mm(
        [(442, 967), (458, 962), (480, 956), (489, 976), (511, 998), (515, 1018), (497, 1026), (462, 1002)]
    ),
    "lunate": _mm([(519, 1002), (534, 993), (563, 993), (580, 1010), (575, 1025), (545, 1028), (521, 1022)]),
    "triquetrum": _mm([(570, 968), (590, 941), (611, 942), (622, 962), (612, 990), (590, 1004), (576, 990)]),
    "pisiform": _mm([(604, 975), (618, 966), (633, 976), (634, 993), (620, 1003), (606, 996)]),
}

FOREARM: dict[str, Array] = {
    "radius": _mm(
        [
            (445, 1042),
            (451, 1027),
            (469, 1024),
            (498, 1033),
            (540, 1037),
            (580, 1034),
            (589, 1048),
            (585, 1080),
            (583, 1120),
            (593, 1160),
            (605, 1204),
            (650, 1420),
            (575, 1420),
            (515, 1204),
            (484, 1140),
            (456, 1082),
        ]
    ),
    "ulna": _mm(
        [
            (596, 1047),
            (608, 1032),
            (634, 1018),
            (641, 1004),
            (651, 1018),
            (671, 1030),
            (681, 1060),
            (691, 1110),
            (715, 1160),
            (735, 1204),
            (820, 1420),
            (765, 1420),
            (688, 1190),
            (650, 1112),
            (618, 1080),
            (599, 1066),
        ]
    ),
}

# Where the boxes of the wrist lie and how wide they are: centre and side in mm. The named bones carry the damage.
WRIST_SITES: dict[str, tuple[Point, float, tuple[str, ...]]] = {
    "CMC1": ((137.0, 220.0), 19.0, ("trapezium",)),
    "MULT": ((128.5, 222.0), 20.0, ("trapezium", "trapezoid")),
    "NAV": ((121.0, 236.5), 21.0, ("scaphoid",)),
    "LUN": ((104.5, 241.5), 18.0, ("lunate",)),
    "RAD": ((112.0, 252.0), 36.0, ("radius",)),
    "ULN": ((82.5, 250.0), 25.0, ("ulna",)),
    "CMC3": ((113.0, 215.0), 16.0, ("capitate",)),
    "CMC4": ((100.5, 214.5), 16.0, ("hamate",)),
    "CMC5": ((93.0, 216.5), 16.0, ("hamate",)),
    "MULT-NAV": ((126.0, 229.0), 16.0, ("trapezium", "trapezoid", "scaphoid")),
    "CAP-NAV-LUN": ((113.5, 236.0), 18.0, ("capitate", "scaphoid", "lunate")),
    "RC": ((112.5, 246.0), 30.0, ("scaphoid", "lunate", "radius")),
}


@dataclass(frozen=True)
class Pose:
    """How a hand lies on the film: angles in radians, by finger and by joint outwards; `scale` is the hand's size."""

    spread: tuple[float, ...]
    bend: tuple[tuple[float, ...], ...]
    flexion: tuple[float, ...]
    scale: float
    rotation: float
    shift: Point


def draw_pose(rng: np.random.Generator, scale: float, deformity: float) -> Pose:
    """A pose; `deformity` (0 none) drifts the fingers towards the ulna, as severe disease does."""
    drift = -abs(rng.normal(0.0, 0.16)) * deformity  # towards the little finger, at the left of a left hand
    together = rng.uniform(0.35, 1.12)
    spread = []
    for finger in range(1, 6):
        lie = FINGERS[finger][2 if finger > 1 else 1] - FINGERS[finger][1 if finger > 1 else 0]
        angle = float(np.arctan2(lie[0], -lie[1]))
        home = angle * (together - 1.0) if finger > 1 else rng.normal(-0.05, 0.16)
        spread.append(float(home + rng.normal(0.0, 0.045) + (drift if finger > 1 else 0.0)))
    bend = tuple(tuple(float(v) for v in rng.normal(0.0, 0.05 + 0.05 * deformity, 3)) for _ in range(5))
    flexion = tuple(float(np.cos(abs(v))) for v in rng.normal(0.0, 0.22, 5))
    shift = (float(rng.normal(0.0, 6.0)), float(rng.normal(0.0, 7.0)))
    return Pose(tuple(spread), bend, flexion, scale, float(rng.normal(0.0, 0.11)), shift)
