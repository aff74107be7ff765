"""Measure the CPU time of the DICOM exports: each Structured Report and each presentation state.

Run ``python -m benchmarks.dicom_exports [--study STUDY] [--rows ROWS] [--against REVISION]``. Without a study, one of three
simulated patients is created (mtss-hands, two visits, two raters). The content of the first report of each rater is also
built with highdicom. ``--against`` measures the exports of another git revision as well.
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

from ratui.results.export.reading_totals import ReadingTotals
from ratui.results.export.signed_readings import ExportSource
from ratui.results.export.structured_report import read_film_headers
from ratui.results.released import collect_released_readings
from ratui.results.totals import get_rule
from ratui.study import Study
from tests.support.highdicom_reports import build_report

HERE = Path(__file__).resolve().parents[1]
EXPORT = """
import sys, time
from pathlib import Path
from ratui.results.export import export
from ratui.results.released import collect_released_readings
from ratui.results.totals import get_rule
from ratui.study import Study
study = Study.open(Path(sys.argv[1]))
released = collect_released_readings(study)
for name in ("sr", "gsps"):
    for _ in range(2):  # the first export loads highdicom and its tables
        start = time.process_time()
        result = export(study, released, Path(sys.argv[2]), (name,), get_rule("observed"))
        seconds = time.process_time() - start
    print(name, seconds / len(result.files), len(result.files))
"""
"""Program that exports a study with any version of ratui, and prints the CPU seconds of each file."""


def simulate(study: Path, rows: int) -> Path:
    """Create a study of three simulated patients, read by two raters."""
    options = ["--patients", "3", "--raters", "ada=mixed,ben=mixed", "--rows", str(rows)]
    subprocess.run([sys.executable, "-m", "ratui", "simulate", str(study), *options], check=True, capture_output=True)
    return study


def extract(revision: str, into: Path) -> Path:
    """Write the program of a git revision to `into`, and return it."""
    archive = subprocess.run(["git", "archive", revision, "ratui"], cwd=HERE, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(into, filter="data")
    return into


def measure(study: Path, out: Path, root: Path) -> dict[str, tuple[float, int]]:
    """Return the CPU seconds of each file and the number of files, by format, of the program in `root`."""
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", EXPORT, str(study), str(out)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    rows = (line.split() for line in done.stdout.splitlines())
    return {name: (float(seconds), int(files)) for name, seconds, files in rows}


def measure_highdicom(folder: Path) -> float:
    """Return the CPU seconds in which highdicom builds and writes a report, the mean of the first case's at time point 0."""
    study, rule = Study.open(folder), get_rule("observed")
    source = ExportSource(study, collect_released_readings(study))
    totals = ReadingTotals(source, rule)
    case, readings = next(source.by_case())
    headers, regions = read_film_headers(study, case), {(each.site, each.film): each for each in source.regions(case)}
    times = []
    for signed in (readings[0], *readings):  # the first one loads the tables
        start = time.process_time()
        report = build_report(
            signed.reading,
            case,
            0,
            study=study.config.id,
            regions=regions,
            headers={film.id: headers[film.id] for film in case.films if film.time == 0},
            visit="baseline",
            days=0,
            totals={scale: totals.total(signed, 0, scale) for scale in (*study.scheme.scales, None)},
            rule=rule.name,
            statement=totals.statement,
        )
        report.save_as(io.BytesIO(), enforce_file_format=True)
        times.append(time.process_time() - start)
    return sum(times[1:]) / len(times[1:])


def main() -> None:
    """Print the times as a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, help="a study with released readings")
    parser.add_argument("--rows", type=int, default=800, help="height of the simulated films")
    parser.add_argument("--against", metavar="REVISION", help="a git revision to measure beside this tree")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        study = options.study or simulate(folder / "study", options.rows)
        now = measure(study, folder / "now", HERE)
        others = {"highdicom": {"sr": measure_highdicom(study)}}
        if options.against:
            before = measure(study, folder / "before", extract(options.against, folder / "code"))
            others[options.against] = {name: seconds for name, (seconds, _) in before.items()}
    print("| export | files | now |", "".join(f" {name} | ratio |" for name in others))
    print("|---" * (3 + 2 * len(others)) + "|")
    for name, (seconds, files) in now.items():
        cells = [name, str(files), f"{1000 * seconds:.0f} ms"]
        for times in others.values():
            cells += [f"{1000 * times[name]:.0f} ms", f"{times[name] / seconds:.1f}"] if name in times else ["", ""]
        print("|", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
