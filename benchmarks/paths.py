"""Count the files of three paths through the code: ``python -m benchmarks.paths [--list]``.

Each path is run once under Python's profiler:

1. from a key press to the disk: one digit on the scoring screen, until the entry is synced;
2. from an import to the screen: films of a case are imported, the case is opened, both films are drawn;
3. from a label to the loss: signed readings become samples, and the batches of one epoch become losses.

The first two count the files of ``ratui`` in which any function is called meanwhile, whatever it does. The import of a
module is not a call.

The third counts the files of ``trainer`` through which labels pass: a function there has an array of labels as an argument,
a variable or a result, or in a tuple or record that is one of these. It does not count files that run beside the labels: the
run folder, the cache of the crops, and the network, which gets the crops only. Their number is printed too.

With ``--list`` the files are printed in the order of their first call.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


class Tracer:
    """The files of a package whose functions are called while it records, in any thread that starts after it."""

    def __init__(self, package: str) -> None:
        self._prefix = str(ROOT / package) + "/"
        self._calls: dict[str, None] = {}
        self._records = False
        self.at_last_sync: tuple[str, ...] = ()
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

    @property
    def files(self) -> tuple[str, ...]:
        """Return the files in the order of their first call."""
        return tuple(self._calls)

    @contextmanager
    def record(self) -> Iterator[None]:
        """Record calls until the block ends."""
        self._records = True
        try:
            yield
        finally:
            self._records = False

    def _profile(self, frame: FrameType, event: str, argument: Any) -> None:
        if not self._records:
            return
        if frame.f_code.co_filename.startswith(self._prefix) and self._counts(frame, event, argument):
            self._calls[frame.f_code.co_filename.removeprefix(str(ROOT) + "/")] = None
        elif event == "c_call" and getattr(argument, "__name__", "") == "fsync":
            self.at_last_sync = self.files

    def _counts(self, frame: FrameType, event: str, argument: Any) -> bool:
        """Return True if the event is a call that puts its file on the path."""
        return event == "call" and frame.f_code.co_name != "<module>"


class LabelTracer(Tracer):
    """The files through whose functions labels pass. `called` are all files whose functions are called."""

    def __init__(self, package: str) -> None:
        self.called: set[str] = set()
        super().__init__(package)

    def _counts(self, frame: FrameType, event: str, argument: Any) -> bool:
        self.called.add(frame.f_code.co_filename)
        return event == "return" and any(map(contains_labels, (*frame.f_locals.values(), argument)))


def contains_labels(value: object) -> bool:
    """Return True if `value` is an array of labels, (N, raters, scales, 2), or a tuple or record that has one.

    No other array of the trainer has 64-bit integers and four axes.
    """
    if isinstance(value, tuple):
        return any(map(contains_labels, value))
    if is_dataclass(value) and not isinstance(value, type):
        return any(contains_labels(getattr(value, field.name)) for field in fields(value))
    return getattr(value, "ndim", 0) == 4 and str(getattr(value, "dtype", "")).endswith("int64")


def copy_of_sample(folder: Path) -> Path:
    """Return a copy of the sample study in `folder`."""
    shutil.copytree(ROOT / "sample_data" / "study", folder / "study")
    return folder / "study"


async def trace_key(folder: Path) -> Tracer:
    """Press a digit on the scoring screen and wait until the entry is saved and shown."""
    from ratui.study import Study
    from tests.tui.conftest import reading_as, settle

    tracer = Tracer("ratui")
    async with reading_as(Study.open(copy_of_sample(folder)), "you", size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("enter")
        await settle(pilot)
        with tracer.record():
            await pilot.press("0")
            await settle(pilot)
    return tracer


async def trace_case(folder: Path) -> Tracer:
    """Import the films of a case, then open it and wait until both films are drawn."""
    from ratui.study import InProcessConverter, Study, import_films
    from tests.films import confirm_template, hospital
    from tests.tui.conftest import reading_as, settle

    study = Study.create(folder / "study", "fingers", ["anna"])
    films = hospital(folder / "films")
    tracer = Tracer("ratui")
    with tracer.record():
        import_films(study, [films], key=folder / "key.json", converter=InProcessConverter())
    imported = tracer.files
    for case in study.cases():
        confirm_template(study, case, "anna")
    async with reading_as(study, "anna", size=(120, 40)) as pilot:
        await settle(pilot)
        with tracer.record():
            await pilot.press("enter")
            await settle(pilot)
    print(f"   import {len(imported)} files, open {len(set(tracer.files) - set(imported))} more")
    return tracer


def trace_loss(folder: Path) -> Tracer:
    """Train the scorer for one epoch on the signed readings of the sample study."""
    import torch

    from ratui.study import Study
    from trainer.training.loop import TrainingPlan
    from trainer.training.processes import join_processes
    from trainer.training.runs import RunPlan
    from trainer.training.scorer_training import train_scorer

    study = Study.open(copy_of_sample(folder))
    tracer = LabelTracer("trainer")
    device = torch.device("cpu")
    with tracer.record(), join_processes(device) as group:
        train_scorer(study, folder / "run", RunPlan(training=TrainingPlan(epochs=1), batch=32), device, group)
    print(f"   {len(tracer.called)} files run while labels become losses")
    return tracer


def main() -> None:
    """Trace the three paths and print how many files each touches."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = [folder / part for part in ("key", "case", "loss")]
        for part in parts:
            part.mkdir()
        key = asyncio.run(trace_key(parts[0]))
        report("key press → disk", key.at_last_sync)
        report("import → screen", asyncio.run(trace_case(parts[1])).files)
        report("label → loss", trace_loss(parts[2]).files)


def report(title: str, files: tuple[str, ...]) -> None:
    """Print how many files a path touches, and with ``--list`` which."""
    print(f"{title}: {len(files)} files")
    if "--list" in sys.argv:
        for file in files:
            print(f"   {file}")


if __name__ == "__main__":
    main()
