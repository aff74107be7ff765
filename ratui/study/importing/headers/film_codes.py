"""Codes and defined terms of DICOM elements, and the part, side or projection that each one states.

docs/intake.md lists the same codes. They are from PS3.16 CID 4009, 4031, 4010, 4012 and 244, and from PS3.3 C.8.1.1.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CODES", "LATERALITIES", "SCHEMES", "VIEW_POSITIONS"]

SCHEMES = ("SCT", "SRT", "SNM3", "99SDM", "RADLEX")
"""Coding schemes whose values are in `CODES`."""

CODES: Mapping[str, str] = {
    "L": "7771000, G-A101, RID5824",
    "R": "24028007, G-A100, RID5825",
    "B": "51440002, G-A102",
    "hand": "85562004, T-D8700",
    "L hand": "85151006",
    "R hand": "78791008",
    "wrist": "74670003, T-15460, 8205005, T-D8600",
    "foot": "56459004, T-D9700, 419176008",
    "L foot": "22335008",
    "R foot": "7769000",
    "finger": "7569003, T-D8800, 76505004, T-D8810",
    "toe": "29707007, T-D9800",
    "metacarpus": "36455000, T-12540",
    "ankle": "70258002, T-15750",
    "heel": "80144004, T-12770",
    "tarsus": "27949001, T-15770",
    "forearm": "14975008, T-D8500",
    "elbow": "16953009, T-15430",
    "upper arm": "85050009, T-12410, 40983000, T-D8200",
    "shoulder": "16982005, T-D2220, 51299004, T-12310, 79601000, T-12280, 85856004, T-15420",
    "lower leg": "30021000, T-D9400, 87342007, T-12750",
    "knee": "72696002, T-D9200, 64234005, T-12730",
    "thigh": "68367000, T-D9100, 71341001, T-12710",
    "hip": "29836001, T-D2500, 24136001, T-15710",
    "pelvis": "816092008, T-D6000, 39723000, T-15680",
    "spine": "421060004, T-D04FF, 122494005, T-11501, 122495006, T-11502, 122496007, T-11503, 54735007, T-11AD0",
    "chest": "816094009, T-D3000, 113197003, T-11300, 56873002, T-11210",
    "abdomen": "818981001, T-D4000",
    "head": "89546000, T-11100, 69536005, T-D1100, 661005, T-D1213, 91609006, T-11180",
    "breast": "76752008, T-04000",
    "PA": "272479007, R-40888, R-10214, 399071006, R-102C3",
    "AP": "399348003, R-10206, 399335002, R-102C4",
    "frontal": "399033003, R-10202",
    "lateral": (
        "399067008, R-102CD, 399198007, R-10232, 399173006, R-10236, 399352003, R-10228, 399260004, R-10224, "
        "30730003, G-A145"
    ),
    "oblique": (
        "399182000, R-102C1, 399038007, R-10210, 399059000, R-10216, 399099002, R-10230, 399135007, R-10220, "
        "260427002, R-40783, 399236003, R-10234, 399368009, R-10226, 399356000, R-40985, 399312000, R-10208, "
        "399184004, R-10238, 260426006, R-40782, 399160007, R-10204, 399006002, R-10212"
    ),
    "Norgaard": "399157000, R-1029A",
    "Brewerton": "260492003, R-40809",
    "tangential": (
        "399110001, R-102C2, 399061009, R-10241, 399004004, R-10246, 399132005, R-10252, 399325008, R-10254, "
        "399082003, R-10277, 260493008, R-4080A"
    ),
}
"""Code values by meaning, with commas between."""

LATERALITIES: Mapping[str, str] = {"L": "L", "R": "R", "B": "B"}
"""Values of Image Laterality, Frame Laterality and Laterality; U (unpaired) states nothing."""

VIEW_POSITIONS: Mapping[str, str] = {
    "PA": "PA",
    "AP": "AP",
    "lateral": "LL, RL, LLD, RLD, ML, LM, LLAT, RLAT",
    "oblique": "LLO, RLO, LPO, RPO, LAO, RAO, MLO, LMO, PAO, APO, MO, LO, IO, EO",
    "tangential": "AX, TAN, TANG",
    "nothing": "NONE, UNKNOWN, UNDEFINED, UNSPECIFIED, OTHER, ANY, NA, N/A",
}
"""Values of View Position by meaning; any other value is read as words."""
