"""Import the archive of a simulated hospital, and compare each film's place with the truth.

Run ``python -m benchmarks.hospital [--patients N] [--seed N] [--orthanc] [--all] [--keep FOLDER]``.

The hospital is described in `tests.support.hospital`: its headers and the truth about them were written without knowledge of
the import's rules. With ``--orthanc``, all files are stored in a real Orthanc on loopback by C-STORE, fetched by DICOMweb as
``ratui fetch`` does it, and imported from there. With ``--all``, the reasons of questions and omissions are printed, too.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydicom.misc import is_dicom

from ratui.pacs.spool import Spool
from ratui.study import Study
from ratui.study.check import check_study
from tests.pacs.orthanc import Orthanc
from tests.support.hospital import ODDITIES, Truth, build_hospital, judge, write_truth
from tests.support.hospital.archive import (
    count_left_out,
    fetch_hospital,
    find_questions,
    match_truth,
    store_files,
)
from tests.support.hospital.importing import import_hospital
from tests.support.hospital.judge import Decided
from tests.support.hospital.result import (
    find_share_placed,
    format_faults,
    format_oddities,
    format_reasons,
    format_verdicts,
)


def main() -> None:
    """Build the hospital, import it and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--orthanc", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--keep", type=Path, help="copy the hospital and its truth to this new folder")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # ends Orthanc and removes the folder, too
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch).resolve()
        begun = time.monotonic()
        truths = build_hospital(folder / "hospital", options.patients, options.seed)
        write_truth(folder / "truth.csv", truths)
        odd = 100 * sum(truth.oddity != "none" for truth in truths) / len(truths)
        print(
            f"{options.patients} patients, {len(truths)} files, {odd:.0f} % of them with one of {len(ODDITIES)} oddities;"
        )
        print(f"written in {time.monotonic() - begun:.0f} s")
        if options.keep:
            shutil.copytree(folder, options.keep)
        measure(folder, truths, orthanc=options.orthanc, show_reasons=options.all)


@dataclass(frozen=True)
class Delivery:
    """Files as they reach the import.

    Attributes
    ----------
    paths
        Folders or files to import.
    truths
        The truth about them.
    decisions
        Decisions on files that do not reach the import.
    name
        Function that returns the path of a file in the hospital's folder.
    """

    paths: list[Path]
    truths: list[Truth]
    decisions: dict[str, Decided]
    name: Callable[[Path], str]


def measure(folder: Path, truths: list[Truth], *, orthanc: bool, show_reasons: bool) -> None:
    """Import ``folder/hospital`` into a new study and print speed, memory and verdicts."""
    study, source = Study.create(folder / "study", "mtss", ["anna"]), folder / "hospital"
    delivery = Delivery([source], truths, {}, lambda path: path.relative_to(source).as_posix())
    if orthanc:
        delivery = fetch_by_orthanc(folder, study, truths)
    forget_peak_memory()
    begun = time.monotonic()
    done = import_hospital(study, delivery.paths, folder / "keys" / "key.json")
    took = time.monotonic() - begun
    own, readers = read_peak_memory()
    judged = judge(
        delivery.truths,
        {delivery.name(path): place for path, place in done.placements.items()},
        {delivery.name(path): decided for path, decided in done.decisions.items()} | delivery.decisions,
        frozenset(delivery.name(path) for path in done.awaited),
    )
    files = len(done.decisions) + len(done.placements)
    print(f"import: {files} files in {took:.0f} s, {60 * files / took:.0f} files and ", end="")
    print(f"{60 * len(done.placements) / took:.0f} imported films per minute")
    print(f"most memory: {own:.0f} MB, and {readers:.0f} MB in the process that reads files")
    print(f"placed correctly without a person: {100 * find_share_placed(judged):.1f} % of the decidable films\n")
    print(format_verdicts(judged), format_oddities(judged), format_faults(judged), sep="\n\n")
    if show_reasons:
        print("\n" + format_reasons(judged, {delivery.name(path): reason for path, reason in done.reasons.items()}))
    if not check_study(study.path).is_intact:
        raise SystemExit("the study is not intact after the import")


def fetch_by_orthanc(folder: Path, study: Study, truths: list[Truth]) -> Delivery:
    """Send the hospital through Orthanc, and return the films of the complete patients."""
    hospital = folder / "hospital"
    paths = [truth.path for truth in truths if is_dicom(hospital / truth.path)]
    archive = Orthanc(folder / "orthanc")
    try:
        begun = time.monotonic()
        stored = store_files(archive, hospital, paths)
        print(f"stored {len(stored)} of {len(paths)} files in Orthanc in {time.monotonic() - begun:.0f} s")
        begun = time.monotonic()
        with Spool(study, "fetch", folder / "spool") as opened:
            report = fetch_hospital(archive, stored, opened)
        took = time.monotonic() - begun
    finally:
        archive.stop()
    films = sorted(set(report.files))
    print(f"fetched {len(films)} films in {took:.0f} s, {60 * len(films) / took:.0f} per minute")
    for reason, count in count_left_out(report).most_common():
        print(f"  not fetched: {count} × {reason}")
    kept, origin = match_truth(truths, stored, films)
    asked, fetched = find_questions(stored, report), set(origin.values())
    decisions = {
        truth.path: Decided.ASKED if truth.path in asked else Decided.LEFT_OUT
        for truth in kept
        if truth.path not in fetched
    }
    return Delivery(films, kept, decisions, origin.__getitem__)


def forget_peak_memory() -> None:
    """Start the measurement of this process's peak memory anew, which Linux allows."""
    Path("/proc/self/clear_refs").write_text("5")


def read_peak_memory() -> tuple[float, float]:
    """Return the peak memory of this process since `forget_peak_memory` and of its ended children, in megabytes."""
    status = Path("/proc/self/status").read_text()
    own = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    return own / 1024, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


if __name__ == "__main__":
    main()
