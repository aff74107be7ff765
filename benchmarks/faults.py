"""What a store loses when everything goes wrong: ``python -m benchmarks.faults [--kills N] [--damages N] [FOLDER]``.

Give a folder on the disk that matters. The last lines say what was lost, of ratui's store and of TinyDB's stock storage.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness.count import HEAD, Count
from benchmarks.harness.damage import damages
from benchmarks.harness.kills import kills, many_writers
from benchmarks.harness.stores import Ours, Stock
from benchmarks.harness.syscalls import failing_calls, power_cuts


def rows(folder: Path, wanted_kills: int, wanted_damages: int) -> Iterator[Count]:
    """All faults, done to both stores."""
    for store in (Ours(), Stock()):
        yield kills(store, folder / f"kills-{store.name}", wanted_kills)
        yield from failing_calls(store, folder / f"calls-{store.name}")
        if isinstance(store, Ours):
            yield power_cuts(folder / "power")
        yield damages(store, folder / f"damages-{store.name}", wanted_damages)
        for writers in range(2, 9):
            yield many_writers(store, folder / f"writers-{store.name}-{writers}", writers, 24)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--damages", type=int, default=1000)
    options = parser.parse_args()
    begun = time.monotonic()
    print(HEAD, flush=True)
    total: dict[str, list[Count]] = {}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for count in rows(Path(folder), options.kills, options.damages):
            print(count.row, flush=True)
            total.setdefault(count.store, []).append(count)
    print()
    for store, counts in total.items():
        lost, unnoticed = sum(count.lost for count in counts), sum(count.unnoticed for count in counts)
        print(f"{store}: acknowledged entries lost: {lost:,}; damage unnoticed: {unnoticed:,}")
    print(f"{time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
