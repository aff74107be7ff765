"""Plots in the terminal: encoded like films, in grey levels, and written at the cursor."""

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
    """Show pictures one after the other, as large as the terminal allows.

    Parameters
    ----------
    pictures
        Name and bytes of a PNG file, for each picture.
    graphics
        Display protocol: ``auto``, ``kitty``, ``iterm2``, ``sixel`` or ``halfcell``.

    Raises
    ------
    DisplayError
        If standard output is not a terminal, or the terminal does not support the protocol.
    """
    from PIL import Image

    from ratui.errors import DisplayError
    from ratui.terminal import encode, probe

    if not sys.stdout.isatty():
        raise DisplayError("plots can only be shown in a terminal", "", "To save them as files: --plots FOLDER")
    display = probe(graphics)
    if not display.can_show_films:
        raise DisplayError(
            f"this terminal shows {display.levels} grey levels, too few for plots",
            "",
            "To save them as files: --plots FOLDER",
        )
    for number, (name, data) in enumerate(pictures):
        size = shutil.get_terminal_size()
        image = Image.open(io.BytesIO(data)).convert("L")
        columns, rows = fit_to_cells(image.size, display, size.columns - 1, max(size.lines - 3, 2))
        across, down = display.pixels_per_cell
        image = image.resize((columns * across, rows * down), Image.Resampling.LANCZOS)
        # Scroll the previous output into the scrollback instead of erasing it.
        sys.stdout.write("\n" * size.lines + f"\x1b[H{clean_text(name)}")
        sys.stdout.write("".join(encode(display, image).parts(0, 1, columns, rows, 1)) + f"\x1b[{rows + 2};1H")
        sys.stdout.flush()
        if number < len(pictures) - 1:
            click.pause("any key: next plot")


def fit_to_cells(image: tuple[int, int], display: Display, columns: int, rows: int) -> tuple[int, int]:
    """Return the columns and rows of characters for an image, undistorted and within the given limits.

    `image` is (width, height) in pixels; `columns` and `rows` are the maxima in characters.
    """
    across, down = display.pixels_per_cell
    scale = min(rows * down / image[1], columns * across * display.pixel_aspect / image[0])
    wide, high = scale * image[0] / display.pixel_aspect / across, scale * image[1] / down
    return max(round(wide), 1), max(round(high), 1)
