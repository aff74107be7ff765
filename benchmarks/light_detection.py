"""Measure the detector of the installation without torch: ``python -m benchmarks.light_detection [FILM.dcm]``.

It prints seconds per film with OpenCV on one and two threads and with torch on one, the largest difference of their boxes,
and the sizes of the files. The films are phantoms of one hand and of both hands, upright, and the given film.
"""

from __future__ import annotations

import sys
import time
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from ratui.detection.finger_joints import normalise_levels
from ratui.detection.hand_finder import FoundHand, find_hands
from ratui.detection.joint_network import JointNetwork
from ratui.detection.onnx_networks import load_shipped_detector
from ratui.imaging import Film, read_film
from ratui.phantom import render, simulate_patient
from ratui.scheme import load_scheme
from trainer.models.detector import load_detector
from trainer.shipped import SHIPPED

_SCHEME = load_scheme("mtss-hands")
_PHANTOMS = 8  # of each kind
_SEED = 71_003


def draw(side: str) -> list[npt.NDArray[np.float32]]:
    """Return the grey levels of phantom films at a usual resolution, 0.15 mm."""
    levels = []
    for number in range(_PHANTOMS):
        patient = simulate_patient(np.random.default_rng([_SEED, number]), _SCHEME)
        size = (1600, 2600) if side == "B" else (1600, 1300)
        film = render(patient, side, 0, np.random.default_rng([_SEED, number, 1]), size=size)  # type: ignore[arg-type]
        levels.append(normalise_levels(Film(film.pixels, 12)))
    return levels


def search(
    network: JointNetwork, films: list[npt.NDArray[np.float32]], hands: int
) -> tuple[list[list[FoundHand]], float]:
    """Return the hands on each film, and the seconds per film."""
    find_hands(network, films[0], _SCHEME, max_hands=hands)  # the first search also allocates memory
    started = time.perf_counter()
    found = [find_hands(network, levels, _SCHEME, max_hands=hands) for levels in films]
    return found, (time.perf_counter() - started) / len(films)


def largest_difference(one: list[list[FoundHand]], other: list[list[FoundHand]]) -> float:
    """Return the largest distance of the centres of a joint's two boxes, in sides of the box; infinity if one is missing."""
    worst = 0.0
    for some, others in zip(one, other, strict=True):
        if [(hand.side, sorted(hand.joints)) for hand in some] != [(hand.side, sorted(hand.joints)) for hand in others]:
            return float("inf")
        for hand, same in zip(some, others, strict=True):
            for joint, found in hand.joints.items():
                a, b = found.candidate, same.joints[joint].candidate
                worst = max(worst, float(np.hypot(a.x - b.x, a.y - b.y)) / b.size)
    return worst


def main() -> None:
    """Print the tables."""
    light, heavy = load_shipped_detector(), load_detector(SHIPPED, torch.device("cpu"))
    torch.set_num_threads(1)
    kinds = [("phantoms of one hand", draw("L"), 1), ("phantoms of both hands", draw("B"), 2)]
    kinds += [(Path(file).stem, [normalise_levels(read_film(Path(file)))], 1) for file in sys.argv[1:]]
    print("| films | joints found | OpenCV, 1 thread | OpenCV, 2 threads | torch, 1 thread | largest difference |")
    print("|---|---|---|---|---|---|")
    for name, films, hands in kinds:
        seconds: list[float] = []
        for threads in (1, 2):
            cv2.setNumThreads(threads)
            found, each = search(light, films, hands)
            seconds.append(each)
        wanted, each = search(heavy, films, hands)
        seconds.append(each)
        joints = sum(len(hand.joints) for film in found for hand in film)
        difference = largest_difference(found, wanted)
        cells = [f"{name} ({len(films)})", f"{joints} of {10 * hands * len(films)}"]
        cells += [f"{each:.2f} s" for each in seconds]
        print(f"| {' | '.join(cells)} | {difference:.1g} of a box |", flush=True)
    folder = files("ratui.detection") / "shipped"
    sizes = [len(file.read_bytes()) for file in folder.iterdir()]
    print(f"\nFiles of the networks: {sum(sizes) / 1e6:.1f} MB. OpenCV {cv2.__version__}, torch {torch.__version__}.")


if __name__ == "__main__":
    main()
