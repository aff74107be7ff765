"""Measure the time from a key press to the display.

Run ``python -m benchmarks.frames [local] [ssh] [slow] [case] [start] [--before COMMIT]``; all parts by default.

With ``--before`` the parts ``local``, ``ssh`` and ``case`` also measure the program of an earlier commit, in turn with the
present one.

The parts measure ratui's widget and those of textual-image in one run, in a pty and over SSH on this machine; the whole app
on a slow connection; a case at the pace of a fast rater; and the start. Times run from the key press to the last byte of
the frame, on the terminal's side.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ratui.terminal import FENCE_ROW
from tests.support.fake_terminal import GRAPHICS, FakeTerminal

ROOT = Path(__file__).resolve().parents[1]
BEFORE: list[Path] = []
"""Folder with the program of an earlier commit, if it is measured too."""
FRESH = 10  # pairs that ``frames_app`` has never shown

PROTOCOLS = ("kitty", "sixel", "halfcell")
SLOW = {"rate": 250_000.0, "delay": 0.03}  # 2 Mbit/s, 60 ms there and back
_FENCE = re.compile(rb"\x1b\[%d;\d+H\x1b\[6n" % FENCE_ROW)
"""The question that follows each frame, or the frames of both films if they are sent together."""
Wrap = Callable[[Sequence[str]], list[str]]


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """Yield a folder with the files of `commit`, which exists until the end of the block."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "ratui"
        git = ["git", "-C", str(ROOT)]
        subprocess.run([*git, "worktree", "add", "--quiet", "--detach", str(folder), commit], check=True)
        try:
            yield folder
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", str(folder)], check=True)


def swaps(kind: str, protocol: str, wrap: Wrap, folder: Path = ROOT) -> dict[str, tuple[float, float, int]]:
    """Return median and slowest milliseconds and median bytes, for ``b`` and for ``f``, of the program in `folder`."""
    command = wrap(
        [
            "env",
            "-C",
            str(folder),
            f"PYTHONPATH={folder}",
            sys.executable,
            "-m",
            "benchmarks.frames_app",
            kind,
            protocol,
        ]
    )
    terminal = FakeTerminal(command, protocol, folder=folder, is_local=True)
    try:
        if terminal.wait_for(GRAPHICS, patience=60) is None:
            raise RuntimeError(f"{kind} shows no {protocol} image.\n{terminal.describe()}")
        terminal.burst(terminal.begun, quiet=1.0)
        found = {}
        for key, times in (("f", FRESH), ("b", 15)):
            for _ in range(2 if key == "b" else 0):  # both pairs have been shown before
                terminal.burst(terminal.press(key), quiet=0.4)
            bursts = [terminal.burst(terminal.press(key), quiet=0.25, least=50) for _ in range(times)]
            if any(each.size < 50 for each in bursts):
                raise RuntimeError(f"{kind} does not react to {key!r} ({protocol}).\n{terminal.describe()}")
            took = [1000 * each.last for each in bursts]
            found[key] = (statistics.median(took), max(took), round(statistics.median(each.size for each in bursts)))
        terminal.press("q")
        return found
    finally:
        terminal.close()


def compare(title: str, wrap: Wrap) -> None:
    """Print the times of both widgets, through `wrap`, for each protocol."""
    print(f"\n### Two images of 40 × 20 characters, {title}\n")
    print("| | first show | bytes | of stock's time | swap of a shown pair | slowest | bytes | of stock's bytes |")
    print("|---|---|---|---|---|---|---|---|")
    for protocol in PROTOCOLS:
        ours, stock = (swaps(kind, protocol, wrap) for kind in ("ours", "stock"))
        earlier = [("before", swaps("ours", protocol, wrap, folder)) for folder in BEFORE]
        for name, found in (("ours", ours), *earlier, ("textual-image", stock)):
            first, again = found["f"], found["b"]
            shares = (
                (f"{first[0] / stock['f'][0]:.0%}", f"{again[2] / stock['b'][2]:.1%}")
                if found is not stock
                else ("", "")
            )
            print(
                f"| {protocol}, {name} | {first[0]:.1f} ms | {first[2]:,} | {shares[0]} "
                f"| {again[0]:.1f} ms | {again[1]:.0f} ms | {again[2]:,} | {shares[1]} |",
                flush=True,
            )


@contextmanager
def ssh() -> Iterator[Wrap]:
    """Run a private sshd on this machine with its own keys; yield a command that runs through it. Raises RuntimeError."""
    sshd, client, keygen = (
        shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin"),
        shutil.which("ssh"),
        shutil.which("ssh-keygen"),
    )
    if not (sshd and client and keygen):
        raise RuntimeError("sshd, ssh or ssh-keygen is not installed here")
    with tempfile.TemporaryDirectory() as name, socket.socket() as free:
        folder = Path(name)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        for key in ("host", "user"):
            subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
        (folder / "allowed").write_text((folder / "user.pub").read_text())
        (folder / "config").write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/allowed\n"
            "PasswordAuthentication no\nStrictModes no\nUsePAM no\nPidFile none\n"
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        server = subprocess.Popen([sshd, "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.DEVNULL)
        options = [
            "-p",
            str(port),
            "-i",
            str(folder / "user"),
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "LogLevel=ERROR",
        ]
        options += ["-o", f"UserKnownHostsFile={folder}/known", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
        try:
            for _ in range(20):
                time.sleep(0.1)
                done = subprocess.run([client, *options, "127.0.0.1", "true"], capture_output=True, text=True)
                if done.returncode == 0:
                    break
            else:
                raise RuntimeError(f"the private sshd takes no session: {done.stderr.strip()[:120]}")
            passed = " ".join(f"{k}={v}" for k, v in (("COLORTERM", "truecolor"), ("TERM", "xterm-256color")))
            yield lambda command: [client, "-tt", *options, "127.0.0.1", f"cd {ROOT} && {passed} {' '.join(command)}"]
        finally:
            server.terminate()
            server.wait()


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


_ROUNDS, _JOINTS = 4, 18
"""Number of times the case is read, and joints read of the 20 of the sample: the last two would end the case."""
_PATIENCE = 3.0
"""Seconds after which a key has had no effect."""


def read_case(protocol: str, program: Path) -> tuple[list[float], list[int]]:
    """Read the case once; return the milliseconds from each key to both final frames, and the bytes until then.

    A key every 1/3 s is a fast reader. The next key waits for the frames of the one before, as a reader would: ratui
    refuses an answer to films that were not displayed.
    """
    took, sizes = [], []
    with app(protocol, program) as (terminal, _):
        terminal.burst(terminal.begun, quiet=1.5)
        for _ in range(_JOINTS):
            since = terminal.press("n")
            time.sleep(1 / 3)
            while not (frames := frames_after(terminal, since, time.monotonic())):
                if time.monotonic() - since > _PATIENCE:
                    raise RuntimeError(f"the next joint does not appear ({protocol}).\n{terminal.describe()}")
                time.sleep(0.05)
            took.append(1000 * frames[-1])
            sizes.append(terminal.count_bytes(since, since + frames[-1]))
            if took[-1] > 150:
                time.sleep(0.3)  # the films were late, and an answer to them counts only after a person could see them
    return took, sizes


def case() -> None:
    """Print the times of a case at the pace of a fast reader, of each program in turn."""
    print("\n### A whole case at three keys a second: from the key to both final frames of the next joint\n")
    print(
        "| | joints | median | 95 % within | 99 % within | within 50 ms | bytes until then |\n|---|---|---|---|---|---|---|"
    )
    programs = [("ours", ROOT), *(("before", folder) for folder in BEFORE)]
    for protocol in PROTOCOLS:
        took: dict[str, list[float]] = {name: [] for name, _ in programs}
        sizes: dict[str, list[int]] = {name: [] for name, _ in programs}
        for _ in range(_ROUNDS):
            for name, program in programs:
                times, counts = read_case(protocol, program)
                took[name] += times
                sizes[name] += counts
        for name, times in took.items():
            times.sort()
            near, nearly = (times[min(round(share * len(times)), len(times) - 1)] for share in (0.95, 0.99))
            share = sum(each <= 50 for each in times) / len(times)
            print(
                f"| {protocol}, {name} | {len(times)} | {statistics.median(times):.1f} ms | {near:.1f} ms "
                f"| {nearly:.1f} ms | {share:.0%} | {statistics.median(sizes[name]):,.0f} |",
                flush=True,
            )


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
    options = parser.parse_args()
    chosen = options.parts or list(_PARTS)
    if unknown := set(chosen) - set(_PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    with ExitStack() as stack:
        if options.before:
            BEFORE.append(stack.enter_context(checkout(options.before)))
        for name, part in _PARTS.items():
            if name in chosen:
                part()


def local() -> None:
    """Compare the widgets in a pty."""
    compare("in a pty", list)


def over_ssh() -> None:
    """Compare the widgets over SSH, where it is installed."""
    with ExitStack() as stack:
        try:
            wrap = stack.enter_context(ssh())
        except RuntimeError as reason:
            print(f"\nOver SSH: skipped, {reason}")
            return
        compare("over SSH on this machine", wrap)


_PARTS: dict[str, Callable[[], None]] = {"local": local, "ssh": over_ssh, "slow": slow, "case": case, "start": start}

if __name__ == "__main__":
    main()
