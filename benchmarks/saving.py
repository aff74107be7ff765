"""Measure the time to save an entry: ``python benchmarks/saving.py [FOLDER]``.

FOLDER should be on the disk that is used for studies. The second table compares, in turns, the CPU time of a save that
converts only the new entry with that of one that converts the whole reading.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from ratui.reading import (
    DisplayRecord,
    GradeEntry,
    Reading,
    TerminalSize,
    enter,
    find_next_open_field,
    reading_to_document,
    start_reading,
)
from ratui.scheme import load_scheme
from ratui.study.readings.reading_session import ReadingEvidence, now, reading_rows
from ratui.study.store import StudyFolder, write_tables
from ratui.study.store.tables import TableWriter

_DISPLAY = DisplayRecord(
    ("a" * 12, "b" * 12), "kitty", 10.5, True, ("", ""), 3.2, "terminal", TerminalSize(120, 40, 10, 20)
)
_ROUNDS = 60


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
    print("\n| entries in the log | CPU of a save | with a conversion of the whole reading |\n|---|---|---|")
    for count in (0, 300, 1000):
        with tempfile.TemporaryDirectory(dir=where) as folder:
            new, whole = measure_long_reading(Path(folder), count)
        print(f"| {count} | {new:.2f} ms | {whole:.2f} ms |")


def measure_long_reading(folder: Path, count: int) -> tuple[float, float]:
    """Return the median CPU time in ms of a save after `count` entries, without and with a conversion of all entries."""
    scheme, evidence = load_scheme("mtss-hands"), ReadingEvidence()
    reading = enter_more(start_reading(scheme, "C-1", "anna", scheme.sites), count)
    file = StudyFolder(folder).file("C-1.json")
    kept = TableWriter(file)
    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(_ROUNDS):
        reading = enter_more(reading, 1)
        evidence = evidence.after_save(len(reading.log), len(reading.log), 0)
        for is_kept in (True, False):
            writer = kept if is_kept else TableWriter(file)
            times[is_kept].append(measure_save(writer, reading, evidence))
    return statistics.median(times[True]), statistics.median(times[False])


def enter_more(reading: Reading, count: int) -> Reading:
    """Return `reading` with `count` more entries: first one for each field, then other grades in their place."""
    for _ in range(count):
        turn, place = divmod(len(reading.log), len(reading.fields))
        entry, field = GradeEntry(turn % 2), reading.fields[place]
        reading = enter(reading, field, entry, timestamp=now(), key="0", display=_DISPLAY, confirmed=True)
    return reading


def measure_save(writer: TableWriter, reading: Reading, evidence: ReadingEvidence) -> float:
    """Return the CPU time of a save of `reading` by `writer` in ms."""
    begun = time.process_time()
    writer.write(reading_rows(reading, 1.0, (), evidence))
    return 1000 * (time.process_time() - begun)


if __name__ == "__main__":
    main()
