"""Reader of the plain films that ratui writes: one grey image, no tables. It loads no DICOM library and starts faster.

It returns None for every file that is not exactly of this form, damaged or not, and leaves it to `dicom_reader`. So it
refuses no film, and reads none in another way than `dicom_reader` does; a test compares the two on altered files.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ratui.imaging.codestream import count_pictures, is_codestream_complete, read_codestream
from ratui.imaging.dicom_header import GREYS, make_film
from ratui.imaging.film import MAX_SIDE, Film
from ratui.imaging.film_limits import MAX_PIXELS
from ratui.imaging.pixel_values import HeaderDepth, interpret_stated

__all__ = ["read_plain_film"]

_UNCOMPRESSED, _JPEG_LS = b"1.2.840.10008.1.2.1", b"1.2.840.10008.1.2.4.80"
_TRANSFER_SYNTAX, _PIXEL_DATA = 0x00020010, 0x7FE00010
_UNDEFINED_LENGTH = 0xFFFFFFFF
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG = frozenset(b"OB OW SQ UT".split())  # with a length of four bytes (PS3.5 section 7.1.2)
_GROUPS = frozenset((0x0002, 0x0008, 0x0010, 0x0012, 0x0018, 0x0020, 0x0028, 0x2050, 0x7FE0))
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0"  # of encapsulated pixels (PS3.5 A.4)
# The elements that the reader of headers uses: keyword and value representations.
_ELEMENTS: Mapping[int, tuple[str, tuple[bytes, ...]]] = {
    0x00181114: ("EstimatedRadiographicMagnificationFactor", (b"DS",)),
    0x00181164: ("ImagerPixelSpacing", (b"DS",)),
    0x00182010: ("NominalScannedPixelSpacing", (b"DS",)),
    0x00280002: ("SamplesPerPixel", (b"US",)),
    0x00280004: ("PhotometricInterpretation", (b"CS",)),
    0x00280010: ("Rows", (b"US",)),
    0x00280011: ("Columns", (b"US",)),
    0x00280030: ("PixelSpacing", (b"DS",)),
    0x00280034: ("PixelAspectRatio", (b"IS",)),
    0x00280100: ("BitsAllocated", (b"US",)),
    0x00280101: ("BitsStored", (b"US",)),
    0x00280103: ("PixelRepresentation", (b"US",)),
    0x00280120: ("PixelPaddingValue", (b"US", b"SS")),
    0x00280121: ("PixelPaddingRangeLimit", (b"US", b"SS")),
    0x00280A02: ("PixelSpacingCalibrationType", (b"CS",)),
    0x00281050: ("WindowCenter", (b"DS",)),
    0x00281051: ("WindowWidth", (b"DS",)),
    0x00281052: ("RescaleIntercept", (b"DS",)),
    0x00281053: ("RescaleSlope", (b"DS",)),
    0x00281055: ("WindowCenterWidthExplanation", (b"LO",)),
    0x00281056: ("VOILUTFunction", (b"CS",)),
    0x20500020: ("PresentationLUTShape", (b"CS",)),
}
# A film with one of these is left to `dicom_reader`: a character set, frames, tables.
_LEFT_OUT = {
    0x00080005: "SpecificCharacterSet",
    0x00280008: "NumberOfFrames",
    0x00283000: "ModalityLUTSequence",
    0x00283010: "VOILUTSequence",
}
_KEYWORDS = frozenset((*(keyword for keyword, _ in _ELEMENTS.values()), *_LEFT_OUT.values()))
# Values that have one meaning for every reader (PS3.5 section 6.2), each without the space that pads it.
_FORMS = {
    b"DS": re.compile(rb"[+-]?\d{1,12}(?:\.\d{1,12})?(?:[eE][+-]?\d{1,3})?"),
    b"IS": re.compile(rb"\d{1,9}"),
    b"CS": re.compile(rb"[A-Z0-9](?:[A-Z0-9_ ]{0,14}[A-Z0-9])?"),
    b"LO": re.compile(rb"(?:[A-Z0-9](?:[A-Z0-9_ ]{0,30}[A-Z0-9])?)?"),  # one of several windows may have no name
}
_MAX_LENGTH = 16  # of a DS


class _NotPlain(Exception):
    """The file is not a plain film."""


@dataclass(frozen=True)
class _PlainHeader:
    """The elements of a plain film by keyword, in place of a dataset of pydicom."""

    values: Mapping[str, Any]

    def get(self, keyword: str, default: Any = None, /) -> Any:
        """Return the value of an element, or `default` if the film has none. Raises KeyError for an unread element."""
        if keyword not in _KEYWORDS:
            raise KeyError(keyword)
        return self.values.get(keyword, default)


def read_plain_film(data: bytes) -> Film | None:
    """Return the film in `data`, the content of a DICOM file, or None if it is not a plain film that ratui wrote.

    The size in the header is compared with that in the compressed image before memory is allocated for it.
    """
    try:
        syntax, elements, start = _split(data)
        header = _PlainHeader({keyword: _read_value(vr, value) for keyword, (vr, value) in elements.items()})
        depth, shape = _read_format(header)
        if syntax == _JPEG_LS:
            pixels = _decode(_unwrap(data, start), shape, depth)
        else:
            pixels = _read_words(data, start, shape, depth)
    except (_NotPlain, struct.error, IndexError, ValueError, MemoryError):
        return None
    return make_film(header, interpret_stated(pixels, depth))


def _require(condition: bool) -> None:
    if not condition:
        raise _NotPlain


def _split(data: bytes) -> tuple[bytes, dict[str, tuple[bytes, bytes]], int]:
    """Return the transfer syntax, the VR and the bytes of the known elements, and the offset of that with the pixels."""
    _require(data[128:132] == b"DICM")
    offset, last, syntax, found = 132, 0, b"", dict[str, tuple[bytes, bytes]]()
    while True:
        group, element, vr, length = struct.unpack_from("<HH2sH", data, offset)
        tag = group << 16 | element
        _require(group in _GROUPS and tag > last and tag not in _LEFT_OUT)
        if tag == _PIXEL_DATA:
            break
        start = offset + 8
        if vr in _LONG:
            _require(length == 0)  # two reserved bytes
            (length,) = struct.unpack_from("<I", data, start)
            start += 4
        else:
            _require(vr in _SHORT)
        # An undefined length is odd, too.
        _require(length % 2 == 0 and start + length <= len(data))
        value = data[start : start + length]
        if tag == _TRANSFER_SYNTAX:
            _require(vr == b"UI")
            syntax = value[:-1] if value[-1:] == b"\0" else value
        elif tag in _ELEMENTS:
            keyword, representations = _ELEMENTS[tag]
            _require(vr in representations)
            found[keyword] = vr, value
        offset, last = start + length, tag
    _require(syntax in (_UNCOMPRESSED, _JPEG_LS))
    return syntax, found, offset


def _read_value(vr: bytes, value: bytes) -> Any:
    """Return the value of an element: a number, a text, or a list of texts."""
    if vr in (b"US", b"SS"):
        _require(len(value) == 2)
        return int.from_bytes(value, "little", signed=vr == b"SS")
    parts = (value[:-1] if value[-1:] == b" " else value).split(b"\\")
    _require(any(parts) and all(_FORMS[vr].fullmatch(part) for part in parts))
    _require(vr != b"DS" or max(map(len, parts)) <= _MAX_LENGTH)
    texts = [part.decode("ascii") for part in parts]
    _require(vr != b"CS" or len(texts) == 1)
    return texts[0] if len(texts) == 1 else texts


def _read_format(header: _PlainHeader) -> tuple[HeaderDepth, tuple[int, int]]:
    """Return the depth of a pixel, and rows and columns, if they are those of a film (see `check_header`)."""
    names = ("SamplesPerPixel", "Rows", "Columns", "BitsAllocated", "BitsStored")
    _require(all(name in header.values for name in names) and header.get("PhotometricInterpretation") in GREYS)
    samples, rows, columns, allocated, stored = (header.get(name) for name in names)
    _require(samples == 1 and 16 <= rows <= MAX_SIDE and 16 <= columns <= MAX_SIDE and rows * columns <= MAX_PIXELS)
    _require(allocated in (8, 16) and 6 <= stored <= allocated)
    sign = header.get("PixelRepresentation", 0)
    _require(sign in (0, 1))
    return HeaderDepth(allocated, stored, stored - 1, sign == 1), (rows, columns)


def _unwrap(data: bytes, offset: int) -> bytes:
    """Return the compressed image in the element with the pixels at `offset`: a table of one offset, and one fragment."""
    vr, reserved, length, table, count = struct.unpack_from("<2sHI4sI", data, offset + 4)
    _require((vr, reserved, length, table) == (b"OB", 0, _UNDEFINED_LENGTH, _ITEM) and count in (0, 4))
    start = offset + 20
    _require(data[start : start + count] == b"\0" * count)
    item, length = struct.unpack_from("<4sI", data, start + count)
    frame = data[start + count + 8 : start + count + 8 + length]
    _require(item == _ITEM and len(frame) == length and length % 2 == 0)
    _require(data[start + count + 8 + length :] == _END)  # and nothing after it
    return frame


def _decode(frame: bytes, shape: tuple[int, int], depth: HeaderDepth) -> npt.NDArray[Any]:
    """Return the values in the JPEG-LS image `frame`, if it states the size in the header and is complete."""
    rows, columns = shape
    _require(len(frame) <= 2 * rows * columns * depth.allocated // 8)
    stream = read_codestream(frame)
    _require(stream is not None and stream.coding == "JPEG-LS" and not stream.is_lossy)
    assert stream is not None
    _require((stream.rows, stream.columns, stream.components) == (rows, columns, 1))
    _require(is_codestream_complete(frame) and count_pictures([frame]) == 1)
    from ratui.imaging.pyjpegls_internals import decode_from_buffer

    try:
        values = decode_from_buffer(frame)
    except Exception as error:  # the decoder has its own exceptions; `dicom_reader` reports them
        raise _NotPlain from error
    kind = np.dtype(np.uint8 if stream.precision <= 8 else "<u2")
    _require(len(values) == rows * columns * kind.itemsize)
    return np.frombuffer(values, kind).reshape(shape)


def _read_words(data: bytes, offset: int, shape: tuple[int, int], depth: HeaderDepth) -> npt.NDArray[Any]:
    """Return the uncompressed values in the element with the pixels at `offset`, which ends the file."""
    vr, reserved, length = struct.unpack_from("<2sHI", data, offset + 4)
    values = data[offset + 12 :]
    size = shape[0] * shape[1] * depth.allocated // 8
    _require(vr in ((b"OB", b"OW") if depth.allocated == 8 else (b"OW",)) and reserved == 0)
    _require(length == len(values) == size + size % 2 and values[:4] != _ITEM)
    kind = np.dtype(np.uint8 if depth.allocated == 8 else "<u2")
    return np.frombuffer(values, kind, shape[0] * shape[1]).reshape(shape)
