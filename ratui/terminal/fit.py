"""Whether a screen shows enough of a film to judge it: how many pixels a millimetre of bone gets, and the least that do.

Pure numbers; what to say about it is the screen's business.
"""

from __future__ import annotations

from ratui.terminal.display import Display

__all__ = ["LEAST", "joint_fit", "pixels_per_mm"]

LEAST = 4.0
"""Pixels a millimetre below which an erosion can't be judged: a discrete one is 1 to 2 mm across, and a notch of less than
four pixels can't be told from the grain of the film."""
_JOINT_MM = 34.0
"""How much of a hand the usual view of a joint shows from top to bottom."""
_SPACING = 0.15
"""Millimetres a pixel of a film that doesn't say: what digital films of hands have, give or take a third."""


def pixels_per_mm(
    size: tuple[int, int], box: tuple[float, float, float, float], spacing: tuple[float, float] | None
) -> float:
    """How many image pixels a millimetre gets, in the direction where it gets fewer.

    `size` is the image's in pixels, `box` what it shows in film pixels, `spacing` mm a film pixel as (row, column). Never
    more than the film itself has.
    """
    down_mm, across_mm = spacing or (_SPACING, _SPACING)
    across = size[0] / max((box[2] - box[0]) * across_mm, 1e-6)
    down = size[1] / max((box[3] - box[1]) * down_mm, 1e-6)
    return min(across, down, 1 / across_mm, 1 / down_mm)


def joint_fit(display: Display, columns: int, rows: int) -> float:
    """About how many pixels a millimetre gets where a terminal of that many characters shows both films of a joint."""
    across, down = display.pixels
    width, height = max(columns // 2 - 2, 1) * across * display.pixel_aspect, max(rows - 8, 1) * down
    # The view's shorter side shows the joint; a pixel that is higher than wide counts by its height.
    return min(width, height) / _JOINT_MM / max(display.pixel_aspect, 1.0)
