"""Pairs of simulated films of a hand with known changes of the joint spaces, for `benchmarks.joint_space`.

Both films show the same patient with other damage, another pose, exposure and noise, and the hand turned by up to 10°. The
space of each joint without a finding is changed by up to 1 mm, in addition to what the grades change. The flexion of the
fingers is the same on both films, and so is the shape of each base (a focal loss of the space is a change of shape): a
registration of bones measures their motion.

The true width of a space is the distance of both surfaces on the axis of the joint, from the layout of the bones in mm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ratui.imaging import Box
from ratui.phantom import simulate_patient
from ratui.phantom.body import draw_body, make_persistent_rng
from ratui.phantom.bones import Canvas, add_bridge, add_long_bone, add_short_bone
from ratui.phantom.exposure import draw_machine, expose, vary_machine
from ratui.phantom.hand import Hand
from ratui.phantom.parts import Layout, LongBone
from ratui.phantom.pose import draw_pose
from ratui.phantom.skeleton import build_layout
from ratui.phantom.tissue import draw_soft_tissue
from ratui.scheme import load_scheme

__all__ = [
    "JOINTS",
    "SEVERITIES",
    "JointPair",
    "cut_box",
    "draw_bones",
    "draw_pair",
    "get_bones",
    "get_box_side",
    "get_middle",
    "shift_finger",
]

JOINTS = ("MCP1", "IP1", *(f"{kind}{finger}" for finger in range(2, 6) for kind in ("MCP", "PIP")))
_BOX_MCP, _BOX_PIP = 21.0, 17.0  # mm, as in `ratui.phantom.skeleton`
SEVERITIES = (0.2, 0.8, 1.6, 2.6)
_TURN = 10.0  # degrees
_OTHER_SPACING = 0.25  # share of the pairs whose films differ in spacing
_OTHER_MACHINE = 0.2
_MARGIN = 24.0  # mm around the joints
_REACH = 0.95  # half side of a stored crop, in boxes

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class JointPair:
    """A joint on two films.

    Attributes
    ----------
    joint, seed
        Name of the joint, and seed of the patient.
    crops, boxes, spacings
        Part of each film around the joint (12 bits), the box in pixels of that part, and the size of a pixel in mm.
    spaces
        True width of the space on each film in mm; below 0 the bones overlap.
    findings, erosion, narrowing
        Finding or None, grade of ERO, and grade of JSN on each film.
    bones
        Distal and proximal bone without erosions on each crop, at half its resolution: shape (2, rows, columns).
    centres
        Middle of the joint on each crop in pixels (x, y).
    """

    joint: str
    seed: int
    crops: tuple[npt.NDArray[np.uint16], ...]
    boxes: tuple[Box, ...]
    spacings: tuple[float, ...]
    spaces: tuple[float, ...]
    findings: tuple[str | None, ...]
    erosion: tuple[int, ...]
    narrowing: tuple[int, ...]
    bones: tuple[npt.NDArray[np.bool_], ...]
    centres: tuple[_Array, ...]

    @property
    def change(self) -> float:
        """True change of the space in mm, positive if it is wider on the second film."""
        return self.spaces[1] - self.spaces[0]

    @property
    def is_fused(self) -> bool:
        """True if the joint is fused on one of the films."""
        return "ankylosis" in self.findings


def draw_pair(seed: int, *, focal: bool = False, flexed: bool = False) -> list[JointPair]:
    """Draw two films of a hand and return its ten joints.

    With `focal` the shape of the bases changes with the grade of JSN, too. With `flexed` the fingers are bent differently on
    both films, so that the bones are foreshortened differently; the true width is that of the projection.
    """
    rng = np.random.default_rng([seed, 7])
    scheme = load_scheme("mtss-hands")
    severity = float(rng.choice(SEVERITIES))
    patient = simulate_patient(rng, scheme, severity=severity, age=float(rng.uniform(20, 85)))
    side: Literal["L", "R"] = "L" if rng.random() < 0.5 else "R"
    body = draw_body(patient, side)
    poses = [draw_pose(rng, patient, make_persistent_rng(patient, side, "pose")) for _ in range(2)]
    turn = float(np.radians(rng.uniform(-_TURN, _TURN)))
    flexion = poses[1 if flexed else 0].flexion
    poses[1] = replace(poses[1], flexion=flexion, rotation=poses[0].rotation + turn)
    hands = [Hand(patient, side, time, body, pose) for time, pose in enumerate(poses)]
    layouts = [build_layout(hand) for hand in hands]
    for joint in JOINTS:
        outer = _find_bone(joint) + 1
        if not focal:
            layouts[1].long_bones[outer] = replace(
                layouts[1].long_bones[outer], bulge=layouts[0].long_bones[outer].bulge
            )
    for joint in JOINTS:
        before, now = _measure_space(layouts[0], joint)[0], _measure_space(layouts[1], joint)
        if not any(hand.finding(joint) for hand in hands):
            aim = max(before + float(rng.uniform(-1, 1)), min(before, 0.05))
            shift_finger(layouts[1], joint, now[1] * (aim - now[0]))
    mm = float(rng.uniform(0.1, 0.2))
    spacings = [mm, float(np.clip(mm * rng.uniform(0.85, 1.18), 0.1, 0.2)) if rng.random() < _OTHER_SPACING else mm]
    clinic = draw_machine(make_persistent_rng(patient, "machine"))
    times = [0, 1] if rng.random() < 0.5 else [1, 0]
    films = []
    for layout, spacing in zip(layouts, spacings, strict=True):
        canvas = draw_bones(layout, spacing, rng)
        soft = draw_soft_tissue(layout, canvas, body.flesh, rng)
        machine = draw_machine(rng) if rng.random() < _OTHER_MACHINE else vary_machine(clinic, rng)
        levels = expose(np.ascontiguousarray(canvas.mineral), np.ascontiguousarray(soft), spacing, machine, rng)
        films.append((levels, canvas))
    pairs = []
    for joint in JOINTS:
        size = get_box_side(joint, body.scale)
        parts = [_cut_joint(*films[time], layouts[time], joint, size, rng) for time in times]
        pairs.append(
            JointPair(
                joint,
                seed,
                crops=tuple(part[0] for part in parts),
                boxes=tuple(part[1] for part in parts),
                spacings=tuple(spacings[time] for time in times),
                spaces=tuple(_measure_space(layouts[time], joint)[0] for time in times),
                findings=tuple(hands[time].finding(joint) for time in times),
                erosion=tuple(hands[time].grade(joint, "ERO") for time in times),
                narrowing=tuple(hands[time].grade(joint, "JSN") for time in times),
                bones=tuple(part[2] for part in parts),
                centres=tuple(part[3] for part in parts),
            )
        )
    return pairs


def _find_bone(joint: str) -> int:
    """Return the index of the proximal bone of `joint` in a layout; the distal one follows it."""
    finger, number = int(joint[-1]), 0 if joint.startswith("MCP") else 1
    return number if finger == 1 else 3 + 4 * (finger - 2) + number


def get_bones(layout: Layout, joint: str) -> tuple[LongBone, LongBone]:
    """Return the proximal and the distal bone of `joint`."""
    index = _find_bone(joint)
    return layout.long_bones[index], layout.long_bones[index + 1]


def get_middle(layout: Layout, joint: str) -> _Array:
    """Return the middle of the space of `joint` in mm (x, y)."""
    inner, outer = get_bones(layout, joint)
    return np.asarray((outer.start + inner.end) / 2)


def get_box_side(joint: str, scale: float) -> float:
    """Return the side of the box of `joint` in mm, for a hand of the size `scale`."""
    return (_BOX_MCP if joint.startswith("MCP") else _BOX_PIP) * scale


def _measure_space(layout: Layout, joint: str) -> tuple[float, _Array, _Array]:
    """Return the width of the space of `joint` in mm, the axis of the joint, and its middle in mm."""
    inner, outer = get_bones(layout, joint)
    lines = [(bone.end - bone.start) / np.hypot(*(bone.end - bone.start)) for bone in (inner, outer)]
    axis = (lines[0] + lines[1]) / np.hypot(*(lines[0] + lines[1]))
    # On the axes of the bones: the cup of the base is flat there but for a focal loss, and a phalanx has a groove.
    bulge = outer.bulge[0] * float(np.exp(-((outer.bulge[1] / 0.45) ** 2)))
    groove = 0.55 * inner.scale * inner.detail.groove if inner.form == "phalanx" else 0.0
    width = float((outer.start - lines[1] * bulge - inner.end + lines[0] * groove) @ axis)
    return width, axis, get_middle(layout, joint)


def shift_finger(layout: Layout, joint: str, by: _Array) -> None:
    """Shift the bones of the finger beyond `joint` in place."""
    first = _find_bone(joint) + 1
    last = 3 if joint.endswith("1") else 3 + 4 * (int(joint[-1]) - 1)
    for index in range(first, last):
        bone = layout.long_bones[index]
        erosions = tuple(replace(each, at=(each.at[0] + by[0], each.at[1] + by[1])) for each in bone.erosions)
        layout.long_bones[index] = replace(bone, start=bone.start + by, end=bone.end + by, erosions=erosions)


def draw_bones(layout: Layout, spacing: float, rng: np.random.Generator) -> Canvas:
    """Draw the part of the hand with the ten joints."""
    centres = np.array([get_middle(layout, joint) for joint in JOINTS])
    low, high = centres.min(axis=0) - _MARGIN, centres.max(axis=0) + np.array([_MARGIN, _MARGIN + 10])
    columns, rows = ((high - low) / spacing).astype(int)
    canvas = Canvas(int(rows), int(columns), spacing, low + rng.uniform(0, spacing, 2))
    for short in layout.short_bones:
        add_short_bone(canvas, short)
    for bone in layout.long_bones:
        add_long_bone(canvas, bone)
    for bridge in layout.bridges:
        add_bridge(canvas, bridge)
    return canvas


def cut_box(
    levels: npt.NDArray[np.uint16], centre: _Array, side: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint16], Box, npt.NDArray[np.int_]]:
    """Return the part of a film around a box, a box as a rater draws it, in its pixels, and its first pixel (x, y).

    `centre` and `side` are those of the true box in pixels of the film.
    """
    jitter: Any = centre + rng.normal(0, 0.03, 2) * side
    low = np.maximum(np.floor(centre - _REACH * side), 0).astype(int)
    high = np.ceil(centre + _REACH * side).astype(int)
    crop = levels[low[1] : high[1], low[0] : high[0]].copy()
    return crop, Box.from_centre(*(jitter - low), side * float(np.exp(rng.normal(0, 0.05)))), low


def _cut_joint(
    levels: npt.NDArray[np.uint16], canvas: Canvas, layout: Layout, joint: str, size: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint16], Box, npt.NDArray[np.bool_], _Array]:
    """Return a joint with its surroundings, a box as a rater draws it, the two bones, and the middle of the joint."""
    centre = (get_middle(layout, joint) - canvas.origin) / canvas.pixel_size
    crop, box, low = cut_box(levels, centre, size / canvas.pixel_size, rng)
    bones = []
    for index in (_find_bone(joint) + 1, _find_bone(joint)):
        single = Canvas(
            crop.shape[0] // 2 + 1,
            crop.shape[1] // 2 + 1,
            2 * canvas.pixel_size,
            canvas.origin + low * canvas.pixel_size,
        )
        add_long_bone(single, replace(layout.long_bones[index], erosions=()))
        bones.append(single.mineral > 0.25)
    return crop, box, np.stack(bones), centre - low
