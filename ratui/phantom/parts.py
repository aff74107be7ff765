"""The pieces that a hand on film is made of, as laid out for one film: long bones, short bones, bridges and skin.

Values alone, in millimetres of the film; how they become pixels is another's business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ratui.phantom.anatomy import Array, Point
from ratui.phantom.lesions import ErosionEllipse

__all__ = ["Bridge", "Layout", "LongBone", "Plate", "ShortBone"]


@dataclass(frozen=True)
class LongBone:
    """A bone from `start` to `end`, the middles of its joint surfaces; `widths` are half widths of base, shaft and head.

    `hollow` is how deep its base is cupped, `lip` how far the cup's rims stand out; `plates` how dense both surfaces are;
    `bulge` (mm, where from −1 to 1) narrows the space of its base at one place. `growth` 0 has no growth plate, 1 a wide
    one, at its base or its head. `texture` is where in the tile of trabeculae it lies, `bow` how far it bends,
    `lean` how much wider one side is, `slant` the slope of its base.
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
    """A dense (or, below 0, a lucent) line along `points`: `strength` in mm of cortex, `width` its standard deviation."""

    points: Array
    strength: float
    width: float


@dataclass(frozen=True)
class ShortBone:
    """A bone by its `outline`, `depth` thick. The outlines of its near and far face lie `tilt` apart.

    `shell` is the thickness of its cortex; with `shaft` (point, axis, length) it grows to `shaft_shell` along that axis.
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
    """Trabecular bone that joins two fused bones from `start` to `end`."""

    start: Array
    end: Array
    half_width: float
    density: float


@dataclass
class Layout:
    """A hand laid out: its pieces, `centres` of the scheme's sites (centre, side of the box) and what its skin follows.

    `fingers` holds by finger the points of its middle line and the radius of its flesh there; `palm` is an outline.
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
        """The five metacarpals, the thumb's first."""
        return [bone for bone in self.long_bones if bone.form == "metacarpal"]
