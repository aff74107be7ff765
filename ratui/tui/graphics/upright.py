"""Turns of the films of a joint by which its proximal bone stands upright on all of them.

Either all films of a joint are turned or none: a single turned film would be harder to compare than none. Each angle comes
from its own film alone, so that nothing depends on the order of the films.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ratui.errors import FilmError
from ratui.imaging import BoneAxis, BoneSearch, Box, Film, Orientation, find_bone_axis

__all__ = ["BoneOnFilm", "Turns", "UprightJoint", "find_turns"]


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
