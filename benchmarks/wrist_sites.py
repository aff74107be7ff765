"""Measure the sites of the wrist: on real films with boxes by eye, and on held-out simulated films.

Run ``python -m benchmarks.wrist_sites FILMS BOXES.json`` or ``--phantoms N``. FILMS is a folder with a picture or a DICOM
file for each entry of BOXES.json: ``{"films": {NAME: {"boxes": {SITE: [x, y, side]}}}}``, the centre and side of each box in
pixels. ``--half development`` takes the films of odd patient numbers, ``--half final`` those of even numbers; the number is
the first part of the name. ``--turned`` stores each film in four rotations. ``--light`` runs the shipped detector by OpenCV.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from ratui.detection.finger_joints import normalise_levels
from ratui.detection.hand_finder import FoundHand
from ratui.detection.joint_network import SiteNetworks
from ratui.detection.onnx_networks import load_shipped_detector
from ratui.detection.site_finder import find_sites
from ratui.detection.wrist_sites import WRIST_SITES
from ratui.imaging import Box, Film, Orientation, normalize_intensity, read_film
from ratui.phantom import render, simulate_patient
from ratui.scheme import load_scheme
from trainer.models.detector import load_detector

SCHEME = load_scheme("mtss-hands")
SEED = 40_000  # of the held-out patients; no training uses it
NEAR = 0.25


@dataclass
class Tally:
    """Distances of the centres in sides of the true box and IoU of the boxes, by site; and the facts of films."""

    distances: dict[str, list[float]] = field(default_factory=dict)
    overlaps: dict[str, list[float]] = field(default_factory=dict)
    films: int = 0
    sides: int = 0
    upright: int = 0
    seconds: float = 0.0

    def add(self, name: str, truth: dict[str, Box], side: str, rotation: int, found: list[FoundHand]) -> None:
        """Add a film; a site that was not found has an infinite distance."""
        self.films += 1
        hand = next((each for each in found if each.side == side), None)
        self.sides += hand is not None
        self.upright += hand is not None and hand.rotation == rotation
        worst, site = 0.0, ""
        for key, box in truth.items():
            detection = hand.joints.get(key) if hand else None
            (x, y), distance, overlap = box.centre, np.inf, 0.0
            if detection is not None:
                distance = float(np.hypot(detection.candidate.x - x, detection.candidate.y - y)) / box.width
                overlap = box.intersection_over_union(detection.box)
            self.distances.setdefault(key, []).append(distance)
            self.overlaps.setdefault(key, []).append(overlap)
            worst, site = (distance, key) if distance > worst else (worst, site)
        if worst > NEAR:
            print(f"{name}: {site} {worst:.2f}" if hand else f"{name}: no hand of side {side}", flush=True)

    def table(self) -> str:
        """Return the table by site as Markdown."""
        lines = ["| site | within a quarter | median distance | 95th percentile | IoU at least 0.5 | mean IoU |"]
        lines.append("|---|---|---|---|---|---|")
        rows = [(key, [key]) for key in self.distances] + [("all", list(self.distances))]
        for label, keys in rows:
            distance = np.array([value for key in keys for value in self.distances[key]])
            overlap = np.array([value for key in keys for value in self.overlaps[key]])
            lines.append(
                f"| {label} | {(distance <= NEAR).sum()} of {len(distance)} ({100 * (distance <= NEAR).mean():.1f} %) "
                f"| {np.median(distance):.3f} | {np.quantile(distance, 0.95, method='lower'):.3f} "
                f"| {100 * (overlap >= 0.5).mean():.1f} % | {overlap.mean():.3f} |"
            )
        lines.append(
            f"\nFilms: {self.films}; right side: {self.sides}; right rotation: {self.upright}; "
            f"CPU seconds per film: {self.seconds / max(self.films, 1):.2f}"
        )
        return "\n".join(lines)


def real_films(
    folder: Path, boxes: Path, half: str
) -> Iterator[tuple[str, npt.NDArray[np.float32], dict[str, Box], str]]:
    """Yield the films of one half: name, grey levels, true boxes and side."""
    for name, entry in sorted(json.loads(boxes.read_text(encoding="utf-8"))["films"].items()):
        number = re.match(r"(\d+)_", name)
        part = "other" if number is None else "development" if int(number[1]) % 2 else "final"
        files = sorted(folder.glob(f"{name}.*"))
        if half not in ("all", part) or not files:
            continue
        if files[0].suffix == ".dcm":
            levels = normalise_levels(read_film(files[0]))
        else:
            levels = normalize_intensity(np.asarray(Image.open(files[0]).convert("L")))
        truth = {site: Box.from_centre(*box) for site, box in entry["boxes"].items()}
        yield name, levels, truth, "R" if re.search(r"_R$|^hand_right", name) else "L"


def simulated_films(count: int) -> Iterator[tuple[str, npt.NDArray[np.float32], dict[str, Box], str]]:
    """Yield films of patients that no training has seen, half of them with much damage."""
    for number in range(count):
        rng = np.random.default_rng([SEED, number])
        severity = float(rng.uniform(1.0, 4.0)) if number % 2 else None
        patient, side = simulate_patient(rng, SCHEME, severity=severity), "LR"[number // 2 % 2]
        rows = int(rng.integers(820, 1300))
        film = render(patient, side, number % 2, rng, size=(rows, round(rows * 0.8)))  # type: ignore[arg-type]
        truth = {site: film.boxes[f"{side}.{site}"] for site in WRIST_SITES}
        yield f"phantom {number}", normalise_levels(Film(film.pixels, 12)), truth, side


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("films", nargs="?", type=Path, help="folder of the films")
    parser.add_argument("boxes", nargs="?", type=Path, help="JSON file of the boxes by eye")
    parser.add_argument("--half", default="development", choices=["development", "final", "other", "all"])
    parser.add_argument("--phantoms", type=int, default=0, help="number of held-out simulated films")
    parser.add_argument("--detector", type=Path, default=Path("shipped"), help="folder of a run")
    parser.add_argument("--light", action="store_true", help="the shipped detector as OpenCV runs it, without torch")
    parser.add_argument("--turned", action="store_true", help="store each film in four rotations")
    arguments = parser.parse_args()
    model: SiteNetworks = load_detector(arguments.detector, torch.device("cpu"))
    if arguments.light:
        model = load_shipped_detector()
        cv2.setNumThreads(1)
    sources = []
    if arguments.boxes is not None:
        sources.append(("real films", real_films(arguments.films, arguments.boxes, arguments.half), False))
    if arguments.phantoms:
        sources.append(("simulated films", simulated_films(arguments.phantoms), True))
    for title, films, has_fingers in sources:
        tally = Tally()
        for name, levels, truth, side in films:
            rows, columns = levels.shape
            for degrees in (0, 90, 180, 270) if arguments.turned else (0,):
                stored = Orientation.of(degrees)
                turned = np.ascontiguousarray(np.rot90(levels, -(degrees // 90)))
                boxes = {site: stored.turn_box(box, columns, rows) for site, box in truth.items()}
                began = time.process_time()
                found = find_sites(model, turned, SCHEME, max_hands=1, is_whole=has_fingers or name.startswith("hand"))
                tally.seconds += time.process_time() - began
                tally.add(f"{name}, turned by {degrees}°", boxes, side, -degrees % 360, found)
        print(f"\n{title}\n\n{tally.table()}")


if __name__ == "__main__":
    main()
