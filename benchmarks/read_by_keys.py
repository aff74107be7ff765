"""Read whole cases by keys in real terminals, from the worklist to the signature, and check what was stored.

``python -m benchmarks.read_by_keys FOLDER`` reads a case of the demo in xterm with Sixel, kitty and tmux with half-cells,
in English and Japanese. ``--films FILE…`` reads these films of one left wrist instead, one for each visit, the earliest
first. Pictures of all stages and of each joint are written into FOLDER, for a person to look at.

A simulated person waits until the screen is still, looks, and types: grades, findings, corrections, undo, zoom, notes. What
was stored is compared with what was typed. ``--disturb`` disturbs the reading instead, see `benchmarks.disturbed_case`.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.case_by_keys import Run
from benchmarks.disturbed_case import DISTURBANCES, DisturbedRun
from benchmarks.real_terminals import (
    LANGUAGES,
    TERMINALS,
    exit_without_programs,
    make_environment,
    virtual_display,
)
from benchmarks.simulated_reader import CaseToRead, Outcome
from ratui.cli.main import commands
from ratui.demo.sample import SAMPLE_RATER, copy_sample
from ratui.study import Study


def main() -> None:
    """Read the cases that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="folder for the pictures")
    parser.add_argument("--terminal", nargs="+", choices=TERMINALS, default=TERMINALS)
    parser.add_argument("--lang", nargs="+", choices=LANGUAGES, default=LANGUAGES)
    parser.add_argument("--size", nargs="+", default=["120x40"], help="columns x rows, as in 120x40")
    parser.add_argument("--font-size", type=int, default=10, help="size of the characters in points")
    parser.add_argument("--films", nargs="+", type=Path, help="films of one left wrist, one for each visit")
    parser.add_argument("--blinded", action="store_true", help="hide the order of the films of --films")
    parser.add_argument("--normal", action="store_true", help="answer every joint as normal")
    parser.add_argument("--disturb", nargs="*", choices=DISTURBANCES, help="all of them without a name")
    options = parser.parse_args()
    exit_without_programs()
    failed = 0
    with virtual_display() as display:
        for terminal, size, language in itertools.product(options.terminal, options.size, options.lang):
            with tempfile.TemporaryDirectory() as folder:
                run = make_run(options, terminal, size, language, display, Path(folder))
                outcome = run.read()
            failed += bool(outcome.faults)
            print_outcome(run.name, outcome)
    sys.exit(1 if failed else 0)


def make_run(options: argparse.Namespace, terminal: str, size: str, language: str, display: str, home: Path) -> Run:
    """Return the run of one case in one terminal, with all its files below `home`."""
    case = make_wrist_study(home, options.films, blinded=options.blinded) if options.films else copy_demo(home)
    environment = make_environment(display, home, language)
    places = (case, terminal, language, size, environment, home, options.folder)
    if options.disturb is None:
        return Run(*places, font_size=options.font_size, is_normal=options.normal)
    return DisturbedRun(*places, font_size=options.font_size, disturbances=options.disturb or list(DISTURBANCES))


def print_outcome(name: str, outcome: Outcome) -> None:
    """Print one line about a run, its faults, and the keys that had no effect."""
    state = "failed" if outcome.faults else "signed"
    times, keys = list(outcome.joint_seconds.values()) or [0.0], list(outcome.joint_keys.values()) or [0]
    print(
        f"{name}: {state}; {len(outcome.joint_keys)} joints, {outcome.key_count} keys; "
        f"keys a joint median {statistics.median(keys):g}, most {max(keys)}; "
        f"seconds a joint median {statistics.median(times):.1f}, most {max(times):.1f}"
    )
    for text in outcome.ignored:
        print(f"  had to be pressed again: {text}")
    for text in outcome.faults:
        print(f"  FAULT {text}")
    sys.stdout.flush()


# The cases.


def copy_demo(home: Path) -> CaseToRead:
    """Copy the sample study to where `ratui demo` expects it below `home`."""
    path = home / "data" / "ratui" / "demo"
    _, rater, case = copy_sample(path)
    assert rater == SAMPLE_RATER
    assert case is not None
    return CaseToRead("demo", path, rater, case, ("demo",))


def make_wrist_study(home: Path, films: Sequence[Path], *, blinded: bool) -> CaseToRead:
    """Make a study of one patient with `films` of the left wrist, one for each visit, and let ratui propose regions."""
    path, manifest = home / "study", home / "films" / "plan.csv"
    manifest.parent.mkdir()
    with manifest.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "patient", "time", "side", "view", "day"])
        for time_point, film in enumerate(films):
            copy = manifest.with_name(f"{time_point}{film.suffix}")
            copy.write_bytes(film.read_bytes())
            writer.writerow([copy.name, "P1", time_point, "L", "wrist", 365 * time_point])
    flags = ["--blinded"] if blinded else []
    commands(["new", str(path), "--scheme", "mtss-hands", "--rater", "anna", *flags], standalone_mode=False)
    names = ["--manifest", str(manifest), "--key", str(home / "key.json"), "--visits", str(max(len(films), 2))]
    commands(["import", str(path), *names], standalone_mode=False)
    (case,) = Study.open(path).cases()
    return CaseToRead("wrist", path, "anna", case, ("read", str(path), "--rater", "anna"))


if __name__ == "__main__":
    main()
