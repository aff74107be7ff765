"""Measure a detector on real films.

Run ``python benchmarks/real_hand.py RUN FILM.dcm BOXES.json SIDE`` or ``RUN --wrists FOLDER``.

BOXES.json contains ``{"joints": [{"joint": "PIP2", "box": [x0, y0, x1, y1]}, …]}``. A joint counts as found if a box with
its name has its centre within a quarter of the true box. The film is used unchanged, and rotated, cropped, scaled, inverted
and mirrored; with ``--redrawn N`` in N random deformations that imitate other hands. On wrists without fingers no hand
should be found.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from ratui.detection.finger_joints import normalise_levels
from ratui.detection.hand_finder import find_hands
from ratui.imaging import Box, normalize_intensity, read_film
from ratui.scheme import load_scheme
from trainer.models.detector import JointDetector, load_detector

SCHEME = load_scheme("fingers")
_Levels = npt.NDArray[np.float32]
_Boxes = dict[str, tuple[float, float, float, float]]


def variants(levels: _Levels, truth: _Boxes) -> Iterator[tuple[str, _Levels, _Boxes, bool]]:
    """Yield variants of the film with moved boxes: name, levels, boxes, and whether it shows the other hand."""
    rows, columns = levels.shape
    yield "as it is", levels, truth, False
    yield "its negative", 1 - levels, truth, False
    yield (
        "mirrored",
        levels[:, ::-1].copy(),
        {n: (columns - b[2], b[1], columns - b[0], b[3]) for n, b in truth.items()},
        True,
    )
    for angle in (-30, -15, 15, 30):
        yield f"turned by {angle}°", *_warped(levels, truth, angle, 0.85), False
    for scale in (0.4, 0.6):
        yield f"{scale} as large", *_warped(levels, truth, 0, scale), False
    x0, y0 = min(b[0] for b in truth.values()) - 90, min(b[1] for b in truth.values()) - 90
    x1, y1 = max(b[2] for b in truth.values()) + 90, max(b[3] for b in truth.values()) + 90
    x0, y0, x1, y1 = (round(v) for v in (max(x0, 0), max(y0, 0), min(x1, columns), min(y1, rows)))
    cut = {n: (b[0] - x0, b[1] - y0, b[2] - x0, b[3] - y0) for n, b in truth.items()}
    yield "cut to the joints", levels[y0:y1, x0:x1].copy(), cut, False
    for sigma in (4.0, 8.0):
        yield (
            f"blurred by {sigma:.0f} pixels",
            np.asarray(cv2.GaussianBlur(levels, (0, 0), sigma), np.float32),
            truth,
            False,
        )
    for gamma in (0.4, 2.5):
        yield f"gamma {gamma}", levels**gamma, truth, False
    grain = np.random.default_rng(0).normal(0, 0.12, levels.shape).astype(np.float32)
    yield "noisy", np.clip(levels + grain, 0, 1), truth, False
    framed = np.full((rows + 600, columns + 600), 1.0, np.float32)
    framed[300:-300, 300:-300] = levels
    yield "in a white frame", framed, {n: tuple(v + 300 for v in b) for n, b in truth.items()}, False  # type: ignore[misc]


def _warped(levels: _Levels, truth: _Boxes, angle: float, scale: float) -> tuple[_Levels, _Boxes]:
    rows, columns = levels.shape
    matrix = np.asarray(cv2.getRotationMatrix2D((columns / 2, rows / 2), angle, scale), np.float64)
    moved = np.asarray(cv2.warpAffine(levels, matrix, (columns, rows), flags=cv2.INTER_AREA), np.float32)
    boxes: _Boxes = {}
    for name, (x0, y0, x1, y1) in truth.items():
        x, y = matrix @ [(x0 + x1) / 2, (y0 + y1) / 2, 1.0]
        half = (x1 - x0) / 2 * scale
        boxes[name] = (float(x - half), float(y - half), float(x + half), float(y + half))
    return moved, boxes


def measure(model: JointDetector, levels: _Levels, truth: _Boxes, side: str) -> tuple[int, int, bool, float]:
    """Return joints found, false boxes, whether the side was correct, and the largest distance in boxes."""
    hands = find_hands(model, levels, SCHEME)
    found = hands[0].joints if hands else {}
    near, false, worst = 0, 0, 0.0
    for name, detection in found.items():
        if name not in truth:  # moved off the film
            false += 1
            continue
        x0, y0, x1, y1 = truth[name]
        off = max(abs(detection.candidate.x - (x0 + x1) / 2), abs(detection.candidate.y - (y0 + y1) / 2)) / (x1 - x0)
        near, false, worst = near + (off <= 0.25), false + (off > 0.5), max(worst, off)
    return near, false, bool(hands) and hands[0].side == side, worst


def redrawn(levels: _Levels, truth: _Boxes, number: int) -> tuple[_Levels, _Boxes, bool]:
    """Return a deformed film, its boxes that are still on it, and whether it shows the other hand.

    The deformation of `number` imitates another hand, pose and machine: bent smoothly, rotated, stretched, with another
    exposure and a lower resolution.
    """
    rng = np.random.default_rng([number, 5])
    rows, columns = levels.shape
    much = float(rng.uniform(0, 0.02)) * rows
    bend = [
        cv2.resize(rng.normal(0, 1, (5, 4)).astype(np.float32), (columns, rows), interpolation=cv2.INTER_CUBIC) * much
        for _ in "xy"
    ]
    angle, size = np.deg2rad(rng.uniform(-35, 35)), float(np.exp(rng.uniform(-0.7, 0.1)))
    longer, shear = float(np.exp(rng.uniform(-0.12, 0.12))), float(rng.uniform(-0.08, 0.08))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = turn @ np.array([[longer, shear], [0, 1 / longer]]) * size
    middle = np.array([columns / 2, rows / 2])
    shift = rng.uniform(-0.06, 0.06, 2) * [columns, rows]
    y, x = np.mgrid[:rows, :columns].astype(np.float32)
    source = np.stack([x - middle[0] - shift[0], y - middle[1] - shift[1]], -1) @ np.linalg.inv(turn).T + middle
    at = [source[..., axis].astype(np.float32) for axis in (0, 1)]
    at = [here + cv2.remap(field, *at, cv2.INTER_LINEAR) for here, field in zip(at, bend, strict=True)]
    ground = float(rng.choice([0, 0, 0, rng.uniform(0, 1)]))
    picture = cv2.remap(levels, at[0], at[1], cv2.INTER_LINEAR, borderValue=ground)
    boxes: _Boxes = {}
    for name, (x0, y0, x1, y1) in truth.items():
        centre = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
        before = centre.copy()
        for _ in range(20):  # what is bent to the box's centre: before + bend(before) = centre
            column, row = np.clip(before.round().astype(int), 0, [columns - 1, rows - 1])
            before = centre - np.array([bend[0][row, column], bend[1][row, column]])
        u, v = turn @ (before - middle) + middle + shift
        half = (x1 - x0) / 2 * size
        if 0 <= u < columns and 0 <= v < rows:
            boxes[name] = (float(u - half), float(v - half), float(u + half), float(v + half))
    picture = np.clip(picture, 1e-4, 1) ** np.exp(rng.uniform(-0.8, 0.8)) * rng.uniform(0.5, 1) + rng.uniform(0, 0.2)
    coarser = float(rng.choice([1, 1, 0.5, 0.3, 0.2]))
    small = cv2.resize(picture, None, fx=coarser, fy=coarser, interpolation=cv2.INTER_AREA)
    picture = cv2.resize(small, (columns, rows)) + rng.normal(0, rng.uniform(0, 0.06), (rows, columns))
    picture = np.clip(picture, 0, 1).astype(np.float32)
    other, negative = rng.random(2) < [0.5, 0.1]
    if negative:
        picture = 1 - picture
    if other:
        boxes = {name: (columns - b[2], b[1], columns - b[0], b[3]) for name, b in boxes.items()}
        picture = picture[:, ::-1].copy()
    return picture, boxes, bool(other)


def main() -> None:
    """Measure the detector on the given films and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("film", type=Path, nargs="?")
    parser.add_argument("boxes", type=Path, nargs="?")
    parser.add_argument("side", nargs="?", choices=["L", "R"])
    parser.add_argument("--redrawn", type=int, metavar="N", help="N films as if of other hands, instead of the table")
    parser.add_argument("--wrists", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = load_detector(given.run, torch.device("cpu"))
    if given.wrists:
        files = sorted(given.wrists.glob("*.png"))
        named = [
            find_hands(model, normalize_intensity(np.asarray(Image.open(file).convert("L"))), SCHEME) for file in files
        ]
        print(f"{sum(map(bool, named))} of {len(files)} wrists were taken for a hand: ", end="")
        print(f"{sum(len(hands[0].joints) for hands in named if hands)} boxes")
        return
    film = read_film(given.film)
    levels = normalise_levels(film, Box.from_size(film.columns, film.rows))
    truth: _Boxes = {
        joint["joint"].replace("MP", "MCP"): tuple(joint["box"])
        for joint in json.loads(given.boxes.read_text())["joints"]
    }
    if given.redrawn:
        print(of_redrawn(model, levels, truth, given.side, given.redrawn))
        return
    print(
        "| film | joints within a quarter, correct name | false boxes | side | largest distance |\n|---|---|---|---|---|"
    )
    for name, picture, moved, other in variants(levels, truth):
        near, false, is_right, worst = measure(model, picture, moved, _side(given.side, other))
        print(
            f"| {name} | {near} of {len(truth)} | {false} | {'right' if is_right else 'wrong'} | {worst:.2f} |",
            flush=True,
        )


def of_redrawn(model: JointDetector, levels: _Levels, truth: _Boxes, side: str, count: int) -> str:
    """Measure `count` deformed films together."""
    joints, found, elsewhere, sides, whole = 0, 0, 0, 0, 0
    for number in range(count):
        picture, moved, other = redrawn(levels, truth, number)
        near, false, right, _ = measure(model, picture, moved, _side(side, other))
        joints, found, elsewhere, sides = joints + len(moved), found + near, elsewhere + false, sides + right
        whole += near == len(moved)
    return (
        f"{found} of {joints} joints within a quarter under their name ({found / joints:.1%}), "
        f"{elsewhere / count:.2f} false boxes per hand; {whole} of {count} hands without an error, side correct of {sides}"
    )


def _side(side: str, other: bool) -> str:
    return {"L": "R", "R": "L"}[side] if other else side


if __name__ == "__main__":
    main()
