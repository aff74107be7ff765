"""Agreement of exported models with torch on simulated films.

``python -m benchmarks.onnx_agreement [--films 100] [--detector RUN] [--scorer RUN]`` exports a detector (by default the one
that comes with ratui) and a scorer (by default one that it trains for a moment on a simulated study), and compares ONNX
Runtime with torch: each network by itself, and the joints that ``docs/run_onnx.py`` finds with those that ratui finds.
It exits with 1 if anything differs by more than 0.0001.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from ratui.demo.simulate import Simulation, simulate_study
from ratui.detection.finger_joints import COARSE_SIZE
from ratui.scheme import load_scheme
from trainer.data.phantoms import simulate_hands
from trainer.inference.onnx_export import LIMIT, build_models, measure_agreement
from trainer.models.detector import detect, load_detector
from trainer.shipped import SHIPPED
from trainer.training.loop import TrainingPlan
from trainer.training.processes import SINGLE_PROCESS
from trainer.training.runs import RunPlan
from trainer.training.scorer_training import train_scorer

ROOT = Path(__file__).parents[1]
SEED = 2**20


def load_reference() -> ModuleType:
    """Return ``docs/run_onnx.py`` as a module."""
    spec = importlib.util.spec_from_file_location("run_onnx", ROOT / "docs" / "run_onnx.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def train_small_scorer(folder: Path) -> Path:
    """Train a scorer for five epochs on six simulated patients, and return its run."""
    readers = {"ada": "shared-shift", "ben": "mixed"}
    simulation = Simulation(6, readers, size=(500, 410), seed=3)
    study = simulate_study(folder / "study", simulation, key=folder / "key.json", progress=lambda *_: None).study
    plan = RunPlan(TrainingPlan(epochs=5), batch=64)
    train_scorer(study, folder / "scorer", plan, torch.device("cpu"), SINGLE_PROCESS)
    return folder / "scorer"


def compare_detections(run: Path, files: list[Path], images: np.ndarray) -> tuple[int, int, float]:
    """Return the numbers of joints that torch finds and that ONNX finds as well, and their largest difference."""
    reference, model = load_reference(), load_detector(run, torch.device("cpu"))
    boxes, refiner = (reference.Model(file) for file in files)
    count = same = 0
    worst = 0.0
    for image in images:
        wanted, found = detect(model, image[None])[0], reference.detect(boxes, refiner, image)
        count += len(wanted)
        if [each.candidate.kind for each in wanted] != [each.kind for each in found]:
            continue
        same += len(wanted)
        for one, other in zip(wanted, found, strict=True):
            places = [
                (getattr(one.candidate, name) - getattr(other, name)) / COARSE_SIZE for name in ("x", "y", "size")
            ]
            worst = max(worst, *map(abs, (*places, one.candidate.score - other.score, one.finding - other.finding)))
    return count, same, worst


def main() -> None:
    """Print the table of differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=100)
    parser.add_argument("--detector", type=Path, default=SHIPPED)
    parser.add_argument("--scorer", type=Path)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        rows: list[tuple[str, float]] = []
        detector = build_models(wanted.detector)
        scorer = build_models(wanted.scorer or train_small_scorer(folder))
        for name, models in (("detector", detector), ("scorer", scorer)):
            differences = measure_agreement(models, wanted.films, folder, seed=SEED)
            rows += [
                (
                    name + each.suffix.replace("-", ", ") + (", boxes" if len(models) > 1 and not each.suffix else ""),
                    found,
                )
                for each, found in zip(models, differences, strict=True)
            ]
        files = [folder / f"hands{each.suffix}.onnx" for each in detector]
        for file, each in zip(files, detector, strict=True):
            file.write_bytes(each.content)
        hands = simulate_hands(wanted.films, folder, lambda *_: None, scheme=load_scheme("fingers"), seed=SEED)
        count, same, worst = compare_detections(wanted.detector, files, hands.images)
    print(f"{wanted.films} films\n\n| network | largest difference |\n|---|---|")
    for name, found in rows:
        print(f"| {name} | {found:.1e} |")
    print(f"| joints found: {same} of {count} | {worst:.1e} |")
    sys.exit(same < count or max(worst, *(found for _, found in rows)) > LIMIT)


if __name__ == "__main__":
    main()
