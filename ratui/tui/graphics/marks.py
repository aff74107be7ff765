"""Marks on the picture of a film: the frame or the corners of a joint's box, and the area beside the film.

A joint is marked by a frame on the whole film, and by corner marks in a view of the joint. Both are white with a black
border, so that they are visible on bone and on soft tissue. Pictures of less than 150 pixels, as in half-cells, have no room
for the border. What lies beside a film that is turned is hatched, so that it does not look like air on the film.
"""

from __future__ import annotations

from math import ceil, floor

import numpy as np
from PIL import Image, ImageDraw

from ratui.imaging import Matrix

__all__ = ["draw_corner_marks", "draw_outline", "hatch_outside"]

_MIN_PIXELS_FOR_BORDER = 150
_ARM = 0.12
"""Length of an arm of a corner mark, in sides of the joint's box."""
_MIN_ARM_PIXELS = 3
_HATCH_LEVEL = 90
_HATCH_PIXELS = (8, 4)
"""Distance of the lines of the hatching, in pictures with and without room for borders."""


def draw_outline(image: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    """Return a copy of `image` with a frame around `box`, given in pixels of the image."""
    x0, y0, x1, y1 = (round(value) for value in box)
    picture = image.copy()
    draw = ImageDraw.Draw(picture)
    if _has_room_for_border(image):
        draw.rectangle((x0 - 2, y0 - 2, x1 + 2, y1 + 2), outline=0)
        draw.rectangle((x0 + 1, y0 + 1, x1 - 1, y1 - 1), outline=255)
    draw.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline=255)
    return picture


def draw_corner_marks(image: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    """Return a copy of `image` with marks at the four corners of a joint's box.

    The marks are outside the box, so that they cover no bone of the joint.

    Parameters
    ----------
    image
        A grey image of mode ``L``.
    box
        The joint's box as (x0, y0, x1, y1), in pixels of the image. It may extend beyond the image.

    Returns
    -------
    PIL.Image.Image
        The image with the marks.
    """
    x0, y0, x1, y1 = box
    border = 1 if _has_room_for_border(image) else 0
    thick, gap = 1 + border, border
    arms = tuple(max(round(_ARM * side), _MIN_ARM_PIXELS) for side in (x1 - x0, y1 - y0))
    left, top = floor(x0) - gap - thick, floor(y0) - gap - thick
    right, bottom = ceil(x1) + gap + thick - 1, ceil(y1) + gap + thick - 1  # the last column and row of the marks
    bars = [
        (x, y, x + arms[0] - 1, y + thick - 1) for x in (left, right - arms[0] + 1) for y in (top, bottom - thick + 1)
    ]
    bars += [
        (x, y, x + thick - 1, y + arms[1] - 1) for x in (left, right - thick + 1) for y in (top, bottom - arms[1] + 1)
    ]
    picture = image.copy()
    draw = ImageDraw.Draw(picture)
    if border:
        for a, b, c, d in bars:
            draw.rectangle((a - 1, b - 1, c + 1, d + 1), fill=0)
    for bar in bars:
        draw.rectangle(bar, fill=255)
    return picture


def hatch_outside(image: Image.Image, film: tuple[int, int], to_film: Matrix) -> Image.Image:
    """Return `image` with diagonal lines beside the film; `image` itself if all of it is on the film.

    Parameters
    ----------
    image
        A grey image of mode ``L``.
    film
        Columns and rows of the film.
    to_film
        Matrix of shape (2, 3) from pixels of the image to pixels of the film.
    """
    corners = [(0.0, 0.0), (image.width, 0.0), (image.width, image.height), (0.0, image.height)]
    on_film = np.array(corners) @ to_film[:, :2].T + to_film[:, 2]
    if (on_film >= 0).all() and (on_film <= film).all():
        return image
    rows, columns = np.indices((image.height, image.width))
    x = to_film[0, 0] * (columns + 0.5) + to_film[0, 1] * (rows + 0.5) + to_film[0, 2]
    y = to_film[1, 0] * (columns + 0.5) + to_film[1, 1] * (rows + 0.5) + to_film[1, 2]
    outside = (x < 0) | (x > film[0]) | (y < 0) | (y > film[1])
    step = _HATCH_PIXELS[0 if _has_room_for_border(image) else 1]
    lines = np.where((rows + columns) % step == 0, _HATCH_LEVEL, 0)
    return Image.fromarray(np.where(outside, lines, np.asarray(image)).astype(np.uint8))


def _has_room_for_border(image: Image.Image) -> bool:
    return min(image.size) > _MIN_PIXELS_FOR_BORDER
