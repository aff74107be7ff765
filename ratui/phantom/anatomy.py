"""The bones of a left hand in frontal view, in mm: positions, shapes and articulations.

Measured by eye on a film of an adult hand. The thumb is at the right, the fingers point up.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "ARTICULATIONS",
    "CARPALS",
    "FINGERS",
    "FOREARM",
    "HAMATE_HOOK",
    "JOINT_SPACES",
    "SCORED_BONES",
    "THICKNESSES",
    "WIDTHS",
    "WRIST_SITES",
    "WRIST_SPACE",
    "Array",
    "Flags",
    "Indices",
    "Mask",
    "Point",
    "joint_name",
    "smooth",
]  # fmt: skip

Array: TypeAlias = npt.NDArray[np.floating[Any]]
Flags: TypeAlias = npt.NDArray[np.bool_]
Indices: TypeAlias = npt.NDArray[np.intp]
Mask: TypeAlias = npt.NDArray[np.uint8]
Point: TypeAlias = tuple[float, float]

_PER_UNIT = 0.2389  # mm per unit of the tracing of the fingers
_WIDTH = 986.0
_PER_PIXEL = 0.115  # mm per pixel of the film on which the wrist was traced
_COLUMNS = 2048.0


def _mm(points: list[Point]) -> Array:
    """Convert points of the tracing (a right hand) to mm of a left hand."""
    traced = np.asarray(points, np.float64)
    return np.column_stack([(_WIDTH - traced[:, 0]) * _PER_UNIT, traced[:, 1] * _PER_UNIT])


def _px(*numbers: int) -> Array:
    """Convert points x, y, x, y, … of the film (a right hand) to mm of a left hand."""
    traced = np.asarray(numbers, np.float64).reshape(-1, 2)
    return np.column_stack([(_COLUMNS - traced[:, 0]) * _PER_PIXEL, traced[:, 1] * _PER_PIXEL])


# For each finger: base of the metacarpal, centres of the joints from proximal to distal, tip of the last bone.
FINGERS: dict[int, Array] = {
    1: _mm([(402, 925), (310, 761), (229, 673), (154, 604)]),
    2: _mm([(455, 899), (432, 606), (403, 436), (383, 350), (366, 278)]),
    3: _mm([(513, 895), (531, 609), (530, 423), (530, 302), (528, 222)]),
    4: _mm([(556, 892), (618, 653), (682, 481), (724, 382), (742, 309)]),
    5: _mm([(592, 904), (689, 725), (800, 642), (866, 580), (906, 531)]),
}

# For each finger, half widths in mm of the bones from proximal to distal: (base, shaft, head).
WIDTHS: dict[int, tuple[tuple[float, float, float], ...]] = {
    1: ((8.2, 4.8, 7.0), (6.8, 4.0, 5.8), (5.4, 2.7, 3.4)),
    2: ((7.2, 4.3, 7.4), (7.8, 4.3, 5.4), (6.0, 3.4, 4.9), (4.9, 2.4, 3.3)),
    3: ((6.2, 4.4, 7.6), (7.8, 4.7, 5.9), (6.7, 3.7, 5.0), (5.0, 2.6, 3.4)),
    4: ((5.2, 3.7, 6.3), (7.1, 4.3, 5.6), (6.1, 3.5, 4.7), (4.8, 2.4, 3.3)),
    5: ((6.6, 3.6, 5.9), (6.6, 3.6, 4.7), (4.9, 2.9, 3.8), (4.1, 2.0, 2.8)),
}

# Width in mm of healthy joint spaces: MCP, PIP (and the thumb's IP), DIP.
JOINT_SPACES = (1.65, 1.15, 0.95)

CARPALS: dict[str, Array] = {
    "trapezium": _px(866, 1879, 879, 1858, 897, 1850, 914, 1856, 918, 1875, 908, 1900, 921, 1925, 946, 1950,
                     933, 1967, 916, 1990, 908, 1997, 883, 1995, 862, 1984, 853, 1967, 853, 1946, 868, 1934,
                     874, 1917, 867, 1900),
    "trapezoid": _px(925, 1883, 950, 1879, 971, 1881, 986, 1889, 993, 1904, 995, 1929, 994, 1946, 979, 1953,
                     958, 1953, 937, 1948, 912, 1942, 902, 1929, 902, 1906, 910, 1892),
    "capitate": _px(1035, 1883, 1042, 1873, 1063, 1871, 1089, 1871, 1100, 1881, 1112, 1889, 1119, 1908, 1119, 1938,
                    1114, 1963, 1108, 1988, 1102, 2018, 1095, 2043, 1076, 2055, 1055, 2059, 1034, 2051, 1021, 2034,
                    1014, 2009, 1010, 1984, 1005, 1959, 1003, 1929, 1004, 1908, 1017, 1900, 1030, 1892),
    "hamate": _px(1129, 1871, 1143, 1877, 1164, 1875, 1173, 1860, 1185, 1858, 1202, 1875, 1219, 1896, 1240, 1923,
                  1223, 1930, 1211, 1942, 1200, 1959, 1192, 1984, 1183, 2009, 1173, 2026, 1156, 2039, 1139, 2046,
                  1122, 2041, 1113, 2030, 1114, 2005, 1119, 1967, 1122, 1929, 1124, 1892),
    "scaphoid": _px(1000, 1971, 988, 1971, 967, 1978, 946, 1986, 927, 2001, 914, 2018, 911, 2037, 921, 2049,
                    937, 2055, 939, 2072, 958, 2093, 979, 2112, 1005, 2127, 1034, 2133, 1059, 2134, 1068, 2125,
                    1071, 2106, 1066, 2089, 1049, 2084, 1030, 2072, 1017, 2055, 1011, 2034, 1000, 2013, 1001, 1992),
    "lunate": _px(1089, 2062, 1105, 2056, 1131, 2055, 1164, 2055, 1181, 2068, 1198, 2089, 1206, 2110, 1200, 2125,
                  1181, 2132, 1152, 2136, 1129, 2136, 1110, 2129, 1089, 2116, 1074, 2102, 1072, 2081),
    "triquetrum": _px(1248, 1937, 1265, 1942, 1282, 1955, 1289, 1974, 1282, 1992, 1267, 2003, 1261, 2039, 1259, 2072,
                      1248, 2091, 1229, 2097, 1215, 2089, 1200, 2068, 1181, 2041, 1187, 2022, 1198, 1997, 1204, 1971,
                      1219, 1950, 1236, 1940),
    "pisiform": _px(1253, 2009, 1274, 2005, 1299, 2002, 1313, 2018, 1321, 2041, 1320, 2064, 1307, 2085, 1295, 2090,
                    1274, 2085, 1259, 2068, 1248, 2039),
}  # fmt: skip

FOREARM: dict[str, Array] = {
    "radius": _px(920, 2130, 925, 2115, 942, 2103, 963, 2108, 984, 2123, 1000, 2136, 1030, 2144, 1055, 2148,
                  1089, 2149, 1131, 2149, 1181, 2147, 1204, 2147, 1213, 2166, 1223, 2183, 1220, 2238, 1224, 2301,
                  1235, 2364, 1251, 2427, 1271, 2498, 1470, 3060, 1720, 3700, 1560, 3700, 1330, 3060, 1109, 2498,
                  1070, 2443, 1039, 2396, 1003, 2348, 968, 2301, 948, 2254, 936, 2215, 920, 2175),
    "ulna": _px(1234, 2159, 1243, 2136, 1283, 2120, 1310, 2114, 1324, 2119, 1322, 2089, 1346, 2077, 1365, 2093,
                1385, 2116, 1397, 2144, 1405, 2175, 1417, 2222, 1432, 2285, 1456, 2348, 1487, 2404, 1519, 2459,
                1539, 2498, 1795, 3060, 2080, 3700, 1960, 3700, 1690, 3060, 1452, 2498, 1432, 2467, 1409, 2427,
                1385, 2380, 1361, 2333, 1330, 2293, 1291, 2254, 1251, 2226, 1235, 2207),
}  # fmt: skip

# Thickness of the short bones and of the forearm's bones in the direction of the X-rays, in mm.
THICKNESSES: dict[str, float] = {
    "trapezium": 11.0, "trapezoid": 10.5, "capitate": 13.0, "hamate": 11.5, "scaphoid": 11.5, "lunate": 12.5,
    "triquetrum": 10.0, "pisiform": 6.5, "radius": 16.0, "ulna": 11.5,
}  # fmt: skip

HAMATE_HOOK: tuple[Point, float, float] = ((97.9, 220.6), 2.5, 3.2)
"""Hook of the hamate, which appears as a ring in this view: centre, half width and half height in mm."""

WRIST_SPACE = 1.75
"""Width in mm of a healthy space between two bones of the wrist."""

# Articulations of the wrist: two bones, the joint whose JSN narrows the space (None if it is not scored), and the width
# relative to `WRIST_SPACE`. ``mc3`` is the base of metacarpal 3.
ARTICULATIONS: tuple[tuple[str, str, str | None, float], ...] = (
    ("capitate", "mc3", "CMC3", 0.80),
    ("hamate", "mc4", "CMC4", 0.75),
    ("hamate", "mc5", "CMC5", 0.75),
    ("trapezium", "scaphoid", "MULT-NAV", 1.0),
    ("trapezoid", "scaphoid", "MULT-NAV", 1.0),
    ("capitate", "scaphoid", "CAP-NAV-LUN", 0.9),
    ("capitate", "lunate", "CAP-NAV-LUN", 0.85),
    ("scaphoid", "radius", "RC", 1.05),
    ("lunate", "radius", "RC", 1.05),
    ("scaphoid", "lunate", None, 0.85),
    ("trapezium", "mc1", None, 0.85),
    ("trapezoid", "mc2", None, 0.7),
    ("trapezoid", "capitate", None, 0.6),
    ("capitate", "hamate", None, 0.75),
    ("hamate", "triquetrum", None, 0.9),
    ("lunate", "triquetrum", None, 0.9),
    ("radius", "ulna", None, 1.0),
)

# Boxes of the wrist: centre and side in mm, and the bones with which they move.
WRIST_SITES: dict[str, tuple[Point, float, tuple[str, ...]]] = {
    "CMC1": ((137.0, 220.0), 19.0, ("mc1", "trapezium")),
    "MULT": ((128.5, 222.0), 20.0, ("trapezium", "trapezoid")),
    "NAV": ((121.5, 236.5), 21.0, ("scaphoid",)),
    "LUN": ((104.5, 241.0), 18.0, ("lunate",)),
    "RAD": ((112.0, 252.0), 36.0, ("radius",)),
    "ULN": ((82.5, 250.0), 25.0, ("ulna",)),
    "CMC3": ((113.0, 215.0), 16.0, ("capitate", "mc3")),
    "CMC4": ((102.5, 214.8), 16.0, ("hamate", "mc4")),
    "CMC5": ((94.3, 217.2), 16.0, ("hamate", "mc5")),
    "MULT-NAV": ((126.5, 228.0), 16.0, ("trapezium", "trapezoid", "scaphoid")),
    "CAP-NAV-LUN": ((113.5, 236.0), 18.0, ("capitate", "scaphoid", "lunate")),
    "RC": ((112.5, 246.0), 30.0, ("scaphoid", "lunate", "radius")),
}

# Bones that show the erosions of a site of the wrist.
SCORED_BONES: dict[str, tuple[str, ...]] = {
    "MULT": ("trapezium", "trapezoid"),
    "NAV": ("scaphoid",),
    "LUN": ("lunate",),
    "RAD": ("radius",),
    "ULN": ("ulna",),
}


def joint_name(finger: int, bone: int) -> str:
    """Return the joint distal to `bone` (0 is the metacarpal) of `finger`; the thumb has MCP1 and IP1."""
    if bone == 0:
        return f"MCP{finger}"
    return ("IP1" if finger == 1 else f"PIP{finger}") if bone == 1 else f"DIP{finger}"


def smooth(outline: Array, rounds: int = 2) -> Array:
    """Return a closed outline with its corners cut by Chaikin's algorithm; each round doubles the number of points."""
    points = outline
    for _ in range(rounds):
        following = np.roll(points, -1, axis=0)
        points = np.stack([0.75 * points + 0.25 * following, 0.25 * points + 0.75 * following], 1).reshape(-1, 2)
    return points
