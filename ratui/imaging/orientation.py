"""Orientations of a film: four turns and their mirror images. A displayed film is turned; its stored pixels never are.

An orientation is the change from the stored to the displayed film: first a clockwise rotation, then, if it is mirrored, an
exchange of left and right. This is the order of DICOM's Spatial Transformation Module (PS3.3 C.10.6).
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

import numpy as np

from ratui.imaging.film import Film
from ratui.imaging.geometry import Box

__all__ = ["Orientation", "turn_film"]


class Orientation(StrEnum):
    """An orientation, stored in files as the text that stands here.

    Examples
    --------
    >>> from ratui.imaging import Box, Orientation
    >>> Orientation.TURNED_90.turn_box(Box(0, 0, 10, 20), columns=100, rows=50)
    Box(x0=30.0, y0=0.0, x1=50.0, y1=10.0)
    """

    UPRIGHT = "0"
    TURNED_90 = "90"
    TURNED_180 = "180"
    TURNED_270 = "270"
    MIRRORED = "m0"
    MIRRORED_90 = "m90"
    MIRRORED_180 = "m180"
    MIRRORED_270 = "m270"

    @classmethod
    def of(cls, degrees: int, *, mirrored: bool = False) -> Orientation:
        """Return the clockwise rotation by `degrees`, a multiple of 90, followed by an exchange of left and right."""
        return cls(f"{'m' if mirrored else ''}{degrees % 360}")

    @property
    def degrees(self) -> int:
        """Clockwise rotation: 0, 90, 180 or 270."""
        return int(self.value.removeprefix("m"))

    @property
    def is_mirrored(self) -> bool:
        """True if left and right are exchanged after the rotation."""
        return self.value.startswith("m")

    @property
    def swaps_sides(self) -> bool:
        """True if the rows of the stored picture are the columns of the displayed one."""
        return self.degrees in (90, 270)

    @property
    def inverse(self) -> Orientation:
        """The orientation that leads from the displayed film back to the stored one."""
        return self if self.is_mirrored else Orientation.of(-self.degrees)

    def then(self, other: Orientation) -> Orientation:
        """Return the orientation that has the effect of this one followed by `other`."""
        # A rotation after an exchange of left and right equals the opposite rotation before it.
        turned = self.degrees - other.degrees if self.is_mirrored else self.degrees + other.degrees
        return Orientation.of(turned, mirrored=self.is_mirrored != other.is_mirrored)

    def turn_box(self, box: Box, columns: int, rows: int) -> Box:
        """Return `box` after the change, for a box in the picture before it.

        Parameters
        ----------
        box
            The box, in pixels of the picture before the change.
        columns, rows
            Size of the picture before the change.
        """
        match self.degrees:
            case 90:
                box = Box(rows - box.y1, box.x0, rows - box.y0, box.x1)
            case 180:
                box = Box(columns - box.x1, rows - box.y1, columns - box.x0, rows - box.y0)
            case 270:
                box = Box(box.y0, columns - box.x1, box.y1, columns - box.x0)
        box = Box(*(float(value) for value in box))
        if self.is_mirrored:
            box = box.mirror(Box.from_size(*((rows, columns) if self.swaps_sides else (columns, rows))))
        return box


def turn_film(film: Film, orientation: Orientation) -> Film:
    """Return `film` in `orientation`, with its spacing and the shape of its pixels; `film` itself stays as it is."""
    if orientation is Orientation.UPRIGHT:
        return film
    pixels = np.rot90(film.pixels, -(orientation.degrees // 90))
    pixels = np.ascontiguousarray(pixels[:, ::-1] if orientation.is_mirrored else pixels)
    spacing, aspect = film.spacing, film.aspect
    if orientation.swaps_sides:
        spacing, aspect = (None if spacing is None else (spacing[1], spacing[0])), 1 / aspect
    return replace(film, pixels=pixels, spacing=spacing, aspect=aspect, _cache={})
