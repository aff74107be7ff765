"""Grey films that are stored in colours: the grey of three equal channels, and of a palette."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from ratui.errors import FilmError
from ratui.imaging.pixel_values import StoredValues

__all__ = ["apply_grey_palette", "find_grey"]

_COLOUR_TOLERANCE = 3  # between the channels of a grey film that was compressed with loss
_OTHER_COLOURS = "its header states another kind or order of colours than its pixels have; the pixels were used"
_Array = npt.NDArray[Any]


def find_grey(
    colours: _Array, decode_channels: Callable[[], _Array], *, is_native: bool, is_lossy: bool, path: Path
) -> tuple[_Array, str]:
    """Return the grey of an image whose three channels are equal, shape (rows, columns), and a note or an empty text.

    The header may call the channels RGB although they are luminance and colour, may call them so although they are RGB,
    or may state the wrong Planar Configuration (PS3.3 C.7.6.3.1.3). Only one of these readings is grey everywhere.

    Parameters
    ----------
    colours
        Red, green and blue, as the header describes them, shape (rows, columns, 3).
    decode_channels
        Function that returns the channels as they are stored.
    is_native
        Whether the pixels are uncompressed.
    is_lossy
        Whether the channels may differ a little, because they were compressed or computed.
    path
        The file, for error messages.

    Raises
    ------
    FilmError
        If the image has colours.
    """
    grey = _find_common_grey(colours, is_lossy)
    if grey is not None:
        return grey, ""
    stored = decode_channels()
    readings = [stored, *(_exchange_planes(stored) if is_native else ())]
    middle = 1 << (8 * stored.dtype.itemsize - 1)
    for channels in readings:
        if (grey := _find_common_grey(channels, False)) is not None:
            return grey, _OTHER_COLOURS
        if (channels[..., 1:] == middle).all():  # no colour in YBR (PS3.3 C.7.6.3.1.2)
            return np.ascontiguousarray(channels[..., 0]), _OTHER_COLOURS
    raise FilmError("it is a colour image, not a grey film", path, "Export the original radiograph")


def apply_grey_palette(dataset: Dataset, indices: _Array, path: Path) -> StoredValues:
    """Return the greys of palette `indices` (PS3.3 C.7.6.3.1.5). Raises FilmError for colours or a damaged palette."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            colours = apply_color_lut(indices, dataset)
    except Exception as error:  # pydicom raises many types for damaged tables
        raise FilmError("its palette is damaged", path, "Export the original radiograph") from error
    grey = _find_common_grey(colours, False)
    if grey is None:
        raise FilmError("it is a colour image, not a grey film", path, "Export the original radiograph")
    return StoredValues(grey, 8 * grey.dtype.itemsize)


def _find_common_grey(values: _Array, is_lossy: bool) -> _Array | None:
    """Return the grey of equal channels, or None if they have colours."""
    red, green, blue = (values[..., channel] for channel in range(3))
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return np.ascontiguousarray(green)
    wide = values.astype(np.int32)
    if not is_lossy or int((wide.max(axis=2) - wide.min(axis=2)).max()) > _COLOUR_TOLERANCE:
        return None
    # The luminance of ITU-R BT.601, from which the encoder made the colours.
    luminance = wide @ np.array([0.299, 0.587, 0.114])
    return np.asarray(np.rint(luminance), dtype=values.dtype)


def _exchange_planes(channels: _Array) -> list[_Array]:
    """Return the channels of the same bytes in both planar configurations; one of them is the one that was decoded."""
    rows, columns, count = channels.shape
    by_pixel = np.ascontiguousarray(np.moveaxis(channels, 2, 0)).reshape(rows, columns, count)
    by_plane = np.moveaxis(np.ascontiguousarray(channels).reshape(count, rows, columns), 0, 2)
    return [by_pixel, by_plane]
