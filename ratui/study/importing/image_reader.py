"""Read pictures of public data sets, which are no DICOM files: PNG, JPEG and TIFF."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from ratui.errors import FilmError
from ratui.imaging import MAX_PIXELS, MAX_SIDE, Film
from ratui.imaging.dicom_reader import check_file

__all__ = ["read_image"]

_FORMATS = ("PNG", "JPEG", "TIFF")
_DEEP_MODES = ("I", "I;16", "I;16B", "F")  # of more than 8 bits


def read_image(path: Path) -> Film:
    """Return the picture at `path` as a film of 16 bits with bone bright; colours become greys. Raises FilmError."""
    check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_FORMATS) as image:
                if max(image.size) > MAX_SIDE or image.width * image.height > MAX_PIXELS:
                    raise FilmError("its size is not that of a radiograph", path, "Leave this image out")
                pixels = np.asarray(image if image.mode in _DEEP_MODES else image.convert("L"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FilmError("an image can't be read", path, "Give PNG, JPEG, TIFF or DICOM") from error
    return Film(np.clip(pixels, 0, 65_535).astype(np.uint16), 16)
