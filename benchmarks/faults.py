"""Count the entries that a store loses under injected faults.

Run ``python -m benchmarks.faults [PART…] [FOLDER]``. FOLDER should be on the disk that is used for studies.

Parts are kills, calls, kernel, power, damages and writers; all by default. ``--store`` selects one store, and ``--seed``
other random moments, so that a long run can be divided. The last lines state the losses of ratui's store and of TinyDB's
own storage.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.fault_harness.count import HEAD, Count, Unavailable
from tests.support.fault_harness.damage import damages
from tests.support.fault_harness.kernel import failing_syscalls, killed_in_each_call
from tests.support.fault_harness.kills import kills, many_writers
from tests.support.fault_harness.mounts import full_disk, real_power_cuts
from tests.support.fault_harness.stores import STORES, Ours, Stock
from tests.support.fault_harness.syscalls import failing_calls, power_cuts
from tests.support.fault_harness.together import all_at_once

Part = Callable[[Ours | Stock, Path, argparse.Namespace], Iterator[Count]]


def _kills(store: Ours | Stock, folder: Path, options: argparse.Namespace) -> Iterator[Count]:
    yield kills(store, folder, options.kills, options.seed)


def _calls(store: Ours | Stock, folder: Path, options: argparse.Namespace) -> Iterator[Count]:
    yield from failing_calls(store, folder)


def _kernel(store: Ours | Stock, folder: Path, options: argparse.Namespace) -> Iterator[Count]:
    yield from failing_syscalls(store, folder / "calls")
    yield killed_in_each_call(store, folder / "killed")
    yield full_disk(store, folder / "full", options.cuts)


def _power(store: Ours | Stock, folder: Path, options: argparse.Namespace) -> Iterator[Count]:
    if isinstance(store, Ours):
        yield power_cuts(folder / "model")
    yield real_power_cuts(store, folder / "cuts", options.cuts, options.seed)
    if isinstance(store, Ours):  # not counted as a loss of ratui's: it shows that the cut would find one
        yield real_power_cuts(store, folder / "without", options.cuts // 4, options.seed, fsync=False)


def _damages(store: Ours | Stock, folder: Path, options: argparse.Namespace) -> Iterator[Count]:
    yield damages(store, folder / "one", options.damages, options.seed)
    if isinstance(store, Ours):
        yield damages(store, folder / "both", options.damages // 4, options.seed, twice=True)


def _writers(store: Ours | Stock, folder: Path, options: argparse.Namespace) -> Iterator[Count]:
    for writers in range(2, 9):
        yield many_writers(store, folder / str(writers), writers, 24)
    if isinstance(store, Ours):
        yield all_at_once(folder / "all", options.seconds)


PARTS: dict[str, Part] = {
    "kills": _kills,
    "calls": _calls,
    "kernel": _kernel,
    "power": _power,
    "damages": _damages,
    "writers": _writers,
}


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", metavar="PART or FOLDER")
    parser.add_argument("--store", choices=sorted(STORES), action="append")
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--damages", type=int, default=1000)
    parser.add_argument("--cuts", type=int, default=200, help="of a real file system's power, and fillings of a disk")
    parser.add_argument("--seconds", type=float, default=60.0, help="of everything going on at once")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.parts = [word for word in options.words if word in PARTS] or list(PARTS)
    folders = [Path(word) for word in options.words if word not in PARTS]
    if len(folders) > 1 or not all(folder.is_dir() for folder in folders):
        parser.error(f"parts are {', '.join(PARTS)}; the folder must be there")
    options.folder = folders[0] if folders else None
    return options


def main() -> None:
    """Run the chosen parts and print the counts."""
    options = _parsed()
    begun = time.monotonic()
    print(HEAD, flush=True)
    total: dict[str, list[Count]] = {}
    missing: list[str] = []
    for name in options.store or STORES:
        for part in options.parts:
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                try:
                    for count in PARTS[part](STORES[name], Path(folder), options):
                        print(count.row, flush=True)
                        total.setdefault(name, []).append(count)
                except Unavailable as error:
                    missing.append(f"{part} of {name} was not done: {error}")
    print()
    for name, counts in total.items():
        lost = sum(count.lost for count in counts if not count.beyond)
        unnoticed = sum(count.unnoticed for count in counts)
        print(f"{name}: acknowledged entries lost: {lost:,}; damage unnoticed: {unnoticed:,}")
    if any(count.beyond for counts in total.values() for count in counts):
        print("(rows marked * don't count: no store could keep the entries, or fsync was left out to see the loss)")
    print("\n".join([*missing, f"{time.monotonic() - begun:.0f} s"]))


if __name__ == "__main__":
    main()
