"""Read pictures of public data sets, which are no DICOM files: PNG, JPEG, TIFF and BMP."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ratui.errors import FilmError
from ratui.imaging import MAX_PIXELS, MAX_SIDE, Film
from ratui.imaging.dicom_reader import check_file

__all__ = ["read_image"]

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP")
_DEEP_MODES = ("I", "I;16", "I;16B", "F")  # of more than 8 bits


def read_image(path: Path) -> Film:
    """Return the picture at `path` as a film of 16 bits with bone bright; colours become greys.

    It is turned and mirrored as its EXIF orientation states, for all formats alike. Raises FilmError.
    """
    check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # From memory: Pillow 13 decodes a turned TIFF file wrongly when it maps the file.
            with Image.open(io.BytesIO(path.read_bytes()), formats=_FORMATS) as image:
                if max(image.size) > MAX_SIDE or image.width * image.height > MAX_PIXELS:
                    raise FilmError("its size is not that of a radiograph", path, "Leave this image out")
                image.load()  # Pillow turns a TIFF file here, and forgets its orientation
                shown = _turn(image, path)
                pixels = np.asarray(shown if shown.mode in _DEEP_MODES else shown.convert("L"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FilmError("an image can't be read", path, "Give PNG, JPEG, TIFF or DICOM") from error
    return Film(np.clip(pixels, 0, 65_535).astype(np.uint16), 16)


def _turn(image: Image.Image, path: Path) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception as error:  # Pillow raises many types for damaged EXIF data
        raise FilmError("its EXIF data are damaged", path, "Save it without them") from error
