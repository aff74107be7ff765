"""The proximal bone of a finger or toe joint: its expected direction on a film, and the turns by which it stands upright.

The direction comes from the boxes of the joints around it. The joints are known by the ids of the shipped schemes, such as
``MCP2``, ``PIP2``, ``IP1``, ``MTP1`` and ``FIP1``. A joint of another name, or of the wrist, has no bone to stand upright.

Either all films of a joint are turned or none: a single turned film would be harder to compare than none. Each angle comes
from its own film alone, so that nothing depends on the order of the films.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ratui.errors import FilmError
from ratui.imaging import BoneAxis, BoneSearch, Box, Film, Orientation, find_bone_axis, fit_similarity

__all__ = ["BoneOnFilm", "Turns", "UprightJoint", "expect_bone", "find_turns"]

_Point = tuple[float, float]

_HEADS: dict[str, _Point] = {
    "MCP1": (161.5, 181.8), "MCP2": (132.3, 144.8), "MCP3": (108.7, 145.5), "MCP4": (87.9, 156.0), "MCP5": (71.0, 173.2),
    "MTP1": (126.1, 82.2), "MTP2": (100.6, 77.1), "MTP3": (84.6, 79.9), "MTP4": (69.6, 86.1), "MTP5": (54.5, 97.7),
}  # fmt: skip
_BASES: dict[str, _Point] = {
    "MCP1": (139.5, 221.0), "MCP2": (126.9, 214.8), "MCP3": (113.0, 213.8), "MCP4": (102.7, 213.1), "MCP5": (94.1, 216.0),
    "MTP1": (120.5, 146.5), "MTP2": (102.6, 151.6), "MTP3": (88.8, 148.3), "MTP4": (77.0, 151.2), "MTP5": (65.3, 156.2),
}  # fmt: skip
"""Heads and bases of the metacarpals and metatarsals of the left hand and foot in mm, thumb and big toe at the right. Those
of the hand were measured by eye on a film of an adult, those of the foot come from general anatomical knowledge."""
_NEIGHBOURS = {"MCP": ("MCP2", "MCP3", "MCP4", "MCP5"), "MTP": ("MTP1", "MTP2", "MTP3", "MTP4", "MTP5")}
"""Joints that move little against each other. The thumb moves by itself."""
_PROXIMAL = {"IP1": "MCP1", "PIP2": "MCP2", "PIP3": "MCP3", "PIP4": "MCP4", "PIP5": "MCP5", "FIP1": "MTP1"}
_DISTAL = {proximal: joint for joint, proximal in _PROXIMAL.items()}

_METACARPAL = ((0.55, 1.75), (0.13, 0.34))
_METATARSAL = ((0.5, 1.9), (0.10, 0.34))
_PHALANX = ((0.45, 1.35), (0.16, 0.42))
_REACH_BETWEEN, _REACH_BASE, _REACH_FINGER, _REACH_UNKNOWN = 12.0, 20.0, 30.0, 40.0
"""Largest differences of the axis, in degrees, from the line between two joints, from the line to a base that the other
joints tell, from the finger's own line, and from the upright of the film."""


@dataclass(frozen=True)
class BoneOnFilm:
    """The search for the proximal bone of a joint on one film."""

    film: str
    """ID of the film."""
    orientation: Orientation
    """Orientation of the displayed film, in whose pixels `box` is."""
    box: Box
    """The joint's box."""
    search: BoneSearch
    """Expected direction and size of the bone."""


UprightJoint: TypeAlias = tuple[BoneOnFilm, ...]
"""The bone of a joint on all films that show it; empty if the films are shown as they are."""


@dataclass(frozen=True)
class Turns:
    """The turns of the films of a joint.

    Attributes
    ----------
    angles
        By film, the angle in degrees by which its picture is turned clockwise; empty if no film is turned.
    unclear
        The films on which the axis of the bone was not found, in the order of the places. If there is any, no film is
        turned.
    is_final
        False if a film could not be read, so that another attempt may find its axis.
    """

    angles: Mapping[str, float] = field(default_factory=dict, hash=False)
    unclear: tuple[str, ...] = ()
    is_final: bool = True


def expect_bone(joint: str, side: str, boxes: Mapping[str, Box], aspect: float = 1.0) -> BoneSearch | None:
    """Return where the proximal bone of a joint is expected.

    Parameters
    ----------
    joint
        Id of the joint.
    side
        ``L`` or ``R``.
    boxes
        Boxes of the joints of this side on the displayed film by joint id, with that of `joint`; in film pixels.
    aspect
        Height of a film pixel divided by its width.

    Returns
    -------
    BoneSearch or None
        None for a joint that has no proximal long bone, such as those of the wrist, or that has no box.
    """
    places = {name: np.array([box.centre[0], box.centre[1] * aspect]) for name, box in boxes.items()}
    if joint not in places:
        return None
    if joint in _PROXIMAL:
        along, half_widths = _PHALANX
        before = places.get(_PROXIMAL[joint])
        if before is None:
            return BoneSearch(0.0, _REACH_UNKNOWN, along, half_widths)
        # Not beyond the middle of the joint before it.
        length = float(np.hypot(*(places[joint] - before))) / max(boxes[joint].width, 1e-6)
        along = (along[0], min(along[1], max(0.85 * length, along[0] + 0.4)))
        return BoneSearch(_angle(before, places[joint]), _REACH_BETWEEN, along, half_widths)
    if joint not in _HEADS:
        return None
    along, half_widths = _METACARPAL if joint.startswith("MCP") else _METATARSAL
    base = _find_base(joint, side, places)
    if base is not None:
        return BoneSearch(_angle(base, places[joint]), _REACH_BASE, along, half_widths)
    after = places.get(_DISTAL.get(joint, ""))
    if after is not None:
        return BoneSearch(_angle(places[joint], after), _REACH_FINGER, along, half_widths)
    return BoneSearch(0.0, _REACH_UNKNOWN, along, half_widths)


def _find_base(joint: str, side: str, places: Mapping[str, npt.NDArray[np.float64]]) -> npt.NDArray[np.float64] | None:
    """Return the base of the bone from the positions of the neighbouring joints; None with fewer than two."""
    known = [name for name in _NEIGHBOURS[joint[:3]] if name in places]
    if len(known) < 2:
        return None
    mirror = np.array([-1.0 if side == "R" else 1.0, 1.0])
    heads = np.array([_HEADS[name] for name in known]) * mirror
    matrix = fit_similarity(heads, np.array([places[name] for name in known]))
    return np.asarray(matrix[:, :2] @ (np.array(_BASES[joint]) * mirror) + matrix[:, 2])


def _angle(base: npt.NDArray[np.float64], head: npt.NDArray[np.float64]) -> float:
    """Return the direction from `base` to `head` in degrees, clockwise from up."""
    x, y = head - base
    return float(np.degrees(np.arctan2(x, -y)))


def find_turns(joint: UprightJoint, load: Callable[[str, Orientation], Film]) -> Turns:
    """Return the turns of the films of `joint`; `load` returns a film and may raise FilmError."""
    angles: dict[str, float] = {}
    is_final = True
    for bone in joint:
        try:
            film = load(bone.film, bone.orientation)
        except FilmError:  # the screen says so when it shows this film
            is_final = False
            continue
        found = find_bone_axis(film, bone.box, bone.search)
        if isinstance(found, BoneAxis):
            angles[bone.film] = -found.angle
    unclear = tuple(bone.film for bone in joint if bone.film not in angles)
    return Turns({} if unclear else angles, unclear, is_final)
