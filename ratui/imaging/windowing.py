"""Stored values to grey levels: modality, window or table, polarity, in the order of the standard; and crops of them.

Pure functions of a `Film`; bone is bright in everything they return unless inversion is asked for, and no function
changes the film or makes a grey that lies outside those of the neighbouring pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ratui.imaging.film import Contrast, Film, LookupTable, Window
from ratui.imaging.geometry import Box

__all__ = ["compute_automatic_window", "crop", "film_to_grey", "normalize_intensity"]

_MAX_CACHED_TABLES = 16
"""How many tables of 65,536 greys a film keeps."""


def compute_automatic_window(film: Film, box: Box | None = None) -> Window:
    """The window from the 1st to the 99.5th percentile of the film, or of `box` on it. Values are modality units.

    Padding doesn't count, but is shown like any other value: bone that reaches the padding's value must stay bone.
    """
    pixels = film.pixels
    if box is not None:
        x0, y0, x1, y1 = (round(v) for v in box)
        part = pixels[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
        pixels = part if part.size else pixels
    step = max(1, int((pixels.size / 65_536) ** 0.5))  # a sample of 65,000 pixels tells the percentiles well enough
    sample = pixels[::step, ::step].ravel()
    if film.padding is not None:
        picture = sample[(sample < film.padding[0]) | (sample > film.padding[1])]
        sample = picture if picture.size else sample
    low, high = np.percentile(film.to_modality_units(sample), [1.0, 99.5])
    least = 1.0 if film.modality_table is not None else abs(film.slope)
    return Window(float(low + high) / 2, max(float(high - low), least), "LINEAR_EXACT")


def film_to_grey(film: Film, contrast: Contrast | None = None, *, invert: bool = False) -> npt.NDArray[np.uint8]:
    """The whole film as grey levels, shape (rows, columns); `contrast` defaults to the automatic window."""
    return _apply_contrast(film, film.pixels, contrast or compute_automatic_window(film), invert)


def crop(
    film: Film, box: Box, size: tuple[int, int], contrast: Contrast | None = None, *, invert: bool = False
) -> Image.Image:
    """`box` of the film as an image of mode ``L`` and `size` (width, height); black where the box leaves the film.

    `contrast` defaults to the automatic window of the box. The box's aspect is the caller's: it is stretched to `size`.
    """
    width, height = size
    x0, y0, x1, y1 = box
    left, top, right, bottom = int(np.floor(x0)), int(np.floor(y0)), int(np.ceil(x1)), int(np.ceil(y1))
    inside = film.pixels[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    canvas = np.zeros((max(bottom - top, 1), max(right - left, 1)), np.uint8)
    if inside.size:
        levels = _apply_contrast(film, inside, contrast or compute_automatic_window(film, box), invert)
        canvas[max(-top, 0) :, max(-left, 0) :][: levels.shape[0], : levels.shape[1]] = levels
    image = Image.fromarray(canvas)
    area = (x0 - left, y0 - top, max(x1 - left, x0 - left + 1e-3), max(y1 - top, y0 - top + 1e-3))
    area = (area[0], area[1], min(area[2], image.width), min(area[3], image.height))
    # Bilinear, which Pillow turns into a weighted mean when it shrinks: sharper filters overshoot at an edge, and the
    # dark line that they draw beside a bright cortex looks like an erosion.
    return image.resize((max(width, 1), max(height, 1)), Image.Resampling.BILINEAR, box=area)


def normalize_intensity(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """`values` scaled so that their 1st percentile is 0 and their 99.5th is 1, clipped; what the models see."""
    step = max(1, int((values.size / 65_536) ** 0.5))
    low, high = np.percentile(values[::step, ::step].astype(np.float64), [1.0, 99.5])
    scaled = (values.astype(np.float32) - np.float32(low)) / np.float32(max(high - low, 1e-6))
    return np.asarray(np.clip(scaled, 0.0, 1.0), dtype=np.float32)


def _apply_contrast(
    film: Film, pixels: npt.NDArray[np.integer[Any]], contrast: Contrast, invert: bool
) -> npt.NDArray[np.uint8]:
    """Grey levels of stored `pixels` through one table of all that a pixel can hold."""
    key = (contrast, invert)
    table = film._cache.get(key)
    if table is None:
        ends = np.iinfo(film.pixels.dtype)
        # In the order of the pixel's bits, so that signed values need no shifting: 0 … max, then min … -1.
        stored = np.concatenate([np.arange(0, int(ends.max) + 1), np.arange(int(ends.min), 0)])
        level = _compute_levels(film.to_modality_units(stored), contrast)
        table = np.rint(255.0 - level if film.is_inverted != invert else level).astype(np.uint8)
        if len(film._cache) >= _MAX_CACHED_TABLES:
            film._cache.clear()
        film._cache[key] = table
    unsigned = np.ascontiguousarray(pixels).view(f"u{pixels.dtype.itemsize}")
    return np.asarray(table[unsigned], dtype=np.uint8)


def _compute_levels(units: npt.NDArray[np.float64], contrast: Contrast) -> npt.NDArray[np.float64]:
    """0 (black) to 255 of modality units, by the formulas of PS3.3 C.11.2.1."""
    if isinstance(contrast, LookupTable):
        return contrast.look_up(units).astype(np.float64) * (255.0 / ((1 << contrast.bits) - 1))
    if contrast.function == "SIGMOID":
        exponent = np.clip(-4.0 * (units - contrast.centre) / contrast.width, -700.0, 700.0)
        return np.asarray(255.0 / (1.0 + np.exp(exponent)), dtype=np.float64)
    if contrast.function == "LINEAR_EXACT":
        return np.asarray(np.clip(((units - contrast.centre) / contrast.width + 0.5) * 255.0, 0.0, 255.0), np.float64)
    # Centre less a half, width less one, so that whole numbers fall on whole greys.
    span = max(contrast.width - 1.0, 1e-6)
    return np.asarray(np.clip(((units - (contrast.centre - 0.5)) / span + 0.5) * 255.0, 0.0, 255.0), dtype=np.float64)
