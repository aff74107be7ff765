"""Sizes and ends of compressed images: JPEG, JPEG-LS and JPEG 2000. Pure functions, which decode nothing."""

from __future__ import annotations

import struct

__all__ = ["is_codestream_complete", "read_codestream_size"]

_MAX_TILES = 16_384  # of a JPEG 2000 image; a decoder allocates memory for each
_MAX_PADDING = 64  # bytes after the end of an image
_START = b"\xff\x4f\xff\x51"  # SOC and SIZ
_TILE_PART = b"\xff\x90"  # SOT


def read_codestream_size(frame: bytes) -> tuple[int, int] | None:
    """Return (rows, columns) of a JPEG, JPEG-LS or JPEG 2000 image, or None for other kinds, such as RLE."""
    # SOI marker, common to JPEG (ITU-T T.81) and JPEG-LS (T.87).
    if frame[:2] == b"\xff\xd8":
        return _read_jpeg_size(frame)
    offset = _find_jpeg_2000(frame)
    return _read_jpeg_2000_size(frame, offset + 4) if offset >= 0 else None


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


def _read_jpeg_size(frame: bytes) -> tuple[int, int]:
    """Return (rows, columns) of the frame header (ITU-T T.81 B.2.2). Raises ValueError if there is none."""
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
            rows, columns, components = struct.unpack_from(">HHB", frame, offset + 5)
            if components != 1:
                raise ValueError("not one component")
            return rows, columns
        offset += 2 + length
    raise ValueError("no frame header found")


def _read_jpeg_2000_size(frame: bytes, offset: int) -> tuple[int, int]:
    """Return (rows, columns) of the SIZ segment at `offset` (ITU-T T.800 A.5.1). Raises ValueError if it is invalid."""
    right, down, left, top, tile_across, tile_down, _, _, components = struct.unpack_from(">8IH", frame, offset + 4)
    columns, rows = right - left, down - top
    if columns <= 0 or rows <= 0 or not tile_across or not tile_down or components != 1:
        raise ValueError("an impossible size")
    # The first bit is the sign. One decoder throws a C++ exception, which ends the process, for some depths above 16.
    if frame[offset + 38] & 0x7F >= 16:
        raise ValueError("too many bits a pixel")
    # Numbers of tiles, rounded up.
    if -(-columns // tile_across) * -(-rows // tile_down) > _MAX_TILES:
        raise ValueError("too many tiles")
    return rows, columns
