"""Count the operator calls, copies and waits of a training step on a GPU, without a GPU.

Run ``python -m benchmarks.operations [--against REVISION …]``.

A pretended GPU computes on the CPU and counts what reaches it. With ``--against`` the trainers of git revisions are counted
beside the present one, each in its own process. `benchmarks.gpu` measures times on a real GPU.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent.parent
TASKS = (("scorer", 64, ""), ("detector", 16, "small"), ("detector", 16, "ssdlite"))
"""Trained models, with the default batch of the command and the backbone."""
KINDS = ("operators", "copies to the GPU", "copies from the GPU", "waits")


def random_hands(count: int) -> Any:
    """Return `count` hands of noise with 14 boxes each."""
    from ratui.detection.finger_joints import FINE_SIZE
    from trainer.data.hands import HandSamples

    rng, names = np.random.default_rng(0), ("",) * count
    centres = rng.uniform(40, 280, (count, 14, 2))
    return HandSamples(
        rng.integers(0, 256, (count, FINE_SIZE, FINE_SIZE), np.uint8),
        np.concatenate([centres - 10, centres + 10], axis=-1).astype(np.float32),
        rng.integers(0, 2, (count, 14)).astype(np.float32),
        np.array([0] * 9 + [1] * 5),
        (None,) * count,  # type: ignore[arg-type]
        names,
        names,
        names,
        ("",) * 14,
    )


def count_task(what: str, batch: int, backbone: str) -> dict[str, float]:
    """Return the counts of a step of the training `what`, by the trainer that Python finds."""
    import torch

    from benchmarks.gpu import random_pairs
    from tests.support.pretended_gpu import count_step
    from trainer.models.detector import build_detector
    from trainer.models.scorer import PairScorer
    from trainer.training.detector_batches import make_detector_batches
    from trainer.training.detector_training import detector_batch_loss
    from trainer.training.scorer_training import make_batch_loss, make_scorer_batches

    torch.manual_seed(0)
    if what == "scorer":
        pairs = random_pairs(5 * batch)
        scorer = PairScorer(pairs.grades, len(pairs.group_names), raters=3, width=8)
        loss = make_batch_loss(scorer, "pair", 0.5)
        return count_step(scorer, lambda device: make_scorer_batches(pairs, batch, 0, device), loss)[0]
    hands, detector = random_hands(5 * batch), build_detector(backbone=backbone)
    return count_step(detector, lambda device: make_detector_batches([hands], batch, 0, device), detector_batch_loss)[0]


def count_tree(root: Path) -> list[dict[str, float]]:
    """Return the counts of all `TASKS` by the trainer in the source tree `root`."""
    paths = os.pathsep.join(map(str, (root, HERE)))  # the pretended GPU is that of this tree
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(__file__).resolve()), "--count"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    counted: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return counted


def extract(revision: str, into: Path) -> Path:
    """Write the trainer of a git revision to `into`, and return it."""
    command = ["git", "archive", revision, "ratui", "trainer", "benchmarks"]
    archive = subprocess.run(command, cwd=HERE, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(into, filter="data")
    return into


def main() -> None:
    """Print the counts as a table, of the present trainer and of the given revisions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", action="append", default=[], help="a git revision to count beside this tree")
    parser.add_argument("--count", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.count:
        print(json.dumps([count_task(*task) for task in TASKS]))
        return
    with tempfile.TemporaryDirectory() as folder:
        counted = [count_tree(extract(each, Path(folder) / each)) for each in options.against]
    counted.append(count_tree(HERE))
    print("| training | batch | of a step | " + " | ".join([*options.against, "now"]) + " |")
    print("|---" * (3 + len(counted)) + "|")
    for number, (what, batch, backbone) in enumerate(TASKS):
        for kind in KINDS:
            cells = " | ".join(f"{each[number].get(kind, 0):g}" for each in counted)
            print(f"| {' '.join((what, backbone)).strip()} | {batch} | {kind} | {cells} |")


if __name__ == "__main__":
    main()
