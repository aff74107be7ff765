"""Measure the start of ratui: from the command to the first joint, to the worklist, to the help and to the version.

Run ``python -m benchmarks.start [--before REVISION] [--rounds N] [--protocols kitty,sixel,halfcell] [--only TEXT]``.

With ``--before``, each start is alternated with that of an earlier state, which is checked out into a temporary folder. In
the same rounds a bare Textual app shows the same films with textual-image's widget. Processor time is that of all processes
of the program, from its begin until its first picture has reached the terminal. The least and the median of all rounds are
printed: the least is that with the least disturbance by other programs.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.fake_terminal import FakeTerminal

ROOT = Path(__file__).resolve().parents[1]
PROTOCOLS = ("kitty", "sixel", "halfcell")
STOCK = "textual-image"
FILM = {
    "kitty": re.compile(rb"\x1b_Ga=p"),
    "sixel": re.compile(rb"\x1bP[0-9;]*q"),
    "halfcell": re.compile("▀".encode()),
}
"""The first output of each protocol that only a film produces. Grey cells are none: the panel of the tour is grey."""
CASES = 100
"""Cases of the larger study: those of the sample, and copies of a record of a case without its films."""
_WORKLIST = re.compile(rb"(?:[CX]-[A-Z0-9]{4,6}.*){2}", re.DOTALL)
_SAMPLE = """
import shutil, sys
from dataclasses import replace
from pathlib import Path
from ratui.demo.sample import copy_sample
from ratui.study import Study

folder = Path(sys.argv[1])
path, rater, case = copy_sample(folder / "study")
print(path, rater, case, sep="\\n")
large = Study.open(shutil.copytree(path, folder / "large"))
for number in range(int(sys.argv[2]) - len(large.cases())):
    large.save_case(replace(large.case(case), id=f"X-{number:04d}"))
"""


@dataclass(frozen=True)
class Start:
    """One start of a program: processor time and elapsed time in seconds, and the number of its processes at the end."""

    cpu: float
    elapsed: float
    processes: int


class Checkout:
    """A state of ratui in `folder`, with its own copy of the sample study and its own settings in `home`."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home
        home.mkdir()
        self.environment = {
            "PYTHONPATH": str(folder),
            "XDG_CONFIG_HOME": str(home),
            "XDG_DATA_HOME": str(home),
            "XDG_STATE_HOME": str(home),
        }
        plain = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._run = {**plain, **self.environment}
        # Compiled once, as an installation is: otherwise the first start would compile everything.
        subprocess.run([sys.executable, "-m", "compileall", "-q", "ratui"], cwd=folder, env=self._run, check=True)
        made = subprocess.run(
            [sys.executable, "-c", _SAMPLE, str(home), str(CASES)],
            cwd=folder,
            env=self._run,
            check=True,
            stdout=subprocess.PIPE,
        )
        self.study, self.rater, self.case = made.stdout.decode().split("\n")[:3]
        self.large = str(home / "large")

    def ratui(self, *arguments: str) -> list[str]:
        """Return the command line that runs ratui with `arguments`."""
        return [sys.executable, "-m", "ratui", *arguments]

    def films(self) -> list[str]:
        """Return two films of the case."""
        return [str(path) for path in sorted(Path(self.study, "films", self.case).glob("*.dcm"))[:2]]

    def start(self, command: Sequence[str], protocol: str, wanted: re.Pattern[bytes]) -> Start:
        """Run `command` in a terminal until it has written `wanted`."""
        # ratui's own modules are those of the checkout; the app that it is compared with is a part of this one.
        folder = ROOT if "benchmarks.start_app" in command else self.folder
        environment = {**self.environment, "PYTHONPATH": str(folder)}
        terminal = FakeTerminal(command, protocol, size=(104, 32), environment=environment, folder=folder)
        try:
            shown = terminal.wait_for(wanted, patience=60)
            cpu, processes = measure_session(terminal.process.pid)
            if shown is None:
                raise RuntimeError(f"{' '.join(command)} does not start ({protocol}).\n{terminal.describe()}")
            return Start(cpu, shown - terminal.begun, processes)
        finally:
            terminal.close()

    def run(self, command: Sequence[str]) -> Start:
        """Run `command` to its end without a terminal."""
        before = os.times()
        subprocess.run(command, cwd=self.folder, env=self._run, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return Start(cpu, after.elapsed - before.elapsed, 1)


def measure_session(session: int) -> tuple[float, int]:
    """Return the processor time in seconds of all processes of a session, and their number.

    The time of processes that have ended is in that of the process that has waited for them (proc(5)).
    """
    seconds, count = 0.0, 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(") ", 1)[1].split()
        except OSError:  # it has just ended
            continue
        if int(fields[3]) == session:
            seconds += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
            count += 1
    return seconds, count


@contextmanager
def earlier_state(revision: str, folder: Path) -> Iterator[Path]:
    """Check `revision` out into a folder below `folder`, and remove it at the end."""
    place = folder / "before"
    subprocess.run(["git", "worktree", "add", "-q", "--detach", str(place), revision], cwd=ROOT, check=True)
    try:
        yield place
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(place)], cwd=ROOT, check=True)


def list_starts(protocols: Sequence[str]) -> dict[str, Callable[[Checkout], Start]]:
    """Return what is measured of each state, by its name in the table."""
    starts: dict[str, Callable[[Checkout], Start]] = {}

    def add(protocol: str) -> None:
        starts[f"`ratui read --case`, first joint, {protocol}"] = lambda state: state.start(
            state.ratui("read", state.study, "--rater", state.rater, "--case", state.case), protocol, FILM[protocol]
        )
        starts[f"`ratui demo`, first joint, {protocol}"] = lambda state: state.start(
            state.ratui("demo"), protocol, FILM[protocol]
        )
        starts[f"{STOCK}, both films, {protocol}"] = lambda state: state.start(
            [sys.executable, "-m", "benchmarks.start_app", protocol, *state.films()], protocol, FILM[protocol]
        )

    for protocol in protocols:
        add(protocol)
    starts[f"`ratui read --case`, first joint, {protocols[0]}, {CASES} cases"] = lambda state: state.start(
        state.ratui("read", state.large, "--rater", state.rater, "--case", state.case), protocols[0], FILM[protocols[0]]
    )
    starts["`ratui read`, worklist"] = lambda state: state.start(
        state.ratui("read", state.study, "--rater", state.rater), "kitty", _WORKLIST
    )
    starts[f"`ratui read`, worklist of {CASES} cases"] = lambda state: state.start(
        state.ratui("read", state.large, "--rater", state.rater), "kitty", _WORKLIST
    )
    starts["`ratui --help`"] = lambda state: state.run(state.ratui("--help"))
    starts["`ratui --version`"] = lambda state: state.run(state.ratui("--version"))
    return starts


def describe(found: Sequence[Start]) -> str:
    """Return the cells of a table for one state."""
    cpu = [each.cpu for each in found]
    elapsed = statistics.median(each.elapsed for each in found)
    processes = max(each.processes for each in found)
    return f"{min(cpu):.2f} s | {statistics.median(cpu):.2f} s | {elapsed:.2f} s | {processes}"


def main() -> None:
    """Measure all starts in turn, and print one line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--before", metavar="REVISION", help="An earlier state, measured in turn with this one.")
    parser.add_argument("--rounds", type=int, default=7, help="Starts of each kind (7).")
    parser.add_argument("--protocols", default=",".join(PROTOCOLS), help="Protocols, separated by commas (all).")
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="Measure only the starts with this text in their name."
    )
    options = parser.parse_args()
    starts = {name: start for name, start in list_starts(options.protocols.split(",")).items() if options.only in name}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.before:
            with earlier_state(options.before, folder) as place:
                compare(
                    starts,
                    {"before": Checkout(place, folder / "a"), "now": Checkout(ROOT, folder / "b")},
                    options.rounds,
                )
        else:
            compare(starts, {"now": Checkout(ROOT, folder / "b")}, options.rounds)


def compare(starts: dict[str, Callable[[Checkout], Start]], states: dict[str, Checkout], rounds: int) -> None:
    """Run every start in each state, `rounds` times in turn, and print the table."""
    found: dict[tuple[str, str], list[Start]] = {}
    for number in range(rounds + 1):
        for name, start in starts.items():
            # The other app is the same in both states. The first round fills the caches of the system and of the demo.
            for state in ["now"] if name.startswith(STOCK) else list(states):
                measured = start(states[state])
                if number:
                    found.setdefault((name, state), []).append(measured)
    print(f"{rounds} rounds\n\n| start | state | CPU, least | CPU, median | elapsed, median | processes |")
    print("|---|---|---|---|---|---|")
    for (name, state), each in found.items():
        print(f"| {name} | {state if len(states) > 1 else 'now'} | {describe(each)} |")


if __name__ == "__main__":
    main()
