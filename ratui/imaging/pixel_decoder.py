"""Decoder of the pixels in a DICOM dataset. It compares the pixels with the header before and after decoding.

The kind of compression, the depth and the sign are taken from the compressed image itself. If the header contradicts them,
the film gets a note or is refused with the true cause.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
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
)
from ratui.imaging.dicom_header import parse_number
from ratui.imaging.grey_channels import apply_grey_palette, find_grey
from ratui.imaging.pixel_checks import check_codestream, check_length, find_stated_length, has_decoder, native_length
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
# Lossy Image Compression Method (PS3.3 C.7.6.1.1.5.1).
_LOSSY_METHODS: dict[Coding, str] = {
    "JPEG": "ISO_10918_1",
    "JPEG of 12 bits": "ISO_10918_1",
    "JPEG-LS": "ISO_14495_1",
    "JPEG 2000": "ISO_15444_1",
    "HTJ2K": "ISO_15444_15",
}
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
    stated = find_stated_length(dataset)
    data = bytes(dataset.PixelData)
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    is_encapsulated = bool(dataset["PixelData"].is_undefined_length) or data[:4] == _ITEM
    if syntax.is_encapsulated and not is_encapsulated and len(data) == native_length(dataset):
        # Compressed pixels have no such length: each of their items has a header.
        notes.append("its header names a compression, but its pixels are uncompressed; they were used as they are")
        syntax = ExplicitVRLittleEndian
    stream = None
    frames = _count_frames(dataset)
    if syntax.is_encapsulated or is_encapsulated:
        stream, is_run_length = check_codestream(dataset, data, path)
        if is_run_length or (stream is not None and not _is_coding_of(syntax, stream)):
            if syntax != RLELossless or stream is not None:
                notes.append("its header names another compression than its pixels have; that of the pixels was used")
            syntax = RLELossless if stream is None else _SYNTAXES[stream.coding]
        elif not syntax.is_encapsulated:
            problem = "its pixels are compressed, but its header says that they are not"
            raise FilmError(problem, path, "Export it again")
        elif stream is None and frames != 1:  # a video
            raise FilmError(f"it contains {frames} frames", path, "Export one film per file")
    else:
        check_length(dataset, data, frames, stated, path)
    if frames != 1:
        problem = f"its header states {frames} frames, but it has one picture"
        raise FilmError(problem, path, "Ask the sender to correct the header")
    found, note = _interpret(dataset, syntax, stream, path, is_own)
    decoded = DecodedPixels(found, (*notes, *([note] if note else [])))
    if stream is None or not stream.is_lossy:
        return decoded
    bits = stream.rows * stream.columns * stream.components * stream.precision
    ratio = max(bits / 8 / len(data), 1.0)
    return replace(decoded, lossy=_LOSSY_METHODS[stream.coding], lossy_ratio=ratio)


def _count_frames(dataset: Dataset) -> int:
    """Return the Number of Frames in the header; 1 if it states none or an impossible one."""
    return max(1, int(parse_number(dataset.get("NumberOfFrames"), 1) or 1))


def _is_coding_of(syntax: UID, stream: Codestream) -> bool:
    """Return whether the decoders of `syntax` read images of the coding of `stream`."""
    names = {
        "JPEG": ("JPEGBaseline8Bit", "JPEGExtended12Bit"),
        "JPEG of 12 bits": ("JPEGExtended12Bit",),
        "JPEG Lossless": ("JPEGLossless", "JPEGLosslessSV1"),
        "JPEG-LS": ("JPEGLSLossless", "JPEGLSNearLossless"),
        "JPEG 2000": ("JPEG2000Lossless", "JPEG2000"),
        "HTJ2K": ("HTJ2KLossless", "HTJ2KLosslessRPCL", "HTJ2K"),
    }[stream.coding]
    return syntax.keyword in names


def _decode(dataset: Dataset, syntax: UID, stream: Codestream | None, path: Path, *, photometric: str = "") -> _Array:
    """Return the decoded values, shape (rows, columns) or (rows, columns, 3), unsigned unless `stream` is signed.

    `photometric` replaces Photometric Interpretation; with RGB, the values of three channels are those that are stored.
    """
    view = _decoding_view(dataset, syntax, stream)
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


def _decoding_view(dataset: Dataset, syntax: UID, stream: Codestream | None) -> pydicom.Dataset:
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
    if not has_decoder(syntax):
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
    header = HeaderDepth(allocated, stored, high_bit, is_signed, _overlay_bits(dataset, high_bit))
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
    rest = data[native_length(dataset) :]
    return len(rest) * 8 // int(dataset.BitsAllocated) if any(rest) else 0


def _overlay_bits(dataset: Dataset, high_bit: int) -> int:
    """Return a mask of the bits of the pixels in which the header says that overlays are stored (PS3.5 section 8.1.2).

    A bit of the stored value is none of them, whatever the header says.
    """
    mask, stored = 0, ((1 << int(dataset.BitsStored)) - 1) << max(high_bit + 1 - int(dataset.BitsStored), 0)
    for group in range(0x6000, 0x6020, 2):
        position = dataset.get((group, 0x0102))
        if position is not None and (group, 0x3000) not in dataset and isinstance(position.value, int):
            mask |= 1 << position.value if 0 < position.value < 16 else 0
    return mask & ~stored
