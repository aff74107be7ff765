"""Resolution of a film on the screen, in pixels per millimetre of bone, and the minimum for scoring. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

from ratui.terminal.display import Display

__all__ = ["MIN_PIXELS_PER_MM", "Resolution", "estimate_joint_resolution", "measure_resolution"]

MIN_PIXELS_PER_MM = 4.0
"""Minimum resolution at which erosions can be scored. A discrete erosion is 1 to 2 mm wide, and a notch of fewer than four
pixels cannot be distinguished from the grain of the film."""
_JOINT_MM = 34.0
"""Height of the part of a hand that the usual view of a joint shows."""
_SPACING = 0.15
"""Assumed pixel size in mm of a film without one: typical of digital hand films, which differ from it by up to a third."""


@dataclass(frozen=True)
class Resolution:
    """Resolution of a view of a film."""

    pixels_per_mm: float
    """Pixels of the screen per millimetre of bone."""
    is_sufficient: bool
    """True if erosions can be scored, or if the screen shows all pixels of the film."""


def measure_resolution(
    size: tuple[int, int], box: tuple[float, float, float, float], spacing: tuple[float, float] | None
) -> Resolution:
    """Return the resolution of an image of a part of a film, in the direction in which it is lower.

    An image with all pixels of the film is sufficient, even if they are few: no screen could show more.

    Parameters
    ----------
    size
        Width and height of the image, in pixels of the screen.
    box
        The part of the film, as (x0, y0, x1, y1) in pixels of the film.
    spacing
        Size of a film pixel in mm, as (row, column) like in DICOM; None if unknown.

    Returns
    -------
    Resolution
        The resolution, and whether it suffices to score erosions.
    """
    down_mm, across_mm = spacing or (_SPACING, _SPACING)
    x0, y0, x1, y1 = box
    across, down = size[0] / max(x1 - x0, 1e-6), size[1] / max(y1 - y0, 1e-6)
    pixels = min(across / across_mm, down / down_mm)
    return Resolution(pixels, pixels >= MIN_PIXELS_PER_MM or min(across, down) >= 1.0)


def estimate_joint_resolution(display: Display, columns: int, rows: int) -> float:
    """Return the approximate pixels per millimetre of a joint, if a terminal shows its two films side by side.

    Parameters
    ----------
    display
        The capabilities of the terminal.
    columns, rows
        Size of the terminal in characters.

    Returns
    -------
    float
        Pixels of the screen per millimetre of bone.
    """
    across, down = display.pixels_per_cell
    width, height = max(columns // 2 - 2, 1) * across * display.pixel_aspect, max(rows - 8, 1) * down
    # The joint fills the shorter side of the view. A pixel that is higher than wide counts by its height.
    return min(width, height) / _JOINT_MM / max(display.pixel_aspect, 1.0)
