"""Stored values to grey levels: modality, window, polarity, in the order of the standard; and crops of them.

Pure functions of a `Film`; bone is bright in everything they return, and no function changes the film.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from ratui.imaging.film import Film, Window

__all__ = ["Box", "automatic_window", "crop", "grey", "stretch"]

Box: TypeAlias = tuple[float, float, float, float]
"""(x0, y0, x1, y1) in film pixels, origin at the top left corner of the film."""


def automatic_window(film: Film, box: Box | None = None) -> Window:
    """The window from the 1st to the 99.5th percentile of the film, or of `box` on it. Values are modality units."""
    pixels = film.pixels
    if box is not None:
        x0, y0, x1, y1 = (round(v) for v in box)
        part = pixels[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
        pixels = part if part.size else pixels
    step = max(1, int((pixels.size / 65_536) ** 0.5))  # a sample of 65,000 pixels tells the percentiles well enough
    low, high = np.percentile(pixels[::step, ::step], [1.0, 99.5])
    low, high = sorted((low * film.slope + film.intercept, high * film.slope + film.intercept))
    return Window((low + high) / 2, max(high - low, 1.0))


def grey(film: Film, window: Window | None = None) -> npt.NDArray[np.uint8]:
    """The whole film as grey levels, shape (rows, columns); `window` defaults to the automatic one."""
    return _look_up(film, film.pixels, window or automatic_window(film))


def crop(film: Film, box: Box, size: tuple[int, int], window: Window | None = None) -> Image.Image:
    """`box` of the film as an image of mode ``L`` and `size` (width, height); black where the box leaves the film.

    `window` defaults to the automatic one of the box. The box's aspect is the caller's: it is stretched to `size`.
    """
    width, height = size
    x0, y0, x1, y1 = box
    left, top, right, bottom = int(np.floor(x0)), int(np.floor(y0)), int(np.ceil(x1)), int(np.ceil(y1))
    inside = film.pixels[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    canvas = np.zeros((max(bottom - top, 1), max(right - left, 1)), np.uint8)
    if inside.size:
        levels = _look_up(film, inside, window or automatic_window(film, box))
        canvas[max(-top, 0) :, max(-left, 0) :][: levels.shape[0], : levels.shape[1]] = levels
    image = Image.fromarray(canvas)
    area = (x0 - left, y0 - top, max(x1 - left, x0 - left + 1e-3), max(y1 - top, y0 - top + 1e-3))
    area = (area[0], area[1], min(area[2], image.width), min(area[3], image.height))
    return image.resize((max(width, 1), max(height, 1)), Image.Resampling.BICUBIC, box=area)


def stretch(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """`values` scaled so that their 1st percentile is 0 and their 99.5th is 1, clipped; what the models see."""
    step = max(1, int((values.size / 65_536) ** 0.5))
    low, high = np.percentile(values[::step, ::step].astype(np.float64), [1.0, 99.5])
    scaled = (values.astype(np.float32) - np.float32(low)) / np.float32(max(high - low, 1e-6))
    return np.asarray(np.clip(scaled, 0.0, 1.0), dtype=np.float32)


def _look_up(film: Film, pixels: npt.NDArray[np.generic], window: Window) -> npt.NDArray[np.uint8]:
    """Grey levels of stored `pixels` through one table: rescale, then the standard's LINEAR window, then polarity."""
    low = int(np.iinfo(film.pixels.dtype).min)
    high = int(np.iinfo(film.pixels.dtype).max)
    key = f"{window.centre}/{window.width}"
    table = film._cache.get(key)
    if table is None:
        stored = np.arange(low, high + 1, dtype=np.float64)
        units = stored * film.slope + film.intercept
        # PS3.3 C.11.2.1.2: centre less a half, width less one, so that whole numbers fall on whole greys.
        span = max(window.width - 1.0, 1e-6)
        level = np.clip(((units - (window.centre - 0.5)) / span + 0.5) * 255.0, 0.0, 255.0)
        table = np.rint(255.0 - level if film.inverted else level).astype(np.uint8)
        if len(film._cache) > 16:
            film._cache.clear()
        film._cache[key] = table
    return np.asarray(table[pixels.astype(np.int32) - low], dtype=np.uint8)
