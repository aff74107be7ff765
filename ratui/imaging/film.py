"""A film's pixels and what the file says of them, read from DICOM with every doubt turned into a clear refusal.

It knows nothing of scoring, shows nothing, and never takes memory for an image before its size was found sane.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from ratui.errors import FilmError, clean

__all__ = ["LARGEST_SIDE", "Film", "Pixels", "Window", "check_header", "read_film", "read_header"]

Pixels: TypeAlias = npt.NDArray[np.integer[Any]]
LARGEST_SIDE = 12_000
"""Rows or columns above this are no radiograph; a header that claims them is refused before memory is taken."""

# pydicom warns about every oddity of a header; what matters here becomes a FilmError instead.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Window:
    """A linear grey window, in modality units: `centre` becomes middle grey, `width` spans black to white."""

    centre: float
    width: float


@dataclass(frozen=True)
class Film:
    """One film.

    `pixels` are as stored, shape (rows, columns), an integer type. `inverted` is true for MONOCHROME1 (low is bright).
    `slope` and `intercept` make modality units of stored values. `window` is the file's first, or None. `spacing` is
    mm per pixel as (row, column), or None.
    """

    pixels: Pixels
    bits: int
    inverted: bool = False
    slope: float = 1.0
    intercept: float = 0.0
    window: Window | None = None
    spacing: tuple[float, float] | None = None
    _cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def rows(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def columns(self) -> int:
        return int(self.pixels.shape[1])


def read_header(path: Path) -> pydicom.Dataset:
    """The header of the DICOM file at `path`, without its pixels. Raises FilmError."""
    return _read(path, stop_before_pixels=True)


def read_film(path: Path) -> Film:
    """The film in the DICOM file at `path`. Raises FilmError saying what is wrong and what to do."""
    dataset = _read(path, stop_before_pixels=False)
    check_header(dataset, path)
    _check_length(dataset, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels = dataset.pixel_array
    except MemoryError as error:
        raise FilmError("there is not enough memory to decode it", path, "Close other programs") from error
    except (
        Exception
    ) as error:  # decoders raise all sorts, from ValueError to their own; any of them means the same here
        name = UID(dataset.file_meta.TransferSyntaxUID).name
        raise FilmError(
            f"its pixels can't be decoded ({clean(name)}: {clean(error, 120)})", path, "Ask for it uncompressed"
        ) from error
    if pixels.shape != (dataset.Rows, dataset.Columns):
        raise FilmError(f"its pixels have shape {pixels.shape}, not one grey image", path, "Export it again")
    return Film(
        pixels=pixels,
        bits=int(dataset.BitsStored),
        inverted=dataset.PhotometricInterpretation == "MONOCHROME1",
        slope=_number(dataset.get("RescaleSlope"), 1.0) or 1.0,
        intercept=_number(dataset.get("RescaleIntercept"), 0.0) or 0.0,
        window=_window(dataset),
        spacing=_spacing(dataset),
    )


def check_header(dataset: pydicom.Dataset, path: Path) -> None:
    """Raises FilmError where the header alone shows that this is no single grey film of a sane size."""

    def refuse(what: str, remedy: str) -> None:
        raise FilmError(what, path, remedy)

    if "Rows" not in dataset or "Columns" not in dataset or "BitsAllocated" not in dataset:
        refuse("it holds no image", "Export the film itself, not a report or a directory")
    try:
        rows, columns, samples = int(dataset.Rows), int(dataset.Columns), int(dataset.get("SamplesPerPixel", 1))
        frames = int(dataset.get("NumberOfFrames") or 1)
        allocated, stored = int(dataset.BitsAllocated), int(dataset.get("BitsStored", 0))
    except (TypeError, ValueError, OverflowError):
        refuse("its image header is damaged", "Export it again")
        return
    if samples != 1 or dataset.get("PhotometricInterpretation") not in ("MONOCHROME1", "MONOCHROME2"):
        refuse("it is a colour image, not a grey film", "Export the original radiograph")
    if frames != 1:
        refuse(f"it holds {frames} frames", "Export one film per file")
    if not (16 <= rows <= LARGEST_SIDE and 16 <= columns <= LARGEST_SIDE):
        refuse(f"its size {columns} × {rows} is not that of a radiograph", f"Sides go from 16 to {LARGEST_SIDE}")
    if allocated not in (8, 16) or not 6 <= stored <= allocated:
        refuse(f"it stores {stored} of {allocated} bits a pixel", "8 to 16 bits can be read")


def _read(path: Path, *, stop_before_pixels: bool) -> pydicom.Dataset:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path, stop_before_pixels=stop_before_pixels)
            # Touching the elements that are used finds the damage that a lazy reader would find later.
            for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "PhotometricInterpretation"):
                dataset.get(keyword)
    except FileNotFoundError as error:
        raise FilmError("there is no such file", path, "Check the path") from error
    except InvalidDicomError as error:
        raise FilmError("it is not a DICOM file", path, "Give DICOM files, or PNG files with a manifest") from error
    except OSError as error:
        raise FilmError(f"it can't be read: {error.strerror or error}", path, "Check its permissions") from error
    except Exception as error:  # a damaged header makes the parser raise almost anything
        raise FilmError(f"its header is damaged ({type(error).__name__})", path, "Export it again") from error
    if "TransferSyntaxUID" not in getattr(dataset, "file_meta", {}):
        raise FilmError("it doesn't say how its pixels are stored", path, "Export it as a DICOM file (Part 10)")
    return dataset


def _check_length(dataset: pydicom.Dataset, path: Path) -> None:
    if "PixelData" not in dataset:
        raise FilmError("it has no pixels; the file may be cut off", path, "Copy it again")
    if not UID(dataset.file_meta.TransferSyntaxUID).is_compressed:
        expected = dataset.Rows * dataset.Columns * dataset.BitsAllocated // 8
        if len(dataset.PixelData) < expected:
            raise FilmError(f"it is cut off: {len(dataset.PixelData)} of {expected} bytes", path, "Copy it again")


def _number(value: object, default: float | None = None) -> float | None:
    """The first finite number in a DICOM value, or `default`."""
    if isinstance(value, pydicom.multival.MultiValue):
        value = value[0] if len(value) else None
    try:
        number = float(str(value))
    except ValueError:
        return default
    return number if np.isfinite(number) else default


def _window(dataset: pydicom.Dataset) -> Window | None:
    centre, width = _number(dataset.get("WindowCenter")), _number(dataset.get("WindowWidth"))
    return Window(centre, width) if centre is not None and width is not None and width >= 1 else None


def _spacing(dataset: pydicom.Dataset) -> tuple[float, float] | None:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        value = dataset.get(keyword)
        if isinstance(value, pydicom.multival.MultiValue) and len(value) == 2:
            row, column = _number(value[0]), _number(value[1])
            if row and column and 0.01 <= row <= 2 and 0.01 <= column <= 2:
                return row, column
    return None
