"""Measure the errors of `ratui.imaging.joint_space_width`.

- ``python -m benchmarks.joint_space_width phantoms [--hands N]`` measures simulated films with known widths.
- ``python -m benchmarks.joint_space_width series --folder FOLDER`` compares the difference of the widths on two films of
  real joints with the change that `ratui.imaging.joint_space_change` measures. FOLDER is that of `benchmarks.joint_space`.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.joint_space_films import JOINTS, SEVERITIES, cut_box, draw_bones, get_bones, get_box_side, get_middle
from ratui.imaging import Box, JointSpaceWidth, joint_space_change, joint_space_width
from ratui.phantom import simulate_patient
from ratui.phantom.body import draw_body, make_persistent_rng
from ratui.phantom.bones import Canvas, add_long_bone
from ratui.phantom.exposure import draw_machine, expose
from ratui.phantom.hand import Hand
from ratui.phantom.parts import LongBone
from ratui.phantom.pose import draw_pose
from ratui.phantom.skeleton import build_layout
from ratui.phantom.tissue import draw_soft_tissue
from ratui.scheme import load_scheme

_SEED = 7_000  # of the first hand
_VISIBLE = 0.3  # mm; smallest width of a visible space
_FINE = 0.02  # mm; pixel of the true outlines
_HEAD = 0.9  # width of a head below its surface, as part of its largest one
_MIDDLE = 0.5  # part of the head's width, as in `ratui.imaging.joint_space_width`

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WidthJoint:
    """A simulated joint with its true width.

    Attributes
    ----------
    joint, seed
        Name of the joint, and seed of the patient.
    crop, box, spacing
        Part of the film around the joint (12 bits), the box in pixels of that part, and the size of a pixel in mm.
    mean, minimum
        True width of the space in mm over the middle half of the head; below 0 where the bones overlap.
    finding, erosion, narrowing
        Finding or None, grade of ERO, and grade of JSN.
    """

    joint: str
    seed: int
    crop: npt.NDArray[np.uint16]
    box: Box
    spacing: float
    mean: float
    minimum: float
    finding: str | None
    erosion: int
    narrowing: int


def draw_hand(seed: int) -> list[WidthJoint]:
    """Draw a film of a hand and return its ten joints."""
    rng = np.random.default_rng([seed, 11])
    patient = simulate_patient(
        rng, load_scheme("mtss-hands"), severity=float(rng.choice(SEVERITIES)), age=float(rng.uniform(20, 85))
    )
    side: Literal["L", "R"] = "L" if rng.random() < 0.5 else "R"
    body = draw_body(patient, side)
    hand = Hand(patient, side, 1, body, draw_pose(rng, patient, make_persistent_rng(patient, side, "pose")))
    layout = build_layout(hand)
    spacing = float(rng.uniform(0.1, 0.2))
    canvas = draw_bones(layout, spacing, rng)
    soft = draw_soft_tissue(layout, canvas, body.flesh, rng)
    levels = expose(np.ascontiguousarray(canvas.mineral), np.ascontiguousarray(soft), spacing, draw_machine(rng), rng)
    joints = []
    for joint in JOINTS:
        centre = (get_middle(layout, joint) - canvas.origin) / spacing
        crop, box, _ = cut_box(levels, centre, get_box_side(joint, body.scale) / spacing, rng)
        gaps = measure_gaps(*get_bones(layout, joint))
        joints.append(
            WidthJoint(
                joint,
                seed,
                crop=crop,
                box=box,
                spacing=spacing,
                mean=float(gaps.mean()),
                minimum=float(gaps.min()),
                finding=hand.finding(joint),
                erosion=hand.grade(joint, "ERO"),
                narrowing=hand.grade(joint, "JSN"),
            )
        )
    return joints


def measure_gaps(inner: LongBone, outer: LongBone) -> _Array:
    """Return the true widths of a space in mm over the middle half of the head, perpendicular to the line of the joint.

    The surfaces are those of the bones without erosions; that of the base is the bottom of its cup, not its rim.
    """
    lines = [(bone.end - bone.start) / np.hypot(*(bone.end - bone.start)) for bone in (inner, outer)]
    axis = (lines[0] + lines[1]) / np.hypot(*(lines[0] + lines[1]))
    middle = (outer.start + inner.end) / 2
    upright = np.array([[-axis[1], axis[0]], [-axis[0], -axis[1]]])  # the axis points up
    half = _MIDDLE * _HEAD * inner.widths[2]
    reach = 6.0  # mm
    surfaces = []
    for bone in (inner, outer):
        canvas = Canvas(int(2 * reach / _FINE), int(2 * half / _FINE), _FINE, np.array([-half, -reach]))
        turned = replace(
            bone, start=upright @ (bone.start - middle), end=upright @ (bone.end - middle), erosions=(), lip=0.0
        )
        add_long_bone(canvas, turned)
        inside = canvas.mineral > 0.05
        rows = np.argmax(inside, axis=0) if bone is inner else len(inside) - np.argmax(inside[::-1], axis=0)
        surfaces.append(rows * _FINE)
    line = (surfaces[0] + surfaces[1]) / 2
    slope = np.gradient(np.convolve(np.pad(line, 20, mode="edge"), np.ones(41) / 41, "valid"), _FINE)
    return np.asarray((surfaces[0] - surfaces[1]) / np.hypot(1.0, slope))


def measure_phantoms(hands: int) -> None:
    """Print the table of simulated films."""
    joints = [joint for number in range(hands) for joint in draw_hand(_SEED + number)]
    found = [(joint, joint_space_width(joint.crop, joint.box, spacing=(joint.spacing,) * 2)) for joint in joints]
    print("| joints | number | ok | mean: bias, mm | SD | slope | in interval | minimum: bias, mm | SD | in interval |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    visible = [each for each in found if each[0].minimum > _VISIBLE and each[0].finding is None]
    print(describe("all", found))
    print(describe("surfaces overlap", [each for each in found if each[0].minimum <= 0]))
    print(describe(f"space over {_VISIBLE} mm, no finding", visible))
    for joint in JOINTS:
        print(describe(joint, [each for each in visible if each[0].joint == joint]))
    for low, high in ((0, 0), (1, 2), (3, 5)):
        print(describe(f"ERO {low} to {high}", [each for each in visible if low <= each[0].erosion <= high]))
    for low, high in ((0, 0), (1, 1), (2, 4)):
        print(describe(f"JSN {low} to {high}", [each for each in visible if low <= each[0].narrowing <= high]))
    for narrow, wide in ((0.0, 0.8), (0.8, 1.2), (1.2, 1.6), (1.6, 4.0)):
        print(describe(f"mean {narrow} to {wide} mm", [each for each in visible if narrow <= each[0].mean < wide]))
    for fine, coarse in ((0.10, 0.13), (0.13, 0.16), (0.16, 0.2001)):
        part = [each for each in visible if fine <= each[0].spacing < coarse]
        print(describe(f"{fine:.2f} to {coarse:.2f} mm/px", part))
    print("reasons:", dict(Counter(width.reason or "ok" for _, width in found)))


def describe(name: str, found: list[tuple[WidthJoint, JointSpaceWidth]]) -> str:
    """Return a line of the table."""
    good = [each for each in found if each[1].is_reliable]
    share = f"| {name} | {len(found)} | {100 * len(good) / max(len(found), 1):.1f} % |"
    if len(good) < 3:
        return share + " | | | | | | |"
    truth = np.array([(joint.mean, joint.minimum) for joint, _ in good])
    seen = np.array([(width.mean_mm, width.minimum_mm) for _, width in good], np.float64)
    errors = seen - truth
    slope = np.polyfit(truth[:, 0], seen[:, 0], 1)[0]
    covered = [
        100 * np.mean([low <= true <= high for true, (low, high) in zip(truth[:, column], intervals, strict=True)])
        for column, intervals in enumerate(
            ([width.mean_interval for _, width in good], [width.minimum_interval for _, width in good])
        )
    ]
    (bias, bias_minimum), (spread, spread_minimum) = errors.mean(axis=0), errors.std(axis=0)
    return (
        f"{share} {bias:+.3f} | {spread:.3f} | {slope:.2f} | {covered[0]:.0f} % | "
        f"{bias_minimum:+.3f} | {spread_minimum:.3f} | {covered[1]:.0f} % |"
    )


def measure_series(folder: Path) -> None:
    """Print how the differences of widths agree with the measured changes on real series."""
    widths, differences, reasons = [], [], []
    for each in sorted(path for path in folder.iterdir() if path.is_dir()):
        pictures = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in sorted(each.glob("?.jpg"))]
        boxes = [Box(0, 0, picture.shape[1], picture.shape[0]) for picture in pictures]
        measured = [joint_space_width(picture, box) for picture, box in zip(pictures, boxes, strict=True)]
        reasons += [width.reason or "ok" for width in measured]
        widths += [width.mean_pixels for width in measured if width.is_reliable]
        for a, b in combinations(range(len(pictures)), 2):
            change = joint_space_change(pictures[a], boxes[a], pictures[b], boxes[b])
            if change.is_reliable and measured[a].is_reliable and measured[b].is_reliable:
                differences.append(
                    (
                        measured[b].mean_pixels - measured[a].mean_pixels,
                        measured[b].minimum_pixels - measured[a].minimum_pixels,
                        change.pixels,
                    )
                )
    print(f"films {len(reasons)}, {dict(Counter(reasons))}")
    print(f"mean width: median {np.median(widths):.1f} px, 5 to 95 %: {np.round(np.quantile(widths, (0.05, 0.95)), 1)}")
    table = np.array(differences)
    print(f"pairs {len(table)}, changes: SD {table[:, 2].std():.2f} px")
    for column, name in enumerate(("mean", "minimum")):
        errors = table[:, column] - table[:, 2]
        robust = 1.4826 * float(np.median(np.abs(errors - np.median(errors))))
        correlation = np.corrcoef(table[:, column], table[:, 2])[0, 1]
        print(
            f"difference of the {name} widths less the change: SD {errors.std():.2f} px, robust {robust:.2f}, "
            f"correlation of both {correlation:.2f}"
        )


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("phantoms").add_argument("--hands", type=int, default=100)
    commands.add_parser("series").add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.command == "phantoms":
        measure_phantoms(arguments.hands)
    else:
        measure_series(arguments.folder)


if __name__ == "__main__":
    main()
