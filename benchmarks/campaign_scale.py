"""Measure the manager's commands by the number of cases of a campaign: status, agreement, report, export, audit.

Run ``python -m benchmarks.campaign_scale [CASES…]``; 100, 300 and 1000 by default.

Each study has three visits and three raters (mtss-hands), and all readings are signed. The grades are those of simulated
raters in 20 simulated patients, who return under other names; there are no pictures. Times are CPU seconds of the whole
command, each in a process of its own.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from benchmarks.store import lay_out_copies
from ratui.demo.simulate import choose_entry
from ratui.phantom import RATERS, simulate_patient
from ratui.reading import Reading, enter, find_next_open_field, sign, start_reading
from ratui.scheme import load_scheme
from ratui.study import Case, FilmRecord, Study

SIZES = (100, 300, 1000)
KINDS = {"anna": "shared-shift", "bert": "threshold", "cleo": "mixed"}
VISITS = 3
PATIENTS = 20
COMMANDS = (
    ("status",),
    ("status",),
    ("agreement",),
    ("report", "{out}/report.html"),
    ("export", "{out}/csv", "--format", "csv"),
    ("audit",),
)
"""The second status finds an index."""


def lay_out(folder: Path, cases: int) -> Study:
    """Create a study in which every reading is signed; the readings of case n are those of patient n modulo 20."""
    films = tuple(
        FilmRecord(f"{visit}{side}", visit, side, "hand", 2500, 2048, 182 * visit)
        for visit in range(VISITS)
        for side in "LR"
    )
    example = Case("C-000000", films)
    patients = [dict(_read(number, example)) for number in range(PATIENTS)]
    return lay_out_copies(folder, example, tuple(KINDS), cases, lambda number: patients[number % PATIENTS])


def _read(number: int, example: Case) -> Iterator[tuple[str, Reading]]:
    """Yield the signed reading of each rater in the simulated patient `number`."""
    scheme = load_scheme("mtss-hands")
    rng = np.random.default_rng([number, 7])
    patient = simulate_patient(rng, scheme, visits=VISITS)
    for rater, kind in KINDS.items():
        seen = RATERS[kind].read(patient, rng)
        order = tuple(range(VISITS))
        reading = start_reading(scheme, example.id, rater, example.sites(scheme), order=order)
        reading = replace(reading, positions=example.films_at(reading.order))
        at = datetime(2027, 1, 1, tzinfo=UTC)
        while (field := find_next_open_field(reading)) is not None:
            at += timedelta(seconds=2)
            reading = enter(reading, field, choose_entry(reading, field, field.time, seen), timestamp=at, key="0")
        yield rater, sign(reading, timestamp=at)


def measure(study: Study, out: Path, command: tuple[str, ...]) -> float:
    """Return the CPU seconds of a command over `study`, with its start."""
    words = [command[0], str(study.path), *(word.format(out=out) for word in command[1:])]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-m", "ratui", *words], capture_output=True, encoding="utf-8")
    if done.returncode:
        sys.exit(f"ratui {' '.join(words)}: {done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Create the studies, run the commands and print a table."""
    sizes = tuple(map(int, sys.argv[1:])) or SIZES
    print("| CPU seconds | " + " | ".join(f"{size} cases" for size in sizes) + " | per case, last / first |")
    print("|---|" + "---|" * (len(sizes) + 1))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")  # an index of this run only
        studies = [lay_out(folder / f"study-{size}", size) for size in sizes]
        for place, command in enumerate(COMMANDS):
            spent = [measure(study, folder / study.path.name.replace("study", "out"), command) for study in studies]
            label = " ".join(command[:1]) + (", with an index" if place == 1 else "")
            growth = spent[-1] / spent[0] / (sizes[-1] / sizes[0])
            print(f"| {label} | " + " | ".join(f"{each:.2f}" for each in spent) + f" | {growth:.2f} |", flush=True)


if __name__ == "__main__":
    main()
