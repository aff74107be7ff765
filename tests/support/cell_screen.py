"""A screen of character cells, which decodes the output of a program into characters and grey levels."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

__all__ = ["CellScreen", "palette_colour"]

Rgb = tuple[int, int, int]
_TOKEN = re.compile(
    r"\x1b\[([<=>?]?)([0-9:;]*)([ -/]*)([@-~])"  # a control sequence
    r"|\x1b[P\]_^X].*?(?:\x07|\x1b\\)"  # a string
    r"|\x1b[ -/]+."  # such as the selection of a character set
    r"|\x1b([^\[P\]_^X])"
    r"|([\x00-\x1f])"
    r"|([^\x1b])",
    re.DOTALL,
)
_ANSI: tuple[Rgb, ...] = (
    *((0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229)),
    *((127, 127, 127), (255, 0, 0), (0, 255, 0), (255, 255, 0), (92, 92, 255), (255, 0, 255), (0, 255, 255)),
    (255, 255, 255),
)


def palette_colour(number: int) -> Rgb:
    """Return the colour with this number in the palette of xterm."""
    if number < 16:
        return _ANSI[number]
    if number >= 232:
        grey = 8 + 10 * (number - 232)
        return (grey, grey, grey)
    levels = (0, 95, 135, 175, 215, 255)
    number -= 16
    return (levels[number // 36], levels[number // 6 % 6], levels[number % 6])


class CellScreen:
    """The cells of a terminal after `output`, without scrolling regions.

    Parameters
    ----------
    output
        Everything that the program has written.
    size
        Columns and rows.
    has_true_colour
        False: a colour with 24 bits does not change the present colour.
    """

    def __init__(self, output: bytes, size: tuple[int, int], *, has_true_colour: bool = True) -> None:
        columns, rows = size
        self.text = [[" "] * columns for _ in range(rows)]
        self.upper = np.zeros((rows, columns, 3), np.uint8)
        """Colours of the upper halves of the cells, shape (rows, columns, 3)."""
        self.lower = np.zeros((rows, columns, 3), np.uint8)
        """Colours of the lower halves."""
        self.true_colours = 0
        """Number of colours with 24 bits that were selected."""
        self._has_true_colour = has_true_colour
        self._x = self._y = 0
        self._saved = (0, 0)
        self._last = " "
        self._reset()
        for token in _TOKEN.finditer(output.decode(errors="replace")):
            self._take(token)

    def lines(self) -> str:
        """Return the text of all rows."""
        return "\n".join("".join(row) for row in self.text)

    def greys(self, columns: slice, rows: slice) -> npt.NDArray[np.uint8]:
        """Return the grey levels of an area of cells, shape (2 × rows, columns). Raise AssertionError if it has colours."""
        upper, lower = self.upper[rows, columns], self.lower[rows, columns]
        halves = np.stack([upper, lower], axis=1).reshape(-1, upper.shape[1], 3)
        assert (halves == halves[..., :1]).all(), "not all cells are grey"
        return halves[..., 0]

    def _reset(self) -> None:
        self._ink, self._paper, self._is_reverse = (229, 229, 229), (0, 0, 0), False

    def _take(self, token: re.Match[str]) -> None:
        private, numbers, _, final, escape, control, character = token.groups()
        if character:
            self._put(character)
        elif control:
            if control == "\r":
                self._x = 0
            elif control == "\n":
                self._y = min(self._y + 1, len(self.text) - 1)
            elif control == "\b":
                self._x = max(self._x - 1, 0)
        elif escape in ("7", "8"):
            if escape == "7":
                self._saved = (self._x, self._y)
            else:
                self._x, self._y = self._saved
        elif final == "m" and not private:
            self._select(re.split("[:;]", numbers or "0"))
        elif final == "H":
            row, column = ([int(each or 1) for each in numbers.split(";")] + [1, 1])[:2]
            self._x, self._y = column - 1, row - 1
        elif final and not private and ";" not in numbers:
            self._edit(final, int(numbers or 0))

    def _edit(self, final: str, number: int) -> None:
        """Move the cursor or erase cells."""
        count, columns = max(number, 1), len(self.text[0])
        if final in "CD":
            self._x += count if final == "C" else -count
        elif final in "AB":
            self._y += count if final == "B" else -count
        elif final in "Gd":
            self._x, self._y = (count - 1, self._y) if final == "G" else (self._x, count - 1)
        elif final == "X":
            self._erase(self._y, self._x, self._x + count)
        elif final == "K":
            self._erase(self._y, 0 if number else self._x, self._x + 1 if number == 1 else columns)
        elif final == "J":
            for row in range(0 if number else self._y, self._y + 1 if number == 1 else len(self.text)):
                self._erase(row, self._x if row == self._y and number == 0 else 0, columns)
        elif final == "b":
            for _ in range(count):
                self._put(self._last)

    def _erase(self, row: int, start: int, end: int) -> None:
        if row < len(self.text):
            end = min(end, len(self.text[row]))
            self.text[row][start:end] = " " * (end - start)
            self.upper[row, start:end] = self.lower[row, start:end] = self._paper

    def _put(self, character: str) -> None:
        self._last = character
        if self._x == len(self.text[0]):  # the line is wrapped
            self._x, self._y = 0, self._y + 1
        if self._y < len(self.text) and self._x < len(self.text[0]):
            ink, paper = (self._paper, self._ink) if self._is_reverse else (self._ink, self._paper)
            self.text[self._y][self._x] = character
            self.upper[self._y, self._x] = ink if character == "▀" else paper
            self.lower[self._y, self._x] = paper
        self._x += 1

    def _select(self, codes: list[str]) -> None:
        numbers = [int(code or 0) for code in codes]
        while numbers:
            code = numbers.pop(0)
            if code == 0:
                self._reset()
            elif code in (7, 27):
                self._is_reverse = code == 7
            elif code in (38, 48):
                colour: Rgb | None
                if numbers.pop(0) == 5:
                    colour = palette_colour(numbers.pop(0))
                else:
                    self.true_colours += 1
                    colour = (numbers.pop(0), numbers.pop(0), numbers.pop(0))
                    colour = colour if self._has_true_colour else None
                self._set(code < 40, colour)
            elif 30 <= code <= 49 or 90 <= code <= 107:
                number = code % 10 + (8 if code >= 90 else 0)
                is_ink = code // 10 in (3, 9)
                self._set(is_ink, (_ANSI[7] if is_ink else _ANSI[0]) if code % 10 == 9 else _ANSI[number])

    def _set(self, is_ink: bool, colour: Rgb | None) -> None:
        if colour is None:
            return
        if is_ink:
            self._ink = colour
        else:
            self._paper = colour
