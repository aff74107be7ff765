"""The part of Kitty that displays images by Unicode placeholders: bytes in, picture out."""

from __future__ import annotations

import base64
import io
import re
import unicodedata
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from ratui.terminal.kitty import PLACEHOLDER, list_marks

__all__ = ["PlaceholderTerminal"]

_TOKEN = re.compile(
    r"\x1b_G(?P<keys>[^;\x1b]*);?(?P<payload>[^\x1b]*)\x1b\\"
    r"|\x1b\[(?P<csi>[0-?]*)[ -/]*(?P<end>[@-~])"
    r"|\x1b[\]P_][^\x1b\x07]*(?:\x1b\\|\x07)|\x1b[ -/]+.|\x1b[^\[\]P_]|(?P<text>[^\x1b])",
    re.DOTALL,
)
_COLOUR = re.compile(r"38[:;]2[:;]+(\d+)[:;](\d+)[:;](\d+)")


@dataclass
class PlaceholderTerminal:
    """A terminal that knows uploads, virtual placements, placeholders, colours and the movements of the cursor."""

    images: dict[int, Image.Image] = field(default_factory=dict)
    """Images by number."""
    placements: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Columns and rows of each image."""
    cells: dict[tuple[int, int], tuple[str, int]] = field(default_factory=dict)
    """Character with its marks, and colour, by (column, row)."""
    _upload: tuple[int, list[str]] = (0, [])
    _at: tuple[int, int] = (0, 0)
    _colour: int = -1

    def feed(self, data: str) -> None:
        """Process the output of a program."""
        for found in _TOKEN.finditer(data):
            if found["keys"] is not None:
                self._graphics(dict(pair.split("=") for pair in found["keys"].split(",")), found["payload"])
            elif found["end"]:
                self._control(found["csi"], found["end"])
            elif found["text"]:
                self._write(found["text"])

    def picture(self, column: int, row: int, columns: int, rows: int, cell: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Return the grey levels of some cells; 0 where a cell shows no image."""
        across, down = cell
        picture = np.zeros((rows * down, columns * across), np.uint8)
        for y in range(rows):
            for x in range(columns):
                part = self._part(column + x, row + y, cell)
                if part is not None:
                    picture[y * down : (y + 1) * down, x * across : (x + 1) * across] = part
        return picture

    def ids(self) -> set[int]:
        """Return the numbers of the images of which at least one cell is on the screen."""
        return {number for found in self.cells.values() if (number := self._decode(*found)[0])}

    def _decode(self, text: str, colour: int) -> tuple[int, int, int]:
        """Return the number, column and row that a cell names; number 0 for other text."""
        marks = [list_marks().index(mark) for mark in text[1:]]
        return (
            (colour | marks[2] << 24, marks[1], marks[0]) if text[0] == PLACEHOLDER and len(marks) == 3 else (0, 0, 0)
        )

    def _part(self, column: int, row: int, cell: tuple[int, int]) -> npt.NDArray[np.uint8] | None:
        number, x, y = self._decode(*self.cells.get((column, row), (" ", 0)))
        if number not in self.images or number not in self.placements:
            return None
        across, down = cell
        columns, rows = self.placements[number]
        levels = np.asarray(self.images[number].resize((columns * across, rows * down), Image.Resampling.NEAREST))
        return levels[y * down : (y + 1) * down, x * across : (x + 1) * across]

    def _graphics(self, keys: dict[str, str], payload: str) -> None:
        number = int(keys.get("i", "0"))
        if keys.get("a") == "t":
            self._upload = (number, [])
        if payload:
            self._upload[1].append(payload)
            if keys.get("m") != "1":
                number, pieces = self._upload
                self.placements.pop(number, None)  # another image with its number takes the place of an image
                data = base64.b64decode("".join(pieces), validate=True)
                is_raw, size = keys.get("f") == "24", (int(keys.get("s", "0")), int(keys.get("v", "0")))
                self.images[number] = Image.frombytes("RGB", size, data) if is_raw else Image.open(io.BytesIO(data))
        elif keys.get("a") == "p" and keys.get("U") == "1":
            self.placements[number] = (int(keys["c"]), int(keys["r"]))
        elif keys.get("a") == "d" and keys.get("d") == "I":
            self.placements.pop(number, None)
            # Kitty 0.26 also frees all other images without a placement.
            self.images = {each: image for each, image in self.images.items() if each in self.placements}

    def _control(self, parameters: str, end: str) -> None:
        numbers = (
            [int(number) if number else 0 for number in parameters.split(";")]
            if parameters.strip("0123456789;") == ""
            else [0]
        )
        column, row = self._at
        if end == "H":
            numbers = [*numbers, 0]
            self._at = (max(numbers[1], 1) - 1, max(numbers[0], 1) - 1)
        elif end in "ABCD":
            right, down = {"A": (0, -1), "B": (0, 1), "C": (1, 0), "D": (-1, 0)}[end]
            count = max(numbers[0], 1)
            self._at = (column + right * count, row + down * count)
        elif end == "m":
            found = _COLOUR.search(parameters)
            if found:
                red, green, blue = map(int, found.groups())
                self._colour = red << 16 | green << 8 | blue
            elif parameters in ("", "0") or "39" in parameters.split(";"):
                self._colour = -1

    def _write(self, text: str) -> None:
        column, row = self._at
        if text == "\b":
            self._at = (column - 1, row)
        elif text == "\r":
            self._at = (0, row)
        elif text == "\n":
            self._at = (column, row + 1)
        elif unicodedata.combining(text):
            before, colour = self.cells[column - 1, row]
            self.cells[column - 1, row] = (before + text, colour)
        else:
            self.cells[column, row] = (text, self._colour)
            self._at = (column + 1, row)
