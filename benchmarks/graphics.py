"""Compare ratui's Sixel encoder with that of textual-image in one run: ``python benchmarks/graphics.py``."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from textual_image._sixel import image_to_sixels

from ratui.demo.sample import find_sample
from ratui.imaging import Box, crop, read_film
from ratui.terminal import Display, KittyFrame, decode_sixel, encode, encode_sixel


def measure(work: Callable[[], str]) -> tuple[float, int]:
    """Return the median milliseconds of `work`, and the number of bytes that it returns."""
    times, text = [], ""
    for _ in range(15):
        begun = time.perf_counter()
        text = work()
        times.append(time.perf_counter() - begun)
    return 1000 * sorted(times)[7], len(text)


def main() -> None:
    """Compare both encoders and print a table."""
    film = read_film(sorted(find_sample().rglob("*.dcm"))[0])
    x, y = film.columns / 2, film.rows / 2
    image = crop(film, Box(x - 60, y - 60, x + 60, y + 60), (400, 400))
    step = 255 / 63
    coarse = image.point([round(round(value / step) * step) for value in range(256)])
    levels = np.asarray(image)

    shown = encode(Display("kitty"), image)
    assert isinstance(shown, KittyFrame)
    shown.mark_shown()

    def kitty() -> str:
        return "".join(encode(Display("kitty"), image).parts(0, 0, 40, 20, 1))

    rows = {
        "Sixel, ours, 64 greys": lambda: encode_sixel(levels, 64),
        "Sixel, textual-image, 64 greys": lambda: image_to_sixels(coarse),
        "Sixel, textual-image, as RGB": lambda: image_to_sixels(image.convert("RGB")),
        "Kitty, first time": kitty,
        "Kitty, shown again": lambda: "".join(shown.parts(0, 0, 40, 20, 1)),
    }
    print(
        "| frame of 400 × 400 | encode | bytes | largest error of a grey level, as xterm paints it |\n|---|---|---|---|"
    )
    for name, work in rows.items():
        took, size = measure(work)
        off = ""
        if name.startswith("Sixel"):
            off = str(int(np.abs(decode_sixel(work()).astype(int) - levels).max()))
        print(f"| {name} | {took:.1f} ms | {size:,} | {off or '0'} |")


if __name__ == "__main__":
    main()
