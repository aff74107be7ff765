"""Pictures in the terminal: a plot as grey levels, encoded as films are and written where the cursor stands."""

from __future__ import annotations

import io
import shutil
import sys
from typing import TYPE_CHECKING

import click

from ratui.errors import clean_text

if TYPE_CHECKING:
    from ratui.terminal import Display

__all__ = ["fit_to_cells", "show_images"]


def show_images(pictures: list[tuple[str, bytes]], graphics: str) -> None:
    """Shows PNG `pictures`, each with its name above it, one after the other, as large as the terminal allows.

    Raises DisplayError where the output is no terminal, or can't do what `graphics` asks of it.
    """
    from PIL import Image

    from ratui.errors import DisplayError
    from ratui.terminal import encode, probe

    if not sys.stdout.isatty():
        raise DisplayError("plots are shown in a terminal, and the output goes elsewhere", "", "Give --plots FOLDER")
    display = probe(graphics)
    for number, (name, data) in enumerate(pictures):
        size = shutil.get_terminal_size()
        image = Image.open(io.BytesIO(data)).convert("L")
        columns, rows = fit_to_cells(image.size, display, size.columns - 1, max(size.lines - 3, 2))
        across, down = display.pixels_per_cell
        image = image.resize((columns * across, rows * down), Image.Resampling.LANCZOS)
        # What stood on the screen is scrolled away, not wiped out.
        sys.stdout.write("\n" * size.lines + f"\x1b[H{clean_text(name)}")
        sys.stdout.write("".join(encode(display, image).parts(0, 1, columns, rows, 1)) + f"\x1b[{rows + 2};1H")
        sys.stdout.flush()
        if number < len(pictures) - 1:
            click.pause("any key: the next plot")


def fit_to_cells(image: tuple[int, int], display: Display, columns: int, rows: int) -> tuple[int, int]:
    """How many columns and rows of characters an `image` (width, height) takes, undistorted, within those given."""
    across, down = display.pixels_per_cell
    scale = min(rows * down / image[1], columns * across * display.pixel_aspect / image[0])
    wide, high = scale * image[0] / display.pixel_aspect / across, scale * image[1] / down
    return max(round(wide), 1), max(round(high), 1)
