"""A detector on a real film: ``python benchmarks/real_hand.py RUN FILM.dcm BOXES.json SIDE``.

BOXES.json holds ``{"joints": [{"joint": "PIP2", "box": [x0, y0, x1, y1]}, …]}``. A joint counts as found where a box's
centre lies within half a box of it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from ratui.imaging import read_film
from ratui.scheme import load_scheme
from ratui.study import FilmRecord
from trainer.detector import detect, load_detector
from trainer.propose import find_joints
from trainer.samples import frame_of, hand_image


def main() -> None:
    run, file, boxes, side = sys.argv[1:5]
    film = read_film(Path(file))
    frame = frame_of(FilmRecord("film", 0, side, "hand", film.rows, film.columns), side)
    image = hand_image(film, frame)
    model = load_detector(Path(run), torch.device("cpu"))
    detections = detect(model, image[None])[0]
    names = find_joints(model, [image], load_scheme("fingers"), "hand")[0]
    truth = {
        joint["joint"].replace("MP", "MCP"): joint["box"] for joint in json.loads(Path(boxes).read_text())["joints"]
    }
    places = [frame.back(detection.box) for detection in detections]
    used: set[int] = set()
    named = 0
    for joint, (x0, y0, x1, y1) in truth.items():
        x, y, half = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2
        near = [
            index
            for index, (a0, b0, a1, b1) in enumerate(places)
            if index not in used and abs((a0 + a1) / 2 - x) <= half and abs((b0 + b1) / 2 - y) <= half
        ]
        if near:
            used.add(near[0])
            named += joint in names and names[joint].candidate == detections[near[0]].candidate
    elsewhere = len(detections) - len(used)
    print(f"{len(used)} of {len(truth)} joints found, {named} with the right name, {elsewhere} boxes elsewhere")


if __name__ == "__main__":
    main()
