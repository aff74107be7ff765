"""Measure the time from a key press to the display.

Run ``python -m benchmarks.frames [local] [ssh] [slow] [case] [start] [--before COMMIT] [--rounds N]``.

Without names all parts run. With ``--before`` the parts ``local``, ``ssh`` and ``case`` also measure the program of an
earlier commit, in turn with the present one.

The parts measure ratui's widget and those of textual-image in one run, in a pty and over SSH on this machine; the whole app
on a slow connection; a case at the pace of a fast rater; and the start. Times run from the key press to the last byte of
the frame, on the terminal's side. CPU times are those of the measured program; other programs change them much less.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.connections import ROOT, Wrap, checkout, ssh
from ratui.terminal import FENCE_ROW
from tests.support.fake_terminal import GRAPHICS, FakeTerminal

BEFORE: list[Path] = []
"""Folder with the program of an earlier commit, if it is measured too."""
ROUNDS = [4]
"""Number of times that each program is run, in turn with the others."""
_SWAPS = {"f": 5, "b": 6}
"""Keys measured in each run: ``f`` shows a pair for the first time, ``b`` one that was shown before."""

PROTOCOLS = ("kitty", "sixel", "halfcell")
SLOW = {"rate": 250_000.0, "delay": 0.03}  # 2 Mbit/s, 60 ms there and back
_FENCE = re.compile(rb"\x1b\[%d;\d+H\x1b\[6n" % FENCE_ROW)
"""The question that follows each frame, or the frames of both films if they are sent together."""


@dataclass
class Swaps:
    """The times in milliseconds, the CPU times in milliseconds and the bytes of one kind of swap, one value for each key."""

    times: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    @property
    def size(self) -> float:
        """Median of the bytes."""
        return statistics.median(self.sizes)

    @property
    def time(self) -> float:
        """Median of the times."""
        return statistics.median(self.times)


def measure_swaps(kind: str, protocol: str, wrap: Wrap, folder: Path, found: dict[str, Swaps]) -> None:
    """Run the program in `folder` once, and add its swaps to `found` by key: ``f`` for new pairs, ``b`` for shown ones.

    The CPU time is that of everything that the program does because of the key.
    """
    command = ["env", "-C", str(folder), f"PYTHONPATH={folder}", sys.executable, "-m", "benchmarks.frames_app"]
    terminal = FakeTerminal(wrap([*command, kind, protocol]), protocol, folder=folder, is_local=True)
    try:
        if terminal.wait_for(GRAPHICS, patience=60) is None:
            raise RuntimeError(f"{kind} shows no {protocol} image.\n{terminal.describe()}")
        terminal.burst(terminal.begun, quiet=1.0)
        for key, count in _SWAPS.items():
            for number in range(-2 if key == "b" else 0, count):
                cpu, since = terminal.cpu(), terminal.press(key)
                burst = terminal.burst(since, quiet=0.3, least=50, patience=20)
                if burst.size < 50:
                    raise RuntimeError(f"{kind} does not react to {key!r} ({protocol}).\n{terminal.describe()}")
                if number >= 0:  # the first two show pairs for the first time
                    found[key].times.append(1000 * burst.last)
                    found[key].cpu.append(1000 * (terminal.cpu() - cpu))
                    found[key].sizes.append(burst.size)
        terminal.press("q")
    finally:
        terminal.close()


def compare(title: str, wrap: Wrap, *, is_here: bool) -> None:
    """Print the times of both widgets, through `wrap`, for each protocol. Without `is_here` their CPU times are unknown."""
    print(f"\n### Two images of 40 × 20 characters, {title}; medians of {ROUNDS[0]} rounds in turn\n")
    print(
        "| | first display | CPU | bytes | relative time | swap to a shown pair | slowest | CPU | bytes | relative bytes |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for protocol in PROTOCOLS:
        programs = [("ratui", "ours", ROOT), *(("before", "ours", each) for each in BEFORE)]
        programs.append(("textual-image", "stock", ROOT))
        results = {name: {key: Swaps() for key in _SWAPS} for name, _, _ in programs}
        for _ in range(ROUNDS[0]):
            for name, kind, folder in programs:
                measure_swaps(kind, protocol, wrap, folder, results[name])
        stock = results["textual-image"]
        for name, found in results.items():
            first, again = found["f"], found["b"]
            cpu = [f"{statistics.median(each.cpu):.1f} ms" if is_here else "" for each in (first, again)]
            share = first.time / stock["f"].time
            print(
                f"| {protocol}, {name} | {first.time:.1f} ms | {cpu[0]} | {first.size:,.0f} | {share:.0%} "
                f"| {again.time:.1f} ms | {max(again.times):.0f} ms | {cpu[1]} | {again.size:,.0f} "
                f"| {again.size / stock['b'].size:.1%} |",
                flush=True,
            )


@contextmanager
def app(protocol: str, program: Path = ROOT, **line: float) -> Iterator[tuple[FakeTerminal, float]]:
    """Run ratui on a copy of the sample study; yield its terminal and the time at which the first film was displayed.

    `program` is the folder with the program, `line` the rate and the delay of a `FakeTerminal`.
    """
    from ratui.demo.sample import copy_sample

    with tempfile.TemporaryDirectory() as folder:
        study, rater, case = copy_sample(Path(folder) / "study")
        command = [sys.executable, "-m", "ratui", "read", str(study), "--rater", rater, "--case", str(case)]
        home = {"XDG_CONFIG_HOME": folder, "XDG_DATA_HOME": folder, "PYTHONPATH": str(program)}
        terminal = FakeTerminal(
            command, protocol, size=(104, 32), environment=home, folder=program, is_local=not line, **line
        )  # type: ignore[arg-type]
        try:
            first = terminal.wait_for(GRAPHICS, patience=60)
            if first is None:
                raise RuntimeError(f"ratui shows no film ({protocol}).\n{terminal.describe()}")
            yield terminal, first - terminal.begun
        finally:
            terminal.close()


def frames_after(terminal: FakeTerminal, since: float, until: float) -> list[float]:
    """Return the times in seconds after `since` at which the frames before each fence were complete."""
    with terminal._lock:
        seen = [(when, chunk) for when, chunk in terminal._log if since <= when < until]
    ends, at = [], 0
    for when, chunk in seen:
        at += len(chunk)
        ends.append((at, when - since))
    data = b"".join(chunk for _, chunk in seen)
    found, begun = [], 0
    for fence in _FENCE.finditer(data):
        if GRAPHICS.search(data, begun, fence.start()):
            found.append(next(when for end, when in ends if end >= fence.end()))
        begun = fence.end()
    return found


def slow() -> None:
    """Print the times of the whole app on a slow connection."""
    print("\n### The app on a line of 60 ms and 2 Mbit/s, in milliseconds from the key (n: the next joint)\n")
    print("| | text | both coarse frames | worst | both fine frames | bytes |\n|---|---|---|---|---|---|")
    for protocol in PROTOCOLS:
        with app(protocol, **SLOW) as (terminal, _):
            terminal.burst(terminal.begun, quiet=2.0)
            text, coarse, fine, sizes = [], [], [], []
            for _ in range(8):
                since = terminal.press("n")
                burst = terminal.burst(since, quiet=0.8, least=2000, patience=20)
                frames = frames_after(terminal, since, time.monotonic())
                text.append(1000 * burst.first)
                coarse.append(1000 * frames[0])  # one fence follows both
                fine.append(1000 * frames[-1])
                sizes.append(burst.size)
            middle = [f"{statistics.median(each):,.0f}" for each in (text, coarse, fine, sizes)]
            print(f"| {protocol} | {middle[0]} | {middle[1]} | {max(coarse):.0f} | {middle[2]} | {middle[3]} |")
            typed = []
            for _ in range(6):
                terminal.press("n")
                time.sleep(0.15)  # the next joint's films are on their way now
                since = terminal.press("0")
                shown = terminal.wait_for(re.compile(rb"last:|key was ignored"), since, patience=5)
                typed.append(1000 * (shown - since) if shown else 1e6)
                terminal.burst(since, quiet=0.8)
            print(f"| {protocol}, 0 typed meanwhile | {statistics.median(typed):.0f} | | {max(typed):.0f} | | |")


_JOINTS = 18
"""Joints read of the 20 of the sample: the last two would end the case."""
_PATIENCE = 10.0
"""Seconds after which a key has had no effect."""
_REFUSED = re.compile(rb"key was ignored")
_LOOKING = 0.25
"""Seconds that the films are displayed at least before the next key: an answer to films that nobody saw is refused."""


@dataclass
class CaseTimes:
    """Milliseconds from each key to both final frames, CPU milliseconds of the program, and bytes, until then."""

    times: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    rounds: int = 0
    refused: int = 0
    """Keys that came before the films of the joint before were complete, although the reader had waited."""


def read_case(protocol: str, program: Path, found: CaseTimes) -> None:
    """Read the case once, and add each joint to `found`.

    A key every 1/3 s is a fast reader. The next key waits for the frames of the one before, as a reader would.
    """
    found.rounds += 1
    with app(protocol, program) as (terminal, _):
        terminal.burst(terminal.begun, quiet=1.5)
        while len(found.times) < _JOINTS * found.rounds:
            cpu, since = terminal.cpu(), terminal.press("n")
            frames: list[float] = []
            # Films that were not prepared come one after the other: these are all when nothing more comes for a moment.
            while not frames or time.monotonic() < since + max(1 / 3, frames[-1] + _LOOKING):
                time.sleep(0.02)
                frames = frames_after(terminal, since, time.monotonic())
                if not frames and terminal.wait_for(_REFUSED, since, patience=0.001):
                    break
                if not frames and time.monotonic() - since > _PATIENCE:
                    raise RuntimeError(f"the next joint does not appear ({protocol}).\n{terminal.describe()}")
            if not frames:
                found.refused += 1
                time.sleep(1.0)  # a film came so late that the key was refused: a reader presses it again
                continue
            shown = since + frames[-1]
            fence = min(terminal.questions, key=lambda question: abs(question.asked - shown))
            found.times.append(1000 * frames[-1])
            found.cpu.append(1000 * (fence.cpu - cpu))
            found.sizes.append(terminal.count_bytes(since, shown))


def quantile(values: list[float], share: float) -> float:
    """Return the smallest of `values` that is not exceeded by `share` of them."""
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]


def case() -> None:
    """Print the times of a case at the pace of a fast reader, of each program in turn."""
    print(f"\n### A whole case at three keys a second, {ROUNDS[0]} rounds in turn: from the key to both final frames\n")
    print("| | joints | median | 95 % within | 99 % within | within 50 ms | CPU, median | CPU, 95 % within | bytes |")
    print("|---|---|---|---|---|---|---|---|---|")
    programs = [("ratui", ROOT), *(("before", folder) for folder in BEFORE)]
    for protocol in PROTOCOLS:
        results = {name: CaseTimes() for name, _ in programs}
        for _ in range(ROUNDS[0]):
            for name, program in programs:
                read_case(protocol, program, results[name])
        for name, found in results.items():
            times, cpu, size = found.times, found.cpu, statistics.median(found.sizes)
            print(
                f"| {protocol}, {name} | {len(times)} | {statistics.median(times):.1f} ms | {quantile(times, 0.95):.1f} ms "
                f"| {quantile(times, 0.99):.1f} ms | {sum(each <= 50 for each in times) / len(times):.0%} "
                f"| {statistics.median(cpu):.1f} ms | {quantile(cpu, 0.95):.1f} ms | {size:,.0f} |",
                flush=True,
            )
        if refused := {name: found.refused for name, found in results.items() if found.refused}:
            print(f"Keys refused because a film came late ({protocol}): {refused}")


def cpu_of(code: str) -> float:
    """Return the CPU time in seconds of a Python process that runs `code`, the least of three."""
    found = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(found)


def start() -> None:
    """Print the CPU time and the duration of the start."""
    print("\n### From the command to the first joint of the sample\n")
    print("| | processor time | on the clock |\n|---|---|---|")
    for protocol in PROTOCOLS:
        times = []
        for _ in range(3):
            with app(protocol) as (terminal, first):
                times.append((terminal.cpu(), first))
        print(f"| {protocol}, first film | {min(t for t, _ in times):.2f} s | {min(t for _, t in times):.2f} s |")
    print("\n| made of | processor time |\n|---|---|")
    steps = [
        ("Python itself", "pass"),
        ("NumPy", "import numpy"),
        ("Pillow", "import PIL.Image"),
        ("Textual", "import textual.app, textual.widgets"),
        ("pydicom", "import pydicom"),
        (
            "all of ratui that shows a joint",
            "import ratui.tui, ratui.study, ratui.tui.screens.scoring.screen, ratui.imaging.dicom_reader",
        ),
    ]
    code, before = "pass", 0.0
    for name, line in steps:
        code += f"; {line}"
        now = cpu_of(code)
        print(f"| {name} | {max(now - before, 0):.2f} s |")
        before = max(now, before)


def main() -> None:
    """Run the chosen parts."""
    parser = argparse.ArgumentParser(description="Measure the time from a key press to the display.")
    parser.add_argument("parts", nargs="*", metavar="part", help="local, ssh, slow, case or start; all by default")
    parser.add_argument("--before", metavar="COMMIT", help="an earlier commit to be measured in the same run")
    parser.add_argument(
        "--rounds", type=int, default=4, metavar="N", help="runs of each program, in turn with the others"
    )
    options = parser.parse_args()
    ROUNDS[0] = max(options.rounds, 1)
    chosen = options.parts or list(_PARTS)
    if unknown := set(chosen) - set(_PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    with ExitStack() as stack:
        if options.before:
            BEFORE.append(stack.enter_context(checkout(options.before)))
        for name, part in _PARTS.items():
            if name in chosen:
                part()
                # Other programs lengthen the times; CPU times depend on them much less.
                print(
                    f"\nLoad average of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True
                )


def local() -> None:
    """Compare the widgets in a pty."""
    compare("in a pty", list, is_here=True)


def over_ssh() -> None:
    """Compare the widgets over SSH, where it is installed."""
    with ExitStack() as stack:
        try:
            wrap = stack.enter_context(ssh())
        except RuntimeError as reason:
            print(f"\nOver SSH: skipped, {reason}")
            return
        compare("over SSH on this machine", wrap, is_here=False)


_PARTS: dict[str, Callable[[], None]] = {"local": local, "ssh": over_ssh, "slow": slow, "case": case, "start": start}

if __name__ == "__main__":
    main()
