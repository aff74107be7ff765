"""Read the grey levels of a PNG file that is complete.

Decoders fill what is missing of a picture with one grey. So the chunks and the length of the compressed data are checked
first (PNG specification, third edition, sections 5 and 7). Only the chunks of the picture itself reach the decoder.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from ratui.errors import FilmError
from ratui.imaging import MAX_PIXELS, MAX_SIDE, Pixels
from ratui.imaging.dicom_reader import check_file

__all__ = ["read_png"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_PICTURE_CHUNKS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
# Start and step of each pass of an interlaced picture: column, row, columns, rows.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_CHUNK_BYTES = 1 << 20


def read_png(path: Path) -> Pixels:
    """Return the grey levels of a PNG file with 8 or 16 bits, shape (rows, columns).

    Raises FilmError for anything but one complete grey image.
    """
    check_file(path)
    try:
        data = _select_picture(path.read_bytes(), path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
                image.load()
                mode = image.mode
                values = np.asarray(image)
    except (OSError, ValueError, SyntaxError, struct.error, zlib.error, Image.DecompressionBombError) as error:
        raise FilmError("it is not a readable PNG file", path, "Export it again") from error
    if values.ndim == 3 and mode == "RGB" and (values == values[..., :1]).all():
        values = values[..., 0]  # a grey film that was saved in colour
    if values.ndim != 2 or mode == "P":
        raise FilmError("it is a colour image, not a grey film", path, "Export the original radiograph")
    if values.dtype == np.bool_:
        raise FilmError("it has two levels only", path, "Export the original radiograph")
    return values if values.dtype == np.uint8 else values.astype(np.uint16)


def _select_picture(data: bytes, path: Path) -> bytes:
    """Return the signature and the chunks of the picture in `data`.

    Raises FilmError if the picture is incomplete or has another size than a film, and ValueError if this is no PNG file.
    """
    if not data.startswith(_SIGNATURE):
        raise ValueError("no signature")
    # Length and type of the first chunk precede its values.
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, len(_SIGNATURE) + 8)
    if max(width, height) > MAX_SIDE or min(width, height) < 16 or width * height > MAX_PIXELS:
        raise FilmError(f"its size {width} × {height} is not that of a radiograph", path, "Give the film itself")
    parts, compressed = [_SIGNATURE], []
    offset, kind = len(_SIGNATURE), b""
    while kind != b"IEND" and offset < len(data):
        length, kind = struct.unpack_from(">I4s", data, offset)
        end = offset + 12 + length
        if end > len(data):
            raise FilmError("it is cut off", path, "Copy it again")
        if (offset == len(_SIGNATURE)) != (kind == b"IHDR"):
            raise ValueError("no header at the start, or a second one")
        if kind in _PICTURE_CHUNKS:
            if zlib.crc32(data[offset + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
                raise FilmError("a part of it is damaged", path, "Copy it again")
            parts.append(data[offset:end])
        if kind == b"IDAT":
            compressed.append(data[offset + 8 : end - 4])
        offset = end
    if kind != b"IEND":
        raise FilmError("it is cut off", path, "Copy it again")
    expected = _count_bytes(width, height, depth * _CHANNELS.get(colour, 0), bool(interlaced))
    if not _inflates_to(compressed, expected):
        raise FilmError("rows of it are missing, or it has too many", path, "Copy it again, or export it again")
    return b"".join(parts)


def _count_bytes(width: int, height: int, bits: int, interlaced: bool) -> int:
    """Return the number of bytes of the picture before compression: a filter byte and the pixels for each row."""
    total = 0
    for left, top, across, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(width - left) // across), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * bits // 8))
    return total


def _inflates_to(compressed: list[bytes], expected: int) -> bool:
    """Return whether a complete zlib stream contains exactly `expected` bytes; keep none of them."""
    inflate, total = zlib.decompressobj(), 0
    for part in compressed:
        rest = part
        while rest and not inflate.eof:
            total += len(inflate.decompress(rest, _CHUNK_BYTES))
            rest = inflate.unconsumed_tail
            if total > expected:
                return False
    total += len(inflate.flush())
    return inflate.eof and total == expected
