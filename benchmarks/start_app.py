"""Show a joint of a film with textual-image's widget, in an app that does nothing else: ``start.py`` measures its start.

Run ``python -m benchmarks.start_app PROTOCOL FILM FILM``. It reads both films with pydicom and shows their centres.
"""

from __future__ import annotations

import sys

import numpy as np
import pydicom
from PIL import Image
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.widget import Widget

CELLS, CELL, SIDE = (35, 24), (10, 20), 120  # a widget's characters, a character's pixels, a joint's pixels


def picture(path: str) -> Image.Image:
    """Return the centre of the film at `path` between its darkest and its brightest value, in the size of a widget."""
    pixels = pydicom.dcmread(path).pixel_array.astype(np.float32)
    rows, columns = pixels.shape
    part = pixels[(rows - SIDE) // 2 : (rows + SIDE) // 2, (columns - SIDE) // 2 : (columns + SIDE) // 2]
    grey = 255.0 * (part - part.min()) / max(float(np.ptp(part)), 1.0)
    return Image.fromarray(grey.astype(np.uint8)).resize((CELLS[0] * CELL[0], CELLS[1] * CELL[1]))


class Joint(App[None]):
    """An app that shows a joint on two films."""

    CSS = f"Horizontal > * {{ width: {CELLS[0]}; height: {CELLS[1]}; margin: 0 1; }}"

    def __init__(self, widget_class: type[Widget], films: list[str]) -> None:
        super().__init__()
        self.widget_class, self.films = widget_class, films

    def compose(self) -> ComposeResult:
        """Place one widget for each film in a row."""
        with Horizontal():
            for path in self.films:
                yield self.widget_class(picture(path))  # type: ignore[arg-type]


if __name__ == "__main__":
    # textual-image asks the terminal while it is imported, before Textual reads the answers.
    from textual_image.widget import HalfcellImage, SixelImage, TGPImage

    Joint({"kitty": TGPImage, "sixel": SixelImage, "halfcell": HalfcellImage}[sys.argv[1]], sys.argv[2:]).run()
