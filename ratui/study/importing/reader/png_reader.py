"""Select the picture of a PNG file, and check that it is complete.

Decoders fill what is missing of a picture with one grey. So the chunks and the length of the compressed data are checked
first (PNG specification, third edition, sections 5 and 7). Only the chunks of the picture itself reach the decoder.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from ratui.errors import FilmError
from ratui.imaging import MAX_PIXELS, MAX_SIDE

__all__ = ["SelectedPicture", "select_picture"]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_PICTURE_CHUNKS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
# Start and step of each pass of an interlaced picture: column, row, columns, rows.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_CHUNK_BYTES = 1 << 20
_ORIENTATION = 274  # tag of EXIF
_MAX_PROFILE = 1 << 20  # bytes; the first directory is at the start


@dataclass(frozen=True)
class SelectedPicture:
    """The picture of a PNG file, without its texts.

    Attributes
    ----------
    data
        A PNG file of the chunks of the picture.
    depth, channels
        Bits of a value, and values of a pixel; a palette has one.
    transparency
        Content of the tRNS chunk, which declares values or entries of the palette transparent, or None.
    orientation
        EXIF orientation, 1 to 8.
    """

    data: bytes
    depth: int
    channels: int
    transparency: bytes | None
    orientation: int


def select_picture(data: bytes, path: Path) -> SelectedPicture:
    """Return the picture in `data`, a PNG file, after a check that it is complete.

    Raises FilmError if the picture is incomplete or has another size than a film, and ValueError if this is no PNG file.
    """
    if not data.startswith(_SIGNATURE):
        raise ValueError("no signature")
    # Length and type of the first chunk precede its values.
    width, height, depth, colour, _, _, interlaced = struct.unpack_from(">IIBBBBB", data, len(_SIGNATURE) + 8)
    if max(width, height) > MAX_SIDE or min(width, height) < 16 or width * height > MAX_PIXELS:
        raise FilmError(f"its size {width} × {height} is not that of a radiograph", path, "Give the film itself")
    parts, compressed, others = [_SIGNATURE], [], {}
    offset, kind, profile = len(_SIGNATURE), b"", b""
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
        if kind in (b"tRNS", b"eXIf", b"acTL"):
            others[kind] = data[offset + 8 : end - 4]
        if kind in (b"tEXt", b"zTXt"):
            profile = profile or _read_profile(data[offset + 8 : end - 4], is_compressed=kind == b"zTXt")
        offset = end
    if kind != b"IEND":
        raise FilmError("it is cut off", path, "Copy it again")
    if b"acTL" in others:
        raise FilmError("it contains several pictures", path, "Export one film per file")
    channels = _CHANNELS.get(colour, 0)
    expected = _count_bytes(width, height, depth * channels, bool(interlaced))
    if not _inflates_to(compressed, expected):
        raise FilmError("rows of it are missing, or it has too many", path, "Copy it again, or export it again")
    orientation = _read_orientation(others.get(b"eXIf", b"") or profile)
    return SelectedPicture(b"".join(parts), depth, channels, others.get(b"tRNS"), orientation)


def _read_profile(text: bytes, *, is_compressed: bool) -> bytes:
    """Return the EXIF data in a text, in which programs wrote them before PNG had a chunk for them, or nothing.

    After the keyword follow a name, the number of bytes, and the bytes in hexadecimal digits.
    """
    keyword, _, value = text.partition(b"\0")
    if keyword not in (b"Raw profile type exif", b"Raw profile type APP1"):
        return b""
    try:
        if is_compressed:
            value = zlib.decompressobj().decompress(value[1:], _MAX_PROFILE)
        digits = b"".join(value[:_MAX_PROFILE].split()[2:])
        return bytes.fromhex(digits.decode("ascii")).removeprefix(b"Exif\0\0")
    except (ValueError, zlib.error):
        return b""


def _read_orientation(exif: bytes) -> int:
    """Return the orientation in the first directory of EXIF data (TIFF 6.0), or 1 if there is none or it is damaged."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for number in range(count):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", exif, start + 2 + 12 * number)
            if tag == _ORIENTATION:
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


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
