"""The parts of a hand on a film: long bones, short bones, bridges, skin.

All values are in millimetres of the film.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ratui.phantom.anatomy import Array, Point
from ratui.phantom.lesions import ErosionEllipse

__all__ = ["Bridge", "Layout", "LongBone", "Plate", "ShortBone"]


@dataclass(frozen=True)
class LongBone:
    """A bone from `start` to `end`, the centres of its joint surfaces.

    `widths` are half widths of base, shaft and head. `hollow` is the depth of the cup of the base, `lip` the height of its
    rims, `plates` the density of both surfaces. `bulge` (mm, at a position from −1 to 1) narrows the joint space at one
    place. `growth` is the growth plate at base or head: 0 for none, 1 for a wide one. `texture` is the place in the tile
    of trabeculae, `bow` the bend, `lean` the asymmetry of the sides, `slant` the slope of the base.
    """

    start: Array
    end: Array
    widths: tuple[float, float, float]
    form: Literal["metacarpal", "phalanx", "tip"]
    scale: float
    cortex: float
    density: float
    hollow: float = 0.9
    lip: float = 0.6
    plates: tuple[float, float] = (1.0, 1.0)
    bulge: tuple[float, float] = (0.0, 0.0)
    growth: float = 0.0
    growth_at_head: bool = False
    texture: Point = (0.0, 0.0)
    bow: float = 0.0
    lean: float = 0.0
    slant: float = 0.0
    erosions: tuple[ErosionEllipse, ...] = ()


@dataclass(frozen=True)
class Plate:
    """A line along `points`, dense or (below 0) lucent: `strength` in mm of cortex, `width` its standard deviation."""

    points: Array
    strength: float
    width: float


@dataclass(frozen=True)
class ShortBone:
    """A bone given by its `outline`, `depth` thick. `tilt` separates the outlines of its two faces.

    `shell` is the thickness of its cortex. With `shaft` (point, axis, length) it grows to `shaft_shell` along that axis.
    """

    outline: Array
    depth: float
    shell: float
    density: float
    tilt: Point
    angle: float
    texture: Point
    plates: tuple[Plate, ...] = ()
    erosions: tuple[ErosionEllipse, ...] = ()
    shaft: tuple[Array, Array, float] | None = None
    shaft_shell: float = 0.0


@dataclass(frozen=True)
class Bridge:
    """Trabecular bone that connects two fused bones from `start` to `end`."""

    start: Array
    end: Array
    half_width: float
    density: float


@dataclass
class Layout:
    """A hand as parts, with `centres` of the sites (centre, side of the box) and the course of the skin.

    `fingers` holds for each finger the points of its axis and the radius of its soft tissue; `palm` is an outline.
    """

    long_bones: list[LongBone] = field(default_factory=list)
    short_bones: list[ShortBone] = field(default_factory=list)
    bridges: list[Bridge] = field(default_factory=list)
    centres: dict[str, tuple[Array, float]] = field(default_factory=dict)
    fingers: dict[int, tuple[Array, Array]] = field(default_factory=dict)
    palm: Array | None = None
    thenar: tuple[Array, Array] | None = None

    @property
    def metacarpals(self) -> list[LongBone]:
        """The five metacarpals, that of the thumb first."""
        return [bone for bone in self.long_bones if bone.form == "metacarpal"]
