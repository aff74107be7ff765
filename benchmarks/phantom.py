"""Measure the CPU time of a simulated film and of its parts.

Run ``python benchmarks/phantom.py [--against REVISION] [--films N]``.

With ``--against`` the simulator of a git revision is measured beside the present one, alternately, each in its own process.
CPU time is measured instead of elapsed time, because other work on the machine affects it less.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

SIZES = ((800, 656), (1250, 1024), (2500, 2048))
ROUNDS = 3

# Runs under any revision: it needs no more than what every revision's simulator has.
TIMER = """
import sys, time, json
import numpy as np
from ratui.phantom import render, simulate_patient
from ratui.scheme import load_scheme
rows, columns, films = map(int, sys.argv[1:4])
scheme = load_scheme("mtss-hands")
patients = [simulate_patient(np.random.default_rng(seed), scheme) for seed in range(films)]
render(patients[0], "L", 0, np.random.default_rng(0), size=(rows, columns))
spent = []
for number, patient in enumerate(patients):
    begun = time.process_time()
    render(patient, "LR"[number % 2], number % 2, np.random.default_rng(number), size=(rows, columns))
    spent.append(time.process_time() - begun)
print(json.dumps(sorted(spent)[len(spent) // 2]))
"""

PROFILED = (
    ("layout: bones, wrist, skin as values", "film", "_place_hand"),
    ("long bones", "bones", "add_long_bone"),
    ("short bones", "bones", "add_short_bone"),
    ("flesh", "tissue", "draw_soft_tissue"),
    ("exposure: blur, scatter, noise, curve", "exposure", "expose"),
    ("markers and borders", "film", "_add_borders"),
)


def timed(root: Path, size: tuple[int, int], films: int) -> float:
    """Return the median seconds per film, over `films` films, of the simulator in the source tree `root`."""
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", TIMER, *(str(value) for value in (*size, films))]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def extracted(revision: str, into: Path) -> Path:
    """Yield the source tree of `revision`."""
    archive = subprocess.run(["git", "archive", revision, "ratui"], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(into, filter="data")
    return into


def stages(films: int) -> list[tuple[str, float]]:
    """Return milliseconds per film by part, at the middle size, from a profiler (which slows code with many calls)."""
    import cProfile
    import pstats

    import numpy as np

    from ratui.phantom import render, simulate_patient
    from ratui.scheme import load_scheme

    patients = [simulate_patient(np.random.default_rng(seed), load_scheme("mtss-hands")) for seed in range(films)]
    render(patients[0], "L", 0, np.random.default_rng(0), size=SIZES[1])
    profile = cProfile.Profile(time.process_time)
    profile.enable()
    for number, patient in enumerate(patients):
        render(patient, "L", 0, np.random.default_rng(number), size=SIZES[1])
    profile.disable()
    entries = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    spent = {(Path(file).stem, name): entry[3] for (file, _, name), entry in entries.items() if "ratui/phantom" in file}
    whole = spent["film", "render"]
    rows = [(label, 100 * spent[module, function] / whole) for label, module, function in PROFILED]
    return [*rows, ("the rest", 100 - sum(share for _, share in rows))]


def main() -> None:
    """Print the CPU time per film, of the present simulator or of two revisions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", help="a git revision to time beside this tree")
    parser.add_argument("--films", type=int, default=16)
    options = parser.parse_args()
    here = Path(__file__).resolve().parent.parent
    with tempfile.TemporaryDirectory() as folder:
        before = extracted(options.against, Path(folder)) if options.against else None
        print("| film | " + (f"{options.against} | " if before else "") + "now |" + (" ratio |" if before else ""))
        print("|---|---|" + ("---|---|" if before else ""))
        for size in SIZES:
            old, new = [], []
            for _ in range(ROUNDS):
                if before:
                    old.append(timed(before, size, options.films))
                new.append(timed(here, size, options.films))
            cells = [f"{size[1]} × {size[0]}", f"{1000 * min(new):.0f} ms"]
            if before:
                cells[1:1] = [f"{1000 * min(old):.0f} ms"]
                cells += [f"{min(new) / min(old):.2f}"]
            print("| " + " | ".join(cells) + " |", flush=True)
    sys.path.insert(0, str(here))  # this tree, whatever is installed
    print("\n| goes into | share |\n|---|---|")
    for label, share in stages(options.films):
        print(f"| {label} | {share:.0f} % |")


if __name__ == "__main__":
    main()
