"""A film as an immutable value: stored pixels, and the file's information on grey levels and size.

`dicom_reader` makes films from files, `windowing` makes grey levels from their pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["MAX_SIDE", "Contrast", "Film", "LookupTable", "Pixels", "Window", "WindowFunction"]

Pixels: TypeAlias = npt.NDArray[np.integer[Any]]
"""Stored values, shape (rows, columns)."""
MAX_SIDE = 12_000
"""Maximum number of rows or columns. Larger images are refused before memory is allocated for them."""

WindowFunction: TypeAlias = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
"""VOI LUT Function (PS3.3 C.11.2.1.3)."""


@dataclass(frozen=True)
class Window:
    """A grey window in modality units (PS3.3 C.11.2.1.2).

    `centre` becomes middle grey, `width` spans black to white. `name` is the file's explanation of the window.
    """

    centre: float
    width: float
    function: WindowFunction = "LINEAR"
    name: str = ""


@dataclass(frozen=True, eq=False)
class LookupTable:
    """A modality or VOI lookup table (PS3.3 C.11.1.1 and C.11.2.1.1).

    Attributes
    ----------
    first
        Input of the first entry. Smaller inputs give the first entry, inputs beyond the last entry give the last.
    values
        Entries, shape (N,).
    bits
        Depth of the output. In a VOI table ``2 ** bits - 1`` is white.
    name
        The file's explanation of the table.
    """

    first: int
    values: npt.NDArray[np.uint16]
    bits: int
    name: str = ""

    def look_up(self, inputs: npt.NDArray[np.float64]) -> npt.NDArray[np.uint16]:
        """Return the entries at `inputs`, rounded to whole numbers first. The shape is that of `inputs`."""
        indices = np.clip(np.rint(inputs) - self.first, 0, len(self.values) - 1).astype(np.intp)
        return np.asarray(self.values[indices], dtype=np.uint16)


Contrast: TypeAlias = Window | LookupTable
"""A mapping from modality units to grey levels."""


@dataclass(frozen=True)
class Film:
    """One radiograph.

    Attributes
    ----------
    pixels
        Stored values, shape (rows, columns), of an integer type. Bits beyond `bits_stored` are cleared.
    bits_stored
        Number of bits of a stored value.
    is_inverted
        True for MONOCHROME1, where low values are bright (PS3.3 C.7.6.3.1.2).
    slope, intercept
        Rescaling of stored values to modality units, used if there is no `modality_table`.
    modality_table
        Table from stored values to modality units.
    contrasts
        The file's own contrasts: tables before windows, otherwise in the order of the file.
    spacing
        Distance between pixel centres in mm as (row, column), that is down and across, or None if it is unknown.
    aspect
        Height of a pixel divided by its width.
    padding
        Range of stored values that mark areas without an image, as (lowest, highest), or None.
    notes
        Errors in the file, and the way in which each was resolved.
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
        """Number of rows, the height in pixels."""
        return int(self.pixels.shape[0])

    @property
    def columns(self) -> int:
        """Number of columns, the width in pixels."""
        return int(self.pixels.shape[1])

    def to_modality_units(self, stored: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Return the modality units of `stored` values of any shape (PS3.3 C.11.1)."""
        values = stored.astype(np.float64)
        if self.modality_table is not None:
            return self.modality_table.look_up(values).astype(np.float64)
        return values * self.slope + self.intercept
