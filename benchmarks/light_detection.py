"""Measure the detector of the installation without torch: ``python -m benchmarks.light_detection [FILM ...]``.

It prints seconds per film with OpenCV on one and two threads and with torch on one, the largest difference of their boxes,
and the sizes of the files. The films are phantoms of one hand and of both hands, upright,
a film of noise, and the given ones (DICOM files or pictures). All sites are searched, those of wrists as well.
"""

from __future__ import annotations

import argparse
import time
from importlib.resources import files
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
from ratui.imaging import Film, read_film
from ratui.phantom import render, simulate_patient
from ratui.scheme import load_scheme
from trainer.models.detector import load_detector
from trainer.shipped import SHIPPED

_SCHEME = load_scheme("mtss-hands")
_SEED = 71_003


def draw(side: str, count: int) -> list[npt.NDArray[np.float32]]:
    """Return the grey levels of phantom films at a usual resolution, 0.15 mm."""
    levels = []
    for number in range(count):
        patient = simulate_patient(np.random.default_rng([_SEED, number]), _SCHEME)
        size = (1600, 2600) if side == "B" else (1600, 1300)
        film = render(patient, side, 0, np.random.default_rng([_SEED, number, 1]), size=size)  # type: ignore[arg-type]
        levels.append(normalise_levels(Film(film.pixels, 12)))
    return levels


def draw_noise() -> npt.NDArray[np.float32]:
    """Return a film without a hand: smooth noise."""
    noise = np.random.default_rng(_SEED).random((1600, 1300)).astype(np.float32)
    noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), 5))
    return np.asarray((noise - noise.min()) / (noise.max() - noise.min()), np.float32)


def read(path: Path) -> npt.NDArray[np.float32]:
    """Return the grey levels of a DICOM file or a picture."""
    if path.suffix == ".dcm":
        return normalise_levels(read_film(path))
    return np.asarray(Image.open(path).convert("L"), np.float32) / np.float32(255)


def search(
    network: SiteNetworks, films: list[npt.NDArray[np.float32]], hands: int
) -> tuple[list[list[FoundHand]], float]:
    """Return the hands on each film, and the seconds per film."""
    find_sites(network, films[0], _SCHEME, max_hands=hands)  # the first search also allocates memory
    started = time.perf_counter()
    found = [find_sites(network, levels, _SCHEME, max_hands=hands) for levels in films]
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("films", nargs="*", type=Path)
    parser.add_argument("--phantoms", type=int, default=8, help="phantoms of each kind")
    arguments = parser.parse_args()
    light, heavy = load_shipped_detector(), load_detector(SHIPPED, torch.device("cpu"))
    torch.set_num_threads(1)
    kinds = [("phantoms of one hand", draw("L", arguments.phantoms), 1)]
    kinds += [("phantoms of both hands", draw("B", arguments.phantoms), 2), ("noise", [draw_noise()], 1)]
    kinds += [(path.stem, [read(path)], 1) for path in arguments.films]
    print("| films | sites found | OpenCV, 1 thread | OpenCV, 2 threads | torch, 1 thread | largest difference |")
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
        cells = [f"{name} ({len(films)})", f"{joints} of {22 * hands * len(films) * (name != 'noise')}"]
        cells += [f"{each:.2f} s" for each in seconds]
        print(f"| {' | '.join(cells)} | {difference:.1g} of a box |", flush=True)
    folder = files("ratui.detection") / "shipped"
    sizes = [len(file.read_bytes()) for file in folder.iterdir()]
    print(f"\nFiles of the networks: {sum(sizes) / 1e6:.1f} MB. OpenCV {cv2.__version__}, torch {torch.__version__}.")


if __name__ == "__main__":
    main()
