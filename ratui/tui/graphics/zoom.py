"""The steps of the zoom: parts of a film in sides of a joint's box, the whole film, and twice the life size.

For twice the life size the size of a pixel must be known twice: of the film, from its header, and of the screen, from the
user's setting `pixel_mm`.
"""

from __future__ import annotations

from ratui.imaging import Box
from ratui.terminal import Display

__all__ = ["LIFE_SIZE", "MAGNIFICATION", "WHOLE_FILM", "ZOOMS", "make_life_size_box", "next_zoom", "step_zoom"]

ZOOMS = (1.7, 1.2, 0.8, 3.0)
"""Size of the shown part of the film, in sides of the joint's box. The zoom key goes through them in this order."""
WHOLE_FILM = -1
"""Zoom that shows both films whole, with a frame around the joint."""
LIFE_SIZE = -2
"""Zoom that shows the film magnified by `MAGNIFICATION`."""
MAGNIFICATION = 2.0
"""Size on the screen divided by the size on the film at the zoom `LIFE_SIZE`."""


def next_zoom(zoom: int, *, has_life_size: bool) -> int:
    """Return the zoom after `zoom`: through `ZOOMS`, then `LIFE_SIZE` if it is possible, and back to the first.

    After the whole film comes the first one.
    """
    steps = (*range(len(ZOOMS)), LIFE_SIZE) if has_life_size else tuple(range(len(ZOOMS)))
    if zoom == WHOLE_FILM:
        return 0
    # Without its sizes a film is shown at the first zoom instead of life size.
    place = steps.index(zoom) if zoom in steps else 0
    return steps[(place + 1) % len(steps)]


def step_zoom(zoom: int, *, is_closer: bool) -> int:
    """Return the next index in `ZOOMS` that shows a smaller part of the film, or a larger one; `zoom` itself at the end.

    The whole film, `WHOLE_FILM`, is larger than all. Twice the life size counts as the first zoom.
    """
    zoom = 0 if zoom == LIFE_SIZE else zoom
    from_wide_to_close = sorted(range(len(ZOOMS)), key=lambda index: -ZOOMS[index])
    place = from_wide_to_close.index(zoom) if zoom != WHOLE_FILM else -1
    target = place + (1 if is_closer else -1)
    return from_wide_to_close[target] if 0 <= target < len(ZOOMS) else zoom


def make_life_size_box(box: Box, spacing: tuple[float, float], size: tuple[int, int], display: Display) -> Box | None:
    """Return the part of a film that a picture shows at `MAGNIFICATION`, or None if the size of a pixel is unknown.

    Parameters
    ----------
    box
        The box whose centre is shown in the middle, in pixels of the film.
    spacing
        Size of a film pixel in mm as (row, column).
    size
        Width and height of the picture in pixels.
    display
        The capabilities of the terminal, with the size of its pixels.
    """
    pixel = display.image_pixel_mm
    if pixel is None:
        return None
    width, height = (max(count, 1) * each / MAGNIFICATION for count, each in zip(size, pixel, strict=True))
    return Box.from_centre(*box.centre, width / spacing[1], height / spacing[0])
