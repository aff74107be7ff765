"""Check the bytes of the pixels in a DICOM dataset against its header, before a decoder reads them."""

from __future__ import annotations

import struct
from pathlib import Path

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments, generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, RLELossless

from ratui.errors import FilmError
from ratui.imaging.codestream import (
    Codestream,
    count_pictures,
    count_rle_bytes,
    is_codestream_complete,
    read_codestream,
)
from ratui.imaging.jpeg_damage import is_jpeg_damaged

__all__ = ["check_codestream", "check_length", "find_stated_length", "has_decoder", "native_length"]

_CHUNK_BYTES = 1 << 20
_UNDEFINED_LENGTH = 0xFFFFFFFF
_PADDING = 16  # bytes before the end of the picture that are not all zero if zeros after it are padding


def find_stated_length(dataset: Dataset) -> int:
    """Return the length of the pixels that their element states, 0 if it states none or was read before."""
    element = dataset.get_item("PixelData")
    if isinstance(element, RawDataElement) and element.length != _UNDEFINED_LENGTH:
        return element.length
    return 0


def native_length(dataset: Dataset) -> int:
    """Return the number of bytes of uncompressed pixels, with the padding to an even number (PS3.5 section 8.1)."""
    # YBR_FULL_422 stores two colour values for two pixels (PS3.3 C.7.6.3.1.2).
    halved = dataset.PhotometricInterpretation in ("YBR_FULL_422", "YBR_PARTIAL_422")
    samples = 2 if halved else int(dataset.get("SamplesPerPixel", 1))
    length = int(dataset.Rows) * int(dataset.Columns) * samples * int(dataset.BitsAllocated) // 8
    return length + length % 2


def check_length(dataset: Dataset, data: bytes, frames: int, stated: int, path: Path) -> None:
    """Raise FilmError if uncompressed pixels have another number of bytes than the header states.

    `stated` is the length in the element of the pixels: a shorter value shows that the file was cut off.
    """
    expected = native_length(dataset)
    if len(data) < stated:
        raise FilmError(f"it is cut off: {len(data)} of {stated} bytes", path, "Copy it again")
    if frames > 1 and len(data) >= frames * (expected - 1):
        raise FilmError(f"it contains {frames} frames", path, "Export one film per file")
    # Some devices fill the element with zeros. Pixels before them show that the picture ends there.
    filled = not any(data[expected:]) and any(data[expected - _PADDING : expected])
    # A wrong number of rows or columns makes a difference of a whole column or row.
    least = min(int(dataset.Rows), int(dataset.Columns)) * int(dataset.BitsAllocated) // 8
    if len(data) < expected - 1 or (len(data) >= expected + least and not filled):
        raise FilmError(
            f"it has {len(data)} bytes of pixels, but its header states {expected}", path, "Export it again"
        )


def check_codestream(dataset: Dataset, data: bytes, path: Path) -> tuple[Codestream | None, bool]:
    """Return the parameters of a compressed image, and whether it is run-length coded.

    Raises FilmError if its size differs from the header, or it is damaged. A decoder allocates memory for the size in the
    compressed data, not for the size in the header.
    """
    try:
        frame = next(generate_frames(data, number_of_frames=1))
        pictures = count_pictures(list(generate_fragments(data)))
    except Exception as error:  # pydicom raises many types for damaged frames
        raise FilmError("its compressed pixels are damaged", path, "Get an uncompressed copy") from error
    samples = int(dataset.get("SamplesPerPixel", 1))
    # RLE can repeat each byte 64 times, whatever the size in the header; an encoder never makes a picture twice as large.
    if len(frame) > 2 * dataset.Rows * dataset.Columns * samples * dataset.BitsAllocated // 8 + _CHUNK_BYTES:
        raise FilmError("its compressed pixels are larger than the picture", path, "Get an uncompressed copy")
    try:
        stream = read_codestream(frame)
        is_complete = is_codestream_complete(frame)
        lengths = [] if stream else _count_run_length_bytes(dataset, frame)
        # Zeros after the image are padding, although they can be decoded.
        without_padding = count_rle_bytes(frame.rstrip(b"\0")) if lengths else []
    except (struct.error, IndexError, ValueError) as error:
        raise FilmError("its compressed pixels are damaged", path, "Get an uncompressed copy") from error
    if not frame:
        raise FilmError("it has no pixels; the file may be cut off", path, "Copy it again")
    size = int(dataset.Rows) * int(dataset.Columns)
    if pictures > 1:
        raise FilmError(f"it contains {pictures} pictures", path, "Export one film per file")
    if not is_complete or any(length < size for length in lengths):
        raise FilmError("its compressed pixels are cut off", path, "Copy it again, or get an uncompressed copy")
    segments = samples * int(dataset.BitsAllocated) // 8  # one for each byte of a pixel (PS3.5 G.2)
    if lengths and len(lengths) != segments:
        problem = f"its pixels have a number of bytes each ({len(lengths)}) that its header does not state ({segments})"
        raise FilmError(problem, path, "Ask the sender to correct the header")
    # A segment is as long as the picture, and a byte of padding may follow (PS3.5 G.3.1).
    if any(length > size + 1 for length in without_padding):
        raise FilmError("its image size differs from the size in its header", path, "Get an uncompressed copy")
    if stream is None:
        return None, bool(lengths)
    if (stream.rows, stream.columns) != (dataset.Rows, dataset.Columns):
        raise FilmError("its image size differs from the size in its header", path, "Get an uncompressed copy")
    if stream.components != samples:
        stated = "a colour image" if samples > 1 else "a grey film"
        problem = (
            f"its header states {stated}, but each of its pixels has another number of values: {stream.components}"
        )
        raise FilmError(problem, path, "Get an uncompressed copy")
    if stream.coding == "JPEG" and is_jpeg_damaged(frame):
        raise FilmError("its compressed pixels are damaged", path, "Copy it again, or get an uncompressed copy")
    return stream, False


def _count_run_length_bytes(dataset: Dataset, frame: bytes) -> list[int]:
    """Return the lengths of the segments of a run-length coded image, or none if it has another coding.

    Raises struct.error or ValueError if the header states this coding, and the image is damaged.
    """
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    is_stated = syntax == RLELossless
    if syntax.is_encapsulated and not has_decoder(syntax):
        return []  # such as a video
    try:
        lengths = count_rle_bytes(frame)
    except (struct.error, ValueError):
        if is_stated:
            raise
        return []
    size = int(dataset.Rows) * int(dataset.Columns)
    return lengths if is_stated or all(size <= length <= size + 1 for length in lengths[:-1]) else []


def has_decoder(syntax: UID) -> bool:
    """Return whether an installed decoder reads `syntax`."""
    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False
