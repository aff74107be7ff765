"""A film as a value: its pixels as stored, and what the file says of their greys and their size.

It reads nothing and shows nothing; `windowing` turns its values into greys, `dicom_reader` turns files into films.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["MAX_SIDE", "Contrast", "Film", "LookupTable", "Pixels", "Window", "WindowFunction"]

Pixels: TypeAlias = npt.NDArray[np.integer[Any]]
MAX_SIDE = 12_000
"""Rows or columns above this are no radiograph; a header that claims them is refused before memory is taken."""

WindowFunction: TypeAlias = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]


@dataclass(frozen=True)
class Window:
    """A grey window, in modality units: `centre` becomes middle grey, `width` spans black to white (PS3.3 C.11.2.1)."""

    centre: float
    width: float
    function: WindowFunction = "LINEAR"
    name: str = ""


@dataclass(frozen=True, eq=False)
class LookupTable:
    """A lookup table of the file: input `first` gives ``values[0]``; inputs beyond either end give the end's value.

    `bits` is the depth of the output, so that ``2 ** bits - 1`` is white where the table makes greys.
    """

    first: int
    values: npt.NDArray[np.uint16]
    bits: int
    name: str = ""

    def look_up(self, inputs: npt.NDArray[np.float64]) -> npt.NDArray[np.uint16]:
        """The table's values at `inputs`, rounded to whole numbers first."""
        places = np.clip(np.rint(inputs) - self.first, 0, len(self.values) - 1).astype(np.intp)
        return np.asarray(self.values[places], dtype=np.uint16)


Contrast: TypeAlias = Window | LookupTable
"""What makes greys of modality units."""


@dataclass(frozen=True)
class Film:
    """One film.

    `pixels` are as stored, shape (rows, columns), an integer type, bits beyond `bits_stored` cleared. `is_inverted` is
    true for MONOCHROME1 (low is bright). `modality_table` makes modality units of stored values; without it `slope` and
    `intercept` do. `contrasts` are the file's own, tables before windows, the file's order otherwise. `spacing` is mm
    per pixel as (row, column), or None; `aspect` is a pixel's height divided by its width. `padding` is the range of
    stored values that mark no picture, or None. `notes` say what the file gets wrong and how it was taken.
    """

    pixels: Pixels
    bits_stored: int
    is_inverted: bool = False
    slope: float = 1.0
    intercept: float = 0.0
    modality_table: LookupTable | None = None
    contrasts: tuple[Contrast, ...] = ()
    spacing: tuple[float, float] | None = None
    aspect: float = 1.0
    padding: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    _cache: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def __repr__(self) -> str:
        spacing = f"{self.spacing[0]:.3f} mm/pixel" if self.spacing else "spacing unknown"
        return f"Film({self.rows} × {self.columns} pixels, {self.bits_stored} bits, {spacing})"

    @property
    def rows(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def columns(self) -> int:
        return int(self.pixels.shape[1])

    def to_modality_units(self, stored: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Modality units of `stored` values, of any shape (PS3.3 C.11.1)."""
        values = stored.astype(np.float64)
        if self.modality_table is not None:
            return self.modality_table.look_up(values).astype(np.float64)
        return values * self.slope + self.intercept
