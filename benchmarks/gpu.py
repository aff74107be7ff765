"""Measure training steps of scorer and detector on a GPU.

Run ``python -m benchmarks.gpu scorer|detector [--batch N] [--amp] [--compile] [--json FILE]``.

The steps are those of `trainer.training.loop.Training`, with batches from the cache and their augmentation. A few more
steps run under the profiler, which counts the synchronisations and copies of a step. With ``--device cpu`` only the time
is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from torch import nn
from torch.profiler import ProfilerActivity, profile

from ratui.scheme import load_scheme
from trainer.data.hands import HandSamples
from trainer.data.pairs import PAIR_CROP_SIZE, PairSamples
from trainer.data.phantoms import simulate_hands
from trainer.models.detector import build_detector
from trainer.models.scorer import PairScorer
from trainer.training.detector_batches import make_detector_batches
from trainer.training.detector_training import detector_batch_loss
from trainer.training.loop import Batches, BatchLoss, Training, TrainingPlan
from trainer.training.processes import ProcessGroup
from trainer.training.scorer_training import make_batch_loss, make_scorer_batches

_WARM_UP, _PROFILED = 12, 5
_DISTINCT_HANDS = 32


class StepMeter:
    """Times the steps of a training and counts what they ask of the GPU.

    It wraps the batches of a training: the first steps warm up, `timed` steps are timed, the last run under the profiler.
    """

    def __init__(self, device: torch.device, timed: int) -> None:
        self.device, self.timed = device, timed
        self.total = _WARM_UP + timed + _PROFILED * (device.type == "cuda")
        self.done = 0
        self.result: dict[str, Any] = {}
        self._utilisation: list[int] = []
        self._open = contextlib.ExitStack()

    def wrap(self, batches: Batches) -> Batches:
        """Return `batches` with a measurement between the steps."""

        def measured(epoch: int, group: ProcessGroup) -> Iterator[Any]:
            for batch in batches(epoch, group):
                self._reach(self.done)
                yield batch
                self.done += 1
                if self.done == self.total:
                    self._reach(self.done)
                    return

        return measured

    def _reach(self, step: int) -> None:
        gpu = self.device.type == "cuda"
        if step not in (_WARM_UP, _WARM_UP + self.timed, self.total):
            return
        if gpu:
            torch.cuda.synchronize()
        if step == _WARM_UP:
            if gpu:
                torch.cuda.reset_peak_memory_stats()
                self._open.enter_context(sample_utilisation(self._utilisation))
            self._begun = time.perf_counter()
        elif step == _WARM_UP + self.timed:
            self.result["step_ms"] = 1000 * (time.perf_counter() - self._begun) / self.timed
            self._open.close()
            if gpu:
                self.result["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
                self.result["utilisation"] = float(np.mean(self._utilisation)) if self._utilisation else None
                self._profiler = profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA])
                self._profiler.start()
                self._begun = time.perf_counter()
        else:
            wall = time.perf_counter() - self._begun
            self._profiler.stop()
            self.result.update(count_gpu_work(self._profiler, wall))


@contextlib.contextmanager
def sample_utilisation(values: list[int]) -> Iterator[None]:
    """Append the GPU utilisation in per cent to `values`, ten times a second; nothing if the driver does not report it."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            try:
                values.append(torch.cuda.utilization())
            except (RuntimeError, ModuleNotFoundError):
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def count_gpu_work(profiler: profile, wall: float) -> dict[str, Any]:
    """Return the counts per step of kernels, copies and waits, and the share of the time `wall` in which kernels ran."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    counts: Counter[str] = Counter()
    busy = waited = 0.0
    for event in events:
        kind, name = event.get("cat", ""), str(event.get("name", ""))
        if kind in ("kernel", "gpu_memset"):
            counts["kernels"] += 1
            busy += event["dur"]
        elif kind == "gpu_memcpy":
            counts[f"copies {name.split('(')[0].removeprefix('Memcpy').strip()}"] += 1
            counts["copies from pageable memory"] += "Pageable ->" in name
            busy += event["dur"]
        elif kind == "cuda_runtime" and "Synchronize" in name:
            counts["waits"] += 1
            waited += event["dur"]
    per_step = {name: round(count / _PROFILED, 1) for name, count in sorted(counts.items())}
    return {
        "per_step": per_step,
        "kernel_ms": busy / 1000 / _PROFILED,
        "wait_ms": waited / 1000 / _PROFILED,
        "profiled_step_ms": 1000 * wall / _PROFILED,
    }


def random_pairs(count: int) -> PairSamples:
    """Return `count` joints of noise with three raters' scores: the speed does not depend on the content."""
    rng = np.random.default_rng(0)
    names = ("",) * count
    labels = rng.integers(-1, 4, (count, 3, 2, 2))
    return PairSamples(
        rng.integers(0, 256, (count, 2, PAIR_CROP_SIZE, PAIR_CROP_SIZE), np.uint8),
        labels,
        np.full((count, 2), 4),
        rng.integers(0, 2, count),
        np.zeros((count, 3, 2), bool),
        names,
        names,
        ("PIP", "MCP"),
        ("ERO", "JSN"),
    )


def repeat_hands(samples: HandSamples, times: int) -> HandSamples:
    """Return the hands of `samples`, each `times` times."""
    return replace(
        samples,
        images=np.tile(samples.images, (times, 1, 1)),
        boxes=np.tile(samples.boxes, (times, 1, 1)),
        findings=np.tile(samples.findings, (times, 1)),
        frames=samples.frames * times,
        cases=samples.cases * times,
        films=samples.films * times,
        sides=samples.sides * times,
    )


def make_task(
    what: str, batch: int, device: torch.device, cache: Path, backbone: str
) -> tuple[nn.Module, Batches, BatchLoss]:
    """Return the network, batches and loss of the training `what`."""
    if what == "scorer":
        pairs = random_pairs(16 * batch)
        scorer = PairScorer(pairs.grades, len(pairs.group_names), raters=3)
        return scorer, make_scorer_batches(pairs, batch, 0, device), make_batch_loss(scorer, "pair", 0.0)
    hands = simulate_hands(_DISTINCT_HANDS, cache, lambda *_: None, scheme=load_scheme("mtss-hands"), seed=1)
    hands = repeat_hands(hands, max(8 * batch // _DISTINCT_HANDS, 1))
    return build_detector(backbone=backbone), make_detector_batches([hands], batch, 0, device), detector_batch_loss


def time_batches(batches: Batches, device: torch.device, count: int) -> float:
    """Return the milliseconds that one batch takes without a training step."""
    source = iter_batches(batches)
    for _ in range(3):
        next(source)
    synchronize: Callable[[], None] = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    synchronize()
    begun = time.perf_counter()
    for _ in range(count):
        next(source)
    synchronize()
    return 1000 * (time.perf_counter() - begun) / count


def iter_batches(batches: Batches) -> Iterator[Any]:
    """Yield batches without end."""
    epoch = 0
    while True:
        yield from batches(epoch, ProcessGroup())
        epoch += 1


def main(arguments: Iterable[str] | None = None) -> None:
    """Measure one training and print a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("scorer", "detector"))
    parser.add_argument("--batch", type=int, help="samples in a batch; 64 joints or 16 hands if not given")
    parser.add_argument("--amp", action="store_true", help="train in bfloat16")
    parser.add_argument("--compile", action="store_true", help="compile the network")
    parser.add_argument("--backbone", default="small", help="of the detector")
    parser.add_argument("--steps", type=int, default=60, help="timed steps")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "ratui-benchmark-hands")
    parser.add_argument("--json", type=Path, help="file to append the line to")
    options = parser.parse_args(None if arguments is None else list(arguments))
    device = torch.device(options.device)
    batch = options.batch or (64 if options.what == "scorer" else 16)
    torch.manual_seed(0)
    model, batches, batch_loss = make_task(options.what, batch, device, options.cache, options.backbone)
    meter = StepMeter(device, options.steps)
    plan = TrainingPlan(epochs=10**6, steps=meter.total, amp=options.amp, compile=options.compile)
    begun = time.perf_counter()
    Training(model, plan, device).run(meter.wrap(batches), batch_loss)
    found = {
        "what": options.what,
        "backbone": options.backbone if options.what == "detector" else None,
        "batch": batch,
        "amp": options.amp,
        "compile": options.compile,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "samples_per_second": 1000 * batch / meter.result["step_ms"],
        "batch_only_ms": time_batches(batches, device, min(options.steps, 20)),
        "seconds": time.perf_counter() - begun,
        **meter.result,
    }
    line = json.dumps({name: round(value, 3) if isinstance(value, float) else value for name, value in found.items()})
    print(line, flush=True)
    if options.json:
        with options.json.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
