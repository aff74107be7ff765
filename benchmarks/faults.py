"""Count the entries that a store loses under injected faults, and the effects of attacks on a study.

Run ``python -m benchmarks.faults [PART…] [FOLDER]``. FOLDER should be on the disk that is used for studies.

Parts are kills, calls, kernel, power, damages, writers and attacks; all by default. ``--store`` selects one store, and
``--seed`` other random moments, so that a long run can be divided. The last lines state the losses of ratui's store and of
TinyDB's own storage. ``attacks`` prints a table of its own: what is attacked, by whom, what was noticed and what was lost.
Its rows are in `tests/support/attacks`; some need root, to act as other accounts. ``--topic`` selects one of its modules.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.attacks import load_attacks
from tests.support.attacks import table as attack_table
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
        yield all_at_once(folder / "slow", options.seconds, sync_delay=0.05)


PARTS: dict[str, Part] = {
    "kills": _kills,
    "calls": _calls,
    "kernel": _kernel,
    "power": _power,
    "damages": _damages,
    "writers": _writers,
}
ATTACKS = "attacks"


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", metavar="PART or FOLDER")
    parser.add_argument("--store", choices=sorted(STORES), action="append")
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--damages", type=int, default=1000)
    parser.add_argument("--cuts", type=int, default=200, help="of a real file system's power, and fillings of a disk")
    parser.add_argument("--seconds", type=float, default=60.0, help="of everything going on at once")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--topic", help="of the attacks, by default all")
    options = parser.parse_args()
    known = (*PARTS, ATTACKS)
    options.parts = [word for word in options.words if word in known] or list(known)
    folders = [Path(word) for word in options.words if word not in known]
    if len(folders) > 1 or not all(folder.is_dir() for folder in folders):
        parser.error(f"parts are {', '.join(known)}; the folder must be there")
    options.folder = folders[0] if folders else None
    return options


def main() -> None:
    """Run the chosen parts and print the counts."""
    options = _parsed()
    begun = time.monotonic()
    missing = _run_parts(options, [part for part in options.parts if part != ATTACKS])
    if ATTACKS in options.parts:
        missing += _run_attacks(options)
    print("\n".join([*missing, f"{time.monotonic() - begun:.0f} s"]))


def _run_parts(options: argparse.Namespace, parts: list[str]) -> list[str]:
    """Run the parts that count entries, print their table, and return what could not be done."""
    if not parts:
        return []
    print(HEAD, flush=True)
    total: dict[str, list[Count]] = {}
    missing: list[str] = []
    for name in options.store or STORES:
        for part in parts:
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
    return missing


def _run_attacks(options: argparse.Namespace) -> list[str]:
    """Run the attacks, print their table, and return what could not be done."""
    print(f"\n{attack_table.HEAD}", flush=True)
    missing: list[str] = []
    outcomes: list[attack_table.Outcome] = []
    for row in load_attacks():
        if options.topic not in (None, row.topic):
            continue
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            try:
                outcome = row.run(Path(folder))
            except Unavailable as error:
                missing.append(f"{row.what} was not done: {error}")
                continue
        outcomes.append(outcome)
        print(attack_table.format_row(row, outcome), flush=True)
    lost, unnoticed, outside = (
        sum(getattr(each, name) for each in outcomes) for name in ("lost", "unnoticed", "outside")
    )
    print(
        f"\nattacks: {len(outcomes)}; entries lost: {lost:,}; unnoticed: {unnoticed:,}; files outside touched: {outside:,}"
    )
    return missing


if __name__ == "__main__":
    main()
