"""Reader of DICOM films. It refuses unsuitable files with a clear error, and notes errors that it can resolve.

No memory is allocated before its size was checked: the length of the file, its inflated length, and the size of the image.
These checks read a few bytes or inflate without keeping the result. No error repeats text from the file.
"""

from __future__ import annotations

import io
import logging
import stat
import struct
import warnings
import zlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGExtended12Bit, JPEGLSLossless, JPEGLSNearLossless

from ratui.errors import FilmError, clean_text
from ratui.imaging.codestream import is_codestream_complete, read_codestream_size
from ratui.imaging.dicom_header import GreyTransform, parse_number, read_geometry, read_grey_transform
from ratui.imaging.film import MAX_SIDE, Film, Pixels
from ratui.imaging.pydicom_internals import read_meta_information

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "check_file",
    "check_header",
    "film_from_dataset",
    "read_film",
    "read_header",
    "read_stored_dataset",
    "read_stored_film",
]

MAX_FILE_BYTES = 600_000_000
"""Maximum size of a film's file in bytes, also after inflating."""
MAX_PIXELS = 80_000_000
"""Maximum of rows times columns. A film of 43 cm × 43 cm at 50 µm has 74 million pixels."""
_DEFLATED = "1.2.840.10008.1.2.1.99"  # Deflated Explicit VR Little Endian (PS3.5 A.5)
_CHUNK_BYTES = 1 << 20
_STORED_SYNTAXES = (JPEGLSLossless, ExplicitVRLittleEndian)  # in which `encode_dicom` and the import write

# pydicom logs every deviation from the standard. Those that matter here become a FilmError or a note.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def read_header(path: Path) -> pydicom.Dataset:
    """Return the header of the DICOM file at `path`, without its pixels.

    Raises FilmError if the file is missing, unreadable, too large or not a DICOM file.
    """
    return _read_dataset(path, stop_before_pixels=True)


def read_film(path: Path) -> Film:
    """Return the film in the DICOM file at `path`, decoded in this process.

    A foreign file can make a decoder end its process. Only a process that exists to read such files calls this; others
    call `ratui.read_film`, or `read_stored_film` for the films of a study.

    Raises
    ------
    FilmError
        If the file is not a readable, single grey image of a plausible size. The error states problem and remedy.
    """
    return film_from_dataset(_read_dataset(path, stop_before_pixels=False), path)


def read_stored_film(data: bytes, path: Path) -> Film:
    """Return the film in `data`, the content of a file that ratui wrote.

    Parameters
    ----------
    data
        A DICOM file in one of the two forms that ratui writes: JPEG-LS Lossless or uncompressed. Content in another form is
        refused before a decoder reads it.
    path
        The file, for error messages.

    Raises
    ------
    FilmError
        If it has another form, or for the reasons of `read_film`.
    """
    return film_from_dataset(read_stored_dataset(data, path), path)


def read_stored_dataset(data: bytes, path: Path) -> pydicom.Dataset:
    """Return the complete dataset in `data`; parameters and errors are those of `read_stored_film`."""
    try:
        syntax = read_meta_information(io.BytesIO(data)).get("TransferSyntaxUID", "")
    except Exception as error:  # pydicom raises many types for damaged headers
        raise FilmError(f"its header is damaged ({type(error).__name__})", path, "Restore it from a backup") from error
    # Before the rest is parsed: a deflated file would be inflated there.
    if syntax not in _STORED_SYNTAXES:
        raise FilmError("its pixels have a form that ratui does not write", path, "Restore it from a backup")
    return _parse_dataset(io.BytesIO(data), path, stop_before_pixels=False)


def film_from_dataset(dataset: pydicom.Dataset, path: Path) -> Film:
    """Return the film in a complete `dataset`. `path` is for error messages; the errors are those of `read_film`."""
    check_header(dataset, path)
    _check_length(dataset, path)
    _check_codestream(dataset, path)
    pixels = _mask_stored_bits(dataset, _decode(dataset, path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            grey: GreyTransform = read_grey_transform(dataset, pixels)
            spacing, aspect = read_geometry(dataset)
    except Exception as error:  # pydicom raises many types for damaged elements
        raise FilmError(f"its header is damaged ({type(error).__name__})", path, "Export it again") from error
    return Film(
        pixels=pixels,
        bits_stored=int(dataset.BitsStored),
        is_inverted=dataset.PhotometricInterpretation == "MONOCHROME1",
        slope=grey.slope,
        intercept=grey.intercept,
        modality_table=grey.modality_table,
        contrasts=grey.contrasts,
        spacing=spacing,
        aspect=aspect,
        padding=grey.padding,
        notes=grey.notes,
    )


def check_header(dataset: pydicom.Dataset, path: Path) -> None:
    """Raise FilmError if the header is not that of a single grey film of a plausible size.

    `path` is for error messages. The pixels are not used.
    """

    def refuse(problem: str, remedy: str) -> None:
        raise FilmError(problem, path, remedy)

    if "Rows" not in dataset or "Columns" not in dataset or "BitsAllocated" not in dataset:
        refuse("it contains no image", "Export the film itself, not a report or a directory")
    try:
        rows, columns, samples = int(dataset.Rows), int(dataset.Columns), int(dataset.get("SamplesPerPixel", 1))
        frames = int(parse_number(dataset.get("NumberOfFrames"), 1) or 1)
        allocated, stored = int(dataset.BitsAllocated), int(dataset.get("BitsStored", 0))
    except (TypeError, ValueError, OverflowError):
        refuse("its image header is damaged", "Export it again")
        return
    if samples != 1 or dataset.get("PhotometricInterpretation") not in ("MONOCHROME1", "MONOCHROME2"):
        refuse("it is a colour image, not a grey film", "Export the original radiograph")
    if frames != 1:
        refuse(f"it contains {frames} frames", "Export one film per file")
    if not (16 <= rows <= MAX_SIDE and 16 <= columns <= MAX_SIDE):
        refuse(f"its size {columns} × {rows} is not that of a radiograph", f"Sides go from 16 to {MAX_SIDE}")
    if rows * columns > MAX_PIXELS:
        refuse(f"its size {columns} × {rows} is not that of a radiograph", f"At most {MAX_PIXELS // 10**6} megapixels")
    if allocated not in (8, 16) or not 6 <= stored <= allocated:
        refuse(f"it stores {stored} of {allocated} bits a pixel", "8 to 16 bits can be read")


def _decode(dataset: pydicom.Dataset, path: Path) -> Pixels:
    """Return the decoded pixels, shape (rows, columns)."""
    syntax = dataset.file_meta.TransferSyntaxUID
    # `_mask_stored_bits` clears unused bits instead, because it also handles unusual high bits.
    options: dict[str, Any] = {"correct_unused_bits": False}
    if syntax in (JPEGLSLossless, JPEGLSNearLossless):
        # Two decoders may be installed. The films of a study are written with this one.
        options["decoding_plugin"] = "pyjpegls"
    try:
        dataset.pixel_array_options(**options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels = dataset.pixel_array
    except MemoryError as error:
        raise FilmError("there is not enough memory to decode it", path, "Close other programs") from error
    except Exception as error:  # each decoder has its own exceptions
        problem, remedy = _explain_decoding_failure(dataset)
        raise FilmError(problem, path, remedy) from error
    if pixels.shape != (dataset.Rows, dataset.Columns):
        raise FilmError(f"its pixels have shape {pixels.shape}, not one grey image", path, "Export it again")
    return np.asarray(pixels)


def _explain_decoding_failure(dataset: pydicom.Dataset) -> tuple[str, str]:
    """Return the problem and the remedy of a failed decoding: a decoder is missing, or the data are damaged."""
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if syntax == JPEGExtended12Bit and dataset.BitsStored > 8 and find_spec("libjpeg") is None:
        return (
            "it is lossy JPEG of 12 bits, which needs one more decoder",
            "Install pylibjpeg-libjpeg (GPL), or get an uncompressed copy of the film",
        )
    try:
        missing = not get_decoder(syntax).is_available
    except NotImplementedError:
        missing = True
    if missing:
        return f"no installed decoder reads {clean_text(syntax.name)}", "Get an uncompressed copy of the film"
    return (
        f"its pixels can't be decoded as {clean_text(syntax.name)}; they may be damaged",
        "Export it again, uncompressed",
    )


def _mask_stored_bits(dataset: pydicom.Dataset, pixels: Pixels) -> Pixels:
    """Return `pixels` with unused bits cleared, and the sign extended for signed values.

    Old files may store overlays in the bits outside Bits Stored (PS3.5 sections 8.1.1 and 8.1.2).
    """
    if not pixels.dtype.isnative:
        pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    allocated, bits = int(dataset.BitsAllocated), int(dataset.BitsStored)
    # High Bit counts for uncompressed data only; a decoder returns values from bit 0 up.
    high = int(dataset.get("HighBit", bits - 1))
    shift = high + 1 - bits if not UID(dataset.file_meta.TransferSyntaxUID).is_encapsulated else 0
    if not 0 < shift <= allocated - bits:
        shift = 0  # an impossible high bit counts as the usual one
    if bits == allocated and not shift:
        return pixels
    wide = pixels.astype(np.int32) >> shift
    wide &= (1 << bits) - 1
    if pixels.dtype.kind == "i":
        sign = 1 << (bits - 1)
        wide = (wide ^ sign) - sign  # extends the sign of two's complement
    return wide.astype(pixels.dtype)


def _read_dataset(path: Path, *, stop_before_pixels: bool) -> pydicom.Dataset:
    """Return the dataset in the file at `path`. Raises FilmError if it is not a readable DICOM file."""
    check_file(path)
    return _parse_dataset(path, path, stop_before_pixels=stop_before_pixels)


def _parse_dataset(source: Path | BinaryIO, path: Path, *, stop_before_pixels: bool) -> pydicom.Dataset:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(source, stop_before_pixels=stop_before_pixels)
            # pydicom parses elements when they are read. Reading them here finds damage early.
            for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "PhotometricInterpretation"):
                dataset.get(keyword)
    except FileNotFoundError as error:
        raise FilmError("there is no such file", path, "Check the path") from error
    except InvalidDicomError as error:
        raise FilmError("it is not a DICOM file", path, "Give DICOM files, or PNG files with a manifest") from error
    except OSError as error:
        cause = error.strerror or "its end is missing"  # pydicom's own message could repeat text of the file
        raise FilmError(f"it can't be read: {cause}", path, "Check its permissions, or copy it again") from error
    except Exception as error:  # pydicom raises many types for damaged headers
        raise FilmError(f"its header is damaged ({type(error).__name__})", path, "Export it again") from error
    # File Meta Information (PS3.10 section 7.1).
    if "TransferSyntaxUID" not in getattr(dataset, "file_meta", {}):
        raise FilmError("its header does not state the pixel format", path, "Export it as a DICOM file (Part 10)")
    return dataset


def _check_length(dataset: pydicom.Dataset, path: Path) -> None:
    """Raise FilmError if the file has no pixels or fewer than its header says."""
    if "PixelData" not in dataset:
        raise FilmError("it has no pixels; the file may be cut off", path, "Copy it again")
    if not UID(dataset.file_meta.TransferSyntaxUID).is_compressed:
        expected = dataset.Rows * dataset.Columns * dataset.BitsAllocated // 8
        if len(dataset.PixelData) < expected:
            raise FilmError(f"it is cut off: {len(dataset.PixelData)} of {expected} bytes", path, "Copy it again")


def check_file(path: Path) -> None:
    """Raise FilmError if `path` is not a regular file, is too large, or inflates to too many bytes."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise FilmError("it is not a regular file", path, "Give DICOM files")
        if found.st_size > MAX_FILE_BYTES:
            raise FilmError("the file is too large to be a film", path, "Give the film itself")
    except FileNotFoundError as error:
        raise FilmError("there is no such file", path, "Check the path") from error
    except OSError as error:
        raise FilmError(f"it can't be read: {error.strerror}", path, "Check its permissions") from error
    try:
        syntax = str(read_file_meta_info(path).get("TransferSyntaxUID", ""))
    except Exception:  # not a DICOM file, or a damaged one; the reader of the file reports it
        return
    # A UID that pydicom knows has a name other than its digits.
    if syntax and UID(syntax).name == syntax:
        raise FilmError("its pixel format is unknown", path, "Get an uncompressed copy")
    if syntax == _DEFLATED:
        _check_inflated_size(path)


def _check_inflated_size(path: Path) -> None:
    """Raise FilmError if the bytes after the meta information inflate to more than MAX_FILE_BYTES."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)  # negative: raw deflate data without a zlib header
    total = 0
    try:
        with path.open("rb") as file:
            read_meta_information(file)
            data = file.read(_CHUNK_BYTES)
            while data and not inflate.eof:
                total += len(inflate.decompress(data, _CHUNK_BYTES))
                if total > MAX_FILE_BYTES:
                    raise FilmError(
                        "its decompressed content is larger than any film", path, "Get an uncompressed copy"
                    )
                data = inflate.unconsumed_tail or file.read(_CHUNK_BYTES)
    except (OSError, zlib.error) as error:
        raise FilmError("its compressed data are damaged", path, "Get an uncompressed copy") from error


def _check_codestream(dataset: pydicom.Dataset, path: Path) -> None:
    """Raise FilmError if a compressed image has another size than its DICOM header says.

    A decoder allocates memory for the size in the compressed data, not for the size in the header.
    """
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if not syntax.is_encapsulated:
        return
    try:
        frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    except Exception as error:  # pydicom raises many types for damaged frames
        raise FilmError("its compressed pixels are damaged", path, "Get an uncompressed copy") from error
    # RLE can repeat each byte 64 times, whatever the size in the header; an encoder never makes a picture twice as large.
    if len(frame) > 2 * dataset.Rows * dataset.Columns * dataset.BitsAllocated // 8 + _CHUNK_BYTES:
        raise FilmError("its compressed pixels are larger than the picture", path, "Get an uncompressed copy")
    try:
        size = read_codestream_size(frame)
        is_complete = is_codestream_complete(frame)
    except (struct.error, IndexError, ValueError) as error:
        raise FilmError("its compressed pixels are damaged", path, "Get an uncompressed copy") from error
    if not is_complete:
        raise FilmError("its compressed pixels are cut off", path, "Copy it again, or get an uncompressed copy")
    if size is not None and size != (dataset.Rows, dataset.Columns):
        raise FilmError("its image size differs from the size in its header", path, "Get an uncompressed copy")
