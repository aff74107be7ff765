"""Parameters and ends of compressed images: JPEG, JPEG-LS, JPEG 2000 and RLE. Pure functions, which decode nothing."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = [
    "Codestream",
    "Coding",
    "count_pictures",
    "count_rle_bytes",
    "is_codestream_complete",
    "read_codestream",
]

Coding: TypeAlias = Literal["JPEG", "JPEG of 12 bits", "JPEG Lossless", "JPEG-LS", "JPEG 2000", "HTJ2K"]

_READ_BY: Mapping[Coding, tuple[str, ...]] = {
    "JPEG": ("JPEGBaseline8Bit", "JPEGExtended12Bit"),
    "JPEG of 12 bits": ("JPEGExtended12Bit",),
    "JPEG Lossless": ("JPEGLossless", "JPEGLosslessSV1"),
    "JPEG-LS": ("JPEGLSLossless", "JPEGLSNearLossless"),
    "JPEG 2000": ("JPEG2000Lossless", "JPEG2000"),
    "HTJ2K": ("HTJ2KLossless", "HTJ2KLosslessRPCL", "HTJ2K"),
}
"""Transfer syntaxes whose decoders read a coding, by their keywords in DICOM."""
_LOSSY_METHODS: Mapping[Coding, str] = {
    "JPEG": "ISO_10918_1",
    "JPEG of 12 bits": "ISO_10918_1",
    "JPEG-LS": "ISO_14495_1",
    "JPEG 2000": "ISO_15444_1",
    "HTJ2K": "ISO_15444_15",
}
_MAX_TILES = 16_384  # of a JPEG 2000 image; a decoder allocates memory for each
_MAX_PADDING = 64  # bytes after the end of an image
_START = b"\xff\x4f\xff\x51"  # SOC and SIZ
_TILE_PART = b"\xff\x90"  # SOT
_CAPABILITIES = b"\xff\x50"  # CAP, which an image of HTJ2K has (ITU-T T.814)
_RLE_HEADER = 64  # bytes
# The end of an image and, perhaps after padding, the start of another one. The data of an image contain no such markers.
_NEXT_IMAGE = re.compile(rb"\xff\xd9\0*(?:\xff\xd8\xff|\xff\x4f\xff\x51)")


@dataclass(frozen=True)
class Codestream:
    """The parameters that a compressed image states itself.

    Attributes
    ----------
    coding
        Kind of compression.
    rows, columns
        Size in pixels.
    components
        Values of a pixel: 1 for grey, 3 for colour.
    precision
        Bits of a value.
    is_signed
        Whether values are signed. Only JPEG 2000 states it; False for other kinds.
    is_lossy
        Whether it was compressed with loss for certain. A JPEG 2000 image can also have lost something if it is False.
    """

    coding: Coding
    rows: int
    columns: int
    components: int
    precision: int
    is_signed: bool = False
    is_lossy: bool = False

    @property
    def lossy_method(self) -> str:
        """Lossy Image Compression Method (PS3.3 C.7.6.1.1.5.1), empty if it was not compressed with loss for certain."""
        return _LOSSY_METHODS[self.coding] if self.is_lossy else ""

    def is_read_by(self, keyword: str) -> bool:
        """Return whether the decoders of the transfer syntax with this keyword read the image."""
        return keyword in _READ_BY[self.coding]


def read_codestream(frame: bytes) -> Codestream | None:
    """Return the parameters of a JPEG, JPEG-LS or JPEG 2000 image, or None for other kinds, such as RLE.

    Raises
    ------
    struct.error, IndexError, ValueError
        If it is damaged, or of a kind that no decoder reads.
    """
    # SOI marker, common to JPEG (ITU-T T.81) and JPEG-LS (T.87).
    if frame[:2] == b"\xff\xd8":
        return _read_jpeg(frame)
    offset = _find_jpeg_2000(frame)
    return _read_jpeg_2000(frame, offset + 4) if offset >= 0 else None


def count_pictures(fragments: list[bytes]) -> int:
    """Return the number of images in the fragments of encapsulated pixels, at least 1 (PS3.5 A.4).

    A JPEG or JPEG 2000 image may begin anywhere in a fragment, a run-length coded one only at its start.
    """
    images = sum(fragment[:3] == b"\xff\xd8\xff" or fragment[:4] == _START for fragment in fragments)
    images += sum(len(_NEXT_IMAGE.findall(fragment)) for fragment in fragments)
    return max(1, images or sum(map(_begins_run_length, fragments)))


def _begins_run_length(fragment: bytes) -> bool:
    """Return whether a fragment begins with the header of a run-length coded image (PS3.5 G.5)."""
    if len(fragment) <= _RLE_HEADER:
        return False
    count, first, *offsets = struct.unpack_from("<16I", fragment)
    used, unused = [first, *offsets[: max(count - 1, 0)]], offsets[max(count - 1, 0) :]
    is_ordered = used == sorted(set(used)) and used[-1] < len(fragment)
    return 1 <= count <= 15 and first == _RLE_HEADER and is_ordered and not any(unused)


def count_rle_bytes(frame: bytes) -> list[int]:
    """Return the number of bytes to which each segment of an RLE image decodes (PS3.5 G.5).

    Raises
    ------
    struct.error, ValueError
        If it is damaged.
    """
    count, *offsets = struct.unpack_from("<16I", frame)
    if not 1 <= count <= 15:
        raise ValueError("an impossible number of segments")
    ends = [*offsets[1:count], len(frame)]
    lengths = []
    for start, end in zip(offsets[:count], ends, strict=True):
        if not _RLE_HEADER <= start <= end <= len(frame):
            raise ValueError("segments outside of the image")
        total, at = 0, start
        while at < end:
            head = frame[at]
            if head < 128:  # a run of different bytes
                run = min(head + 1, end - at - 1)
                total, at = total + run, at + 1 + run
            elif head > 128:  # one byte, repeated
                total, at = total + (257 - head if at + 1 < end else 0), at + 2
            else:
                at += 1
        lengths.append(total)
    return lengths


def is_codestream_complete(frame: bytes) -> bool:
    """Return whether an image ends where its format says; True for other kinds. Decoders fill missing parts with one grey.

    Parameters
    ----------
    frame
        The compressed image. Some bytes of padding may follow it.

    Raises
    ------
    struct.error, IndexError, ValueError
        If it is damaged.
    """
    offset = _find_jpeg_2000(frame)
    if frame[:2] != b"\xff\xd8" and offset < 0:
        return True
    # EOI of JPEG and JPEG-LS, or EOC of JPEG 2000, which have the same code.
    if b"\xff\xd9" not in frame.rstrip(b"\0")[-_MAX_PADDING:]:
        return False
    return frame[:2] == b"\xff\xd8" or _has_all_tiles(frame, offset)


def _find_jpeg_2000(frame: bytes) -> int:
    """Return the offset of the SOC and SIZ markers (ITU-T T.800), which may follow the boxes of a JP2 file, or -1."""
    return 0 if frame[:4] == _START else frame.find(_START, 0, 65_536)


def _has_all_tiles(frame: bytes, start: int) -> bool:
    """Return whether each tile of a JPEG 2000 image has a part, and the parts end within the image (ITU-T T.800 A.4.2)."""
    right, down, left, top, across, high = struct.unpack_from(">6I", frame, start + 8)
    x0, y0 = struct.unpack_from(">2I", frame, start + 32)
    tiles = -(-(right - x0) // across) * -(-(down - y0) // high)
    if not 0 < tiles <= _MAX_TILES or x0 > left or y0 > top:
        raise ValueError("an impossible grid of tiles")
    offset = start + 2
    while frame[offset : offset + 2] != _TILE_PART:  # the segments of the main header
        (length,) = struct.unpack_from(">H", frame, offset + 2)
        offset += 2 + max(length, 2)
    found = set()
    while frame[offset : offset + 2] == _TILE_PART:
        number, length = struct.unpack_from(">HI", frame, offset + 4)
        found.add(number)
        if not length:  # the part goes to the end
            return found >= set(range(tiles))
        offset += length
        if length < 14 or offset > len(frame):
            return False
    return found >= set(range(tiles))


def _read_jpeg(frame: bytes) -> Codestream:
    """Return the parameters in the frame header (ITU-T T.81 B.2.2). Raises ValueError if there is none."""
    offset = 2
    while offset < len(frame):
        if frame[offset] != 0xFF:
            raise ValueError("no marker found")
        marker = frame[offset + 1]
        if marker == 0xFF:  # a fill byte
            offset += 1
            continue
        (length,) = struct.unpack_from(">H", frame, offset + 2)
        # SOF55 of JPEG-LS, or SOF0 to SOF15 without DHT (C4), JPG (C8) and DAC (CC).
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            precision, rows, columns, components = struct.unpack_from(">BHHB", frame, offset + 4)
            if not (2 <= precision <= 16 and 1 <= components <= 4):
                raise ValueError("impossible values")
            coding = _find_jpeg_coding(marker, precision)
            is_lossy = coding.startswith("JPEG of") or coding == "JPEG"
            if coding == "JPEG-LS":
                is_lossy = _has_near_lossless_scan(frame, offset + 2 + length)
            return Codestream(coding, rows, columns, components, precision, is_lossy=is_lossy)
        offset += 2 + length
    raise ValueError("no frame header found")


def _has_near_lossless_scan(frame: bytes, offset: int) -> bool:
    """Return whether the first scan after `offset` states a difference that is permitted (ITU-T T.87 C.2.3)."""
    while frame[offset : offset + 2] != b"\xff\xda":
        (length,) = struct.unpack_from(">H", frame, offset + 2)
        offset += 2 + max(length, 2)
    return frame[offset + 5 + 2 * frame[offset + 4]] > 0


def _find_jpeg_coding(marker: int, precision: int) -> Coding:
    """Return the kind of a JPEG image by its frame marker (ITU-T T.81 table B.1)."""
    if marker == 0xF7:
        return "JPEG-LS"
    if marker == 0xC3:
        return "JPEG Lossless"
    if marker not in (0xC0, 0xC1, 0xC2):
        raise ValueError("hierarchical or arithmetic coding")
    return "JPEG" if precision == 8 else "JPEG of 12 bits"


def _read_jpeg_2000(frame: bytes, offset: int) -> Codestream:
    """Return the parameters of the SIZ segment at `offset` (ITU-T T.800 A.5.1). Raises ValueError if it is invalid."""
    right, down, left, top, tile_across, tile_down, _, _, components = struct.unpack_from(">8IH", frame, offset + 4)
    columns, rows = right - left, down - top
    if columns <= 0 or rows <= 0 or not tile_across or not tile_down or not 1 <= components <= 4:
        raise ValueError("an impossible size")
    # Depth and subsampling of each component.
    described = {frame[offset + 38 + 3 * number : offset + 41 + 3 * number] for number in range(components)}
    depth = frame[offset + 38]
    if described != {bytes((depth, 1, 1))}:
        raise ValueError("components of different depth or size")
    # The first bit is the sign. One decoder throws a C++ exception, which ends the process, for some depths above 16.
    if depth & 0x7F >= 16:
        raise ValueError("too many bits a pixel")
    # Numbers of tiles, rounded up.
    if -(-columns // tile_across) * -(-rows // tile_down) > _MAX_TILES:
        raise ValueError("too many tiles")
    (length,) = struct.unpack_from(">H", frame, offset)
    is_lossy = _has_irreversible_transform(frame, offset + length)
    coding: Coding = "HTJ2K" if frame[offset + length : offset + length + 2] == _CAPABILITIES else "JPEG 2000"
    return Codestream(coding, rows, columns, components, (depth & 0x7F) + 1, bool(depth & 0x80), is_lossy)


def _has_irreversible_transform(frame: bytes, offset: int) -> bool:
    """Return whether the main header states the 9-7 wavelet transform (ITU-T T.800 A.6.1)."""
    while frame[offset : offset + 2] != b"\xff\x52":  # COD, which each image has
        (length,) = struct.unpack_from(">H", frame, offset + 2)
        offset += 2 + max(length, 2)
    return frame[offset + 13] == 0
