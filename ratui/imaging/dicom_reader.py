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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info, read_partial
from pydicom.tag import BaseTag
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGLSLossless

from ratui.errors import FilmError
from ratui.imaging.dicom_header import GREYS, make_film
from ratui.imaging.film import MAX_SIDE, Film
from ratui.imaging.film_limits import MAX_FILE_BYTES, MAX_PIXELS
from ratui.imaging.pixel_decoder import COLOURS, decode_pixels
from ratui.imaging.pydicom_internals import read_meta_information

__all__ = [
    "check_file",
    "check_header",
    "film_from_dataset",
    "read_film",
    "read_header",
    "read_header_with_offset",
    "read_instance_uid",
    "read_stored_dataset",
    "read_stored_header",
]

_DEFLATED = "1.2.840.10008.1.2.1.99"  # Deflated Explicit VR Little Endian (PS3.5 A.5)
_CHUNK_BYTES = 1 << 20
_PIXEL_DATA = 0x7FE00010
_NO_FORMAT, _EXPORT_FILE = "its header does not state the pixel format", "Export it as a DICOM file (Part 10)"
_FORMAT_ELEMENTS = ("Rows", "Columns", "BitsAllocated", "BitsStored", "PhotometricInterpretation")
# Groups that each dataset of a film or of a DICOMDIR has. A dataset without them was parsed in a wrong way.
_KNOWN_GROUPS = (0x0004, 0x0008, 0x0010, 0x0018, 0x0020, 0x0028, 0x0040)
_STORED_SYNTAXES = (JPEGLSLossless, ExplicitVRLittleEndian)  # in which `encode_dicom` and the import write

# pydicom logs every deviation from the standard. Those that matter here become a FilmError or a note.
logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def read_header(path: Path) -> pydicom.Dataset:
    """Return the header of the DICOM file at `path`, without its pixels.

    Raises FilmError if the file is missing, unreadable, too large or not a DICOM file.
    """
    return read_header_with_offset(path)[0]


def read_header_with_offset(path: Path) -> tuple[pydicom.Dataset, int]:
    """Return the header of `path`, and the offset of the element with the pixels, or of the end of the file.

    Of a deflated file, the offset has no meaning. Raises FilmError as `read_header` does.
    """
    check_file(path)
    with _explain_errors(path, is_file=True), path.open("rb") as file:
        return _check_parsed(pydicom.dcmread(file, stop_before_pixels=True), path), file.tell()


def read_film(path: Path) -> Film:
    """Return the film in the DICOM file at `path`, decoded in this process.

    A foreign file can make a decoder end its process. Only a process that exists to read such files calls this; others
    call `ratui.read_film`, or `ratui.imaging.read_stored_film` for the films of a study.

    Raises
    ------
    FilmError
        If the file is not a readable, single grey image of a plausible size. The error states problem and remedy.
    """
    check_file(path)
    with _explain_errors(path, is_file=True), path.open("rb") as file:
        dataset = _check_parsed(read_partial(file, _stop_after_pixels()), path)
    return film_from_dataset(dataset, path)


def read_stored_header(file: BinaryIO, path: Path) -> pydicom.Dataset:
    """Return the header of a film's file, open as `file`, and read no pixels. `path` is for error messages.

    Raises FilmError if it is damaged or not a DICOM file.
    """
    with _explain_errors(path):
        return _check_parsed(pydicom.dcmread(file, stop_before_pixels=True), path)


def read_stored_dataset(data: bytes, path: Path) -> pydicom.Dataset:
    """Return the complete dataset in `data`; parameters and errors are those of `ratui.imaging.read_stored_film`."""
    try:
        syntax = read_meta_information(io.BytesIO(data)).get("TransferSyntaxUID", "")
    except Exception as error:  # pydicom raises many types for damaged headers
        raise FilmError(f"its header is damaged ({type(error).__name__})", path, "Restore it from a backup") from error
    # Before the rest is parsed: a deflated file would be inflated there.
    if syntax not in _STORED_SYNTAXES:
        raise FilmError("its pixels have a form that ratui does not write", path, "Restore it from a backup")
    with _explain_errors(path):
        return _check_parsed(read_partial(io.BytesIO(data), _stop_after_pixels()), path)


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
    decoded = decode_pixels(dataset, path, is_own=is_own)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return make_film(
                dataset, decoded.values, notes=decoded.notes, lossy=decoded.lossy, lossy_ratio=decoded.lossy_ratio
            )
    except Exception as error:  # pydicom raises many types for damaged elements
        raise FilmError(f"its header is damaged ({type(error).__name__})", path, "Export it again") from error


def check_header(dataset: pydicom.Dataset, path: Path) -> None:
    """Raise FilmError if the header is not that of a single grey film of a plausible size.

    `path` is for error messages. The pixels are not used.
    """

    def refuse(problem: str, remedy: str) -> None:
        raise FilmError(problem, path, remedy)

    missing = [keyword for keyword in _FORMAT_ELEMENTS if keyword not in dataset]
    if missing and len(missing) < len(_FORMAT_ELEMENTS):
        refuse(f"its header lacks {', '.join(missing)}", "Export it again")
    elif missing:
        refuse("it contains no image", "Export the film itself, not a report or a directory")
    try:
        rows, columns, samples = int(dataset.Rows), int(dataset.Columns), int(dataset.get("SamplesPerPixel", 1))
        allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    except (TypeError, ValueError, OverflowError):
        refuse("its image header is damaged", "Export it again")
        return
    # A grey film may be stored in colours, such as a Secondary Capture. The pixels show whether it is grey.
    kind = dataset.get("PhotometricInterpretation")
    if kind not in ((*GREYS, "PALETTE COLOR") if samples == 1 else COLOURS if samples == 3 else ()):
        refuse("its header does not state grey pixels", "Export the original radiograph")
    if not (16 <= rows <= MAX_SIDE and 16 <= columns <= MAX_SIDE):
        refuse(f"its size {columns} × {rows} is not that of a radiograph", f"Sides go from 16 to {MAX_SIDE}")
    if rows * columns > MAX_PIXELS:
        refuse(f"its size {columns} × {rows} is not that of a radiograph", f"At most {MAX_PIXELS // 10**6} megapixels")
    if allocated not in (8, 16) or not 6 <= stored <= allocated:
        refuse(f"it stores {stored} of {allocated} bits a pixel", "8 to 16 bits can be read")


@contextmanager
def _explain_errors(path: Path, *, is_file: bool = False) -> Iterator[None]:
    """Turn the errors of a parser into a FilmError. With `is_file`, the parser reads the file at `path`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except FilmError:
        raise
    except FileNotFoundError as error:
        raise FilmError("there is no such file", path, "Check the path") from error
    except InvalidDicomError as error:
        if is_file and _is_bare_dataset(path):
            raise FilmError(_NO_FORMAT, path, _EXPORT_FILE) from error
        raise FilmError("it is not a DICOM file", path, "Give DICOM files, or pictures with a manifest") from error
    except OSError as error:
        cause = error.strerror or "its end is missing"  # pydicom's own message could repeat text of the file
        raise FilmError(f"it can't be read: {cause}", path, "Check its permissions, or copy it again") from error
    except Exception as error:  # pydicom raises many types for damaged headers
        raise FilmError(f"its header is damaged ({type(error).__name__})", path, "Export it again") from error


def _check_parsed(dataset: pydicom.Dataset, path: Path) -> pydicom.Dataset:
    """Return `dataset`. Raises FilmError if it has none of the elements of a film, and other errors if they are damaged."""
    # pydicom parses elements when they are read. Reading them here finds damage early.
    for keyword in _FORMAT_ELEMENTS:
        dataset.get(keyword)
    if not any(tag.group in _KNOWN_GROUPS for tag in dataset.keys()):  # noqa: SIM118 - a dataset yields elements
        # Of a dataset that ends within an element, pydicom returns nothing.
        problem = "it is cut off, or its header names another order of bytes than it has"
        raise FilmError(problem, path, "Copy it again, or export it again")
    # File Meta Information (PS3.10 section 7.1).
    if "TransferSyntaxUID" not in getattr(dataset, "file_meta", {}):
        raise FilmError(_NO_FORMAT, path, _EXPORT_FILE)
    return dataset


def _stop_after_pixels() -> Callable[[BaseTag, str | None, int], bool]:
    """Return a condition that ends the parsing after the pixels: bytes after them belong to no film, or to no element."""
    has_pixels = False

    def stop(tag: BaseTag, vr: str | None, length: int) -> bool:
        nonlocal has_pixels
        ends, has_pixels = has_pixels, has_pixels or tag == _PIXEL_DATA
        return ends

    return stop


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
        problem = "its header says that it is deflated, but it is damaged or has another form"
        raise FilmError(problem, path, "Get an uncompressed copy") from error
