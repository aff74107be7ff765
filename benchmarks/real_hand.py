"""A detector on real films: ``python benchmarks/real_hand.py RUN FILM.dcm BOXES.json SIDE`` or ``RUN --wrists FOLDER``.

BOXES.json holds ``{"joints": [{"joint": "PIP2", "box": [x0, y0, x1, y1]}, …]}``. A joint is found where a box of its name
has its centre within a quarter of the true one's. The film is tried as it is, and turned, cut, shrunk, inverted, mirrored;
wrists without fingers are to show no hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from ratui.imaging import read_film, stretch
from ratui.scheme import load_scheme
from trainer.detector import JointDetector, load_detector
from trainer.find import find_hands
from trainer.hands import levels_of

SCHEME = load_scheme("fingers")
_Levels = npt.NDArray[np.float32]
_Boxes = dict[str, tuple[float, float, float, float]]


def variants(levels: _Levels, truth: _Boxes) -> Iterator[tuple[str, _Levels, _Boxes, bool]]:
    """The film as it may come, with its boxes moved along: name, levels, boxes, and whether it shows the other hand."""
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
    """Joints found, boxes that are none, whether the side was told, and the worst distance in boxes."""
    hands = find_hands(model, levels, SCHEME)
    found = hands[0].joints if hands else {}
    near, false, worst = 0, 0, 0.0
    for name, detection in found.items():
        x0, y0, x1, y1 = truth[name]
        off = max(abs(detection.candidate.x - (x0 + x1) / 2), abs(detection.candidate.y - (y0 + y1) / 2)) / (x1 - x0)
        near, false, worst = near + (off <= 0.25), false + (off > 0.5), max(worst, off)
    return near, false, bool(hands) and hands[0].side == side, worst


def main() -> None:
    torch.set_num_threads(1)
    model = load_detector(Path(sys.argv[1]), torch.device("cpu"))
    if sys.argv[2] == "--wrists":
        files = sorted(Path(sys.argv[3]).glob("*.png"))
        named = [find_hands(model, stretch(np.asarray(Image.open(file).convert("L"))), SCHEME) for file in files]
        print(f"{sum(map(bool, named))} of {len(files)} wrists were taken for a hand: ", end="")
        print(f"{sum(len(hands[0].joints) for hands in named if hands)} boxes")
        return
    file, boxes, side = Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    film = read_film(file)
    levels = levels_of(film, (0.0, 0.0, float(film.columns), float(film.rows)))
    truth: _Boxes = {
        joint["joint"].replace("MP", "MCP"): tuple(joint["box"]) for joint in json.loads(boxes.read_text())["joints"]
    }
    print(
        "| film | joints within a quarter, right name | boxes elsewhere | side | furthest off |\n|---|---|---|---|---|"
    )
    for name, picture, moved, other in variants(levels, truth):
        wanted = {"L": "R", "R": "L"}[side] if other else side
        near, false, told, worst = measure(model, picture, moved, wanted)
        print(
            f"| {name} | {near} of {len(truth)} | {false} | {'right' if told else 'wrong'} | {worst:.2f} |", flush=True
        )


if __name__ == "__main__":
    main()
