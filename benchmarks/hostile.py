"""Import damaged and malicious files, and count the outcomes.

Run ``python -m benchmarks.hostile [--mutations N] [--seed N] [--all]``.

All of pydicom's own test files and mutations of them pass through ``ratui import``, once unchanged and once named in a
manifest, so that every picture reaches a decoder. As many films of known pixels, in each coding and file format, are then
converted under contradicting headers and with damage: the pixels must be right, or the file refused. With ``--all`` each
file is printed with its outcome.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from ratui.study import Study
from ratui.study.check import check_study
from ratui.study.importing import ReaderProcess
from tests.support.fault_harness.contradictions import contradict, damage_pictures, find_outcome, known_films
from tests.support.fault_harness.fuzz import mutations, own_test_files

_CRASHED, _HUNG = "the decoder crashed on it", "reading it took too long"


def lay_out(hospital: Path, count: int, seed: int) -> int:
    """Write pydicom's files and `count` mutations into `hospital`, a manifest beside it; return the number of files."""
    hospital.mkdir()
    own = own_test_files()
    for number, path in enumerate(own):
        (hospital / f"own-{number:03d}-{path.name}").write_bytes(path.read_bytes())
    for number, (source, data) in enumerate(mutations(own, count, seed)):
        (hospital / f"mutated-{number:04d}-{source.name}").write_bytes(data)
    names = sorted(path.name for path in hospital.iterdir())
    with (hospital / "manifest.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "patient", "time", "side"])
        rows.writerows([name, f"P{number}", 0, "L"] for number, name in enumerate(names))
    return len(names)


def imported(folder: Path, hospital: Path, *, manifest: bool) -> tuple[dict[str, str], int, float]:
    """Return the outcome of each file by name, the exit code and the seconds; check the study afterwards."""
    study = Study.create(folder / "study", "fingers", ["anna"])
    key = folder / "keys" / "key.json"
    what = ["--manifest", str(hospital / "manifest.csv")] if manifest else [str(hospital)]
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "ratui", "import", str(study.path), *what, "--key", str(key)],
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    took = time.monotonic() - begun
    if done.returncode not in (0, 1):
        sys.stderr.write(done.stderr.decode("utf-8", "replace"))
        raise SystemExit(f"the import ended with code {done.returncode}")
    (listed,) = key.parent.glob("*.csv")
    with listed.open(newline="") as file:
        rows = [(Path(row["file"]).name, row["outcome"]) for row in csv.DictReader(file)]
    outcomes = dict(rows)
    assert len(outcomes) == len(rows), "a file is listed twice"
    if not check_study(study.path).is_intact:
        raise SystemExit("the study is not sound after the import")
    return outcomes, done.returncode, took


def kind(outcome: str) -> str:
    """Return an outcome without the details that differ between files."""
    if outcome.startswith("case "):
        return "taken"
    return re.sub(r"\d+", "N", re.sub(r"case C-\w+", "case C-N", outcome.split(". ")[0]))


def convert_known(folder: Path, count: int, seed: int) -> None:
    """Convert `count` films of known pixels, half with contradicting headers and half damaged, and print the outcomes."""
    films, half = known_films(), count // 2
    groups = {
        "contradicting header": contradict(films, half, seed),
        "damaged picture file": damage_pictures(films, count - half, seed),
    }
    with ReaderProcess() as reader:
        for group, made in groups.items():
            found = Counter(re.sub(r"\d+", "N", find_outcome(reader, film, folder)) for film in made)
            print(f"\n| {group} | files |\n|---|---|")
            for outcome, number in found.most_common():
                print(f"| {outcome} | {number} |")
            if found["wrong"] or any(reason.startswith((_CRASHED, _HUNG)) for reason in found):
                raise SystemExit("a film has wrong pixels, or a decoder died or hung")


def main() -> None:
    """Import all files and print the outcomes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--all", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        hospital = Path(folder) / "hospital"
        count = lay_out(hospital, options.mutations, options.seed)
        found: list[dict[str, str]] = []
        said = []
        for manifest in (False, True):
            (Path(folder) / str(manifest)).mkdir()
            outcomes, code, took = imported(Path(folder) / str(manifest), hospital, manifest=manifest)
            files = {name: outcome for name, outcome in outcomes.items() if name != "manifest.csv"}
            assert len(files) == count, f"{count - len(files)} files have no outcome"
            found.append(files)
            crashed = sum(outcome.startswith(_CRASHED) for outcome in files.values())
            hung = sum(outcome.startswith(_HUNG) for outcome in files.values())
            how = "with a manifest" if manifest else "as they are"
            said.append(
                f"{how}: {count} files in {took:.0f} s, exit code {code}; decoders that died {crashed}, that hung {hung}"
            )
    with tempfile.TemporaryDirectory() as known:
        convert_known(Path(known), options.mutations, options.seed)
    if options.all:
        for name in sorted(found[0]):
            print(f"{name}: {found[0][name]} | named in a manifest: {found[1][name]}")
        print()
    print("| outcome | own, as they are | mutated | own, named in a manifest | mutated |\n|---|---|---|---|---|")
    counts = [
        Counter(kind(outcome) for name, outcome in files.items() if name.startswith(group))
        for files in found
        for group in ("own", "mutated")
    ]
    for outcome, _ in sum(counts, Counter()).most_common():
        print(f"| {outcome} | {' | '.join(str(each[outcome]) for each in counts)} |")
    print("\n" + "\n".join(said))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"most memory of any process: {peak:.0f} MB")


if __name__ == "__main__":
    main()
