"""A film as an immutable value, its grey levels, and crops of it.

`dicom_reader` makes films from files. The functions here are pure. They apply grey transformations in the order of the
standard (PS3.4 N.2): modality LUT, VOI LUT, polarity. Bone is bright in every result unless `invert` is set. No grey level
lies outside those of the neighbouring pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from ratui.imaging.geometry import Box

__all__ = [
    "MAX_SIDE",
    "Contrast",
    "Film",
    "LookupTable",
    "Pixels",
    "SpacingSource",
    "Window",
    "WindowFunction",
    "compute_automatic_window",
    "crop",
    "film_to_grey",
    "normalize_intensity",
]

Pixels: TypeAlias = npt.NDArray[np.integer[Any]]
"""Stored values, shape (rows, columns)."""
MAX_SIDE = 12_000
"""Maximum number of rows or columns. Larger images are refused before memory is allocated for them."""
_MAX_CACHED_TABLES = 16  # tables of up to 65,536 grey levels that a film keeps
_SAMPLE_PIXELS = 65_536  # enough for percentiles

WindowFunction: TypeAlias = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
"""VOI LUT Function (PS3.3 C.11.2.1.3)."""


class SpacingSource(StrEnum):
    """The origin of the size of a pixel."""

    UNKNOWN = ""  # there is none, or the film was imported before the origin was recorded
    CALIBRATED = "calibrated"  # in the plane of the bones, by a device or a person
    MAGNIFICATION = "magnification"  # in the plane of the bones: at the detector, divided by the magnification factor
    DETECTOR = "detector"  # at the detector
    SCAN = "scan"  # in a film that was digitised
    STATED = "stated"  # the header does not say where
    MANIFEST = "manifest"  # from the manifest of an import


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
    spacing_source
        Origin of `spacing`.
    detector_spacing
        Spacing at the detector, if `spacing` is that in the plane of the bones and the header has both.
    magnification
        Factor by which `detector_spacing` was divided, or None.
    lossy
        Method by which the compressed image shows that it was compressed with loss (Lossy Image Compression Method), or
        empty. A film that was decompressed before shows nothing.
    lossy_ratio
        Size before that compression divided by the size after it, or None.
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
    spacing_source: SpacingSource = SpacingSource.UNKNOWN
    detector_spacing: tuple[float, float] | None = None
    magnification: float | None = None
    lossy: str = ""
    lossy_ratio: float | None = None
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


def compute_automatic_window(film: Film, box: Box | None = None) -> Window:
    """Return the window from the 1st to the 99.5th percentile of a film.

    Parameters
    ----------
    film
        The film.
    box
        Only the pixels in this box, in film pixels. By default the whole film, also if the box lies outside it.

    Returns
    -------
    Window
        Centre and width in modality units.
    """
    pixels = film.pixels
    if box is not None:
        x0, y0, x1, y1 = (round(v) for v in box)
        part = pixels[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
        pixels = part if part.size else pixels
    step = max(1, int((pixels.size / _SAMPLE_PIXELS) ** 0.5))
    sample = pixels[::step, ::step].ravel()
    # Padding does not count here (PS3.3 C.7.5.1.1.2). It is displayed like any other value, because bone can have the
    # padding value too.
    if film.padding is not None:
        picture = sample[(sample < film.padding[0]) | (sample > film.padding[1])]
        sample = picture if picture.size else sample
    low, high = _find_percentiles(film.to_modality_units(sample), (1.0, 99.5))
    min_width = 1.0 if film.modality_table is not None else abs(film.slope)
    return Window(float(low + high) / 2, max(float(high - low), min_width), "LINEAR_EXACT")


def _find_percentiles(values: npt.NDArray[np.float64], percents: Sequence[float]) -> list[float]:
    """Return what `numpy.percentile` does for finite `values`. It would load numpy.ma, which takes longer."""
    found = []
    for percent in percents:
        place = percent / 100 * (values.size - 1)
        low = int(place)
        ordered = np.partition(values, [low, min(low + 1, values.size - 1)])
        below, above = float(ordered[low]), float(ordered[min(low + 1, values.size - 1)])
        share = place - low
        found.append(below + (above - below) * share if share < 0.5 else above - (above - below) * (1 - share))
    return found


def film_to_grey(film: Film, contrast: Contrast | None = None, *, invert: bool = False) -> npt.NDArray[np.uint8]:
    """Return the grey levels of the whole film, shape (rows, columns), 0 black to 255 white.

    Parameters
    ----------
    film
        The film.
    contrast
        Window or table to apply; by default the automatic window of the film.
    invert
        Make bone dark instead of bright.
    """
    return _apply_contrast(film, film.pixels, contrast or compute_automatic_window(film), invert)


def crop(
    film: Film, box: Box, size: tuple[int, int], contrast: Contrast | None = None, *, invert: bool = False
) -> Image.Image:
    """Return a part of a film as an image.

    Parameters
    ----------
    film
        The film.
    box
        The part, in film pixels. It may leave the film; that area is black.
    size
        Width and height of the image. The box is stretched to it, so give both the same shape.
    contrast
        Window or table to apply; by default the automatic window of the box.
    invert
        Make bone dark instead of bright.

    Returns
    -------
    PIL.Image.Image
        Image of mode ``L`` and `size`.

    Examples
    --------
    >>> from pathlib import Path
    >>> from ratui.imaging import Box, crop, read_film
    >>> film = read_film(Path("sample_data/study/films/C-6TVYOC/3dcbcb13d7c4.dcm"))
    >>> image = crop(film, Box.from_centre(500, 600, 120), (240, 240))
    >>> image.mode, image.size
    ('L', (240, 240))
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
    # Bilinear, which Pillow turns into a weighted mean when it reduces an image. Sharper filters overshoot at edges: they
    # draw a dark line beside a bright cortex, and that line looks like an erosion.
    return image.resize((max(width, 1), max(height, 1)), Image.Resampling.BILINEAR, box=area)


def normalize_intensity(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Return `values` scaled so that the 1st percentile is 0 and the 99.5th is 1, clipped to that range.

    The models take such values. `values` has shape (rows, columns); the result has the same shape.
    """
    step = max(1, int((values.size / _SAMPLE_PIXELS) ** 0.5))
    low, high = np.percentile(values[::step, ::step].astype(np.float64), [1.0, 99.5])
    scaled = (values.astype(np.float32) - np.float32(low)) / np.float32(max(high - low, 1e-6))
    return np.asarray(np.clip(scaled, 0.0, 1.0), dtype=np.float32)


def _apply_contrast(
    film: Film, pixels: npt.NDArray[np.integer[Any]], contrast: Contrast, invert: bool
) -> npt.NDArray[np.uint8]:
    """Return the grey levels of stored `pixels`, through one table of all values that a pixel can have."""
    key = (contrast, invert)
    table = film._cache.get(key)
    if table is None:
        limits = np.iinfo(film.pixels.dtype)
        # The table is indexed by the bit pattern of the pixel: 0 … max, then min … -1 of a signed type.
        stored = np.concatenate([np.arange(0, int(limits.max) + 1), np.arange(int(limits.min), 0)])
        # 1. Modality LUT: stored values to modality units (PS3.3 C.11.1).
        units = film.to_modality_units(stored)
        # 2. VOI LUT: modality units to grey levels (PS3.3 C.11.2).
        levels = _apply_voi(units, contrast)
        # 3. Polarity: low values are bright in MONOCHROME1 (PS3.3 C.7.6.3.1.2).
        table = np.rint(255.0 - levels if film.is_inverted != invert else levels).astype(np.uint8)
        if len(film._cache) >= _MAX_CACHED_TABLES:
            film._cache.clear()
        film._cache[key] = table
    unsigned = np.ascontiguousarray(pixels).view(f"u{pixels.dtype.itemsize}")
    return np.asarray(table[unsigned], dtype=np.uint8)


def _apply_voi(units: npt.NDArray[np.float64], contrast: Contrast) -> npt.NDArray[np.float64]:
    """Return levels from 0 (black) to 255 of modality units."""
    if isinstance(contrast, LookupTable):
        # PS3.3 C.11.2.1.1: the output spans 0 to 2 ** bits - 1.
        return contrast.look_up(units).astype(np.float64) * (255.0 / ((1 << contrast.bits) - 1))
    if contrast.function == "SIGMOID":
        # PS3.3 C.11.2.1.3.1. The exponent is limited so that exp() does not overflow.
        exponent = np.clip(-4.0 * (units - contrast.centre) / contrast.width, -700.0, 700.0)
        return np.asarray(255.0 / (1.0 + np.exp(exponent)), dtype=np.float64)
    if contrast.function == "LINEAR_EXACT":
        # PS3.3 C.11.2.1.3.2.
        return np.asarray(np.clip(((units - contrast.centre) / contrast.width + 0.5) * 255.0, 0.0, 255.0), np.float64)
    # PS3.3 C.11.2.1.2.1, LINEAR: the half and the one are in the formula of the standard. A window of width 1 is a
    # threshold.
    span = max(contrast.width - 1.0, 1e-6)
    return np.asarray(np.clip(((units - (contrast.centre - 0.5)) / span + 0.5) * 255.0, 0.0, 255.0), dtype=np.float64)
