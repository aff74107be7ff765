"""The parts of a hand or foot as laid out for one film: long bones, short bones, bridges and skin.

Plain values in mm of the film; other modules draw them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ratui.phantom.anatomy import Array, Point
from ratui.phantom.detail import PLAIN, BoneDetail
from ratui.phantom.lesions import ErosionEllipse

__all__ = ["Bridge", "Layout", "LongBone", "Plate", "ShortBone", "Thickness"]


@dataclass(frozen=True)
class LongBone:
    """A metacarpal, metatarsal or phalanx.

    Attributes
    ----------
    start, end
        Midpoints of its joint surfaces, mm.
    widths
        Half widths of base, shaft and head, mm.
    form
        Shape of the profile; that of a metatarsal is ``metacarpal``.
    scale
        Size of the hand or foot relative to the reference.
    cortex, density
        Thickness of the cortex relative to the usual, and density of trabecular bone.
    hollow, lip
        Depth of the cup of the base, and height of its rims, mm.
    plates
        Density of the joint surfaces of base and head.
    bulge
        Local narrowing of the space at the base: depth in mm and position from −1 to 1.
    growth, growth_at_head
        Width of the growth plate, 0 for none, and True if it is at the head.
    texture
        Position in the tile of trabeculae, mm.
    bow, lean, slant
        Bend of the axis in mm, relative difference of the two sides' widths, and slope of the base.
    head_radius
        Radius of curvature of the head of a metacarpal or metatarsal, relative to its half width; larger is flatter.
    thickness
        Mineral on the path of the X-rays relative to a bone that lies flat on the film.
    erosions
        Erosions of the bone.
    detail
        Fine structure.
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
    head_radius: float = 0.82
    thickness: float = 1.0
    erosions: tuple[ErosionEllipse, ...] = ()
    detail: BoneDetail = PLAIN


@dataclass(frozen=True)
class Plate:
    """A dense line along `points`, or a lucent line if `strength` is negative.

    `strength` is in mm of cortical bone, `width` is the standard deviation in mm.
    """

    points: Array
    strength: float
    width: float


@dataclass(frozen=True)
class ShortBone:
    """A bone with a closed `outline` (mm) and a thickness of `depth` mm.

    `tilt` (mm) is the offset between the outlines of its near and far face. `shell` is the thickness of its cortex;
    with `shaft` (point, axis, length) it grows to `shaft_shell` along that axis. `angle` is the direction of its
    trabeculae, in radians, and `grain` their contrast relative to the usual: low in thick bones, where they overlap.
    `mesh` is the share of isotropic trabeculae, and `mottle` the relative variation of the density over some mm.
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
    grain: float = 1.0
    mesh: float = 0.0
    mottle: float = 0.0


@dataclass(frozen=True)
class Bridge:
    """Trabecular bone that joins two fused bones from `start` to `end`, mm."""

    start: Array
    end: Array
    half_width: float
    density: float


@dataclass(frozen=True)
class Thickness:
    """Thickness of soft tissue that changes along an axis.

    `origin` is a point in mm and `axis` a unit vector; `thick` is the thickness in mm at the positions `along`, in mm from
    `origin`.
    """

    origin: Array
    axis: Array
    along: Array
    thick: Array


@dataclass
class Layout:
    """A hand or foot as laid out for one film.

    Attributes
    ----------
    long_bones, short_bones, bridges
        The bones.
    centres
        Centre and side (mm) of the box of each site, by site key.
    landmarks
        Other places in mm by name, such as ``L.MT1 base``, the middle of the base of the left first metatarsal.
    axes
        By site key of a finger or toe joint: the middles of base and head of the bone on its proximal side, mm.
    fingers
        By finger or toe: points of its midline, and radii of its soft tissue there, mm.
    palm
        Outline of palm and forearm, or of the foot behind the toes, mm.
    thenar
        Centre and radii of the ball of the thumb, mm; None in a foot.
    thickness
        Thickness of the foot behind the toes; None in a hand.
    """

    long_bones: list[LongBone] = field(default_factory=list)
    short_bones: list[ShortBone] = field(default_factory=list)
    bridges: list[Bridge] = field(default_factory=list)
    centres: dict[str, tuple[Array, float]] = field(default_factory=dict)
    landmarks: dict[str, Array] = field(default_factory=dict)
    axes: dict[str, tuple[Array, Array]] = field(default_factory=dict)
    fingers: dict[int, tuple[Array, Array]] = field(default_factory=dict)
    palm: Array | None = None
    thenar: tuple[Array, Array] | None = None
    thickness: Thickness | None = None

    @property
    def metacarpals(self) -> list[LongBone]:
        """The five metacarpals or metatarsals, beginning with that of the thumb or of the big toe."""
        return [bone for bone in self.long_bones if bone.form == "metacarpal"]
