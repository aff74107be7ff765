"""A test card with greys, lines and shapes, by which a person can check the display of images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

__all__ = ["TEST_CARD_CHECKS", "draw_test_card"]

TEST_CARD_CHECKS = (
    "16 steps from black to white, each brighter than the one before, each with a paler square in it",
    "in the black and in the white field beside them a square that can just be seen",
    "lines one pixel wide, upright and across, all of the same grey and none missing",
    "a round circle that touches the frame around it, and a thin frame at all four edges of the card",
    "a ramp from black to white without a dark or bright dot in it",
)
"""Correct appearance of the parts of the card."""


def draw_test_card(size: tuple[int, int], pixel_aspect: float = 1.0) -> Image.Image:
    """Return the test card as an image of mode ``L``.

    Parameters
    ----------
    size
        Width and height in pixels, each at least 16.
    pixel_aspect
        Width of a pixel divided by its height.

    Returns
    -------
    Image
        The card.
    """
    width, height = max(size[0], 16), max(size[1], 16)
    levels = np.full((height, width), 96, np.uint8)
    side = min(height - 5, round((width * 0.6 - 5) * pixel_aspect))
    across = round(side / pixel_aspect)
    left = across + 5
    _steps(levels[2 : height * 4 // 10, left : width - 2])
    _lines(levels[height * 4 // 10 + 1 : height * 7 // 10, left : width - 2])
    levels[height * 7 // 10 + 1 : height - 2, left : width - 2] = np.rint(np.linspace(0, 255, width - 2 - left))
    image = Image.fromarray(levels)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width - 1, height - 1), outline=255)
    draw.rectangle((2, 2, 2 + across, 2 + side), outline=200)
    draw.ellipse((2, 2, 2 + across, 2 + side), outline=255)
    draw.line((2, 2 + side // 2, 2 + across, 2 + side // 2), fill=200)
    draw.line((2 + across // 2, 2, 2 + across // 2, 2 + side), fill=200)
    return image


def _steps(part: npt.NDArray[np.uint8]) -> None:
    """Draw sixteen steps of grey, and a nearly black and a nearly white square beside them."""
    rows, columns = part.shape
    edges = np.linspace(0, columns, 19).astype(int)
    ground = [0, *(round(255 * step / 15) for step in range(16)), 255]
    for place, level in enumerate(ground):
        x0, x1 = edges[place], edges[place + 1]
        part[:, x0:x1] = level
        # Inner squares differ by about one step of 64 greys. The eye needs more contrast in the outer two fields.
        inner = level - 12 if place == len(ground) - 1 else level + (12 if place == 0 else -5 if level > 240 else 5)
        y0, y1, third = rows // 3, rows - rows // 3, (x1 - x0) // 3
        part[y0:y1, x0 + third : x1 - third] = inner


def _lines(part: npt.NDArray[np.uint8]) -> None:
    """Draw one-pixel lines: vertical, then horizontal, then vertical ones with growing distances."""
    third = part.shape[1] // 3
    part[:, :third:2], part[:, 1:third:2] = 0, 255
    part[::2, third : 2 * third], part[1::2, third : 2 * third] = 0, 255
    part[:, 2 * third :] = 0
    x, gap = 2 * third + 1, 2
    while x < part.shape[1]:
        part[:, x] = 255
        x, gap = x + gap, gap + 1
