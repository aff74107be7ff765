"""Films of one finger joint with an erosion of known size, or with a joint space that is narrowed by a known share.

The anatomy comes from the patient's seed, the placement on the film and the noise from the generator that is passed in. Two
films of a patient show the same joint; they differ only by what was asked for, by a small shift and by the noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ratui.imaging import Box
from ratui.phantom.anatomy import FINGERS, JOINT_SPACES, Array
from ratui.phantom.body import draw_body, make_persistent_rng
from ratui.phantom.bones import Canvas, add_long_bone, add_short_bone
from ratui.phantom.exposure import MachineSettings, expose
from ratui.phantom.film import PhantomFilm
from ratui.phantom.hand import Hand
from ratui.phantom.lesions import ErosionEllipse, JointSpace
from ratui.phantom.parts import Layout, LongBone
from ratui.phantom.pose import draw_pose
from ratui.phantom.skeleton import build_layout
from ratui.phantom.tissue import draw_soft_tissue
from ratui.phantom.truth import PhantomPatient
from ratui.scheme import Scheme, Site

__all__ = ["JointErosion", "compute_joint_space", "render_joint", "simulate_healthy_patient"]

_SIDE_MM = 58.0
"""Width and height of the film: the part that the screens show, and the shafts beside it."""
_SHIFT_MM = 0.4
"""Largest shift of the joint between two films."""
_EDGE_MM = 0.15
"""Softness of the edge of an erosion."""
_OUTSIDE = 0.3
"""Part of the diameter of an erosion that lies outside of the bone."""
_MARGIN_STEP, _LEAST_MINERAL = 0.1, 0.1
"""Accuracy in mm with which the margin of a bone is found, and the mineral there in mm of cortical bone."""
_LARGEST_LIFT = 0.2
"""Largest angle of a bone out of the film's plane in radians; a flexed joint shows no joint space."""


_MACHINE = MachineSettings(
    flesh=20.0,
    bone=122.0,
    base=250.0,
    heel=(0.0, 0.0, 0.0),
    scatter=0.15,
    blur=0.09,
    local=0.3,
    wide=9.0,
    edge=0.6,
    fine=0.7,
    curve="knee",
    shape=0.9,
    top=0.9,
    noise_kind=1,
    grain=(9.0, 0.006),
    lines=(0.0, 4.0, 0.0, False),
)
"""The middle of the values that films of patients are simulated with, so that the results of displays can be compared."""


@dataclass(frozen=True)
class JointErosion:
    """A round erosion at the margin of a joint.

    Attributes
    ----------
    diameter
        Its diameter in mm. 30 % of it lie outside of the bone, so that it interrupts the cortex.
    contrast
        Share of the mineral on the path of the X-rays that is missing, from 0 to 1.
    is_distal
        True if it is on the base of the distal bone, False if on the head of the proximal one.
    sign
        Side of the bone: 1 or -1.
    along
        Distance of its centre from the joint surface, in half widths of the bone.
    """

    diameter: float
    contrast: float
    is_distal: bool = False
    sign: Literal[-1, 1] = 1
    along: float = 0.4


def simulate_healthy_patient(seed: int, scheme: Scheme) -> PhantomPatient:
    """Return an adult without any damage, whose anatomy follows from `seed`."""
    age = float(np.random.default_rng([seed, 7]).uniform(30.0, 70.0))
    return PhantomPatient(seed, scheme, 0.0, {}, {}, age)


@dataclass
class _NarrowedHand(Hand):
    """A hand without damage, except for one joint space, of which the share `remaining` is left."""

    joint: str
    remaining: float

    def space(self, joint: str) -> JointSpace:
        """Return the state of a joint space."""
        return JointSpace(self.remaining if joint == self.joint else 1.0, 0.0, 0.0)


def compute_joint_space(patient: PhantomPatient, site: Site) -> float:
    """Return the width in mm of the healthy joint space of `site`, an MCP or PIP joint of the fingers 2 to 5."""
    body = draw_body(patient, site.side)
    return float(JOINT_SPACES[_number(site)] * body.gap * body.scale)


def render_joint(
    patient: PhantomPatient,
    site: Site,
    rng: np.random.Generator,
    *,
    erosion: JointErosion | None = None,
    narrowing: float = 0.0,
    pixel_size: float = 0.1,
) -> PhantomFilm:
    """Simulate a film of one joint.

    Parameters
    ----------
    patient
        A patient without damage, from `simulate_healthy_patient`.
    site
        An MCP or PIP joint of the fingers 2 to 5.
    rng
        Generator of the shift and of the noise.
    erosion
        The erosion of the joint; None for none.
    narrowing
        Share of the joint space that is lost, from 0 for none to 1.
    pixel_size
        Size of a pixel in mm.

    Returns
    -------
    PhantomFilm
        The film, with the boxes of all scored joints of the fingers, also of those beside the film.
    """
    side, number = site.side, _number(site)
    body = draw_body(patient, side)
    # The same pose on all films of the patient, without habits that hide a joint.
    pose = draw_pose(
        make_persistent_rng(patient, side, "one pose"), patient, make_persistent_rng(patient, side, "pose")
    )
    pose = replace(pose, flexion=np.clip(pose.flexion, -_LARGEST_LIFT, _LARGEST_LIFT), rotation=0.0)
    hand = _NarrowedHand(patient, side, 0, body, pose, site.joint.id, 1.0 - narrowing)
    layout = build_layout(hand, has_wrist=False)
    if erosion is not None:
        phase = float(make_persistent_rng(patient, "erosion").uniform(0.0, 6.3))
        _add_erosion(layout, int(site.joint.id[-1]), number, erosion, phase)
    pixels = round(_SIDE_MM / pixel_size)
    centre, _ = layout.centres[site.key]
    origin = centre - _SIDE_MM / 2 + rng.uniform(-_SHIFT_MM, _SHIFT_MM, 2)
    canvas = Canvas(pixels, pixels, pixel_size, origin)
    for short in layout.short_bones:
        add_short_bone(canvas, short)
    for bone in layout.long_bones:
        add_long_bone(canvas, bone)
    soft = draw_soft_tissue(layout, canvas, body.flesh, make_persistent_rng(patient, "soft tissue"))
    levels = expose(canvas.mineral, soft, pixel_size, _MACHINE, rng)
    boxes = {
        key: Box.from_centre(
            float(at[0] - origin[0]) / pixel_size, float(at[1] - origin[1]) / pixel_size, width / pixel_size
        )
        for key, (at, width) in layout.centres.items()
    }
    if side == "R":  # a right hand is drawn as a left one on the mirrored film
        levels = np.ascontiguousarray(levels[:, ::-1])
        boxes = {key: box.mirror(Box.from_size(pixels, pixels)) for key, box in boxes.items()}
    return PhantomFilm(levels, boxes, (pixel_size, pixel_size), side)


def _add_erosion(layout: Layout, finger: int, number: int, erosion: JointErosion, phase: float) -> None:
    """Add `erosion` to the joint distal to the bone `number` of `finger`, in place."""
    index = sum(len(FINGERS[each]) - 1 for each in range(1, finger)) + number + erosion.is_distal
    bone = layout.long_bones[index]
    axis = (bone.end - bone.start) / float(np.hypot(*(bone.end - bone.start)))
    end, inwards, width = (bone.start, axis, bone.widths[0]) if erosion.is_distal else (bone.end, -axis, bone.widths[2])
    normal = np.array([-axis[1], axis[0]]) * erosion.sign
    level = end + inwards * erosion.along * width
    centre = level + normal * (_find_margin(bone, level, normal, width) - (0.5 - _OUTSIDE) * erosion.diameter)
    radius = erosion.diameter / 2
    ellipse = ErosionEllipse(
        (float(centre[0]), float(centre[1])), radius, radius, 0.0, erosion.contrast, 0.0, _EDGE_MM, phase
    )
    layout.long_bones[index] = replace(bone, erosions=(*bone.erosions, ellipse))


def _find_margin(bone: LongBone, level: Array, normal: Array, width: float) -> float:
    """Return the distance in mm from `level`, a point of the axis of `bone`, to its margin in the direction `normal`.

    `width` is half the nominal width of this end of the bone.
    """
    side = 4 * width
    canvas = Canvas(round(side / _MARGIN_STEP), round(side / _MARGIN_STEP), _MARGIN_STEP, level - side / 2)
    add_long_bone(canvas, bone)
    distances = np.arange(0.0, 1.9 * width, _MARGIN_STEP)
    columns, rows = ((level + distances[:, None] * normal - canvas.origin) / _MARGIN_STEP).astype(int).T
    return float(distances[canvas.mineral[rows, columns] > _LEAST_MINERAL][-1])


def _number(site: Site) -> int:
    """Return the number of the bone on the proximal side of `site`: 0 for a metacarpal, 1 for a proximal phalanx."""
    kinds = {"MCP": 0, "PIP": 1}
    if site.joint.id[:-1] not in kinds or site.joint.id[-1] not in "2345":
        raise ValueError(f"no MCP or PIP joint of the fingers 2 to 5: {site.key}")
    return kinds[site.joint.id[:-1]]
