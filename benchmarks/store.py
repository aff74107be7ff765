"""Measure saves, worklists and snapshots by the size of a study.

Run ``python -m benchmarks.store [FOLDER]``. FOLDER should be on the disk that is used for studies.

Studies of 10, 1,000 and 10,000 cases with three raters each are created. Saves go to them in turn, so that other work on
the machine affects all equally.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from ratui.files import make_folder, second_copy_path
from ratui.imaging import Box
from ratui.reading import GradeEntry, Reading, enter, find_next_open_field, set_note, sign, start_reading
from ratui.scheme import load_scheme
from ratui.study import Case, FilmRecord, Region, RegionSource, Study
from ratui.study.layout import PRIVATE
from ratui.study.readings.reading_session import ReadingEvidence, reading_to_tables
from ratui.study.store import seal
from ratui.study.store.frozen_folder import FrozenFolder
from ratui.study.store.tables import read_tables, sealed_name

SIZES = (10, 1_000, 10_000)
RATERS = ("anna", "bert", "cleo")
SAVES = 120


def lay_out(folder: Path, cases: int) -> Study:
    """Create a study with a third of the readings signed, begun and not begun; without fsync, which is not measured here."""
    films = tuple(FilmRecord(f"{t}{s}", t, s, "hand", 2500, 2048) for t in (0, 1) for s in "LR")
    example = Case("C-000000", films)
    stages = _stages(example)
    return lay_out_copies(
        folder,
        example,
        RATERS,
        cases,
        lambda number: {rater: stages[(number + place) % 3] for place, rater in enumerate(RATERS)},
    )


def lay_out_copies(
    folder: Path,
    example: Case,
    raters: Sequence[str],
    cases: int,
    read: Callable[[int], Mapping[str, Reading | None]],
) -> Study:
    """Create a study of `cases` copies of `example`, without pictures, whose regions are confirmed; without fsync.

    `read` returns the reading of each rater, or None, for the number of a case.
    """
    study = Study.create(folder, "mtss-hands", raters)
    study.save_case(example)
    listed = [
        read_tables(study.folder.file(name))
        for name in (f"films/{example.id}/films.json", f"private/visits/{example.id}.json")
    ]
    regions = [
        Region(site.key, film.id, Box(1.0, 2.0, 30.0, 40.0), RegionSource.RATER, raters[0]).to_record()
        for film in example.films
        for site in example.sites(study.scheme)
        if site.side in film.sides
    ]
    for number in range(cases):
        case = f"C-{number:06d}"
        put_tables(study.path / "films" / case / "films.json", listed[0])
        put_tables(study.path / "private" / "visits" / f"{case}.json", listed[1])
        put_tables(study.path / "regions" / f"{case}.json", {"regions": regions})
        for rater, reading in read(number).items():
            if reading is not None:
                evidence = ReadingEvidence().after_save(len(reading.log), 300.0, 0.0)
                tables = reading_to_tables(reading, 300.0, (), evidence)
                meta = {**tables["meta"][0], "case": case, "rater": rater}
                put_tables(study.reading_path(rater, case), {**tables, "meta": [meta]})
    return study


def _stages(example: Case) -> tuple[Reading | None, ...]:
    scheme = load_scheme("mtss-hands")
    begun = reading = start_reading(scheme, example.id, "anna", example.sites(scheme))
    begun = reading = replace(reading, positions=example.films_at(reading.order))
    field = find_next_open_field(reading)
    while field is not None:
        reading = enter(reading, field, GradeEntry(0), key="0")
        if len(reading.values) == 40:
            begun = reading
        field = find_next_open_field(reading, after=field)
    return sign(reading, timestamp=datetime(2024, 1, 1, tzinfo=UTC)), begun, None


def put_tables(path: Path, tables: object) -> None:
    """Write a sealed table file and its second copy, without fsync."""
    if not path.parent.exists():
        make_folder(path.parent)
    records = {
        name: {str(n): record for n, record in enumerate(each, start=1)}
        for name, each in tables.items()  # type: ignore[attr-defined]
    }
    data = seal(records, sealed_name(path))
    for each in (path, second_copy_path(path)):
        each.write_bytes(data)
        each.chmod(0o600)


def saves(studies: list[Study]) -> list[float]:
    """Return the median time of a save in each study, in ms."""
    times: list[list[float]] = [[] for _ in studies]
    with ExitStack() as held:
        sessions = [held.enter_context(s.open_reading("anna", s.cases()[1])) for s in studies]
        for number in range(SAVES):
            for place, session in enumerate(sessions):
                reading = set_note(session.reading, "L.MCP2", f"note {number % 10}")
                begun = time.perf_counter()
                session.save(reading)
                times[place].append(1000 * (time.perf_counter() - begun))
    return [median(each[10:]) for each in times]


def worklists(study: Study) -> tuple[float, float, float]:
    """Return seconds to open the worklists of all raters without an index, with one, and after one more entry."""
    spent = []
    for _ in range(2):
        begun = time.perf_counter()
        opened = Study.open(study.path)
        opened.all_states()
        spent.append(time.perf_counter() - begun)
    with opened.open_reading("anna", opened.cases()[1]) as session:
        session.save(set_note(session.reading, "L.MCP3", "one more"))
    begun = time.perf_counter()
    opened.all_states()
    return spent[0], spent[1], time.perf_counter() - begun


def main() -> None:
    """Create the studies, measure them and print a table."""
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory(dir=where) as folder:
        studies = [lay_out(Path(folder) / str(size), size) for size in SIZES]
        print(
            "| cases | a save | its ratio | no index, 3 raters | with index | after an entry "
            "| one rater (CPU) | snapshot (saves wait) |"
        )
        print("|---|---|---|---|---|---|---|---|", flush=True)
        costs = saves(studies)
        for size, study, cost in zip(SIZES, studies, costs, strict=True):
            first, second, third = worklists(study)
            begun, used = time.perf_counter(), time.process_time()
            Study.open(study.path).states("anna")
            one, used = time.perf_counter() - begun, time.process_time() - used
            begun = time.perf_counter()
            with study.snapshot():
                picture = time.perf_counter() - begun
            frozen = FrozenFolder(study.folder, PRIVATE)
            frozen.update()
            begun = time.perf_counter()
            frozen.update()
            waiting = time.perf_counter() - begun
            frozen.close()
            print(
                f"| {size:,} | {cost:.1f} ms | {cost / costs[0]:.2f} | {first:.2f} s | {second:.2f} s | {third:.2f} s "
                f"| {one:.2f} s ({used:.2f} s) | {picture:.2f} s ({waiting:.2f} s) |",
                flush=True,
            )


if __name__ == "__main__":
    main()
