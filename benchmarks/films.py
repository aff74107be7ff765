"""Measure the time to decode a film and to crop a joint.

Run ``python benchmarks/films.py [FILE…]``. Compare ratios, not absolute times.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ratui.demo.sample import find_sample
from ratui.imaging import Box, crop, encode_dicom, read_film


def milliseconds(work: Callable[[], object], repeat: int = 9) -> float:
    """Return the median time of `work` in milliseconds."""
    times = []
    for _ in range(repeat):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return 1000 * sorted(times)[repeat // 2]


def main() -> None:
    """Measure each film and print one row per film."""
    files = [Path(name) for name in sys.argv[1:]] or [sorted(find_sample().rglob("*.dcm"))[0]]
    print("| film | size | decode | crop, first look | crop, again | stored plain: decode |")
    print("|---|---|---|---|---|---|")
    for file in files:
        film = read_film(file)
        x, y = film.columns / 2, film.rows / 2
        box = Box(x - 90, y - 90, x + 90, y + 90)
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / "plain.dcm"
            plain.write_bytes(encode_dicom(film.pixels, bits=film.bits_stored, compress=False))
            stored = milliseconds(lambda plain=plain: read_film(plain))  # type: ignore[misc]
        decode = milliseconds(lambda file=file: read_film(file), 5)  # type: ignore[misc]
        fresh = read_film(file)
        first = milliseconds(lambda fresh=fresh, box=box: crop(fresh, box, (400, 400)), 1)  # type: ignore[misc]
        again = milliseconds(lambda fresh=fresh, box=box: crop(fresh, box, (400, 400)))  # type: ignore[misc]
        size = f"{film.columns} × {film.rows}"
        print(f"| {file.name[:30]} | {size} | {decode:.0f} ms | {first:.1f} ms | {again:.1f} ms | {stored:.0f} ms |")


if __name__ == "__main__":
    main()
