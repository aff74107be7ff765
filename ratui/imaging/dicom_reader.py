"""Reader of DICOM films. It refuses unsuitable files with a clear error, and notes errors that it can resolve.

No memory is allocated before its size was checked: the length of the file, its inflated length, and the size of the image.
These checks read a few bytes or inflate without keeping the result. No error repeats text from the file.
"""

from __future__ import annotations

import io
import logging
import stat
import warnings
import zlib
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGLSLossless

from ratui.errors import FilmError
from ratui.imaging.dicom_header import GreyTransform, parse_number, read_aspect, read_grey_transform
from ratui.imaging.film import MAX_SIDE, Film
from ratui.imaging.pixel_decoder import COLOURS, decode_pixels
from ratui.imaging.pydicom_internals import read_meta_information
from ratui.imaging.spacing import read_spacing

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "check_file",
    "check_header",
    "film_from_dataset",
    "read_film",
    "read_header",
    "read_instance_uid",
    "read_stored_dataset",
    "read_stored_film",
]

MAX_FILE_BYTES = 600_000_000
"""Maximum size of a film's file in bytes, also after inflating."""
MAX_PIXELS = 80_000_000
"""Maximum of rows times columns. A film of 43 cm × 43 cm at 50 µm has 74 million pixels."""
_DEFLATED = "1.2.840.10008.1.2.1.99"  # Deflated Explicit VR Little Endian (PS3.5 A.5)
_CHUNK_BYTES = 1 << 20
_NO_FORMAT, _EXPORT_FILE = "its header does not state the pixel format", "Export it as a DICOM file (Part 10)"
_GREYS = ("MONOCHROME1", "MONOCHROME2")
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
    return film_from_dataset(read_stored_dataset(data, path), path, is_own=True)


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


def read_instance_uid(head: bytes) -> str:
    """Return the UID of the film in a DICOM file from its first bytes `head`, or an empty text if they don't contain it."""
    try:
        return str(read_meta_information(io.BytesIO(head)).get("MediaStorageSOPInstanceUID", ""))
    except Exception:  # pydicom raises many types for damaged headers
        return ""


def film_from_dataset(dataset: pydicom.Dataset, path: Path, *, is_own: bool = False) -> Film:
    """Return the film in a complete `dataset`. `path` is for error messages; the errors are those of `read_film`.

    With `is_own`, ratui wrote the film: its header is right, and is not compared with its pixels.
    """
    check_header(dataset, path)
    values, notes = decode_pixels(dataset, path, is_own=is_own)
    is_grey = dataset.PhotometricInterpretation in _GREYS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Rescaling, windows and tables are defined for grey images only (PS3.3 C.11.1 and C.11.2).
            grey: GreyTransform = read_grey_transform(dataset if is_grey else pydicom.Dataset(), values.pixels)
            spacing = read_spacing(dataset)
            aspect = spacing.value[0] / spacing.value[1] if spacing.value else read_aspect(dataset)
    except Exception as error:  # pydicom raises many types for damaged elements
        raise FilmError(f"its header is damaged ({type(error).__name__})", path, "Export it again") from error
    return Film(
        pixels=values.pixels,
        bits_stored=values.bits,
        is_inverted=dataset.PhotometricInterpretation == "MONOCHROME1",
        slope=grey.slope,
        intercept=grey.intercept,
        modality_table=grey.modality_table,
        contrasts=grey.contrasts,
        spacing=spacing.value,
        aspect=aspect,
        padding=grey.padding,
        notes=(*notes, *filter(None, [values.note, spacing.note]), *grey.notes),
        spacing_source=spacing.source,
        detector_spacing=spacing.detector,
        magnification=spacing.magnification,
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
    # A grey film may be stored in colours, such as a Secondary Capture. The pixels show whether it is grey.
    kind = dataset.get("PhotometricInterpretation")
    if kind not in ((*_GREYS, "PALETTE COLOR") if samples == 1 else COLOURS if samples == 3 else ()):
        refuse("its header does not state grey pixels", "Export the original radiograph")
    if frames != 1:
        refuse(f"it contains {frames} frames", "Export one film per file")
    if not (16 <= rows <= MAX_SIDE and 16 <= columns <= MAX_SIDE):
        refuse(f"its size {columns} × {rows} is not that of a radiograph", f"Sides go from 16 to {MAX_SIDE}")
    if rows * columns > MAX_PIXELS:
        refuse(f"its size {columns} × {rows} is not that of a radiograph", f"At most {MAX_PIXELS // 10**6} megapixels")
    if allocated not in (8, 16) or not 6 <= stored <= allocated:
        refuse(f"it stores {stored} of {allocated} bits a pixel", "8 to 16 bits can be read")


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
        if isinstance(source, Path) and _is_bare_dataset(source):
            raise FilmError(_NO_FORMAT, path, _EXPORT_FILE) from error
        raise FilmError("it is not a DICOM file", path, "Give DICOM files, or pictures with a manifest") from error
    except OSError as error:
        cause = error.strerror or "its end is missing"  # pydicom's own message could repeat text of the file
        raise FilmError(f"it can't be read: {cause}", path, "Check its permissions, or copy it again") from error
    except Exception as error:  # pydicom raises many types for damaged headers
        raise FilmError(f"its header is damaged ({type(error).__name__})", path, "Export it again") from error
    # File Meta Information (PS3.10 section 7.1).
    if "TransferSyntaxUID" not in getattr(dataset, "file_meta", {}):
        raise FilmError(_NO_FORMAT, path, _EXPORT_FILE)
    return dataset


def _is_bare_dataset(path: Path) -> bool:
    """Return whether a file begins with DICOM elements, without the preamble and prefix of a file."""
    with path.open("rb") as file:
        head = file.read(8)
    # An element of the groups 0002 or 0008 in little endian, then the letters of its VR or a length below 65,536.
    is_element = len(head) == 8 and head[:2] in (b"\x02\x00", b"\x08\x00") and head[3] == 0
    return is_element and (head[4:6].isalpha() or head[6:] == b"\0\0")


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
