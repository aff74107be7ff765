"""An encoder for JPEG Lossless, the most frequent compression of archives, which pydicom can decode but not encode."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

__all__ = ["encode_jpeg_lossless"]

_CODE_LENGTH = 5
_CATEGORIES = 17  # of differences modulo 65536 (ISO/IEC 10918-1, table H.2)


def encode_jpeg_lossless(picture: npt.NDArray[np.generic], bits: int) -> bytes:
    """Return a grey picture of up to 16 bits as a JPEG Lossless codestream (Process 14, Selection Value 1).

    All differences have Huffman codes of 5 bits, which makes the code short and the codestream a little long.
    """
    rows, columns = picture.shape
    frame = struct.pack(">BHHBBBB", bits, rows, columns, 1, 1, 0x11, 0)
    counts = bytes(_CATEGORIES if length == _CODE_LENGTH else 0 for length in range(1, 17))
    table = b"\0" + counts + bytes(range(_CATEGORIES))
    scan = bytes([1, 1, 0, 1, 0, 0])  # one component, table 0, predictor 1, no point transform
    return (
        b"\xff\xd8"
        + _segment(0xC3, frame)
        + _segment(0xC4, table)
        + _segment(0xDA, scan)
        + _entropy_coded(_differences(picture.astype(np.int64), bits))
        + b"\xff\xd9"
    )


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _differences(picture: npt.NDArray[np.int64], bits: int) -> npt.NDArray[np.int64]:
    """Return each pixel minus its left neighbour; the first of a row minus the one above, the first of all minus half."""
    predicted = np.empty_like(picture)
    predicted[:, 1:] = picture[:, :-1]
    predicted[1:, 0] = picture[:-1, 0]
    predicted[0, 0] = 1 << (bits - 1)
    difference = (picture - predicted).ravel()
    return (difference + 32767) % 65536 - 32767  # from -32767 to 32768


def _entropy_coded(differences: npt.NDArray[np.int64]) -> bytes:
    size = np.frexp(np.abs(differences).astype(np.float64))[1].astype(np.int64)  # bits of the magnitude
    extra = np.where(size == 16, 0, size)  # 32768 has a category of its own without further bits
    low = np.where(differences < 0, differences + (1 << size) - 1, differences)
    value = (size << extra) | np.where(size == 16, 0, low)
    length = _CODE_LENGTH + extra
    ends = np.cumsum(length)
    stream = np.ones(-(-int(ends[-1]) // 8) * 8, np.uint8)  # the last byte is filled with ones
    for bit in range(_CODE_LENGTH + 15):
        chosen = length > bit
        stream[ends[chosen] - 1 - bit] = (value[chosen] >> bit) & 1
    return np.packbits(stream).tobytes().replace(b"\xff", b"\xff\x00")
