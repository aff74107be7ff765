"""Measure the number of joints per second that the scorer learns from.

Run ``python benchmarks/training.py [PATIENTS]``.

ratui's loader (crops written once to a memory-mapped file, augmentation in batches) is compared with a plain DataLoader that
opens the films of each joint again, in one run on one machine. On a GPU the run also measures mixed precision,
``torch.compile`` and GPU utilisation.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ratui.demo.simulate import Simulation, simulate_study
from ratui.imaging import Box, normalize_intensity
from ratui.study import FilmRecord, Study
from trainer.data.pair_augmentation import augment_pairs
from trainer.data.pairs import PairSamples, crop_joint, load_pair_samples
from trainer.models.losses import count_labelled, scorer_loss
from trainer.models.scorer import PairScorer

BATCH = 64
Batch = tuple[Tensor, Tensor, Tensor, Tensor]


class FilmsEachTime(Dataset[Batch]):
    """The joints as a simple loader reads them: for every joint both films are opened, stretched, cropped and rotated."""

    def __init__(self, study: Study, samples: PairSamples) -> None:
        self.study, self.samples = study, samples
        self.places: list[tuple[str, list[tuple[FilmRecord, Box]], bool]] = []
        for case, key in zip(samples.cases, samples.sites, strict=True):
            site, films = study.scheme.site(key), study.case(case)
            regions = {(r.site, r.film): r.box for r in study.regions(case)}
            pair = []
            for t in (0, 1):
                film = films.film(t, site.side, site.part, study.scheme)
                assert film is not None
                box = regions[key, film.id]
                assert box is not None
                pair.append((film, box))
            self.places.append((case, pair, site.side == "R"))

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, row: int) -> Batch:
        case, pair, mirrored = self.places[row]
        crops = []
        for record, box in pair:
            film = self.study.film(case, record.id)
            levels = normalize_intensity(film.pixels)
            crops.append(crop_joint(np.float32(1) - levels if film.is_inverted else levels, box, mirrored))
        images = torch.from_numpy(np.stack(crops))[None].float() / 255
        moved = augment_pairs(images, torch.Generator().manual_seed(row))[0]
        s = self.samples
        return moved, torch.tensor(s.groups[row]), torch.from_numpy(s.labels[row]), torch.from_numpy(s.max_grades[row])


def ours(samples: PairSamples, device: torch.device) -> Iterator[Batch]:
    """Yield batches as `trainer.training.runs` makes them."""
    labels, max_grades = torch.from_numpy(samples.labels), torch.from_numpy(samples.max_grades)
    groups, epoch = torch.from_numpy(samples.groups), 0
    while True:
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(epoch))
        for part in torch.split(order, BATCH):
            crops = torch.from_numpy(samples.crops[part.numpy()]).to(device).float() / 255
            generator = torch.Generator().manual_seed(epoch)
            where = (groups[part].to(device), labels[part].to(device), max_grades[part].to(device))
            yield augment_pairs(crops, generator), *where
        epoch += 1


def rate(
    batches: Iterator[Batch],
    samples: PairSamples,
    device: torch.device,
    seconds: float,
    *,
    learn: bool,
    amp: bool = False,
    compiled: bool = False,
) -> float:
    """Return joints per second over `seconds` after a first batch; with `learn`, each batch takes a step of the scorer."""
    model = PairScorer(samples.grades, len(samples.group_names), raters=samples.labels.shape[1]).to(device)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    step: Callable[..., list[Tensor]] = torch.compile(model) if compiled else model
    optimiser = torch.optim.AdamW(model.parameters())
    seen, begun = 0, 0.0
    warm = 12 if compiled else 1
    for number, (crops, groups, labels, max_grades) in enumerate(batches):
        if learn:
            with torch.autocast(device.type, torch.bfloat16, enabled=amp):
                pairs = step(crops.to(device), groups.to(device), max_grades.to(device))
                loss = scorer_loss(pairs, labels.to(device), name="pair", difference=0.0, count=count_labelled(labels))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        if number < warm:
            begun = time.perf_counter()
            continue
        seen += len(crops)
        if time.perf_counter() - begun > seconds:
            break
    return seen / (time.perf_counter() - begun)


def repeat(loader: DataLoader[Batch]) -> Iterator[Batch]:
    """Yield the batches of `loader` without end."""
    while True:
        yield from loader


def on_cpu(study: Study, samples: PairSamples) -> None:
    """Compare ratui's loader with the plain one and print a table."""
    cpu = torch.device("cpu")
    threads = torch.get_num_threads()
    workers = max(threads - 1, 0)
    plain: DataLoader[Batch] = DataLoader(
        FilmsEachTime(study, samples), BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    print(f"{threads} threads, {workers} workers for the plain loader, {len(samples.crops)} joints\n")
    print("| joints a second | plain DataLoader | ours | ratio |\n|---|---|---|---|")
    for learn, name in ((False, "batches alone"), (True, "with a step of the scorer")):
        slow = rate(repeat(plain), samples, cpu, 10.0, learn=learn)
        fast = rate(ours(samples, cpu), samples, cpu, 10.0, learn=learn)
        print(f"| {name} | {slow:.1f} | {fast:.1f} | {fast / slow:.0f} × |", flush=True)


def on_gpu(samples: PairSamples) -> None:
    """Print the speed and utilisation of a GPU, with and without mixed precision and compilation."""
    if not torch.cuda.is_available():
        print("\nGPU: skipped, there is none here (torch.cuda.is_available() is false).")
        return
    device = torch.device("cuda")
    print(f"\n{torch.cuda.get_device_name()}\n\n| AMP | torch.compile | joints a second | busy |\n|---|---|---|---|")
    for amp in (False, True):
        for compiled in (False, True):
            busy: list[int] = []
            done = threading.Event()
            watcher = threading.Thread(target=_watch, args=(busy, done))
            watcher.start()
            speed = rate(ours(samples, device), samples, device, 10.0, learn=True, amp=amp, compiled=compiled)
            done.set()
            watcher.join()
            shown = f"{np.mean(busy):.0f} %" if busy else "not reported"
            print(f"| {'on' if amp else 'off'} | {'on' if compiled else 'off'} | {speed:.0f} | {shown} |", flush=True)
    alone = rate(ours(samples, device), samples, device, 5.0, learn=False)
    print(f"\nBatches alone: {alone:.0f} joints a second. The lower of the two is the limit.")


def _watch(busy: list[int], done: threading.Event) -> None:
    """Record the GPU utilisation twice a second; nothing if the driver does not report it."""
    while not done.wait(0.5):
        try:
            busy.append(torch.cuda.utilization())
        except (RuntimeError, ModuleNotFoundError):
            return


def main() -> None:
    """Create a study of phantom patients and measure both loaders."""
    patients = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    quiet = lambda *_: None  # noqa: E731
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        what = Simulation(patients, {"ada": "shared-shift", "ben": "mixed"})
        study = simulate_study(folder / "study", what, key=folder / "key.json", progress=quiet).study
        begun = time.perf_counter()
        samples = load_pair_samples(study, study.cases(), folder / "samples", quiet)
        spent = time.perf_counter() - begun
        print(f"{patients} patients; the cache was made in {spent:.1f} s ({len(samples.crops) / spent:.0f} joints/s)")
        on_cpu(study, samples)
        on_gpu(samples)


if __name__ == "__main__":
    main()
