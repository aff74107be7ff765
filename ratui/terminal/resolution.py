"""Whether a screen shows enough of a film to judge it: how many pixels a millimetre of bone gets, and the least that do.

Pure numbers; what to say about it is the screen's business.
"""

from __future__ import annotations

from dataclasses import dataclass

from ratui.terminal.display import Display

__all__ = ["MIN_PIXELS_PER_MM", "Resolution", "estimate_joint_resolution", "measure_resolution"]

MIN_PIXELS_PER_MM = 4.0
"""Pixels a millimetre below which an erosion can't be judged: a discrete one is 1 to 2 mm across, and a notch of less than
four pixels can't be told from the grain of the film."""
_JOINT_MM = 34.0
"""How much of a hand the usual view of a joint shows from top to bottom."""
_SPACING = 0.15
"""Millimetres a pixel of a film that doesn't say: what digital films of hands have, give or take a third."""


@dataclass(frozen=True)
class Resolution:
    """How sharp a view is: `pixels_per_mm` of bone, and whether that `is_sufficient` to judge an erosion by."""

    pixels_per_mm: float
    is_sufficient: bool


def measure_resolution(
    size: tuple[int, int], box: tuple[float, float, float, float], spacing: tuple[float, float] | None
) -> Resolution:
    """How sharp an image of `size` pixels is that shows `box` of a film, in the direction where it gets fewer pixels.

    `spacing` is mm a film pixel as (row, column). All that a film has is enough, even where that is little: no screen
    could show more of it.
    """
    down_mm, across_mm = spacing or (_SPACING, _SPACING)
    x0, y0, x1, y1 = box
    across, down = size[0] / max(x1 - x0, 1e-6), size[1] / max(y1 - y0, 1e-6)
    pixels = min(across / across_mm, down / down_mm)
    return Resolution(pixels, pixels >= MIN_PIXELS_PER_MM or min(across, down) >= 1.0)


def estimate_joint_resolution(display: Display, columns: int, rows: int) -> float:
    """About how many pixels a millimetre gets where a terminal of that many characters shows both films of a joint."""
    across, down = display.pixels_per_cell
    width, height = max(columns // 2 - 2, 1) * across * display.pixel_aspect, max(rows - 8, 1) * down
    # The view's shorter side shows the joint; a pixel that is higher than wide counts by its height.
    return min(width, height) / _JOINT_MM / max(display.pixel_aspect, 1.0)
