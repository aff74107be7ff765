"""Measure a detector on held-out phantoms.

Run ``python benchmarks/detector.py RUN [--hands N] [--together N] [--cache FOLDER]``. With ``--rotated N``, measure N hands
in eight orientations instead, and with ``--film FILM.dcm BOXES.json`` a real film (see ``benchmarks/real_hand.py``).

Every hand belongs to another patient with the usual amount of damage, and no training draws these hands. Intervals are
bootstrapped over patients. Boxes are the true ones, not a rater's; a joint counts only under its correct name.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from ratui.detection.finger_joints import COARSE_SIZE, FINE_SIZE, normalise_levels
from ratui.detection.hand_finder import FoundHand, find_hands
from ratui.detection.joint_network import Detection
from ratui.imaging import Box, Film, Orientation, read_film, turn_film
from ratui.phantom import render, simulate_patient
from ratui.results.bootstrap import bootstrap_mean
from ratui.scheme import load_scheme
from trainer.data.phantoms import simulate_hands
from trainer.evaluation.metrics import RESAMPLES
from trainer.models.detector import load_detector

SEED = 900_001  # far from any training's
SCHEME = load_scheme("mtss-hands")
_Box = tuple[float, float, float, float]


def overlap(one: _Box, other: _Box) -> float:
    """Return the intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / ((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - shared)


class Tally:
    """Results for each true joint, by patient."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, float, float, float, float]] = []  # patient, overlap, near, finding, said
        self.false: list[tuple[int, int]] = []

    def add(self, patient: int, truth: dict[str, _Box], ill: dict[str, bool], found: dict[str, Detection]) -> None:
        """Add one film: true boxes, whether each joint is damaged, and the detected joints."""
        hits = 0
        for joint, box in truth.items():
            detection = found.get(joint)
            iou = overlap(box, detection.box) if detection else 0.0
            off = 9.9
            if detection:
                middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
                off = max(abs(detection.candidate.x - middle[0]), abs(detection.candidate.y - middle[1]))
                off /= box[2] - box[0]
            hits += iou >= 0.5
            said = float(detection.finding >= 0.5) if detection else np.nan
            self.rows.append((patient, iou, float(off <= 0.25), float(ill.get(joint, False)), said))
        self.false.append((patient, len(found) - hits))

    def table(self) -> str:
        """Return the table of all films, with intervals over patients."""
        patient, iou, near, ill, said = np.array(self.rows).T
        found = ~np.isnan(said)
        false = np.array(self.false, float)
        lines = ["| measure | here | 95 % interval |", "|---|---|---|"]
        for name, values, who, percent in (
            ("mean IoU, a joint not found or misnamed counting as 0", iou, patient, False),
            ("found: correct name, IoU at least 0.5", (iou >= 0.5) * 1.0, patient, True),
            ("centre within a quarter of the box, correct name", near, patient, True),
            ("boxes on no joint, for each hand", false[:, 1], false[:, 0], False),
            ("special finding, sensitivity", said[(ill == 1) & found], patient[(ill == 1) & found], True),
            ("special finding, specificity", 1 - said[(ill == 0) & found], patient[(ill == 0) & found], True),
        ):
            if len(values):
                mean = bootstrap_mean(values, [str(each) for each in who], np.random.default_rng(0), RESAMPLES)
                form = (lambda v: f"{100 * v:.1f} %") if percent else (lambda v: f"{v:.3f}")
                lines.append(f"| {name} | {form(mean.value)} | {form(mean.low)} to {form(mean.high)} |")
        lines.append(f"\n{len(self.false)} hands, {len(iou)} joints, {int(ill.sum())} with a finding.")
        return "\n".join(lines)


def single(run: Path, count: int, cache: Path, ill: float, seed: int) -> str:
    """Measure films of one hand, every second one mirrored: side and joints must be found."""
    samples = simulate_hands(count, cache, progress, scheme=SCHEME, seed=seed, ill=ill)
    model, tally, sides = load_detector(run, torch.device("cpu")), Tally(), 0
    unit = FINE_SIZE / COARSE_SIZE
    for row in range(count):
        mirrored = row % 2 == 1
        image = samples.images[row][:, ::-1] if mirrored else samples.images[row]
        hands = find_hands(model, np.asarray(image, np.float32) / np.float32(255), SCHEME)
        sides += bool(hands) and hands[0].side == ("R" if mirrored else "L")
        truth, findings = {}, {}
        for column, joint in enumerate(samples.joints):
            x0, y0, x1, y1 = (float(v) * unit for v in samples.boxes[row, column])
            truth[joint] = Box(FINE_SIZE - x1, y0, FINE_SIZE - x0, y1) if mirrored else Box(x0, y0, x1, y1)
            findings[joint] = bool(samples.findings[row, column] >= 0.5)
        tally.add(row, truth, findings, dict(hands[0].joints) if hands else {})
    return f"{tally.table()} Side correct: {sides} of {count}."


def both(run: Path, count: int) -> str:
    """Measure films of both hands in either order: each hand must be found with its side."""
    model, tally, sides = load_detector(run, torch.device("cpu")), Tally(), 0
    for number in range(count):
        rng = np.random.default_rng([SEED, number])
        patient = simulate_patient(rng, SCHEME)
        film = render(patient, "B", 0, rng, size=(900, 1480), left_first=bool(number % 3))
        levels = normalise_levels(Film(film.pixels, 12), Box(0.0, 0.0, 1480.0, 900.0))
        found = {hand.side: hand for hand in find_hands(model, levels, SCHEME, max_hands=2)}
        for side in ("L", "R"):
            truth = {key[2:]: box for key, box in film.boxes.items() if key[0] == side and key[2:] in JOINTS}
            ill = {key[2:]: True for key, time in patient.findings if key[0] == side and time == 0}
            tally.add(number, truth, ill, dict(found[side].joints) if side in found else {})
            sides += side in found
    return f"{tally.table()} Hands found under their side: {sides} of {2 * count}."


def in_orientations(run: Path, images: Iterable[tuple[Film, dict[str, Box], str]]) -> str:
    """Return the table of films in each of eight orientations, searched in one rotation and in all four.

    `images` are upright films, with their true boxes by joint and their sides.
    """
    model, rows = load_detector(run, torch.device("cpu")), list(images)
    lines = [
        "| stored | one rotation: joints | side | CPU s | four rotations: joints | side | upright | CPU s per film |",
        "|---|---|---|---|---|---|---|---|",
    ]
    count = sum(len(truth) for _, truth, _ in rows)
    for stored in Orientation:
        cells = []
        for rotations in ((0,), (0, 90, 180, 270)):
            near = sides = upright = 0
            seconds = 0.0
            for film, truth, side in rows:
                levels = normalise_levels(turn_film(film, stored))
                began = time.process_time()
                found = find_hands(model, levels, SCHEME, rotations=rotations)
                seconds += time.process_time() - began
                if not found:
                    continue
                near += _count_near(found[0], truth, stored, film)
                sides += found[0].side == (side if not stored.is_mirrored else "LR"["RL".index(side)])
                view = stored.then(Orientation.of(found[0].rotation))
                upright += view in (Orientation.UPRIGHT, Orientation.MIRRORED)
            cells += [f"{near} of {count}", f"{sides} of {len(rows)}"]
            cells += [f"{upright} of {len(rows)}"] if len(rotations) > 1 else []
            cells.append(f"{seconds / len(rows):.2f}")
        lines.append(f"| {stored.value} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _count_near(hand: FoundHand, truth: dict[str, Box], stored: Orientation, film: Film) -> int:
    """Return the number of joints found under their name within a quarter of their box."""
    near = 0
    for joint, box in truth.items():
        detection = hand.joints.get(joint)
        if detection is not None:
            (x, y), width = stored.turn_box(box, film.columns, film.rows).centre, box.width
            off = max(abs(detection.candidate.x - x), abs(detection.candidate.y - y))
            near += off <= 0.25 * width
    return near


def draw_hands(count: int) -> Iterator[tuple[Film, dict[str, Box], str]]:
    """Yield films of one hand each, of other patients than those of the other tables, left and right in turn."""
    for number in range(count):
        rng = np.random.default_rng([SEED, 7, number])
        side: Literal["L", "R"] = "R" if number % 2 else "L"
        film = render(simulate_patient(rng, SCHEME), side, 0, rng, size=(1500, 1230))
        boxes = {key[2:]: Box(*box) for key, box in film.boxes.items() if key[2:] in JOINTS}
        yield Film(film.pixels, 12), boxes, side


def read_real_hand(film: Path, boxes: Path) -> tuple[Film, dict[str, Box], str]:
    """Return a real film with its boxes by joint and its side. The file of boxes states the side in its film's name."""
    stated = json.loads(boxes.read_text(encoding="utf-8"))
    side = "R" if "right" in stated["file"] else "L"
    names = {each["joint"].replace("MP", "MCP"): Box(*each["box"]) for each in stated["joints"]}
    return read_film(film), names, side


JOINTS = {joint.id for joint in SCHEME.joints if joint.group in ("PIP", "MCP")}


def progress(*_: object) -> None:
    """Show no progress, because the benchmark prints only its table."""


def main(arguments: Iterable[str] | None = None) -> None:
    """Measure the detector of a run and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--hands", type=int, default=300)
    parser.add_argument("--together", type=int, default=40)
    parser.add_argument("--ill", type=float, default=0.0, help="the share of very ill patients")
    parser.add_argument("--seed", type=int, default=SEED, help="of the hands of the first table")
    parser.add_argument("--cache", type=Path, help="where the drawn hands are kept")
    parser.add_argument("--rotated", type=int, default=0, help="the number of hands to measure in eight orientations")
    parser.add_argument(
        "--film", type=Path, nargs=2, help="a real film and its boxes, to measure in eight orientations"
    )
    options = parser.parse_args(list(arguments) if arguments is not None else None)
    torch.set_num_threads(1)
    if options.rotated or options.film:
        if options.rotated:
            print(in_orientations(options.run, draw_hands(options.rotated)), flush=True)
        if options.film:
            print("\nThe real film:\n\n" + in_orientations(options.run, [read_real_hand(*options.film)]))
        return
    with tempfile.TemporaryDirectory() as folder:
        if options.hands:
            print(
                single(options.run, options.hands, options.cache or Path(folder), options.ill, options.seed), flush=True
            )
    if options.together:
        print("\nFilms of both hands:\n\n" + both(options.run, options.together))


if __name__ == "__main__":
    main()
