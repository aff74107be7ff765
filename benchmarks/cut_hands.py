"""Measure the names of joints on hands that the border of the film cuts off: ``python -m benchmarks.cut_hands [HANDS]``.

Each simulated hand is severely ill and cut so that six, seven or eight finger joints are left, at the top, the left or the
right. It is searched with the lower cost of missing joints outside of the film, and without it. A joint counts as right if a
box with its name and side lies less than half a box off.
"""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np
import numpy.typing as npt

from ratui.detection import joint_naming
from ratui.detection.finger_joints import make_joint_template
from ratui.detection.hand_finder import find_hands
from ratui.detection.onnx_networks import load_shipped_detector
from ratui.phantom import render, simulate_patient
from ratui.scheme import load_scheme

SCHEME = load_scheme("mtss-hands")
_SEED = 777
_WRONG = 3
_Places = dict[str, tuple[float, float, float]]
_Levels = npt.NDArray[np.float32]


def cut(levels: _Levels, places: _Places, left: int, how: str) -> tuple[_Levels, _Places]:
    """Return the film with `left` joints, and the centres (x, y) and sides of their boxes."""
    axis = 1 if how == "top" else 0
    along = sorted(place[axis] for place in places.values())
    if how == "right":
        edge = int((along[left - 1] + along[left]) / 2)
        return levels[:, :edge].copy(), {name: place for name, place in places.items() if place[0] < edge}
    edge = int((along[-left - 1] + along[-left]) / 2)
    kept = {name: place for name, place in places.items() if place[axis] > edge}
    if how == "top":
        return levels[edge:].copy(), {name: (x, y - edge, size) for name, (x, y, size) in kept.items()}
    return levels[:, edge:].copy(), {name: (x - edge, y, size) for name, (x, y, size) in kept.items()}


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    network, known = load_shipped_detector(), set(make_joint_template(SCHEME))
    present = joint_naming._CUT_OFF_COST
    results: Counter[tuple[int, bool, str]] = Counter()
    for seed in range(count):
        rng = np.random.default_rng([_SEED, seed])
        patient = simulate_patient(rng, SCHEME, severity=(4.0, 2.0)[seed % 2])
        film = render(patient, "R" if seed % 2 else "L", 1, rng, size=(560, 460))
        places = {key: (*box.centre, box.width) for key, box in film.boxes.items() if key[2:] in known}
        for number, left in enumerate((6, 7, 8)):
            how = ("top", "left", "right")[(seed + number) % 3]
            levels, truth = cut(film.pixels.astype(np.float32) / np.float32(4095), places, left, how)
            for is_now in (False, True):
                joint_naming._CUT_OFF_COST = present if is_now else joint_naming._MISSING_COST
                hands = find_hands(network, levels, SCHEME, rotations=(0,))
                wrong = 0
                for hand in hands:
                    for joint, found in hand.joints.items():
                        x, y, size = truth.get(f"{hand.side}.{joint}", (np.inf, np.inf, 1.0))
                        wrong += np.hypot(found.candidate.x - x, found.candidate.y - y) >= 0.5 * size
                results[left, is_now, "found"] += bool(hands)
                results[left, is_now, "wrong"] += wrong >= _WRONG
    for left in (6, 7, 8):
        cells = [results[left, is_now, kind] for is_now in (False, True) for kind in ("found", "wrong")]
        print(f"| {left} | {count} | {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
