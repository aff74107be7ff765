"""The bones of a left foot in dorsoplantar view, in mm: positions, shapes and articulations.

Written from general anatomical knowledge of an adult foot of about 245 mm; no number was traced or measured on a film.
The big toe is at the right, the toes point up.
"""

from __future__ import annotations

import numpy as np

from ratui.phantom.anatomy import Array, Point

__all__ = [
    "BOX_SIDES",
    "JOINT_SPACES",
    "LENGTHS",
    "METATARSALS",
    "RAYS",
    "SESAMOIDS",
    "SOLE_BORDERS",
    "TARSALS",
    "TARSAL_DEPTHS",
    "THICKNESS",
    "TOE_FLESH",
    "TOE_TURNS",
    "WIDTHS",
    "joint_name",
]

RAYS = range(1, 6)
"""A ray is a metatarsal with its toe; the big toe is ray 1."""

# For each ray: midpoint of the base of the metatarsal, and its direction in degrees, positive towards the medial side.
METATARSALS: dict[int, tuple[Point, float]] = {
    1: ((120.5, 146.5), 5.0),
    2: ((102.6, 151.6), -1.5),
    3: ((88.8, 148.3), -3.5),
    4: ((77.0, 151.2), -6.5),
    5: ((65.3, 156.2), -10.5),
}

# For each ray, lengths in mm of the bones from proximal to distal, between their joint surfaces.
LENGTHS: dict[int, tuple[float, ...]] = {
    1: (64.5, 30.5, 23.5),
    2: (74.5, 27.0, 13.0, 10.0),
    3: (68.5, 25.0, 10.5, 9.5),
    4: (65.5, 23.0, 9.0, 9.0),
    5: (59.5, 21.0, 7.0, 8.5),
}

# For each ray, half widths in mm of the bones from proximal to distal: (base, shaft, head).
WIDTHS: dict[int, tuple[tuple[float, float, float], ...]] = {
    1: ((10.4, 6.4, 10.4), (9.6, 6.1, 7.9), (8.9, 4.9, 6.4)),
    2: ((8.6, 3.7, 6.2), (6.5, 3.2, 4.5), (4.9, 3.6, 4.3), (4.2, 2.0, 2.9)),
    3: ((8.0, 3.3, 5.9), (6.2, 2.8, 4.2), (4.6, 3.4, 4.0), (4.0, 1.9, 2.8)),
    4: ((7.7, 3.3, 5.8), (6.0, 2.7, 4.0), (4.3, 3.3, 3.8), (3.8, 1.9, 2.7)),
    5: ((8.6, 3.7, 5.9), (6.0, 2.8, 3.9), (4.1, 3.2, 3.6), (3.8, 2.0, 2.8)),
}

# For each ray, usual turn in degrees at each joint from the MTP joint on, positive towards the medial side. The fourth
# and fifth toe curve inwards.
TOE_TURNS: dict[int, tuple[float, ...]] = {
    1: (-11.0, -3.0),
    2: (2.0, 1.0, 1.0),
    3: (1.0, 4.0, 2.0),
    4: (1.5, 7.0, 4.0),
    5: (1.0, 12.0, 6.0),
}

# Width in mm of healthy joint spaces: MTP, PIP (and the IP joint of the big toe), DIP.
JOINT_SPACES = (1.75, 1.2, 0.9)

# Sides in mm of the boxes. Relative to the bones they are as large as those of the hand.
BOX_SIDES: dict[str, float] = {"FIP1": 22.0, "MTP1": 28.0, "MTP2": 19.0, "MTP3": 18.5, "MTP4": 18.5, "MTP5": 18.5}

# Sesamoids under the head of metatarsal 1: position across (medial is positive) and back from the tip of the head, half
# width, half length.
SESAMOIDS: tuple[tuple[float, float, float, float], ...] = ((4.9, 11.5, 4.3, 5.6), (-5.6, 11.0, 3.9, 5.0))


def _outline(*numbers: float) -> Array:
    return np.asarray(numbers, np.float64).reshape(-1, 2)


TARSALS: dict[str, Array] = {
    "medial cuneiform": _outline(108.6, 149.2, 115, 147.9, 121, 147.6, 127, 147.8, 130.8, 148.8, 131.6, 156, 131.4, 163,
                                 131.6, 170.6, 127, 172, 120, 172, 114, 171.2, 108.4, 169.4, 107.6, 160, 107.8, 154),
    "intermediate cuneiform": _outline(94, 153.4, 98, 152.8, 104, 152.6, 109.8, 153.2, 110.2, 158, 110.2, 165,
                                       110, 170.2, 104, 170.8, 97.4, 170.6, 95.4, 164, 94.2, 158),
    "lateral cuneiform": _outline(79.8, 150, 85, 149.2, 91, 149.4, 96, 150.4, 96.8, 158, 97.8, 165, 99, 171,
                                  93, 174, 87.6, 175.4, 83.6, 172.4, 81.4, 165, 80, 157),
    "cuboid": _outline(60, 159.6, 65, 156, 71.6, 152.6, 78, 151.6, 83.4, 152.4, 84, 160, 85, 167, 86.4, 173,
                       89, 179, 89.4, 187.2, 82, 189.2, 74, 189.4, 66, 188.2, 61, 181, 60.2, 174, 58.8, 166),
    "navicular": _outline(90.4, 176, 94.4, 173.4, 99.4, 171.8, 104, 171.8, 109, 171.8, 114, 172.4, 120, 173.2, 127, 173,
                          133, 171.8, 137, 174, 140, 179, 139.6, 185, 136, 189.4, 131, 189.6, 125.6, 186.6, 119, 183.8,
                          112, 182.4, 105, 182.6, 98.6, 184.6, 93.6, 186.4, 90.8, 181.6),
    "talus": _outline(92.6, 190, 96.4, 186.4, 102, 183.9, 108, 182.8, 114, 183.2, 120, 185.2, 126, 188.8, 129.6, 195,
                      129, 203, 126, 211, 124.8, 219, 128, 232, 129, 246, 125, 262, 112, 268, 99, 264, 94, 250,
                      96, 234, 97.4, 220, 96, 210, 93.6, 201, 93.2, 196),
    "calcaneus": _outline(64.6, 188.6, 72, 190, 79, 189.8, 86, 187, 92.4, 189.4, 94.6, 198, 96.2, 208, 98, 220,
                          104, 228, 107, 236, 101, 250, 101, 266, 98, 280, 88, 289, 77, 288, 68, 280, 65, 264,
                          65.6, 246, 66.6, 228, 65, 214, 63.6, 202, 63.8, 194),
    "tibia": _outline(98, 240, 104, 236, 114, 235, 124, 237, 132, 241, 133, 250, 130, 264, 127, 290, 126, 330,
                      101, 330, 99, 290, 96, 264, 95, 250),
    "fibula": _outline(84, 238, 88, 234, 93, 238, 95, 248, 94, 264, 93, 290, 93, 330, 82, 330, 82, 290, 81, 262, 82, 248),
}  # fmt: skip

# Thickness in the direction of the X-rays in mm.
TARSAL_DEPTHS: dict[str, float] = {
    "medial cuneiform": 24.0, "intermediate cuneiform": 19.0, "lateral cuneiform": 20.0, "cuboid": 22.0,
    "navicular": 22.0, "talus": 30.0, "calcaneus": 34.0, "tibia": 30.0, "fibula": 14.0,
}  # fmt: skip

TOE_FLESH: dict[int, tuple[float, ...]] = {
    1: (15.0, 13.5, 12.6, 10.0),
    2: (9.6, 8.3, 8.4, 8.2, 7.2),
    3: (9.4, 8.0, 8.1, 7.9, 7.0),
    4: (9.2, 7.9, 8.0, 7.8, 6.9),
    5: (9.4, 8.2, 8.4, 8.2, 7.2),
}
"""Radius in mm of each toe at its root, at the middle of the proximal phalanx, at its joints, and at its tip."""

SOLE_BORDERS: tuple[tuple[Point, ...], tuple[Point, ...]] = (
    ((50.5, 122.0), (48.5, 142.0), (49.0, 160.0), (51.0, 180.0), (53.5, 205.0), (54.0, 235.0), (55.0, 270.0),
     (64.0, 296.0), (66.0, 340.0)),
    ((138.0, 340.0), (140.0, 296.0), (146.0, 250.0), (148.0, 226.0), (147.5, 204.0), (147.0, 186.0), (142.5, 166.0),
     (137.5, 145.0), (135.5, 122.0)),
)  # fmt: skip
"""Lateral border of the foot from the fifth metatarsal backwards, and medial border forwards to the first, in mm."""

THICKNESS: tuple[tuple[float, ...], tuple[float, ...]] = (
    (30.0, 55.0, 70.0, 84.0, 105.0, 130.0, 155.0, 180.0, 205.0, 235.0, 270.0, 340.0),
    (14.0, 17.0, 21.0, 27.0, 30.0, 36.0, 43.0, 50.0, 58.0, 68.0, 76.0, 76.0),
)
"""Thickness of the foot in mm (second row) at positions along it, from the toes backwards, in mm (first row)."""


def joint_name(ray: int, bone: int) -> str:
    """Return the joint distal to `bone` (0 is the metatarsal) of `ray`: the big toe has MTP1 and FIP1."""
    if bone == 0:
        return f"MTP{ray}"
    return f"FIP{ray}" if ray == 1 else f"toe {ray}, joint {bone}"
