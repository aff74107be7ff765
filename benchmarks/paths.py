"""Count the files of three paths through the code: ``python -m benchmarks.paths [--list] [--calls]``.

Each path is run once under Python's profiler:

1. from a key press to the disk: one digit on the scoring screen, until the entry is synced;
2. from an import to the screen: films of a case are imported, the case is opened, both films are drawn;
3. from a label to the loss: signed readings become samples, and the batches of one epoch become losses.

The first two count the files of ``ratui`` in which any function is called meanwhile, whatever it does. The import of a
module is not a call.

The third counts the files of ``trainer`` through which labels pass: a function there has an array of labels as an argument,
a variable or a result, or in a tuple or record that is one of these. It does not count files that run beside the labels: the
run folder, the cache of the crops, and the network, which gets the crops only. Their number is printed too.

With ``--list`` the files are printed in the order of their first call, and with ``--calls`` the functions, each with the one
that called it first. In both cases the files are compared with the reasons in ``docs/architecture.md``.
"""

from __future__ import annotations

import asyncio
import re
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
ARCHITECTURE = ROOT / "docs" / "architecture.md"


class Tracer:
    """The files of a package whose functions are called while it records, in any thread that starts after it."""

    def __init__(self, package: str) -> None:
        self._prefix = str(ROOT / package) + "/"
        self._records = False
        self.calls: dict[str, dict[str, str]] = {}
        """By file: the caller of each function."""
        self.at_last_sync: dict[str, dict[str, str]] = {}
        """The same until the last file was written to the disk."""
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

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
            functions = self.calls.setdefault(_name_file(frame), {})
            caller = frame.f_back
            functions.setdefault(
                frame.f_code.co_qualname, f"{_name_file(caller)} {caller.f_code.co_qualname}" if caller else ""
            )
        elif event == "c_call" and getattr(argument, "__name__", "") == "fsync":
            self.at_last_sync = {file: dict(functions) for file, functions in self.calls.items()}

    def _counts(self, frame: FrameType, event: str, argument: Any) -> bool:
        """Return True if the event is a call that puts its file on the path."""
        return event == "call" and frame.f_code.co_name != "<module>"


def _name_file(frame: FrameType) -> str:
    """Return the path of the code of `frame` below the project, or its name alone if it is of a library."""
    file = Path(frame.f_code.co_filename)
    return str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else file.name


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
    imported = len(tracer.calls)
    for case in study.cases():
        confirm_template(study, case, "anna")
    async with reading_as(study, "anna", size=(120, 40)) as pilot:
        await settle(pilot)
        with tracer.record():
            await pilot.press("enter")
            await settle(pilot)
    print(f"   import {imported} files, open {len(tracer.calls) - imported} more")
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
        case = asyncio.run(trace_case(parts[1]))
        report("import → screen", case.calls)
        loss = trace_loss(parts[2])
        report("label → loss", loss.calls)
    if len(sys.argv) > 1:
        compare_with_reasons({*key.at_last_sync, *case.calls, *loss.calls})


def report(title: str, calls: dict[str, dict[str, str]]) -> None:
    """Print how many files a path touches, with ``--list`` which, and with ``--calls`` their functions."""
    print(f"{title}: {len(calls)} files")
    for file, functions in calls.items():
        if "--list" in sys.argv or "--calls" in sys.argv:
            print(f"   {file}")
        if "--calls" in sys.argv:
            for function, caller in functions.items():
                print(f"      {function}  <- {caller}")


def compare_with_reasons(files: set[str]) -> None:
    """Print the files of the paths without a reason in the documentation, and those with a reason that are on no path."""
    text = ARCHITECTURE.read_text().split("## Three paths")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    stated = {name for row in rows for name in re.findall(r"`([^`]+\.py)`", row)}
    named = stated | set(re.findall(r"([a-z_/]+\.py)", text))
    is_named = {file: any(f"/{file}".endswith(f"/{name}") for name in named) for file in files}
    for file in sorted(file for file, found in is_named.items() if not found):
        print(f"without a reason in {ARCHITECTURE.name}: {file}")
    for name in sorted(name for name in stated if not any(f"/{file}".endswith(f"/{name}") for file in files)):
        print(f"on no path, but with a reason in {ARCHITECTURE.name}: {name}")


if __name__ == "__main__":
    main()
