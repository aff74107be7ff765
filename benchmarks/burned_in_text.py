"""Measure the search for text that is burned into films: names found by kind, and alarms on films without text.

Run ``python -m benchmarks.burned_in_text``. It uses the films of the sample study and, where they exist, the real films
beside the checkout.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice

import numpy as np
from PIL import Image

from ratui.demo.sample import find_sample
from ratui.imaging import Pixels, read_film
from ratui.study.importing.reader.burned_in_text import seems_to_contain_text
from tests.films import real_films
from tests.support.planted_text import KINDS, write

_FILMS_OF_A_GROUP = 5  # into which names are written


def films_by_group() -> Iterator[tuple[str, Iterator[Pixels]]]:
    """Yield groups of films, each with its name."""
    yield "simulated", (read_film(path).pixels for path in sorted(find_sample().rglob("*.dcm")))
    real = real_films()
    if real is not None:
        yield "hand", (read_film(path).pixels for path in (real / "hand_dicom").glob("*uncompressed.dcm"))
        for name, kind in (("ra_wrists", "*.png"), ("mcp_series", "*.jpg")):
            files = sorted((real / name).rglob(kind))
            yield name, (np.asarray(Image.open(file).convert("L")) for file in files)


def main() -> None:
    """Print both tables."""
    bases: list[Pixels] = []
    print("| films as they are | number | alarms | seconds a film |\n|---|---|---|---|")
    for name, films in films_by_group():
        begun, count, quiet = time.perf_counter(), 0, []
        for film in films:
            count += 1
            if not seems_to_contain_text(film):
                quiet.append(film)
        seconds = (time.perf_counter() - begun) / max(count, 1)
        print(f"| {name} | {count} | {count - len(quiet)} | {seconds:.3f} |", flush=True)
        if name != "mcp_series":  # crops of 256 pixels are too small for the names
            bases += islice(quiet, _FILMS_OF_A_GROUP)
    print("\n| name | films | found |\n|---|---|---|")
    total = 0
    for name, kind in KINDS.items():
        found = sum(seems_to_contain_text(write(film, **kind)) for film in bases)
        total += found
        print(f"| {name} | {len(bases)} | {found} |", flush=True)
    print(f"\n{total} of {len(bases) * len(KINDS)} names found")


if __name__ == "__main__":
    main()
