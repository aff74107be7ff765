"""Measure the axes by which the films of a joint are turned: ``python -m benchmarks.bone_axes [PATIENTS]``.

Half of the phantom patients have usual disease and half severe one. Each has two films of a hand and two of a foot; their
boxes are perturbed as those of a rater. The error of an axis is its difference from the line between the middles of base and
head of the simulated bone. The residual of a pair is the angle between the bones of both films as they are displayed.

With ``--hand FOLDER`` a real hand with boxes by eye (``joint_boxes_by_eye.json``) is turned by known angles, mirrored, and
searched with moved boxes. With ``--series FOLDER`` real crops of MCP joints at several time points are compared: folders
with pictures ``0.jpg``, ``1.jpg``, …, and masks of the proximal bone, ``0_lower.png``, ….
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from ratui.imaging import BoneAxis, BoneAxisFailure, Box, Film, find_bone_axis, make_rotation, read_film
from ratui.phantom import perturb_box, render, simulate_patient
from ratui.regions.upright_bones import expect_bone
from ratui.scheme import load_scheme

SCHEME = load_scheme("mtss")
SEED = 62_000  # of the patients; the thresholds were chosen on others
SIZES: dict[str, tuple[int, int]] = {"hand": (1250, 1024), "foot": (1000, 900)}
JOINTS = {
    "hand": ("IP1", "PIP2", "PIP3", "PIP4", "PIP5", "MCP1", "MCP2", "MCP3", "MCP4", "MCP5"),
    "foot": ("FIP1", "MTP1", "MTP2", "MTP3", "MTP4", "MTP5"),
}


def find(film: Film, joint: str, side: str, boxes: Mapping[str, Box]) -> BoneAxis | BoneAxisFailure:
    """Return the axis of the proximal bone of `joint`, as the app finds it."""
    expected = expect_bone(joint, side, boxes, film.aspect)
    assert expected is not None
    return find_bone_axis(film, boxes[joint], expected)


def difference(a: float, b: float) -> float:
    """Return the angle from `b` to `a` in degrees, from -180 to 180."""
    return (a - b + 180.0) % 360.0 - 180.0


def describe(values: Sequence[float]) -> str:
    """Return median, 95th percentile and maximum of absolute values as cells of a table."""
    if not len(values):
        return "– | – | –"
    sizes = np.abs(values)
    return f"{np.median(sizes):.1f}° | {np.percentile(sizes, 95):.1f}° | {sizes.max():.1f}°"


def measure_phantoms(patients: int, part: Literal["hand", "foot"]) -> None:
    """Print the errors at each joint of simulated films."""
    errors: dict[str, list[float]] = defaultdict(list)
    before: dict[str, list[float]] = defaultdict(list)
    after: dict[str, list[float]] = defaultdict(list)
    missing: dict[str, int] = defaultdict(int)
    spent, searched = 0.0, 0
    for number in range(patients):
        rng = np.random.default_rng([SEED, number])
        patient = simulate_patient(rng, SCHEME, severity=4.0 if number % 2 else 1.0)
        side: Literal["L", "R"] = "L" if number % 4 < 2 else "R"
        found: dict[tuple[str, int], tuple[float, float]] = {}
        for visit in (0, 1):
            drawn = render(patient, side, visit, rng, size=SIZES[part], part=part)
            film = Film(drawn.pixels, 12, spacing=drawn.spacing)
            boxes = {key[2:]: perturb_box(box, rng) for key, box in drawn.boxes.items()}
            for joint in JOINTS[part]:
                (x, y), (u, v) = drawn.axes[f"{side}.{joint}"]
                truth = float(np.degrees(np.arctan2(u - x, y - v)))
                began = time.process_time()
                axis = find(film, joint, side, boxes)
                spent, searched = spent + time.process_time() - began, searched + 1
                if isinstance(axis, BoneAxis):
                    found[joint, visit] = (truth, difference(axis.angle, truth))
                    errors[joint].append(found[joint, visit][1])
                else:
                    missing[joint] += 1
        for joint in JOINTS[part]:
            if (joint, 0) in found and (joint, 1) in found:
                (truth, error), (other, other_error) = found[joint, 0], found[joint, 1]
                before[joint].append(difference(other, truth))
                after[joint].append(other_error - error)
    print(f"\n### {part}: {patients} phantom patients, two films each\n")
    spread = "median | 95 % | worst"
    print(f"| joint | axes | found | error, {spread} | pair as it is, {spread} | pair turned, {spread} |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    rows: Iterable[tuple[str, Sequence[str]]] = [(joint, [joint]) for joint in JOINTS[part]] + [("all", JOINTS[part])]
    for name, joints in rows:
        own, pairs, left = ([value for joint in joints for value in each[joint]] for each in (errors, before, after))
        count = len(own) + sum(missing[joint] for joint in joints)
        print(f"| {name} | {count} | {len(own) / count:.1%} | {describe(own)} | {describe(pairs)} | {describe(left)} |")
    print(f"\nCPU time of one axis: {1000 * spent / searched:.1f} ms")


def measure_hand(folder: Path) -> None:
    """Print how well a real hand stays upright if the film is turned or mirrored, or its boxes are moved."""
    described = json.loads((folder / "joint_boxes_by_eye.json").read_text(encoding="utf-8"))
    film = read_film(folder / described["file"])
    boxes = {each["joint"].replace("MP", "MCP"): Box(*each["box"]) for each in described["joints"]}
    stored = {joint: find(film, joint, "R", boxes) for joint in boxes}
    whole = Box.from_size(film.columns, film.rows)
    mirrored_film = replace(film, pixels=np.ascontiguousarray(film.pixels[:, ::-1]))
    mirrored = {joint: box.mirror(whole) for joint, box in boxes.items()}
    turned: dict[str, list[float]] = defaultdict(list)
    moved: dict[str, list[float]] = defaultdict(list)
    lost: dict[str, int] = defaultdict(int)

    def note(found: BoneAxis | BoneAxisFailure, joint: str, wanted: float, into: dict[str, list[float]]) -> None:
        if isinstance(found, BoneAxis):
            into[joint].append(difference(found.angle, wanted))
        else:
            lost[joint] += 1

    known = {joint: axis.angle for joint, axis in stored.items() if isinstance(axis, BoneAxis)}
    for joint, angle in known.items():
        note(find(mirrored_film, joint, "L", mirrored), joint, -angle, turned)
    for degrees in range(-45, 46, 15):
        matrix = make_rotation(degrees, (film.columns / 2, film.rows / 2))
        shift = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # OpenCV's origin is the centre of the first pixel
        pixels = cv2.warpAffine(
            film.pixels.astype(np.float32),
            (np.linalg.inv(shift) @ np.vstack([matrix, [0, 0, 1]]) @ shift)[:2],
            (film.columns, film.rows),
        )
        other = replace(film, pixels=pixels.astype(np.uint16))
        there = {joint: Box.from_centre(*(matrix @ [*box.centre, 1.0]), box.width) for joint, box in boxes.items()}
        for joint, angle in known.items():
            note(find(other, joint, "R", there), joint, angle + degrees, turned)
    rng = np.random.default_rng(SEED)
    for _ in range(40):
        there = {joint: perturb_box(box, rng) for joint, box in boxes.items()}
        for joint, angle in known.items():
            note(find(film, joint, "R", there), joint, angle, moved)
    print("\n### A real hand\n")
    print("| joint | axis | film turned or mirrored, worst | moved boxes, median | 95 % | worst | not found |")
    print("|---|---|---|---|---|---|---|")
    for joint in boxes:
        axis = f"{known[joint]:+.1f}°" if joint in known else "not found"
        worst = max(map(abs, turned[joint]), default=float("nan"))
        print(f"| {joint} | {axis} | {worst:.1f}° | {describe(moved[joint])} | {lost[joint]} of 48 |")


def measure_series(folder: Path) -> None:
    """Print whether crops of real MCP joints show an axis, and the angle between their metacarpals as they are."""
    reasons: dict[str, int] = defaultdict(int)
    angles: list[float] = []
    for series in sorted(path for path in folder.iterdir() if path.is_dir()):
        names = sorted(path.stem for path in series.glob("*.jpg"))
        pictures = [np.asarray(Image.open(series / f"{name}.jpg").convert("L")) for name in names]
        for picture in pictures:
            box = Box.from_size(picture.shape[1], picture.shape[0])
            axis = find(Film(picture.astype(np.uint16), 8), "MCP3", "L", {"MCP3": box})
            reasons["found" if isinstance(axis, BoneAxis) else axis.reason] += 1
        mask = (
            np.asarray(Image.open(series / f"{names[0]}_lower.png").convert("L").resize(pictures[0].shape[::-1])) > 127
        )
        near = cv2.dilate(mask.astype(np.uint8), np.ones((15, 15), np.uint8))
        for other in pictures[1:]:
            start = np.eye(2, 3, dtype=np.float32)
            stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 200, 1e-6)
            first, second = (cv2.GaussianBlur(each, (0, 0), 1.5) for each in (pictures[0], other))
            try:
                _, matrix = cv2.findTransformECC(first, second, start, cv2.MOTION_EUCLIDEAN, stop, near, 5)
            except cv2.error:
                continue
            angles.append(float(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0]))))
    print("\n### Crops of real MCP joints\n")
    print(f"Axes: {', '.join(f'{reason} {count}' for reason, count in sorted(reasons.items()))}.")
    print(f"Angle of the metacarpal from the first film to another one, {len(angles)} pairs: {describe(angles)}")


def main() -> None:
    """Measure what the arguments say."""
    parser = argparse.ArgumentParser(description="Measure the axes by which the films of a joint are turned.")
    parser.add_argument("patients", type=int, nargs="?", default=40)
    parser.add_argument("--hand", type=Path)
    parser.add_argument("--series", type=Path)
    given = parser.parse_args()
    for part in ("hand", "foot") if given.patients else ():
        measure_phantoms(given.patients, part)
    if given.hand:
        measure_hand(given.hand)
    if given.series:
        measure_series(given.series)


if __name__ == "__main__":
    main()
