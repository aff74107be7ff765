"""Measure the time to open and filter a long worklist.

Run ``python benchmarks/worklist.py [CASES…]``; 500 and 3000 cases by default.

A third of the cases is signed, a third begun. The app runs without a terminal; times end when the lines are present.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from ratui.imaging import Box
from ratui.reading import GradeEntry, enter, find_next_open_field, sign
from ratui.study import Case, FilmRecord, Region, RegionSource, Study
from ratui.terminal import Display
from ratui.tui import RatuiApp
from ratui.tui.screens.worklist.screen import WorklistScreen

FILMS = tuple(
    FilmRecord(f"film{time}{side}", time, side, "hand", 2500, 2048, 400 * time) for time in (0, 1) for side in "LR"
)


def make(folder: Path, count: int) -> Study:
    """Create a study of `count` cases without pictures, all copied from one case to save time."""
    study = Study.create(folder / "study", "fingers", ["anna"])
    case = Case("C-00000", FILMS)
    study.save_case(case)
    regions = [
        Region(site.key, film.id, Box(0.0, 0.0, 100.0, 100.0), RegionSource.RATER, "anna")
        for film in FILMS
        for site in case.sites(study.scheme)
        if site.side == film.side
    ]
    study.save_regions(case.id, regions)
    for number in range(count):
        id = f"C-{number:05d}"
        study.save_case(replace(case, id=id))
        if number:
            shutil.copy(study.path / "regions" / "C-00000.json", study.path / "regions" / f"{id}.json")
        if number % 3 < 2:
            with study.open_reading("anna", id) as session:
                reading, field = session.reading, find_next_open_field(session.reading)
                while field is not None and (number % 3 == 0 or len(reading.values) < 20):
                    reading = enter(reading, field, GradeEntry(0), key="0")
                    field = find_next_open_field(reading, after=field)
                if number % 3 == 0:
                    from datetime import UTC, datetime

                    reading = sign(reading, timestamp=datetime.now(UTC))
                session.save(reading, seconds=200.0)
    return study


async def opened(study: Study) -> tuple[float, float, float, float]:
    """Return seconds to the first lines, to the complete list, for one key in the filter, and to clear the filter."""
    app = RatuiApp(study, "anna", Display("halfcell"))
    begun = time.perf_counter()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = app.screen
        assert isinstance(screen, WorklistScreen)
        while not screen._states:
            await asyncio.sleep(0.001)
        first = time.perf_counter() - begun
        while not screen._is_loaded:
            await asyncio.sleep(0.001)
        known = time.perf_counter() - begun
        await pilot.pause()
        keys = []
        for key in ("0", "0", "1", "escape"):
            at = time.perf_counter()
            await pilot.press(key)
            await app.key_queue.wait_until_idle()
            keys.append(time.perf_counter() - at)
        at = time.perf_counter()
        screen._filter("0")
        screen._filter("")
        work = (time.perf_counter() - at) / 2
    return first, known, sum(keys) / len(keys), work


def main() -> None:
    """Measure worklists of each size and print a table."""
    print("| cases | index | first lines | all known | a key of the filter | of it work |\n|---|---|---|---|---|---|")
    for count in [int(each) for each in sys.argv[1:]] or [500, 3000]:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
            study = make(Path(folder), count)
            for index in ("made", "there"):
                if index == "made":
                    shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)
                first, known, key, work = asyncio.run(opened(Study.open(study.path)))
                times = (first, known, key, work)
                print(f"| {count} | {index} | {' | '.join(f'{1000 * each:.0f} ms' for each in times)} |")


if __name__ == "__main__":
    main()
