"""Measure the time to save an entry: ``python benchmarks/saving.py [FOLDER]``.

FOLDER should be on the disk that is used for studies.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from ratui.reading import GradeEntry, enter, find_next_open_field, reading_to_document, start_reading
from ratui.scheme import load_scheme
from ratui.study.store import write_tables


def main() -> None:
    """Measure the saves and print the times."""
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    print("| scheme | fields | save, median | slowest of all |\n|---|---|---|---|")
    for name in ("fingers", "mtss-hands", "mtss"):
        scheme = load_scheme(name)
        reading = start_reading(scheme, "C-1", "anna", scheme.sites)
        times = []
        with tempfile.TemporaryDirectory(dir=where) as folder:
            field = find_next_open_field(reading)
            while field is not None:
                reading = enter(reading, field, GradeEntry(0), key="0")
                begun = time.perf_counter()
                document = reading_to_document(reading)
                tables = {"meta": [document["meta"]], "fields": document["fields"], "log": document["log"]}
                write_tables(Path(folder) / "C-1.json", tables)
                times.append(1000 * (time.perf_counter() - begun))
                field = find_next_open_field(reading, after=field)
        times.sort()
        print(f"| {name} | {len(times)} | {times[len(times) // 2]:.1f} ms | {times[-1]:.1f} ms |")


if __name__ == "__main__":
    main()
