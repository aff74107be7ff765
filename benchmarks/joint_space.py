"""Measure the errors of `ratui.imaging.joint_space_change`.

- ``python -m benchmarks.joint_space phantoms [--hands N] [--flexed] [--focal]`` measures simulated pairs of films with
  known changes.
- ``python -m benchmarks.joint_space series --folder FOLDER`` measures real series: closure (a to b to c against a to c),
  swapped films, and injected changes: one bone of a real joint is moved by a known amount.
- ``python -m benchmarks.joint_space cpu`` measures the CPU time of the 20 finger joints of a pair.

FOLDER has a folder for each series of a joint with pictures ``0.jpg``, ``1.jpg``, … and for each of them the bone masks
``0_upper.png`` (distal) and ``0_lower.png`` (proximal), as for `benchmarks.realism`. The masks are used for the injected
changes only.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.joint_space_films import JOINTS, JointPair, draw_pair
from ratui.imaging import Box, JointSpaceChange, joint_space_change

_MM, _MISSED_MM, _MISSED_PIXELS = 1.0, 0.2, 1.0
_SEED = 2_000  # of the first hand; the network was trained on other hands
_Array = npt.NDArray[np.float64]
_Grey = npt.NDArray[np.uint8]
_APART = 8.0  # smallest distance in pixels of a moved bone from the other one: it takes its margin with it


@dataclass(frozen=True)
class _Outcome:
    """A simulated joint and what was measured."""

    pair: JointPair
    found: JointSpaceChange

    @property
    def error(self) -> float:
        assert self.found.mm is not None
        return self.found.mm - self.pair.change


def measure_pair(pair: JointPair) -> JointSpaceChange:
    """Return the measured change of a simulated joint."""
    (a, b), (box_a, box_b) = pair.crops, pair.boxes
    mm_a, mm_b = pair.spacings
    return joint_space_change(a, box_a, b, box_b, spacing_a=(mm_a, mm_a), spacing_b=(mm_b, mm_b))


def describe(name: str, outcomes: list[_Outcome]) -> str:
    """Return a line of the table: number, share ok, standard deviation, robust one, bias, missed, slope, coverage."""
    good = [each for each in outcomes if each.found.is_reliable]
    share = f"| {name} | {len(outcomes)} | {100 * len(good) / max(len(outcomes), 1):.1f} % |"
    if len(good) < 3:
        return share + " | | | | | |"
    errors = np.array([each.error for each in good])
    truth = np.array([each.pair.change for each in good])
    near = np.abs(truth) <= _MM
    slope = f"{np.polyfit(truth[near], (truth + errors)[near], 1)[0]:.3f}" if near.sum() > 10 else ""
    missed = int((np.abs(errors) > _MISSED_MM).sum())
    covered = np.mean([abs(each.error) < 2 * each.found.sd for each in good])
    return (
        f"{share} {errors.std():.3f} | {1.4826 * np.median(np.abs(errors - np.median(errors))):.3f} | "
        f"{errors.mean():+.3f} | {missed} | {slope} | {100 * covered:.0f} % |"
    )


def measure_phantoms(hands: int, *, focal: bool = False, flexed: bool = False) -> None:
    """Print the tables of simulated films."""
    outcomes = [
        _Outcome(pair, measure_pair(pair))
        for number in range(hands)
        for pair in draw_pair(_SEED + number, focal=focal, flexed=flexed)
    ]
    print("| joints | number | ok | SD, mm | robust SD | bias | over 0.2 mm | slope | within 2 sd |")
    print("|---|---|---|---|---|---|---|---|---|")
    whole = [each for each in outcomes if not each.pair.is_fused]
    print(describe("all", outcomes))
    print(describe("not fused", whole))
    for joint in JOINTS:
        print(describe(joint, [each for each in whole if each.pair.joint == joint]))
    plain = [each for each in whole if not any(each.pair.findings)]
    for low, high in ((0, 0), (1, 2), (3, 5)):
        print(describe(f"ERO {low} to {high}", [each for each in plain if low <= max(each.pair.erosion) <= high]))
    for low, high in ((0, 0), (1, 1), (2, 2), (3, 4)):
        print(describe(f"JSN {low} to {high}", [each for each in plain if low <= max(each.pair.narrowing) <= high]))
    for low, high in ((-2.0, 0.3), (0.3, 0.8), (0.8, 5.0)):
        print(describe(f"smaller space {low} to {high} mm", [e for e in plain if low <= min(e.pair.spaces) < high]))
    for finding in ("ankylosis", "collapse", "subluxation", "luxation"):
        print(describe(finding, [each for each in outcomes if finding in each.pair.findings]))
    for low, high in ((0.10, 0.13), (0.13, 0.16), (0.16, 0.2001)):
        print(describe(f"{low:.2f} to {high:.2f} mm/px", [e for e in plain if low <= max(e.pair.spacings) < high]))
    print("reasons:", _count(each.found.reason for each in whole))
    for each in sorted((each for each in outcomes if each.found.is_reliable), key=lambda each: -abs(each.error))[:12]:
        pair = each.pair
        print(
            f"hand {pair.seed} {pair.joint}: error {each.error:+.2f}, spaces {np.round(pair.spaces, 2)}, {pair.findings}"
        )


def _count(names: Iterable[str]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for name in names:
        counted[name or "ok"] = counted.get(name or "ok", 0) + 1
    return counted


def read_series(folder: Path) -> dict[str, list[tuple[_Grey, _Grey, _Grey]]]:
    """Return the pictures of each series with the masks of the distal and the proximal bone."""
    series = {}
    for each in sorted(path for path in folder.iterdir() if path.is_dir()):
        pictures = []
        for number in range(len(list(each.glob("?.jpg")))):
            names = (f"{number}.jpg", f"{number}_upper.png", f"{number}_lower.png")
            loaded = [cv2.imread(str(each / name), cv2.IMREAD_GRAYSCALE) for name in names]
            pictures.append(tuple(np.asarray(image, np.uint8) for image in loaded))
        series[each.name] = pictures
    return series  # type: ignore[return-value]


def describe_pixels(name: str, errors: _Array) -> str:
    """Return a line about errors in pixels."""
    robust = 1.4826 * float(np.median(np.abs(errors)))
    missed = int((np.abs(errors) > _MISSED_PIXELS).sum())
    spread = f"SD {errors.std():.3f} px, robust {robust:.3f}"
    return f"{name}: {len(errors)}, {spread}, over 1 px {missed}, largest {np.abs(errors).max():.2f}"


def measure_series(folder: Path, margin: float) -> None:
    """Print closure, antisymmetry and injected changes of real series. The box leaves `margin` of the crop on each side."""
    series = read_series(folder)
    found: dict[tuple[str, int, int], JointSpaceChange] = {}
    swapped = []
    for name, pictures in series.items():
        box = _shrink_box(pictures[0][0], margin)
        for a, b in combinations(range(len(pictures)), 2):
            found[name, a, b] = joint_space_change(pictures[a][0], box, pictures[b][0], box)
            back = joint_space_change(pictures[b][0], box, pictures[a][0], box)
            swapped.append(found[name, a, b].pixels + back.pixels)
    good = [each.is_reliable for each in found.values()]
    print(
        f"pairs {len(found)}, ok {100 * np.mean(good):.1f} %, reasons {_count(each.reason for each in found.values())}"
    )
    print(f"swapped films: largest sum {np.nanmax(np.abs(swapped))} px")
    changes = np.array([each.pixels for each in found.values() if each.is_reliable])
    print(f"changes of the pairs that are ok: SD {changes.std():.2f} px")
    closures, expected = [], []
    for name, pictures in series.items():
        for a, b, c in combinations(range(len(pictures)), 3):
            parts = [found[name, a, b], found[name, b, c], found[name, a, c]]
            if all(part.is_reliable for part in parts):
                closures.append(parts[0].pixels + parts[1].pixels - parts[2].pixels)
                expected.append(np.sqrt(sum(part.sd**2 for part in parts)))
    print(describe_pixels("closure", np.array(closures)))
    print(f"closure within 2 sd: {100 * np.mean(np.abs(closures) < 2 * np.array(expected)):.0f} %")
    injected = [each for name, pictures in series.items() for each in inject_changes(name, pictures, margin)]
    kept = np.array([(truth, measured) for truth, measured, ok in injected if ok])
    print(f"injected changes: {len(injected)}, ok {100 * np.mean([ok for *_, ok in injected]):.1f} %")
    print(describe_pixels("error of injected changes", kept[:, 1] - kept[:, 0]))
    for low, high in ((-9.0, 9.0), (-9.0, 0.0), (0.0, 3.0), (3.0, 9.0)):
        part = kept[(kept[:, 0] >= low) & (kept[:, 0] < high)]
        if len(part) < 5:
            continue
        print(f"slope of changes from {low:g} to {high:g} px: {np.polyfit(part[:, 0], part[:, 1], 1)[0]:.3f}")


def _shrink_box(picture: _Grey, margin: float) -> Box:
    rows, columns = picture.shape
    return Box(margin * columns, margin * rows, (1 - margin) * columns, (1 - margin) * rows)


def inject_changes(
    name: str, pictures: list[tuple[_Grey, _Grey, _Grey]], margin: float
) -> list[tuple[float, float, bool]]:
    """Return (true change, measured change, ok) in pixels of joints of which one bone was moved.

    Each film is compared with a copy of itself whose distal bone was moved and turned, with other noise and exposure. The
    place of the bone is filled from its surroundings. The masks of both bones must not overlap.
    """
    rng = np.random.default_rng([len(name), *name.encode()])
    results = []
    for picture, upper, lower in pictures:
        if ((upper > 127) & (lower > 127)).any():
            continue
        change, turn = float(rng.uniform(-4.0, 6.0)), float(np.radians(rng.normal(0.0, 2.0)))
        tops, bottoms = np.nonzero((lower > 127).any(axis=1))[0], np.nonzero((upper > 127).any(axis=1))[0]
        change = max(change, min(_APART - float(tops.min() - bottoms.max()), 0.0))
        middle = np.array([float(np.nonzero(lower[tops.min() + 20] > 127)[0].mean()), float(tops.min())])
        moved = _move_bone(picture, upper, lower, middle, change, turn, float(rng.normal(0.0, 1.0)), rng)
        box = _shrink_box(picture, margin)
        measured = joint_space_change(picture, box, moved, box)
        results.append((change, measured.pixels, measured.is_reliable))
    return results


def _move_bone(
    picture: _Grey,
    upper: _Grey,
    lower: _Grey,
    middle: _Array,
    change: float,
    turn: float,
    aside: float,
    rng: np.random.Generator,
) -> _Grey:
    """Return the picture with its distal bone turned about `middle` and moved by `change` pixels away from the other one."""
    grey = picture.astype(np.float32)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    away = (cv2.dilate(upper, disc) > 127) & (cv2.dilate(lower, np.ones((3, 3), np.uint8)) <= 127)
    empty = cv2.inpaint(picture, away.astype(np.uint8), 5, cv2.INPAINT_TELEA).astype(np.float32)
    alpha = cv2.GaussianBlur(away.astype(np.float32), (0, 0), 1.0)
    c, s = np.cos(turn), np.sin(turn)
    linear = np.array([[c, -s], [s, c]])
    matrix = np.hstack([linear, (middle + np.array([aside, -change]) - linear @ middle)[:, None]])
    size = (picture.shape[1], picture.shape[0])
    bone = cv2.warpAffine(grey - empty, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(alpha, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    result = empty + alpha * bone
    result = 255 * (np.clip(result, 0, 255) / 255) ** float(np.exp(rng.normal(0, 0.15)))
    result = result * float(rng.uniform(0.85, 1.1)) + rng.normal(0, 2.0, picture.shape)
    return np.clip(result, 0, 255).astype(np.uint8)


def measure_cpu(rounds: int) -> None:
    """Print the CPU time of 20 finger joints: the joints of two simulated hands at 0.1 to 0.2 mm."""
    cv2.setNumThreads(1)
    pairs = [pair for seed in (_SEED, _SEED + 1) for pair in draw_pair(seed)]
    measure_pair(pairs[0])  # loads the network
    spent = []
    for _ in range(rounds):
        begun = time.process_time()
        for pair in pairs:
            measure_pair(pair)
        spent.append(time.process_time() - begun)
    print(f"{len(pairs)} joints: {min(spent):.2f} to {max(spent):.2f} s of CPU in {rounds} rounds")


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    phantoms = commands.add_parser("phantoms")
    phantoms.add_argument("--hands", type=int, default=220)
    phantoms.add_argument("--focal", action="store_true", help="change the shape of the bases with JSN, too")
    phantoms.add_argument("--flexed", action="store_true", help="bend the fingers differently on both films")
    series = commands.add_parser("series")
    series.add_argument("--folder", type=Path, required=True)
    series.add_argument("--margin", type=float, default=0.0, help="part of the crop outside of the box on each side")
    commands.add_parser("cpu").add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.command == "phantoms":
        measure_phantoms(arguments.hands, focal=arguments.focal, flexed=arguments.flexed)
    elif arguments.command == "series":
        measure_series(arguments.folder, arguments.margin)
    else:
        measure_cpu(arguments.rounds)


if __name__ == "__main__":
    main()
