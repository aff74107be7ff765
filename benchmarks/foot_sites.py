"""Measure the joints of feet on held-out simulated films: ``python -m benchmarks.foot_sites``.

No training uses the seed of these films. Two thirds of them show one foot, the others both feet; half of the patients have
much damage. Each film is stored in one of the four rotations, or with ``--turned`` in each of them. On films of hands, false
feet are counted. A joint counts as found if the box of its name has an IoU of 0.5 or more with the true one.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from ratui.detection.finger_joints import normalise_levels
from ratui.detection.foot_sites import FOOT_SITES
from ratui.detection.joint_network import SiteNetworks
from ratui.detection.onnx_networks import load_shipped_detector
from ratui.detection.site_finder import find_foot_sites
from ratui.imaging import Film, Orientation
from ratui.phantom import PhantomFilm, render, simulate_patient
from ratui.scheme import load_scheme
from trainer.models.detector import load_detector

SCHEME = load_scheme("mtss")
SEED = 41_000  # of the held-out patients; no training uses it
MIN_IOU = 0.5


@dataclass
class Tally:
    """IoU of the boxes and distances of the centres in sides of the true box, by group, and the facts of films and feet."""

    overlaps: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    distances: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    feet: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    sides: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    upright: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    films: int = 0
    seconds: float = 0.0

    def add(
        self, networks: SiteNetworks, name: str, film: PhantomFilm, levels: npt.NDArray[np.float32], turn: int
    ) -> None:
        """Search a film that is stored turned clockwise by `turn` degrees, and add each of its feet."""
        stored, (rows, columns) = Orientation.of(turn), levels.shape
        turned = np.ascontiguousarray(np.rot90(levels, -(turn // 90)))
        sides = ("L", "R") if film.side == "B" else (film.side,)
        began = time.process_time()
        found = {foot.side: foot for foot in find_foot_sites(networks, turned, SCHEME, max_feet=len(sides))}
        self.seconds += time.process_time() - began
        self.films += 1
        for side in sides:
            foot = found.get(side)
            groups = ("both feet" if film.side == "B" else "one foot", f"turned by {turn}°", "all")
            for group in groups:
                self.feet[group] += 1
                self.sides[group] += foot is not None
                self.upright[group] += foot is not None and foot.rotation == -turn % 360
            worst, where = 1.0, ""
            for site in FOOT_SITES:
                true = stored.turn_box(film.boxes[f"{side}.{site}"], columns, rows)
                detection = foot.joints.get(site) if foot else None
                overlap, distance = 0.0, np.inf
                if detection is not None:
                    overlap = true.intersection_over_union(detection.box)
                    distance = float(np.hypot(*np.subtract(detection.box.centre, true.centre))) / true.width
                for group in (*groups, site):
                    self.overlaps[group].append(overlap)
                    self.distances[group].append(distance)
                worst, where = (overlap, site) if overlap < worst else (worst, where)
            if worst < MIN_IOU:
                print(f"{name}, side {side}, turned by {turn}°: {where} {worst:.2f}" if foot else f"{name}: no {side}")

    def table(self) -> str:
        """Return the table by group as Markdown."""
        lines = ["| films | feet | right side | right rotation | found | mean IoU | median distance |"]
        lines.append("|---|---|---|---|---|---|---|")
        for group in (*sorted(self.feet, key=lambda name: (name.startswith("turned"), name)), *FOOT_SITES):
            overlap, distance = np.array(self.overlaps[group]), np.array(self.distances[group])
            hits = overlap >= MIN_IOU
            of_feet = ["", "", ""]
            if group in self.feet:
                of_feet = [str(each[group]) for each in (self.feet, self.sides, self.upright)]
            lines.append(
                f"| {group} | {' | '.join(of_feet)} | {hits.sum()} of {len(hits)} ({100 * hits.mean():.1f} %) "
                f"| {overlap.mean():.3f} | {np.median(distance):.3f} |"
            )
        lines.append(f"\n{self.films} films, {self.seconds / max(self.films, 1):.2f} s of CPU per film")
        return "\n".join(lines)


def simulated_films(count: int, part: Literal["hand", "foot"]) -> Iterator[PhantomFilm]:
    """Yield films of patients that no training has seen."""
    for number in range(count):
        rng = np.random.default_rng([SEED, number, part == "hand"])
        severity = float(rng.uniform(1.0, 4.0)) if number % 2 else None
        patient = simulate_patient(rng, SCHEME, severity=severity)
        rows = int(rng.integers(600, 1000))
        columns = round(rows * float(rng.uniform(0.72, 0.95)))
        both = part == "foot" and number % 3 == 2
        side: Literal["L", "R", "B"] = "B" if both else "L" if number // 2 % 2 else "R"
        size = (rows, 2 * columns if both else columns)
        yield render(patient, side, number % 2, rng, size=size, left_first=number % 4 != 1, part=part)


def count_false_feet(networks: SiteNetworks, count: int) -> tuple[int, float]:
    """Return the number of films of hands on which a foot is found, and the CPU seconds per film."""
    began, false = time.process_time(), 0
    for film in simulated_films(count, "hand"):
        found = find_foot_sites(networks, normalise_levels(Film(film.pixels, 12)), SCHEME, max_feet=2)
        false += bool(found)
    return false, (time.process_time() - began) / max(count, 1)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=90, help="number of films of feet")
    parser.add_argument("--hands", type=int, default=30, help="number of films of hands")
    parser.add_argument("--detector", type=Path, default=Path("shipped"), help="folder of a run")
    parser.add_argument("--light", action="store_true", help="use the networks for installations without torch")
    parser.add_argument("--turned", action="store_true", help="store each film in four rotations")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    networks: SiteNetworks = (
        load_shipped_detector() if arguments.light else load_detector(arguments.detector, torch.device("cpu"))
    )
    tally = Tally()
    for number, film in enumerate(simulated_films(arguments.films, "foot")):
        levels = normalise_levels(Film(film.pixels, 12))
        for turn in (0, 90, 180, 270) if arguments.turned else (number % 4 * 90,):
            tally.add(networks, f"film {number}", film, levels, turn)
    print(f"\n{tally.table()}")
    if arguments.hands:
        false, seconds = count_false_feet(networks, arguments.hands)
        print(f"\n{false} of {arguments.hands} films of hands show a foot; {seconds:.2f} s of CPU per film")


if __name__ == "__main__":
    main()
