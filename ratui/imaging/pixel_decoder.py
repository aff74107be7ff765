"""Decoder of the pixels in a DICOM dataset. It compares the pixels with the header before and after decoding.

The kind of compression, the depth and the sign are taken from the compressed image itself. If the header contradicts them,
the film gets a note or is refused with the true cause.
"""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments, generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLSNearLossless,
    JPEGLSTransferSyntaxes,
    RLELossless,
)

from ratui.errors import FilmError, clean_text
from ratui.imaging.codestream import (
    Codestream,
    Coding,
    count_pictures,
    count_rle_bytes,
    is_codestream_complete,
    read_codestream,
)
from ratui.imaging.dicom_header import parse_number
from ratui.imaging.grey_channels import apply_grey_palette, find_grey
from ratui.imaging.jpeg_damage import is_jpeg_damaged
from ratui.imaging.pixel_values import (
    AmbiguousPixelsError,
    HeaderDepth,
    StoredValues,
    check_layout,
    interpret_decoded,
    interpret_native,
    interpret_stated,
)

__all__ = ["COLOURS", "DecodedPixels", "decode_pixels"]

COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420")
"""Photometric interpretations of three values a pixel (PS3.3 C.7.6.3.1.2). A grey film may be stored in them."""
_ITEM = b"\xfe\xff\x00\xe0"  # begins encapsulated pixels (PS3.5 A.4)
# One decoder for each kind of compression.
_SYNTAXES: dict[Coding, UID] = {
    "JPEG": JPEGBaseline8Bit,
    "JPEG of 12 bits": JPEGExtended12Bit,
    "JPEG Lossless": JPEGLossless,
    "JPEG-LS": JPEGLSNearLossless,
    "JPEG 2000": JPEG2000,
    "HTJ2K": HTJ2K,
}
_CHUNK_BYTES = 1 << 20
_UNDEFINED_LENGTH = 0xFFFFFFFF
_PADDING = 16  # bytes before the end of the picture that are not all zero if zeros after it are padding
_Array = npt.NDArray[Any]


@dataclass(frozen=True)
class DecodedPixels:
    """The decoded pixels of a film.

    Attributes
    ----------
    values
        The grey values.
    notes
        Contradictions between header and pixels that were resolved.
    lossy, lossy_ratio
        See `Film`.
    """

    values: StoredValues
    notes: tuple[str, ...]
    lossy: str = ""
    lossy_ratio: float | None = None


def decode_pixels(dataset: Dataset, path: Path, *, is_own: bool = False) -> DecodedPixels:
    """Return the grey values of a complete `dataset` whose header was checked, and notes on contradictions.

    `path` is for error messages. With `is_own`, ratui wrote the film, and its header is right.

    Raises
    ------
    FilmError
        If there are fewer or more pixels than the header states, they can't be decoded, they have colours, or their
        contradiction to the header can't be resolved.
    """
    if "PixelData" not in dataset:
        raise FilmError("it has no pixels; the file may be cut off", path, "Copy it again")
    notes: list[str] = []
    stated = _find_stated_length(dataset)
    data = bytes(dataset.PixelData)
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    is_encapsulated = bool(dataset["PixelData"].is_undefined_length) or data[:4] == _ITEM
    if syntax.is_encapsulated and not is_encapsulated and len(data) == _count_native_bytes(dataset):
        # Compressed pixels have no such length: each of their items has a header.
        notes.append("its header names a compression, but its pixels are uncompressed; they were used as they are")
        syntax = ExplicitVRLittleEndian
    stream = None
    frames = _count_frames(dataset)
    if syntax.is_encapsulated or is_encapsulated:
        stream, is_run_length = _check_codestream(dataset, data, path)
        if is_run_length or (stream is not None and not stream.is_read_by(syntax.keyword)):
            if syntax != RLELossless or stream is not None:
                notes.append("its header names another compression than its pixels have; that of the pixels was used")
            syntax = RLELossless if stream is None else _SYNTAXES[stream.coding]
        elif not syntax.is_encapsulated:
            problem = "its pixels are compressed, but its header says that they are not"
            raise FilmError(problem, path, "Export it again")
        elif stream is None and frames != 1:  # a video
            raise FilmError(f"it contains {frames} frames", path, "Export one film per file")
    else:
        _check_length(dataset, data, frames, stated, path)
    if frames != 1:
        problem = f"its header states {frames} frames, but it has one picture"
        raise FilmError(problem, path, "Ask the sender to correct the header")
    found, note = _interpret(dataset, syntax, stream, path, is_own)
    decoded = DecodedPixels(found, (*notes, *([note] if note else [])))
    if stream is None or not stream.is_lossy:
        return decoded
    bits = stream.rows * stream.columns * stream.components * stream.precision
    ratio = max(bits / 8 / len(data), 1.0)
    return replace(decoded, lossy=stream.lossy_method, lossy_ratio=ratio)


def _count_frames(dataset: Dataset) -> int:
    """Return the Number of Frames in the header; 1 if it states none or an impossible one."""
    return max(1, int(parse_number(dataset.get("NumberOfFrames"), 1) or 1))


def _find_stated_length(dataset: Dataset) -> int:
    """Return the length of the pixels that their element states, 0 if it states none or was read before."""
    element = dataset.get_item("PixelData")
    if isinstance(element, RawDataElement) and element.length != _UNDEFINED_LENGTH:
        return element.length
    return 0


def _count_native_bytes(dataset: Dataset) -> int:
    """Return the number of bytes of uncompressed pixels, with the padding to an even number (PS3.5 section 8.1)."""
    # YBR_FULL_422 stores two colour values for two pixels (PS3.3 C.7.6.3.1.2).
    halved = dataset.PhotometricInterpretation in ("YBR_FULL_422", "YBR_PARTIAL_422")
    samples = 2 if halved else int(dataset.get("SamplesPerPixel", 1))
    length = int(dataset.Rows) * int(dataset.Columns) * samples * int(dataset.BitsAllocated) // 8
    return length + length % 2


def _check_length(dataset: Dataset, data: bytes, frames: int, stated: int, path: Path) -> None:
    """Raise FilmError if uncompressed pixels have another number of bytes than the header states.

    `stated` is the length in the element of the pixels: a shorter value shows that the file was cut off.
    """
    expected = _count_native_bytes(dataset)
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


def _check_codestream(dataset: Dataset, data: bytes, path: Path) -> tuple[Codestream | None, bool]:
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
    if syntax.is_encapsulated and not _has_decoder(syntax):
        return []  # such as a video
    try:
        lengths = count_rle_bytes(frame)
    except (struct.error, ValueError):
        if is_stated:
            raise
        return []
    size = int(dataset.Rows) * int(dataset.Columns)
    return lengths if is_stated or all(size <= length <= size + 1 for length in lengths[:-1]) else []


def _has_decoder(syntax: UID) -> bool:
    """Return whether an installed decoder reads `syntax`."""
    try:
        return bool(get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def _decode(dataset: Dataset, syntax: UID, stream: Codestream | None, path: Path, *, photometric: str = "") -> _Array:
    """Return the decoded values, shape (rows, columns) or (rows, columns, 3), unsigned unless `stream` is signed.

    `photometric` replaces Photometric Interpretation; with RGB, the values of three channels are those that are stored.
    """
    view = _make_decoding_view(dataset, syntax, stream)
    if photometric:
        view.PhotometricInterpretation = photometric
    # `pixel_values` clears unused bits instead, because it also handles unusual high bits.
    options: dict[str, Any] = {"correct_unused_bits": False}
    if syntax in JPEGLSTransferSyntaxes:
        # Two decoders may be installed. The films of a study are written with this one.
        options["decoding_plugin"] = "pyjpegls"
    try:
        view.pixel_array_options(**options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = np.asarray(view.pixel_array)
    except MemoryError as error:
        raise FilmError("there is not enough memory to decode it", path, "Close other programs") from error
    except Exception as error:  # each decoder has its own exceptions
        problem, remedy = _explain_decoding_failure(syntax, stream)
        raise FilmError(problem, path, remedy) from error
    channels = (int(dataset.SamplesPerPixel),) if int(dataset.get("SamplesPerPixel", 1)) > 1 else ()
    if values.shape != (dataset.Rows, dataset.Columns, *channels):
        raise FilmError(f"its pixels have shape {values.shape}, not one grey image", path, "Export it again")
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def _make_decoding_view(dataset: Dataset, syntax: UID, stream: Codestream | None) -> pydicom.Dataset:
    """Return what a decoder needs of `dataset`, with the depth and the sign of the compressed image."""
    view = pydicom.Dataset()
    view.file_meta = pydicom.dataset.FileMetaDataset()
    view.file_meta.TransferSyntaxUID = syntax
    for keyword in ("Rows", "Columns", "PhotometricInterpretation", "BitsAllocated", "PlanarConfiguration"):
        if keyword in dataset:
            setattr(view, keyword, dataset[keyword].value)
    view.SamplesPerPixel = int(dataset.get("SamplesPerPixel", 1))
    if view.SamplesPerPixel > 1 and view.get("PlanarConfiguration") not in (0, 1):
        view.PlanarConfiguration = 0
    view.BitsStored = int(dataset.BitsAllocated) if stream is None else stream.precision
    if stream is not None:
        view.BitsAllocated = 8 if stream.precision <= 8 else 16
    view.HighBit = view.BitsStored - 1
    view.PixelRepresentation = int(stream is not None and stream.is_signed)
    # Some writers give encapsulated pixels a length, which pydicom does not accept.
    view["PixelData"] = DataElement("PixelData", "OB" if syntax.is_encapsulated else "OW", dataset.PixelData)
    view["PixelData"].is_undefined_length = syntax.is_encapsulated
    view.set_original_encoding(*dataset.original_encoding)
    return view


def _explain_decoding_failure(syntax: UID, stream: Codestream | None) -> tuple[str, str]:
    """Return the problem and the remedy of a failed decoding: a decoder is missing, or the data are damaged."""
    if stream is not None and stream.coding == "JPEG of 12 bits" and find_spec("libjpeg") is None:
        return (
            "it is lossy JPEG of 12 bits, which needs one more decoder",
            "Install pylibjpeg-libjpeg (GPL), or get an uncompressed copy of the film",
        )
    if not _has_decoder(syntax):
        return f"no installed decoder reads {clean_text(syntax.name)}", "Get an uncompressed copy of the film"
    return (
        f"its pixels can't be decoded as {clean_text(syntax.name)}; they may be damaged",
        "Export it again, uncompressed",
    )


def _interpret(
    dataset: Dataset, syntax: UID, stream: Codestream | None, path: Path, is_own: bool
) -> tuple[StoredValues, str]:
    """Return the decoded grey values, with the depth and the sign that they have, and a note on their colours."""
    values = _decode(dataset, syntax, stream, path)
    colour_note = ""
    if values.ndim == 3:
        values, colour_note = find_grey(
            values,
            lambda: _decode(dataset, syntax, stream, path, photometric="RGB"),
            is_native=stream is None and not syntax.is_encapsulated,
            is_lossy=stream is not None or str(dataset.PhotometricInterpretation) != "RGB",
            path=path,
        )
    allocated, stored = int(dataset.BitsAllocated), int(dataset.BitsStored)
    high_bit = int(parse_number(dataset.get("HighBit"), stored - 1) or 0)
    is_signed = parse_number(dataset.get("PixelRepresentation")) == 1
    header = HeaderDepth(allocated, stored, high_bit, is_signed, _find_overlay_bits(dataset, high_bit))
    if is_own:
        return interpret_stated(values, header), ""
    try:
        if stream is None:
            check_layout(values, _count_unused(dataset))
            found = interpret_native(values, header)
        else:
            sign = stream.is_signed if stream.coding in ("JPEG 2000", "HTJ2K") else None
            found = interpret_decoded(values, stream.precision, sign, header)
    except AmbiguousPixelsError as error:
        raise FilmError(str(error), path, "Ask the sender to correct the header") from error
    if dataset.PhotometricInterpretation != "PALETTE COLOR":
        return found, colour_note
    return apply_grey_palette(dataset, found.pixels, path), ""


def _count_unused(dataset: Dataset) -> int:
    """Return the number of words after uncompressed pixels that are not zero, without a byte of padding."""
    data = bytes(dataset.PixelData)
    if dataset["PixelData"].is_undefined_length or data[:4] == _ITEM:
        return 0  # run-length coding
    rest = data[_count_native_bytes(dataset) :]
    return len(rest) * 8 // int(dataset.BitsAllocated) if any(rest) else 0


def _find_overlay_bits(dataset: Dataset, high_bit: int) -> int:
    """Return a mask of the bits of the pixels in which the header says that overlays are stored (PS3.5 section 8.1.2).

    A bit of the stored value is none of them, whatever the header says.
    """
    mask, stored = 0, ((1 << int(dataset.BitsStored)) - 1) << max(high_bit + 1 - int(dataset.BitsStored), 0)
    for group in range(0x6000, 0x6020, 2):
        position = dataset.get((group, 0x0102))
        if position is not None and (group, 0x3000) not in dataset and isinstance(position.value, int):
            mask |= 1 << position.value if 0 < position.value < 16 else 0
    return mask & ~stored
